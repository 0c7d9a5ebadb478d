"""Questions about step metrics: the latest values of jobs, and the history of one metric.

Latest is the value at the highest step, whenever it came. A job or metric that nothing is known of
has no values: the answer is empty, and no error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from engine.asking import number
from engine.steps.names import id_text, json_value
from engine.steps.pages import Page, check_page

__all__ = ["Metric", "Snapshot", "latest", "latest_of_jobs", "snapshots"]


@dataclass(frozen=True, slots=True)
class Metric:
    """The latest value of a metric of a job; NaN and infinities are values."""

    name: str
    value: float

    def to_json(self) -> dict[str, object]:
        """Give name and value; `nan`, `inf` and `-inf` as strings."""
        return {"name": self.name, "value": json_value(self.value)}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The value of a metric in force at one step; `timestamp` is UTC, without a zone."""

    name: str
    value: float
    step: int
    timestamp: datetime

    def to_json(self) -> dict[str, object]:
        """Give all four; the timestamp as ISO 8601 with its zone."""
        at = self.timestamp.replace(tzinfo=UTC).isoformat()
        return {
            "name": self.name,
            "value": json_value(self.value),
            "step": self.step,
            "timestamp": at,
        }


def latest(cursor: duckdb.DuckDBPyConnection, job_id: int | str) -> tuple[Metric, ...]:
    """Give the latest value of each metric of a job, by name.

    Raises
    ------
    QueryError
        If the id is none.
    """
    rows = cursor.execute(
        "SELECT name, value FROM _step_latest WHERE job_id = $job ORDER BY name",
        {"job": id_text(job_id, "job_id")},
    ).fetchall()
    return tuple(Metric(*row) for row in rows)


def snapshots(
    cursor: duckdb.DuckDBPyConnection,
    job_id: int | str,
    name: int | str,
    index: int = 0,
    page_length: int = 10,
) -> Page[Snapshot]:
    """Give a page of a metric's history, by step.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    job_id, name : int or str
        An integer is meant as its decimal text.
    index, page_length : int
        See `engine.steps.pages`.

    Raises
    ------
    QueryError
        If an id, the name or the page is none.
    """
    index, page_length = check_page(index, page_length)
    of = {"job": id_text(job_id, "job_id"), "name": id_text(name, "name")}
    where = "FROM step_log WHERE job_id = $job AND name = $name"
    total = number(cursor, f"SELECT count(DISTINCT step) {where}", of)
    rows = cursor.execute(
        "SELECT name, value, step, timestamp FROM step_metrics"
        " WHERE job_id = $job AND name = $name ORDER BY step LIMIT $length OFFSET $start",
        {**of, "length": page_length, "start": index * page_length},
    ).fetchall()
    return Page(index, page_length, total, tuple(Snapshot(*row) for row in rows))


def latest_of_jobs(
    cursor: duckdb.DuckDBPyConnection, job_ids: Sequence[int | str] | None = None
) -> pa.Table:
    """Give the latest values of many jobs by column, by job and name.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    job_ids : sequence of int or str, optional
        All jobs when absent.

    Returns
    -------
    pyarrow.Table
        `job_id`, `name` string, `step` int64, `value` double, `timestamp` timestamp[us].

    Raises
    ------
    QueryError
        If an id is none.
    """
    select = "SELECT job_id, name, step, value, time AS timestamp FROM _step_latest"
    order = "ORDER BY job_id, name"
    if job_ids is None:
        found: pa.Table = cursor.sql(f"{select} {order}").to_arrow_table()
        return found
    asked = pa.array([id_text(job_id, "job_id") for job_id in job_ids], pa.string())
    cursor.register("b_asked_jobs", pa.table({"job_id": asked}))
    try:
        wanted = "WHERE job_id IN (SELECT job_id FROM b_asked_jobs)"
        found = cursor.sql(f"{select} {wanted} {order}").to_arrow_table()
    finally:
        cursor.unregister("b_asked_jobs")
    return found
