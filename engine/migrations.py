"""What brings the tables of an older schema version up to the next one."""

from collections.abc import Callable, Mapping

import duckdb

from engine.anomaly_tables import ANOMALY_TABLES
from engine.asking import first
from engine.change_tables import CHANGE_TABLES
from engine.decode import canonical
from engine.jobs.decisions import backfill_decisions
from engine.jobs.deployments import backfill_deployments
from engine.jobs.job_tables import JOB_TABLES
from engine.kept import KEPT_TABLES, make_log
from engine.outbox import OUTBOX_TABLES
from engine.processing.processing import backfill as backfill_processing
from engine.processing.processing_tables import PROCESSING_TABLES
from engine.produce_tables import PRODUCE_TABLES
from engine.rule_tables import RULE_TABLES
from engine.seen import SEEN_TABLES, store_filter
from engine.steps.step_tables import STEP_TABLES
from engine.steps.steps import backfill as backfill_steps
from engine.topics import TOPIC_TABLES

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


def _add_jobs(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 4: jobs and models, steps, processing; computed from what is stored."""
    for name, columns in {**STEP_TABLES, **PROCESSING_TABLES, **JOB_TABLES}.items():
        cursor.execute(f"CREATE TABLE {name} ({columns})")
    for name in ("evaluations_log", "alerts_log"):  # made above, they have it
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS step BIGINT")
    backfill_decisions(cursor)
    backfill_deployments(cursor)
    backfill_processing(cursor, canonical)
    backfill_steps(cursor)


def _add_changes(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 5: changes at run time, and declared classes, which a start writes."""
    for name, columns in CHANGE_TABLES.items():
        cursor.execute(f"CREATE TABLE {name} ({columns})")
    cursor.execute("ALTER TABLE model_settings ADD COLUMN IF NOT EXISTS classes VARCHAR[]")


_ADDED_IN_6: Mapping[str, str] = {**TOPIC_TABLES, **PRODUCE_TABLES, **SEEN_TABLES}


def _keep_numbers(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 6: predictions may be kept as lists of numbers; the stored ones stay as they are.

    Positions of topics, what is produced, and filters are new: older stores have none of it.
    """
    for name, columns in _ADDED_IN_6.items():
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
    cursor.execute("ALTER TABLE events_log RENAME TO events_kept")
    cursor.execute("ALTER TABLE events_kept RENAME COLUMN raw TO line")
    cursor.execute("ALTER TABLE events_kept ALTER COLUMN line DROP NOT NULL")
    cursor.execute("ALTER TABLE events_kept ADD COLUMN shape_id INTEGER")
    cursor.execute("ALTER TABLE events_kept ADD COLUMN numbers DOUBLE[]")
    cursor.execute(f"CREATE TABLE shapes ({KEPT_TABLES['shapes']})")
    make_log(cursor)


def _note_ends(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 7: which partitions had ended; of those of older stores that is not known."""
    cursor.execute("ALTER TABLE partitions ADD COLUMN IF NOT EXISTS ended BOOLEAN DEFAULT false")


def _part_filters(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 8: filters in pieces. Whole ones could not be written any more beyond some sixty."""
    columns = cursor.execute("SELECT * FROM seen_filters LIMIT 0").description
    if any(name == "part" for name, *_ in columns):
        return
    cursor.execute("ALTER TABLE seen_filters RENAME TO seen_whole")
    cursor.execute(f"CREATE TABLE seen_filters ({SEEN_TABLES['seen_filters']})")
    stored = cursor.execute("SELECT segment FROM seen_whole ORDER BY segment").fetchall()
    for (segment,) in stored:  # one by one: each has six megabytes
        words = first(cursor, "SELECT words FROM seen_whole WHERE segment = ?", [segment])
        store_filter(cursor, segment, words[0] if words else b"")
    cursor.execute("DROP TABLE seen_whole")


def _keep_bare(cursor: duckdb.DuckDBPyConnection) -> None:
    """Version 9: a table for events without properties; those that are stored stay as they are."""
    cursor.execute(f"CREATE TABLE IF NOT EXISTS events_bare ({KEPT_TABLES['events_bare']})")
    make_log(cursor)


MIGRATIONS: Mapping[int, Callable[[duckdb.DuckDBPyConnection], None]] = {
    2: _add_rules,
    3: _add_anomaly_jobs,
    4: _add_jobs,
    5: _add_changes,
    6: _keep_numbers,
    7: _note_ends,
    8: _part_filters,
    9: _keep_bare,
}
"""By the version that each leads to, from the one before."""
