"""The rows of a job that hold now, as SQL: predictions in force with the label that holds."""

from collections.abc import Iterable

import duckdb

from engine.asking import first
from engine.jobs.deployments import in_job_sql, mapped_models
from engine.jobs.filters import Predicate

__all__ = [
    "OUTCOME",
    "Part",
    "events_in_job",
    "events_sql",
    "labels_sql",
    "own_rows_sql",
    "rows_sql",
]

Part = tuple[int, int] | None
"""A range of `seq`, [low, high); None: the whole log."""

OUTCOME = ("label", "label_number", "label_time", "label_source")
"""The columns that an outcome says of its event."""

_EVENT = (
    "e.seq, e.model_id, e.event_id, e.event_time, e.received_time, e.prediction,"
    " e.prediction_number, e.score, e.job_id, e.batch_id, e.bucket_id,"
    " e.line, e.shape_id, e.numbers, e.raw"
)


def events_in_job(cursor: duckdb.DuckDBPyConnection, job_id: str) -> tuple[str, dict[str, object]]:
    """Give the shortest SQL for whether a row ``e`` of `events_log` belongs to a job.

    Either form of belonging is left out where no event in the store has it: together they cannot
    be told while scanning, which makes a count take twice as long.
    """
    mapped = mapped_models(cursor, job_id)
    if not mapped or not _any_event(cursor, "job_id IS NULL"):
        return in_job_sql("e", job_id, ())
    sql, values = in_job_sql("e", job_id, mapped)
    if not _any_event(cursor, "job_id = $job", {"job": job_id}):
        del values["job"]
        sql = f"e.job_id IS NULL AND e.model_id IN ({', '.join(f'${name}' for name in values)})"
    return sql, values


def _any_event(
    cursor: duckdb.DuckDBPyConnection, where: str, values: dict[str, object] | None = None
) -> bool:
    """Tell whether there is such an event; row groups without any are passed over."""
    return first(cursor, f"SELECT 1 FROM events_stored WHERE {where} LIMIT 1", values) is not None


def events_sql(wheres: Iterable[str], predicates: Iterable[Predicate], part: Part = None) -> str:
    """Select events in force, of a part of the log, that pass what needs no label to be told.

    Parameters
    ----------
    wheres : iterable of str
        Conditions on rows ``e`` of `events_log`.
    predicates : iterable of Predicate
    part : tuple of int, optional
    """
    if part is not None:
        wheres = [*wheres, f"e.seq >= {part[0]}", f"e.seq < {part[1]}"]
    events = (
        "SELECT e.* FROM events_log e ANTI JOIN events_retired USING (seq)"
        f" WHERE {' AND '.join(wheres)}"
    )
    for predicate in predicates:
        if not predicate.reads_labels:
            events = f"SELECT * FROM ({events}) r WHERE {predicate.sql}"
    return events


def labels_sql(predicates: Iterable[Predicate]) -> str:
    """Give SQL, over rows ``r``, of what needs the label to be told."""
    return " AND ".join(each.sql for each in predicates if each.reads_labels) or "true"


def rows_sql(events: str, part: Part = None) -> str:
    """Select the rows behind `events`, a SELECT of `events_log` with whatever conditions.

    Columns: those of the public view `events` but `properties`, with `seq` and `raw`. `part` is the
    range of `seq`, [low, high), that they are known to lie in.
    """
    return (
        f"SELECT {_EVENT},"
        " CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,"
        " CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END"
        " AS label_number,"
        " CASE WHEN o.event_seq IS NOT NULL THEN o.label_time"
        " WHEN e.label IS NOT NULL THEN e.event_time END AS label_time,"
        " CASE WHEN o.event_seq IS NOT NULL THEN o.label_source"
        " WHEN e.label IS NOT NULL THEN 'prediction' END AS label_source"
        f" FROM ({events}) e LEFT JOIN ({_outcomes_sql(part)}) o ON o.event_seq = e.seq"
    )


def own_rows_sql(events: str, part: Part = None, *, decided: bool) -> str:
    """Select the rows as `rows_sql`, with the labels that the events say themselves.

    With `decided` those alone that have an outcome, whose columns are ``held_label``,
    ``held_label_number``, ``held_label_time`` and ``held_label_source``.
    """
    held = "".join(f", o.{name} AS held_{name}" for name in OUTCOME) if decided else ""
    joined = f" JOIN ({_outcomes_sql(part)}) o ON o.event_seq = e.seq" if decided else ""
    # With `e.label IS NOT NULL` a comparison of `label_source` does not compile in DuckDB 2.0 where
    # all labels are NULL: it finds that out while planning, and stumbles over a constant.
    return (
        f"SELECT {_EVENT}, e.label, e.label_number,"
        " CASE WHEN e.label IS NOT NULL THEN e.event_time END AS label_time,"
        f" CASE WHEN strlen(e.label) >= 0 THEN 'prediction' END AS label_source{held}"
        f" FROM ({events}) e{joined}"
    )


def _outcomes_sql(part: Part = None) -> str:
    """Select the outcomes in force of events in a range of `seq`, [low, high)."""
    within = "" if part is None else f" AND event_seq >= {part[0]} AND event_seq < {part[1]}"
    return (
        f"SELECT event_seq, {', '.join(OUTCOME)} FROM outcomes"
        f" ANTI JOIN outcomes_retired USING (seq) WHERE property = ''{within}"
    )
