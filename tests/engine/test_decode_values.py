"""What single values become: ids, instants, classes, numeric properties, canonical text."""

import json

import pytest
from decoding import (
    BASE,
    HOUR_US,
    NOW_US,
    event,
    numbers,
    predicted,
    rejected,
    ways,
)

from engine.decode import canonical
from engine.instants import iso_us
from engine.strict import duration_text

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


def test_golden_canonical_text() -> None:
    assert (
        canonical(' {"b" : [1.0, "é"],\n "a":{"z":1e2,"y":null}}')
        == '{"a":{"y":null,"z":100.0},"b":[1.0,"é"]}'
    )
    assert (
        canonical('{"n":123456789012345678901234567890}') == '{"n":123456789012345678901234567890}'
    )
