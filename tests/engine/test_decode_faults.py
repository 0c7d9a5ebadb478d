"""Why a line is bad: each rule of an event broken once, with the field, the rule and the value."""

import pytest
from decoding import event, rejected

from engine.strict import Reader
from engine.values import Fault

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
