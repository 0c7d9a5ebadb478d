"""The answers of get-buckets: buckets with their influencers, and with their records if asked for.

The path of an answer: parameters -> the buckets that match, counted -> those of the page -> their
influencers, and their records, in one statement each -> plain values as JSON has them. Within one
transaction the parts belong together.
"""

from collections import defaultdict
from typing import Any

import duckdb

from engine.anomaly.queries.asked_values import instant_of
from engine.anomaly.queries.bucket_parameters import BucketParameters
from engine.anomaly.queries.record_answers import record_of
from engine.anomaly.queries.result_pages import page, require_jobs, rows_of
from engine.anomaly.queries.result_relations import BUCKET_INFLUENCERS, BUCKETS, RECORDS, Relation
from engine.errors import NotFoundError, QueryError
from engine.query.parse_faults import Faults, told

__all__ = ["buckets"]

_MILLISECOND_US, _SECOND_US = 1_000, 1_000_000


def buckets(
    cursor: duckdb.DuckDBPyConnection,
    job_id: str,
    parameters: BucketParameters,
    timestamp: object = None,
) -> dict[str, Any]:
    """Answer get-buckets.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Where the relations of `engine.anomaly_views` can be read.
    job_id : str
    parameters : BucketParameters
    timestamp : str, int or float, optional
        The start of the one bucket that is asked for, whether interim or not.

    Returns
    -------
    dict
        `count`, of all buckets that match, and `buckets`, those of the page.

    Raises
    ------
    NotFoundError
        There is no such job, or no bucket at the timestamp.
    QueryError
        The timestamp is none, or what would restrict the buckets is told with it.
    """
    if timestamp is None:
        count, found = page(cursor, BUCKETS, job_id, parameters)
    else:
        count, found = 1, [_at(cursor, job_id, parameters, timestamp)]
    influencers = _parts(cursor, BUCKET_INFLUENCERS, job_id, found)
    records = _parts(cursor, RECORDS, job_id, found) if parameters.expand else {}
    return {
        "count": count,
        "buckets": [
            _bucket(row, influencers[row["timestamp"]], records.get(row["timestamp"]))
            for row in found
        ],
    }


def _at(
    cursor: duckdb.DuckDBPyConnection, job_id: str, parameters: BucketParameters, timestamp: object
) -> dict[str, Any]:
    if parameters.restricting:
        msg = f"`{parameters.restricting[0]}` must be absent where one bucket is asked for"
        raise QueryError(msg)
    faults = Faults()
    at_us = instant_of(faults, timestamp, "timestamp")
    faults.raise_any()
    # Here -1 is a time like any other.
    bound = {"job": job_id, "at": -_MILLISECOND_US if at_us is None else at_us}
    where = "r.job_id = $job AND r.timestamp = make_timestamp($at)"
    found = rows_of(cursor, BUCKETS, where, bound)
    if not found:
        require_jobs(cursor, [job_id])
        msg = f"No known bucket of job '{job_id}' with timestamp {told(timestamp)}"
        raise NotFoundError(msg)
    return found[0]


def _parts(
    cursor: duckdb.DuckDBPyConnection, relation: Relation, job_id: str, found: list[dict[str, Any]]
) -> defaultdict[int, list[dict[str, Any]]]:
    """Give what belongs to buckets, by their timestamps; records by rising probability."""
    parts: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    if not found:
        return parts
    starts = [row["timestamp"] * _MILLISECOND_US for row in found]
    first = "r.probability, " if relation is RECORDS else ""
    # The bounds are for the scan, which skips what lies outside.
    where = (
        "r.job_id = $job AND r.timestamp >= make_timestamp($low)"
        " AND r.timestamp <= make_timestamp($high)"
    )
    bound: dict[str, Any] = {"job": job_id, "low": min(starts), "high": max(starts)}
    span_us = found[0]["bucket_span"] * _SECOND_US
    if (bound["high"] - bound["low"]) // span_us >= 2 * len(found):
        # Buckets far from each other. Of those that are not, what lies between is sooner thrown
        # away than not read: it is never asked for.
        where += " AND r.timestamp IN (SELECT make_timestamp(unnest($starts::BIGINT[])))"
        bound["starts"] = starts
    where += f" ORDER BY r.timestamp, {first}{relation.order}"
    for row in rows_of(cursor, relation, where, bound):
        parts[row["timestamp"]].append(row)
    return parts


def _bucket(
    row: dict[str, Any], influencers: list[dict[str, Any]], records: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """Put a bucket together; without a record it has no field for them."""
    last = ("processing_time_ms", "result_type")
    bucket = {name: value for name, value in row.items() if name not in last}
    if records:
        bucket["records"] = [record_of(record) for record in records]
    return bucket | {"bucket_influencers": influencers} | {name: row[name] for name in last}
