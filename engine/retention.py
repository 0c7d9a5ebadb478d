"""Retention: whole segments of stored events and votes are dropped once all of them are too old.

A segment is the run of lines that one filter covers (`engine.seen`). Its predictions, votes and
outcomes go together, so pairing never sees half a history; matrices and panes stay. Rejects are
dropped by their time of receipt, evaluations of alert rules by the end of their window, results of
anomaly jobs by the start of their bucket.
"""

import duckdb

from engine.anomaly_tables import RESULT_TABLES
from engine.asking import number
from engine.processing.processing import drop_happenings
from engine.seen import SEGMENT_BITS

__all__ = [
    "drop_old_anomaly_results",
    "drop_old_evaluations",
    "drop_old_events",
    "drop_old_rejects",
]


def drop_old_events(cursor: duckdb.DuckDBPyConnection, before_us: int) -> list[int]:
    """Drop the segments whose every event and vote is earlier than `before_us`.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction.
    before_us : int
        Event time, µs.

    Returns
    -------
    list of int
        The segments dropped.
    """
    segments = [
        segment
        for (segment,) in cursor.execute(
            f"SELECT segment FROM (SELECT seq >> {SEGMENT_BITS} AS segment, event_time AS time"
            f" FROM events_stored UNION ALL SELECT seq >> {SEGMENT_BITS}, vote_time FROM votes_log"
            f" UNION ALL SELECT seq >> {SEGMENT_BITS}, event_time FROM runs_log"
            f" UNION ALL SELECT seq >> {SEGMENT_BITS}, event_time FROM ingests_log)"
            " GROUP BY segment HAVING max(time) < make_timestamp(?) ORDER BY segment",
            [before_us],
        ).fetchall()
    ]
    # The newest segment is still being written to, whatever the times in it are.
    newest = number(cursor, f"SELECT next_seq >> {SEGMENT_BITS} FROM clock")
    segments = [each for each in segments if each != newest]
    if segments:
        cursor.execute("INSERT OR REPLACE INTO settings VALUES ('events_dropped', 'true')")
    for segment in segments:
        low, high = segment << SEGMENT_BITS, (segment + 1) << SEGMENT_BITS
        cursor.execute(
            "DELETE FROM outcomes_retired WHERE seq IN (SELECT seq FROM outcomes"
            f" WHERE event_seq >= {low} AND event_seq < {high})"
        )
        cursor.execute(f"DELETE FROM outcomes WHERE event_seq >= {low} AND event_seq < {high}")
        for table in ("events_kept", "events_bare", "events_retired", "votes_log"):
            cursor.execute(f"DELETE FROM {table} WHERE seq >= {low} AND seq < {high}")
        drop_happenings(cursor, low, high)
        # Reference sets stay: what is compared with them is not over.
        cursor.execute(
            f"DELETE FROM other_events WHERE seq >= {low} AND seq < {high} AND type <> 'reference'"
        )
    return segments


def drop_old_rejects(cursor: duckdb.DuckDBPyConnection, before_us: int) -> None:
    """Drop the rejects received before `before_us`, wall clock in µs."""
    cursor.execute("DELETE FROM rejects_log WHERE received_time < make_timestamp(?)", [before_us])


def drop_old_evaluations(cursor: duckdb.DuckDBPyConnection, before_us: int) -> None:
    """Drop the evaluations of windows that ended before `before_us`, event time in µs.

    Where a rule stands must stay known, whatever its age: the last evaluation of each rule and
    group, and what was suppressed since its last alert.
    """
    cursor.execute(_DROP_EVALUATIONS, {"before": before_us})


_DROP_EVALUATIONS = """
DELETE FROM evaluations_log WHERE rowid IN (
    SELECT e.id FROM (
        SELECT *, max(place) OVER (PARTITION BY rule_id, rule_version, group_value) AS last FROM (
            SELECT rowid AS id, *, {place} AS place FROM evaluations_log
        )
    ) e LEFT JOIN (
        SELECT rule_id, rule_version, group_value, max({place}) AS given
        FROM alerts_log GROUP BY ALL
    ) a ON a.rule_id = e.rule_id AND a.rule_version = e.rule_version
        AND a.group_value IS NOT DISTINCT FROM e.group_value
    WHERE e.window_end < make_timestamp($before) AND e.place < e.last
        AND (e.state <> 'suppressed' OR e.place < a.given)
)""".format(place="coalesce(step, epoch_us(window_end))")  # rules on step metrics go by step


def drop_old_anomaly_results(
    cursor: duckdb.DuckDBPyConnection, job_id: str, before_us: int
) -> None:
    """Drop what an anomaly job said of buckets that began before `before_us`, event time in µs.

    With the results go the changes of their scores, and annotations that ended before.
    """
    told = {"job": job_id, "before": before_us}
    for table in (*RESULT_TABLES, "score_changes"):
        cursor.execute(
            f"DELETE FROM {table} WHERE job_id = $job AND timestamp < make_timestamp($before)", told
        )
    cursor.execute(
        "DELETE FROM annotations_log"
        " WHERE job_id = $job AND end_timestamp < make_timestamp($before)",
        told,
    )
