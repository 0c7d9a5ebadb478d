"""What brings the tables of an older schema version up to the next one."""

from collections.abc import Callable, Mapping

import duckdb

from engine.anomaly_tables import ANOMALY_TABLES
from engine.outbox import OUTBOX_TABLES
from engine.rule_tables import RULE_TABLES

__all__ = ["MIGRATIONS"]


def _add_rules(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 2: alert rules, drift and notifications; when each model was first heard of."""
    for name, columns in {**RULE_TABLES, **OUTBOX_TABLES}.items():
        cursor.execute(f"CREATE TABLE {name} ({columns})")
    cursor.execute("ALTER TABLE models_known ADD COLUMN first_event TIMESTAMP")
    cursor.execute(
        "UPDATE models_known SET first_event = f.first_event FROM (SELECT model_id,"
        " arg_min(event_time, seq) AS first_event FROM events_log GROUP BY model_id) f"
        " WHERE f.model_id = models_known.model_id"
    )
    cursor.execute(
        "INSERT INTO minute_marks SELECT minute_s, min(seq) FROM (SELECT seq,"
        " epoch(date_trunc('minute', max(event_time) OVER (ORDER BY seq)))::BIGINT AS minute_s"
        " FROM events_log) GROUP BY minute_s ORDER BY minute_s"
    )


def _add_anomaly_jobs(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 3: anomaly jobs; nothing of them is in older stores."""
    for name, columns in ANOMALY_TABLES.items():
        cursor.execute(f"CREATE TABLE {name} ({columns})")


MIGRATIONS: Mapping[int, Callable[[duckdb.DuckDBPyConnection], None]] = {
    2: _add_rules,
    3: _add_anomaly_jobs,
}
"""By the version that each leads to, from the one before."""
