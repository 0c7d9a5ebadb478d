"""χ² and Kolmogorov-Smirnov against scipy where its p is a number, against known tails beyond.

A value that turned infinite, or fell when the distance grew, would end up in an alert's threshold.
"""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from engine.drift_tests import chi2_test, ks_distance, ks_of_counts, ks_test

COUNTS = st.integers(0, 3000)
VALUES = st.lists(
    st.one_of(st.sampled_from([0.0, -0.0, 1.0, 2.0]), st.floats(-5, 5)), min_size=1, max_size=80
)


def tail(p):
    return -math.log10(p)


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=30))
def test_oracle_chi2_equals_scipy(pairs):
    reference, target = (np.array(side) for side in zip(*pairs, strict=True))
    ours = chi2_test(reference, target[None])
    if not reference.sum() or not target.sum():
        assert np.isnan(ours).all()
        return
    table = np.array([reference, target])[:, reference + target > 0]
    p = stats.chi2_contingency(table, correction=False).pvalue
    if p > 1e-300:
        assert ours[0] == pytest.approx(tail(p), rel=1e-12, abs=1e-12)
    assert np.isfinite(ours).all()


def test_contract_AR_F28_chi2_goes_on_where_p_underflows():
    draws = 10.0 ** np.arange(1, 9)
    target = np.stack([draws * 0.6, draws * 0.4], axis=1)
    values = chi2_test(np.array([5e8, 5e8]), target)
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    # One degree of freedom: p = erfc(√(x/2)), with its asymptotic series in log space.
    pooled = (5e8 + 6e7) / 1.1e9
    x = (0.6e8 - 1e8 * pooled) ** 2 / (pooled * (1 - pooled)) * (1 / 1e8 + 1 / 1e9)
    log_p = -x / 2 - 0.5 * math.log(math.pi * x / 2) + math.log1p(-1 / x + 3 / x**2)
    assert values[-1] == pytest.approx(-log_p / math.log(10), rel=1e-12)


def test_law_chi2_is_smooth_where_the_sum_changes():
    # x from 1260 to 1300 with one degree of freedom: p passes 1e-280.
    sizes = np.linspace(1.255e4, 1.31e4, 400)
    values = chi2_test(np.array([5e12, 5e12]), np.stack([sizes * 0.658, sizes * 0.342], axis=1))
    assert values[0] < 280 < values[-1]
    slopes = np.diff(values)
    assert slopes.max() / slopes.min() == pytest.approx(1, abs=1e-4)


@given(VALUES, VALUES)
def test_oracle_ks_equals_scipy(reference, target):
    assume(len(reference) + len(target) > 2)  # of 1 and 1 scipy rounds the size to 0
    ordered, values = np.sort(np.array(reference)), np.array(target)
    expected = stats.ks_2samp(ordered, values, method="asymp")
    distance, base, size = ks_distance(ordered, values)
    assert (distance, base, size) == (expected.statistic, len(reference), len(target))
    ours = ks_test(ordered, values)
    assert math.isfinite(ours)
    assert ours >= 0
    if expected.pvalue > 1e-300:
        assert ours == pytest.approx(tail(expected.pvalue), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.3, 1.5, 3.0])
@pytest.mark.parametrize(("base", "size"), [(10_000, 336), (3000, 2500), (700, 40_000), (50, 7)])
def test_oracle_ks_of_larger_samples(base, size, shift):
    draws = np.random.default_rng([base, size])
    reference, values = np.sort(draws.normal(size=base)), draws.normal(shift, size=size)
    expected = stats.ks_2samp(reference, values, method="asymp")
    assert ks_distance(reference, values)[0] == expected.statistic
    if expected.pvalue > 1e-280:
        assert ks_test(reference, values) == pytest.approx(tail(expected.pvalue), rel=1e-12)


def test_law_weights_are_repetitions_and_take_back():
    draws = np.random.default_rng(1)
    reference = np.sort(draws.normal(size=300))
    values = np.round(draws.normal(size=200), 1)
    twice = ks_test(reference, np.repeat(values, 2))
    assert ks_test(reference, values, np.full(200, 2)) == twice
    back = np.concatenate([values, [9.0, 9.0, np.nan], values[:50]])
    weights = np.concatenate([np.ones(200), [1, -1, 1], -np.ones(50)]).astype(np.int64)
    assert ks_test(reference, back, weights) == ks_test(reference, values[50:])


def plain_ln_smirnov(n, d):
    """Birnbaum and Tingey's sum, term by term, with exact binomials."""
    logs = [n * math.log1p(-d)]
    for j in range(1, math.ceil(n * (1 - d))):
        x = d + j / n
        if x >= 1:
            break
        power = math.log(d) + (j - 1) * math.log(x) + (n - j) * math.log1p(-x)
        logs.append(math.log(math.comb(n, j)) + power)
    top = max(logs)
    return top + math.log(math.fsum(math.exp(term - top) for term in logs))


@pytest.mark.parametrize("shift", [0.62, 0.75, 0.9, 0.999])
def test_oracle_ks_tail_equals_the_plain_sum_where_p_underflows(shift):
    reference = np.arange(4000.0)
    values = np.linspace(shift * 4000, 4000, 4000)
    distance, _, _ = ks_distance(reference, values)
    expected = -(math.log(2) + plain_ln_smirnov(2000, distance)) / math.log(10)
    assert expected > 500
    assert ks_test(reference, values) == pytest.approx(expected, rel=1e-11)


def test_law_ks_grows_with_the_distance_up_to_one():
    reference = np.arange(1000.0)
    values = [ks_test(reference, reference[:400] + shift) for shift in range(0, 1300, 5)]
    assert np.isfinite(values).all()
    distances = [ks_distance(reference, reference[:400] + shift)[0] for shift in range(0, 1300, 5)]
    order = np.argsort(distances, kind="stable")
    assert (np.diff(np.array(values)[order]) >= 0).all()
    assert max(distances) == 1.0
    # The last step: D goes from 1 - 1/1000 to 1, where scipy's p is 0.
    assert values[-1] > ks_test(reference, np.full(400, 998.5)) > 800


def test_golden_undefined_and_certain():
    assert math.isnan(ks_test(np.empty(0), np.ones(3)))
    assert math.isnan(ks_test(np.ones(3), np.array([np.nan])))
    assert math.isnan(ks_test(np.ones(3), np.ones(2), np.array([1, -1])))
    assert ks_test(np.ones(9), np.ones(4)) == 0.0
    assert chi2_test(np.array([7, 0]), np.array([[3, 0]])).tolist() == [0.0]


def test_oracle_ks_of_fine_bins_is_near_the_exact_one():
    draws = np.random.default_rng(8)
    reference = np.sort(draws.normal(size=20_000))
    edges = reference[200::200]
    base = np.bincount(np.searchsorted(edges, reference, side="right"), minlength=100)
    for shift in (0.3, 0.5, 1.0):
        values = draws.normal(shift, size=500)
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=100)
        exact = ks_test(reference, values)
        assert ks_of_counts(base, counts[None])[0] == pytest.approx(exact, rel=0.12)
    assert np.isnan(ks_of_counts(base, np.zeros((1, 100)))).all()
