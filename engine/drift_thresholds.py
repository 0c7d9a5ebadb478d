"""Thresholds of drift alerts, computed from the reference set for a budget of alarms.

The promise: on a stable stream at most one alert per feature and `budget_days`, whatever the rate
and the autocorrelation. Between two such alerts lie N = budget / step evaluations, so the
threshold is the value that one evaluation passes with probability at most ½/N: then the expected
number of evaluations above it, and with it that of alerts, is a half, however they cluster. That
is a quantile that no reference set is long enough to show; it is the largest of four estimates,
each right where another one is not:

independent
    Windows and references drawn from the reference's shares, half an event added to each bin: exact
    for rare categories, small windows and events that do not depend on each other.
dependent
    Windows that deviate as contiguous blocks of the reference do (circular, each measured against
    the rest, so that the reference's own error is in it): normal deviations with the covariance of
    the blocks' shares, stretched by Student's t for the number of blocks that this rests on. A
    window longer than a twentieth of the reference deviates as such a twentieth does, scaled by
    size: for autocorrelated events nearly right, for seasonal ones too cautious.
observed
    The blocks' own values: windows shorter than the memory of the stream are not normal at all.

rare
    The first one once more for at most 32 events, by importance sampling.

The first three are carried to the wanted probability by an exponential tail through their upper
twentieth (observed: tenth), which is the tail of the χ² mixtures that these measures are in the
limit. Seasons are stable only if the reference holds several of them: two hours tell nothing about
a day.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from engine.drift import MEASURES
from engine.drift_bins import Bins
from engine.drift_tests import chi2_test, ks_of_counts

__all__ = ["Calibration", "chance_of", "neighbours"]

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Pair = tuple[Counts, Counts | Numbers]  # of the reference and of windows
Measure = Callable[[Counts | Numbers, Counts | Numbers], Numbers]

_DAY_S = 86_400.0
_MOST_ROWS = 100_000  # of the reference that blocks are cut from
_RUNS = 4  # contiguous runs that a longer reference is cut down to
_FEWEST_BLOCKS = 20  # independent ones that a covariance is estimated from
_CELLS = 60_000  # bins times draws: some 20 ms
_FEW_EVENTS = 32  # up to which a window's values are far from continuous
_TAIL = 0.05  # upper part of the draws that the tail is fitted to
_OBSERVED_TAIL = 0.1  # of the blocks, which are fewer and overlap: steadier, and some 5 % higher


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the thresholds of one property and measure are computed from.

    Attributes
    ----------
    reference : int64, shape (B,)
        Rows of the whole reference set by bin.
    codes : int, shape (M,)
        Bins of its rows in the order of time, at most 100,000 of them.
    measure : callable
        Counts of the reference (B,) or (m, B) and of m windows (m, B) to m values.
    power : float
        The value to this power grows like χ².
    seed_text : str
        All that the draws depend on: model, property and version of the reference.
    """

    reference: Counts
    codes: npt.NDArray[np.int16]
    measure: Measure
    power: float
    seed_text: str
    _known: dict[tuple[int, int, float], float] = field(default_factory=dict)

    @classmethod
    def of(cls, bins: Bins, codes: npt.NDArray[np.intp], measure: str, seed_text: str) -> Self:
        """Prepare the thresholds of one property and measure.

        Parameters
        ----------
        bins : Bins
            As frozen with the reference. For `HypothesisTest` of numbers: about 100 bins, since
            the gap between the distributions is looked for at their edges alone.
        codes : int, shape (M,)
            The bin of each row of the reference set, in the order of time.
        measure : str
            Of `engine.drift.MEASURES`, or ``HypothesisTest``.
        """
        if measure == "HypothesisTest":
            function: Measure = chi2_test if bins.kind == "category" else _ks_of_known
        elif measure in MEASURES:
            function = MEASURES[measure]
        else:
            msg = f"`measure` must be HypothesisTest or one of {', '.join(MEASURES)}, got {measure}"
            raise ValueError(msg)
        power = 2.0 if measure == "HellingerDistance" else 1.0
        kept = _thinned(np.asarray(codes)).astype(np.int16)
        return cls(bins.reference, kept, function, power, seed_text)

    def threshold(
        self, sample_size: int, lookback_s: float, step_s: float, budget_days: float = 30.0
    ) -> float:
        """Give the value that a stable stream passes less than once in `budget_days`.

        Parameters
        ----------
        sample_size : int
            Events in the window; taken to scatter like the next lower power of √2, and
            to be smoothed like the next higher one: both raise the threshold.
        lookback_s, step_s : float
            Length of the window, and from one evaluation to the next.
        budget_days : float
            Days for one alert.

        Returns
        -------
        float
            May lie above all that the measure can reach: such a window can never tell. Infinite
            for an empty window or an empty reference. Same answer for same inputs on any machine
            up to rounding; at most 50 ms for 10,000 rows, kept for the next time.
        """
        if sample_size <= 0 or not self.reference.sum():
            return np.inf
        low, high = neighbours(sample_size)
        chance = chance_of(lookback_s, step_s, budget_days)
        key = (low, high, chance)
        if key not in self._known:
            self._known[key] = self._computed(low, high / low, chance)
        return self._known[key]

    def _computed(self, size: int, scale: float, chance: float) -> float:
        digest = hashlib.sha256(f"{self.seed_text}\0{size}".encode()).digest()
        draws = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        pairs: list[tuple[Pair, float]] = [(self._independent(draws, size), _TAIL)]
        if len(self.codes) >= _FEWEST_BLOCKS:
            pairs.append((self._dependent(draws, size, chance), _TAIL))
        if len(self.codes) >= _FEWEST_BLOCKS * size:
            pairs.append((self._observed(size), _OBSERVED_TAIL))
        greatest = max(
            _tail_value(self._scaled(*pair, scale) ** self.power, chance, part)
            for pair, part in pairs
        )
        if size <= _FEW_EVENTS:
            greatest = max(greatest, self._rare(draws, size, scale, chance) ** self.power)
        # Sums of other layouts differ in the last bit: the very value must not pass itself.
        return float(greatest ** (1 / self.power)) * (1 + 1e-9)

    def _scaled(self, reference: Counts, target: Counts | Numbers, scale: float) -> Numbers:
        windows: Numbers = np.asarray(target, np.float64) * scale
        return self.measure(reference, windows)

    def _independent(self, draws: np.random.Generator, size: int) -> Pair:
        bins = len(self.reference)
        count, base = max(1000, _CELLS // bins), int(self.reference.sum())
        shares = (self.reference + 0.5) / (base + bins / 2)
        return draws.multinomial(base, shares, count), draws.multinomial(size, shares, count)

    def _rare(self, draws: np.random.Generator, size: int, scale: float, chance: float) -> float:
        """Give the quantile of few independent events, whose values make great leaps.

        Importance sampling from a mixture of the reference's shares, flatter ones, and ones that
        favour one bin each, so that even what is expected once in a million windows is drawn.
        """
        bins = len(self.reference)
        shares = (self.reference + 0.5) / (self.reference.sum() + bins / 2)
        flat = np.sqrt(shares) / np.sqrt(shares).sum()
        level = np.full(bins, 1 / bins)
        mixture = np.vstack([shares, flat, level, (shares + np.eye(bins)) / 2])
        each = max(1000, _CELLS // bins // 2) // len(mixture) + 1
        counts = np.vstack([draws.multinomial(size, part, each) for part in mixture])
        ratios = counts @ (np.log(mixture) - np.log(shares)).T
        weights = 1 / np.exp(ratios).mean(axis=1) / len(counts)
        values = self._scaled(self.reference, counts, scale)
        order = np.argsort(-values, kind="stable")
        passed = np.searchsorted(np.cumsum(weights[order]), chance, side="right")
        return float(values[order[min(int(passed), len(values) - 1)]])

    def _dependent(self, draws: np.random.Generator, size: int, chance: float) -> Pair:
        rows, base = len(self.codes), int(self.reference.sum())
        length = max(1, min(size, rows // _FEWEST_BLOCKS))
        blocks = self._blocks(length)
        total = np.bincount(self.codes, minlength=len(self.reference))
        used = self.reference > 0
        misses = (blocks / length - (total - blocks) / (rows - length))[:, used]
        covariance = misses.T @ misses / len(misses)
        covariance *= (1 / size + 1 / base) / (1 / length + 1 / (rows - length))
        spread, directions = np.linalg.eigh(covariance)
        memory = _memory(self._blocks(max(1, rows // _FEWEST_BLOCKS)), total)
        stretch = _stretch(chance, rows / max(length, memory))
        root = directions * np.sqrt(np.maximum(spread, 0.0)) * stretch
        count = max(1000, _CELLS // len(self.reference))
        drawn = draws.standard_normal((count, len(spread))) @ root.T
        # On square roots: there counts are nearest to normal, and no share ends up below 0.
        roots = np.sqrt(self.reference[used] / base)
        shares = np.zeros((count, len(self.reference)))
        shares[:, used] = np.maximum(roots + drawn / (2 * roots), 0.0) ** 2
        shares *= size / shares.sum(axis=1, keepdims=True)
        return self.reference, shares

    def _observed(self, size: int) -> Pair:
        blocks = self._blocks(size)
        total = np.bincount(self.codes, minlength=len(self.reference))
        return total - blocks, blocks

    def _blocks(self, length: int) -> Counts:
        """Give counts by bin of contiguous circular blocks, overlapping by 7/8, some 4,000 at most.

        Shape (blocks, B), int64.
        """
        bins, rows = len(self.reference), len(self.codes)
        count = rows // length
        shifts = np.unique(np.arange(8) * length // 8)
        most = max(50, _CELLS // bins // len(shifts))
        chosen = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
        starts = (chosen[:, None] * length + shifts).ravel()
        if length * len(starts) > 10 * rows:
            starts = starts[:: max(1, length * len(starts) // (10 * rows))]
        places = (starts[:, None] + np.arange(length)) % rows
        cells = self.codes[places] + bins * np.arange(len(starts))[:, None]
        counts = np.bincount(cells.ravel(), minlength=bins * len(starts))
        return counts.reshape(len(starts), bins).astype(np.int64)


def _ks_of_known(reference: Counts | Numbers, target: Counts | Numbers) -> Numbers:
    return np.nan_to_num(ks_of_counts(reference[..., :-1], target[..., :-1]))


def _thinned(codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Give at most 100,000 rows, in contiguous runs spread over the whole reference."""
    if len(codes) <= _MOST_ROWS:
        return codes
    length = _MOST_ROWS // _RUNS
    starts = np.linspace(0, len(codes) - length, _RUNS).astype(np.int64)
    return np.concatenate([codes[start : start + length] for start in starts])


def chance_of(lookback_s: float, step_s: float, budget_days: float = 30.0) -> float:
    """Give the probability with which one evaluation may pass a threshold by the budget."""
    # Two alerts are at least a lookback apart: a long one keeps to the budget by itself.
    evaluations = budget_days * _DAY_S / step_s
    return min(0.05, 0.5 / evaluations * max(1.0, lookback_s / (budget_days * _DAY_S)))


def neighbours(size: int) -> tuple[int, int]:
    """Give the powers of √2, as whole numbers, that `size` lies between; up to 8 itself twice."""
    if size <= 8:
        return size, size
    power = int(np.floor(2 * np.log2(size) + 1e-9))
    return int(np.sqrt(2.0) ** power + 1e-9), int(np.ceil(np.sqrt(2.0) ** (power + 1) - 1e-9))


def _memory(blocks: Counts, total: Counts) -> float:
    """Give how many rows in sequence tell as much as one independent row, at least 1.

    The variance of long blocks' shares over that of independent rows, in the worst direction.
    """
    length, rows = int(blocks[0].sum()), int(total.sum())
    used = total > 0
    share = total[used] / rows
    misses = (blocks[:, used] / length - share) / np.sqrt(share)
    worst = float(np.linalg.eigvalsh(misses.T @ misses / len(misses))[-1])
    return max(1.0, worst * length)


def _stretch(chance: float, blocks: float) -> float:
    """Give how much further Student's t lies out than the normal, at a two-sided `chance`."""
    from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    freedom = max(blocks - 1, 3.0)
    return float(stdtrit(freedom, chance / 2) / ndtri(chance / 2))


def _tail_value(values: Numbers, chance: float, part: float) -> float:
    """Give the value that is passed with probability `chance`, by an exponential tail.

    The tail is the upper `part` of the values, without those equal to the least of them.
    """
    ordered = np.sort(values)
    start = ordered[min(len(ordered) - 1, int(len(ordered) * (1 - part)))]
    beyond = ordered[ordered > start]
    if not len(beyond):
        return float(start)
    share = len(beyond) / len(ordered)
    return float(start + np.mean(beyond - start) * max(0.0, np.log(share / chance)))
