"""Entities compared with each other: the model of detectors with an over field.

The entities with rows in a bucket are measured by their group's location and spread there
(`engine.anomaly.models.populace`; a group is a partition and a by value): z, in square roots for
counts.
An entity's probability is that of a deviation at least as large, to its side, among all those of
the group so far (`engine.anomaly.models.magnitudes`); twice that where both sides count. So

- what all entities do together is nobody's anomaly;
- heavy tails, once seen, are not unusual for ever;
- an entity that always is unusual is so less and less: what exceeds .5 in its mean surprise
  (-log10 p; .43 by chance, time constant 30 of its buckets) is taken off, and while that explains
  a quarter of the surprise, the entity says nothing of the tail of the others.

Entities without rows are not there: nothing is said of them (contracts.md ELi-15, ELi-16).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import Groups, grown, looked_up
from engine.anomaly.models.magnitudes import Magnitudes, decay_of
from engine.anomaly.models.populace import Populace
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.models.together import together_of
from engine.anomaly.values import Expected, Judgement, Values

__all__ = ["Population"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LN_10, _LOG10_2 = float(np.log(10.0)), float(np.log10(2.0))
_SCALED_BUCKETS, _YOUNG_BUCKETS, _YOUNG_VALUES = 10.0, 20.0, 100.0
_COUNT_FLOOR = 0.2  # in square roots; Poisson counts have a mean deviation of .4
_MEAN_BY_CHANCE, _SURPRISE_SLACK = 0.4342944819032518, 0.5
_EXPLAINED_SHARE = 0.25  # of the surprise; beyond, it is the entity's and not the population's
_SURPRISE_BUCKETS, _PRIOR_BUCKETS, _SURPRISE_CAP = 30.0, 5.0, 12.0
_BOUND_SHARE = 0.025  # of the deviations to a side, beyond the bounds of what is usual
_KIND = ("counts", "adds")


class Population:
    """A model of all entities of all groups; series are entities of a group.

    Parameters
    ----------
    span_s : int
    side : int
        -1: only low values are unusual; 1: only high ones; 0: both.
    counts : bool
        Values are counts: their spread grows with their root.
    adds : bool
        Values grow while a bucket is open: counts and sums.
    """

    def __init__(
        self, span_s: int, side: int = 0, *, counts: bool = False, adds: bool = False
    ) -> None:
        self._span_s, self._side, self._counts, self._adds = span_s, side, counts, adds
        self._groups = Groups(("partition", "by"))
        self._populace = Populace(decay_of(span_s), _COUNT_FLOOR if counts else 0.0)
        self._sizes = Magnitudes()  # rows 2 g and 2 g + 1: below and above
        self._mean_surprise: Numbers = np.zeros(0)
        self._buckets: Numbers = np.zeros(0)
        self._streaks = Streaks()

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how unusual each entity is among the others; see `Model`."""
        there = ~np.isnan(values.value) & (not values.gap)
        series, actual = values.series[there], values.value[there]
        group = self._groups.of(values.keys)[series]
        value = self._completed(group, actual, values.start_s, completeness)
        scaled = self._scaled(value)
        together = together_of(group, scaled)
        located = self._populace.locate(together, scaled, values.start_s)
        place = together.place
        location, scale = located.location[place], located.scale[place]
        ln_p, surprise = self._ln_p(series, group, (scaled - location) / scale)
        lower, upper = self._bounds(group, location, scale)
        typical = self._unscaled(location)
        season = self._season(located.expected, located.season)[place]
        return Judgement(
            series=series,
            ln_p=ln_p,
            ln_p_single=ln_p,
            ln_p_multi=np.zeros(len(series)),
            actual=actual,
            typical=typical,
            lower=lower,
            upper=upper,
            season=season,
            length=self._streaks.with_bucket(series, ln_p, values.start_s, values.span_s),
            first=looked_up(self._buckets, series) == 0.0,
            more={"population": together.size[place]},
            scratch=(group, scaled, location, scale, surprise),
        )

    def _completed(
        self, group: Codes, actual: Numbers, start_s: int, completeness: float | None
    ) -> Numbers:
        if completeness is None or not self._adds:
            return actual
        expected = self._unscaled(self._populace.expected(group, start_s)[0])
        expected = np.where(np.isnan(expected), actual, expected)
        rest = (1.0 - completeness) * expected
        least, most = np.minimum(rest, 0.0), np.maximum(rest, 0.0)
        return actual + np.minimum(np.maximum(expected - actual, least), most)

    def _scaled(self, value: Numbers) -> Numbers:
        return np.sqrt(np.maximum(value, 0.0) + 0.375) if self._counts else value

    def _unscaled(self, scaled: Numbers) -> Numbers:
        if not self._counts:
            return scaled
        return np.maximum(np.maximum(scaled, 0.0) ** 2 - 0.375, 0.0)

    def _season(self, expected: Numbers, season: Numbers) -> Numbers:
        return self._unscaled(expected) - self._unscaled(expected - season)

    def _ln_p(self, series: Codes, group: Codes, z: Numbers) -> tuple[Numbers, Numbers]:
        """Give ln p, and the surprise before what is usual of the entity is taken off."""
        surprise = np.zeros(len(series))
        old = self._populace.buckets(group) >= _YOUNG_BUCKETS
        old &= looked_up(self._sizes.total, 2 * group) >= _YOUNG_VALUES
        for side in (-1, 1):
            if self._side != -side:
                at = np.flatnonzero(old & (z * side > 0.0))
                rows = 2 * group[at] + (side > 0)
                surprise[at] = self._sizes.surprise(rows, np.abs(z[at]))
        if not self._side:
            surprise = np.maximum(surprise - _LOG10_2, 0.0)
        left = np.maximum(surprise - self._usual_of(series), 0.0)
        return -left * _LN_10, surprise

    def _usual_of(self, series: Codes) -> Numbers:
        mean = looked_up(self._mean_surprise, series, _MEAN_BY_CHANCE)
        return np.maximum(mean - _SURPRISE_SLACK, 0.0)

    def _bounds(self, group: Codes, location: Numbers, scale: Numbers) -> tuple[Numbers, Numbers]:
        """Give the bounds that a fortieth of the deviations each exceed; none to an unseen side."""
        below = self._sizes.bound(2 * group, _BOUND_SHARE)
        above = self._sizes.bound(2 * group + 1, _BOUND_SHARE)
        lower, upper = (
            self._unscaled(location - below * scale),
            self._unscaled(location + above * scale),
        )
        unbound = np.full(len(group), np.nan)
        return (unbound if self._side > 0 else lower), (unbound if self._side < 0 else upper)

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn the entities of a closed bucket."""
        self._streaks.learn(judgement.series, judgement.length, values.start_s)
        self._groups.learn(values.keys)
        group, scaled, location, scale, surprise = (each[keep] for each in judgement.scratch)
        series = judgement.series[keep]
        self._sizes.grow(2 * int(group.max(initial=-1)) + 2)
        usual = self._usual_of(series)
        ordinary = (usual == 0.0) | (usual <= surprise * _EXPLAINED_SHARE)
        # The first buckets have no scale yet to measure deviations by.
        ordinary &= self._populace.buckets(group) >= _SCALED_BUCKETS
        self._learn_sizes(group[ordinary], ((scaled - location) / scale)[ordinary])
        self._populace.learn(together_of(group, scaled), scaled, values.start_s, self._span_s)
        size = int(series.max(initial=-1)) + 1
        self._mean_surprise = grown(self._mean_surprise, size, _MEAN_BY_CHANCE)
        self._buckets = grown(self._buckets, size)
        self._buckets[series] += 1.0
        gain = np.maximum(1.0 / _SURPRISE_BUCKETS, 1.0 / (self._buckets[series] + _PRIOR_BUCKETS))
        capped = np.minimum(surprise, _SURPRISE_CAP)
        self._mean_surprise[series] += gain * (capped - self._mean_surprise[series])

    def _learn_sizes(self, group: Codes, z: Numbers) -> None:
        """Learn each deviation to its side, and that there was none to the other."""
        for side in (-1, 1):
            self._sizes.learn(2 * group + (side > 0), np.maximum(z * side, 0.0), self._decay)

    @property
    def _decay(self) -> float:
        return decay_of(self._span_s)

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p of judged entities, had their values been others, among the same others."""
        group, _, location, scale, _ = (each[places] for each in judgement.scratch)
        there = ~np.isnan(values)
        if self._counts:
            there &= values > 0.0  # an entity without rows is not there
        scaled = self._scaled(np.where(there, values, 0.0))
        ln_p, _ = self._ln_p(judgement.series[places], group, (scaled - location) / scale)
        return np.where(there, ln_p, 0.0)

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give what the group's entities are expected to have; NaN for unknown series."""
        known = series < len(self._groups.of_series)
        group = looked_up(self._groups.of_series, series)
        location, season = self._populace.expected(group, start_s)
        location = np.where(known, location, np.nan)
        lower, upper = self._bounds(group, location, self._populace.spread(group))
        season = np.where(known, self._season(location, season), np.nan)
        return Expected(self._unscaled(location), lower, upper, season)

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        parts = (self._groups, self._populace, self._sizes, self._streaks)
        own = self._mean_surprise.nbytes + self._buckets.nbytes
        return own + sum(each.nbytes for each in parts)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        return {
            "kind": np.array([getattr(self, f"_{name}") for name in _KIND], np.int64),
            **self._groups.to_arrays("groups"),
            **self._populace.to_arrays(),
            **self._sizes.to_arrays("sizes"),
            **self._streaks.to_arrays(),
            "mean_surprise": self._mean_surprise.copy(),
            "buckets": self._buckets.copy(),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], span_s: int, side: int) -> Self:
        """Make the model of what `to_arrays` gave, equal to the last bit."""
        kind = dict(zip(_KIND, (bool(flag) for flag in arrays["kind"]), strict=True))
        found = cls(span_s, side, **kind)
        floor = _COUNT_FLOOR if found._counts else 0.0
        found._groups = Groups.of_arrays(arrays, "groups", ("partition", "by"))
        found._populace = Populace.of_arrays(arrays, decay_of(span_s), floor)
        found._sizes = Magnitudes.of_arrays(arrays, "sizes")
        found._streaks = Streaks.of_arrays(arrays)
        found._mean_surprise = np.array(arrays["mean_surprise"])
        found._buckets = np.array(arrays["buckets"])
        return found
