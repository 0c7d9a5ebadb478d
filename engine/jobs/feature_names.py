"""Which features the events of a base have that name no bucket, from samples of them.

The samples are lines next to each other at up to 32 places that lie evenly in the log, so that
little of it is read.
"""

from collections.abc import Mapping

import duckdb

from engine.jobs.event_buckets import MAX_NAMES, plain_names

__all__ = ["feature_names"]

_SPAN = 1 << 14  # stored lines of which one place is known
_PLACES = 32
_LINES = 256  # looked at in each


def feature_names(
    cursor: duckdb.DuckDBPyConnection, where: str, parameters: Mapping[str, object]
) -> tuple[str, ...] | None:
    """Give the names, in order; None: every event names its bucket.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    where : str
        SQL: which rows of `events_log`, aliased ``e``.
    parameters : mapping
        What its `$names` are bound to.
    """
    lines = f"FROM events_log e WHERE e.bucket_id IS NULL AND {where}"
    rows = cursor.execute(
        f"SELECT min(e.seq) AS seq {lines} GROUP BY e.seq // {_SPAN} ORDER BY seq", parameters
    ).fetchall()
    if not rows:
        return None
    step = -(-len(rows) // _PLACES)
    looks = " UNION ALL ".join(
        f"SELECT json_keys(e.raw, '/features') AS names {lines}"
        f" AND e.seq >= {seq} AND e.seq < {seq + _LINES}"
        for (seq,) in rows[::step]
    )
    found = cursor.execute(
        f"SELECT name FROM (SELECT unnest(names) AS name FROM ({looks})) GROUP BY name"
        f" ORDER BY count(*) DESC, name LIMIT {MAX_NAMES}",
        parameters,
    ).fetchall()
    return plain_names([name for (name,) in found])
