"""Location and spread of groups, and the small memories beside them, against scalar twins.

All entities of a group are measured by them: an error here is an error in every record.
"""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.models.occurrences import Occurrences
from engine.anomaly.models.populace import Populace
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.models.together import together_of

HOUR_S, DECAY, FLOOR = 3_600, 0.999, 0.2


class Naive:
    """One group, one number at a time."""

    def __init__(self) -> None:
        self.buckets = self.level = self.center = self.distance = self.entities = 0.0
        self.with_hour = self.without_hour = 0.0
        self.hours, self.visits, self.begin = [0.0] * 24, [0] * 24, 0

    def weight(self, start_s: int) -> float:
        if start_s - self.begin < 1.5 * 86_400 or not self.without_hour:
            return 0.0
        saved = 1.0 - self.with_hour / self.without_hour
        return min(max((saved - 0.2) / 0.3, 0.0), 1.0)

    def locate(self, values: list[float], start_s: int) -> tuple[float, float]:
        median, own = statistics.median(values), len(values) / (len(values) + 4.0)
        mean = self.distance / self.entities if self.entities else 0.0
        spread = mean + FLOOR + 1e-3 * abs(self.level) + 1e-12
        if not self.buckets:
            return median, spread
        expected = self.level + self.weight(start_s) * self.hours[start_s // HOUR_S % 24]
        location = own * median + (1.0 - own) * expected
        apart = statistics.median(abs(value - location) for value in values)
        ratio = (apart + 0.1 * spread) / (self.center + 0.1 * spread)
        return location, spread * max(ratio, 1.0) ** own

    def learn(self, values: list[float], start_s: int) -> None:
        location, scale = self.locate(values, start_s)
        apart = [abs(value - location) for value in values]
        capped = [min(each, 8.0 * scale) if self.buckets else each for each in apart]
        self.distance = self.distance * DECAY + sum(capped)
        self.entities = self.entities * DECAY + len(values)
        self.begin = self.begin if self.buckets else start_s
        self.buckets += 1.0
        gain = max(len(values) / (len(values) + 4.0) / 200.0, 1.0 / self.buckets)
        self.center += gain * (statistics.median(apart) - self.center)
        self._learn_level(statistics.median(values), gain, start_s)

    def _learn_level(self, median: float, gain: float, start_s: int) -> None:
        hour = start_s // HOUR_S % 24
        apart = median - self.level if self.buckets > 1.0 else 0.0
        slot = self.hours[hour]
        season = self.weight(start_s) * slot
        if self.visits[hour]:
            error = max(1.0 / 500.0, gain)
            self.with_hour += error * (abs(apart - slot) - self.with_hour)
            self.without_hour += error * (abs(apart) - self.without_hour)
        self.visits[hour] += 1
        self.hours[hour] += max(0.12, 1.0 / self.visits[hour]) * (apart - slot)
        self.level = median if self.buckets == 1.0 else self.level + gain * (apart - season)


@pytest.mark.parametrize("daily", [0.0, 20.0])
def test_oracle_location_and_scale_are_the_naive_twins(daily):
    rng = np.random.default_rng(1)
    model, twins = Populace(DECAY, FLOOR), [Naive(), Naive(), Naive()]
    weighed = 0.0
    for at in range(24 * 8):
        start_s = at * HOUR_S
        sizes = rng.integers([0, 1, 5], [3, 4, 30])
        group = rng.permutation(np.repeat(np.arange(3), sizes))
        wave = daily * np.sin(at / 24 * 2 * np.pi)
        values = rng.standard_t(2, size=len(group)) * (group + 1) + wave + 100.0 * group
        there = together_of(group, values)
        found = model.locate(there, values, start_s)
        for place, each in enumerate(there.group):
            own = values[group == each].tolist()
            expected = twins[each].locate(own, start_s)
            assert (found.location[place], found.scale[place]) == pytest.approx(expected, rel=1e-9)
            weighed = max(weighed, twins[each].weight(start_s))
        model.learn(there, values, start_s, HOUR_S)
        for each in there.group:
            twins[each].learn(values[group == each].tolist(), start_s)
    assert weighed > 0.9 if daily else weighed < 0.5


def test_law_an_unknown_group_is_its_own_measure():
    model, values = Populace(DECAY, FLOOR), np.array([1.0, 2.0, 9.0])
    there = together_of(np.array([4, 4, 4]), values)
    found = model.locate(there, values, 0)
    assert found.location.tolist() == [2.0]
    assert np.isnan(found.expected).all()
    assert model.buckets(np.array([4, 0])).tolist() == [0.0, 0.0]


@settings(max_examples=30)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=30))
def test_oracle_occurrences_are_faded_sums(buckets):
    seen, parts = Occurrences(0.9), np.arange(6) % 2
    weight, total = np.zeros(6), np.zeros(2)
    for number, items in enumerate(buckets):
        there = np.array(sorted(items))
        active = np.unique(parts[there])
        gain = np.full(len(there), 1.0 + number)
        seen.learn(active, np.ones(len(active)), there, parts[there], gain)
        weight[np.isin(parts, active)] *= 0.9
        total[active] = total[active] * 0.9 + 1.0
        weight[there] += gain
    assert seen.weights(np.arange(6), parts) == pytest.approx(weight)
    assert seen.totals(np.arange(2)) == pytest.approx(total)
    last = seen.presence(np.arange(6), parts)
    assert (last[np.array(sorted(buckets[-1]))] == 1.0).all()
    assert (last[weight == 0.0] == 0.0).all()
    again = Occurrences.of_arrays(seen.to_arrays("s"), "s", 0.9)
    assert again.weights(np.arange(6), parts).tolist() == seen.weights(np.arange(6), parts).tolist()


def test_oracle_streaks_count_buckets_in_a_row():
    streaks, series = Streaks(), np.array([0, 2])
    found = []
    for at, p in enumerate([0.01, 0.01, 0.5, 0.01, None, 0.01, 0.01]):
        if p is not None:
            ln_p = np.log(np.array([p, 0.5]))
            length = streaks.with_bucket(series, ln_p, at * 60, 60)
            streaks.learn(series, length, at * 60)
            found.append(length.tolist())
    assert found == [[1, 0], [2, 0], [0, 0], [1, 0], [1, 0], [2, 0]]
