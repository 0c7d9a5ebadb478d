"""An open batch: which rows it has, when it will be complete, and what is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rules.batch_parts import BATCH_STEP_S, Part

__all__ = ["OpenBatch", "Spread", "half_seconds"]

Ints = npt.NDArray[np.int64]
Portion = tuple[npt.NDArray[Any], ...]

_LOOSE_MAX = 1 << 16
_PORTIONS_MAX = 32


def half_seconds(times_us: Ints) -> Ints:
    """Give 2s for a time of exactly s seconds, 2s + 1 for one between s and s + 1."""
    return 2 * (times_us // 1_000_000) + (times_us % 1_000_000 > 0)


class Spread:
    """The times of a batch's rows: how many there are, and the first and last of them.

    Times are `half_seconds`: all that windows in whole seconds need. A row may be taken back.

    Attributes
    ----------
    rows : int
    low, high : int
        Of no rows: both 0.
    """

    def __init__(self) -> None:
        self.rows = self.low = self.high = 0
        self._codes = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._loose: list[tuple[Ints, Ints]] = []

    def add(self, codes: Ints, weights: Ints) -> None:
        """Add rows, or take them back where the weight is -1."""
        if not len(codes):
            return
        blank = not self.rows
        self._loose.append((codes, weights))
        self.rows += int(weights.sum())
        if blank or (weights < 0).any():
            self._settle()
            return
        self.low = min(self.low, int(codes.min()))
        self.high = max(self.high, int(codes.max()))
        if sum(len(each) for each, _ in self._loose) > len(self._codes) + _LOOSE_MAX:
            self._settle()

    def _settle(self) -> None:
        codes = np.concatenate([self._codes, *(codes for codes, _ in self._loose)])
        weights = np.concatenate([self._counts, *(weights for _, weights in self._loose)])
        self._codes, place = np.unique(codes, return_inverse=True)
        self._counts = np.zeros(len(self._codes), np.int64)
        np.add.at(self._counts, place, weights)
        self._loose = []
        there = self._counts != 0
        self._codes, self._counts = self._codes[there], self._counts[there]
        self.low = int(self._codes[0]) if len(self._codes) else 0
        self.high = int(self._codes[-1]) if len(self._codes) else 0


@dataclass(slots=True)
class OpenBatch:
    """A batch that has not been evaluated yet.

    Attributes
    ----------
    declared_s : int or None
        The boundary behind the line that declared it complete.
    wake_s : int or None
        When it is looked at again.
    """

    model_no: int
    batch_id: str
    lookback_s: int
    declared_s: int | None = None
    wake_s: int | None = None
    spread: Spread = field(default_factory=Spread)
    _waiting: list[tuple[int, Ints, Ints]] = field(default_factory=list)
    _kept: dict[int, list[tuple[int, Portion]]] = field(default_factory=dict)

    def wait(self, enter_s: int, codes: Ints, weights: Ints) -> None:
        """Let rows count from a boundary on."""
        self._waiting.append((enter_s, codes, weights))

    def keep(self, place: int, part: Part, portion: Portion, times: tuple[int, int]) -> None:
        """Keep a portion for the part at a place.

        Parameters
        ----------
        times : tuple of int
            The boundary from which it counts; the last one that was passed.
        """
        enter_s, done_s = times
        kept = self._kept.setdefault(place, [])
        if kept and kept[-1][0] == enter_s:
            kept[-1] = enter_s, part.joined([kept[-1][1], portion])
        else:
            kept.append((enter_s, portion))
        if len(kept) > _PORTIONS_MAX:
            past = [each for each in kept if each[0] <= done_s]
            ahead = [each for each in kept if each[0] > done_s]
            if past:
                ahead.insert(0, (past[-1][0], part.joined([each for _, each in past])))
            self._kept[place] = ahead

    def kept(self, place: int, part: Part, time_s: int) -> Portion | None:
        """Give what counts at a boundary for the part at a place."""
        kept: Sequence[Portion] = [
            portion for enter_s, portion in self._kept.get(place, ()) if enter_s <= time_s
        ]
        return part.joined(kept) if kept else None

    def enter(self, time_s: int) -> None:
        """Let in the rows that count from a boundary on."""
        for enter_s, codes, weights in self._waiting:
            if enter_s <= time_s:
                self.spread.add(codes, weights)
        self._waiting = [each for each in self._waiting if each[0] > time_s]

    def due_s(self) -> int | None:
        """Give the boundary at which it is complete if nothing more comes; None: it has no rows."""
        quiet = None
        if self.spread.rows:
            latest = (self.spread.high + 1) // 2 + self.lookback_s
            quiet = -(-latest // BATCH_STEP_S) * BATCH_STEP_S
        return min((each for each in (self.declared_s, quiet) if each is not None), default=None)

    def next_s(self) -> int | None:
        """Give the boundary at which it has to be looked at next."""
        times = [enter_s for enter_s, _, _ in self._waiting]
        due = self.due_s()
        return min([*times, *([] if due is None else [due])], default=None)

    @property
    def start_s(self) -> int | None:
        """The time of its earliest event, whole seconds."""
        return self.spread.low // 2 if self.spread.rows else None
