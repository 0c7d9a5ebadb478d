"""How often each model decided what, with which label that holds now: `decision_panes`.

Every prediction counts once, in the UTC hour of its event time, under its own model and the job
that it names, with the label that the view `events` shows and where it came from. A label or a
prediction that is a number with a fraction is no class and counts as none. A block writes deltas;
what a label, a correction or a replaced prediction changes is taken back by -1 and counted by +1.

Deltas are merged hour by hour into one row a cell, marked by a `block_seq` of `MERGED`. The sums
are the same whenever that happens, so what is due is decided by cost alone: rows not yet merged
are never much more than a quarter of all. Merged rows are also added up by day, see
`engine.jobs.days`.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from engine.arrays import Flags
from engine.asking import number
from engine.jobs.cells import cells
from engine.jobs.days import MERGED, add_days
from engine.jobs.deployments import HOUR_S
from engine.panes import class_of, pane_of

__all__ = ["Decisions", "backfill_decisions", "merge_decisions"]

_CHECK_BLOCKS = 120  # about a minute at one commit every half second, as for other panes
_CHECK_ROWS = 100_000  # read in some milliseconds
_MOST_REWRITTEN = 4  # rows written anew for one that is merged: bounds what merging costs
_RANGE = 1 << 20  # stored lines counted at a time

_KEYS = "hour_s, model_id, job_id, label, prediction, label_source"
_INSERT = f"INSERT INTO decision_panes ({_KEYS}, count, block_seq)"


class Decisions:
    """Counts the decisions of block after block on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever a method is called.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._blocks, self._most = 0, _CHECK_ROWS
        self._rows = number(cursor, f"SELECT count(*) {_NEW}")

    def count_fresh(self, rows: pa.Table, block_seq: int, counted: pa.Table | None = None) -> None:
        """Count the predictions of a block that nothing stored, and no vote, has to do with.

        Parameters
        ----------
        rows : pyarrow.Table
            Its predictions: `model_id`, `job_id`, `event_us`, `label`, `label_number`,
            `prediction`, `prediction_number` and `fresh`.
        block_seq : int
            The number of the block's first line.
        counted : pyarrow.Table, optional
            What `cells` gives for all the rows, where it is known already.
        """
        fresh = rows["fresh"].to_numpy()
        if counted is None:
            found = cells(rows.filter(pa.array(fresh)))
        elif fresh.all():
            found = counted
        else:
            found = _added([counted, cells(rows.filter(pa.array(~fresh)), -1)])
        if not len(found):
            return
        self._cursor.register("b_decisions", found)
        self._rows += number(
            self._cursor, f"{_INSERT} SELECT {_KEYS}, count, {block_seq} FROM b_decisions"
        )
        self._cursor.unregister("b_decisions")

    def count_touched(self, block_seq: int, rows: str) -> None:
        """Count what settling has changed: `rows` is `t_effective` (see `engine.pairing`)."""
        # Only from a table: in one statement with what makes it, DuckDB 2.0 takes the sum of its
        # weights for 0 where an outcomes table is empty, and leaves everything out.
        self._rows += number(
            self._cursor,
            f"{_INSERT} SELECT {_KEYS}, sum(weight)::BIGINT, {block_seq}"
            f" FROM ({_decided(rows, 'weight,')}) GROUP BY {_KEYS} HAVING sum(weight) <> 0",
        )

    def merge(self) -> None:
        """Merge the deltas at the end of a block, if it is time and does not cost too much."""
        if not self._rows:
            return
        self._blocks += 1
        if self._blocks < _CHECK_BLOCKS and self._rows < self._most:
            return
        self._blocks = 0
        if number(self._cursor, _COUNT_HOURS) > _MOST_REWRITTEN * self._rows:
            self._most = self._rows + _CHECK_ROWS
            return
        merge_decisions(self._cursor)
        self._rows, self._most = 0, _CHECK_ROWS


def _added(parts: Sequence[pa.Table]) -> pa.Table:
    """Add up the counts of cells; what adds up to nothing goes."""
    keys = _KEYS.split(", ")
    found = pa.concat_tables(parts).group_by(keys, use_threads=False).aggregate([("count", "sum")])
    found = found.rename_columns([*keys, "count"])
    kept: Flags = found["count"].to_numpy() != 0
    return found.filter(pa.array(kept))


def merge_decisions(cursor: duckdb.DuckDBPyConnection) -> None:
    """Merge all rows of the hours that have deltas; what adds up to nothing goes."""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE t_merged AS SELECT {_KEYS}, sum(count)::BIGINT AS count,"
        f" {MERGED} AS block_seq FROM decision_panes SEMI JOIN (SELECT hour_s {_NEW})"
        f" USING (hour_s) GROUP BY {_KEYS} HAVING sum(count) <> 0 ORDER BY {_KEYS}"
    )
    add_days(cursor)
    cursor.execute(f"DELETE FROM decision_panes WHERE hour_s IN (SELECT hour_s {_NEW})")
    cursor.execute(f"{_INSERT} SELECT * FROM t_merged")
    cursor.execute("DROP TABLE t_merged")


def backfill_decisions(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make `decision_panes` anew from the stored predictions and the outcomes in force."""
    for table in ("decision_panes", "decision_days"):
        cursor.execute(f"DELETE FROM {table}")
    for low in range(0, number(cursor, "SELECT max(seq) + 1 FROM events_log"), _RANGE):
        stored = _STORED.format(low=low, high=low + _RANGE)
        cursor.execute(
            f"{_INSERT} SELECT {_KEYS}, count(*), {low} FROM ({_decided(stored)}) GROUP BY {_KEYS}"
        )
    merge_decisions(cursor)


_NEW = f"FROM decision_panes WHERE block_seq <> {MERGED}"
_COUNT_HOURS = f"SELECT count(*) FROM decision_panes WHERE hour_s IN (SELECT hour_s {_NEW})"


def _decided(rows: str, more: str = "") -> str:
    """Select the keys of events that have the label that holds."""
    return (
        f"SELECT {more} {pane_of('event_time', HOUR_S)} AS hour_s, model_id, job_id,"
        f" {class_of('label')} AS label, {class_of('prediction')} AS prediction, label_source"
        f" FROM {rows}"
    )


# Stored events in force, with the outcome's label, else their own.
_STORED = (
    "(SELECT e.event_time, e.model_id, e.job_id, e.prediction, e.prediction_number,"
    " CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,"
    " CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END"
    " AS label_number,"
    " CASE WHEN o.event_seq IS NOT NULL THEN o.label_source"
    " WHEN e.label IS NOT NULL THEN 'prediction' END AS label_source"
    " FROM (SELECT * FROM events_log ANTI JOIN events_retired USING (seq)"
    " WHERE seq >= {low} AND seq < {high}) e"
    " LEFT JOIN (SELECT x.* FROM outcomes x ANTI JOIN outcomes_retired z ON z.seq = x.seq"
    " WHERE x.event_seq >= {low} AND x.event_seq < {high}) o"
    " ON o.event_seq = e.seq AND o.property = '')"
)
