"""Results are written once, interim ones until their bucket closes, and restated by late rows.

The contracts pin every field of a bucket to a column; a walk of random buckets is held against a
dictionary that follows the two rules of replacement.
"""

from datetime import datetime, timedelta

import numpy as np
import pytest
from anomaly_store import (
    JOB,
    SPAN_S,
    START_S,
    asked,
    bucket,
    influencers,
    records,
    scratch,
    store,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.results.results import Results

START = datetime(1970, 1, 1) + timedelta(seconds=START_S)  # noqa: DTZ001 - UTC without a zone
TABLES = ("buckets", "bucket_influencers", "influencers", "records")


@pytest.fixture(scope="module")
def connection():
    return store(bucket(scheduled_events=("fair",)))[0]


# ---- the fields of the contract --------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "column", "value"),
    [
        pytest.param(f"anomaly_{relation}", column, value, id=f"EL_{number}_{column}")
        for number, relation, column, value in [
            (19, "buckets", "anomaly_score", 50.0),
            (21, "bucket_influencers", "anomaly_score", 50.0),
            (22, "bucket_influencers", "bucket_span", 300),
            (23, "bucket_influencers", "initial_anomaly_score", 50.0),
            (24, "bucket_influencers", "influencer_field_name", "bucket_time"),
            (25, "bucket_influencers", "influencer_field_value", None),
            (26, "bucket_influencers", "is_interim", False),
            (27, "bucket_influencers", "job_id", JOB),
            (28, "bucket_influencers", "probability", 1e-6),
            (29, "bucket_influencers", "raw_anomaly_score", 2.0),
            (30, "bucket_influencers", "result_type", "bucket_influencer"),
            (31, "bucket_influencers", "timestamp", START),
            (32, "buckets", "bucket_span", 300),
            (33, "buckets", "event_count", 7),
            (34, "buckets", "initial_anomaly_score", 50.0),
            (35, "buckets", "is_interim", False),
            (36, "buckets", "job_id", JOB),
            (37, "buckets", "processing_time_ms", 0.5),
            (38, "buckets", "result_type", "bucket"),
            (39, "buckets", "timestamp", START),
        ]
    ],
)
def test_contract_EL_19_to_EL_39_fields(connection, relation, column, value):
    assert asked(connection, f"SELECT {column} FROM {relation}") == [(value,)]


def test_contract_EL_17_and_EL_18_buckets_are_rows_to_count():
    connection, _ = store(*(bucket(place) for place in range(5)))
    assert asked(connection, "SELECT count(*), min(timestamp) FROM anomaly_buckets") == [(5, START)]


def test_contract_EL_20_a_bucket_has_the_influencers_of_its_timestamp():
    several = whole(
        score=np.array([50.0, 20.0]),
        raw_score=np.array([2.0, 1.0]),
        probability=np.array([1e-6, 1e-5]),
        scope=np.zeros(2, np.int64),
        ceiling=np.zeros(2, np.int64),
        level=["bucket", "bucket:airline"],
        field_name=["bucket_time", "airline"],
        field_value=[None, "A1"],
    )
    connection, _ = store(bucket(0), bucket(1, bucket_influencers=several))
    found = asked(
        connection,
        "SELECT influencer_field_name, influencer_field_value FROM anomaly_bucket_influencers"
        " JOIN anomaly_buckets USING (job_id, timestamp) WHERE timestamp = ? ORDER BY 1",
        START + timedelta(seconds=SPAN_S),
    )
    assert found == [("airline", "A1"), ("bucket_time", None)]


def test_contract_EL_28_and_EL_33_smallest_probabilities_and_empty_buckets_are_kept():
    tiny = whole(probability=np.array([2.2250738585072014e-308]))
    connection, _ = store(bucket(event_count=0, bucket_influencers=tiny))
    assert asked(connection, "SELECT probability FROM anomaly_bucket_influencers") == [
        (2.2250738585072014e-308,)
    ]
    assert asked(connection, "SELECT event_count FROM anomaly_buckets") == [(0,)]


def test_contract_ELi_07_a_record_tells_all():
    connection, _ = store(bucket(records=records(1)))
    (row,) = asked(connection, "SELECT * EXCLUDE (job_id, timestamp) FROM anomaly_records")
    names = [row[0] for row in connection.execute("DESCRIBE anomaly_records").fetchall()]
    told = dict(zip(names[2:], row, strict=True))
    assert told == {
        "bucket_span": 300,
        "detector_index": 0,
        "function": "metric",
        "function_description": "mean",
        "field_name": "delay",
        "by_field_name": "airline",
        "by_field_value": "A0",
        "over_field_name": None,
        "over_field_value": None,
        "partition_field_name": "city",
        "partition_field_value": "Bern",
        "actual": 9.0,
        "typical": 4.0,
        "lower": 2.0,
        "upper": None,
        "probability": 1e-6,
        "record_score": 50.0,
        "initial_record_score": 50.0,
        "raw_record_score": 2.0,
        "multi_bucket_impact": -5.0,
        "influencers": '[{"influencer_field_name":"airline"}]',
        "causes": None,
        "explanation": '{"length":1}',
        "is_interim": False,
        "ceiling": "quantile",
        "result_type": "record",
    }


def test_golden_json_is_asked_for_by_arrow(connection):
    found = asked(connection, "SELECT DISTINCT (explanation->>'length')::INT FROM anomaly_records")
    assert found == [(1,)]


def test_golden_scheduled_events_stand_with_the_bucket(connection):
    assert asked(connection, "SELECT scheduled_events FROM anomaly_buckets") == [(["fair"],)]


# ---- interim rows ----------------------------------------------------------------------------


def counted(connection):
    return [
        asked(
            connection,
            f"SELECT epoch_us(timestamp) // 1000000, is_interim, count(*) FROM anomaly_{name}"
            " GROUP BY ALL ORDER BY ALL",
        )
        for name in TABLES
    ]


def test_golden_a_newer_interim_row_replaces_all_rows_of_the_bucket():
    connection, results = store(bucket(is_interim=True, event_count=3))
    results.add(bucket(is_interim=True, event_count=5, records=records(0)))
    results.flush()
    assert counted(connection) == [
        *([(START_S, True, 1)],) * 2,
        [(START_S, True, 2)],
        [],
    ]
    assert asked(connection, "SELECT event_count FROM anomaly_buckets") == [(5,)]


def test_golden_a_closed_bucket_ends_older_interim_rows_and_spares_newer_ones():
    connection, results = store(*(bucket(place, is_interim=True) for place in range(3)))
    other = bucket(0, job_id="other", is_interim=True)
    results.add(other)
    results.add(bucket(1))
    results.flush()
    assert asked(
        connection,
        "SELECT job_id, (epoch_us(timestamp) // 1000000 - ?) // ?, is_interim FROM anomaly_buckets"
        " ORDER BY ALL",
        START_S,
        SPAN_S,
    ) == [("flights", 1, False), ("flights", 2, True), ("other", 0, True)]


def test_golden_a_new_writer_knows_the_interim_rows_of_the_store():
    connection, _ = store(bucket(is_interim=True))
    again = Results(connection)
    again.add(bucket(score=75.0))
    again.flush()
    assert asked(connection, "SELECT anomaly_score, is_interim FROM anomaly_buckets") == [
        (75.0, False)
    ]


STEPS = st.lists(
    st.tuples(st.sampled_from(["interim", "flush", "close"]), st.integers(0, 2)), max_size=25
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_law_cutting_into_flushes_changes_nothing(steps):
    expected: dict[int, tuple[bool, int]] = {}
    closed = -1
    with scratch() as connection:
        results = Results(connection)
        for number, (step, ahead) in enumerate(steps):
            if step == "flush":
                results.flush()
                continue
            place = closed + 1 + (ahead if step == "interim" else 0)
            results.add(bucket(place, is_interim=step == "interim", event_count=number))
            expected[place] = step == "interim", number
            if step == "close":
                closed = place
        results.flush()
        rows = asked(
            connection,
            "SELECT (epoch_us(timestamp) // 1000000 - ?) // ?, is_interim, event_count"
            " FROM anomaly_buckets ORDER BY 1",
            START_S,
            SPAN_S,
        )
        parts = asked(connection, "SELECT count(*) FROM anomaly_records")
    assert rows == [(place, *expected[place]) for place in sorted(expected)]
    assert parts == [(2 * len(expected),)]


def test_golden_a_catch_up_of_many_buckets_is_written_in_their_order():
    bare = [BucketRows(JOB, START_S + i * SPAN_S, SPAN_S, 0.0, i) for i in range(5000)]
    connection, _ = store(*bare)
    found = asked(connection, "SELECT event_count FROM bucket_results ORDER BY rowid")
    assert found == [(i,) for i in range(5000)]


# ---- late rows, and what is forgotten --------------------------------------------------------


def test_contract_ELi_13_late_rows_restate_event_counts_and_leave_scores():
    connection, results = store(*(bucket(place) for place in range(3)))
    starts = START_S + SPAN_S * np.array([0, 2, 9])
    # Of a bucket without a row they are only counted; what is taken back is not late.
    assert results.restate(JOB, starts, np.array([4, -2, 5])) == 4 + 0 + 5
    assert results.restate("other", starts, np.array([9, 9, 9])) == 27
    assert results.restate(JOB, starts[:0], np.empty(0, np.int64)) == 0
    assert results.restate(JOB, starts[:2], np.array([-1, 1])) == -1
    assert results.restate(JOB, starts[:2], np.array([1, -1])) == 1
    assert asked(
        connection,
        "SELECT event_count, late_event_count, anomaly_score FROM anomaly_buckets"
        " ORDER BY timestamp",
    ) == [(11, 4, 50.0), (7, 0, 50.0), (5, -2, 50.0)]


def test_contract_ELi_13_late_rows_restate_the_actual_value_of_records():
    connection, results = store(bucket(0), bucket(1), bucket(2, is_interim=True))
    keys = results.records_of(JOB, START_S + SPAN_S * np.array([1, 1, 2]))
    assert keys.start_s.tolist() == [START_S + SPAN_S] * 2
    assert (keys.scope.tolist(), keys.function_description.tolist()) == ([0, 1], ["mean", "mean"])
    results.restate_actual(JOB, keys, np.array([123.5, np.nan]))
    assert (
        asked(connection, "SELECT actual, typical, score FROM record_results ORDER BY rowid")
        == [(9.0, 4.0, 50.0)] * 2 + [(123.5, 4.0, 50.0), (None, 4.0, 50.0)] + [(9.0, 4.0, 50.0)] * 2
    )


def test_golden_no_records_of_no_buckets():
    _, results = store(bucket())
    none = results.records_of(JOB, np.empty(0, np.int64))
    assert len(none) == 0
    results.restate_actual(JOB, none, np.empty(0))


def test_golden_unwritten_rows_are_restated_too():
    connection, results = store()
    results.add(bucket())
    results.restate(JOB, np.array([START_S]), np.array([2]))
    assert asked(connection, "SELECT event_count FROM anomaly_buckets") == [(9,)]


def test_golden_forgetting_takes_a_job_from_a_time_on():
    connection, results = store(
        *(bucket(place) for place in range(4)),
        bucket(4, is_interim=True),
        bucket(3, job_id="other"),
    )
    results.add(bucket(5, is_interim=True))
    assert results.forget(JOB, START_S + 2 * SPAN_S) == 4
    for name in TABLES:
        assert asked(
            connection, f"SELECT DISTINCT job_id, timestamp FROM anomaly_{name} ORDER BY ALL"
        ) == [
            (JOB, START),
            (JOB, START + timedelta(seconds=SPAN_S)),
            ("other", START + timedelta(seconds=3 * SPAN_S)),
        ]
    results.add(bucket(2))
    results.flush()
    assert asked(connection, "SELECT count(*) FROM anomaly_buckets") == [(4,)]


def test_golden_rows_without_influencers_or_records():
    connection, _ = store(bucket(influencers=influencers(0), records=records(0)))
    assert asked(connection, "SELECT count(*) FROM anomaly_influencers") == [(0,)]
