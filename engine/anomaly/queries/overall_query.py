"""The answers of get-overall-buckets: how unusual a span of time was over several jobs (ELi-10).

Spans of the longest job's length are scored by the relation `anomaly_overall_buckets`: the mean of
the greatest scores of the jobs. A longer span has the greatest score of those that begin in it.
"""

from collections.abc import Sequence
from typing import Any

import duckdb

from engine.anomaly.queries.bucket_parameters import OverallParameters
from engine.anomaly.queries.result_pages import matching, require_jobs
from engine.asking import number
from engine.errors import QueryError

__all__ = ["overall_buckets"]

_FIELDS = ("timestamp", "bucket_span", "overall_score", "jobs", "is_interim", "result_type")
_MOST = 10_000

_OVERALL = """
SELECT epoch_ms(start), $span, score, jobs, is_interim, 'overall_bucket'
FROM (
    SELECT
        time_bucket(to_seconds($span), r.timestamp, TIMESTAMP '1970-01-01') AS start,
        max(r.overall_score) AS score, flatten(list(r.jobs)) AS jobs,
        bool_or(r.is_interim) AS is_interim
    FROM anomaly_overall_buckets(top_n := $top, job_ids := $jobs) AS r
    GROUP BY start
)
WHERE {where}
ORDER BY start
LIMIT $most
"""


def overall_buckets(
    cursor: duckdb.DuckDBPyConnection, job_ids: Sequence[str], parameters: OverallParameters
) -> dict[str, Any]:
    """Answer get-overall-buckets: at most 10,000, the first ones in time.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Where the relations of `engine.anomaly_views` can be read.
    job_ids : sequence of str
    parameters : OverallParameters

    Raises
    ------
    NotFoundError
        One of the jobs is unknown.
    QueryError
        The span is shorter than the longest one of the jobs.
    """
    require_jobs(cursor, job_ids)
    jobs = list(job_ids)
    longest_s = number(
        cursor,
        "SELECT max(bucket_span) FROM anomaly_buckets"
        " WHERE list_contains($jobs::VARCHAR[], job_id)",
        {"jobs": jobs},
    )
    span_s = parameters.span_s or longest_s
    if span_s < longest_s:
        msg = f"`bucket_span` must be at least the longest of the jobs, {longest_s} s, got {span_s}"
        raise QueryError(msg)
    if not longest_s:
        return {"count": 0, "overall_buckets": []}
    where, bound = matching(parameters, "score", "start", "is_interim")
    rows = cursor.execute(
        _OVERALL.format(where=where),
        {"span": span_s, "top": parameters.top_n, "jobs": jobs, "most": _MOST, **bound},
    ).fetchall()
    found = [dict(zip(_FIELDS, row, strict=True)) for row in rows]
    return {
        "count": len(found),
        "overall_buckets": [row | {"jobs": _greatest(row["jobs"])} for row in found],
    }


def _greatest(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the greatest score of each job."""
    scores: dict[str, float] = {}
    for job in jobs:
        name, score = job["job_id"], job["max_anomaly_score"]
        scores[name] = max(score, scores.get(name, score))
    return [{"job_id": name, "max_anomaly_score": scores[name]} for name in sorted(scores)]
