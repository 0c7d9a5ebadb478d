"""Pages of the results of a job: which ones match, how many there are, in which order they come."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from engine.anomaly.queries.bucket_parameters import OverallParameters, ResultParameters
from engine.anomaly.queries.result_relations import Relation
from engine.asking import first, number
from engine.errors import NotFoundError

__all__ = ["matching", "page", "require_jobs", "rows_of"]


def page(
    cursor: duckdb.DuckDBPyConnection,
    relation: Relation,
    job_id: str,
    parameters: ResultParameters,
) -> tuple[int, list[dict[str, Any]]]:
    """Give how many results match, and those of the page.

    Results that are equal in what they are sorted by come in the order of time, in the same
    direction.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    where, bound = matching(parameters, f"r.{relation.score}", "r.timestamp", "r.is_interim")
    where, bound = f"r.job_id = $job AND {where}", {"job": job_id, **bound}
    count = number(cursor, f"SELECT count(*) FROM {relation.name} AS r WHERE {where}", bound)
    if not count:
        require_jobs(cursor, [job_id])
    direction = "DESC" if parameters.desc else "ASC"
    order = f"{relation.sorts[parameters.sort]} {direction} NULLS LAST, r.timestamp {direction}"
    paged = f"{where} ORDER BY {order}, {relation.order} LIMIT $size OFFSET $skip"
    more = {"size": parameters.size, "skip": parameters.skip}
    return count, rows_of(cursor, relation, paged, bound | more)


def rows_of(
    cursor: duckdb.DuckDBPyConnection, relation: Relation, where: str, bound: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Give results by their fields; what has no value is left out.

    Parameters
    ----------
    where : str
        SQL, with what may follow a condition.
    bound : Mapping
        The values of its parameters.
    """
    told = ", ".join(f"{sql} AS {field}" for field, sql in relation.fields.items())
    rows = cursor.execute(
        f"SELECT {told} FROM {relation.name} AS r WHERE {where}", dict(bound)
    ).fetchall()
    return [
        {name: value for name, value in zip(relation.fields, row, strict=True) if value is not None}
        for row in rows
    ]


def matching(
    parameters: ResultParameters | OverallParameters, score: str, start: str, interim: str
) -> tuple[str, dict[str, object]]:
    """Give the condition as SQL, and what is bound in it: start <= timestamp < end (ELi-24).

    Parameters
    ----------
    parameters : ResultParameters or OverallParameters
    score, start, interim : str
        SQL of the score, of the start of a row, and of whether it is interim.
    """
    parts = [f"{score} >= $score"]
    bound: dict[str, object] = {"score": parameters.score}
    if parameters.start_us is not None:
        parts.append(f"{start} >= make_timestamp($start)")
        bound["start"] = parameters.start_us
    if parameters.end_us is not None:
        parts.append(f"{start} < make_timestamp($end)")
        bound["end"] = parameters.end_us
    if parameters.exclude_interim:
        parts.append(f"NOT {interim}")
    return " AND ".join(parts), bound


def require_jobs(cursor: duckdb.DuckDBPyConnection, job_ids: Sequence[str]) -> None:
    """Raise if one of some jobs is neither declared nor has left results.

    Raises
    ------
    NotFoundError
        Of the first one, in order of their ids.
    """
    unknown = first(
        cursor,
        "SELECT job_id FROM (SELECT unnest($jobs::VARCHAR[]) AS job_id)"
        " WHERE job_id NOT IN (SELECT job_id FROM anomaly_jobs)"
        " AND job_id NOT IN (SELECT job_id FROM anomaly_buckets) ORDER BY 1",
        {"jobs": list(job_ids)},
    )
    if unknown is not None:
        msg = f"No known job with id '{unknown[0]}'"
        raise NotFoundError(msg)
