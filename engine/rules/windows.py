"""Rolling sums of whole numbers, exact at every boundary that a window passes.

A pane that starts at p is in the windows that end at t with ``p + step <= t <= p + lookback``, but
in none before the first boundary behind its arrival. So each amount has two times: it is added at
`enter_s` and taken back at `leave_s`; whole numbers may be taken back. Sums of floats are whole
numbers too (`engine.query.plan.SCALE_BITS`), as Python integers.

What lies ahead is kept in runs sorted by time, so that a boundary costs what enters and leaves
there and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Deltas", "Moves", "Windows"]

Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[Any]

_MERGED_MAX = 1 << 12  # longer runs are left alone: there are few of them


@dataclass(frozen=True, slots=True)
class Deltas:
    """Amounts of n (series, pane, arrival).

    Attributes
    ----------
    series, enter_s, leave_s : int64, shape (n,)
    counts : int64, shape (n, k)
    sums : object (Python int), shape (n, s)
    """

    series: Ints
    enter_s: Ints
    leave_s: Ints
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


@dataclass(slots=True)
class _Run:
    """Amounts sorted by the boundary at which they are due; those before `at` are done."""

    times: Ints
    deltas: Deltas
    at: int = 0

    @property
    def next_s(self) -> int:
        return int(self.times[self.at])

    @property
    def size(self) -> int:
        return len(self.times) - self.at

    def rest(self, stop: int | None = None) -> Deltas:
        return _taken(self.deltas, slice(self.at, stop))


class _Queue:
    """Amounts by the boundary at which they are due."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, times: Ints, deltas: Deltas) -> None:
        order = np.argsort(times, kind="stable")
        run = _Run(times[order], _taken(deltas, order))
        # As the digits of a binary counter: each amount is merged a few times only.
        while self._runs and self._runs[-1].size <= run.size <= _MERGED_MAX:
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def pop(self, until_s: int) -> tuple[list[Ints], list[Deltas]]:
        """Take out what is due up to a boundary: times and amounts."""
        times: list[Ints] = []
        found: list[Deltas] = []
        for run in self._runs:
            if run.next_s > until_s:
                continue
            cut = int(np.searchsorted(run.times, until_s, side="right"))
            times.append(run.times[run.at : cut])
            found.append(run.rest(cut))
            run.at = cut
        if found:
            self._runs = [run for run in self._runs if run.size]
        return times, found


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
        self._entering = _Queue()
        self._leaving = _Queue()

    def grow(self, series: int) -> None:
        """Make room for this many series."""
        more = series - len(self._counts)
        if more > 0:
            self._counts = np.vstack((self._counts, np.zeros((more, self._counts.shape[1]), int)))
            blank = np.zeros((more, self._sums.shape[1]), object)
            self._sums = np.vstack((self._sums, blank))

    def add(self, deltas: Deltas) -> None:
        """Take amounts in; what would leave before it enters never counts."""
        useful = deltas.enter_s < deltas.leave_s
        if not useful.all():
            deltas = _taken(deltas, useful)
        if len(deltas.series):
            self._entering.add(deltas.enter_s, deltas)
            self._leaving.add(deltas.leave_s, deltas)

    def advance(self, until_s: int) -> Moves:
        """Go on to boundary `until_s` and give every change on the way."""
        entered_s, entered = self._entering.pop(until_s)
        left_s, left = self._leaving.pop(until_s)
        if not entered and not left:
            none = np.zeros(0, np.int64)
            return Moves(none, none, self._counts[:0], self._sums[:0])
        parts = entered + left
        signs = [1] * len(entered) + [-1] * len(left)
        sign = np.repeat(signs, [len(part.series) for part in parts])
        return self._accumulated(_joined(parts), np.concatenate(entered_s + left_s), sign)

    def current(self, series: Ints) -> tuple[Ints, Objects]:
        """Give the counts and sums of the windows as they are."""
        return self._counts[series], self._sums[series]

    def _accumulated(self, deltas: Deltas, times: Ints, sign: Ints) -> Moves:
        order = np.lexsort((times, deltas.series))
        series, times, sign = deltas.series[order], times[order], sign[order]
        new = np.ones(len(series), np.bool_)
        new[1:] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
        starts = np.flatnonzero(new)
        series, times = series[starts], times[starts]
        counts = np.add.reduceat(deltas.counts[order] * sign[:, None], starts, axis=0)
        sums = deltas.sums[order]
        if sums.shape[1]:
            sums = np.add.reduceat(sums * sign.astype(object)[:, None], starts, axis=0)
        else:
            sums = sums[starts]
        counts, sums = _rolled(series, counts, self._counts), _rolled(series, sums, self._sums)
        last = np.flatnonzero(np.append(series[1:] != series[:-1], True))
        self._counts[series[last]], self._sums[series[last]] = counts[last], sums[last]
        return Moves(series, times, counts, sums)


_COLUMNS = ("series", "enter_s", "leave_s", "counts", "sums")


def _taken(deltas: Deltas, rows: Any) -> Deltas:
    return Deltas(
        deltas.series[rows],
        deltas.enter_s[rows],
        deltas.leave_s[rows],
        deltas.counts[rows],
        deltas.sums[rows],
    )


def _merged(one: _Run, other: _Run) -> _Run:
    times = np.concatenate((one.times[one.at :], other.times[other.at :]))
    order = np.argsort(times, kind="stable")
    return _Run(times[order], _taken(_joined([one.rest(), other.rest()]), order))


def _joined(parts: Sequence[Deltas]) -> Deltas:
    if len(parts) == 1:
        return parts[0]
    return Deltas(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))


def _rolled(series: Ints, changes: Any, before: Any) -> Any:
    """Add the changes up, series by series, from what each was before."""
    if not changes.shape[1]:
        return changes
    first = np.append(True, series[1:] != series[:-1])
    starts = np.flatnonzero(first)
    total = np.add.accumulate(changes, axis=0)
    base = before[series[starts]] - (total[starts] - changes[starts])
    return total + np.repeat(base, np.diff(np.append(starts, len(series))), axis=0)
