"""Rare values: against a twin of dictionaries, against what probabilities mean, and by example.

A new value in a closed vocabulary must be found, one of an open vocabulary must not; both are the
same event to a model that only counts buckets.
"""

import math
from collections import defaultdict

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry, ratio_below, run, step

from engine.anomaly.models.magnitudes import decay_of
from engine.anomaly.models.rarity import Rare, good_turing


def _rows(*values: str, partition: str | None = None, count: int = 1):
    return {(value, None, partition): (float(count), count) for value in values}


class Naive:
    """One partition, value by value, all weights faded in every bucket."""

    def __init__(self) -> None:
        self.weight: dict[str, float] = defaultdict(float)
        self.recent: dict[str, float] = defaultdict(float)
        self.total, self.buckets = 0.0, 0

    def ln_p(self, value: str) -> float:
        if self.buckets < 30:
            return 0.0
        own = self.weight.get(value, 0.0)
        mass = sum(w for w in self.weight.values() if w <= own + 1)
        above = [w for w in self.weight.values() if w > own + 1]
        gap = math.log2((min(above) + 1) / (own + 2)) if above else 0.0
        found = math.log(min((mass + 0.5) / (self.total + 1), 1.0))
        found -= max(1 - 2 * mass, 0.0) * math.log1p(max(gap, 0.0)) / 0.6
        return min(found + math.log1p(self.recent.get(value, 0.0)), 0.0)

    def learn(self, values: list[str]) -> None:
        decay, fast = decay_of(HOUR_S), 0.5 ** (1 / 24)
        self.total = self.total * decay + 1
        self.buckets += 1
        for memory, factor in ((self.weight, decay), (self.recent, fast)):
            for value in memory:
                memory[value] *= factor
            for value in values:
                memory[value] += 1


def test_oracle_rare_is_the_naive_twin_in_two_partitions():
    rng, model, registry = np.random.default_rng(1), Rare(HOUR_S), Registry()
    twins = {"p": Naive(), "q": Naive()}
    found, expected = [], []
    for at in range(400):
        seen = {
            p: sorted({f"v{min(int(x), 12)}" for x in rng.pareto(1.0, size=3) * 2}) for p in twins
        }
        if at >= 390:
            seen["p"].append("odd")
        if at % 3:
            del seen["q"]  # its silence makes nothing rarer
        rows = {
            name: row
            for p, values in seen.items()
            for name, row in _rows(*values, partition=p).items()
        }
        values = registry.values(at * HOUR_S, rows)
        told = step(model, values)
        names = [(values.keys.by[s], values.keys.partition[s]) for s in told.series]
        found += told.ln_p.tolist()
        expected += [twins[p].ln_p(by) for by, p in names]
        for p, there in seen.items():
            twins[p].learn(there)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert min(found) < math.log(0.01)


def test_oracle_good_turing_adds_up_what_is_as_rare():
    rng = np.random.default_rng(2)
    group, weight = rng.integers(4, size=60), np.round(rng.pareto(1.0, size=60), 1)
    asked_group, asked = rng.integers(6, size=40), np.round(rng.pareto(1.0, size=40), 1)
    mass, following = good_turing(group, weight, asked_group, asked)
    for place in range(40):
        same = weight[group == asked_group[place]]
        above = same[same > asked[place] + 1.0]
        assert mass[place] == pytest.approx(same[same <= asked[place] + 1.0].sum())
        assert following[place] == (above.min() if above.size else asked[place] + 1.0)


@pytest.mark.parametrize(("size", "power"), [(20, 1.0), (200, 1.0), (300, 1.5)])
def test_oracle_probabilities_mean_what_they_say_in_stationary_vocabularies(size, power):
    rng = np.random.default_rng(3)
    share = np.arange(1, size + 1) ** -power
    told = []
    for _ in range(2):
        buckets = (
            _rows(*(f"v{v}" for v in np.flatnonzero(rng.random(size) < share))) for _ in range(600)
        )
        told += run(Rare(HOUR_S), buckets)[50:]
    assert ratio_below(told, 1e-3) <= 1.5
    assert ratio_below(told, 1e-2) <= 1.5


@pytest.mark.parametrize("new", [0.1, 1.0])
def test_oracle_new_values_are_usual_where_they_keep_coming(new):
    rng = np.random.default_rng(4)
    buckets = (
        _rows("common", *(f"n{at}.{i}" for i in range(rng.poisson(new)))) for at in range(600)
    )
    told = run(Rare(HOUR_S), buckets)[100:]
    least = min(float(each.ln_p.min()) for each in told)
    assert least > math.log(0.2 * min(new, 0.5))


def test_contract_ELi_16_rare_finds_a_new_value_and_then_gets_used_to_it():
    buckets = [_rows("a", "b", "c")] * 800 + [_rows("a", "b", "c", "odd", count=7)] * 40
    told = run(Rare(HOUR_S), buckets)
    first = told[800]
    assert first.ln_p[3] < math.log(1e-4)
    assert first.first.tolist() == [False, False, False, True]
    assert first.actual.tolist() == [7.0] * 4
    assert first.typical[:3] == pytest.approx(1.0)
    assert first.typical[3] == 0.0
    assert first.more["by_field_relative_rarity"][3] == 0.0
    assert first.ln_p[:3].tolist() == [0.0] * 3
    later = [float(each.ln_p[3]) for each in told[801:]]
    assert later[0] > first.ln_p[3]
    assert later[0] < math.log(0.05)
    assert later[-1] > math.log(0.05)
    assert [int(each.length[3]) for each in told[800:804]] == [1, 2, 3, 4]


def test_contract_ELi_16_rare_says_nothing_before_30_buckets():
    told = run(Rare(HOUR_S), [_rows("a")] * 29 + [_rows("a", "new")] + [_rows("a", "newer")])
    assert told[29].ln_p.tolist() == [0.0, 0.0]
    assert told[30].ln_p[1] < math.log(0.05)


def test_contract_ELi_15_partitions_are_independent():
    both = {**_rows("a", partition="p"), **_rows("b", partition="q")}
    model, registry = Rare(HOUR_S), Registry()
    for at in range(400):
        step(model, registry.values(at * HOUR_S, both))
    other = model.judge(registry.values(400 * HOUR_S, _rows("b", partition="p")))
    usual = model.judge(registry.values(400 * HOUR_S, _rows("b", partition="q")))
    assert other.ln_p[0] < math.log(1e-3)
    assert usual.ln_p[0] == 0.0


def test_law_a_partition_that_slept_wakes_as_it_was():
    model, registry = Rare(HOUR_S), Registry()
    for at in range(200):
        step(model, registry.values(at * HOUR_S, _rows("a", partition="p")))
    odd = _rows("odd", partition="p")
    before = model.judge(registry.values(201 * HOUR_S, odd)).ln_p[0]
    for at in range(201, 400):
        step(model, registry.values(at * HOUR_S, _rows("x", partition="q")))
    assert model.judge(registry.values(400 * HOUR_S, odd)).ln_p[0] == before


def test_law_without_all_its_rows_a_value_is_not_there():
    model, registry = Rare(HOUR_S), Registry()
    for at in range(100):
        step(model, registry.values(at * HOUR_S, _rows("a")))
    told = model.judge(registry.values(100 * HOUR_S, _rows("a", "odd", count=4)))
    left = model.without(told, np.array([1, 1, 1]), np.array([3.0, 0.0, np.nan]))
    assert left.tolist() == [told.ln_p[1], 0.0, 0.0]


def test_oracle_the_expected_share_is_that_of_the_buckets():
    model, registry = Rare(HOUR_S), Registry()
    for at in range(100):
        step(model, registry.values(at * HOUR_S, _rows("a", *(["b"] if at % 4 == 0 else []))))
    told = model.expected(np.array([0, 1, 9]), 10**6)
    assert told.typical[:2] == pytest.approx([1.0, 0.25], abs=0.01)
    assert np.isnan(told.typical[2])
