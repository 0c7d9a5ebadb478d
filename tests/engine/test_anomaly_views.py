"""The public relations of anomaly jobs: their columns, definitions, counters, overall buckets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from anomaly_store import JOB, SPAN_S, START_S, asked, bucket, scratch, store

from engine.anomaly.store.roster import (
    Annotation,
    Declared,
    Stats,
    annotate,
    declare_calendars,
    declare_jobs,
    drop_stats,
    write_stats,
)
from engine.config import AnomalyJobSettings, CalendarEvent, CalendarSettings, DetectorSettings
from engine.retention import drop_old_anomaly_results

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store keeps UTC without a zone
START = EPOCH + timedelta(seconds=START_S)
START_US = START_S * 1_000_000

# DESIGN §9, and what was added to it.
CONTRACT = {
    "anomaly_buckets": "job_id timestamp bucket_span anomaly_score initial_anomaly_score"
    " event_count is_interim processing_time_ms late_event_count scheduled_events result_type",
    "anomaly_bucket_influencers": "job_id timestamp bucket_span influencer_field_name"
    " influencer_field_value anomaly_score initial_anomaly_score raw_anomaly_score probability"
    " is_interim ceiling result_type",
    "anomaly_influencers": "job_id timestamp bucket_span influencer_field_name"
    " influencer_field_value influencer_score initial_influencer_score probability is_interim"
    " raw_influencer_score ceiling result_type",
    "anomaly_records": "job_id timestamp bucket_span detector_index function function_description"
    " field_name by_field_name by_field_value over_field_name over_field_value"
    " partition_field_name partition_field_value actual typical lower upper probability"
    " record_score initial_record_score multi_bucket_impact influencers causes explanation"
    " is_interim raw_record_score ceiling result_type",
    "anomaly_score_changes": "job_id timestamp result old_score new_score cause changed_time"
    " influencer_field_name influencer_field_value detector_index function_description"
    " by_field_value over_field_value partition_field_value",
    "anomaly_overall_buckets": "timestamp bucket_span overall_score jobs is_interim",
    "anomaly_jobs": "job_id model_id type bucket_span detectors influencers filter time_basis"
    " latency frequency normalizer renormalization_window memory_limit_bytes results_retention"
    " snapshot_interval snapshot_retention daily_snapshot_after description groups enabled status"
    " from_time",
    "anomaly_job_stats": "job_id status processed_record_count out_of_order_timestamp_count"
    " missing_field_count bucket_count empty_bucket_count sparse_bucket_count"
    " earliest_record_timestamp latest_record_timestamp latest_empty_bucket_timestamp"
    " latest_sparse_bucket_timestamp series_count unmodelled_entity_count memory_bytes"
    " memory_status bucket_processing_ms_min bucket_processing_ms_max bucket_processing_ms_mean"
    " bucket_processing_ms_ewma",
    "anomaly_snapshots": "job_id snapshot_id timestamp description retain model_bytes"
    " next_timestamp",
    "anomaly_annotations": "job_id timestamp end_timestamp event annotation",
    "anomaly_calendars": "calendar_id description job_ids event_description start_time end_time",
}
JOB_SETTINGS = AnomalyJobSettings(
    JOB,
    (DetectorSettings("mean", "delay", by_field_name="airline"),),
    model="m",
    influencers=("airline",),
    latency_us=1_500_000,
    results_retention_us=86_400_000_000,
    groups=("g",),
)
DECLARED = Declared(JOB_SETTINGS, "event", 150, 2_592_000, '{"a":1}')


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with scratch() as connection:
        yield connection


@pytest.mark.parametrize("relation", CONTRACT)
def test_contract_columns(connection: duckdb.DuckDBPyConnection, relation: str) -> None:
    columns = {row[0]: row[1] for row in asked(connection, f"DESCRIBE {relation}")}
    assert columns.keys() == set(CONTRACT[relation].split())
    for column, kind in columns.items():
        if column.endswith(("_time", "timestamp")):
            assert kind == "TIMESTAMP", column
        if column.endswith(("score", "probability", "typical", "actual")):
            assert kind == "DOUBLE", column
    assert columns.get("bucket_span", "BIGINT") == "BIGINT"


# ---- overall buckets -------------------------------------------------------------------------


def overall(connection: duckdb.DuckDBPyConnection, call: str = "") -> list[tuple[Any, ...]]:
    return asked(
        connection,
        "SELECT (epoch_us(timestamp) // 1000000), bucket_span, overall_score, is_interim"
        f" FROM anomaly_overall_buckets{call} ORDER BY timestamp",
    )


def test_contract_ELi_10_overall_buckets() -> None:
    s = 1_699_999_200  # a multiple of 1800
    rows = [
        *(bucket(0, x, job_id="a", start_s=s + i * 300) for i, x in enumerate([10, 90, 30])),
        *(bucket(0, x, job_id="b", start_s=s + i * 300) for i, x in enumerate([40, 20, 5])),
        bucket(0, 60, job_id="c", start_s=s, span_s=600),
        bucket(0, 80, job_id="c", start_s=s + 1200, span_s=600, is_interim=True),
    ]
    connection, _ = store(*rows)
    # One job counts, over the longest span.
    assert overall(connection) == [
        (s, 600, 90.0, False),
        (s + 600, 600, 30.0, False),
        (s + 1200, 600, 80.0, True),
    ]
    # The mean of the two greatest; of as many as there are.
    assert overall(connection, "(top_n := 2, span_s := 900)") == [
        (s, 900, 75.0, False),
        (s + 900, 900, 80.0, True),
    ]
    assert overall(connection, "(top_n := 9, span_s := 900)")[0] == (
        *(s, 900),
        pytest.approx((90 + 40 + 60) / 3),
        False,
    )
    assert overall(connection, "(job_ids := ['b'])") == [
        (s + i * 300, 300, score, False) for i, score in enumerate([40.0, 20.0, 5.0])
    ]
    found = asked(
        connection, "SELECT jobs FROM anomaly_overall_buckets(span_s := 900) WHERE NOT is_interim"
    )
    assert found == [
        ([{"job_id": j, "max_anomaly_score": x} for j, x in [("a", 90), ("b", 40), ("c", 60)]],)
    ]
    with pytest.raises(duckdb.Error, match="must be at least the longest span, 600, got 300"):
        overall(connection, "(span_s := 300)")


# ---- jobs ------------------------------------------------------------------------------------


def test_golden_a_job_in_force(connection: duckdb.DuckDBPyConnection) -> None:
    declare_jobs(connection, [DECLARED], START_US)
    (row,) = asked(
        connection,
        "SELECT model_id, bucket_span, influencers, time_basis, latency, frequency, normalizer,"
        " renormalization_window, results_retention, groups, status, from_time, detectors"
        " FROM anomaly_jobs",
    )
    assert row[:-1] == (
        *("m", 300, ["airline"], "event", timedelta(seconds=1.5), timedelta(seconds=150)),
        *("standard", timedelta(days=30), timedelta(days=1), ["g"], "waiting", START),
    )
    (detector,) = json.loads(row[-1])
    assert (detector["function"], detector["by_field_name"]) == ("mean", "airline")
    assert asked(connection, "SELECT detectors->0->>'function' FROM anomaly_jobs") == [("mean",)]


def test_golden_declarations_are_replaced(connection: duckdb.DuckDBPyConnection) -> None:
    other = replace(DECLARED, settings=replace(JOB_SETTINGS, job_id="other"))
    declare_jobs(connection, [DECLARED, other], None)
    renamed = replace(JOB_SETTINGS, description="d")
    declare_jobs(connection, [replace(DECLARED, settings=renamed)], START_US)
    columns = "SELECT job_id, description, from_time FROM anomaly_jobs"
    assert asked(connection, columns) == [(JOB, "d", None)]
    declare_jobs(connection, [replace(DECLARED, definition="{}"), other], START_US)
    assert sorted(asked(connection, columns)) == [(JOB, None, START), ("other", None, None)]
    told = asked(connection, "SELECT job_id, definition FROM anomaly_jobs_known")
    assert dict(told) == {JOB: "{}", "other": '{"a":1}'}
    declare_jobs(connection, [], START_US)
    assert asked(connection, columns) == []


def test_contract_ELi_22_counters(connection: duckdb.DuckDBPyConnection) -> None:
    declare_jobs(connection, [DECLARED], None)
    stats = Stats(
        job_id=JOB,
        status="running",
        processed_record_count=1000,
        out_of_order_timestamp_count=3,
        missing_field_count=4,
        bucket_count=50,
        empty_bucket_count=5,
        sparse_bucket_count=6,
        earliest_record_us=START_US,
        latest_record_us=START_US + 1,
        latest_empty_bucket_us=START_US,
        series_count=9,
        unmodelled_entity_count=2,
        memory_bytes=81_000,
        memory_status="hard_limit",
        processing_ms_min=0.25,
        processing_ms_max=4.0,
        processing_ms_mean=0.5,
        processing_ms_ewma=0.75,
    )
    write_stats(connection, [])
    write_stats(connection, [Stats(JOB, "waiting"), Stats("other", "waiting")])
    write_stats(connection, [stats])
    microsecond = timedelta(microseconds=1)
    assert asked(connection, "SELECT * FROM anomaly_job_stats WHERE job_id = ?", JOB) == [
        (
            *(JOB, "running", 1000, 3, 4, 50, 5, 6, START, START + microsecond, START, None),
            *(9, 2, 81_000, "hard_limit", 0.25, 4.0, 0.5, 0.75),
        )
    ]
    assert asked(connection, "SELECT status FROM anomaly_jobs") == [("running",)]
    drop_stats(connection, JOB)
    assert asked(connection, "SELECT status FROM anomaly_jobs") == [("waiting",)]


def test_golden_calendars(connection: duckdb.DuckDBPyConnection) -> None:
    fair = CalendarEvent("fair", START_US, START_US + 3_600_000_000)
    empty = CalendarSettings("empty", ())
    declare_calendars(connection, [CalendarSettings("old", (fair,))])
    declare_calendars(connection, [CalendarSettings("c", (fair,), (JOB,), "feasts"), empty])
    assert asked(connection, "FROM anomaly_calendars ORDER BY calendar_id") == [
        ("c", "feasts", [JOB], "fair", START, START + timedelta(hours=1)),
        ("empty", None, [], None, None, None),
    ]
    declare_calendars(connection, [])
    assert asked(connection, "FROM anomaly_calendars") == []


def test_golden_an_annotation_is_written_once(connection: duckdb.DuckDBPyConnection) -> None:
    late = Annotation(JOB, START_S, START_S + SPAN_S, "delayed_data", "5 rows came late")
    annotate(connection, [])
    annotate(connection, [late])
    annotate(connection, [late, replace(late, annotation="9 rows came late")])
    assert asked(connection, "FROM anomaly_annotations ORDER BY ALL") == [
        (JOB, START, START + timedelta(seconds=SPAN_S), "delayed_data", said)
        for said in ("5 rows came late", "9 rows came late")
    ]


# ---- retention -------------------------------------------------------------------------------


def test_golden_old_results_of_a_job_are_dropped() -> None:
    connection, _ = store(*(bucket(place) for place in range(4)), bucket(0, job_id="other"))
    for place in range(4):
        at_s = START_S + place * SPAN_S
        annotate(connection, [Annotation(JOB, at_s - SPAN_S, at_s, "delayed_data", "late")])
    connection.execute(
        "INSERT INTO score_changes BY NAME SELECT job_id, timestamp, 'bucket' AS result,"
        " 1.0 AS old_score, 2.0 AS new_score, 'c' AS cause, ?::TIMESTAMP AS changed_time"
        " FROM bucket_results",
        [START],
    )
    drop_old_anomaly_results(connection, JOB, START_US + 2 * SPAN_S * 1_000_000)
    for relation, each in [
        ("anomaly_buckets", 1),
        ("anomaly_bucket_influencers", 1),
        ("anomaly_influencers", 2),
        ("anomaly_records", 2),
        ("anomaly_score_changes", 1),
    ]:
        found = asked(
            connection, f"SELECT job_id, min(timestamp), count(*) FROM {relation} GROUP BY 1"
        )
        left = START + timedelta(seconds=2 * SPAN_S)
        assert sorted(found) == [(JOB, left, 2 * each), ("other", START, each)], relation
    assert asked(connection, "SELECT count(*) FROM anomaly_annotations") == [(2,)]


# ---- cost ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition", ["job_id = 'j4'", "timestamp >= TIMESTAMP '2024-05-01 16:00:00'"]
)
def test_law_a_filter_reaches_the_scan_of_the_results(condition: str) -> None:
    """Of five row groups of 122,880 rows, one per job and hour, a single one is read."""
    connection, _ = store()
    connection.execute(
        "INSERT INTO bucket_results BY NAME SELECT 'j' || (i // 122880) AS job_id,"
        " TIMESTAMP '2024-05-01 12:00:00' + to_hours(i // 122880) AS timestamp, 1 AS span_s,"
        " 0.0 AS score, 0.0 AS initial_score, i AS event_count, 0 AS late_event_count,"
        " [] AS scheduled_events, 0.0 AS processing_time_ms, false AS is_interim"
        " FROM range(5 * 122880) AS t(i)"
    )
    query = f"SELECT sum(event_count) FROM anomaly_buckets WHERE {condition}"
    plan = json.loads(asked(connection, f"EXPLAIN (ANALYZE, FORMAT json) {query}")[0][1])
    scans = [
        (node["row_groups_scanned"], node["total_row_groups_to_scan"])
        for node in _nodes(plan["operator"][0])
        if node["extra_info"].get("Table", "").endswith("bucket_results")
    ]
    assert scans == [(1, 5)]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _nodes(child)
