"""Rolling sums of whole numbers, exact at every boundary that a window passes.

A pane that starts at p is in the windows that end at t with ``p + step <= t <= p + lookback``, but
in none before the first boundary behind its arrival. So each amount has two times: it is added at
`enter_s` and taken back at `leave_s`; whole numbers may be taken back. Sums of floats are whole
numbers too (`engine.query.plan.SCALE_BITS`), as Python integers.

What lies ahead is kept in runs sorted by time, merged when there are many, so that a boundary costs
what enters and leaves there and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Deltas", "Moves", "Windows"]

Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[Any]

_RUNS_MAX = 12


@dataclass(frozen=True, slots=True)
class Deltas:
    """Amounts of n (series, pane, arrival).

    Attributes
    ----------
    series, enter_s, leave_s, seq : int64, shape (n,)
        `seq`: the least line number behind the amount.
    counts : int64, shape (n, k)
    sums : object (Python int), shape (n, s)
    """

    series: Ints
    enter_s: Ints
    leave_s: Ints
    seq: Ints
    counts: Ints
    sums: Objects


@dataclass(frozen=True, slots=True)
class Moves:
    """The sums of the windows that changed, at the boundaries where they did.

    Attributes
    ----------
    series, time_s : int64, shape (m,)
        Sorted by series, then time; no pair comes twice.
    counts : int64, shape (m, k)
    sums : object, shape (m, s)
    """

    series: Ints
    time_s: Ints
    counts: Ints
    sums: Objects


@dataclass(frozen=True, slots=True)
class _Run:
    """Entries sorted by time; those with `sign` -1 leave, and tell when they had entered."""

    time_s: Ints
    sign: npt.NDArray[np.int8]
    deltas: Deltas

    def part(self, start: int, stop: int | None = None) -> "_Run":
        rows = slice(start, stop)
        return _Run(self.time_s[rows], self.sign[rows], take(self.deltas, rows))


class Windows:
    """The windows of many series of one metric, lookback and step.

    Parameters
    ----------
    counts, sums : int
        Whole counts and exact sums of a series.
    """

    def __init__(self, counts: int, sums: int) -> None:
        self._counts = np.zeros((0, counts), np.int64)
        self._sums = np.zeros((0, sums), object)
        self._runs: list[_Run] = []
        self._popped: list[_Run] = []

    def grow(self, series: int) -> None:
        """Make room for this many series."""
        more = series - len(self._counts)
        if more > 0:
            self._counts = np.vstack((self._counts, np.zeros((more, self._counts.shape[1]), int)))
            blank = np.zeros((more, self._sums.shape[1]), object)
            self._sums = np.vstack((self._sums, blank))

    def add(self, deltas: Deltas) -> None:
        """Take amounts in; what would leave before it enters never counts."""
        deltas = take(deltas, deltas.enter_s < deltas.leave_s)
        count = len(deltas.series)
        if not count:
            return
        times = np.concatenate((deltas.enter_s, deltas.leave_s))
        order = np.argsort(times, kind="stable")
        sign = np.repeat(np.array([1, -1], np.int8), count)[order]
        self._runs.append(_Run(times[order], sign, take(deltas, order % count)))
        if len(self._runs) > _RUNS_MAX:
            self._runs = [_merged(self._runs)]

    def next_time(self) -> int | None:
        """Give the next boundary at which a window changes, or None."""
        return min((int(run.time_s[0]) for run in self._runs if len(run.time_s)), default=None)

    def advance(self, until_s: int) -> Moves:
        """Go on to boundary `until_s` and give every change on the way."""
        popped, rest = [], []
        for run in self._runs:
            cut = int(np.searchsorted(run.time_s, until_s, side="right"))
            if cut:
                popped.append(run.part(0, cut))
            if cut < len(run.time_s):
                rest.append(run.part(cut))
        self._runs, self._popped = rest, popped
        if not popped:
            return self._nothing()
        run = _merged(popped) if len(popped) > 1 else popped[0]
        return self._accumulated(run)

    def first_seq(self, series: int, time_s: int) -> int | None:
        """Give the least line number behind a window; only right after the advance over it."""
        least = None
        for run in (*self._popped, *self._runs):
            inside = (
                (run.deltas.series == series)
                & (run.deltas.enter_s <= time_s)
                & (run.deltas.leave_s > time_s)
            )
            if inside.any():
                seq = int(run.deltas.seq[inside].min())
                least = seq if least is None else min(least, seq)
        return least

    def current(self, series: Ints) -> tuple[Ints, Objects]:
        """Give the counts and sums of the windows as they are."""
        return self._counts[series], self._sums[series]

    def _nothing(self) -> Moves:
        none = np.zeros(0, np.int64)
        return Moves(none, none, self._counts[:0], self._sums[:0])

    def _accumulated(self, run: _Run) -> Moves:
        series = run.deltas.series
        order = np.lexsort((run.time_s, series))
        series, times, sign = series[order], run.time_s[order], run.sign[order].astype(np.int64)
        new = np.ones(len(series), np.bool_)
        new[1:] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
        starts = np.flatnonzero(new)
        series, times = series[starts], times[starts]
        counts = np.add.reduceat(run.deltas.counts[order] * sign[:, None], starts, axis=0)
        sums = run.deltas.sums[order]
        if sums.shape[1]:
            sums = np.add.reduceat(sums * sign.astype(object)[:, None], starts, axis=0)
        else:
            sums = sums[starts]
        counts, sums = _rolled(series, counts, self._counts), _rolled(series, sums, self._sums)
        last = np.flatnonzero(np.append(series[1:] != series[:-1], True))
        self._counts[series[last]], self._sums[series[last]] = counts[last], sums[last]
        return Moves(series, times, counts, sums)


def take(deltas: Deltas, rows: Any) -> Deltas:
    """Give some rows of the deltas."""
    return Deltas(
        deltas.series[rows],
        deltas.enter_s[rows],
        deltas.leave_s[rows],
        deltas.seq[rows],
        deltas.counts[rows],
        deltas.sums[rows],
    )


def _rolled(series: Ints, changes: Any, before: Any) -> Any:
    """Add the changes up, series by series, from what each was before."""
    if not changes.shape[1]:
        return changes
    first = np.append(True, series[1:] != series[:-1])
    starts = np.flatnonzero(first)
    total = np.add.accumulate(changes, axis=0)
    base = before[series[starts]] - (total[starts] - changes[starts])
    return total + np.repeat(base, np.diff(np.append(starts, len(series))), axis=0)


def _merged(runs: Sequence[_Run]) -> _Run:
    times = np.concatenate([run.time_s for run in runs])
    order = np.argsort(times, kind="stable")
    deltas = Deltas(
        *(
            np.concatenate([getattr(run.deltas, name) for run in runs])[order]
            for name in ("series", "enter_s", "leave_s", "seq", "counts", "sums")
        )
    )
    return _Run(times[order], np.concatenate([run.sign for run in runs])[order], deltas)
