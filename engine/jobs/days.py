"""What was decided by UTC day: the merged rows of `decision_panes` added up, beside them.

A question about years reads some hundred days in place of thousands of hours. Days follow when
hours are merged, so that they cost the stream nothing; `DECIDED_DAYS` adds what is not merged yet.
"""

import duckdb

__all__ = ["DAY_S", "DECIDED_DAYS", "MERGED", "add_days"]

DAY_S = 86_400
"""Seconds of a day."""

MERGED = -1
"""The `block_seq` of rows of `decision_panes` that stand for all deltas of their cell."""

_KEYS = "model_id, job_id, day_s, label, prediction, label_source"
# Twice the remainder: days before 1970 are rounded down as well.
_NEW = (
    f"SELECT model_id, job_id, hour_s - (hour_s % {DAY_S} + {DAY_S}) % {DAY_S} AS day_s,"
    f" label, prediction, label_source, count FROM decision_panes WHERE block_seq <> {MERGED}"
)

DECIDED_DAYS = f"(SELECT {_KEYS}, count FROM decision_days UNION ALL {_NEW})"
"""FROM clause: all that was decided, by day; the counts of a cell may be several and add up.

What adds up to nothing is to be left out by `IS DISTINCT FROM 0`: `<> 0` behind a sum over a UNION
is folded away wrongly in DuckDB 2.0 where the statistics of the sum are off.
"""


def add_days(cursor: duckdb.DuckDBPyConnection) -> None:
    """Add the rows that are about to be merged to the days that they lie in."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_days AS {_NEW}")
    cursor.execute(
        f"INSERT INTO t_days SELECT {_KEYS}, count FROM decision_days"
        " WHERE day_s IN (SELECT day_s FROM t_days)"
    )
    cursor.execute("DELETE FROM decision_days WHERE day_s IN (SELECT day_s FROM t_days)")
    cursor.execute(
        f"INSERT INTO decision_days SELECT {_KEYS}, sum(count)::BIGINT FROM t_days"
        f" GROUP BY {_KEYS} HAVING sum(count) <> 0 ORDER BY day_s"
    )
    cursor.execute("DROP TABLE t_days")
