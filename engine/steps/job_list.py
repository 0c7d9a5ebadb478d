"""The jobs that are known, of one experiment or of all: sorted, searched, in pages.

A job is known by the values it has logged, or because it was made (`step_jobs`). What is told of
one that was made is what it was made with; of another it is what events tell: its first and last
value (`createdOn`, `lastModifiedOn`), and the status and type of the last `run` event that names it
(`status`, `entrypoint`): the greatest (time, status, type).

A job has one experiment: the one it was made in, else of its values in force that name one that
with the greatest (time, experiment_id). No job carries a tag: none is found by it.

Cost: one grouping of all values of the jobs that ever named the experiment; of all jobs by id, of
the values of those on the page.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb

from engine.asking import first
from engine.errors import QueryError
from engine.steps.search_text import ESCAPE, Term, search_terms
from engine.steps.step_views import LOG_ROWS, STEP_KEYS, winners
from engine.values import shown

__all__ = ["SEARCHABLE", "SORTABLE", "JobQuestion", "KnownJob", "conditions", "known_jobs"]

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
_OF_METRICS = f"job_id IN (SELECT job_id FROM held WHERE name {{matched}} ESCAPE '{ESCAPE}')"

_RUN = '{{"status":"VARCHAR","job_type":"VARCHAR"}}'  # twice as many: a template

_JOBS = f"""
    WITH named AS MATERIALIZED (
        SELECT job_id FROM (
            SELECT DISTINCT job_id FROM step_log WHERE {{logged}}
            UNION SELECT job_id::VARCHAR FROM step_jobs WHERE {{made}}) WHERE {{seen}}),
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
    made AS (
        SELECT job_id::VARCHAR AS job_id, experiment_id::VARCHAR AS in_experiment, made_time,
            made_by, definition,
            json_extract_string(definition, ['/description', '/status', '/entrypoint', '/queue',
                '/timeout', '/changed_us']) AS told
        FROM step_jobs WHERE job_id::VARCHAR IN (SELECT job_id FROM named)),
    jobs AS (
        SELECT job_id, coalesce(made_time, created) AS created,
            greatest(make_timestamp(told[6]::BIGINT), made_time, modified) AS modified,
            coalesce(in_experiment, experiment) AS experiment,
            coalesce(told[2], run.status) AS status, coalesce(told[3], run.job_type) AS entrypoint,
            told[1] AS description, told[4] AS queue, NULL::VARCHAR AS tag, told[5] AS timeout,
            definition, made_by
        FROM named LEFT JOIN lived USING (job_id) LEFT JOIN ran USING (job_id)
            LEFT JOIN made USING (job_id)
        WHERE {{of}}),
    found AS (SELECT * FROM jobs WHERE {{where}})
    SELECT count(*), (list(struct_pack(id := job_id, created := created, modified := modified,
        experiment := experiment, status := status, entrypoint := entrypoint,
        definition := definition, made_by := made_by) ORDER BY {{order}}))[$start + 1 : $stop]
    FROM found"""


_SEEN = "job_id IN (SELECT unnest($seen::VARCHAR[]))"
_IDS = """
    SELECT count(*), (list(job_id ORDER BY {order}))[$start + 1 : $stop]
    FROM (SELECT DISTINCT job_id FROM step_latest UNION SELECT job_id::VARCHAR FROM step_jobs)
    WHERE {seen}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuestion:
    """Which jobs are asked for.

    Attributes
    ----------
    experiment, job : str or None
        Ids; None: of any experiment, any job.
    start, length : int
        The place of the first one, and how many at most.
    sort_by : str, optional
        One of `SORTABLE`; by id when absent. Numeric ids stand in numeric order before the others,
        jobs without the property last.
    search : str
        In the language of `engine.steps.search_text`, over `SEARCHABLE`.
    seen : frozenset of str or None
        Ids of the only jobs that there are for the asker; None: all.
    """

    experiment: str | None = None
    job: str | None = None
    start: int = 0
    length: int = 1
    sort_by: str | None = None
    descending: bool = False
    search: str = ""
    seen: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KnownJob:
    """What is known of a job; times are UTC, without a zone.

    Attributes
    ----------
    entrypoint : str or None
        The id of its entry point, or its type where `run` events tell of it.
    definition : mapping or None
        What it was made with; None: it was not made, only events tell of it.
    """

    id: str
    created: datetime
    modified: datetime
    experiment: str | None
    status: str | None
    entrypoint: str | None
    definition: Mapping[str, Any] | None
    made_by: str | None


def known_jobs(
    cursor: duckdb.DuckDBPyConnection, asked: JobQuestion
) -> tuple[int, tuple[KnownJob, ...]]:
    """Give how many jobs there are, and those asked for.

    Raises
    ------
    QueryError
        If the order or the search is none.
    """
    terms = search_terms(asked.search)
    of_all = asked.experiment is None and asked.job is None
    if of_all and not terms and asked.sort_by in (None, "id"):
        return _by_id_alone(cursor, asked)
    return _asked(cursor, asked, terms)


def _by_id_alone(
    cursor: duckdb.DuckDBPyConnection, asked: JobQuestion
) -> tuple[int, tuple[KnownJob, ...]]:
    """Find which of all jobs are asked for before anything else of them is looked at."""
    bound: dict[str, object] = {"start": asked.start, "stop": asked.start + asked.length}
    if asked.seen is not None:
        bound["seen"] = sorted(asked.seen)
    order = _order(None, descending=asked.descending)
    sql = _IDS.format(order=order, seen="true" if asked.seen is None else _SEEN)
    total, ids = first(cursor, sql, bound) or (0, None)
    page = replace(asked, seen=frozenset(ids or ()), start=0)
    return total, _asked(cursor, page, ())[1]


def _asked(
    cursor: duckdb.DuckDBPyConnection, asked: JobQuestion, terms: tuple[Term, ...]
) -> tuple[int, tuple[KnownJob, ...]]:
    where, bound = conditions(terms, SEARCHABLE, _OF_METRICS)
    logged, made, of, seen = ["true"], ["true"], "true", "true"
    if asked.experiment is not None:
        of = "coalesce(in_experiment, experiment) = $experiment"
        logged.append("experiment_id = $experiment")
        made.append("experiment_id::VARCHAR = $experiment")
        bound["experiment"] = asked.experiment
    if asked.job is not None:
        logged.append("job_id = $job")
        made.append("job_id::VARCHAR = $job")
        bound["job"] = asked.job
    if asked.seen is not None:
        seen = _SEEN
        bound["seen"] = sorted(asked.seen)
    sql = _JOBS.format(
        logged=" AND ".join(logged),
        made=" AND ".join(made),
        of=of,
        seen=seen,
        where=where,
        order=_order(asked.sort_by, descending=asked.descending),
    )
    bound |= {"start": asked.start, "stop": asked.start + asked.length}
    total, rows = first(cursor, sql, bound) or (0, None)
    return total, tuple(_job(row) for row in rows or ())


def conditions(
    terms: tuple[Term, ...], fields: Mapping[str, str | None], special: str = ""
) -> tuple[str, dict[str, object]]:
    """Give the condition that all terms state, as SQL, and what it is bound to.

    Parameters
    ----------
    fields : mapping of str to str or None
        What a term may name, and the column; None: `special` says how it is matched.
    special : str
        SQL with `{matched}`, in which the comparison with the pattern is put.

    Raises
    ------
    QueryError
        A term names none of the fields.
    """
    found, bound = ["true"], dict[str, object]()
    for number, term in enumerate(terms):
        if term.field is not None and term.field not in fields:
            msg = f"`search` must name one of {', '.join(fields)}, got {shown(term.field)}"
            raise QueryError(msg)
        matched = f"ILIKE $term_{number}"
        columns = {fields[name] for name in (fields if term.field is None else (term.field,))}
        ways = sorted(
            special.format(matched=matched)
            if column is None
            else f"{column} {matched} ESCAPE '{ESCAPE}'"
            for column in columns
        )
        found.append(f"({' OR '.join(ways)})")
        bound[f"term_{number}"] = term.pattern
    return " AND ".join(found), bound


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


def _job(row: Mapping[str, Any]) -> KnownJob:
    definition = row["definition"]
    return KnownJob(**{**row, "definition": None if definition is None else json.loads(definition)})
