"""How unusual the time of day or week is: the functions ``time_of_day`` and ``time_of_week``.

Each series has a density of its times on the circle: a histogram, each bucket with rows one
observation (not each row: one heartbeat a night is as usual as a thousand clicks at noon),
smoothed over an hour, or three of the week, faded with a half-life of 60 or 120 days. The time at
hand is put to the others, so that it is not judged by a density that was fitted to them alone, and

    p = share of the observations in slots whose density is at most that of this one's

(and 1 / r of that more after r rounds of the circle, since slots are visited one after the other)
which is never too small when the times come as they did: a conformal p-value, at least 1 / (n + 1).
Times far from all that was seen are all alike in that; so where the distance d to the nearest time
seen is larger than the largest one ever was, D, p falls as ((h + d) / (h + D))^(-1/.6), h half an
hour, or three of the week, as beyond the records in `engine.anomaly.models.magnitudes`.
Source: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world".
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import grown, looked_up
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.values import Expected, Judgement, Values

__all__ = ["DAY_S", "WEEK_S", "ClockTimes"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DAY_S = 86_400
WEEK_S = 604_800

_SLOTS = {DAY_S: 96, WEEK_S: 168}
_HALF_LIFE_S = {DAY_S: 60 * 86_400.0, WEEK_S: 120 * 86_400.0}
_YOUNG_S = {DAY_S: 3 * DAY_S, WEEK_S: 2 * WEEK_S}  # since the first observation
_FAR_S = {DAY_S: 1_800.0, WEEK_S: 3 * 3_600.0}
_KERNELS = {DAY_S: (0.375, 0.25, 0.0625), WEEK_S: (0.5, 0.25)}  # at 0, 1, 2 slots: binomial
_YOUNG_COUNT, _FAR_INDEX = 30.0, 0.6
_FAR_COUNT = 10.0  # observations before distances are learned
_SEEN = 0.25  # of an observation, faded: less is forgotten
_MODE_SHARE = 0.25  # of the highest density; lower peaks are not typical
_BLOCK = 512  # series
_STATE = ("weights", "count", "farthest_s", "first_s", "last_s")


def _blocks(size: int) -> list[slice]:
    """Cut rows so that their slots stay in the processor's cache."""
    return [slice(begin, begin + _BLOCK) for begin in range(0, size, _BLOCK)]


def _beside(slots: Numbers, step: int) -> tuple[Numbers, Numbers]:
    """Give, for each slot, the one so many steps before and after it, around the circle."""
    around = np.concatenate([slots[:, -step:], slots, slots[:, :step]], axis=1)
    return around[:, : -2 * step], around[:, 2 * step :]


class ClockTimes:
    """A model of the times of all series.

    Parameters
    ----------
    span_s : int
    period_s : int
        `DAY_S` or `WEEK_S`; values are seconds within it.
    """

    def __init__(self, span_s: int, period_s: int) -> None:
        self._span_s, self._period_s = span_s, period_s
        self._slots = _SLOTS[period_s]
        self.weights: Numbers = np.zeros((0, self._slots))
        self.count: Numbers = np.zeros(0)
        self.farthest_s: Numbers = np.zeros(0)
        self.first_s: Codes = np.zeros(0, np.int64)
        self.last_s: Codes = np.zeros(0, np.int64)
        self._streaks = Streaks()

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how unusual the times are; a part of a bucket is judged as it is."""
        del completeness
        there = ~np.isnan(values.value) & (not values.gap)
        series, time = values.series[there], values.value[there]
        ln_p, typical = self._told(series, time, values.start_s)
        unknown = np.full(len(series), np.nan)
        return Judgement(
            series=series,
            ln_p=ln_p,
            ln_p_single=ln_p,
            ln_p_multi=np.zeros(len(series)),
            actual=time,
            typical=typical,
            lower=unknown,
            upper=unknown,
            season=unknown,
            length=self._streaks.with_bucket(series, ln_p, values.start_s, values.span_s),
            first=looked_up(self.count, series) == 0.0,
            scratch=(time, values.start_s),
        )

    def _told(self, series: Codes, time: Numbers, start_s: int) -> tuple[Numbers, Numbers]:
        """Give ln p and the typical time of each series."""
        ln_p, typical = np.zeros(len(series)), np.empty(len(series))
        old = looked_up(self.count, series) >= _YOUNG_COUNT
        old &= start_s - looked_up(self.first_s, series) >= _YOUNG_S[self._period_s]
        for block in _blocks(len(series)):
            raw = looked_up(self.weights, series[block])
            smooth = self._smooth(raw)
            typical[block] = self._typical(smooth, time[block])
            told = self._ln_p(raw, smooth, series[block], time[block], start_s)
            ln_p[block] = np.where(old[block], told, 0.0)
        return ln_p, typical

    def _ln_p(
        self, raw: Numbers, smooth: Numbers, series: Codes, time: Numbers, start_s: int
    ) -> Numbers:
        rows, slot = np.arange(len(series)), self._slot(time)
        far_s = self._distance(raw, slot, time)
        # The time at hand, put to the others.
        raw, density = raw.copy(), smooth.copy()
        raw[rows, slot] += 1.0
        for step, factor in enumerate(_KERNELS[self._period_s]):
            for side in (-step, step) if step else (0,):
                density[rows, (slot + side) % self._slots] += factor
        # Slots that came round again may have one visit more; and rounding is no difference.
        rounds = (start_s - looked_up(self.first_s, series)) // self._period_s
        here = density[rows, slot] * (1.0 + 1.0 / np.maximum(rounds, 1) + 1e-9)
        mass = np.cumsum(np.where(density <= here[:, None], raw, 0.0), axis=1)[:, -1]
        ln_p = np.log(mass / (looked_up(self.count, series) + 1.0))
        farthest_s, unit = looked_up(self.farthest_s, series), _FAR_S[self._period_s]
        beyond = (unit + np.maximum(far_s, farthest_s)) / (unit + farthest_s)
        return np.asarray(np.minimum(ln_p - np.log(beyond) / _FAR_INDEX, 0.0), np.float64)

    def _slot(self, time: Numbers) -> Codes:
        share = time % self._period_s / self._period_s
        return np.floor(share * self._slots).astype(np.int64) % self._slots

    def _smooth(self, raw: Numbers) -> Numbers:
        """Smooth the weights of the slots around the circle; shape (m, slots)."""
        center, *sides = _KERNELS[self._period_s]
        smooth: Numbers = center * raw
        for step, factor in enumerate(sides, 1):
            before, after = _beside(raw, step)
            smooth += factor * (before + after)
        return smooth

    def _away(self, time: Numbers) -> Numbers:
        """Give the seconds from each time to each slot's center, the shorter way round."""
        centers = (np.arange(self._slots) + 0.5) * self._period_s / self._slots
        apart = np.abs(centers[None, :] - (time % self._period_s)[:, None])
        return np.asarray(np.minimum(apart, self._period_s - apart), np.float64)

    def _distance(self, raw: Numbers, slot: Codes, time: Numbers) -> Numbers:
        """Give the seconds to the nearest slot where something was seen, less its width."""
        answer = np.zeros(len(time))
        # In a slot that was seen it is 0 without looking at the others.
        at = np.flatnonzero(raw[np.arange(len(time)), slot] < _SEEN)
        if at.size:
            nearest = np.where(raw[at] >= _SEEN, self._away(time[at]), np.inf).min(axis=1)
            nearest = np.minimum(nearest, self._period_s / 2.0)
            answer[at] = np.maximum(nearest - self._period_s / self._slots, 0.0)
        return answer

    def _typical(self, smooth: Numbers, time: Numbers) -> Numbers:
        """Give the peak of the density that is nearest to each time, NaN before any."""
        top = smooth.max(axis=1, initial=0.0)
        before, after = _beside(smooth, 1)
        peak = (smooth >= before) & (smooth >= after) & (smooth >= _MODE_SHARE * top[:, None])
        away = np.where(peak, self._away(time), np.inf)
        center = (away.argmin(axis=1) + 0.5) * self._period_s / self._slots
        return np.where(top > 0.0, center, np.nan)

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn the times of a closed bucket."""
        self._streaks.learn(judgement.series, judgement.length, values.start_s)
        for name in _STATE:
            setattr(self, name, grown(getattr(self, name), len(values.keys)))
        series, time = judgement.series[keep], judgement.actual[keep]
        self.first_s[series] = np.where(
            self.count[series] == 0.0, values.start_s, self.first_s[series]
        )
        ago = (values.start_s - self.last_s[series]).astype(np.float64)
        fade = np.exp2(-np.maximum(ago, 0.0) / _HALF_LIFE_S[self._period_s])
        slot = self._slot(time)
        for block in _blocks(len(series)):
            some, raw = series[block], self.weights[series[block]]
            far_s = self._distance(raw, slot[block], time[block])
            far_s = np.where(self.count[some] >= _FAR_COUNT, far_s, 0.0)
            self.farthest_s[some] = np.maximum(self.farthest_s[some] * fade[block], far_s)
            self.weights[some] = raw * fade[block, None]
        self.weights[series, slot] += 1.0
        self.count[series] = self.count[series] * fade + 1.0
        self.last_s[series] = values.start_s

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p of judged series, had their times been others."""
        there = ~np.isnan(values)
        _, start_s = judgement.scratch
        ln_p = np.zeros(len(places))
        ln_p[there], _ = self._told(judgement.series[places[there]], values[there], start_s)
        return ln_p

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give the usual time that is nearest to that of a bucket."""
        time = np.full(len(series), float((start_s - self._origin()) % self._period_s))
        unknown = np.full(len(series), np.nan)
        return Expected(self._told(series, time, start_s)[1], unknown, unknown, unknown)

    def _origin(self) -> int:
        # The epoch began on a Thursday; weeks begin on Monday.
        return 4 * DAY_S if self._period_s == WEEK_S else 0

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        own: int = sum(getattr(self, name).nbytes for name in _STATE)
        return own + self._streaks.nbytes

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        return {
            "period_s": np.array([self._period_s], np.int64),
            **{name: getattr(self, name).copy() for name in _STATE},
            **self._streaks.to_arrays(),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], span_s: int, side: int) -> Self:
        """Make the model of what `to_arrays` gave; `side` means nothing here."""
        del side
        found = cls(span_s, int(arrays["period_s"][0]))
        for name in _STATE:
            setattr(found, name, np.array(arrays[name]))
        found._streaks = Streaks.of_arrays(arrays)
        return found
