"""The queue of what is produced: nothing leaves it before it is acknowledged, nothing stays behind.

What a broker says of it is tested with a broker; here are the times, the order and the marks.
"""

import duckdb
import pyarrow as pa
import pytest

from engine.kafka_settings import KafkaConnection, ProduceSettings
from engine.produce import (
    BACK_OFF_MAX_US,
    Delivery,
    begin_ways,
    due,
    enqueue_alerts,
    settle,
    waiting,
)
from engine.produce_tables import PRODUCE_TABLES

SECOND_US = 1_000_000
ALERTS = [("a2", "warning", 2), ("a1", "critical", 2), ("a3", "critical", 1)]


def way(name="w", **more):
    return ProduceSettings(name, KafkaConnection("h:1"), "t", "alerts", **more)


@pytest.fixture
def cursor():
    with duckdb.connect() as connection:
        for name, columns in PRODUCE_TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.execute(
            "CREATE TABLE alerts (alert_id VARCHAR, severity VARCHAR, status VARCHAR,"
            " triggered_time TIMESTAMP, step BIGINT)"
        )
        connection.execute(
            "CREATE TABLE bucket_results (job_id VARCHAR, timestamp TIMESTAMP, is_interim BOOLEAN)"
        )
        for alert_id, severity, time_s in ALERTS:
            connection.execute(
                "INSERT INTO alerts VALUES (?, ?, 'new', make_timestamp(?), NULL)",
                [alert_id, severity, time_s * SECOND_US],
            )
        yield connection


def queue(cursor, *ways, now_us=0):
    ids = pa.table({"alert_id": [alert_id for alert_id, *_ in ALERTS]})
    return enqueue_alerts(cursor, ways, ids, now_us)


def test_golden_messages_go_in_order_of_time_and_id(cursor):
    assert queue(cursor, way("one"), way("two", severities=("critical",))) == 5
    found = [(each.way, each.key) for each in due(cursor, 0, (), 9)]
    one = [("one", key) for key in ("a3", "a1", "a2")]
    assert found == [*one, ("two", "a3"), ("two", "a1")]
    value = due(cursor, 0, (), 1)[0].value
    assert value == (
        '{"alert_id":"a3","severity":"critical","triggered_time":"1970-01-01T00:00:01Z"}'
    )


def test_golden_a_message_waits_longer_after_each_attempt_and_for_ever(cursor):
    queue(cursor, way())
    first = due(cursor, 0, (), 1)[0].number
    now_us, waited = 0, []
    for attempt in range(1, 12):
        settle(cursor, [Delivery(first, attempt, "no")], now_us)
        assert all(each.number != first for each in due(cursor, now_us, (), 9))
        (next_us,) = cursor.execute(
            "SELECT epoch_us(next_attempt) FROM produce_queue WHERE number = ?", [first]
        ).fetchone()
        waited.append((next_us - now_us) // SECOND_US)
        now_us = next_us
        again = next(each for each in due(cursor, now_us, (), 9) if each.number == first)
        assert again.attempt == attempt + 1
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    settle(cursor, [Delivery(first, 12)], now_us)
    settle(cursor, [Delivery(first, 12)], now_us)  # noted twice
    assert waiting(cursor) == 2


def test_golden_a_clock_that_was_set_back_holds_nothing_up(cursor):
    queue(cursor, way(), now_us=10 * BACK_OFF_MAX_US)
    assert len(due(cursor, 0, (), 9)) == 3


def test_golden_what_is_busy_is_left_alone(cursor):
    queue(cursor, way())
    busy = {each.number for each in due(cursor, 0, (), 2)}
    assert [each.key for each in due(cursor, 0, busy, 9)] == ["a2"]


def test_golden_entries_begin_with_what_is_there_and_go_with_what_waits(cursor):
    cursor.execute(
        "INSERT INTO bucket_results VALUES ('j', '2026-01-01', false), ('k', NULL, true)"
    )
    assert begin_ways(cursor, [way("old")]) == {}
    queue(cursor, way("old"))
    cursor.execute("INSERT INTO bucket_results VALUES ('j', '2026-01-02', false)")
    assert begin_ways(cursor, [way("old"), way("new")]) == {}
    marks = "SELECT way, job_id, bucket::DATE::VARCHAR FROM produce_marks ORDER BY ALL"
    assert cursor.execute(marks).fetchall() == [
        ("new", "", None),
        ("new", "j", "2026-01-02"),
        ("old", "", None),
        ("old", "j", "2026-01-01"),
    ]
    assert begin_ways(cursor, [way("new")]) == {"old": 3}
    assert waiting(cursor) == 0
