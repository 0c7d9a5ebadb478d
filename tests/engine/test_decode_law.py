"""However a line is read, it says the same: by column, one by one, alone, by one that knows much.

The generated lines (`odd_lines`) are as odd as lines get: each broken rule of `engine.strict`, and
each liberty that DuckDB's reader takes, must not make the two ways differ.
"""

import json
import math
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import raw_of
from odd_lines import LINES
from odd_others import OTHER_LINES

from engine.batch import Batch, Block
from engine.decode import Decoder, canonical
from engine.instants import iso_us, isos_us
from engine.values import number_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


NOW_US = 1_700_000_000_000_000


SETTINGS = {"max_future_us": 3_600_000_000, "line_bytes": 2_000}


POSITIVE = {"m": (None, "p"), "5": ("yes", "predictions.p")}


DATABASE = duckdb.connect()


def decoder(least_lines: int) -> Decoder:
    return Decoder(DATABASE, positive=POSITIVE, least_lines=least_lines, **SETTINGS)


def facts(batch: Batch) -> dict[str, list[dict[str, object]]]:
    """Return what a batch says, wide columns and `sparse` as one."""
    wide = batch.predictions.select(["ordinal", *batch.properties]).to_pylist()
    numbers = [
        (row["ordinal"], name, repr(row[name]))
        for row in wide
        for name in batch.properties
        if row[name] is not None
    ]
    numbers += [(r["ordinal"], r["property"], repr(r["value"])) for r in batch.sparse.to_pylist()]
    # Which lines are kept as they are depends on what was learned, what they say does not.
    own = batch.predictions.drop_columns([*batch.properties, "raw", "numbers", "shape"]).to_pylist()
    said = map(canonical, raw_of(batch))
    found = {
        "predictions": [row | {"raw": raw} for row, raw in zip(own, said, strict=True)],
        "votes": batch.votes.to_pylist(),
        "others": batch.others.to_pylist(),
        "rejects": batch.rejects.to_pylist(),
        "numbers": [{"all": entry} for entry in sorted(numbers)],
    }
    return {name: [_told(row) for row in rows] for name, rows in found.items()}


def _told(row: dict[str, object]) -> dict[str, object]:
    # repr, so that -0.0 and 0.0 are told apart
    return {name: repr(value) for name, value in row.items()}


def shifted(parts: list[dict[str, list[dict[str, object]]]]) -> dict[str, list[dict[str, object]]]:
    """Return the facts of one-line blocks as those of one block, without the ordinals."""
    return {name: [row for part in parts for row in part[name]] for name in parts[0]}


# All types, now one beside the other, now shuffled.
ANY_LINES = st.one_of(
    LINES, st.tuples(LINES, st.lists(OTHER_LINES, max_size=4)).map(lambda two: two[0] + two[1])
).flatmap(st.permutations)


# One event with every good name as a number: a decoder taught by it asks DuckDB for doubles.
TAUGHT = ",".join(f'"{name}":0.5' for name in ["a", "b", "p", "é", "s", "x.y", "a b", "'", "n"])


LESSON = (
    f'{{"model_id":"m","id":"e","timestamp":0,"features":{{{TAUGHT}}},"predictions":{{{TAUGHT}}},'
    f'"labels":{{{TAUGHT}}},"job_id":"j","n":0.5}}\n{{"type":"label","model_id":"m","id":"e",'
    '"timestamp":0,"label":"x","by":"ana"}'
).encode()


LIBERTIES = ["true", "false", "NaN", "-Infinity", "1e400", '"1.5"', '""', "[1]", "[]", "{}", "null"]


LIBERTIES += ["-0.0", "2", "[1,]", '{"a":true}', "1,", '"x","features":{"a":1}', "1 ,\t"]


PLACES = [
    '"score":%s',
    '"n":%s',
    '"t":%s',
    '"mixed":%s',
    '"features":{"a":%s}',
    '"labels":{"a":%s}',
]


PLACES += ['"features":{"a":1,"b":%s}', '"features":%s', '"prediction":%s', '"label":%s', '"by":%s']


TYPES = ["prediction", "label"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", LIBERTIES)
def test_oracle_what_the_fast_reader_would_let_pass(value: str, kind: str) -> None:
    # Each liberty of DuckDB's reader at each place, its names known as numbers, texts and both.
    head = f'{{"type":"{kind}","model_id":"m","id":"e","timestamp":0,'
    lines = "\n".join(head + place % value + "}" for place in PLACES)
    lines += "\n" + "\n".join(head + f'"label":"x",{place % value}}}' for place in PLACES)
    plain = '{"model_id":"m","id":"e","timestamp":0,"t":"x","mixed":%s}\n'
    taught = LESSON + b"\n" + (plain % "1" + plain % '"x"').encode()
    learned = decoder(0)
    learned.decode(Block("s", "p", 7, taught, NOW_US))
    # All lines are read by column before the first of them can teach anything more.
    block = Block("s", "p", 7, lines.encode(), NOW_US)
    assert facts(learned.decode(block)) == facts(decoder(10**9).decode(block))


TIMES = ['"2023-11-14T22:13:20Z"', '"1700000000000"', "1700000000000.5", "0.0005", "-0", "0", "1"]


TIMES += ["9007199254740993", "99999999999999999999", "1e401", "-1e17", "1.7E12", '0,"timestamp":1']


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", TIMES + LIBERTIES)
def test_oracle_time_stamps_that_are_taken_for_numbers(value: str, kind: str) -> None:
    head = f'{{"type":"{kind}","model_id":"m","id":"e","label":"x",'
    plain = [f'{head}"timestamp":{time}}}' for time in (0, 1_700_000_000_000, 3.5, 1)]
    learned = decoder(0)
    learned.decode(Block("s", "p", 7, "\n".join(plain).encode(), NOW_US))
    lines = [
        *plain,
        f'{head}"timestamp":{value}}}',
        f'{head}"n":true,"timestamp":{value}}}',
        *plain,
    ]
    block = Block("s", "p", 7, "\n".join(lines).encode(), NOW_US)
    exact = facts(decoder(10**9).decode(block))
    assert facts(learned.decode(block)) == exact
    assert facts(learned.decode(block)) == exact


def test_golden_both_kinds_of_time_stamps_are_read_by_column() -> None:
    numbers = [f'{{"model_id":"m","id":{i},"timestamp":{i},"n":1}}' for i in range(200)]
    texts = [f'{{"model_id":"m","id":{i},"timestamp":"2023-11-14","n":1}}' for i in range(200)]
    learned = decoder(64)
    for lines, one_by_one in [(numbers, 64), (numbers, 0), (texts, 64), (texts, 0), (numbers, 0)]:
        batch = learned.decode(Block("s", "p", 7, "\n".join(lines).encode(), NOW_US))
        assert len(batch.predictions) == 200
        assert len(set(batch.sparse["ordinal"].to_pylist())) == one_by_one
    batch = learned.decode(Block("s", "p", 7, "\n".join(numbers + texts).encode(), NOW_US))
    assert len(set(batch.sparse["ordinal"].to_pylist())) == 64  # once: they teach by being met
    batch = learned.decode(Block("s", "p", 7, "\n".join(numbers + texts).encode(), NOW_US))
    assert not len(batch.sparse)


@settings(max_examples=20, deadline=None)
@given(ANY_LINES, ANY_LINES, st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([0, 1]))
def test_law_every_way_of_reading_says_the_same(
    lines: list[bytes], earlier: list[bytes], newline: bytes, closing: int
) -> None:
    data = newline.join(lines) + newline * closing
    block = Block("s", "p", 7, data, NOW_US)
    exact = facts(decoder(least_lines=10**9).decode(block))
    assert facts(decoder(least_lines=0).decode(block)) == exact
    learned = decoder(least_lines=0)
    learned.decode(Block("s", "p", 7, LESSON, NOW_US))
    assert facts(learned.decode(block)) == exact
    learned.decode(Block("s", "p", 7, newline.join(earlier), NOW_US))
    for _ in range(2):
        assert facts(learned.decode(block)) == exact
    place, parts = 7, []
    for line in data.split(b"\n"):
        part = facts(learned.decode(Block("s", "p", place, line, NOW_US)))
        parts.append(part)
        place += len(line) + 1
    without = shifted(parts)
    for name in ("predictions", "votes", "others", "rejects"):
        for row in (*without[name], *exact[name]):
            row.pop("ordinal")
        assert without[name] == exact[name]
    assert len(without["numbers"]) == len(exact["numbers"])


@settings(max_examples=25, deadline=None)
@given(ANY_LINES)
def test_law_each_line_becomes_one_thing(lines: list[bytes]) -> None:
    block = Block("s", "p", 7, b"\n".join(lines), NOW_US)
    batch = decoder(least_lines=0).decode(block)
    homes = [
        [row["ordinal"] for row in table.select(["ordinal"]).to_pylist()]
        for table in (batch.predictions, batch.others, batch.rejects)
    ]
    homes.append(sorted(set(batch.votes["ordinal"].to_pylist())))
    found = sorted(ordinal for home in homes for ordinal in home)
    filled = [i for i, line in enumerate(block.data.split(b"\n")) if line.strip(b" \t\r\n\v\f")]
    assert found == filled
    for raw in (*raw_of(batch), *batch.others["raw"].to_pylist()):
        assert isinstance(json.loads(canonical(raw)), dict)
    for table in (batch.predictions, batch.votes, batch.others, batch.rejects, batch.sparse):
        table.validate(full=True)
        assert table["ordinal"].to_pylist() == sorted(table["ordinal"].to_pylist())
        assert isinstance(table, pa.Table)


DECIMALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@settings(max_examples=15, deadline=None)
@given(st.lists(DECIMALS | st.floats().map(repr), min_size=64, max_size=64))
def test_oracle_numbers_are_what_python_reads(texts: list[str]) -> None:
    line = '{"model_id":"m","id":1,"timestamp":0,"prediction":%s,"features":{"a":%s}}'
    data = "\n".join(line % (text, text) for text in texts).encode()
    reading = decoder(0)
    for _ in range(2):
        batch = reading.decode(Block("s", "p", 7, data, NOW_US))
    finite = [text for text in texts if math.isfinite(float(text))]
    assert batch.predictions["prediction_number"].to_pylist() == [float(text) for text in finite]
    assert batch.predictions["prediction"].to_pylist() == [number_text(float(t)) for t in finite]
    if finite:
        assert batch.predictions["features.a"].to_pylist() == [float(text) for text in finite]
        assert batch.sparse.num_rows == 0
    assert batch.rejects.num_rows == len(texts) - len(finite)


@st.composite
def isos(draw: st.DrawFn) -> str:
    moment = draw(st.datetimes()).isoformat()[:19]
    text = moment + draw(st.sampled_from(["", ".5", ".123456", ".123456789", ".", ".1234567890"]))
    text += draw(
        st.sampled_from(["", "Z", "+01:00", "-23:59", "+24:00", "+0130", "-05", "z", "+01:60"])
    )
    place = draw(st.integers(0, len(text)))
    how = draw(st.sampled_from(["", "", "", "5", "9", "x", " ", "T", ":", "é"]))
    return text[:place] + how + text[place + (how != "") :]


@settings(max_examples=60, deadline=None)
@given(st.lists(isos(), max_size=60))
def test_oracle_instants_by_column_are_those_one_by_one(texts: list[str]) -> None:
    us, fine = isos_us(pa.array(texts, pa.string()))
    found = [int(value) if good else None for value, good in zip(us, fine, strict=True)]
    assert found == [iso_us(text) for text in texts]
    for text, value in zip(texts, found, strict=True):
        if value is not None and len(text) == 20 and text[10] == "T" and text.endswith("Z"):
            assert datetime.fromisoformat(text) == EPOCH + timedelta(microseconds=value)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_law_no_bytes_are_too_odd(data: bytes) -> None:
    block = Block("s", "p", 0, data, NOW_US)
    assert facts(decoder(least_lines=0).decode(block)) == facts(
        decoder(least_lines=10**9).decode(block)
    )
