"""A track: one metric over one kind of window, for all the models and rules that watch it.

A track holds the rolling windows of its series (a model, or one group of it) and gives the values
at every boundary where one changes. Rules with the same plan, lookback and time basis share it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.query.plan import Amounts, Multiset
from engine.rules.extract import Amount, Entry, Extraction
from engine.rules.multisets import Entries, Multisets
from engine.rules.reader import Read, Wanted
from engine.rules.windows import Deltas, Windows

__all__ = ["OTHER", "AmountTrack", "MultisetTrack", "Reading", "Series", "Track"]

OTHER = "__other__"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Series:
    """Numbers the series of a track: by model, or by model and group.

    Parameters
    ----------
    grouped : bool
    limit : int
        Groups of a model; further ones are one, under ``__other__``.
    """

    def __init__(self, *, grouped: bool, limit: int) -> None:
        self.grouped = grouped
        self.limit = limit
        self.keys: list[tuple[int, str | None]] = []
        self._numbers: dict[tuple[int, str | None], int] = {}
        self._groups: dict[int, int] = {}
        self._of_model = np.zeros(0, np.int64)

    def admit(self, model_no: int, group: str | None) -> int | None:
        """Take in a series as it is first seen; gives its number if it is new."""
        if group is not None and (model_no, group) not in self._numbers:
            if self._groups.get(model_no, 0) >= self.limit:
                group = OTHER
            else:
                self._groups[model_no] = self._groups.get(model_no, 0) + 1
        key = (model_no, group)
        if key in self._numbers:
            return None
        self._numbers[key] = len(self.keys)
        self.keys.append(key)
        if not self.grouped:
            if model_no >= len(self._of_model):
                grown = np.full(model_no + 1, -1, np.int64)
                grown[: len(self._of_model)] = self._of_model
                self._of_model = grown
            self._of_model[model_no] = self._numbers[key]
        return self._numbers[key]

    def known(self, model_no: Ints) -> npt.NDArray[np.bool_]:
        """Tell of each row whether the series of its model was admitted; without groups."""
        here = model_no < len(self._of_model)
        here[here] = self._of_model[model_no[here]] >= 0
        return here

    def of(self, model_no: Ints, group: Any) -> Ints:
        """Give the number of the series of each row; every one was admitted before."""
        if not self.grouped:
            return self._of_model[model_no]
        coded = group.dictionary_encode()
        names = coded.dictionary.to_pylist()
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        pairs, place = np.unique(model_no * max(len(names), 1) + codes, return_inverse=True)
        numbers = [
            self._find(int(pair // len(names)), names[int(pair % len(names))]) for pair in pairs
        ]
        return np.array(numbers, np.int64)[place] if numbers else np.zeros(0, np.int64)

    def _find(self, model_no: int, group: str) -> int:
        found = self._numbers.get((model_no, group))
        return self._numbers[model_no, OTHER] if found is None else found


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of windows, sorted by series, then time; shape (m,) each.

    Attributes
    ----------
    value : float64
        NaN where it is undefined.
    """

    series: Ints
    time_s: Ints
    value: Floats
    samples: Ints


class Track(ABC):
    """The windows of one metric; see `AmountTrack`, `MultisetTrack`, `engine.rules.drifting`.

    Parameters
    ----------
    extraction : Extraction
    series : Series
    lookback_s, step_s : int
    """

    def __init__(
        self, extraction: Extraction, series: Series, lookback_s: int, step_s: int
    ) -> None:
        self.extraction = extraction
        self.series = series
        self.lookback_s = lookback_s
        self.step_s = step_s

    @property
    def wanted(self) -> Wanted:
        """The columns that `gather` reads."""
        return self.extraction.wanted

    @abstractmethod
    def gather(self, read: Read, watched: npt.NDArray[np.bool_]) -> None:
        """Take in rows of the models, by number, that are `watched`."""

    @abstractmethod
    def advance(self, until_s: int) -> Reading:
        """Give what changes at boundaries up to `until_s`."""

    @abstractmethod
    def blank(self) -> tuple[float, int]:
        """Give value and samples of an empty window."""

    def thresholds(self, series: Ints, samples: Ints, value: Floats) -> Floats | None:
        """Give the thresholds of windows, where they are computed; None: the rules' own hold."""
        del series, samples, value
        return None

    def leave_s(self, pane_s: Ints) -> Ints:
        """Give the first boundary whose window no longer holds the pane."""
        return pane_s + (self.lookback_s + self.step_s)


class AmountTrack(Track):
    """Counts and exact sums."""

    def __init__(
        self, extraction: Extraction, series: Series, lookback_s: int, step_s: int
    ) -> None:
        super().__init__(extraction, series, lookback_s, step_s)
        self._windows = Windows(len(extraction.counts), len(extraction.sums))

    def gather(self, read: Read, watched: npt.NDArray[np.bool_]) -> None:
        """Take in rows."""
        self.add(self.extraction.amounts(read, watched))

    def add(self, amount: Amount) -> None:
        """Take in amounts."""
        if not len(amount.model_no):
            return
        series = self.series.of(amount.model_no, amount.group)
        self._windows.grow(len(self.series.keys))
        leave = self.leave_s(amount.pane_s)
        self._windows.add(Deltas(series, amount.enter_s, leave, amount.counts, amount.sums))

    def advance(self, until_s: int) -> Reading:
        """Give what changes at boundaries up to `until_s`."""
        self._windows.grow(len(self.series.keys))
        moves = self._windows.advance(until_s)
        value, samples = self._values(moves.counts, moves.sums)
        return Reading(moves.series, moves.time_s, value, samples)

    def current(self, model_no: int) -> float:
        """Give the value of a model's window as it is."""
        self._windows.grow(len(self.series.keys))
        counts, sums = self._windows.current(self.series.of(np.array([model_no]), None))
        return float(self._values(counts, sums)[0][0])

    def blank(self) -> tuple[float, int]:
        """Give value and samples of an empty window."""
        counts = np.zeros((1, len(self.extraction.counts)), np.int64)
        value, samples = self._values(counts, np.zeros((1, len(self.extraction.sums)), object))
        return float(value[0]), int(samples[0])

    def _values(self, counts: Ints, sums: npt.NDArray[Any]) -> tuple[Floats, Ints]:
        amounts = Amounts(
            {name: counts[:, i] for i, name in enumerate(self.extraction.counts)},
            {name: sums[:, i] for i, name in enumerate(self.extraction.sums)},
        )
        of_amounts = self.extraction.plan.of_amounts
        if of_amounts is None:
            msg = "a plan of amounts must give their value"
            raise TypeError(msg)
        return of_amounts(amounts)


class MultisetTrack(Track):
    """Single values or texts."""

    def __init__(
        self, extraction: Extraction, series: Series, lookback_s: int, step_s: int
    ) -> None:
        super().__init__(extraction, series, lookback_s, step_s)
        self._windows = Multisets()

    def gather(self, read: Read, watched: npt.NDArray[np.bool_]) -> None:
        """Take in rows."""
        self.add(self.extraction.entries(read, watched))

    def add(self, entry: Entry) -> None:
        """Take in entries."""
        series = self.series.of(entry.model_no, entry.group)
        leave = self.leave_s(entry.pane_s)
        self._windows.add(
            Entries(series, entry.enter_s, leave, entry.pane_s, entry.entry, entry.weight)
        )

    def advance(self, until_s: int) -> Reading:
        """Give what changes at boundaries up to `until_s`."""
        moves = self._windows.advance(until_s)
        told = [self._value(move.series, move.content) for move in moves]
        return Reading(
            np.array([move.series for move in moves], np.int64),
            np.array([move.time_s for move in moves], np.int64),
            np.array([np.nan if value is None else value for value, _ in told], np.float64),
            np.array([samples for _, samples in told], np.int64),
        )

    def blank(self) -> tuple[float, int]:
        """Give value and samples of an empty window."""
        none = np.zeros(0, np.int64)
        value, samples = self._value(0, Multiset(np.zeros(0), none, none))
        return (float("nan") if value is None else value), samples

    def _value(self, series: int, content: Multiset) -> tuple[float | None, int]:
        del series  # the same function for all of them
        of_multiset = self.extraction.plan.of_multiset
        if of_multiset is None:
            msg = "a plan with single entries must give their value"
            raise TypeError(msg)
        return of_multiset(content, self.step_s)
