"""What every model that is no bank must keep: judging changes nothing, and states come back whole.

Live runs, runs after a restart and interim results must agree to the last digit: a model that
learns while it judges, or loses a bit of its state, tells two stories of one stream.
"""

from collections.abc import Callable

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry, crowd, step

from engine.anomaly.models.clocktimes import DAY_S, WEEK_S, ClockTimes
from engine.anomaly.models.population import Population
from engine.anomaly.models.rarity import Rare
from engine.anomaly.models.rarity_population import RareInPopulation
from engine.anomaly.values import Judgement, Model

KINDS: dict[str, tuple[Callable[[], Model], int]] = {
    "rare": (lambda: Rare(HOUR_S), 0),
    "rare in population": (lambda: RareInPopulation(HOUR_S), 0),
    "freq_rare": (lambda: RareInPopulation(HOUR_S, frequent=True), 0),
    "time_of_day": (lambda: ClockTimes(HOUR_S, DAY_S), 0),
    "time_of_week": (lambda: ClockTimes(HOUR_S, WEEK_S), 0),
    "population": (lambda: Population(HOUR_S), 0),
    "population, low": (lambda: Population(HOUR_S, -1), -1),
    "population of counts": (lambda: Population(HOUR_S, 1, counts=True, adds=True), 1),
}
FIELDS = (
    *("series", "ln_p", "ln_p_single", "ln_p_multi", "actual", "typical", "lower", "upper"),
    *("season", "length", "first"),
)
each_kind = pytest.mark.parametrize("kind", KINDS)


def _bytes(judgement: Judgement) -> dict[str, bytes]:
    told = {name: getattr(judgement, name).tobytes() for name in FIELDS}
    return told | {name: facts.tobytes() for name, facts in judgement.more.items()}


def _state(model: Model) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.to_arrays().items()}


def _stream(seed: int, buckets: int):
    """Two partitions, three by values, entities and values that come and go; times of the day."""
    rng, registry = np.random.default_rng(seed), Registry()
    for at in range(buckets):
        rows = {
            (f"b{rng.integers(3)}", f"o{rng.integers(6)}", f"p{rng.integers(2)}"): (
                float(at * HOUR_S % DAY_S + rng.integers(HOUR_S)),
                int(rng.integers(1, 20)),
            )
            for _ in range(12)
        }
        if at % 40 == 30:
            rows["odd", f"o{at}", "p0"] = (1e5, 500)
            rows["b0", "o0", "p0"] = (5e6, 500)
        yield registry.values(at * HOUR_S, rows, gap=at % 50 == 49)


@each_kind
def test_law_a_state_comes_back_to_the_last_bit(kind):
    make, side = KINDS[kind]
    model, unusual = make(), 0
    for at, values in enumerate(_stream(1, 130)):
        if at in {3, 60, 100}:
            arrays = model.to_arrays()
            assert all(array.dtype.kind in "iuf" for array in arrays.values())
            again = type(model).of_arrays(arrays, HOUR_S, side)
            assert again.nbytes == model.nbytes
            told = _bytes(model.judge(values))
            assert _bytes(step(again, values)) == told
            # The arrays are copies: neither model moves with the other.
            assert _bytes(model.judge(values)) == told
            again = type(model).of_arrays(arrays, HOUR_S, side)
            assert _state(again) == _state(model)
            step(model, values)
            step(again, values)
            assert _state(again) == _state(model)
            model = again
        else:
            unusual += int((step(model, values).ln_p < np.log(0.05)).sum())
    assert unusual or kind.startswith(("time", "population, low"))  # nothing low is odd there


@each_kind
def test_law_judging_expecting_and_leaving_out_change_nothing(kind):
    model = KINDS[kind][0]()
    for values in _stream(2, 60):
        before = _state(model)
        interim = model.judge(values, 0.4)
        judgement = model.judge(values)
        model.without(interim, np.arange(len(interim.series)), interim.actual)
        model.expected(np.arange(len(values.keys)), values.start_s)
        assert _state(model) == before
        step(model, values)
        if len(judgement.series):
            assert _state(model) != before


@each_kind
def test_law_with_the_same_values_left_in_nothing_changes(kind):
    model = KINDS[kind][0]()
    rng = np.random.default_rng(3)
    for values in _stream(3, 80):
        judgement = model.judge(values)
        places = rng.permutation(np.repeat(np.arange(len(judgement.series)), 2))
        same = model.without(judgement, places, judgement.actual[places])
        assert same.tobytes() == judgement.ln_p[places].tobytes()
        few = places[: len(places) // 3]
        part = model.without(judgement, few, judgement.actual[few])
        assert part.tobytes() == judgement.ln_p[few].tobytes()
        none = model.without(judgement, places, np.full(len(places), np.nan))
        assert none.tolist() == [0.0] * len(places)
        step(model, values)


@each_kind
def test_law_probabilities_are_logarithms_and_series_rise(kind):
    model = KINDS[kind][0]()
    for values in _stream(4, 80):
        told = step(model, values)
        assert (np.diff(told.series) > 0).all()
        assert ((told.ln_p <= 0.0) & np.isfinite(told.ln_p)).all()
        assert (told.length[told.ln_p >= np.log(0.05)] == 0).all()
        assert (told.length[told.ln_p < np.log(0.05)] >= 1).all()
        assert all(len(getattr(told, name)) == len(told.series) for name in FIELDS)
        assert len(told.series) == (0 if values.gap else len(values.series))


@each_kind
def test_law_a_gap_teaches_nothing(kind):
    make, side = KINDS[kind]
    model, registry = make(), Registry()
    for at in range(60):
        step(model, registry.values(at * HOUR_S, {("b", "o", "p"): (float(at % 7), 1)}))
    before = _state(model)
    step(model, registry.values(60 * HOUR_S, {}, gap=True))
    step(model, registry.values(61 * HOUR_S, {("b", "o", "p"): (5e4, 9)}, gap=True))
    assert _state(model) == before
    assert side in {-1, 0, 1}


@each_kind
def test_law_what_is_not_to_be_learned_is_not(kind):
    make, _ = KINDS[kind]
    kept, left = make(), make()
    registry = Registry()
    for at in range(60):
        values = registry.values(at * HOUR_S, {("b", "o", "p"): (float(at % 7), 1)})
        step(kept, values)
        step(left, values)
    odd = registry.values(60 * HOUR_S, {("odd", "o", "p"): (5e4, 900)})
    for _ in range(20):
        step(kept, odd)
        told = left.judge(odd)
        left.learn(odd, told, np.zeros(1, np.bool_))
    if kind.startswith("population"):  # the group is new, and stays so
        assert left.to_arrays()["buckets"].sum() == 60.0
    else:
        assert left.judge(odd).first.all()
    assert not kept.judge(odd).first.any()


@each_kind
@pytest.mark.parametrize("value", [0.0, -5.0, 1e9, 1e-300, 1e100, np.nan], ids=str)
def test_law_hostile_columns_are_survived(kind, value):
    model, registry = KINDS[kind][0](), Registry()
    for at in range(45):
        rows = {("b", f"o{name}", "p"): (value, 1) for name in range(at % 4 + 1)}
        rows["b", "lone", "q"] = (float(at), 10**9)
        told = step(model, registry.values(at * HOUR_S, rows))
        assert (told.ln_p <= 0.0).all()
        assert not np.isnan(told.ln_p).any()
    outlier = model.judge(registry.values(60 * HOUR_S, {("b", "o1", "p"): (1e120, 10**15)}))
    assert not np.isnan(outlier.ln_p).any()
    empty = step(model, registry.values(61 * HOUR_S, {}))
    assert empty.ln_p.shape == (0,)


@each_kind
def test_law_names_only_an_interim_bucket_had_leave_no_trace(kind):
    make, _ = KINDS[kind]
    asked, plain = make(), make()
    for at, values in enumerate(_stream(5, 60)):
        if at % 10 == 5:
            other = Registry()
            other.number = {
                name: number
                for number, name in enumerate(
                    zip(values.keys.by, values.keys.over, values.keys.partition, strict=True)
                )
            }
            asked.judge(other.values(values.start_s, {("a", "interim", "x"): (3.0, 1)}), 0.5)
        assert _bytes(step(asked, values)) == _bytes(step(plain, values))
    assert _state(asked) == _state(plain)


def test_law_the_order_of_the_entities_changes_no_probability():
    rng = np.random.default_rng(6)
    plain, turned = Population(HOUR_S), Population(HOUR_S)
    for at in range(60):
        x = np.round(rng.standard_t(3, size=40), 3)
        ln_p = step(plain, crowd(x, at * HOUR_S)).ln_p
        other = step(turned, crowd(x[::-1], at * HOUR_S)).ln_p
        assert np.allclose(ln_p, other[::-1], rtol=1e-9, atol=1e-12)
