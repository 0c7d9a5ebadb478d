"""Raw scores on the scale 0 to 100: the least of a few ceilings, from what this level has seen.

=============  ====================================================================================
significance   the probability itself: p = .05 at 5, p <= 1e-4 at 100
quantile       how rare the score is among the decayed history of period maxima, through knots
maximum        its ratio r to the decayed largest score of its scope: 100 min(1.5 r, .5 + .5 r)
noise          `ELASTIC` only: how far it stands above the median of the history
=============  ====================================================================================

`STANDARD` measures quantiles and ratios on the significance scale, over hourly maxima; `ELASTIC`
is ELi-02 as it is, on raw scores, one period a bucket. (On the significance scale, which ends at
100, the maximum's ceiling is never below that of significance: it binds with `ELASTIC` alone.)

One `History` is kept for each level of results (buckets, records, each influencer field); its
scopes are whole numbers that the caller gives (a partition, a series). Only raw scores are stored:
`score` normalises old rows anew too.

Source: contracts.md ELi-02 and ELi-03 (Elastic's ml-cpp); the standard knots were measured.
"""

import json
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.scores.raw_score import significance
from engine.errors import StoreError

__all__ = ["CEILINGS", "ELASTIC", "NORMALIZERS", "STANDARD", "History", "Normalizer"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CEILINGS: Final = ("significance", "quantile", "maximum", "noise")  # a binding ceiling's place

_VERSION = 1
_DAY_S = 86400.0
_MAXIMUM_DECAY = 0.02  # a day
_QUANTILE_DECAY = _MAXIMUM_DECAY / 20.0  # the history forgets more slowly than the maximum
_BIG_CHANGE = 1.1  # ELi-03


def _no_numbers() -> Numbers:
    return np.empty(0, np.float64)


def _no_levels() -> Codes:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What one level of results has seen; frozen, `Normalizer.update` gives the next one.

    Attributes
    ----------
    start_s : int or None
        Start of the latest bucket, seconds since the epoch; None before the first.
    peak : int
        The greatest level of the period that is still open, -1 where none is.
    levels : int64, shape (u,)
        Levels that a closed period had as its greatest, rising; in steps of the normalizer.
    weights : float64, shape (u,)
        Decayed number of periods of each level.
    maxima : float64, shape (scopes,)
        Decayed greatest value of each scope, 0 where nothing was above 0.
    """

    start_s: int | None = None
    peak: int = -1
    levels: Codes = field(default_factory=_no_levels)
    weights: Numbers = field(default_factory=_no_numbers)
    maxima: Numbers = field(default_factory=_no_numbers)

    def to_json(self) -> str:
        """Write all of it as JSON; hexadecimal floats, so that nothing is rounded."""
        return json.dumps(
            {
                "version": _VERSION,
                "start_s": self.start_s,
                "peak": self.peak,
                "levels": self.levels.tolist(),
                "weights": [weight.hex() for weight in self.weights.tolist()],
                "maxima": [value.hex() for value in self.maxima.tolist()],
            }
        )

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            When another version wrote it.
        """
        told: dict[str, Any] = json.loads(text)
        if told["version"] != _VERSION:
            msg = f"`version` of a score history must be {_VERSION}, got {told['version']}"
            raise StoreError(msg)
        return cls(
            told["start_s"],
            told["peak"],
            np.array(told["levels"], np.int64),
            np.array([float.fromhex(weight) for weight in told["weights"]], np.float64),
            np.array([float.fromhex(value) for value in told["maxima"]], np.float64),
        )


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A choice of ceilings; all methods are pure.

    Attributes
    ----------
    percentiles, scores : tuple of float
        The knots of the quantile ceiling, both rising from 0 to 100.
    period_s : int
        The history counts the greatest score of each period of so many seconds; 1: each bucket's.
    steps : int
        Levels of the history per unit of the value.
    raw : bool
        Whether quantiles and ratios are of raw scores, not of their significance.
    noise : bool
        Whether the noise ceiling counts.
    """

    percentiles: tuple[float, ...]
    scores: tuple[float, ...]
    period_s: int
    steps: int
    raw: bool
    noise: bool

    def update(
        self, history: History, start_s: int, span_s: int, raw: Numbers, scopes: Codes
    ) -> tuple[History, Codes]:
        """Learn the raw scores of a bucket that closes; score it with what comes back.

        Parameters
        ----------
        history : History
        start_s, span_s : int
            The bucket, whole seconds. Buckets come in order of time; gaps only decay.
        raw : float64, shape (n,)
            Raw scores, no NaN; n may be 0: a bucket without results is one of score 0.
        scopes : int64, shape (n,)
            The scope of each, from 0; a greater one than before makes room for itself.

        Returns
        -------
        History
        int64, shape (changed,)
            The scopes whose maximum grew by more than a tenth, so that their older rows deserve
            to be scored anew (ELi-03).

        Raises
        ------
        ValueError
            When the bucket does not start after the one before.
        """
        latest = history.start_s
        if latest is not None and start_s <= latest:
            msg = f"`start_s` must be after {latest}, the latest bucket, got {start_s}"
            raise ValueError(msg)
        days = 0.0 if latest is None else (start_s - latest) / _DAY_S
        maxima, changed, top = history.maxima * math.exp(-_MAXIMUM_DECAY * days), _no_levels(), 0
        if raw.any():  # nearly never
            value = self._value(raw)
            maxima, changed = _grown(maxima, value, scopes)
            top = int(self._levels(value).max())
        counted = history.levels, history.weights * math.exp(-_QUANTILE_DECAY * days), history.peak
        levels, weights, peak = self._counted(counted, top, latest, (start_s, span_s))
        return History(start_s, peak, levels, weights, maxima), changed

    def rest(self, history: History, starts: range) -> History:
        """Learn consecutive buckets without results: what `update` gives, one after the other.

        Parameters
        ----------
        history : History
        starts : range
            Starts of the buckets, a span apart, after the latest one.
        """
        latest, maxima = history.start_s, history.maxima.copy()
        counted = history.levels, history.weights.copy(), history.peak
        for start_s in starts:
            days = 0.0 if latest is None else (start_s - latest) / _DAY_S
            maxima *= math.exp(-_MAXIMUM_DECAY * days)
            levels, weights, peak = counted
            weights *= math.exp(-_QUANTILE_DECAY * days)
            bucket = start_s, starts.step
            counted = self._counted((levels, weights, peak), 0, latest, bucket)
            latest = start_s
        levels, weights, peak = counted
        return History(latest, peak, levels, weights, maxima)

    def _counted(
        self,
        counted: tuple[Codes, Numbers, int],
        top: int,
        latest: int | None,
        bucket: tuple[int, int],
    ) -> tuple[Codes, Numbers, int]:
        """Count the periods that end before a bucket or with it; `top` is its greatest level."""
        levels, weights, peak = counted
        start_s, span_s = bucket
        period = start_s // self.period_s
        if peak >= 0 and latest is not None and latest // self.period_s != period:
            levels, weights, peak = _closed(levels, weights, peak)
        peak = max(peak, top)
        if (start_s + span_s) // self.period_s != period:
            levels, weights, peak = _closed(levels, weights, peak)
        return levels, weights, peak

    def score(self, history: History, raw: Numbers, scopes: Codes) -> tuple[Numbers, Codes]:
        """Normalise raw scores by what was seen, theirs included once `update` has learned it.

        Parameters
        ----------
        history : History
        raw : float64, shape (n,)
            Raw scores, no NaN.
        scopes : int64, shape (n,)
            The scope of each; one that was never seen has no maximum.

        Returns
        -------
        score : float64, shape (n,)
            0 to 100, never falling when the raw score rises; 0 for a raw score of 0.
        binding : int64, shape (n,)
            Which ceiling was the least, a place in `CEILINGS`; the first of equal ones.

        Examples
        --------
        A bucket of p = 1.73e-4 after 300 quiet hours:

        >>> seen = History()
        >>> for hour in range(300):
        ...     seen, _ = STANDARD.update(seen, hour * 3600, 3600, np.zeros(1), np.array([0]))
        >>> raw = np.array([0.5758246639716365])
        >>> seen, changed = STANDARD.update(seen, 300 * 3600, 3600, raw, np.array([0]))
        >>> [found.tolist() for found in STANDARD.score(seen, raw, np.array([0]))]
        [[91.58505459594764], [0]]
        """
        if not raw.any():
            return np.zeros(raw.shape), np.zeros(raw.shape, np.int64)
        value = self._value(raw)
        ceilings = [significance(raw), *self._of_history(history, value)]
        ceilings.insert(2, _of_maximum(history.maxima, value, scopes))
        stacked = np.stack(ceilings)
        least = np.clip(stacked.min(axis=0), 0.0, 100.0)
        return np.where(raw > 0.0, least, 0.0), stacked.argmin(axis=0).astype(np.int64)

    def _value(self, raw: Numbers) -> Numbers:
        return raw if self.raw else significance(raw)

    def _levels(self, value: Numbers) -> Codes:
        return np.floor(value * self.steps).astype(np.int64)

    def _of_history(self, history: History, value: Numbers) -> list[Numbers]:
        """Give the ceilings of quantile and, if it counts, noise; infinite without a history."""
        if history.levels.size == 0:
            return [np.full(value.shape, np.inf)] * (2 if self.noise else 1)
        # The last is set to 1: a sum's rounding must not keep the greatest of all below 100.
        share = np.concatenate([[0.0], np.cumsum(history.weights) / history.weights.sum()])
        share[-1] = 1.0
        level = self._levels(value)
        quantile = np.zeros(value.shape)
        for below in (
            share[np.searchsorted(history.levels, level, "left")],
            share[np.searchsorted(history.levels, level, "right")],
        ):
            quantile += np.interp(100.0 * below, self.percentiles, self.scores) / 2.0
        if not self.noise:
            return [quantile]
        zero = float(share[np.searchsorted(history.levels, 0, "right")])
        median = history.levels[np.searchsorted(share[1:], 0.5 - 1e-12)]  # a sum's rounding
        # Elastic's 10 points per unit of raw score, above 1, the score of the first knot past 50.
        # Where half of the history is 0 the median says nothing: `unknown` lifts the ceiling away.
        signal = 10.0 * (level - median) / self.steps
        unknown = 100.0 * max(2.0 * min(zero / 0.5, 1.0) - 1.0, 0.0)
        return [quantile, np.maximum(1.0 + signal, 0.0) + unknown]


def _closed(levels: Codes, weights: Numbers, peak: int) -> tuple[Codes, Numbers, int]:
    """Count a period whose greatest level was `peak`; -1 says that none is open."""
    place = int(np.searchsorted(levels, peak))
    if place == levels.size or levels[place] != peak:
        return np.insert(levels, place, peak), np.insert(weights, place, 1.0), -1
    counted = weights.copy()
    counted[place] += 1.0
    return levels, counted, -1


def _grown(decayed: Numbers, value: Numbers, scopes: Codes) -> tuple[Numbers, Codes]:
    """Raise the scopes' maxima to the values; tell which grew by more than a tenth."""
    size = max(decayed.size, int(scopes.max(initial=-1)) + 1)
    before = np.concatenate([decayed, np.zeros(size - decayed.size)])
    after = before.copy()
    np.maximum.at(after, scopes, value)
    # A scope without a maximum has no older rows that could be scored anew.
    return after, np.flatnonzero((after > _BIG_CHANGE * before) & (before > 0.0))


def _of_maximum(maxima: Numbers, value: Numbers, scopes: Codes) -> Numbers:
    # One place more, for scopes that were never seen.
    known = np.concatenate([maxima, [0.0]])[np.minimum(scopes, maxima.size)]
    ratio = np.where(known > 0.0, value / np.where(known > 0.0, known, 1.0), np.inf)
    return 100.0 * np.minimum(1.5 * ratio, 0.5 + 0.5 * ratio)


STANDARD: Final = Normalizer(
    percentiles=(0.0, 50.0, 70.0, 90.0, 95.0, 97.0, 99.0, 99.9, 100.0),
    scores=(0.0, 5.0, 15.0, 40.0, 60.0, 75.0, 90.0, 99.0, 100.0),
    period_s=3600,
    steps=10,
    raw=False,
    noise=False,
)

ELASTIC: Final = Normalizer(
    percentiles=(0.0, 70.0, 85.0, 90.0, 95.0, 97.0, 99.0, 99.9, 100.0),
    scores=(0.0, 1.0, 1.2, 1.5, 3.0, 20.0, 50.0, 90.0, 100.0),
    period_s=1,
    steps=1000,
    raw=True,
    noise=True,
)

NORMALIZERS: Final = MappingProxyType({"standard": STANDARD, "elastic": ELASTIC})
