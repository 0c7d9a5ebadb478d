"""Runs and ingests, block after block: their rows, their winners, and what each hour holds.

The stored rows are the state. A key that the filter says was never seen, and that comes once in its
block, is a new event: it is appended and adds to its hour. All others are touched: their stored
rows are fetched, the winner is decided, and the hours of rows that were replaced are computed anew.
So the tables are functions of the distinct events alone, and a repeat costs no more than a look.
"""

from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

from engine.asking import number
from engine.processing.happenings import (
    HAPPENINGS,
    Happening,
    block_lines,
    in_force,
    rows_of,
    settle,
    stored_lines,
)
from engine.processing.hours import BOARDS, add, keep_dropped, merge, recount
from engine.seen import SEGMENT_BITS, Seen, fill

__all__ = ["Processing", "backfill", "drop_happenings"]

_MERGE_ROWS = 8192  # a live stream of a hundred choices comes to them in less than a minute
_CHUNK, _CHUNK_ROWS = 1 << 14, 1 << 16  # about as many rows at once as a large block brings


class Processing:
    """The state of the processing metrics on one cursor, inside the transaction of its owner.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    canonical : callable
        Canonical JSON of a raw event: breaks ties of time.
    seen : Seen
        The filter over all stored keys. It may be shared with that of predictions and votes: a line
        has one key at most, so no segment of it becomes fuller than by them alone.
    merge_rows : int
        So many deltas of hours are left unmerged, at least.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        canonical: Callable[[str], str],
        seen: Seen,
        merge_rows: int = _MERGE_ROWS,
    ) -> None:
        self._cursor = cursor
        self._canonical = canonical
        self._seen = seen
        self._merge_rows = merge_rows

    def load(self) -> None:
        """Add the keys of the stored runs and ingests to the filter; after a start or rollback."""
        fill(self._seen, self._cursor, tuple(happening.log for happening in HAPPENINGS))

    def take(self, block_seq: int) -> None:
        """Take in the runs and ingests of the block at hand.

        Parameters
        ----------
        block_seq : int
            `seq` of the block's first line. The block's other events are registered as `b_others`,
            and are in `other_events`.
        """
        self._take(block_lines(block_seq), block_seq)

    def take_stored(self, low: int, high: int) -> None:
        """Take in the runs and ingests of the lines stored from `low` to before `high`."""
        self._take(stored_lines(low, high), low)

    def _take(self, lines: str, block_seq: int) -> None:
        types = self._cursor.execute(f"SELECT DISTINCT type FROM ({lines})").fetchall()
        for happening in HAPPENINGS:
            if (happening.type,) in types:
                self._count(happening, lines, block_seq)

    def _count(self, happening: Happening, lines: str, block_seq: int) -> None:
        cursor = self._cursor
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_happened AS {rows_of(happening, lines)}")
        rows = cursor.sql("SELECT seq, key FROM t_happened").to_arrow_table()
        segments = rows["seq"].to_numpy() >> SEGMENT_BITS
        keys = np.asarray(rows["key"].to_numpy(), np.uint64)
        hits = self._seen.ask(keys)
        ordered = np.sort(keys)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        touched = np.unique(np.concatenate((repeated, keys[hits.flags])))
        replaced = 0
        if len(touched):
            cursor.register("touched", pa.table({"key": touched}))
            replaced = settle(cursor, happening, lines, self._canonical, hits)
            cursor.unregister("touched")
        if not number(
            cursor, f"INSERT INTO {happening.log} SELECT {happening.columns} FROM t_happened"
        ):
            return  # repeats of what is stored: a row is only replaced by another one
        for board in BOARDS:
            if board.happening is happening:
                add(cursor, board, block_seq, replaced=replaced > 0)
                merge(cursor, board, self._merge_rows)
        for segment in np.unique(segments):
            self._seen.add(int(segment), keys[segments == segment])


def backfill(cursor: duckdb.DuckDBPyConnection, canonical: Callable[[str], str]) -> None:
    """Fill the empty tables from the events stored before there were any.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction.
    canonical : callable
        Canonical JSON of a raw event.
    """
    processing = Processing(cursor, canonical, Seen())
    kinds = ", ".join(f"'{happening.type}'" for happening in HAPPENINGS)
    chunks = cursor.execute(
        f"SELECT seq // {_CHUNK} AS chunk, count(*) FROM other_events WHERE type IN ({kinds})"
        " GROUP BY chunk ORDER BY chunk"
    ).fetchall()
    low = rows = 0
    for chunk, count in chunks:
        rows += count
        if rows >= _CHUNK_ROWS or chunk == chunks[-1][0]:
            high = (chunk + 1) * _CHUNK
            processing.take_stored(low, high)
            low, rows = high, 0


def drop_happenings(cursor: duckdb.DuckDBPyConnection, low: int, high: int) -> None:
    """Drop the runs and ingests of the lines from `low` to before `high`; the hours stay.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction.
    low, high : int
        Whole segments of lines (`engine.seen`), whose keys are dropped from the filter, too.
    """
    dropped = f"seq >= {low} AND seq < {high}"
    for happening in HAPPENINGS:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_happened AS {in_force(happening, dropped)}")
        boards = [board for board in BOARDS if board.happening is happening]
        # What is dropped is set aside first: an hour that is computed anew later, because another
        # row of it was replaced, still has it.
        for board in boards:
            keep_dropped(cursor, board, "FROM t_happened")
        cursor.execute(f"DELETE FROM {happening.log} WHERE {dropped}")
        for board in boards:
            recount(cursor, board, "FROM t_happened")
    cursor.execute(f"DELETE FROM processing_retired WHERE {dropped}")
