"""The corpus through the decoder: each line becomes what its entry says, however it is read.

By column and one by one, in one block, in pieces, after a burst of the same and after none: the
same rows, rejects and reasons. The corpus is what a fuzzer and hostile minds came up with.
"""

import os

import duckdb
import pytest
from hostile_corpus import CORPUS, KINDS, RECEIVED_US, stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_lines import LINES
from odd_others import OTHER_LINES

from engine.batch import Batch, Block
from engine.decode import Decoder

DATABASE = duckdb.connect(config={"threads": 1})
LINE_BYTES = 1 << 20
EXAMPLES = int(os.environ.get("BELLWETHER_FUZZ", "15"))
# Copying and cutting up what is megabytes long tests the machine, not the decoder.
SHORT = [each for each in CORPUS if len(each.data) < 200_000]


def decoder(least_lines: int) -> Decoder:
    return Decoder(
        DATABASE, max_future_us=3_600_000_000, line_bytes=LINE_BYTES, least_lines=least_lines
    )


def facts(*batches: Batch) -> dict[str, list[str]]:
    """Return what batches say, a text a row; wide columns and `sparse` as one."""
    found: dict[str, list[str]] = {"predictions": [], "votes": [], "others": [], "rejects": []}
    numbers = []
    for batch in batches:
        # Whether a row keeps its JSON depends on how it was read; what it says is in the columns.
        kept = ["raw", "numbers", "shape"]
        plain = batch.predictions.drop_columns([*batch.properties, *kept])
        tables = (plain, batch.votes, batch.others, batch.rejects)
        for rows, table in zip(found.values(), tables, strict=True):
            rows += [repr(row) for row in table.drop_columns(["ordinal"]).to_pylist()]
        at = dict(zip(*(plain[name].to_pylist() for name in ("ordinal", "position")), strict=True))
        wide = batch.predictions.select(["ordinal", *batch.properties]).to_pylist()
        for row in wide:
            place = at[row.pop("ordinal")]
            numbers += [repr((place, n, value)) for n, value in row.items() if value is not None]
        for row in batch.sparse.to_pylist():
            numbers.append(repr((at[row["ordinal"]], row["property"], row["value"])))
    return found | {"numbers": sorted(numbers)}


def decoded(reader: Decoder, data: bytes, start: int = 0) -> Batch:
    return reader.decode(Block("s", "p", start, data, RECEIVED_US))


@pytest.mark.parametrize("least_lines", [10**9, 0])
def test_golden_each_line_is_reported_as_it_should_be(least_lines: int) -> None:
    batch = decoded(decoder(least_lines), stream(CORPUS))
    rejects = {row["ordinal"]: row for row in batch.rejects.to_pylist()}
    taken = {row for table in (batch.predictions, batch.votes, batch.others)
             for row in table["ordinal"].to_pylist()}  # fmt: skip
    assert batch.lines == len(CORPUS)
    for place, each in enumerate(CORPUS):
        row = rejects.get(place)
        told = (place in taken, row and row["field"], row and row["reason"])
        assert told == (each.taken, each.field, each.reason), each.name
        assert row is None or len(row["raw"].encode()) <= 64 << 10


@pytest.mark.parametrize("kind", KINDS)
def test_law_the_corpus_is_read_alike_in_every_way(kind: str) -> None:
    lines = [each for each in SHORT if each.kind == kind]
    data = stream(lines)
    exact = facts(decoded(decoder(10**9), data))
    knowing = decoder(0)
    for _ in range(2):  # the second time names are known, and that bad lines are to come
        assert facts(decoded(knowing, data)) == exact
    for size in (16,):
        reader, place, parts = decoder(0), 0, []
        for first in range(0, len(lines), size):
            part = stream(lines[first : first + size])
            parts.append(decoded(reader, part, place))
            place += len(part)
        assert facts(*parts) == exact


def test_law_shuffled_among_good_lines_they_are_read_alike() -> None:
    good = [
        b'{"model_id":"m","id":%d,"timestamp":1700000000000,"features":{"a":%d},"score":0.5}'
        % (i, i)
        for i in range(3 * len(SHORT))
    ]
    mixed = [
        line for i, each in enumerate(SHORT[1:]) for line in (each.data, *good[3 * i : 3 * i + 3])
    ]
    data = b"\n".join(mixed)
    exact, reader = facts(decoded(decoder(10**9), data)), decoder(64)
    for _ in range(3):
        assert facts(decoded(reader, data)) == exact


def test_law_where_the_last_line_ends_is_all_the_same() -> None:
    for ending in (b"", b"\n", b"\r\n", b"\n\n \t\n"):
        data = stream(SHORT)[:-1] + ending
        assert facts(decoded(decoder(0), data)) == facts(decoded(decoder(10**9), stream(SHORT)))


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(LINES, st.lists(OTHER_LINES, max_size=3), st.binary(max_size=40), st.booleans())
def test_law_whatever_comes_is_read_alike(
    lines: list[bytes],
    others: list[bytes],
    noise: bytes,
    wary: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """`BELLWETHER_FUZZ` sets how many blocks are tried; the bytes may break lines in two."""
    data = b"\n".join([*lines, noise, *others])
    exact, reader = facts(decoded(decoder(10**9), data)), decoder(0)
    for _ in range(2):
        reader._wary |= wary
        assert facts(decoded(reader, data)) == exact
