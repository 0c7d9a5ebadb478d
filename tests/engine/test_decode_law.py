"""However a line is read, it says the same: by column, one by one, alone, by one that knows much.

The generated lines are as odd as lines get: each broken rule of `engine.strict`, and each liberty
that DuckDB's reader takes, must not make the two ways differ.
"""

import json
import math
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    found = {
        "predictions": batch.predictions.drop_columns(list(batch.properties)).to_pylist(),
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


NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "p",
        "é",
        "\u017f",
        "s",
        "x.y",
        "a b",
        "'",
        ":",
        "n",
        "label",
        "id",
        "score",
        "by",
        "features.a",
        "raw",
        "key",
        "Type",
        "f" * 70,
        "null",
        "job_id",
        "",
        "q" * 257,
        "{",
        "a,",
    ]
)
NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-0",
        "-0.0",
        "1.0",
        "0.1",
        "1e2",
        "1E-7",
        "5e-324",
        "1e400",
        "-1e999",
        "NaN",
        "1e22",
        "Infinity",
        "-Infinity",
        "9007199254740993",
        "18446744073709551616",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "9" * 310,
        "12345678901234567890123",
        "0.30000000000000004",
        "1.5",
        "0.0001",
        "0.00001234",
        "123456789.125",
        "-2.50",
        "00",
        "1.",
        "-",
        "+1",
        ".5",
        "2e-3",
        "1e-400",
    ]
) | st.floats(allow_nan=False, allow_infinity=False).map(repr)
STRINGS = st.sampled_from(
    [
        "",
        "x",
        "yes",
        "1.5",
        "true",
        "null",
        ":null",
        ": null,",
        " true",
        "é☃𝄞",
        'a\\"b',
        "\\u00e9",
        "x" * 300,
        "\\ud800",
        "\\ud834\\udd1e",
        "\\u0000",
        "\\n",
        "'",
        "{}",
        ",}",
        "x,}",
        "\\\\",
        "é" * 200,
        "\x7f",
        "\\/",
    ]
).map(lambda text: f'"{text}"')
SCALARS = (
    STRINGS | NUMBERS | st.sampled_from(["true", "false", "null", "tru", "NULL", "nan", "inf"])
)
NESTED = st.sampled_from(
    [
        "[]",
        "{}",
        "[1]",
        '["a"]',
        '{"a":1}',
        '{"a":null}',
        '[{"a":1,"a":2}]',
        "[1,]",
        "[[[[]]]]",
        "[true]",
        '{"a":1,}',
        "[NaN]",
        "[null]",
        '{"label":null}',
        '{"x":{"y":"z"}}',
        "[" * 70 + "]" * 70,
    ]
)
IDS = st.sampled_from(
    [
        '"m"',
        '"e1"',
        "5",
        "-5",
        "-0",
        "5.0",
        '"5"',
        "null",
        '""',
        "true",
        "{}",
        '"' + "x" * 256 + '"',
        "9" * 256,
        '"' + "x" * 257 + '"',
        '"' + "é" * 200 + '"',
        "9" * 257,
        "1e3",
        '"a b"',
        "NaN",
    ]
)
TIMES = st.sampled_from(
    [
        "1700000000000",
        "0",
        "-1",
        "1700000000000.5",
        "1700000000000.0625",
        "0.0005",
        "0.0015",
        "1e12",
        '"x"',
        "1700003600001",
        "1700003600000",
        "253402300799999",
        "253402300800000",
        "1e20",
        "9" * 30,
        "null",
        '"2023-11-14"',
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14 22:13:20.123456789+05:30"',
        '"0001-01-01"',
        '"2023-02-29T00:00:00Z"',
        '"2023-11-14T24:00:00"',
        '"2023-06-30T23:59:60Z"',
        "true",
        '"1700000000000"',
        '"2023-11-14T22:13"',
        '"2023-11-14T22:13:20+0530"',
        '"2023-11-14T22:13:20-05"',
        '"2024-02-29T01:02:03"',
        '"0001-01-01T00:00:00+01:00"',
        '"2023-11-14T22:13:20."',
        '"2023-11-14T22:13:20.1234567891"',
        "-62135596800000",
        '"2023-11-14T22:13:20.5Z"',
        '"2023-13-14T22:13:20"',
        '"\uff12023-11-14T22:13:20"',
        "-62135596800000.5",
        "[]",
    ]
)
KINDS = st.sampled_from(
    ['"prediction"', '"label"', '"reference"', '"model"', '"metric"', '"run"', "null", '"x"', "1"]
)
GOOD_NAMES = st.sampled_from(["a", "A", "b", "p", "é", "s", "x.y", "a b", "'", "n", "label", "id"])
GOOD_NUMBERS = st.sampled_from(
    ["0", "1", "0.25", "3", "-1.5", "1.0", "2e-3", "0.00001", "1e22", "null"]
)
GOOD_SCALARS = GOOD_NUMBERS | st.sampled_from(
    ['"x"', '"yes"', '":null"', '" true"', "true", "false"]
)
GOOD_CLASSES = st.sampled_from(
    ['"x"', '"yes"', "1", "1.0", "0.1", "1e-7", "true", "-0", "1e300", "null"]
)
GOOD_TIMES = st.sampled_from(
    [
        "1700000000000",
        "0",
        "1700000000000.5",
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14 22:13:20.5+01:00"',
    ]
)


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(GOOD_NAMES, max_size=4, unique=True))
    return "{" + ",".join(f'"{name}":{draw(values)}' for name in names) + "}"


@st.composite
def good_fields(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Return the fields of a correct event, a prediction or a label."""
    label = draw(st.integers(0, 3)) == 0
    fields = (
        [("type", '"label"')] if label else draw(st.sampled_from([[], [("type", '"prediction"')]]))
    )
    fields += [
        ("model_id", draw(st.sampled_from(['"m"', "5"]))),
        ("id", draw(st.sampled_from(['"e"', "7"]))),
    ]
    fields += [("timestamp", draw(GOOD_TIMES))]
    optional = {
        "label": GOOD_CLASSES,
        "labels": members(GOOD_CLASSES if label else GOOD_SCALARS),
        "by": st.sampled_from(['"ana"', "3", "null"]),
        "prediction": GOOD_CLASSES,
        "score": st.sampled_from(["0", "1", "0.5", "null"]),
        "features": members(GOOD_NUMBERS) | members(GOOD_SCALARS),
        "predictions": members(GOOD_NUMBERS),
        "job_id": st.sampled_from(['"j"', "1", "null"]),
        "n": GOOD_NUMBERS,
        "city": GOOD_SCALARS,
    }
    likely = list(optional)[:3] if label else [name for name in optional if name != "by"]
    chosen = draw(st.lists(st.sampled_from(likely), max_size=6, unique=True))
    return fields + [(name, draw(optional[name])) for name in chosen]


# One event with every good name as a number: a decoder taught by it asks DuckDB for doubles.
TAUGHT = ",".join(f'"{name}":0.5' for name in ["a", "b", "p", "é", "s", "x.y", "a b", "'", "n"])
LESSON = (
    f'{{"model_id":"m","id":"e","timestamp":0,"features":{{{TAUGHT}}},"predictions":{{{TAUGHT}}},'
    f'"labels":{{{TAUGHT}}},"job_id":"j","n":0.5}}\n{{"type":"label","model_id":"m","id":"e",'
    '"timestamp":0,"label":"x","by":"ana"}'
).encode()
ODD_MEMBERS = st.sampled_from(
    [
        "true",
        "false",
        "NaN",
        "-Infinity",
        "1e400",
        '"1.5"',
        '"0"',
        "[1]",
        "[]",
        "{}",
        "null",
        "-0.0",
    ]
)
ODD_VALUES = SCALARS | NESTED | IDS | TIMES | KINDS
KEYS = st.sampled_from(
    [
        "type",
        "model_id",
        "id",
        "timestamp",
        "prediction",
        "label",
        "score",
        "features",
        "labels",
        "by",
        "predictions",
        "job_id",
        "batch_id",
        "city",
        "n",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Return a line that is an event, most often with something odd about it."""
    fields = draw(good_fields())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        place = draw(st.integers(0, len(fields) - 1))
        how = draw(st.integers(0, 5))
        if how == 0:  # another value
            fields[place] = (fields[place][0], draw(ODD_VALUES))
        elif how == 1:  # another field, or the same one again
            fields.insert(place, (draw(KEYS | NAMES), draw(ODD_VALUES)))
        elif how == 2:  # an odd member
            odd = draw(members(ODD_MEMBERS) | members(ODD_VALUES) | members(GOOD_NUMBERS))
            fields.append((draw(st.sampled_from(["features", "labels", "predictions"])), odd))
        elif how == 3:  # numbers that only look like it
            odd = draw(members(ODD_MEMBERS))
            fields = [field for field in fields if field[0] != "features"] + [("features", odd)]
        elif how == 4:
            del fields[place]
        else:  # a key again, with nothing in it
            fields.insert(draw(st.integers(0, len(fields))), (fields[place][0], "null"))
        if not fields:
            break
    gap = draw(st.sampled_from(["", "", "", " ", "  ", "\t"]))
    text = "{" + ",".join(f'{gap}"{name}"{gap}:{gap}{value}{gap}' for name, value in fields)
    return (text + draw(st.sampled_from(["}"] * 20 + [",}", ", }", "", "} x", "}}"]))).encode()


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


NOISE = st.sampled_from(
    [
        b"",
        b" \t",
        b"\x0b",
        b"null",
        b"[]",
        b"[1,2]",
        b"5",
        b"{}",
        b"{",
        b'{"a":',
        b"\xff",
        b'{"a":"\xc3"}',
        b'{"model_id":"m","id":"\xed\xa0\x80","timestamp":1}',
        b"[" * 5000,
        b'{"a":' * 3000,
        b"x" * 2500,
        b'\xef\xbb\xbf{"model_id":"m","id":1,"timestamp":1}',
        b'{"model_id":"m","id":1,"timestamp":1}\x00',
        b'\x0c {"model_id":"m","id":1,"timestamp":1} \r',
        b"\x00",
        b"\r",
        b"{}" * 3,
        b'{"type":"metric","job_id":1,"name":"l","value":"nan"}',
        b'{"type":"model","model_id":"m"}',
        b'{"type":"reference","model_id":"m","features":{"a":1}}',
        b'{"type":"run","id":7,"job_type":"j","status":"ok","timestamp":0,"run_time":1.5}',
    ]
)
LINES = st.lists(st.one_of(*[events()] * 9, NOISE), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(LINES, LINES, st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([0, 1]))
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


@settings(max_examples=40, deadline=None)
@given(LINES)
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
    for row in (*batch.predictions.to_pylist(), *batch.others.to_pylist()):
        assert isinstance(json.loads(canonical(row["raw"])), dict)
    for table in (batch.predictions, batch.votes, batch.others, batch.rejects, batch.sparse):
        table.validate(full=True)
        assert table["ordinal"].to_pylist() == sorted(table["ordinal"].to_pylist())
        assert isinstance(table, pa.Table)


DECIMALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@settings(max_examples=40, deadline=None)
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


@settings(max_examples=100, deadline=None)
@given(st.lists(isos(), max_size=60))
def test_oracle_instants_by_column_are_those_one_by_one(texts: list[str]) -> None:
    us, fine = isos_us(pa.array(texts, pa.string()))
    found = [int(value) if good else None for value, good in zip(us, fine, strict=True)]
    assert found == [iso_us(text) for text in texts]
    for text, value in zip(texts, found, strict=True):
        if value is not None and len(text) == 20 and text[10] == "T" and text.endswith("Z"):
            assert datetime.fromisoformat(text) == EPOCH + timedelta(microseconds=value)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_law_no_bytes_are_too_odd(data: bytes) -> None:
    block = Block("s", "p", 0, data, NOW_US)
    assert facts(decoder(least_lines=0).decode(block)) == facts(
        decoder(least_lines=10**9).decode(block)
    )
