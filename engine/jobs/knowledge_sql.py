"""The knowledge base as SQL: parts of one statement, for those who count it or list its changes.

`late`: voted on after the deployment. Only what could be known by then is decided anew from the
earlier votes: an event up to the deployment, or one with an earlier vote. For all other events the
outcome that is stored is the one of the deployment, and the votes are not looked at. Keys are
hashes; an event that is held to be late though it only shares a key is decided anew to the same.

Parameters of the statements: those of `engine.jobs.deployments.in_job_sql`, `$deployed` and
`$horizon_us` (µs), `$administrators`.
"""

from collections.abc import Sequence

from engine.consensus import outcomes_query
from engine.jobs.event_buckets import with_buckets
from engine.panes import class_of

__all__ = ["IN_TIME", "base_sql", "changed_sql", "late_sql"]

IN_TIME = "e.event_time <= make_timestamp($deployed + $horizon_us)"
"""Whether an event may be in the base: no vote counts for one that is further from it."""

_T = "make_timestamp($deployed)"
_HELD = "FROM outcomes ANTI JOIN outcomes_retired USING (seq) WHERE property = ''"


def _winners(inside: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM events_stored e ANTI JOIN events_retired USING (seq)"
        f" WHERE {inside} AND {IN_TIME}"
    )


def _late(inside: str) -> str:
    """Give the parts up to `late_base`: what is late and in the base."""
    return f"""
administrators AS (SELECT unnest($administrators::VARCHAR[]) AS voter),
after AS MATERIALIZED (
    SELECT DISTINCT key FROM votes_log WHERE property = '' AND vote_time > {_T}
), early AS MATERIALIZED (
    SELECT v.* FROM votes_log v SEMI JOIN after USING (key)
    WHERE v.property = '' AND v.vote_time <= {_T}
), late AS MATERIALIZED (
    SELECT * FROM ({
        _winners(
            inside,
            "e.seq, e.key, e.model_id, e.event_id, e.event_time, e.label, e.label_number,"
            " e.bucket_id",
        )
    }) SEMI JOIN after USING (key)
    WHERE event_time <= {_T} OR key IN (SELECT key FROM early)
), decided AS MATERIALIZED ({outcomes_query("early", "late")}
), late_known AS (
    SELECT l.seq, l.key, l.model_id, l.event_id, l.event_time, l.bucket_id, l.label AS own,
        CASE WHEN d.event_seq IS NULL THEN l.label ELSE d.label END AS label,
        CASE WHEN d.event_seq IS NULL THEN l.label_number ELSE d.label_number END AS label_number,
        CASE WHEN d.event_seq IS NULL THEN l.event_time ELSE d.label_time END AS label_time
    FROM late l LEFT JOIN decided d ON d.event_seq = l.seq
    WHERE d.event_seq IS NOT NULL OR l.event_time <= {_T}
), late_base AS MATERIALIZED (
    SELECT * FROM late_known WHERE {class_of("label")} IS NOT NULL
)"""


def late_sql(inside: str, names: Sequence[str] | None) -> str:
    """Give the parts up to `late_buckets`: what is late and in the base, with its bucket.

    Parameters
    ----------
    inside : str
        Which events are the job's.
    names : sequence of str, optional
        Names of features, see `engine.jobs.event_buckets`; None: every event names its bucket.
    """
    rows = "SELECT b.* FROM late_base b"
    if names is not None:
        rows = "SELECT b.*, e.raw FROM late_base b JOIN events_log e USING (seq)"
    return f"{_late(inside)}, late_buckets AS MATERIALIZED ({_bucketed(rows, names)})"


def base_sql(inside: str, names: Sequence[str] | None) -> str:
    """Give the parts of `late_sql`, and `cells`: what is counted of the whole base.

    Of every bucket (its MD5, as a number; NULL: none) and `label` the `events` and the latest
    `label_us`.
    """
    raw = "" if names is None else ", raw"
    # Scalar subqueries, as their joins never hold the events, with all their JSON, in memory.
    rows = f"""
    SELECT bucket_id{raw},
        CASE WHEN outcome IS NULL THEN {class_of("label")} ELSE outcome.label END AS label,
        CASE WHEN outcome IS NULL THEN event_time ELSE outcome.label_time END AS label_time
    FROM (
        SELECT e.event_time, e.label, e.label_number, e.bucket_id{raw}, (
            SELECT {{'label': {class_of("o.label")}, 'label_time': o.label_time}}
            FROM (SELECT event_seq, label, label_number, label_time {_HELD}
                  AND (label_time <= {_T} OR label IS NULL)) o WHERE o.event_seq = e.seq
        ) AS outcome,
        (SELECT true FROM after WHERE after.key = e.key) AS is_late,
        (SELECT true FROM (SELECT DISTINCT seq FROM events_retired) r WHERE r.seq = e.seq) AS is_old
        FROM events_log e WHERE {inside} AND {IN_TIME}
    ) WHERE is_late IS NULL AND is_old IS NULL AND
        CASE WHEN outcome IS NULL THEN event_time <= {_T} AND {class_of("label")} IS NOT NULL
        ELSE outcome.label IS NOT NULL END"""
    return f"""{late_sql(inside, names)}, cells AS MATERIALIZED (
    SELECT md5_number(bucket) AS bucket, label,
        count(*) AS events, max(epoch_us(label_time)) AS label_us
    FROM (SELECT label, label_time, bucket FROM ({_bucketed(rows, names)})
          UNION ALL SELECT label, label_time, bucket FROM late_buckets) GROUP BY 1, 2
)"""


def _bucketed(rows: str, names: Sequence[str] | None) -> str:
    if names is None:
        return f"SELECT * EXCLUDE (bucket_id), bucket_id AS bucket FROM ({rows})"
    return with_buckets(rows, names)


def changed_sql(name: str = "changed") -> str:
    """Give a part, behind those of `late_sql`: the events that have another label now.

    Columns `seq`, `event_us`, `changed_us` (of the last vote that counts), `event_id`, `bucket`.
    """
    return f"""others AS (
    SELECT c.* FROM late_buckets c LEFT JOIN (SELECT event_seq, label {_HELD}) o
    ON o.event_seq = c.seq
    WHERE c.label IS DISTINCT FROM CASE WHEN o.event_seq IS NULL THEN c.own ELSE o.label END
), {name} AS MATERIALIZED (
    SELECT c.seq, any_value(epoch_us(c.event_time)) AS event_us,
        max(epoch_us(v.vote_time)) AS changed_us, any_value(c.event_id) AS event_id,
        any_value(c.bucket) AS bucket
    FROM others c JOIN votes_log v
    ON v.key = c.key AND v.model_id = c.model_id AND v.event_id = c.event_id
    WHERE v.property = '' AND abs(epoch_us(v.vote_time) - epoch_us(c.event_time)) <= $horizon_us
    GROUP BY c.seq
)"""
