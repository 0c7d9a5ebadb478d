"""The step metrics that rules watch: the values of their greatest steps, line by line.

Of each series, a metric of a job, only the tail is in memory: as many of its greatest steps as the
longest window on it has, read from `step_log` when its first line comes. A line with a new highest
step is evaluated; one with any other step changes what later windows see. As a rule the lines of a
series come in rising order: tail and lines are one array then, in which every window is a slice. A
series out of order is cut where a line changes the tail, and its parts are worked through alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["ROW", "Part", "Series", "rows_of"]

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]

ROW: Final = np.dtype(
    [
        *(("step", np.int64), ("value", np.float64), ("time_us", np.int64)),
        *(("received", np.int64), ("line", np.int64), ("seq", np.int64)),
    ]
)
"""A line of a series; what they mean is said in `engine.steps.step_tables`."""

# Joining arrays of fields costs 40 us for each of them, joining plain bytes nothing.
_PLAIN: Final = np.dtype((np.void, ROW.itemsize))
_NO_ROWS: Final = np.zeros(0, _PLAIN)
_AT_ONCE = 1 << 18  # rows


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Lines that are evaluated, with the values that they see.

    Attributes
    ----------
    rows : ROW, shape (n,)
        Stretches of rising steps, each a tail and lines behind it.
    begins, ends : int64, shape (m,)
        Where the stretch of an evaluated line begins, and the place behind the line.
    code : int64, shape (m,)
        Its series; rising.
    """

    rows: Rows
    begins: Ints
    ends: Ints
    code: Ints


class Series:
    """The tails of the watched series on one cursor, each named by a number."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._names: list[tuple[str, str]] = []
        self._codes: dict[tuple[str, str], int] = {}
        self._keep: list[int] = []
        self._tails: dict[int, Rows] = {}
        self._table: pa.Table | None = None

    def watch(self, job_id: str, name: str, steps: int) -> int:
        """Give the number of a series, of which so many steps are wanted at least."""
        code = self._codes.setdefault((job_id, name), len(self._names))
        if code == len(self._names):
            self._names.append((job_id, name))
            self._keep.append(steps)
            self._table = None
        elif steps > self._keep[code]:
            self._keep[code] = steps
            self._tails.pop(code, None)  # there may be more than it holds
            self._table = None
        return code

    @property
    def table(self) -> pa.Table:
        """All of them: `job_id`, `name`, `code` and `keep`."""
        if self._table is None:
            columns = {
                "job_id": pa.array([job for job, _ in self._names], pa.string()),
                "name": pa.array([name for _, name in self._names], pa.string()),
                "code": pa.array(range(len(self._names)), pa.int64()),
                "keep": pa.array(self._keep, pa.int64()),
            }
            self._table = pa.table(columns)
        return self._table

    def take(self, code: Ints, rows: Rows, block_seq: int) -> Iterator[Part]:
        """Take in the lines of a block; gives those that are evaluated.

        Parameters
        ----------
        code : int64, shape (n,)
            The series of each line; rising.
        rows : ROW, shape (n,)
            In the order of the lines within a series.
        block_seq : int
            The number of the first line of the block.
        """
        if not len(code):
            return
        present = np.unique(code)
        self._load([each for each in present.tolist() if each not in self._tails], block_seq)
        tails = [self._tails[each] for each in present.tolist()]
        known = np.repeat(present, [len(tail) for tail in tails])
        order = np.argsort(np.concatenate((known, code)), kind="stable")
        rows = np.concatenate((*tails, rows.view(_PLAIN)))[order].view(ROW)
        code, come = np.concatenate((known, code))[order], order >= len(known)
        falls = (code[1:] == code[:-1]) & (rows["step"][1:] <= rows["step"][:-1])
        unruly = np.unique(code[1:][falls])
        ruly = ~np.isin(code, unruly) if len(unruly) else np.ones(len(code), np.bool_)
        if ruly.any():
            yield self._in_order(code[ruly], rows[ruly], come[ruly])
        stretches = (
            stretch
            for each in unruly.tolist()
            for stretch in self._out_of_order(each, rows[(code == each) & come])
        )
        yield from _joined(stretches)

    def _in_order(self, code: Ints, rows: Rows, come: npt.NDArray[np.bool_]) -> Part:
        present, starts = np.unique(code, return_index=True)
        stops, plain = np.append(starts[1:], len(code)), rows.view(_PLAIN)
        for each, start, stop in zip(
            present.tolist(), starts.tolist(), stops.tolist(), strict=True
        ):
            self._tails[each] = plain[max(start, stop - self._keep[each]) : stop].copy()
        places = np.flatnonzero(come)
        begins = np.repeat(starts, stops - starts)[places]
        return Part(rows, begins, places + 1, code[places])

    def _out_of_order(self, code: int, lines: Rows) -> Iterator[tuple[int, Rows, int]]:
        """Give series, rows and the first evaluated of each stretch of one series."""
        tail, keep = self._tails[code].view(ROW), self._keep[code]
        highest = np.maximum.accumulate(np.append(tail["step"].max(initial=-1), lines["step"]))
        rises = highest[1:] > highest[:-1]
        edges = np.flatnonzero(rises[1:] != rises[:-1]) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(lines)], strict=True):
            rows = np.concatenate((tail, lines[start:stop]))
            if rises[start]:
                yield code, rows, len(tail)
            else:
                rows = _settled(rows)
            tail = rows[-keep:]
        self._tails[code] = tail.copy().view(_PLAIN)

    def _load(self, codes: Sequence[int], block_seq: int) -> None:
        """Read the tails of series as they were before the block."""
        if not codes:
            return
        self._tails |= dict.fromkeys(codes, _NO_ROWS)
        self._cursor.register("w_series", self.table.take(pa.array(codes, pa.int64())))
        found = self._cursor.sql(_TAILS, params={"before": block_seq}).to_arrow_table()
        self._cursor.unregister("w_series")
        rows, code = rows_of(found).view(_PLAIN), found["code"].to_numpy()
        present, starts = np.unique(code, return_index=True)
        for each, tail in zip(present.tolist(), np.split(rows, starts[1:]), strict=False):
            self._tails[each] = tail.copy()


def rows_of(table: pa.Table) -> Rows:
    """Give the rows of a relation with the columns of `ROW`."""
    rows = np.zeros(len(table), ROW)
    for name in ROW.names or ():
        rows[name] = table[name].to_numpy()
    return rows


def _settled(rows: Rows) -> Rows:
    """Give steps in rising order, each with the value that holds; of equals the first line's."""
    nan = np.isnan(rows["value"])
    value = np.where(nan, 0.0, rows["value"])
    columns = (-rows["seq"], value, nan, rows["time_us"], rows["line"], rows["received"])
    ordered: Rows = rows[np.lexsort((*columns, rows["step"]))]
    last: Rows = ordered[np.append(ordered["step"][1:] != ordered["step"][:-1], True)]
    return last


def _joined(stretches: Iterator[tuple[int, Rows, int]]) -> Iterator[Part]:
    """Join stretches to parts that are not too large."""
    gathered: list[tuple[int, Rows, int]] = []
    size = 0
    for stretch in stretches:
        gathered.append(stretch)
        size += len(stretch[1])
        if size >= _AT_ONCE:
            yield _part(gathered)
            gathered, size = [], 0
    if gathered:
        yield _part(gathered)


def _part(stretches: Sequence[tuple[int, Rows, int]]) -> Part:
    begins, ends, codes = [], [], []
    at = 0
    for code, rows, first in stretches:
        places = np.arange(at + first, at + len(rows))
        begins.append(np.full(len(places), at))
        ends.append(places + 1)
        codes.append(np.full(len(places), code))
        at += len(rows)
    return Part(
        np.concatenate([rows for _, rows, _ in stretches]),
        *(np.concatenate(each) for each in (begins, ends, codes)),
    )


# Most lines of a long series are behind its tail: only those of the tail are put in order.
_TAILS = """
WITH steps AS (
    SELECT code, keep, step FROM step_log JOIN w_series USING (job_id, name)
    WHERE seq < $before GROUP BY ALL
), floors AS (
    SELECT code, min(step) AS floor FROM (
        SELECT *, row_number() OVER (PARTITION BY code ORDER BY step DESC) AS place FROM steps
    ) WHERE place <= keep GROUP BY code
), lines AS (
    SELECT code, step, value, epoch_us(time) AS time_us, received::BIGINT AS received,
        CASE WHEN received THEN seq ELSE 0 END AS line, seq
    FROM step_log JOIN w_series USING (job_id, name) JOIN floors USING (code)
    WHERE seq < $before AND step >= floor
)
SELECT * FROM lines
QUALIFY row_number() OVER (
    PARTITION BY code, step
    ORDER BY received DESC, line DESC, time_us DESC, value + 0.0 DESC, seq) = 1
ORDER BY code, step
"""
