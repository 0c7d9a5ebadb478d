"""A prediction kept as numbers is read like one kept as JSON, whoever reads it.

How an event is kept depends on what was learned before it and must never be seen in an answer.
"""

import json
import math
import random

import pyarrow as pa
import pytest
from decoding import decoder
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import raw_of
from kept_streams import both_ways, kept, lines_of, prediction, stream
from query_rows import CURSOR, one

from engine.ad_hoc import ask
from engine.batch import Block
from engine.canonical import canonical
from engine.config import (
    AnomalyJobSettings,
    DetectorSettings,
    ModelSettings,
    RuleSettings,
    Settings,
)
from engine.jobs.event_buckets import bucket_sql, with_buckets
from engine.jobs.feature_names import feature_names
from engine.jobs.questions import parse_question
from engine.jobs.selection import tally_events
from engine.kept import raw_sql
from engine.monitor import Monitor
from engine.shapes import Shapes

SETTINGS = Settings(
    administrators=("root",),
    models=(ModelSettings("m1", positive="A", positive_property="p"), ModelSettings("m2")),
    alert_rules=(
        RuleSettings(
            "m1", "avg(features.a)", "upper", 1, "warning", name="r", lookback_s=60,
            group_by="extra",
        ),
    ),
    anomaly_jobs=(
        AnomalyJobSettings(
            "j", (DetectorSettings("mean", "x.y", by_field_name="labels.t"),), model="m1",
            bucket_span_s=60, influencers=("extra",),
        ),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def stores():
    found = both_ways(stream(1, 500), 200, SETTINGS)
    plain, kept_lines = kept(found[0])
    assert plain > 200
    assert kept_lines > 30
    assert kept(found[1])[0] == 0
    return found


# ---- one row -----------------------------------------------------------------------------------

# What `json` reads of a double, as it may be written.
DOUBLES = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5.0, -0.0, 0.0, 1e-7, 5e-324, 1e22, 2.0**53, 0.1 + 0.2]),
)  # fmt: skip
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
MEMBERS = st.dictionaries(KEYS, DOUBLES, max_size=4)
EVENTS = st.fixed_dictionaries(
    {
        "model_id": st.sampled_from(["m", 7, "é'"]),
        "id": st.sampled_from(["e", 10**20, '"']),
        "timestamp": st.sampled_from([1_700_000_000_000, 1_700_000_000_000.125, "2024-02-03"]),
    },
    optional={
        "type": st.sampled_from(["prediction", None]),
        "prediction": st.one_of(DOUBLES, KEYS),
        "label": st.one_of(DOUBLES, KEYS),
        "score": st.sampled_from([0, 1, 0.25]),
        "job_id": st.sampled_from(["j", 3]),
        "features": MEMBERS,
        "predictions": MEMBERS,
        "labels": MEMBERS,
        "zone": DOUBLES,
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=4), st.sampled_from([(64, 1024), (1, 3), (0, 0)]))
def test_law_what_is_made_again_is_what_came(events, most):
    lines = [json.dumps(event, ensure_ascii=False).encode() for event in events]
    reading = decoder(0, max_future_us=None)
    block = Block("s", "p", 0, b"\n".join(lines), 0)
    reading.decode(block)
    batch = reading.decode(block)
    rows = batch.predictions.append_column(
        "event_time", batch.predictions["event_us"].cast(pa.timestamp("us"))
    )
    CURSOR.execute("BEGIN")
    CURSOR.register("rows", Shapes(CURSOR, most).kept(rows, batch.shapes))
    texts = CURSOR.sql(f"SELECT {raw_sql('r')} AS raw FROM rows r").to_arrow_table()["raw"]
    CURSOR.execute("ROLLBACK")
    for ordinal, raw, twin in zip(
        batch.predictions["ordinal"].to_pylist(), texts.to_pylist(), raw_of(batch), strict=True
    ):
        line = lines[ordinal].decode()
        assert canonical(raw) == canonical(line) == canonical(twin)
        for name in ("features", "predictions", "labels"):
            assert json.loads(raw).get(name, {}) == (json.loads(line).get(name) or {})


def test_golden_a_row_without_numbers_among_rows_that_have_some_is_made_again():
    lines = [
        b'{"model_id":"m","id":"%d","timestamp":1700000000000%s}' % (n, b',"a":1' if n else b"")
        for n in range(3)
    ]
    reading = decoder(0, max_future_us=None)
    block = Block("s", "p", 0, b"\n".join(lines), 0)
    reading.decode(block)
    batch = reading.decode(block)
    assert batch.predictions["numbers"].to_pylist() == [[None], [1.0], [1.0]]
    rows = batch.predictions.append_column(
        "event_time", batch.predictions["event_us"].cast(pa.timestamp("us"))
    )
    CURSOR.execute("BEGIN")
    CURSOR.register("rows", Shapes(CURSOR).kept(rows, batch.shapes))
    texts = CURSOR.sql(f"SELECT {raw_sql('r')} AS raw FROM rows r").fetchall()
    CURSOR.execute("ROLLBACK")
    assert [text for (text,) in texts] == [line.decode() for line in lines]


def test_law_the_order_of_ties_is_that_of_what_is_said():
    same = '{"id":"1","model_id":"m","timestamp":1,"features":{"a":1,"b":0.5},"label":null}'
    other = (
        '{"model_id":"m","id":1,"timestamp":1000,"type":"prediction","features":{"b":5e-1,"a":1.0}}'
    )
    assert canonical(same) == canonical(other)
    assert canonical(other) != canonical(other.replace("1.0}", "1.5}"))


def test_golden_whole_numbers_have_no_fraction(stores):
    for (text,) in (
        stores[0].execute("SELECT raw FROM events_log WHERE shape_id IS NOT NULL").fetchall()
    ):
        for value in _numbers(json.loads(text)):
            assert not isinstance(value, float) or math.floor(value) != value


def _numbers(event):
    containers = ("features", "predictions", "labels")
    for name, value in event.items():
        if name in containers:
            yield from value.values()
        elif name in ("extra", "no'w"):
            yield value


# ---- all readers -------------------------------------------------------------------------------


def test_law_the_public_relations_say_the_same(stores):
    told = []
    for store in stores:
        rows = store.execute("SELECT * EXCLUDE (received_time) FROM events ORDER BY seq").fetchall()
        names = [each[0] for each in store.description]
        place = names.index("properties")
        told.append([(*row[:place], json.loads(row[place]), *row[place + 1 :]) for row in rows])
    assert told[0] == told[1]
    for name in ("value_panes", "total_panes", "cell_panes", "probability_panes", "error_panes"):
        by_column, by_line = (
            store.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for store in stores
        )
        assert by_column == by_line


def test_law_rules_and_anomaly_jobs_tell_the_same(stores):
    for name in ("evaluations_log", "alerts_log", "anomaly_buckets", "anomaly_records"):
        by_column, by_line = (
            store.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for store in stores
        )
        assert by_column == by_line
        assert by_column or name in ("alerts_log", "anomaly_records")


def test_law_buckets_of_features_are_the_same(stores):
    told = []
    for store in stores:
        one_by_one = f"SELECT r.seq, {bucket_sql('r')} AS bucket FROM events_log r"
        names = feature_names(store, "true", {})
        assert names
        at_once = with_buckets("SELECT seq, bucket_id, raw FROM events_log", names)
        found = store.execute(f"{one_by_one} ORDER BY seq").fetchall()
        assert (
            store.execute(f"SELECT seq, bucket FROM ({at_once}) ORDER BY seq").fetchall() == found
        )
        told.append(found)
    assert told[0] == told[1]


FILTERS = [
    (name, operator, value)
    for name in ("features.a", "a", "x.y", "labels.t", "extra", "no'w", "nothing", "features")
    for operator, value in [
        ("exists", ()), ("gt", 0.5), ("lt", "1"), ("is", 5), ("is", "0"), ("is", "x"),
        ("is one of", [0.1, "3.25", 1]), ("starts with", "1"), ("gte", "text"),
    ]
]  # fmt: skip


def test_law_filters_of_jobs_keep_the_same(stores):
    seen = set()
    for name, operator, value in FILTERS:
        each = {"field": name, "operator": operator} | ({} if value == () else {"value": value})
        question = parse_question({"job_id": "j", "filters": [each]})
        counts = [sum(tally_events(store, question).cells.values()) for store in stores]
        assert counts[0] == counts[1], each
        seen.add(counts[0])
    assert len(seen) > 10


NAMED = ("features.a", "a", "x.y", "predictions.p", "labels.t", "t", "extra")
QUERIES = [
    *({"select": [one("avg", "v", property=name), one("max", "w", property=name)]}
      for name in NAMED),
    *({"select": [one("count"), {"property": name}], "group_by": [{"property": name}]}
      for name in NAMED),
    {"select": [{"property": "*"}]},
    {"select": [one("count")], "filter": [{"property": "a", "comparator": "eq", "value": 5}]},
    {"select": [one("count")], "filter": [{"property": "a", "comparator": "in", "value": ["5"]}]},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_law_queries_are_answered_the_same(stores, query):
    told = [_ordered(ask(store, SETTINGS.models[0], query)) for store in stores]
    assert told[0] == told[1]


def _ordered(answer):
    doubles = [
        {name: _double(value) for name, value in row.items() if name != "received_timestamp"}
        for row in answer
    ]
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in doubles)


def _double(value):
    return float(value) + 0.0 if isinstance(value, int | float) else value


def test_law_the_count_anew_is_the_same_for_both(stores):
    told = []
    for store in stores:
        store.execute("BEGIN")
        monitor = Monitor(store, SETTINGS, 20, canonical)
        monitor.recount()
        told.append(
            [
                store.execute(f"SELECT * EXCLUDE (block_seq) FROM {name} ORDER BY ALL").fetchall()
                for name in ("value_panes", "total_panes", "cell_panes", "error_panes")
            ]
        )
        told[-1].append(store.execute("SELECT seq, positive_score FROM events_log").fetchall())
        store.execute("ROLLBACK")
    assert told[0] == told[1]
    assert told[0][0]


# ---- shapes ------------------------------------------------------------------------------------


def test_golden_a_name_that_is_missing_borrows_the_shape(stores):
    shapes = stores[0].execute("SELECT names FROM shapes").fetchall()
    assert 1 <= len(shapes) <= 8


def test_golden_models_with_other_names_have_shapes_of_their_own():
    chance = random.Random(5)
    events = []
    for number in range(400):
        names = [f"features.f{number % 4}_{place}" for place in range(12)]
        event = prediction(chance, names) | {"model_id": f"m{number % 4}", "id": f"e{number}"}
        events.append(event)
    store, twin = both_ways(events, 200)
    assert kept(store)[0] > 150
    lengths = store.execute("SELECT max(len(names)), count(*) FROM shapes").fetchall()[0]
    assert lengths[0] <= 12
    assert lengths[1] >= 4
    assert _ordered(ask(store, ModelSettings("m1"), {"select": [{"property": "*"}]})) == _ordered(
        ask(twin, ModelSettings("m1"), {"select": [{"property": "*"}]})
    )


def test_golden_lines_alone_say_how_they_are_kept():
    lines = lines_of(
        [
            {"model_id": "m", "id": "1", "timestamp": 1, "features": {"a": 1.5, "b": 2}},
            {"model_id": "m", "id": "2", "timestamp": 1, "features": {"a": 1.5, "b": 2}, "n": 2},
            {"model_id": "m", "id": "3", "timestamp": 1, "features": {"a": 1.5, "b": "x"}},
        ]
    )
    reading = decoder(0)
    reading.decode(Block("s", "p", 0, b"".join(lines), 10**15))
    batch = reading.decode(Block("s", "p", 0, b"".join(lines), 10**15))
    assert [text is None for text in batch.predictions["raw"].to_pylist()] == [True, True, False]
    assert batch.shapes == (("features.a", "features.b", "n"),)
    assert batch.predictions["numbers"].to_pylist() == [[1.5, 2, None], [1.5, 2, 2], None]
