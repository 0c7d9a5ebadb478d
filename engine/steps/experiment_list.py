"""The experiments that are known, sorted, searched, in pages; and how a job is known at all.

An experiment is known because it was made (`step_experiments`), or because events name it: then its
id stands for its name. Who may see some jobs only sees the experiments that one of these names.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from engine.asking import first
from engine.errors import QueryError
from engine.steps.job_list import conditions
from engine.steps.search_text import search_terms
from engine.values import shown

__all__ = [
    "EXPERIMENT_SEARCHABLE",
    "EXPERIMENT_SORTABLE",
    "ExperimentQuestion",
    "KnownExperiment",
    "experiment_names",
    "job_known",
    "known_experiments",
]

EXPERIMENT_SORTABLE = {
    "id": None,
    "name": "name",
    "description": "description",
    "createdOn": "created",
    "lastModifiedOn": "modified",
}
"""What `sort_by` may name, and the column; equal experiments stand by id."""

EXPERIMENT_SEARCHABLE = {"id": "id", "name": "name", "description": "description", "tag": "tag"}

_BY_ID = "if(regexp_full_match(id, '0|[1-9][0-9]*'), length(id), NULL)"

_EXPERIMENTS = """
    WITH told AS (
        SELECT experiment_id AS id, min(time) AS created, max(time) AS modified
        FROM step_log WHERE experiment_id IS NOT NULL AND {seen} GROUP BY ALL),
    made AS (
        SELECT experiment_id::VARCHAR AS id, name, definition, made_time, made_by
        FROM step_experiments WHERE {made}),
    known AS (
        SELECT id, coalesce(name, id) AS name, coalesce(made_time, created) AS created,
            coalesce(made_time, modified) AS modified, definition, made_by,
            json_extract_string(definition, '/description') AS description,
            coalesce(json_extract_string(definition, '/group')::BIGINT, 1) AS group_id,
            NULL::VARCHAR AS tag
        FROM told FULL JOIN made USING (id)),
    found AS (SELECT * FROM known WHERE {where})
    SELECT count(*), (list(struct_pack(id := id, name := name, created := created,
        modified := modified, definition := definition, made_by := made_by)
        ORDER BY {order}))[$start + 1 : $stop]
    FROM found"""

_MADE_SEEN = """(
    experiment_id::VARCHAR IN (SELECT id FROM told) OR experiment_id IN (
        SELECT experiment_id FROM step_jobs
        WHERE job_id::VARCHAR IN (SELECT unnest($seen::VARCHAR[]))))"""

# A value that names no experiment must not take a job out of the one that its other values name.
_KNOWN_JOB = """
    SELECT
        EXISTS (SELECT 1 FROM step_jobs WHERE job_id::VARCHAR = $job)
        OR EXISTS (SELECT 1 FROM step_latest WHERE job_id = $job),
        coalesce(
            (SELECT experiment_id::VARCHAR FROM step_jobs WHERE job_id::VARCHAR = $job),
            (SELECT max(struct_pack(time := time, experiment_id := experiment_id)).experiment_id
            FROM step_latest WHERE job_id = $job AND experiment_id IS NOT NULL))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentQuestion:
    """Which experiments are asked for.

    Attributes
    ----------
    experiment : str or None
        An id; None: any.
    group : int or None
        Only those made for this group; None: of any.
    start, length : int
        The place of the first one, and how many at most.
    sort_by : str, optional
        One of `EXPERIMENT_SORTABLE`; by id when absent.
    search : str
        In the language of `engine.steps.search_text`, over `EXPERIMENT_SEARCHABLE`.
    seen : frozenset of str or None
        Ids of the only jobs that there are for the asker; None: all.
    """

    experiment: str | None = None
    group: int | None = None
    start: int = 0
    length: int = 1
    sort_by: str | None = None
    descending: bool = False
    search: str = ""
    seen: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KnownExperiment:
    """What is known of an experiment; times are UTC, without a zone.

    Attributes
    ----------
    definition : mapping or None
        What it was made with; None: it was not made, only events name it.
    """

    id: str
    name: str
    created: datetime
    modified: datetime
    definition: Mapping[str, Any] | None
    made_by: str | None


def known_experiments(
    cursor: duckdb.DuckDBPyConnection, asked: ExperimentQuestion
) -> tuple[int, tuple[KnownExperiment, ...]]:
    """Give how many experiments there are, and those asked for.

    Raises
    ------
    QueryError
        If the order or the search is none.
    """
    where, bound = conditions(search_terms(asked.search), EXPERIMENT_SEARCHABLE)
    seen = made = "true"
    if asked.experiment is not None:
        where += " AND id = $experiment"
        bound["experiment"] = asked.experiment
    if asked.group is not None:
        where += " AND group_id = $group"
        bound["group"] = asked.group
    if asked.seen is not None:
        seen, made = "job_id IN (SELECT unnest($seen::VARCHAR[]))", _MADE_SEEN
        bound["seen"] = sorted(asked.seen)
    order = _order(asked.sort_by, descending=asked.descending)
    sql = _EXPERIMENTS.format(seen=seen, made=made, where=where, order=order)
    bound |= {"start": asked.start, "stop": asked.start + asked.length}
    total, rows = first(cursor, sql, bound) or (0, None)
    return total, tuple(_experiment(row) for row in rows or ())


def job_known(cursor: duckdb.DuckDBPyConnection, job_id: str) -> tuple[bool, str | None]:
    """Tell whether a job was made or has logged anything, and which experiment it is in.

    That is the one it was made in, else the one that the newest of its latest values names.
    """
    row = first(cursor, _KNOWN_JOB, {"job": job_id})
    return (False, None) if row is None else (bool(row[0]), row[1])


def experiment_names(cursor: duckdb.DuckDBPyConnection, ids: Collection[str]) -> dict[str, str]:
    """Give the names of those experiments that were made, by id."""
    rows = cursor.execute(
        "SELECT experiment_id::VARCHAR, name FROM step_experiments"
        " WHERE experiment_id::VARCHAR IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": sorted(ids)},
    ).fetchall()
    return dict(rows)


def _order(sort_by: str | None, *, descending: bool) -> str:
    name = "id" if sort_by is None else sort_by
    if name not in EXPERIMENT_SORTABLE:
        msg = f"`sort_by` must be one of {', '.join(EXPERIMENT_SORTABLE)}, got {shown(sort_by)}"
        raise QueryError(msg)
    direction = "DESC" if descending else "ASC"
    column = EXPERIMENT_SORTABLE[name]
    if column is None:
        return f"{_BY_ID} {direction} NULLS LAST, id {direction}"
    return f"{column} {direction} NULLS LAST, {_BY_ID} NULLS LAST, id"


def _experiment(row: Mapping[str, Any]) -> KnownExperiment:
    definition = row["definition"]
    return KnownExperiment(
        **{**row, "definition": None if definition is None else json.loads(definition)}
    )
