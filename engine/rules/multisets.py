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
    pane_s: Ints
    entry: npt.NDArray[Any]
    weight: Ints


@dataclass(frozen=True, slots=True)
class MultisetMove:
    """The content of one window at a boundary where it changed."""

    series: int
    time_s: int
    content: Multiset


_ENTER, _LEAVE, _PANE, _WEIGHT = range(4)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Entries of one series, sorted by the boundary at which they enter.

    Attributes
    ----------
    whole : int64, shape (4, n)
        Enter, leave, pane and weight.
    entry : float64 or object, shape (n,)
    """

    whole: Ints
    entry: npt.NDArray[Any]

    def taken(self, rows: Any) -> "_Kept":
        return _Kept(self.whole[:, rows], self.entry[rows])


class Multisets:
    """The windows of many series of one metric, lookback and step."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}
        self._added: dict[int, list[_Kept]] = {}
        self._now_s: int = np.iinfo(np.int64).min

    def add(self, entries: Entries) -> None:
        """Take entries in; what would leave before it enters never counts."""
        order = np.flatnonzero(entries.enter_s < entries.leave_s)
        order = order[np.lexsort((entries.enter_s[order], entries.series[order]))]
        if not len(order):
            return
        series = entries.series[order]
        columns = (entries.enter_s, entries.leave_s, entries.pane_s, entries.weight)
        everything = _Kept(np.stack([each[order] for each in columns]), entries.entry[order])
        starts = np.flatnonzero(np.append(True, series[1:] != series[:-1])).tolist()
        for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
            part = everything.taken(slice(start, stop))
            self._added.setdefault(int(series[start]), []).append(part)

    def advance(self, until_s: int) -> list[MultisetMove]:
        """Go on to boundary `until_s` and give every change on the way, by series and time."""
        self._settle()
        moves: list[MultisetMove] = []
        for number in sorted(self._kept):
            kept = self._kept[number]
            times = _due(kept, self._now_s, until_s)
            if not times:
                continue
            moves += _moves(number, kept, times)
            # What has left before all that stays; the rest goes with its neighbours.
            gone = int(np.argmax(kept.whole[_LEAVE] > until_s))
            if kept.whole[_LEAVE, gone] <= until_s:
                del self._kept[number]
            elif gone:
                self._kept[number] = kept.taken(slice(gone, None))
        self._now_s = max(self._now_s, until_s)
        return moves

    def _settle(self) -> None:
        """Put what was added where it belongs."""
        for number, parts in self._added.items():
            before = self._kept.get(number)
            if before is not None:
                parts.insert(0, before)
            kept = parts[0]
            if len(parts) > 1:
                kept = _Kept(
                    np.concatenate([part.whole for part in parts], axis=1),
                    np.concatenate([part.entry for part in parts]),
                )
                enter = kept.whole[_ENTER]
                if (enter[1:] < enter[:-1]).any():
                    kept = kept.taken(np.argsort(enter, kind="stable"))
            self._kept[number] = kept
        self._added = {}


def _due(kept: _Kept, now_s: int, until_s: int) -> list[int]:
    """Give the boundaries after one, up to another, at which a window changes."""
    enter, leave = kept.whole[_ENTER], kept.whole[_LEAVE]
    low, high = enter.searchsorted((now_s, until_s), side="right")
    leaving = leave[(leave > now_s) & (leave <= until_s)]
    return sorted({*enter[low:high].tolist(), *leaving.tolist()})


def _moves(series: int, kept: _Kept, times: list[int]) -> list[MultisetMove]:
    """Give the content of a window at some boundaries."""
    # What has entered is a prefix. Where even the latest leaver before a place has left, all have.
    enter, leave = kept.whole[_ENTER], kept.whole[_LEAVE]
    high = enter.searchsorted(times, side="right")
    low = np.maximum.accumulate(leave).searchsorted(times, side="right")
    moves = []
    for time_s, start, stop in zip(times, low.tolist(), high.tolist(), strict=True):
        span: Any = slice(start, stop)
        inside = leave[span] > time_s
        if not inside.all():
            span = start + np.flatnonzero(inside)
        content = _content(kept.entry[span], kept.whole[_WEIGHT, span], kept.whole[_PANE, span])
        moves.append(MultisetMove(series, time_s, content))
    return moves


def _content(entry: npt.NDArray[Any], weight: Ints, pane: Ints) -> Multiset:
    """Give what is in the window once what was taken back is gone."""
    if not (weight < 0).any():
        return Multiset(entry, weight, pane)
    order = np.lexsort((entry, pane)) if entry.dtype != object else _by_text(entry, pane)
    entry, weight, pane = entry[order], weight[order], pane[order]
    starts = np.flatnonzero(np.append(True, (entry[1:] != entry[:-1]) | (pane[1:] != pane[:-1])))
    entry, pane = entry[starts], pane[starts]
    weight = np.add.reduceat(weight, starts)
    there = weight > 0
    return Multiset(entry[there], weight[there], pane[there])


def _by_text(entry: npt.NDArray[Any], pane: Ints) -> Ints:
    _, codes = np.unique(entry.astype(str), return_inverse=True)
    return np.lexsort((codes, pane))
