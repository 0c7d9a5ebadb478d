"""The rules of an event: what each field may be, what it becomes, and why a line is bad.

Each rule is tried by column as well as line by line (`ways`); that both always agree is the law of
`test_decode_law.py`.
"""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from engine.batch import Batch, Block
from engine.decode import Decoder, canonical
from engine.instants import iso_us
from engine.lines import split
from engine.nulls import null_keys
from engine.schema import MAX_NAMES, Schema
from engine.strict import Reader, duration_text
from engine.values import Fault

NOW_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000
DATABASE = duckdb.connect()
BASE = {"model_id": "m", "id": "e", "timestamp": 1_700_000_000_000}


def decoder(least_lines: int = 0, **more: object) -> Decoder:
    settings: dict[str, object] = {"max_future_us": HOUR_US, "line_bytes": 1 << 20} | more
    return Decoder(DATABASE, least_lines=least_lines, **settings)  # type: ignore[arg-type]


def ways(*lines: str, start: int = 0, **more: object) -> list[Batch]:
    """Decode lines one by one, by column, and by column with all names known."""
    block = Block("s", "p", start, "\n".join(lines).encode("utf-8", "surrogatepass"), NOW_US)
    knowing = decoder(**more)
    knowing.decode(block)
    knowing.decode(block)
    return [d.decode(block) for d in (decoder(10**9, **more), decoder(**more), knowing)]


def event(**fields: object) -> str:
    return json.dumps(BASE | fields, separators=(",", ":"), ensure_ascii=False)


def numbers(batch: Batch) -> dict[str, float]:
    found = {row["property"]: row["value"] for row in batch.sparse.to_pylist()}
    for row in batch.predictions.select(list(batch.properties)).to_pylist():
        found |= {name: value for name, value in row.items() if value is not None}
    return found


def rejected(line: str, **more: object) -> tuple[str, str | None]:
    found = {
        (row["reason"], row["field"])
        for batch in ways(line, **more)
        for row in batch.rejects.to_pylist()
        if batch.predictions.num_rows + batch.votes.num_rows + batch.others.num_rows == 0
    }
    assert len(found) == 1
    return found.pop()


def predicted(line: str, **more: object) -> dict[str, object]:
    rows = [batch.predictions.to_pylist() for batch in ways(line, **more)]
    assert all(len(found) == 1 for found in rows)
    kept = [{k: v for k, v in row[0].items() if "." not in k} for row in rows]
    return kept[0]


def test_golden_a_prediction() -> None:
    line = event(
        prediction="Drop", label=1, score=0.25, job_id=7, batch_id="b", bucket_id="c", city="Ulm",
        features={"age": 30, "city": "Ulm", "new": True, "none": None}, predictions={"p": 0.5}, n=4,
    )  # fmt: skip
    for batch in ways("", "  " + line + " \r", start=100):
        row = {
            k: v for k, v in batch.predictions.to_pylist()[0].items() if k not in batch.properties
        }
        key = DATABASE.sql("SELECT hash('m', 'e')").fetchall()[0][0]
        assert row == {
            "ordinal": 1,
            "position": 101,
            "key": key,
            "model_id": "m",
            "event_id": "e",
            "event_us": NOW_US,
            "prediction": "Drop",
            "prediction_number": None,
            "label": "1",
            "label_number": 1.0,
            "score": 0.25,
            "positive_score": None,
            "job_id": "7",
            "batch_id": "b",
            "bucket_id": "c",
            "raw": line,
        }
        assert numbers(batch) == {"features.age": 30.0, "predictions.p": 0.5, "n": 4.0}
        assert (batch.lines, batch.end, batch.rejects.num_rows) == (2, 100 + len(line) + 5, 0)


def test_golden_columns_are_the_ones_promised() -> None:
    for batch in ways(event(), event(type="label", label=1), "{", '{"type":"model"}'):
        promised = {
            "predictions": "ordinal position key model_id event_id event_us prediction"
            " prediction_number label label_number score positive_score job_id batch_id bucket_id"
            " raw",
            "sparse": "ordinal property value",
            "votes": "ordinal position key model_id event_id vote_us voter property label"
            " label_number",
            "others": "ordinal position type model_id job_id event_id event_us raw",
            "rejects": "ordinal position reason field raw",
        }
        for name, columns in promised.items():
            table: pa.Table = getattr(batch, name)
            assert table.column_names == columns.split()
            assert table.schema.field("ordinal").type == pa.int32()
        assert batch.predictions.schema.field("key").type == pa.uint64()
        assert batch.predictions.schema.field("raw").type == pa.string()


def test_golden_labels_are_votes() -> None:
    lines = (
        event(type="label", label="x", by="ana"),
        event(type="label", labels={"b": 2, "a": True, "c": None, "d": 0.5}, label=None),
        event(type="label", label=False, labels={"z": "no"}, by=5, features={"f": {}}, id=9),
    )
    for batch in ways(*lines):
        votes = batch.votes.select(
            ["ordinal", "event_id", "voter", "property", "label", "label_number"]
        )
        assert [tuple(row.values()) for row in votes.to_pylist()] == [
            (0, "e", "ana", "", "x", None),
            (1, "e", "", "a", "true", None),
            (1, "e", "", "b", "2", 2.0),
            (1, "e", "", "d", "0.5", 0.5),
            (2, "9", "5", "", "false", None),
            (2, "9", "5", "z", "no", None),
        ]
        assert batch.rejects.num_rows == 0
        assert batch.votes["vote_us"].to_pylist() == [NOW_US] * 6


OTHERS = [
    ('{"type":"metric","job_id":3,"name":"loss","value":"nan"}', (None, "3", None, NOW_US)),
    (
        '{"type":"metric","job_id":"j","name":"l","value":1,"step":2,"timestamp":0}',
        (None, "j", None, 0),
    ),
    (
        '{"type":"model","model_id":"m","job_id":"j","status":"deployed","timestamp":1}',
        ("m", "j", None, 1000),
    ),
    (
        '{"type":"run","id":1,"job_type":"t","status":"ok","timestamp":1,"run_time":2}',
        (None, None, "1", 1000),
    ),
    (
        '{"type":"ingest","id":"i","strike":1,"status":"ok","timestamp":1,"file_size":0}',
        (None, None, "i", 1000),
    ),
    ('{"type":"reference","model_id":"m","features":{"a":1}}', ("m", None, None, None)),
    (
        '{"type":"reference","model_id":"m","id":4,"timestamp":9999999999999}',
        ("m", None, "4", 9999999999999000),
    ),
]


@pytest.mark.parametrize(("line", "expected"), OTHERS)
def test_golden_other_events(line: str, expected: tuple[object, ...]) -> None:
    for batch in ways(line):
        (row,) = batch.others.to_pylist()
        assert (row["model_id"], row["job_id"], row["event_id"], row["event_us"]) == expected
        assert (row["type"], row["raw"]) == (json.loads(line)["type"], line)


ID = "must be a string of 1 to 256 characters or an integer"
CLASS = "must be a string of 1 to 256 characters, a number or a boolean"
INSTANT = "must be epoch milliseconds or ISO 8601 between the years 1 and 9999"
KINDS = "must be one of prediction, label, reference, model, metric, run, ingest"
STRING = "must be a string of 1 to 256 characters"
STEP = {"type": "metric", "job_id": 1, "name": "n", "value": 1}
RUN = {"type": "run", "job_type": "t", "status": "s"}
INGEST = {"type": "ingest", "strike": "s", "status": "s"}
MEMBER = "must be a number, a string, a boolean or null"
BAD_FIELDS = [
    ({"type": "x"}, "type", KINDS, '"x"'),
    ({"type": 1}, "type", KINDS, "1"),
    ({"model_id": None}, "model_id", ID, "null"),
    ({"model_id": ""}, "model_id", ID, '""'),
    ({"id": 1.0}, "id", ID, "1.0"),
    ({"id": True}, "id", ID, "true"),
    ({"id": ["a"]}, "id", ID, '["a"]'),
    ({"id": "x" * 257}, "id", ID, '"' + "x" * 78 + "…"),
    ({"job_id": {}}, "job_id", ID, "{}"),
    ({"batch_id": ""}, "batch_id", ID, '""'),
    ({"bucket_id": 0.5}, "bucket_id", ID, "0.5"),
    ({"timestamp": None}, "timestamp", INSTANT, "null"),
    ({"timestamp": "yesterday"}, "timestamp", INSTANT, '"yesterday"'),
    ({"timestamp": True}, "timestamp", INSTANT, "true"),
    ({"timestamp": 253402300800000}, "timestamp", INSTANT, "253402300800000"),
    ({"timestamp": -62135596800001}, "timestamp", INSTANT, "-62135596800001"),
    (
        {"timestamp": 1700003600001},
        "timestamp",
        "must be at most 1h ahead of the clock",
        "1700003600001",
    ),
    ({"prediction": ""}, "prediction", CLASS, '""'),
    ({"prediction": [1]}, "prediction", CLASS, "[1]"),
    ({"label": {"a": 1}}, "label", CLASS, '{"a": 1}'),
    ({"score": 1.5}, "score", "must be a number from 0 to 1", "1.5"),
    ({"score": -0.1}, "score", "must be a number from 0 to 1", "-0.1"),
    ({"score": "0.5"}, "score", "must be a number from 0 to 1", '"0.5"'),
    ({"score": True}, "score", "must be a number from 0 to 1", "true"),
    ({"features": 5}, "features", "must be an object of names and values", "5"),
    ({"features": True}, "features", "must be an object of names and values", "true"),
    ({"features": [1]}, "features", "must be an object of names and values", "[1]"),
    ({"predictions": "x"}, "predictions", "must be an object of names and values", '"x"'),
    ({"features": {"age": [1]}}, "features.age", MEMBER, "[1]"),
    ({"labels": {"a": {"b": 1}}}, "labels.a", MEMBER, '{"b": 1}'),
    ({"type": "label"}, "label", "must be given, or a member of `labels`", "null"),
    ({"type": "label", "label": []}, "label", CLASS, "[]"),
    ({"type": "label", "labels": {"a": ""}}, "labels.a", CLASS, '""'),
    ({"type": "label", "label": 1, "by": ""}, "by", ID, '""'),
    ({"type": "label", "label": 1, "by": 0.5}, "by", ID, "0.5"),
    ({"type": "metric"}, "job_id", ID, "null"),
    ({"type": "metric", "job_id": 1}, "name", STRING, "null"),
    (STEP | {"value": "1"}, "value", 'must be a number, "nan", "inf" or "-inf"', '"1"'),
    (STEP | {"step": -1}, "step", "must be a whole number from 0", "-1"),
    (STEP | {"step": 1.0}, "step", "must be a whole number from 0", "1.0"),
    ({"type": "model"}, "status", STRING, "null"),
    ({"type": "run", "job_type": 1}, "job_type", STRING, "1"),
    (RUN | {"run_time": -1}, "run_time", "must be a number from 0", "-1"),
    (INGEST | {"file_size": "1"}, "file_size", "must be a number from 0", '"1"'),
    ({"type": "reference", "timestamp": "x"}, "timestamp", INSTANT, '"x"'),
]


@pytest.mark.parametrize(("fields", "field", "rule", "got"), BAD_FIELDS)
def test_error_a_field_breaks_its_rule(
    fields: dict[str, object], field: str, rule: str, got: str
) -> None:
    line = event(**fields)
    assert rejected(line) == (f"`{field}` {rule}, got {got}", field)


NO_OBJECT = "line must be a JSON object, got "
FINITE = " must be a finite number within a double, got "
PROPERTY = "property names must have 1 to 256 characters, got "
BAD_LINES = [
    ("{", NO_OBJECT + "Expecting property name enclosed in double quotes at character 2", None),
    (
        '{"a":1,}',
        NO_OBJECT + "Expecting property name enclosed in double quotes at character 8",
        None,
    ),
    (event() + " x", NO_OBJECT + "Extra data at character 53", None),
    ("[1]", "line must be a JSON object, got [1]", None),
    ("null", "line must be a JSON object, got null", None),
    (event(a=1)[:-1] + ',"a":1}', "`a` must be a key given once, got it again, got 1", "a"),
    (event(a={"b": 1})[:-2] + ',"b":2}}', "`b` must be a key given once, got it again, got 2", "b"),
    (event(a=0).replace(":0}", ":NaN}"), "`a`" + FINITE + "NaN", "a"),
    (event(a=0).replace(":0}", ":-Infinity}"), "`a`" + FINITE + "-Infinity", "a"),
    (event(a=0).replace(":0}", ":1e400}"), "`a`" + FINITE + "1e400", "a"),
    (event(a=[{"b": 0}]).replace(":0}", ":1e400}"), "`a[0].b`" + FINITE + "1e400", "a[0].b"),
    (
        event(features={"x": 0}).replace(":0}", ":NaN}"),
        "`features.x`" + FINITE + "NaN",
        "features.x",
    ),
    (
        event(a="x").replace("x", "\\ud800"),
        '`a` must be Unicode text without lone surrogates, got "\\ud800"',
        "a",
    ),
    (event(**{"": 1}), PROPERTY + '""', ""),
    (
        event(features={"q" * 257: 1}),
        PROPERTY + '"' + "q" * 78 + "…",
        "features." + "q" * 257,
    ),
    (
        event(a=0).replace(":0}", ":" + "[" * 64 + "]" * 64 + "}"),
        "line must be nested at most 64 deep, got more",
        None,
    ),
    (
        event(a=0).replace(":0}", ":" + "[" * 50_000 + "]" * 50_000 + "}"),
        "line must be nested at most 64 deep, got more",
        None,
    ),
    (event(a=0).replace(":0}", ":" + "9" * 5000 + "}"), "`a`" + FINITE + "" + "9" * 79 + "…", "a"),
    (event(a="\udc80"), "line must be valid UTF-8, got byte 0xed at 57", None),
]


@pytest.mark.parametrize(("line", "reason", "field"), BAD_LINES)
def test_error_a_line_is_no_event(line: str, reason: str, field: str | None) -> None:
    assert rejected(line) == (reason, field)


GOOD_IDS = ["x" * 256, "é" * 256, "a b", "𝄞", 0, -5, 10**255, '"', "\\", "\x00", "5"]


@pytest.mark.parametrize("value", GOOD_IDS)
def test_golden_ids(value: object) -> None:
    for escaped in (False, True):
        line = json.dumps(BASE | {"id": value, "model_id": value}, ensure_ascii=escaped)
        row = predicted(line)
        assert (row["event_id"], row["model_id"]) == (str(value), str(value))


def test_golden_equal_ids_have_equal_keys() -> None:
    lines = (
        event(id="x"),
        event(id="\\u0078").replace("\\\\", "\\"),
        event(type="label", id="x", label=1),
    )
    for batch in ways(*lines, event(id="y")):
        keys = batch.predictions["key"].to_pylist() + batch.votes["key"].to_pylist()
        assert len(set(keys)) == 2
        assert keys[0] == keys[1] == keys[3]


INSTANTS = [
    (0, 0),
    (-1, -1000),
    (1700000000000.5, NOW_US + 500),
    (1700000000000.001, NOW_US + 1),
    (0.0005, 0),
    (0.0015, 2),
    (-62135596800000, -62135596800000000),
    ("2023-11-14T22:13:20Z", NOW_US),
    ("2023-11-14T22:13:20", NOW_US),
    ("2023-11-14 22:13:20.123456789", NOW_US + 123456),
    ("2023-11-14T23:43:20.5+01:30", NOW_US + 500_000),
    ("2023-11-14T23:43:20+0130", NOW_US),
    ("2023-11-14T21:13:20-01", NOW_US),
    ("2023-11-14T22:13", NOW_US - 20_000_000),
    ("2023-11-14", NOW_US - 80_000_000_000),
    ("2000-02-29T00:00:00Z", 951782400000000),
    ("0001-01-01T00:00:00Z", -62135596800000000),
    ("9999-12-31T23:59:59.999999Z", 253402300799999999),
]


@pytest.mark.parametrize(("value", "us"), INSTANTS)
def test_golden_instants(value: object, us: int) -> None:
    assert predicted(event(timestamp=value), max_future_us=None)["event_us"] == us


BAD_INSTANTS = [
    *("2023-02-29", "2023-11-14T24:00:00Z", "2023-06-30T23:59:60Z", "2023-11-14T22:13:20."),
    *("2023-11-14T22:13:20.1234567891Z", "2023-11-14T22:13:20+24:00", "0000-01-01", "2023-1-1", ""),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2023-11-14Z", "1700000000000"),
    *("\uff12023-11-14", "2023-11-14T22:13:20 Z", "2023-11-14T22:60:20Z", "2023-00-14T22:00:20Z"),
]


@pytest.mark.parametrize("text", BAD_INSTANTS)
def test_error_not_an_instant(text: str) -> None:
    assert iso_us(text) is None
    assert rejected(event(timestamp=text), max_future_us=None)[1] == "timestamp"


def test_golden_the_future_ends_where_the_settings_say() -> None:
    last = event(timestamp=1_700_003_600_000)
    assert predicted(last)["event_us"] == NOW_US + HOUR_US
    assert rejected(last, max_future_us=HOUR_US - 1)[0].startswith(
        "`timestamp` must be at most 3600s"
    )
    assert predicted(event(timestamp=9_999_999_999_999), max_future_us=None)
    assert (duration_text(90_000_000), duration_text(86_400_000_000)) == ("90s", "1d")


CLASSES = [
    ("1", ("1", 1.0)),
    ("1.0", ("1", 1.0)),
    ("-0", ("0", 0.0)),
    ("-0.0", ("0", 0.0)),
    ("1e2", ("100", 100.0)),
    ("0.1", ("0.1", 0.1)),
    ("1.10", ("1.1", 1.1)),
    ("0.30000000000000004", ("0.30000000000000004", 0.30000000000000004)),
    ("0.00001", ("1e-05", 1e-5)),
    ("0.0001", ("0.0001", 0.0001)),
    ("9007199254740991", ("9007199254740991", 9007199254740991.0)),
    ("9007199254740993", ("9007199254740992.0", 9007199254740992.0)),
    ("1e22", ("1e+22", 1e22)),
    ("123456789012345678901234567890", ("1.2345678901234568e+29", 1.2345678901234568e29)),
    ("true", ("true", None)),
    ('"true"', ("true", None)),
    ('"1"', ("1", None)),
    ('"é☃"', ("é☃", None)),
    ('"' + "é" * 256 + '"', ("é" * 256, None)),
    ("null", (None, None)),
]


@pytest.mark.parametrize(("text", "expected"), CLASSES)
def test_golden_classes(text: str, expected: tuple[str | None, float | None]) -> None:
    line = event()[:-1] + f',"prediction":{text},"label":{text}}}'
    row = predicted(line)
    assert (row["prediction"], row["prediction_number"]) == expected
    assert (row["label"], row["label_number"]) == expected


def test_golden_properties_are_json_numbers_only() -> None:
    line = event(
        features={"n": 1, "t": "1.5", "b": True, "z": None}, labels={"n": -0.5},
        predictions={"n": 2},
        x=3, y="4", w=False, v=[5], u={"a": 6}, **{"features.q": 7},
    )  # fmt: skip
    for batch in ways(line):
        expected = {"features.n": 1.0, "labels.n": -0.5, "predictions.n": 2.0, "x": 3.0}
        assert numbers(batch) == expected
        assert batch.predictions["raw"].to_pylist() == [line]


def test_golden_names_may_be_anything() -> None:
    names = [
        "'",
        '"',
        "a.b",
        "a b",
        "é",
        "É",
        "\u017f",
        "s",
        ");--",
        "\\",
        "\x01",
        "\x00",
        "{",
        "raw",
        "𝄞",
    ]
    fields = {name: float(place) for place, name in enumerate(names)}
    lines = [event(features=fields, **fields) for _ in range(3)]
    lines += [event(features={name: value}) for name, value in fields.items()]
    expected = {f"features.{name}": value for name, value in fields.items()} | fields
    for batch in ways(*lines):
        assert batch.rejects.num_rows == 0
        assert numbers(batch) == expected


def test_golden_names_that_differ_by_case_stay_apart() -> None:
    lines = [
        event(features={"a": 1, "b": 3}, n=5),
        event(features={"A": 2}),
        event(N=6),
        event(Type=7),
    ]
    for batch in ways(*lines):
        expected = {"features.a": 1.0, "features.b": 3.0, "n": 5.0, "features.A": 2.0}
        assert numbers(batch) == expected | {"N": 6.0, "Type": 7.0}
    assert numbers(ways(event(features={"a": 1, "A": 2}))[2]) == {
        "features.a": 1.0,
        "features.A": 2.0,
    }


def test_golden_a_name_may_change_its_kind() -> None:
    lines = [
        event(id=i, features={"k": value}) for i, value in enumerate([1, "x", None, True, 2.5, "7"])
    ]
    for batch in ways(*lines):
        wide = batch.predictions["features.k"].to_pylist() if batch.properties else [None] * 6
        for row in batch.sparse.to_pylist():
            wide[row["ordinal"]] = row["value"]
        assert wide == [1.0, None, None, None, 2.5, None]


def test_golden_learning_has_a_limit() -> None:
    schema = Schema()
    learned = [schema.learn("features", f"f{i}", "number") for i in range(MAX_NAMES + 5)]
    assert sum(learned) == MAX_NAMES
    lines = [event(features={f"f{i}": i}) for i in range(MAX_NAMES + 5)]
    batch = ways(*lines)[2]
    assert numbers(batch) == {f"features.f{i}": float(i) for i in range(MAX_NAMES + 5)}
    assert batch.predictions.num_rows == MAX_NAMES + 5


def test_golden_a_normal_stream_is_read_by_column_from_its_first_block_on() -> None:
    rows = [
        event(id=i, features={f"f{j}": i * j for j in range(10)}, label=None) for i in range(2000)
    ]
    block = Block("s", "p", 0, "\n".join(rows).encode(), NOW_US)
    reading = Decoder(DATABASE, max_future_us=None, line_bytes=1 << 20)
    assert len(set(reading.decode(block).sparse["ordinal"].to_pylist())) == 64
    again = reading.decode(block)
    assert (again.sparse.num_rows, len(again.properties)) == (0, 10)


def test_golden_nulls_do_not_make_a_line_slow_but_repeats_are_seen() -> None:
    lines = [
        event(label=None, prediction="x"),
        event(features={"a": None, "b": 1}, labels={"a": None, "c": 2}, score=None, unknown=None),
        event(prediction=":null", label=None),
        event(prediction="x").replace("}", ',"prediction":null}'),
        event(label=None).replace("}", ',"label":null}'),
    ]
    for batch in ways(*lines):
        assert batch.predictions["ordinal"].to_pylist() == [0, 1, 2]
        assert [row["field"] for row in batch.rejects.to_pylist()] == ["prediction", "label"]
    assert set(ways(*lines)[2].sparse["ordinal"].to_pylist()) <= {1}


def test_golden_blank_lines_marks_and_torn_ends() -> None:
    bare = b'{"model_id":"m","id":1,"timestamp":0}'
    data = b"\xef\xbb\xbf" + bare + b"\r\n\n \t\x0b\r\n  " + bare + b"  \n\xef\xbb\xbf" + bare
    for least in (0, 10**9):
        batch = decoder(least).decode(Block("s", "p", 0, data, NOW_US))
        assert batch.predictions["ordinal"].to_pylist() == [0, 3]
        assert batch.predictions["position"].to_pylist() == [0, 48]
        assert batch.predictions["raw"].to_pylist() == [bare.decode()] * 2
        assert batch.rejects["ordinal"].to_pylist() == [4]
        later = decoder(least).decode(Block("s", "p", 5, data, NOW_US))
        assert later.rejects["position"].to_pylist() == [5, 5 + 90]
        empty = decoder(least).decode(Block("s", "p", 0, b"", NOW_US))
        assert (empty.lines, empty.predictions.num_rows, empty.rejects.num_rows) == (0, 0, 0)


def test_error_long_and_broken_lines_are_kept_in_part() -> None:
    long = event(a="x" * 200_000)
    for batch in ways(long, event(), line_bytes=100_000):
        (row,) = batch.rejects.to_pylist()
        assert row["reason"] == f"line must have at most 100000 bytes, got {len(long)}"
        assert row["raw"] == long[: 64 << 10]
        assert batch.predictions["ordinal"].to_pylist() == [1]
    broken = Block("s", "p", 0, b"\xff" * 70_000 + b'\n{"a":"\xc3\x28"}', NOW_US)
    first, second = decoder().decode(broken).rejects["raw"].to_pylist()
    assert len(first) <= 64 << 10
    assert first.startswith("\\xff\\xff")
    assert second == '{"a":"\\xc3("}'


def test_golden_positive_score() -> None:
    positive = {"m": (None, "p"), "q": ("yes", "labels.p"), "x": (None, "x")}
    lines = [
        (event(features={"p": 0.1}, predictions={"p": 0.2}), 0.1),
        (event(features={"p": "0.1"}, predictions={"p": 0.2}), 0.2),
        (event(labels={"p": 0.3}), 0.3),
        (event(p=0.4), 0.4),
        (event(features={"p": 1.5}, p=0.4), None),
        (event(features={"p": None}), None),
        (event(model_id="q", features={"p": 0.1}, labels={"p": 0.25}), 0.25),
        (event(model_id="q", p=0.1), None),
        (event(model_id="x", x=1), 1.0),
        (event(model_id="other", p=0.1), None),
    ]
    for batch in ways(*(line for line, _ in lines), positive=positive):
        assert batch.predictions["positive_score"].to_pylist() == [value for _, value in lines]


MAPPING = {
    "timestamp": '$."@timestamp"',
    "prediction": "$.arcanna.result_label",
    "features.age": '$.people[1]."the age"',
    "model_id": "triage",
    "id": "$.none",
}


def test_golden_foreign_events_are_mapped() -> None:
    line = json.dumps(
        {"@timestamp": "2023-11-14T22:13:20Z", "arcanna": {"result_label": "Drop"}, "id": 10**20,
         "people": [1, {"the age": 30}], "features": {"x": 1}}, ensure_ascii=False,
    )  # fmt: skip
    for batch in ways(line, "{", '{"a":1,"a":2}', mappings={"s": MAPPING}):
        (row,) = batch.predictions.to_pylist()
        assert (row["model_id"], row["event_id"], row["prediction"]) == (
            "triage",
            str(10**20),
            "Drop",
        )
        assert numbers(batch) == {"features.age": 30.0, "features.x": 1.0}
        assert json.loads(row["raw"]) == json.loads(line) | {
            "timestamp": "2023-11-14T22:13:20Z",
            "prediction": "Drop",
            "model_id": "triage",
            "features": {"x": 1, "age": 30},
        }
        assert batch.rejects["raw"].to_pylist() == ["{", '{"a":1,"a":2}']
    assert rejected(line, mappings={"another": MAPPING})[1] == "model_id"


@pytest.mark.parametrize("path", ["$", "$.", "$x", "$.a[b]", "$..a", '$."a', "$.a]"])
def test_error_a_mapping_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"`mapping` must be a JSON path .*, got "):
        decoder(mappings={"s": {"id": path}})


def test_golden_canonical_text() -> None:
    assert (
        canonical(' {"b" : [1.0, "é"],\n "a":{"z":1e2,"y":null}}')
        == '{"a":{"y":null,"z":100.0},"b":[1.0,"é"]}'
    )
    assert canonical('{"n":123456789012345678901234567890}') == '{"n":1.2345678901234568e+29}'


def test_error_an_endless_name_does_not_make_an_endless_reason() -> None:
    reason, field = rejected(event(a=0)[:-1] + (',"' + "k" * 5000 + '":1') * 2 + "}")
    assert reason.startswith("`kkk")
    assert reason.endswith("…` must be a key given once, got it again, got 1")
    assert field == "k" * 299 + "…"


def test_error_the_exact_reader_says_where() -> None:
    reader = Reader(max_future_us=None)
    with pytest.raises(Fault) as caught:
        reader.object_of('{"a": [1, {"b": 1e999}]}')
    assert caught.value.field == "a[1].b"
    assert reader.object_of('{"a": 1}') == {"a": 1}


def test_golden_null_keys_are_told_from_strings() -> None:
    data = b'{"a":":null","b" : null,"c":null}\n{"a":null,"a":null}\n{"a":1,"b":" null"}'
    found = null_keys(split(data, at_start=True), np.arange(3), lambda _: np.zeros(3, np.bool_))
    assert (found.count.tolist(), found.certain.tolist()) == ([2, 2, 0], [True, False, True])
