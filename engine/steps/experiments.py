"""The latest metrics of all jobs of an experiment: sorted, searched, in pages.

A job has one experiment: of its values in force that name one, that with the greatest (time,
experiment_id) decides. What events tell of a job is its first and last value (`createdOn`,
`lastModifiedOn`), and the status and type of the last `run` event that names it (`status`,
`entrypoint`): the greatest (time, status, type). No event carries a description, a queue, a tag or
a time-out; sorted by one of these all jobs are equal, and none is found by it.

Cost: one grouping of all values of the jobs that ever named the experiment.
"""

from dataclasses import dataclass

import duckdb

from engine.asking import first
from engine.errors import QueryError
from engine.steps.names import id_text, json_id
from engine.steps.pages import Page, check_page
from engine.steps.search_text import ESCAPE, Term, search_terms
from engine.steps.step_queries import Metric, latest_of_jobs
from engine.steps.step_views import LOG_ROWS, STEP_KEYS, winners
from engine.values import shown

__all__ = ["SEARCHABLE", "SORTABLE", "JobMetrics", "experiment_metrics"]

SORTABLE = {
    "id": None,
    "description": "description",
    "createdOn": "created",
    "lastModifiedOn": "modified",
    "status": "status",
    "experiment": "experiment",
    "entrypoint": "entrypoint",
    "queue": "queue",
}
"""What `sort_by` may name, and the column; equal jobs stand by id."""

SEARCHABLE = {
    "id": "job_id",
    "job": "job_id",
    "experiment": "experiment",
    "status": "status",
    "entrypoint": "entrypoint",
    "description": "description",
    "queue": "queue",
    "tag": "tag",
    "timeout": "timeout",
    "name": None,
    "metric": None,
}
"""The fields of a search, and the column; `name` and `metric` are the names of its metrics."""

# Whole numbers in their order, before all other ids: of two, the longer text is the greater.
_BY_ID = "if(regexp_full_match(job_id, '0|[1-9][0-9]*'), length(job_id), NULL)"

_RUN = '{{"status":"VARCHAR","job_type":"VARCHAR"}}'  # twice as many: a template

_JOBS = f"""
    WITH named AS MATERIALIZED (
        SELECT DISTINCT job_id FROM step_log WHERE experiment_id = $experiment),
    held AS MATERIALIZED (
        {winners(f"(SELECT * FROM {LOG_ROWS} SEMI JOIN named USING (job_id))", STEP_KEYS)}),
    lived AS (
        SELECT job_id, min(time) AS created, max(time) AS modified,
            arg_max(experiment_id, struct_pack(time := time, experiment_id := experiment_id))
                FILTER (experiment_id IS NOT NULL) AS experiment
        FROM held GROUP BY job_id),
    ran AS (
        SELECT job_id, max(struct_pack(time := event_time, status := e.status,
            job_type := e.job_type)) AS run
        FROM (SELECT job_id, event_time,
                from_json(raw, '{_RUN}') AS e
            FROM other_events WHERE type = 'run' AND job_id IN (SELECT job_id FROM named))
        GROUP BY job_id),
    jobs AS (
        SELECT job_id, created, modified, experiment, run.status AS status,
            run.job_type AS entrypoint, NULL::VARCHAR AS description, NULL::VARCHAR AS queue,
            NULL::VARCHAR AS tag, NULL::VARCHAR AS timeout
        FROM lived LEFT JOIN ran USING (job_id) WHERE experiment = $experiment),
    found AS (SELECT * FROM jobs WHERE {{where}})
    SELECT count(*), (list(job_id ORDER BY {{order}}))[$start + 1 : $stop] FROM found"""


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
    sort_by : str, optional
        One of `SORTABLE`; by id when absent. Numeric ids stand in numeric order before the others,
        jobs without the property last.
    descending : bool, optional
        Greatest first.
    search : str, optional
        In the language of `engine.steps.search_text`, over `SEARCHABLE`.

    Raises
    ------
    QueryError
        If an argument breaks its rule.
    """
    index, page_length = check_page(index, page_length)
    order = _order(sort_by, descending=bool(descending))
    where, bound = _conditions(search_terms(search or ""))
    bound |= {
        "experiment": id_text(experiment_id, "experiment_id"),
        "start": index * page_length,
        "stop": (index + 1) * page_length,
    }
    row = first(cursor, _JOBS.format(where=where, order=order), bound)
    total, ids = row or (0, None)
    jobs: dict[str, list[Metric]] = {job_id: [] for job_id in ids or ()}
    if jobs:
        known = latest_of_jobs(cursor, list(jobs)).select(["job_id", "name", "value"])
        columns = (column.to_pylist() for column in known.columns)
        for job_id, name, value in zip(*columns, strict=True):
            jobs[job_id].append(Metric(name, value))
    data = tuple(JobMetrics(job_id, tuple(metrics)) for job_id, metrics in jobs.items())
    return Page(index, page_length, total, data)


def _order(sort_by: str | None, *, descending: bool) -> str:
    name = "id" if sort_by is None else sort_by
    if name not in SORTABLE:
        msg = f"`sort_by` must be one of {', '.join(SORTABLE)}, got {shown(sort_by)}"
        raise QueryError(msg)
    direction = "DESC" if descending else "ASC"
    column = SORTABLE[name]
    if column is None:
        return f"{_BY_ID} {direction} NULLS LAST, job_id {direction}"
    return f"{column} {direction} NULLS LAST, {_BY_ID} NULLS LAST, job_id"


def _conditions(terms: tuple[Term, ...]) -> tuple[str, dict[str, object]]:
    """Give the condition that all terms state, and what it is bound to."""
    found, bound = ["true"], dict[str, object]()
    for number, term in enumerate(terms):
        if term.field is not None and term.field not in SEARCHABLE:
            msg = f"`search` must name one of {', '.join(SEARCHABLE)}, got {shown(term.field)}"
            raise QueryError(msg)
        fields = SEARCHABLE if term.field is None else (term.field,)
        matched = f"ILIKE $term_{number} ESCAPE '{ESCAPE}'"
        ways = sorted({_condition(SEARCHABLE[field], matched) for field in fields})
        found.append(f"({' OR '.join(ways)})")
        bound[f"term_{number}"] = term.pattern
    return " AND ".join(found), bound


def _condition(column: str | None, matched: str) -> str:
    if column is None:
        return f"job_id IN (SELECT job_id FROM held WHERE name {matched})"
    return f"{column} {matched}"
