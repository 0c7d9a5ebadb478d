"""Rolling multisets: the entries of each window, for minimum, maximum, quantiles and their like.

An entry is a number or a text with a whole weight; -1 takes one back. Entries are kept until they
leave their window, so a window costs its entries at every boundary where something of it changes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.query.plan import Multiset

__all__ = ["Entries", "MultisetMove", "Multisets"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of n (series, pane, arrival, value); all arrays have shape (n,)."""

    series: Ints
    enter_s: Ints
    leave_s: Ints
    seq: Ints
    pane_s: Ints
    entry: npt.NDArray[Any]
    weight: Ints


@dataclass(frozen=True, slots=True)
class MultisetMove:
    """The content of one window at a boundary where it changed."""

    series: int
    time_s: int
    content: Multiset


_COLUMNS = ("series", "enter_s", "leave_s", "seq", "pane_s", "entry", "weight")


class Multisets:
    """The windows of many series of one metric, lookback and step."""

    def __init__(self) -> None:
        self._kept: dict[int, Entries] = {}
        self._before: dict[int, Entries] = {}
        self._times: dict[int, Ints] = {}
        self._now_s = np.iinfo(np.int64).min

    def add(self, entries: Entries) -> None:
        """Take entries in; what would leave before it enters never counts."""
        useful = entries.enter_s < entries.leave_s
        order = np.flatnonzero(useful)
        order = order[np.argsort(entries.series[order], kind="stable")]
        if not len(order):
            return
        series = entries.series[order]
        starts = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
        for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
            part = _taken(entries, order[start:stop])
            number = int(series[start])
            kept = self._kept.get(number)
            self._kept[number] = part if kept is None else _joined(kept, part)

    def next_time(self) -> int | None:
        """Give the next boundary at which a window changes, or None."""
        times = [
            int(times.min())
            for entries in self._kept.values()
            for times in (entries.enter_s[entries.enter_s > self._now_s], entries.leave_s)
            if len(times)
        ]
        return min(times, default=None)

    def advance(self, until_s: int) -> list[MultisetMove]:
        """Go on to boundary `until_s` and give every change on the way, by series and time."""
        moves: list[MultisetMove] = []
        self._before = dict(self._kept)
        for number in sorted(self._kept):
            entries = self._kept[number]
            entering = entries.enter_s[(entries.enter_s > self._now_s)]
            times = np.unique(np.concatenate((entering, entries.leave_s)))
            for time_s in times[times <= until_s]:
                inside = (entries.enter_s <= time_s) & (entries.leave_s > time_s)
                content = _content(_taken(entries, inside))
                moves.append(MultisetMove(number, int(time_s), content))
            left = entries.leave_s <= until_s
            if left.all():
                del self._kept[number]
            elif left.any():
                self._kept[number] = _taken(entries, ~left)
        self._now_s = max(self._now_s, until_s)
        return moves

    def first_seq(self, series: int, time_s: int) -> int | None:
        """Give the least line number behind a window; only right after the advance over it."""
        entries = self._before.get(series)
        if entries is None:
            return None
        inside = (entries.enter_s <= time_s) & (entries.leave_s > time_s)
        return int(entries.seq[inside].min()) if inside.any() else None


def _content(entries: Entries) -> Multiset:
    """Give what is in the window once what was taken back is gone."""
    entry, weight, pane = entries.entry, entries.weight, entries.pane_s
    if (weight < 0).any():
        order = np.lexsort((entry, pane)) if entry.dtype != object else _by_text(entry, pane)
        entry, weight, pane = entry[order], weight[order], pane[order]
        new = np.append(True, (entry[1:] != entry[:-1]) | (pane[1:] != pane[:-1]))
        starts = np.flatnonzero(new)
        entry, pane = entry[starts], pane[starts]
        weight = np.add.reduceat(weight, starts)
    there = weight > 0
    return Multiset(entry[there], weight[there], pane[there])


def _by_text(entry: npt.NDArray[Any], pane: Ints) -> Ints:
    _, codes = np.unique(entry.astype(str), return_inverse=True)
    return np.lexsort((codes, pane))


def _taken(entries: Entries, rows: Any) -> Entries:
    return Entries(*(getattr(entries, name)[rows] for name in _COLUMNS))


def _joined(one: Entries, other: Entries) -> Entries:
    return Entries(
        *(np.concatenate((getattr(one, name), getattr(other, name))) for name in _COLUMNS)
    )
