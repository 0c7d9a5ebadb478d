"""Takes the metric events of a block: into the log, and the latest value of each metric.

`step_log` gets every line as it is; the latest values are found again from it at any time, but
`step_latest` has them ready: one row per metric of the block, merged now and then. When it is
merged changes nothing that a query says, for the latest value is the greatest row of all, and the
greatest of the greatest ones is that.
"""

import duckdb

from engine.asking import first, number
from engine.steps.step_rows import STEP_COLUMNS, step_rows
from engine.steps.step_views import LATEST_KEYS, LOG_ROWS, winners

__all__ = ["Steps", "backfill"]

_MERGED = -1  # in place of a block: stands for all of them
_LATEST = "job_id, name, step, value, experiment_id, time, received, line"
_LOG = ", ".join(STEP_COLUMNS)


class Steps:
    """The step metrics of a store.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.steps.step_tables`; inside a transaction whenever `take` is called.
    least_rows : int
        So many rows of `step_latest` may wait for a merge in any case; else a quarter of the merged
        ones. A query spends 0.3 µs on each, a merge 1 µs on each row of both.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, least_rows: int = 20_000) -> None:
        self._cursor, self._least_rows = cursor, least_rows
        self._merged = self._waiting = 0

    def load(self) -> None:
        """Count what is stored; at the start, before the first block."""
        row = first(
            self._cursor,
            f"SELECT count(*) FILTER (block_seq = {_MERGED}),"
            f" count(*) FILTER (block_seq <> {_MERGED}) FROM step_latest",
        )
        self._merged, self._waiting = row or (0, 0)

    def take(self, block_seq: int) -> bool:
        """Take the metric events of a block into the tables.

        They stay in the temporary table `t_steps` until the next call that finds some: columns
        `seq`, `job_id`, `name`, `step`, `value`, `experiment_id`, `time`, `received`, `line`
        (see `engine.steps.step_rows`), in line order.

        Parameters
        ----------
        block_seq : int
            Running number of the block's first line; its other events are registered as `b_others`.

        Returns
        -------
        bool
            Whether there were any; if not, nothing was done.
        """
        cursor = self._cursor
        if not number(cursor, "SELECT count(*) FROM b_others WHERE type = 'metric'"):
            return False
        rows = step_rows("b_others", f"{block_seq} + ordinal", "make_timestamp(event_us)")
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_steps AS {rows}")
        cursor.execute(f"INSERT INTO step_log SELECT {_LOG} FROM t_steps")
        self._add(block_seq)
        return True

    def _add(self, block_seq: int) -> None:
        """Append the latest row of each metric of the block, or merge them with all others."""
        cursor = self._cursor
        rows = number(cursor, "SELECT count(*) FROM t_steps")
        if self._waiting + rows <= max(self._least_rows, self._merged // 4):
            found = winners("t_steps", LATEST_KEYS)
            self._waiting += number(
                cursor, f"INSERT INTO step_latest SELECT {_LATEST}, {block_seq} FROM ({found})"
            )
            return
        every = f"(SELECT {_LATEST} FROM step_latest UNION ALL SELECT {_LATEST} FROM t_steps)"
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_latest AS {winners(every, LATEST_KEYS)}"
            " ORDER BY job_id, name"  # those of one job lie together
        )
        cursor.execute("DELETE FROM step_latest")
        self._waiting = 0
        self._merged = number(
            cursor, f"INSERT INTO step_latest SELECT {_LATEST}, {_MERGED} FROM t_latest"
        )


def backfill(cursor: duckdb.DuckDBPyConnection) -> None:
    """Fill both tables, empty so far, from the lines in `other_events`."""
    rows = step_rows("other_events", "seq", "event_time")
    cursor.execute(f"INSERT INTO step_log SELECT {_LOG} FROM ({rows})")
    cursor.execute(
        f"INSERT INTO step_latest SELECT {_LATEST}, {_MERGED}"
        f" FROM ({winners(LOG_ROWS, LATEST_KEYS)}) ORDER BY job_id, name"
    )
