"""The queue of what is produced to topics: alerts and anomaly records, and how far each has come.

A message is written here in the transaction of its alert or record, and deleted in a transaction
after a broker has acknowledged it. So each is produced at least once, and one that comes again has
the same key and the same value: the alert as it was given, the record as it was when its bucket was
closed. What was there before an entry of `produce` was first declared is not produced, nor is what
a job that is run anew writes of buckets that it had closed before.

Everything here works on the owner's cursor inside the owner's transaction.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from engine.asking import number
from engine.kafka_settings import ProduceSettings

__all__ = [
    "BACK_OFF_MAX_US",
    "Delivery",
    "Produced",
    "begin_ways",
    "due",
    "enqueue_alerts",
    "enqueue_records",
    "record_key",
    "settle",
    "waiting",
]

BACK_OFF_MAX_US = 60 * 1_000_000
_RETRY_US = 1_000_000

# A status may change before the message leaves, and a score after its bucket was closed.
_ALERTS = """
SELECT * EXCLUDE (status, step) FROM alerts
WHERE alert_id IN (SELECT alert_id FROM b_produced)
ORDER BY triggered_time, alert_id
"""
_RECORDS = """
SELECT r.* EXCLUDE (record_score, is_interim, ceiling, result_type)
FROM anomaly_records AS r
LEFT JOIN produce_marks AS m ON m.way = $way AND m.job_id = r.job_id
WHERE NOT r.is_interim AND r.initial_record_score >= $least
    AND (m.bucket IS NULL OR r.timestamp > m.bucket)
ORDER BY ALL
"""
_CLOSED = """
INSERT INTO produce_marks
SELECT $way, job_id, max(timestamp) FROM bucket_results WHERE NOT is_interim GROUP BY job_id
ON CONFLICT DO UPDATE SET bucket = greatest(bucket, excluded.bucket)
"""
_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_JSON_COLUMNS = ("influencers", "causes", "explanation")


@dataclass(frozen=True, slots=True)
class Produced:
    """One message on its way; `attempt` counts from 1."""

    number: int
    way: str
    key: str
    value: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an attempt: taken by a broker, or why not."""

    number: int
    attempt: int
    reason: str | None = None


def begin_ways(
    cursor: duckdb.DuckDBPyConnection, ways: Iterable[ProduceSettings]
) -> dict[str, int]:
    """Mark what is there when an entry is first declared; forget entries that are declared no more.

    Returns
    -------
    dict of str to int
        How many messages were forgotten, by the name of the entry.
    """
    names = [way.name for way in ways]
    forgotten = cursor.execute(
        "SELECT way, count(*) FROM produce_queue WHERE NOT list_contains($names::VARCHAR[], way)"
        " GROUP BY way ORDER BY way",
        {"names": names},
    ).fetchall()
    for table in ("produce_queue", "produce_marks"):
        cursor.execute(
            f"DELETE FROM {table} WHERE NOT list_contains($names::VARCHAR[], way)", {"names": names}
        )
    for name in names:
        begun = "SELECT count(*) FROM produce_marks WHERE way = $way AND job_id = ''"
        if not number(cursor, begun, {"way": name}):
            cursor.execute(_CLOSED, {"way": name})
            cursor.execute("INSERT INTO produce_marks VALUES ($way, '', NULL)", {"way": name})
    return dict(forgotten)


def enqueue_alerts(
    cursor: duckdb.DuckDBPyConnection,
    ways: Iterable[ProduceSettings],
    alerts: pa.Table,
    now_us: int,
) -> int:
    """Queue alerts just written; gives the number of messages.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Inside the transaction that holds the alerts.
    ways : iterable of ProduceSettings
    alerts : pa.Table
        Column alert_id.
    now_us : int
        Wall clock, µs.
    """
    mine = [way for way in ways if way.relation == "alerts"]
    if not mine or not len(alerts):
        return 0
    cursor.register("b_produced", alerts)
    try:
        rows = _rows(cursor, _ALERTS, {})
    finally:
        cursor.unregister("b_produced")
    return sum(
        _queue(cursor, way.name, [(row["alert_id"], row) for row in _chosen(way, rows)], now_us)
        for way in mine
    )


def _chosen(way: ProduceSettings, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not way.severities or row["severity"] in way.severities]


def enqueue_records(
    cursor: duckdb.DuckDBPyConnection, ways: Iterable[ProduceSettings], now_us: int
) -> int:
    """Queue the records of buckets that were closed since the last call; gives their number."""
    queued = 0
    for way in ways:
        if way.relation == "anomaly_records":
            rows = _rows(cursor, _RECORDS, {"way": way.name, "least": way.min_score})
            queued += _queue(cursor, way.name, [(record_key(row), row) for row in rows], now_us)
            cursor.execute(_CLOSED, {"way": way.name})
    return queued


def record_key(row: dict[str, Any]) -> str:
    """Give the key of a record: of its job, bucket, detector and the values that name its series.

    >>> row = dict.fromkeys(("by_field_value", "over_field_value", "partition_field_value"))
    >>> record_key(row | {"job_id": "j", "timestamp": 0, "detector_index": 1, "function": "mean"})
    'ccae461429c90a56fd00f736285927f5'
    """
    names = ("job_id", "timestamp", "detector_index", "function", "function_description")
    values = ("by_field_value", "over_field_value", "partition_field_value")
    told = orjson.dumps([row.get(name) for name in (*names, *values)], option=_JSON)
    return md5(told, usedforsecurity=False).hexdigest()


def _rows(
    cursor: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]
) -> list[dict[str, Any]]:
    cursor.execute(sql, values)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _queue(
    cursor: duckdb.DuckDBPyConnection,
    way: str,
    messages: Sequence[tuple[str, dict[str, Any]]],
    now_us: int,
) -> int:
    if not messages:
        return 0
    first = number(cursor, "SELECT coalesce(max(number), 0) + 1 FROM produce_queue")
    table = pa.table({
        "number": pa.array(range(first, first + len(messages)), pa.int64()),
        "key": pa.array([key for key, _ in messages], pa.string()),
        "value": pa.array([_json(row) for _, row in messages], pa.string()),
    })  # fmt: skip
    cursor.register("b_queued", table)
    try:
        cursor.execute(
            "INSERT INTO produce_queue SELECT number, $way, key, value, make_timestamp($now_us), 0,"
            " make_timestamp($now_us), NULL FROM b_queued",
            {"way": way, "now_us": now_us},
        )
    finally:
        cursor.unregister("b_queued")
    return len(messages)


def _json(row: dict[str, Any]) -> str:
    for name in _JSON_COLUMNS:
        if row.get(name) is not None:
            row = {**row, name: orjson.Fragment(row[name])}
    return orjson.dumps(row, option=_JSON).decode()


# An attempt that lies further ahead than any back-off is due: the clock was set back.
_DUE = f"""
SELECT number, way, key, value, attempts + 1 FROM produce_queue
WHERE (next_attempt <= make_timestamp($now_us)
    OR next_attempt > make_timestamp($now_us + {BACK_OFF_MAX_US}))
    AND NOT list_contains($busy::BIGINT[], number)
ORDER BY number LIMIT $most
"""


def due(
    cursor: duckdb.DuckDBPyConnection, now_us: int, busy: Collection[int], most: int
) -> list[Produced]:
    """Give the messages whose attempt has come, in order, without those that are `busy`."""
    values = {"now_us": now_us, "busy": list(busy), "most": most}
    return [Produced(*row) for row in cursor.execute(_DUE, values).fetchall()]


def settle(cursor: duckdb.DuckDBPyConnection, deliveries: Sequence[Delivery], now_us: int) -> None:
    """Note what became of attempts; the same one noted twice changes nothing more."""
    taken = [each.number for each in deliveries if each.reason is None]
    if taken:
        cursor.execute(
            "DELETE FROM produce_queue WHERE number IN (SELECT unnest($taken::BIGINT[]))",
            {"taken": taken},
        )
    for each in deliveries:
        if each.reason is not None:
            wait_us = min(_RETRY_US << min(each.attempt - 1, 30), BACK_OFF_MAX_US)
            cursor.execute(
                "UPDATE produce_queue SET attempts = $attempt, last_error = $reason,"
                " next_attempt = make_timestamp($next_us) WHERE number = $number",
                {
                    "attempt": each.attempt,
                    "reason": each.reason,
                    "next_us": now_us + wait_us,
                    "number": each.number,
                },
            )


def waiting(cursor: duckdb.DuckDBPyConnection) -> int:
    """Count the messages that no broker has acknowledged yet."""
    return number(cursor, "SELECT count(*) FROM produce_queue")
