"""Series of drift as the tests draw them, and every one of their windows taken by itself."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.drift import MEASURES
from engine.metrics import metric_id

Delta = tuple[int, int, int, int]  # series, pane, bin, count
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """One binning, and how long its windows are."""

    model: str
    name: str
    lookback_s: int
    step_s: int
    reference: tuple[int, ...]

    @property
    def length(self) -> tuple[int, int]:
        return self.lookback_s, self.step_s

    @property
    def binning(self) -> str:
        return str(metric_id(self.model, self.name))

    def metric(self, measure: str) -> str:
        return str(metric_id(self.model, f"{measure}({self.name})"))


SERIES = (
    Series("m", "features.a", 100, 10, (5, 20, 0, 75)),
    Series("m", 'o\'dd "ä"', 30, 10, (3, 3, 3)),
    Series("n", "features.a", 60, 60, (0, 1_000_000, 7)),
    Series("n", "empty", 20, 10, (0, 0)),
    Series("n", "finer", 25, 10, (40, 50)),
)
PANE_S = 5


def panes_of(series: int, deltas: list[Delta]) -> dict[int, Counts]:
    """Give the net counts of the panes that hold anything."""
    bins = len(SERIES[series].reference)
    found: dict[int, Counts] = {}
    for number, pane, place, count in deltas:
        if number == series:
            row = found.setdefault(pane * PANE_S, np.zeros(bins, np.int64))
            row[place % bins] += count
    return {pane: row for pane, row in found.items() if row.any()}


def windows_of(series: int, deltas: list[Delta]) -> dict[int, Counts]:
    """Give the counts of every window from the first pane's to the one that the last has left."""
    each, panes = SERIES[series], panes_of(series, deltas)
    if not panes:
        return {}
    first = (min(panes) // each.step_s + 1) * each.step_s
    last = ((max(panes) + each.lookback_s) // each.step_s + 1) * each.step_s
    nothing = np.zeros(len(each.reference), np.int64)
    return {
        end: sum((n for at, n in panes.items() if end - each.lookback_s <= at < end), nothing)
        for end in range(first, last + 1, each.step_s)
    }


def _same(value: float | None, before: float | None) -> bool:
    if value is None or before is None:
        return value is before
    return abs(value - before) <= 1e-14 * max(value, 1)


def changed_rows(
    series: int, measure: str, windows: dict[int, Counts]
) -> dict[int, tuple[float | None, int]]:
    """Give value and size of the windows that differ from the one before, by their end."""
    reference = np.array(SERIES[series].reference)
    before: tuple[float | None, int] = None, 0
    found = {}
    for end, counts in windows.items():
        value = float(MEASURES[measure](reference, counts[None, :])[0])
        row = None if math.isnan(value) else value, int(counts.sum())
        if row[1] != before[1] or not _same(row[0], before[0]):
            found[end] = row
        before = row
    return found
