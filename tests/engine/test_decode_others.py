"""Metrics, runs, ingests and model events say the same by column as one by one, and are fast.

`engine.strict` has the rules; whatever DuckDB's reader would let pass, at every field of every
type, must not make the two ways differ, whatever a decoder has learned. That clean lines really
are read by column is seen from where they do not go: one by one.
"""

import json

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_lines import LINES
from odd_others import ODD, OTHER_LINES, RULED

from engine.batch import Batch, Block
from engine.decode import Decoder
from engine.lines import split
from engine.other_columns import read_others
from engine.proof import Marks
from engine.schema import AMOUNTS, MAX_NAMES, OTHERS, OtherSchema
from engine.type_signs import signs

NOW_US = 1_700_000_000_000_000
DATABASE = duckdb.connect()
FURTHER = '"host":"n1","size":0.5,"both":1,"ok":true'


def decoder(least_lines: int) -> Decoder:
    return Decoder(DATABASE, max_future_us=3_600_000_000, line_bytes=2_000, least_lines=least_lines)


def full(kind: str, **more: str) -> str:
    """Return an event with all fields of its type; `more` are further ones, or other values."""
    due, optional = RULED[kind]
    fields = {"type": f'"{kind}"'} | {n: values[0] for n, values in (due | optional).items()}
    return "{" + ",".join(f'"{n}":{value}' for n, value in (fields | more).items()) + "}"


LESSON = "\n".join([*(full(kind) for kind in RULED), full("run")[:-1] + f",{FURTHER}}}"])
LESSON += "\n" + full("metric", both='"x"')


def block(*lines: str | bytes, start: int = 7) -> Block:
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return Block("s", "p", start, data, NOW_US)


def taught(*lessons: Block) -> Decoder:
    found = decoder(0)
    for lesson in lessons or (block(LESSON),):
        found.decode(lesson)
    return found


def facts(batch: Batch) -> list[object]:
    """Return what a batch says of lines that are no predictions; repr tells -0.0 from 0.0."""
    tables = (batch.others, batch.votes, batch.rejects, batch.predictions.select(["ordinal"]))
    return [[repr(row) for row in table.to_pylist()] for table in tables]


def by_column(*lines: str, lesson: str = LESSON) -> list[int]:
    """Return which of the lines are read by column, once the names in `lesson` are known."""
    schema = OtherSchema()
    for line in lesson.split("\n"):
        event = json.loads(line)
        schema.learn(event["type"], event)
    found = split("\n".join(lines).encode(), at_start=False)
    part = read_others(
        DATABASE, found, Marks.of(found), np.arange(len(found)),
        schema=schema, received_us=NOW_US, latest_us=None,
    )  # fmt: skip
    return [int(row) for row in np.flatnonzero(part.fine)]


@settings(max_examples=15, deadline=None)
@given(st.lists(OTHER_LINES, min_size=1, max_size=12), st.lists(OTHER_LINES, max_size=6), LINES)
def test_law_every_way_of_reading_others_says_the_same(
    lines: list[bytes], earlier: list[bytes], mixed: list[bytes]
) -> None:
    for chosen in (lines, [line for pair in zip(lines, mixed, strict=False) for line in pair]):
        this = block(*chosen)
        exact = facts(decoder(10**9).decode(this))
        for reader in (decoder(0), taught(), taught(block(*earlier)), taught(block(LESSON), this)):
            for _ in range(2):
                assert facts(reader.decode(this)) == exact


@pytest.mark.parametrize("kind", RULED)
def test_oracle_what_the_fast_reader_would_let_pass_in_others(kind: str) -> None:
    # Each oddity at each field, all names known, so that all lines are first read by column.
    names = ["type", *RULED[kind][0], *RULED[kind][1], "host", "size", "both", "ok", "strike"]
    lines = [full(kind, **{name: value}) for name in names for value in ODD]
    lines += [full(kind)[:-1] + f',"{name}":{value}}}' for name in names for value in ODD[:4]]
    this = block(*lines)
    exact = decoder(10**9).decode(this)
    assert facts(taught().decode(this)) == facts(exact)
    assert exact.rejects.num_rows > 100
    assert exact.others.num_rows > 100


def test_golden_the_fields_are_those_of_the_exact_reader() -> None:
    # A field that the fast way did not know to have a rule would let a bad value pass.
    for kind in OTHERS:
        schema = OtherSchema()
        schema.learn(kind, {})
        due, optional = RULED[kind]
        assert set(schema.names) == {"type"} | due.keys() | optional.keys()
        for name in (*due, *optional):
            bad = decoder(10**9).decode(block(full(kind, **{name: "[]"})))
            assert bad.rejects["field"].to_pylist() == [name]
    assert set(AMOUNTS) == {"run", "ingest"}


def test_golden_others_by_column() -> None:
    lines = [
        '{"type":"metric","job_id":3,"name":"loss","value":"nan"}',
        '{"type":"metric","job_id":"j","name":"l","value":1,"step":2,"timestamp":0,"id":9}',
        '{"type": "model", "model_id": 7, "job_id": "j", "status": "deployed", "timestamp": 1}',
        '{"id":1,"type":"run","job_type":"t","status":"ok","timestamp":"1970-01-01T00:00:01Z"}',
        '{"type":"ingest","id":"i","strike":1,"status":"ok","timestamp":1,"file_size":0}',
    ]
    assert by_column(*lines) == [0, 1, 2, 3, 4]
    (table,) = {str(reader.decode(block(*lines)).others.to_pylist()) for reader in
                (decoder(10**9), decoder(0), taught())}  # fmt: skip
    rows = taught().decode(block(*lines)).others.to_pylist()
    assert table == str(rows)
    assert [tuple(row.values())[:1] + tuple(row.values())[2:-1] for row in rows] == [
        (0, "metric", None, "3", None, NOW_US),
        (1, "metric", None, "j", None, 0),
        (2, "model", "7", "j", None, 1000),
        (3, "run", None, None, "1", 1_000_000),
        (4, "ingest", None, None, "i", 1000),
    ]
    assert [row["raw"] for row in rows] == lines


def test_golden_nulls_further_fields_and_booleans_do_not_make_a_line_slow() -> None:
    lines = [
        full("run", version="null", error_category="null", job_time="null", run_time="0"),
        full("run", host='"n2"', size="null", both="true", ok="false", queue_time="1"),
        full("metric", step="null", timestamp="null", model_id="null", both="7"),
        full("ingest", job_id="null", model_id="null", both='"x"'),
        full("metric", status='"of another type"', version="1.5"),
    ]
    assert by_column(*lines) == [0, 1, 2, 3, 4]
    many = {f"f{i}": 1 for i in range(MAX_NAMES + 5)}
    schema = OtherSchema()
    assert schema.learn("model", many)
    assert schema.learn("model", many)  # what is met twice
    assert not schema.learn("model", many)
    assert len(schema.names) == MAX_NAMES


def test_golden_what_is_not_clean_is_left_to_the_exact_reader() -> None:
    lines = [
        full("run", version="null")[:-1] + ',"version":null}',
        full("run", run_time="true"),
        full("run", run_time="-1"),
        full("ingest", file_size='"5"'),
        full("metric", value="1e400"),
        full("metric", step="1.0"),
        full("metric", unheard='"of"'),
        full("metric", host='{"a":1}'),
        full("metric", Name='"x"'),
        full("model")[:-1] + ",}",
        full("model", status='"\\u0061"'),
        "[" + full("model") + "]",
        '{"type":"model"}',
        '{"type":"reference","model_id":"m"}',
        '{"type":"reference","model_id":"m","timestamp":0}',
        '{"model_id":"m","id":1,"timestamp":0}',
    ]
    assert by_column(*lines) == []


@pytest.mark.parametrize("kind", RULED)
def test_error_a_field_that_no_line_of_the_block_has(kind: str) -> None:
    for name in RULED[kind][0]:
        line = json.dumps({n: v for n, v in json.loads(full(kind)).items() if n != name})
        this = block(*[line] * 3)
        batch = taught().decode(this)
        assert batch.rejects["field"].to_pylist() == [name] * 3
        assert facts(batch) == facts(decoder(10**9).decode(this))


def test_golden_types_are_told_by_a_look_that_may_be_wrong() -> None:
    lines = [
        full("metric"),
        '{"type": "run"}',
        '{"type"  :  "run"}',
        '{"a":"run","type":"label"}',
        '{"type":"runs"}',
        '{"x":{"type":"model"}}',
        '{"type":"ingest',
        '"type":"run"',
    ]
    found = split("\n".join(lines).encode(), at_start=False)
    seen = signs(found, np.arange(len(found))).tolist()
    assert seen == [True, True, False, False, False, True, False, True]
    predictions = split(b'{"model_id":"m","id":1,"timestamp":0}\n' * 300, at_start=False)
    assert not signs(predictions, np.arange(300)).any()


def _mixture() -> list[str]:
    prediction = '{"model_id":"m","id":%d,"timestamp":0,"prediction":"run","features":{"a":1}}'
    lines = []
    for i in range(400):
        lines += [full(kind, job_id=str(i)) for kind in RULED]
        lines += [prediction % i, '{"type":"reference","model_id":"m"}', "{", ""]
        lines += ['{"x":{"type":"metric"},' + (prediction % i)[1:]]
        lines += [prediction.replace("{", '{"type":"label","label":"x",', 1) % i]
        lines += ['{"type"   :"metric","job_id":1,"name":"n","value":1}']
    return lines


def test_golden_a_mixture_stays_in_line_order_and_is_read_by_column() -> None:
    lines = _mixture()
    this, reader = block(*lines), decoder(64)
    exact = facts(decoder(10**9).decode(this))
    for _ in range(3):
        batch = reader.decode(this)
        assert facts(batch) == exact
        for table in (batch.predictions, batch.votes, batch.others, batch.rejects, batch.sparse):
            table.validate(full=True)
            assert table["ordinal"].to_pylist() == sorted(table["ordinal"].to_pylist())
    assert batch.others.num_rows == 400 * 6


def test_golden_order_is_kept_where_no_room_has_lines_enough() -> None:
    # The nested type makes every other prediction look like a metric: those are read first.
    plain = '{"model_id":"m","id":1,"timestamp":0,"n":1}'
    this = block(*[plain, '{"x":{"type":"metric"},' + plain[1:]] * 40)
    batch = decoder(64).decode(this)
    assert batch.predictions["ordinal"].to_pylist() == list(range(80))
    assert batch.sparse["ordinal"].to_pylist() == list(range(80))


def test_golden_a_stream_of_metrics_is_read_by_column_from_its_first_block_on() -> None:
    lines = [full("metric", step=str(i), host='"n"') for i in range(2000)]
    reader = decoder(64)
    assert reader.decode(block(*lines)).others["raw"].to_pylist() == lines
    assert by_column(*lines, lesson=lines[0]) == list(range(2000))
    late = block(full("metric", timestamp="1700003600001"), full("metric", timestamp="null"))
    for each in (decoder(10**9), taught()):
        batch = each.decode(late)
        assert batch.rejects["field"].to_pylist() == ["timestamp"]
        assert batch.others["event_us"].to_pylist() == [NOW_US]
