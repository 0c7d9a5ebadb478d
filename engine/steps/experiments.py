"""The latest metrics of all jobs of an experiment: sorted, searched, in pages.

Which jobs these are, and what they are sorted and searched by: `engine.steps.job_list`. A job that
was made in the experiment is one of them before it has logged anything.
"""

from dataclasses import dataclass

import duckdb

from engine.steps.job_list import SEARCHABLE, SORTABLE, JobQuestion, known_jobs
from engine.steps.names import id_text, json_id
from engine.steps.pages import Page, check_page
from engine.steps.step_queries import Metric, latest_of_jobs

__all__ = ["SEARCHABLE", "SORTABLE", "JobMetrics", "experiment_metrics", "page_of_metrics"]


@dataclass(frozen=True, slots=True)
class JobMetrics:
    """A job and the latest values of its metrics, by name."""

    id: str
    metrics: tuple[Metric, ...]

    def to_json(self) -> dict[str, object]:
        """Give both; the id as an integer where its text is that of one."""
        return {"id": json_id(self.id), "metrics": [metric.to_json() for metric in self.metrics]}


def experiment_metrics(
    cursor: duckdb.DuckDBPyConnection,
    experiment_id: int | str,
    index: int = 0,
    page_length: int = 10,
    *,
    sort_by: str | None = None,
    descending: bool | None = None,
    search: str | None = None,
) -> Page[JobMetrics]:
    """Give a page of the jobs of an experiment with their latest metrics.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    experiment_id : int or str
    index, page_length : int
        See `engine.steps.pages`; the entries counted are jobs.
    sort_by, search
        See `engine.steps.job_list.JobQuestion`.
    descending : bool, optional
        Greatest first.

    Raises
    ------
    QueryError
        If an argument breaks its rule.
    """
    index, page_length = check_page(index, page_length)
    asked = JobQuestion(
        experiment=id_text(experiment_id, "experiment_id"),
        start=index * page_length,
        length=page_length,
        sort_by=sort_by,
        descending=bool(descending),
        search=search or "",
    )
    return page_of_metrics(cursor, asked)


def page_of_metrics(cursor: duckdb.DuckDBPyConnection, asked: JobQuestion) -> Page[JobMetrics]:
    """Give the jobs asked for with their latest metrics; their first one begins a page.

    Raises
    ------
    QueryError
        If the order or the search is none.
    """
    total, found = known_jobs(cursor, asked)
    jobs: dict[str, list[Metric]] = {job.id: [] for job in found}
    if jobs:
        known = latest_of_jobs(cursor, list(jobs)).select(["job_id", "name", "value"])
        columns = (column.to_pylist() for column in known.columns)
        for job_id, name, value in zip(*columns, strict=True):
            jobs[job_id].append(Metric(name, value))
    data = tuple(JobMetrics(job_id, tuple(metrics)) for job_id, metrics in jobs.items())
    return Page(asked.start // asked.length, asked.length, total, data)
