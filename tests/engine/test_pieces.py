"""Batches are cut where reference rows end, so that a set is frozen between two lines.

Cutting must lose nothing and change nothing: the parts, put together, are the batch.
"""

import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Block
from engine.decode import Decoder
from engine.pieces import only_references, pieces
from engine.reference_rows import as_references

DECODER = Decoder(
    duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20, least_lines=10**9
)
LINES = {
    "p": {"model_id": "m", "id": "a", "timestamp": 1_700_000_000_000, "features": {"x": 1.5}},
    "r": {"type": "reference", "model_id": "m", "id": "b", "features": {"x": 2}},
    "v": {"type": "label", "model_id": "m", "id": "a", "timestamp": 1_700_000_000_000, "label": 1},
    "m": {"type": "model", "model_id": "m", "status": "deployed", "timestamp": 1_700_000_000_000},
    "?": {"model_id": 7.5},
    " ": None,
}
TABLES = ("predictions", "sparse", "votes", "others", "rejects")


def decoded(kinds):
    lines = ["" if LINES[kind] is None else json.dumps(LINES[kind]) for kind in kinds]
    return DECODER.decode(Block("s", "p", 0, "\n".join([*lines, ""]).encode(), 0))


def ordinals(batch, shift):
    return {
        name: [shift + ordinal for ordinal in getattr(batch, name)["ordinal"].to_pylist()]
        for name in TABLES
    }


@given(st.text("prvm? ", min_size=1, max_size=30))
def test_law_the_parts_are_the_batch(kinds):
    batch = decoded(kinds)
    parts = pieces(batch)
    assert sum(part.lines for part in parts) == batch.lines
    found, shift = {name: [] for name in TABLES}, 0
    for part in parts:
        for name, numbers in ordinals(part, shift).items():
            found[name] += numbers
        shift += part.lines
    assert found == ordinals(batch, 0)
    raws = [raw for part in parts for raw in part.others["raw"].to_pylist()]
    assert raws == batch.others["raw"].to_pylist()


@given(st.text("prvm? ", min_size=1, max_size=30))
def test_law_no_other_line_stands_behind_a_reference_row_of_its_part(kinds):
    start = 0
    for part in pieces(decoded(kinds)):
        mine = kinds[start : start + part.lines]
        start += part.lines
        told = mine.replace("?", "").replace(" ", "")
        assert "r" not in told.rstrip("r")
        assert only_references(part) == (not told.strip("r"))


def test_golden_a_batch_without_reference_rows_is_left_as_it_is():
    batch = decoded("pvm? ")
    assert pieces(batch) == [batch]


def test_golden_the_lines_of_a_reference_file_are_reference_rows():
    batch = as_references(decoded("pr?v m"), "m")
    assert batch.others["type"].to_pylist() == ["reference", "reference"]
    assert batch.others["event_id"].to_pylist() == ["a", "b"]
    assert not len(batch.predictions)
    assert not len(batch.votes)
    assert batch.rejects["ordinal"].to_pylist() == [2, 3, 5]
    assert (
        batch.rejects["reason"].to_pylist()[1:]
        == ["`type` must be prediction or reference in a reference file"] * 2
    )


@pytest.mark.parametrize("kinds", ["p", "r"])
def test_error_rows_of_another_model_are_no_reference(kinds):
    batch = as_references(decoded(kinds), "other")
    assert not len(batch.others)
    assert batch.rejects["reason"].to_pylist() == [
        '`model_id` must be "other" in its reference file'
    ]
