"""Where the values of a group's entities lie, and how far apart, learned over time.

Per group, in the model's scale (square roots of counts):

level     median of the entities per bucket, time constant 200 buckets
hour      what the hour of the day adds to it, counted by w in [0, 1]: by how much it lessens the
          error of the level, as the daily profile of the design's prototype
spread    mean |value - location|, decayed, each entity one value, capped at 8 times what it was
center    median |value - location| per bucket, to tell a bucket in which all are farther apart
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import grown, looked_up
from engine.anomaly.models.together import Together, medians_of

__all__ = ["Located", "Populace"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_LEVEL_BUCKETS, _ERROR_BUCKETS = 200.0, 500.0
_HOUR_GAIN = 0.12  # per day of visits
_SEASON_FROM, _SEASON_SPAN = 0.2, 0.3
_SEASON_YOUNG_S = 1.5 * 86_400
_OWN = 4.0  # entities whose median weighs as much as what was learned
_CAP = 8.0
_SLIGHT = 0.1  # of the spread, so that a ratio of centers near 0 says little
_SCALARS = (
    *("buckets", "first_s", "level", "with_hour", "without_hour"),
    *("distance", "entities", "center"),
)


@dataclass(frozen=True, slots=True)
class Located:
    """What a bucket's entities are measured by: shape (g,) each, by `Together.group`."""

    expected: Numbers
    season: Numbers
    location: Numbers
    scale: Numbers


class Populace:
    """Location and spread of all groups.

    Parameters
    ----------
    decay : float
        What a bucket leaves of the weight of the spread so far.
    floor : float
        The least spread there is, in the model's scale.
    """

    def __init__(self, decay: float, floor: float) -> None:
        self._decay, self._floor = decay, floor
        self.scalars = {name: np.zeros(0) for name in _SCALARS}
        self.hours: Numbers = np.zeros((0, 24))
        self.visits: Numbers = np.zeros((0, 24))

    def buckets(self, group: Codes) -> Numbers:
        """Give the buckets learned of groups."""
        return looked_up(self.scalars["buckets"], group)

    def expected(self, group: Codes, start_s: int) -> tuple[Numbers, Numbers]:
        """Give the location to expect of groups, NaN if unknown; what the hour adds to the mean."""
        hour, weight = start_s % 86_400 // 3600, self._weight(group, start_s)
        hours, visited = looked_up(self.hours, group), looked_up(self.visits, group) > 0.0
        # Level and hours may drift apart together; only their sum is an estimate.
        mean = np.cumsum(hours, axis=1)[:, -1] / np.maximum(visited.sum(axis=1), 1)
        level = np.where(self.buckets(group) > 0.0, self._of("level", group), np.nan)
        return level + weight * hours[:, hour], weight * (hours[:, hour] - mean)

    def spread(self, group: Codes) -> Numbers:
        """Give mean |value - location| and the floor, of groups."""
        entities = self._of("entities", group)
        known = entities > 0.0
        mean = np.where(known, self._of("distance", group) / np.where(known, entities, 1.0), 0.0)
        # A share of the level, too: values may be no whole numbers and still nearly constant.
        return mean + self._floor + 1e-3 * np.abs(self._of("level", group)) + 1e-12

    def _of(self, name: str, group: Codes) -> Numbers:
        return looked_up(self.scalars[name], group)

    def _weight(self, group: Codes, start_s: int) -> Numbers:
        without = self._of("without_hour", group)
        saved = 1.0 - self._of("with_hour", group) / np.where(without > 0.0, without, 1.0)
        weight = np.clip((saved - _SEASON_FROM) / _SEASON_SPAN, 0.0, 1.0)
        old = start_s - self._of("first_s", group) >= _SEASON_YOUNG_S
        return np.where(old & (without > 0.0), weight, 0.0)

    def locate(self, there: Together, values: Numbers, start_s: int) -> Located:
        """Say what the values of a bucket are to be measured by; changes nothing.

        The bucket's own median counts by the number of entities, and so does how far apart they
        are: what all of them do together is unusual of none of them.
        """
        expected, season = self.expected(there.group, start_s)
        own = there.size / (there.size + _OWN)
        known = ~np.isnan(expected)
        location = np.where(known, own * there.median + (1.0 - own) * expected, there.median)
        spread = self.spread(there.group)
        apart = medians_of(there.place, there.size, np.abs(values - location[there.place]))
        slight = _SLIGHT * spread
        ratio = (apart + slight) / (self._of("center", there.group) + slight)
        wider = np.where(known, np.maximum(ratio, 1.0), 1.0)
        return Located(expected, season, location, spread * wider**own)

    def learn(self, there: Together, values: Numbers, start_s: int, span_s: int) -> None:
        """Learn the values of a closed bucket, those that are to be learned."""
        self._grow(int(there.group.max(initial=-1)) + 1)
        located = self.locate(there, values, start_s)
        apart = np.abs(values - located.location[there.place])
        group, old = there.group, self.buckets(there.group) > 0.0
        cap = np.where(old, _CAP * located.scale, np.inf)
        distance = np.bincount(there.place, np.minimum(apart, cap[there.place]), len(group))
        center = medians_of(there.place, there.size, apart)
        scalars = self.scalars
        scalars["distance"][group] = scalars["distance"][group] * self._decay + distance
        scalars["entities"][group] = scalars["entities"][group] * self._decay + there.size
        scalars["first_s"][group] = np.where(old, scalars["first_s"][group], start_s)
        scalars["buckets"][group] += 1.0
        own = there.size / (there.size + _OWN)
        gain = np.maximum(own / _LEVEL_BUCKETS, 1.0 / scalars["buckets"][group])
        scalars["center"][group] += gain * (center - scalars["center"][group])
        self._learn_level(there, gain, start_s, span_s)

    def _learn_level(self, there: Together, gain: Numbers, start_s: int, span_s: int) -> None:
        group, hour, scalars = there.group, start_s % 86_400 // 3600, self.scalars
        apart = np.where(
            scalars["buckets"][group] > 1.0, there.median - scalars["level"][group], 0.0
        )
        visited = self.visits[group, hour] > 0.0
        slot = self.hours[group, hour]
        season = self._weight(group, start_s) * slot
        for name, error in (("with_hour", apart - slot), ("without_hour", apart)):
            change = np.maximum(1.0 / _ERROR_BUCKETS, gain) * (np.abs(error) - scalars[name][group])
            scalars[name][group] += np.where(visited, change, 0.0)
        self.visits[group, hour] += 1.0
        steady = _HOUR_GAIN * min(1.0, span_s / 3600.0)
        hour_gain = np.maximum(steady, 1.0 / self.visits[group, hour])
        self.hours[group, hour] = slot + hour_gain * (apart - slot)
        first = scalars["buckets"][group] == 1.0
        moved = scalars["level"][group] + gain * (apart - season)
        scalars["level"][group] = np.where(first, there.median, moved)

    def _grow(self, size: int) -> None:
        self.scalars = {name: grown(array, size) for name, array in self.scalars.items()}
        self.hours, self.visits = grown(self.hours, size), grown(self.visits, size)

    @property
    def nbytes(self) -> int:
        """Bytes of all groups."""
        arrays = (*self.scalars.values(), self.hours, self.visits)
        return sum(array.nbytes for array in arrays)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the state, its names beginning with ``group``."""
        arrays = {**self.scalars, "hours": self.hours, "visits": self.visits}
        return {f"group.{name}": array.copy() for name, array in arrays.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], decay: float, floor: float) -> Self:
        """Make the groups of what `to_arrays` gave."""
        found = cls(decay, floor)
        found.scalars = {name: np.array(arrays[f"group.{name}"]) for name in _SCALARS}
        found.hours = np.array(arrays["group.hours"])
        found.visits = np.array(arrays["group.visits"])
        return found
