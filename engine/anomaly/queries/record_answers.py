"""Records and influencers of a job as JSON values, under the names that ELi-07 has for them.

`actual` and `typical` are lists of one number. What has no value is left out. The explanation is
all that `engine.anomaly.scoring.record_rows` tells of the score.
"""

import json
from typing import Any

import duckdb

from engine.anomaly.queries.bucket_parameters import ResultParameters
from engine.anomaly.queries.result_pages import page
from engine.anomaly.queries.result_relations import INFLUENCERS, RECORDS

__all__ = ["influencers", "record_of", "records"]

_VALUES = ("actual", "typical")


def records(
    cursor: duckdb.DuckDBPyConnection, job_id: str, parameters: ResultParameters
) -> dict[str, Any]:
    """Answer get-records: how many records match, and those of the page.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    count, rows = page(cursor, RECORDS, job_id, parameters)
    return {"count": count, "records": [record_of(row) for row in rows]}


def influencers(
    cursor: duckdb.DuckDBPyConnection, job_id: str, parameters: ResultParameters
) -> dict[str, Any]:
    """Answer get-influencers: how many influencers match, and those of the page.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    count, rows = page(cursor, INFLUENCERS, job_id, parameters)
    return {"count": count, "influencers": rows}


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row of `RECORDS` as it is answered.

    >>> record_of({"actual": 3.0, "influencers": "[]", "explanation": '{"season": null}'})
    {'actual': [3.0], 'anomaly_score_explanation': {}}
    """
    told = _values(row)
    for name in ("influencers", "causes"):
        entries = json.loads(told.pop(name, "[]"))
        if entries:
            told[name] = [_values(entry) for entry in entries]
    if "explanation" in told:
        told["anomaly_score_explanation"] = _present(json.loads(told.pop("explanation")))
    return told


def _values(row: dict[str, Any]) -> dict[str, Any]:
    return {name: [value] if name in _VALUES else value for name, value in _present(row).items()}


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
