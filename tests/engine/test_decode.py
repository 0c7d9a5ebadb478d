"""What a line becomes: predictions, votes, other events and rejects, by column and one by one.

Each rule is tried by column as well as line by line (`decoding.ways`); that both always agree is
the law of `test_decode_law.py`.
"""

import json

import pyarrow as pa
import pytest
from decoding import (
    DATABASE,
    NOW_US,
    decoder,
    event,
    numbers,
    rejected,
    ways,
)
from keeping import raw_of

from engine.batch import Block
from engine.canonical import canonical


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
        told = row.pop("raw"), row.pop("numbers"), row.pop("shape")
        plain = (None, [30.0, 0.5, 4.0], 0)  # read by column, the names being known
        assert told == (plain if told[0] is None else (line, None, None))
        assert canonical(raw_of(batch)[0]) == canonical(line)
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
        }
        assert numbers(batch) == {"features.age": 30.0, "predictions.p": 0.5, "n": 4.0}
        assert (batch.lines, batch.end, batch.rejects.num_rows) == (2, 100 + len(line) + 5, 0)


def test_golden_columns_are_the_ones_promised() -> None:
    for batch in ways(event(), event(type="label", label=1), "{", '{"type":"model"}'):
        promised = {
            "predictions": "ordinal position key model_id event_id event_us prediction"
            " prediction_number label label_number score positive_score job_id batch_id bucket_id"
            " raw numbers shape",
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


def test_golden_blank_lines_marks_and_torn_ends() -> None:
    bare = b'{"model_id":"m","id":1,"timestamp":0}'
    data = b"\xef\xbb\xbf" + bare + b"\r\n\n \t\x0b\r\n  " + bare + b"  \n\xef\xbb\xbf" + bare
    for least in (0, 10**9):
        batch = decoder(least).decode(Block("s", "p", 0, data, NOW_US))
        assert batch.predictions["ordinal"].to_pylist() == [0, 3]
        assert batch.predictions["position"].to_pylist() == [0, 48]
        assert [canonical(raw) for raw in raw_of(batch)] == [canonical(bare.decode())] * 2
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
