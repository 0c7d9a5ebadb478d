"""The predictions stored last, in memory, by key: most late labels find theirs among them.

Looking one of them up in the store costs little less than reading all of a million rows, for in
every handful of thousand there is one that some label of the block belongs to. Here a block's keys
are searched by bisection in a few sorted runs. What is older is looked for in the store.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.arrays import Flags, Ints
from engine.seen import Keys, keys_of

__all__ = ["Recent"]

_ROWS, _BYTES = 5 << 18, 128 << 20
_LONG = 1 << 16  # rows; shorter runs are merged: blocks of a live stream are small

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows of some blocks that follow each other.

    Attributes
    ----------
    keys : uint64, shape (n,)
        Ascending.
    places : int32, shape (n,)
        Of the rows in the table, as ordered by key.
    rows : pyarrow.Table
        Ascending by `seq`.
    size : int
        Bytes of all.
    """

    keys: Keys
    places: Places
    rows: pa.Table
    size: int

    @classmethod
    def of(cls, keys: Keys, places: Places, rows: pa.Table) -> "_Run":
        """Make a run of keys and places in order of the keys."""
        return cls(keys, places, rows, keys.nbytes + places.nbytes + rows.nbytes)

    @property
    def end(self) -> int:
        """The line behind the last one here."""
        return int(self.rows["seq"][-1].as_py()) + 1

    def behind(self, first: "_Run") -> "_Run":
        """Give the rows of `first` and these."""
        keys = np.concatenate((first.keys, self.keys))
        order = np.argsort(keys, kind="stable")  # two parts that ascend: they are merged
        places = np.concatenate((first.places, self.places + np.int32(len(first.keys))))
        rows = pa.concat_tables((first.rows, self.rows), promote_options="default")
        return _Run.of(keys[order], places[order], rows.combine_chunks())

    def find(self, keys: Keys) -> pa.Table:
        """Give the rows that have one of `keys`, which ascend."""
        low = np.searchsorted(self.keys, keys)
        there = np.flatnonzero(self.keys[np.minimum(low, len(self.keys) - 1)] == keys)
        low, high = low[there], np.searchsorted(self.keys, keys[there], side="right")
        count = high - low
        nth = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        return self.rows.take(pa.array(np.sort(self.places[np.repeat(low, count) + nth])))


class Recent:
    """The stored predictions from some line on.

    >>> recent = Recent(0)
    >>> rows = pa.table({"seq": [3, 5], "key": pa.array([7, 9], pa.uint64())})
    >>> recent.add(rows)
    >>> recent.find(np.array([8, 9], np.uint64))["seq"].to_pylist()
    [5]

    Parameters
    ----------
    since : int
        The first line that may be added.
    rows, size : int
        So many rows, of so many bytes, are held at most.

    Attributes
    ----------
    since : int
        What is stored of lines from here on is here, but for what was replaced.
    """

    def __init__(self, since: int, rows: int = _ROWS, size: int = _BYTES) -> None:
        self.since = since
        self._most = rows, size
        self._runs: deque[_Run] = deque()
        self._replaced, self._touched = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, rows: pa.Table, order: Ints | None = None) -> None:
        """Take in the rows of a block.

        Parameters
        ----------
        rows : pyarrow.Table
            Lines behind all others, ascending: columns `seq`, `key` and others; of those without
            any value nothing is held.
        order : int, shape (n,), optional
            The rows in order of their keys.
        """
        if not len(rows):
            return
        keys = keys_of(rows)
        order = np.argsort(keys) if order is None else order
        empty = [name for name in rows.column_names if rows[name].null_count == len(rows)]
        held = rows.drop_columns(empty).combine_chunks()
        self._runs.append(_Run.of(keys[order], order.astype(np.int32), held))
        self._merge()
        self._forget()

    def replace(self, lines: Ints) -> None:
        """Leave out lines that others have replaced."""
        self._replaced = np.union1d(self._replaced, lines[lines >= self.since])

    def touch(self, lines: Ints) -> None:
        """Note lines that have met a vote, or another prediction of their id."""
        self._touched = np.union1d(self._touched, lines[lines >= self.since])

    def touched(self, lines: Ints) -> Flags:
        """Tell which lines were noted."""
        return np.isin(lines, self._touched, assume_unique=True)

    def begin(self, line: int) -> None:
        """Forget the lines before `line`."""
        self.since = max(self.since, line)
        while self._runs and self._runs[0].end <= self.since:
            self._runs.popleft()
        self._replaced = self._replaced[self._replaced >= self.since]
        self._touched = self._touched[self._touched >= self.since]

    def find(self, keys: Keys) -> pa.Table | None:
        """Give the rows that have one of `keys`, distinct and ascending; None without any."""
        found = [rows for run in self._runs if len(rows := run.find(keys))]
        if not found:
            return None
        rows = pa.concat_tables(found, promote_options="default").combine_chunks()
        lines = rows["seq"].to_numpy()
        if len(self._replaced) or lines[0] < self.since:
            held = (lines >= self.since) & ~np.isin(lines, self._replaced, assume_unique=True)
            rows = rows.filter(pa.array(held))
        return rows if len(rows) else None

    def _merge(self) -> None:
        """Make one run of the last two while they are short and of about one length."""
        runs = self._runs
        while len(runs) > 1 and len(runs[-2].keys) <= min(2 * len(runs[-1].keys), _LONG):
            last = runs.pop()
            runs.append(last.behind(runs.pop()))

    def _forget(self) -> None:
        rows, size = self._most
        runs = self._runs
        while sum(len(run.keys) for run in runs) > rows or sum(run.size for run in runs) > size:
            self.begin(runs[0].end)
