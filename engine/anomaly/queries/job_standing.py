"""How anomaly jobs stand: made when, open or closed, how far, and their counters.

A job is open unless it was made or closed over REST and not opened since: one that the
configuration file declares takes in posted records from the beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import duckdb

from engine.asking import first

__all__ = ["CLOSED", "OPENED", "Standing", "finalized_end_s", "standings", "state_of"]

OPENED = "opened"
CLOSED = "closed"

_STATE = "SELECT state FROM anomaly_job_states WHERE job_id = $job"
# A job that was deleted and made again counts from the later time.
_STANDINGS = """
SELECT wanted.job_id, coalesce(s.state, 'opened'), m.made_ms
FROM (SELECT unnest($jobs::VARCHAR[]) AS job_id) AS wanted
LEFT JOIN anomaly_job_states AS s USING (job_id)
LEFT JOIN (
    SELECT c.id AS job_id, epoch_us(min(c.made_time)) // 1000 AS made_ms
    FROM changes_log AS c
    LEFT JOIN (
        SELECT id, max(seq) AS seq FROM changes_log
        WHERE kind = 'anomaly_job' AND definition IS NULL GROUP BY id
    ) AS gone USING (id)
    WHERE c.kind = 'anomaly_job' AND c.definition IS NOT NULL AND c.seq > coalesce(gone.seq, 0)
    GROUP BY c.id
) AS m USING (job_id)
"""
_STATS = "SELECT * FROM anomaly_job_stats WHERE list_contains($jobs::VARCHAR[], job_id)"
_NEXT = "SELECT next_start_s FROM anomaly_states WHERE job_id = $job"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one job stands.

    Attributes
    ----------
    state : str
        ``opened`` or ``closed``.
    made_ms : int or None
        When it was made over REST, ms since the epoch; None: it was not.
    stats : Mapping
        The row of `anomaly_job_stats`, times in ms; empty before its first closed bucket.
    """

    state: str
    made_ms: int | None
    stats: Mapping[str, Any] = field(default_factory=dict)


def standings(
    cursor: duckdb.DuckDBPyConnection, job_ids: Sequence[str], *, stats: bool = False
) -> dict[str, Standing]:
    """Give how some jobs stand, by their ids; their counters only where `stats` says so."""
    told = {"jobs": list(job_ids)}
    counters: dict[str, dict[str, Any]] = {}
    if stats:
        rows = cursor.execute(_STATS, told)
        names = [each[0] for each in rows.description or ()]
        counters = {
            row[0]: {
                name: _milliseconds(value) for name, value in zip(names[1:], row[1:], strict=True)
            }
            for row in rows.fetchall()
        }
    return {
        job_id: Standing(state, made_ms, counters.get(job_id, {}))
        for job_id, state, made_ms in cursor.execute(_STANDINGS, told).fetchall()
    }


def _milliseconds(value: Any) -> Any:
    if not hasattr(value, "timestamp"):
        return value
    return round(value.replace(tzinfo=UTC).timestamp() * 1_000)


def state_of(cursor: duckdb.DuckDBPyConnection, job_id: str) -> str:
    """Tell whether a job is ``opened`` or ``closed``."""
    row = first(cursor, _STATE, {"job": job_id})
    return OPENED if row is None else str(row[0])


def finalized_end_s(cursor: duckdb.DuckDBPyConnection, job_id: str) -> int | None:
    """Give the end of the last closed bucket of a job, s since the epoch; None: there is none."""
    row = first(cursor, _NEXT, {"job": job_id})
    return None if row is None else int(row[0])
