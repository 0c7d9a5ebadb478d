"""Entities of a population: by what probabilities mean, and by what must and must not be found.

Thousands of entities are asked in every bucket: a change that all share, or a tail that is heavy,
must not become thousands of records, nor must one loud entity hide the next.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry, crowd, ratio_below, run_crowd, step

from engine.anomaly.models.population import Population
from engine.anomaly.models.together import medians_of, together_of

SIZE = 150
Draw = Callable[[np.random.Generator, int], np.ndarray]

METRICS: dict[str, Draw] = {
    "normal": lambda rng, _: rng.normal(size=SIZE),
    "far away": lambda rng, _: 1e9 + rng.normal(size=SIZE),
    "heavy": lambda rng, _: rng.standard_t(2.5, size=SIZE),
    "heavier": lambda rng, _: rng.standard_t(1, size=SIZE),
    "skewed": lambda rng, _: np.exp(rng.normal(size=SIZE)),
    "all shift": lambda rng, _: rng.normal(size=SIZE) + 20 * rng.standard_t(2),
    "all spread": lambda rng, _: rng.normal(size=SIZE) * np.exp(rng.normal()),
    "daily": lambda rng, at: rng.normal(size=SIZE) + 20 * np.sin(at / 24 * 2 * np.pi),
    "each its own": lambda rng, _: np.exp(
        np.random.default_rng(9).normal(size=SIZE) + 0.2 * rng.normal(size=SIZE)
    ),
}
COUNTS: dict[str, Draw] = {
    "many": lambda rng, _: rng.poisson(30, size=SIZE) * 1.0,
    "few": lambda rng, _: rng.poisson(3, size=SIZE) * 1.0,
    "those present": lambda rng, _: np.where((n := rng.poisson(0.5, size=SIZE)) > 0, n, np.nan),
    "all one": lambda _, __: np.ones(SIZE),
    "each its own": lambda rng, _: (
        rng.poisson(np.exp(1.5 * np.random.default_rng(9).normal(size=SIZE) + 1)) * 1.0
    ),
    "all more": lambda rng, at: rng.poisson(5 * (1 + 9 * (at % 50 == 0)), size=SIZE) * 1.0,
}


def _calm(model: Population, draw: Draw, seed: int) -> None:
    rng = np.random.default_rng(seed)
    told = run_crowd(model, lambda at: draw(rng, at), 200)[30:]
    assert ratio_below(told, 1e-3) <= 2.0
    assert ratio_below(told, 1e-2) <= 1.5
    assert ratio_below(told, 1e-5) <= 30.0  # of 25,000 values at most seven


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("side", [0, 1])
def test_oracle_probabilities_mean_what_they_say(name, side):
    _calm(Population(HOUR_S, side), METRICS[name], 1)


@pytest.mark.parametrize("name", COUNTS)
def test_oracle_probabilities_of_counts_mean_what_they_say(name):
    _calm(Population(HOUR_S, 0, counts=True, adds=True), COUNTS[name], 2)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_oracle_probabilities_mean_what_they_say_in_small_populations(size):
    rng = np.random.default_rng(3)
    told = run_crowd(Population(HOUR_S), lambda _: rng.normal(size=size), 700)[150:]
    assert ratio_below(told, 1e-2) <= 1.5
    assert ratio_below(told, 1e-3) <= 3.0


def _settled(side: int, seed: int = 4, buckets: int = 150) -> tuple[Population, Callable]:
    rng = np.random.default_rng(seed)
    model = Population(HOUR_S, side, counts=True, adds=True)

    def draw(odd: dict[int, float] | None = None) -> np.ndarray:
        x = rng.poisson(40, size=SIZE) * 1.0
        for entity, value in (odd or {}).items():
            x[entity] = value
        return x

    for at in range(buckets):
        step(model, crowd(draw(), at * HOUR_S))
    return model, draw


@pytest.mark.parametrize(
    ("side", "high", "low"), [(0, True, True), (1, True, False), (-1, False, True)]
)
def test_contract_ELi_15_over_field_compares_entities_with_each_other(side, high, low):
    model, draw = _settled(side)
    told = model.judge(crowd(draw({7: 400.0, 9: 1.0}), 150 * HOUR_S))
    assert (told.ln_p[7] < math.log(1e-4)) == high
    assert (told.ln_p[9] < math.log(1e-4)) == low
    assert np.delete(told.ln_p, [7, 9]).min() > math.log(1e-4)
    assert told.actual[[7, 9]].tolist() == [400.0, 1.0]
    assert told.typical == pytest.approx(40.0, abs=3.0)
    if side >= 0:
        assert (told.upper > 48.0).all()
        assert (told.upper < 65.0).all()
    if side <= 0:
        assert (told.lower < 34.0).all()
        assert (told.lower > 20.0).all()
    assert np.isnan(told.lower).all() == (side > 0)
    assert np.isnan(told.upper).all() == (side < 0)
    assert told.more["population"].tolist() == [SIZE] * SIZE


def test_contract_ELi_16_the_whole_population_is_no_anomaly_of_anyone():
    model, draw = _settled(0)
    for at, factor in enumerate((1.0, 8.0, 0.1, 5.0), 150):
        told = step(model, crowd(np.round(draw() * factor), at * HOUR_S))
        assert (told.ln_p < math.log(1e-3)).mean() < 0.01
    odd = np.round(draw({3: 400.0}) * 8.0)
    assert model.judge(crowd(odd, 160 * HOUR_S)).ln_p[3] < math.log(1e-4)


def test_law_an_entity_that_is_always_odd_is_so_less_and_less_and_hides_nobody():
    model, draw = _settled(1)
    found, streak = [], []
    for at in range(150, 230):
        told = step(model, crowd(draw({7: 400.0}), at * HOUR_S))
        found.append(float(told.ln_p[7]))
        streak.append(int(told.length[7]))
    assert found[0] < math.log(1e-4)
    assert found[-1] > math.log(0.05)
    assert streak[:5] == [1, 2, 3, 4, 5]
    later = model.judge(crowd(draw({7: 400.0, 9: 350.0}), 230 * HOUR_S))
    assert later.ln_p[9] < math.log(1e-3)
    louder = model.judge(crowd(draw({7: 4_000.0}), 230 * HOUR_S))
    assert louder.ln_p[7] < later.ln_p[7] - 1.0


def test_law_leaving_out_the_excess_leaves_nothing_unusual():
    model, draw = _settled(0)
    told = model.judge(crowd(draw({7: 400.0}), 150 * HOUR_S))
    places, values = np.array([7, 7, 7, 7]), np.array([400.0, 40.0, 0.0, np.nan])
    left = model.without(told, places, values)
    assert left[0] == told.ln_p[7]
    assert left[1] > math.log(0.1)
    assert left[2:].tolist() == [0.0, 0.0]


def test_law_an_interim_bucket_is_filled_up_with_what_is_expected():
    model, draw = _settled(-1)
    part = draw({7: 0.0, 8: 20.0})
    part[10:] = np.nan
    half = model.judge(crowd(part, 150 * HOUR_S), 0.5)
    full = model.judge(crowd(part, 150 * HOUR_S))
    assert half.actual[8] == full.actual[8] == 20.0
    assert half.ln_p[8] > full.ln_p[8]
    assert half.ln_p[8] == 0.0
    assert half.ln_p[7] > full.ln_p[7]
    mean = Population(HOUR_S, -1)
    for at in range(40):
        step(mean, crowd(np.arange(10.0), at * HOUR_S))
    values = crowd(np.arange(10.0) - 5.0, 40 * HOUR_S)
    assert mean.judge(values, 0.5).ln_p.tolist() == mean.judge(values).ln_p.tolist()


def test_oracle_groups_are_populations_of_their_own():
    """Two by values in one model say what two models of one by value each say."""
    rng, both, registry = np.random.default_rng(5), Population(HOUR_S), Registry()
    alone = {"a": Population(HOUR_S), "b": Population(HOUR_S)}
    registries = {"a": Registry(), "b": Registry()}
    for at in range(60):
        rows = {
            (by, f"e{entity}", "p"): (float(rng.normal() * scale + scale), 1)
            for by, scale in (("a", 1.0), ("b", 100.0))
            for entity in range(15)
        }
        told = step(both, registry.values(at * HOUR_S, rows))
        by_of = registry.values(at * HOUR_S, rows).keys.by[told.series]
        for by, model in alone.items():
            own = {name: row for name, row in rows.items() if name[0] == by}
            other = step(model, registries[by].values(at * HOUR_S, own))
            assert told.ln_p[by_of == by].tobytes() == other.ln_p.tobytes()
            assert told.typical[by_of == by].tobytes() == other.typical.tobytes()


def test_oracle_the_daily_level_of_few_entities_is_expected():
    rng, model = np.random.default_rng(6), Population(HOUR_S)

    def level(at: int) -> float:
        return 50.0 + 20.0 * math.sin(at / 24 * 2 * math.pi)

    for at in range(24 * 20):
        step(model, crowd(rng.normal(level(at), 1.0, size=2), at * HOUR_S))
    for at in range(480, 504):
        told = model.expected(np.array([0, 1, 7]), at * HOUR_S)
        assert told.typical[:2] == pytest.approx(level(at), abs=4.0)
        assert told.season[:2] == pytest.approx(level(at) - 50.0, abs=4.0)
        assert np.isnan(told.typical[2])
        assert (told.lower[:2] < level(at)).all()
        assert (told.upper[:2] > level(at)).all()


def test_oracle_medians_of_groups_are_numpys():
    rng = np.random.default_rng(7)
    group = rng.integers(5, 12, size=80)
    values = np.round(rng.normal(size=80), 2)
    there = together_of(group, values)
    assert there.group.tolist() == sorted(set(group.tolist()))
    expected = [np.median(values[group == each]) for each in there.group]
    assert there.median == pytest.approx(expected, rel=1e-15)
    assert there.size.tolist() == [(group == each).sum() for each in there.group]
    empty = np.empty(0, np.int64)
    assert medians_of(empty, empty, np.empty(0)).shape == (0,)


def test_law_an_entity_is_first_once():
    model, draw = _settled(0, buckets=5)
    x = draw()
    x[3] = np.nan
    assert not step(model, crowd(x, 5 * HOUR_S)).first.any()
    more = np.append(draw(), 12.0)
    told = step(model, crowd(more, 6 * HOUR_S))
    assert np.flatnonzero(told.first).tolist() == [SIZE]
    assert not model.judge(crowd(more, 7 * HOUR_S)).first.any()
