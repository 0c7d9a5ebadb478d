"""What is known of anomaly jobs apart from their results: definitions, counters, annotations."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engine.anomaly.results.result_rows import stamps
from engine.config import AnomalyJobSettings, CalendarSettings

__all__ = [
    "Annotation",
    "Declared",
    "Stats",
    "annotate",
    "declare_calendars",
    "declare_jobs",
    "drop_stats",
    "write_stats",
]

_SECOND_US = 1_000_000
_STAMP = pa.timestamp("us")


@dataclass(frozen=True, slots=True)
class Declared:
    """A job in force; what its settings leave open, resolved.

    Attributes
    ----------
    definition : str
        What decides its results, as JSON.
    """

    settings: AnomalyJobSettings
    time_basis: str
    frequency_s: int
    renormalization_window_s: int
    definition: str


@dataclass(frozen=True, slots=True)
class Stats:
    """The counters of a job (ELi-22); times in µs of event time, None before the first.

    Attributes
    ----------
    status : str
        In a word: waiting, running, disabled, ...
    out_of_order_timestamp_count : int
        Rows that came after their bucket was closed.
    memory_status : str
        ``ok``, ``soft_limit`` or ``hard_limit``.
    processing_ms_min, processing_ms_max, processing_ms_mean, processing_ms_ewma : float or None
        Wall clock of a bucket.
    """

    job_id: str
    status: str
    processed_record_count: int = 0
    out_of_order_timestamp_count: int = 0
    missing_field_count: int = 0
    bucket_count: int = 0
    empty_bucket_count: int = 0
    sparse_bucket_count: int = 0
    earliest_record_us: int | None = None
    latest_record_us: int | None = None
    latest_empty_bucket_us: int | None = None
    latest_sparse_bucket_us: int | None = None
    series_count: int = 0
    unmodelled_entity_count: int = 0
    memory_bytes: int = 0
    memory_status: str = "ok"
    processing_ms_min: float | None = None
    processing_ms_max: float | None = None
    processing_ms_mean: float | None = None
    processing_ms_ewma: float | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that people should know of a job, from `start_s` to `end_s`.

    `event` is ``delayed_data``, ``model_snapshot_stored``, ``model_reset``, ``model_reverted``,
    ``empty_buckets_paused`` (from here on they are left out), ``empty_buckets_left_out``, ...
    """

    job_id: str
    start_s: int
    end_s: int
    event: str
    annotation: str


def declare_jobs(
    cursor: duckdb.DuckDBPyConnection, jobs: Sequence[Declared], watermark_us: int | None
) -> None:
    """Write the jobs in force; all others are in force no more.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction.
    watermark_us : int or None
        From when on the new ones hold, where their definition differs from the stored one.
    """
    cursor.execute("UPDATE anomaly_jobs_known SET in_force = false WHERE in_force")
    if not jobs:
        return
    rows = [_row_of(each) for each in jobs]
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in _KINDS.items()}
    cursor.register("b_jobs", pa.table(columns))
    names = ", ".join(_KINDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in _KINDS if name != "job_id")
    cursor.execute(
        f"INSERT INTO anomaly_jobs_known ({names}, from_time, in_force)"
        f" SELECT {names}, make_timestamp($at), true FROM b_jobs"
        f" ON CONFLICT DO UPDATE SET {updates}, in_force = true, from_time = CASE"
        " WHEN anomaly_jobs_known.definition = excluded.definition"
        " THEN anomaly_jobs_known.from_time ELSE excluded.from_time END",
        {"at": watermark_us},
    )
    cursor.unregister("b_jobs")


_TEXTS = ("job_id", "model_id", "type", "description", "detectors", "filter")
_WHOLES = (
    *("latency_us", "memory_limit_bytes", "results_retention_us", "snapshot_s"),
    *("snapshot_retention_s", "daily_snapshot_after_s"),
)
_KINDS: dict[str, pa.DataType] = {
    **dict.fromkeys((*_TEXTS, "time_basis", "normalizer", "definition"), pa.string()),
    **dict.fromkeys((*_WHOLES, "span_s", "frequency_s", "renormalization_window_s"), pa.int64()),
    **dict.fromkeys(("groups", "influencers"), pa.list_(pa.string())),
    "enabled": pa.bool_(),
}


def _row_of(job: Declared) -> dict[str, Any]:
    told = job.settings
    return {
        "job_id": told.job_id,
        "model_id": told.model,
        "type": told.type,
        "description": told.description,
        "detectors": json.dumps([asdict(each) for each in told.detectors], ensure_ascii=False),
        "filter": told.filter,
        "time_basis": job.time_basis,
        "normalizer": told.normalizer,
        "definition": job.definition,
        **{name: getattr(told, name) for name in _WHOLES},
        "span_s": told.bucket_span_s,
        "frequency_s": job.frequency_s,
        "renormalization_window_s": job.renormalization_window_s,
        "groups": list(told.groups),
        "influencers": list(told.influencers),
        "enabled": told.enabled,
    }


def declare_calendars(
    cursor: duckdb.DuckDBPyConnection, calendars: Iterable[CalendarSettings]
) -> None:
    """Write the calendars in force, in the place of those before; one row an event."""
    rows = [(calendar, event) for calendar in calendars for event in (calendar.events or (None,))]
    cursor.execute("DELETE FROM calendars_known")
    if not rows:
        return
    events = [event for _, event in rows]
    table = pa.table(
        {
            "calendar_id": pa.array([each.calendar_id for each, _ in rows], pa.string()),
            "description": pa.array([each.description for each, _ in rows], pa.string()),
            "job_ids": pa.array([list(each.job_ids) for each, _ in rows], pa.list_(pa.string())),
            "event_description": pa.array([e and e.description for e in events], pa.string()),
            "start_time": pa.array([e and e.start_us for e in events], pa.int64()).cast(_STAMP),
            "end_time": pa.array([e and e.end_us for e in events], pa.int64()).cast(_STAMP),
        }
    )
    cursor.register("b_calendars", table)
    cursor.execute("INSERT INTO calendars_known BY NAME SELECT * FROM b_calendars")
    cursor.unregister("b_calendars")


def write_stats(cursor: duckdb.DuckDBPyConnection, stats: Sequence[Stats]) -> None:
    """Put the counters of some jobs in the place of those before; each job once."""
    if not stats:
        return
    columns: dict[str, pa.Array[Any]] = {}
    for each in fields(Stats):
        values = [getattr(row, each.name) for row in stats]
        if each.name.endswith("_us"):
            name = each.name.removesuffix("_us")
            columns[name] = pa.array(values, pa.int64()).cast(_STAMP)
        else:
            kind = pa.float64() if each.name.startswith("processing_ms") else None
            columns[each.name] = pa.array(values, kind)
    cursor.register("b_stats", pa.table(columns))
    cursor.execute("INSERT OR REPLACE INTO anomaly_counters BY NAME SELECT * FROM b_stats")
    cursor.unregister("b_stats")


def drop_stats(cursor: duckdb.DuckDBPyConnection, job_id: str) -> None:
    """Forget the counters of a job."""
    cursor.execute("DELETE FROM anomaly_counters WHERE job_id = ?", [job_id])


def annotate(cursor: duckdb.DuckDBPyConnection, annotations: Sequence[Annotation]) -> None:
    """Write annotations; one that is there already is not written again."""
    if not annotations:
        return
    table = pa.table(
        {
            "job_id": pa.array([each.job_id for each in annotations], pa.string()),
            "timestamp": stamps(np.array([each.start_s for each in annotations])),
            "end_timestamp": stamps(np.array([each.end_s for each in annotations])),
            "event": pa.array([each.event for each in annotations], pa.string()),
            "annotation": pa.array([each.annotation for each in annotations], pa.string()),
        }
    )
    cursor.register("b_annotations", table)
    cursor.execute(
        "INSERT INTO annotations_log BY NAME"
        " SELECT * FROM b_annotations EXCEPT SELECT * FROM annotations_log ORDER BY ALL"
    )
    cursor.unregister("b_annotations")
