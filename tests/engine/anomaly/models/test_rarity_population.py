"""Rare values among the entities of a population: by what probabilities mean, and by example.

One entity that does what no other ever did must be found, and one that always did so must not
hide the next.
"""

import math

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry, ratio_below, run, step

from engine.anomaly.models.rarity_population import RareInPopulation
from engine.anomaly.values import Values


def _habits(rng: np.random.Generator, members: int, size: int, strange: float):
    """Entities with three values each, and now and then one of all."""
    share = 1.0 / np.arange(1, size + 1)
    share /= share.sum()
    own = [rng.choice(size, 3, p=share) for _ in range(members)]

    def bucket():
        rows = {}
        for member in range(members):
            value = own[member][rng.integers(3)]
            if rng.random() < strange:
                value = rng.choice(size, p=share)
            rows[f"v{value}", f"m{member}", None] = (1.0, int(rng.integers(1, 6)))
        return rows

    return bucket


def _place(values: Values, by: str, series: np.ndarray) -> int:
    return int(np.flatnonzero(values.keys.by[series] == by)[0])


@pytest.mark.parametrize("frequent", [False, True])
@pytest.mark.parametrize("strange", [0.0, 0.02, 0.3])
def test_oracle_probabilities_mean_what_they_say(frequent, strange):
    bucket = _habits(np.random.default_rng(1), 30, 60, strange)
    model = RareInPopulation(HOUR_S, frequent=frequent)
    told = run(model, (bucket() for _ in range(200)))[50:]
    assert ratio_below(told, 1e-3) <= 1.5
    assert ratio_below(told, 1e-2) <= 1.5


@pytest.mark.parametrize("frequent", [False, True])
def test_oracle_new_values_are_usual_where_entities_keep_trying_them(frequent):
    model = RareInPopulation(HOUR_S, frequent=frequent)
    buckets = (
        {
            **{("common", f"m{m}", None): (1.0, 2) for m in range(20)},
            **{(f"n{at}.{m}", f"m{m}", None): (1.0, 2) for m in range(0, 20, 2)},
        }
        for at in range(150)
    )
    told = run(model, buckets)[40:]
    assert min(float(each.ln_p.min()) for each in told) > math.log(0.05)


@pytest.mark.parametrize(("frequent", "count"), [(False, 1), (True, 400)])
def test_contract_ELi_16_rare_and_freq_rare_find_what_no_other_entity_does(frequent, count):
    bucket = _habits(np.random.default_rng(2), 30, 12, 0.0)
    model, registry = RareInPopulation(HOUR_S, frequent=frequent), Registry()
    found = []
    for at in range(340):
        rows = bucket()
        if at >= 300:
            rows["odd", "m3", None] = (1.0, count)
        values = registry.values(at * HOUR_S, rows)
        told = step(model, values)
        if at >= 300:
            place = _place(values, "odd", told.series)
            found.append(float(told.ln_p[place]))
            assert told.actual[place] == count
            assert told.typical[place] == 0.0
            assert bool(told.first[place]) == (at == 300)
            assert told.ln_p.argmin() == place or at > 300
    assert found[0] < math.log(1e-4 if not frequent else 1e-3)
    assert found[1] > found[0]
    assert found[-1] > math.log(0.05)


def test_contract_ELi_16_freq_rare_needs_many_rows_and_rare_does_not():
    def least(*, frequent: bool, count: int) -> float:
        bucket = _habits(np.random.default_rng(3), 30, 12, 0.1)
        model, registry = RareInPopulation(HOUR_S, frequent=frequent), Registry()
        for at in range(200):
            step(model, registry.values(at * HOUR_S, bucket()))
        values = registry.values(200 * HOUR_S, {("odd", "m3", None): (1.0, count)})
        return float(model.judge(values).ln_p[0])

    assert least(frequent=True, count=500) < least(frequent=True, count=1) - 1.0
    assert least(frequent=False, count=500) == least(frequent=False, count=1)


def test_law_one_entity_of_its_own_kind_does_not_hide_the_next():
    model, registry = RareInPopulation(HOUR_S), Registry()
    usual = {(f"v{m % 4}", f"m{m}", None): (1.0, 1) for m in range(25)}
    usual["strange", "m0", None] = (1.0, 1)
    for at in range(300):
        told = step(model, registry.values(at * HOUR_S, usual))
    assert told.ln_p.min() > math.log(0.5)
    new = model.judge(registry.values(300 * HOUR_S, {**usual, ("odd", "m7", None): (1.0, 1)}))
    assert new.ln_p.min() < math.log(1e-3)


def test_contract_ELi_15_populations_of_partitions_are_apart():
    model, registry = RareInPopulation(HOUR_S), Registry()
    rows = {(f"v{p}", f"m{m}", p): (1.0, 1) for p in "pq" for m in range(20)}
    for at in range(200):
        step(model, registry.values(at * HOUR_S, rows))
    other = registry.values(
        200 * HOUR_S, {("vq", "m3", "p"): (1.0, 1), ("vq", "m3", "q"): (1.0, 1)}
    )
    told = model.judge(other)
    partition = other.keys.partition[told.series]
    assert told.ln_p[partition == "p"][0] < math.log(1e-3)
    assert told.ln_p[partition == "q"][0] > math.log(0.9)


def test_law_fewer_rows_of_a_rare_value_are_less_unusual():
    bucket = _habits(np.random.default_rng(4), 30, 12, 0.1)
    model, registry = RareInPopulation(HOUR_S, frequent=True), Registry()
    for at in range(150):
        step(model, registry.values(at * HOUR_S, bucket()))
    told = model.judge(registry.values(150 * HOUR_S, {("odd", "m3", None): (1.0, 300)}))
    left = model.without(told, np.zeros(5, np.int64), np.array([300.0, 100.0, 3.0, 1.0, 0.0]))
    assert left[0] == told.ln_p[0]
    assert (np.diff(left) >= 0.0).all()
    assert left[-1] == 0.0
    assert left[3] > left[0]


def test_oracle_the_expected_share_is_that_of_the_other_entities():
    model, registry = RareInPopulation(HOUR_S), Registry()
    rows = {("common", f"m{m}", None): (1.0, 1) for m in range(10)}
    rows |= {("half", f"m{m}", None): (1.0, 1) for m in range(5)}
    for at in range(50):
        values = registry.values(at * HOUR_S, rows)
        step(model, values)
    told = model.expected(values.series, 10**6)
    by = values.keys.by[values.series]
    assert told.typical[by == "common"] == pytest.approx(1.0)
    assert told.typical[by == "half"] == pytest.approx(4 / 9, abs=0.01)
