"""The benchmarks of the detector measure what they say: areas, series, and what spoils them.

A generator that leaks (an anomaly outside of its window) or a wrong area would make every figure
of the detector wrong without failing anything.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from benchmarks.anomaly_baselines import BASELINES
from benchmarks.anomaly_calm import above
from benchmarks.anomaly_columns import Series, normalized
from benchmarks.anomaly_series import KINDS
from benchmarks.anomaly_spoiled import ANOMALIES, clean, fitting, rare_values, spoiled
from benchmarks.anomaly_synthetic import Pool, area

DAYS, SPAN_S, WARM_DAYS = 16.0, 900, 10.0
CUT = {"days": DAYS, "span_s": SPAN_S, "warm_days": WARM_DAYS, "many": 2}


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=30),
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
)
def test_oracle_the_area_is_the_average_precision(inside, outside):
    pool = Pool(np.array(inside, float), np.array(outside, float))
    truth = [1] * len(inside) + [0] * len(outside)
    assert area(pool) == pytest.approx(average_precision_score(truth, inside + outside))


def test_golden_what_is_never_told_is_not_found():
    assert area(Pool(np.array([2.0, 0.0]), np.array([1.0, 0.0]))) == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_law_series_come_from_their_seed_alone(kind):
    one, again, other = (clean(kind, seed, 3, SPAN_S) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values, again.values)
    assert (one.values != other.values).any()
    assert np.isfinite(one.values).all()
    assert (np.diff(one.starts_s) == SPAN_S).all()


@pytest.mark.parametrize(("kind", "anomaly"), fitting())
def test_law_a_spoiled_series_differs_within_its_windows_only(kind, anomaly):
    one = spoiled(kind, anomaly, 3, **CUT)
    before = clean(kind, 3, DAYS, SPAN_S)
    changed = one.series.values != before.values
    assert one.series.counts == before.counts
    outside = np.ones(changed.shape, bool)
    for first, last in one.windows:
        assert WARM_DAYS * 86400 / SPAN_S <= first <= last < len(changed)
        assert changed[first : last + 1].any(), "each window holds something"
        outside[first : last + 1] = False
    if anomaly == "level shift":
        outside[one.windows[0][0] :] = False
    assert not (changed & outside).any()


@pytest.mark.parametrize("name", ["closed", "daily", "open"])
def test_law_a_rare_value_stands_out_in_its_bucket(name):
    one = rare_values(name, 5, **CUT)
    column = one.series.values
    for first, _ in one.windows:
        assert column[first] == pytest.approx(np.log10((first + 1) / 0.5))


def test_golden_every_way_to_spoil_a_series_is_used():
    assert {anomaly for _, anomaly in fitting()} == set(ANOMALIES)
    assert {kind for kind, _ in fitting()} == set(KINDS)


@pytest.mark.parametrize("name", BASELINES)
def test_law_baselines_are_causal_and_see_a_spike(name):
    draws = np.random.default_rng(4)
    values = draws.normal(size=900)
    values[[300, 301]] = np.nan
    values[800] += 40.0
    scores = BASELINES[name](values, 96)
    assert scores.shape == values.shape
    assert np.isfinite(scores).all()
    assert scores[300] == scores[301] == 0.0
    assert (scores[200:] >= scores[800]).mean() < 0.05
    np.testing.assert_allclose(BASELINES[name](values[:700], 96), scores[:700], atol=1e-4)


@pytest.mark.parametrize("name", BASELINES)
def test_law_baselines_bear_a_constant(name):
    assert np.isfinite(BASELINES[name](np.full(500, 1e6), 96)).all()


def test_golden_buckets_above_each_level_after_the_warm_up():
    starts_s = np.arange(30, dtype=np.int64) * 86_400
    series = Series("a", 86_400, starts_s, np.zeros(30))
    early, late = np.zeros(30), np.zeros(30)
    early[5] = late[20] = -30.0
    assert normalized(series, early)[5] > 50
    assert above(series, early) == (0, 0, 0)
    assert above(series, late) == (1, 1, 1)
    late[21] = math.log(1e-3)
    assert 25 < normalized(series, late)[21] < 75
    assert above(series, late)[::2] == (2, 1)
