"""Times of the day and week: against a twin slot by slot, by what probabilities mean, by example.

The circle has no end: one minute before midnight is next to one after it. A stream without any
habit must never be odd, and a night shift not be odd for ever.
"""

import math

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry, ratio_below, step

from engine.anomaly.models.clocktimes import DAY_S, WEEK_S, ClockTimes

ALL = 12
_SLOTS = {DAY_S: 96, WEEK_S: 168}
_KERNEL = {DAY_S: {0: 0.375, 1: 0.25, 2: 0.0625}, WEEK_S: {0: 0.5, 1: 0.25}}
_HALF_S = {DAY_S: 60 * DAY_S, WEEK_S: 120 * DAY_S}
_UNIT_S = {DAY_S: 1_800, WEEK_S: 10_800}


class Naive:
    """One series, slot by slot."""

    def __init__(self, period_s: int) -> None:
        self.period_s, self.slots = period_s, _SLOTS[period_s]
        self.weight = [0.0] * self.slots
        self.farthest, self.begin, self.last = 0.0, None, 0

    def away(self, time: float) -> float:
        best = self.period_s / 2
        for slot, weight in enumerate(self.weight):
            if weight >= 0.25:
                apart = abs((slot + 0.5) * self.period_s / self.slots - time)
                best = min(best, apart, self.period_s - apart)
        return max(best - self.period_s / self.slots, 0.0)

    def ln_p(self, time: float, start_s: int) -> float:
        young_s = {DAY_S: 3 * DAY_S, WEEK_S: 2 * WEEK_S}[self.period_s]
        if sum(self.weight) < 30 or start_s - self.begin < young_s:
            return 0.0
        weight, own = list(self.weight), int(time * self.slots / self.period_s)
        weight[own] += 1
        density = [
            sum(
                factor * (weight[(slot + step) % self.slots] + weight[(slot - step) % self.slots])
                for step, factor in _KERNEL[self.period_s].items()
                if step
            )
            + _KERNEL[self.period_s][0] * weight[slot]
            for slot in range(self.slots)
        ]
        most = density[own] * (1 + 1 / ((start_s - self.begin) // self.period_s) + 1e-9)
        mass = sum(w for w, d in zip(weight, density, strict=True) if d <= most)
        found = math.log(mass / sum(weight))
        unit, away = _UNIT_S[self.period_s], self.away(time)
        if away > self.farthest:
            found -= math.log((unit + away) / (unit + self.farthest)) / 0.6
        return found

    def learn(self, time: float, start_s: int) -> None:
        self.begin = start_s if self.begin is None else self.begin
        fade = 2 ** (-(start_s - self.last) / _HALF_S[self.period_s])
        away = self.away(time) if sum(self.weight) >= 10 else 0.0
        self.farthest = max(self.farthest * fade, away)
        self.weight = [weight * fade for weight in self.weight]
        self.weight[int(time * self.slots / self.period_s)] += 1
        self.last = start_s


@pytest.mark.parametrize("period_s", [DAY_S, WEEK_S])
def test_oracle_the_model_is_the_naive_twin(period_s):
    rng, model, registry = np.random.default_rng(1), ClockTimes(HOUR_S, period_s), Registry()
    twins = {name: Naive(period_s) for name in "ab"}
    found, expected = [], []
    for at in range(400):
        start_s = at * 3 * HOUR_S
        times = {
            "a": float(rng.normal(0.4, 0.05) % 1 * period_s),
            "b": float(rng.choice([0.1, 0.99]) * period_s),
        }
        if at == 390:
            times["b"] = 0.6 * period_s
        rows = {(name, None, None): (time, 1) for name, time in times.items()}
        found += step(model, registry.values(start_s, rows)).ln_p.tolist()
        for name, time in times.items():
            expected.append(twins[name].ln_p(time, start_s))
            twins[name].learn(time, start_s)
    assert np.allclose(found, expected, rtol=1e-7, atol=1e-7)
    assert min(found) < math.log(1e-3)


def _told(period_s: int, draw, buckets: int):
    """Run a dozen series, each with a time a bucket of six hours, or none."""
    model, registry = ClockTimes(6 * HOUR_S, period_s), Registry()
    for at in range(buckets):
        times = {(f"s{name}", None, None): draw() for name in range(ALL)}
        rows = {name: (float(time % period_s), 1) for name, time in times.items()}
        yield step(model, registry.values(at * 6 * HOUR_S, rows, span_s=6 * HOUR_S))


@pytest.mark.parametrize("period_s", [DAY_S, WEEK_S])
@pytest.mark.parametrize("shape", ["uniform", "normal", "heavy", "two"])
def test_oracle_probabilities_mean_what_they_say(period_s, shape):
    rng = np.random.default_rng(2)
    draws = {
        "uniform": rng.random,
        "normal": lambda: rng.normal(0.5, 0.1),
        "heavy": lambda: 0.5 + 0.05 * rng.standard_t(2),
        "two": lambda: rng.normal(0.3 if rng.random() < 0.95 else 0.8, 0.02),
    }
    told = list(_told(period_s, lambda: draws[shape]() * period_s, 600))[50:]
    assert ratio_below(told, 1e-3) <= 3.0
    assert ratio_below(told, 1e-2) <= 1.5
    assert ratio_below(told, 0.2) <= 1.2


@pytest.mark.parametrize(("period_s", "span_s"), [(DAY_S, 600), (DAY_S, 3_600), (WEEK_S, 1_800)])
def test_oracle_a_stream_that_never_stops_is_never_odd(period_s, span_s):
    model, registry = ClockTimes(span_s, period_s), Registry()
    for start_s in range(0, {DAY_S: 6, WEEK_S: 30}[period_s] * DAY_S, span_s):
        rows = {("a", None, None): (float((start_s + 200) % period_s), 1)}
        told = step(model, registry.values(start_s, rows, span_s=span_s))
        assert told.ln_p[0] > math.log(0.3)


def _office(days: int, period_s: int, hours: range = range(9, 17)):
    """A series with rows in the hours of the days from Monday to Friday."""
    model, registry = ClockTimes(HOUR_S, period_s), Registry()
    rng = np.random.default_rng(3)
    monday = 4 * DAY_S
    for day in range(days):
        for hour in hours:
            start_s = monday + day * DAY_S + hour * HOUR_S
            if day % 7 < 5 and rng.random() < 0.9:
                value = (start_s - monday + rng.random() * HOUR_S) % period_s
                rows = {("a", None, None): (float(value), 3)}
                step(model, registry.values(start_s, rows))
    return model, registry, monday + days * DAY_S


def test_contract_ELi_16_time_of_day_finds_the_night():
    model, registry, end_s = _office(140, DAY_S)

    def asked(hour: float):
        row = {("a", None, None): (hour * HOUR_S, 1)}
        return model.judge(registry.values(end_s + int(hour) * HOUR_S, row))

    night = asked(3.0)
    assert night.ln_p[0] < math.log(1e-4)
    assert night.actual.tolist() == [10_800.0]
    assert 9 * HOUR_S <= night.typical[0] <= 11 * HOUR_S
    assert asked(12.5).ln_p[0] > math.log(0.2)
    assert asked(12.5).ln_p[0] > asked(8.0).ln_p[0] > asked(6.0).ln_p[0] > night.ln_p[0]


def test_contract_ELi_16_time_of_week_finds_the_weekend_and_time_of_day_does_not():
    told = {}
    for period_s in (DAY_S, WEEK_S):
        model, registry, end_s = _office(20 * 7 + 6, period_s)  # Sunday next
        noon_s = end_s + 12 * HOUR_S
        value = float((noon_s - 4 * DAY_S) % period_s)
        told[period_s] = model.judge(registry.values(noon_s, {("a", None, None): (value, 1)}))
    assert told[DAY_S].ln_p[0] > math.log(0.2)
    assert told[WEEK_S].ln_p[0] < math.log(2e-3)
    assert told[WEEK_S].actual[0] == 6.5 * DAY_S
    assert told[WEEK_S].typical[0] % DAY_S == pytest.approx(12 * HOUR_S, abs=5 * HOUR_S)


def test_law_midnight_is_no_border():
    model, registry, end_s = _office(60, DAY_S, range(22, 26))

    def asked(second: float) -> float:
        row = {("a", None, None): (second, 1)}
        return float(model.judge(registry.values(end_s, row)).ln_p[0])

    assert asked(DAY_S - 1.0) > math.log(0.2)
    assert asked(1.0) > math.log(0.1)
    assert asked(12.0 * HOUR_S) < math.log(1e-2)


def test_law_a_new_shift_becomes_usual():
    model, registry, end_s = _office(60, DAY_S)
    found = []
    for day in range(60):
        start_s = end_s + day * DAY_S + 3 * HOUR_S
        row = {("a", None, None): (3.0 * HOUR_S, 1)}
        found.append(float(step(model, registry.values(start_s, row)).ln_p[0]))
    assert found[0] < math.log(1e-3)
    assert found[1] > found[0] + 1.0
    assert found[-1] > math.log(0.2)


def test_law_nothing_is_odd_before_the_period_came_round():
    for period_s, days in ((DAY_S, 3), (WEEK_S, 14)):
        model, registry = ClockTimes(900, period_s), Registry()
        for at in range(days * 96):
            rows = {("a", None, None): (3_600.0 + at % 4, 1)}
            assert step(model, registry.values(at * 900, rows)).ln_p[0] == 0.0
        odd = {("a", None, None): (43_200.0, 1)}
        told = model.judge(registry.values(days * DAY_S, odd))
        assert told.ln_p[0] < math.log(1e-3)


def test_oracle_what_is_expected_is_the_nearest_habit():
    model, _, end_s = _office(60, DAY_S, range(6, 7))
    told = model.expected(np.array([0, 5]), end_s + 5 * HOUR_S)
    assert told.typical[0] == pytest.approx(6.5 * HOUR_S, abs=HOUR_S)
    assert np.isnan(told.typical[1])
