"""Combined probabilities: scipy where its tails are numbers, exact sums beyond, nulls simulated.

A combination that is too bold would alert on every busy bucket of a job with many series; one that
is too shy would hide what many series see together.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from engine.anomaly.scores.combine import (
    combine,
    combine_influenced,
    influence,
    ln_beta_tail,
    ln_chi_square_tail,
)
from engine.anomaly.scores.raw_score import LEAST_P, ln_probability, raw_score_of_ln

LN_P = st.one_of(st.floats(-5.0, 0.0), st.floats(-900.0, 0.0), st.just(0.0))
LISTS = st.lists(LN_P, min_size=1, max_size=30)


def one(ln_p):
    return float(combine(np.array(ln_p), np.zeros(len(ln_p), np.int64), 1)[0])


@given(st.integers(1, 400), st.floats(0.01, 3.0))
def test_oracle_chi_square_tail_is_scipys(freedom, times):
    expected = stats.chi2.logsf(freedom * times, freedom)
    ours = ln_chi_square_tail(np.array([freedom * times]), np.array([freedom]))
    if expected > -600:
        assert float(ours[0]) == pytest.approx(expected, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("half_freedom", [1, 2, 7, 50, 500, 5000])
@pytest.mark.parametrize("beyond", [1e-3, 0.02, 0.3, 1.0, 3.0])
def test_oracle_chi_square_tail_is_the_poisson_sum_far_out(half_freedom, beyond):
    # An even chi-square's tail is a Poisson sum: exact, whatever its size. Start at P = 1e-280.
    half = half_freedom + 640 + 60 * math.sqrt(half_freedom) * (1 + beyond) + 3000 * beyond
    terms = np.arange(half_freedom)
    logs = terms * math.log(half) - half - np.cumsum(np.log(np.maximum(terms, 1)))
    ours = ln_chi_square_tail(np.array([2 * half]), np.array([2 * half_freedom]))
    assert float(ours[0]) < -645
    assert float(ours[0]) == pytest.approx(float(logsumexp(logs)), rel=1e-10)


def test_law_chi_square_tail_has_no_step_where_the_way_changes():
    statistic = np.linspace(1200.0, 1500.0, 3001)
    tail = ln_chi_square_tail(statistic, np.full(3001, 9))
    assert tail.max() > math.log(1e-280) > tail.min()
    assert np.diff(tail) == pytest.approx(np.full(3000, -0.05), abs=3e-3)
    assert np.abs(np.diff(tail, 2)).max() < 1e-6


@given(st.integers(1, 5), st.integers(5, 10000), st.floats(-60.0, 0.0))
def test_oracle_order_statistic_is_the_binomial_tail(rank, size, ln_p):
    # At least `rank` of `size` at or below p.
    expected = stats.binom.logsf(rank - 1, size, math.exp(ln_p))
    ours = ln_beta_tail(np.array([ln_p]), rank, np.array([size]))
    assert float(ours[0]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_oracle_order_statistic_far_out_is_its_first_term(rank):
    ln_p = np.array([-700.0, -690.0, -650.0])
    first = math.log(math.comb(300, rank)) + rank * ln_p
    assert ln_beta_tail(ln_p, rank, np.full(3, 300)) == pytest.approx(first, rel=1e-12)


def test_oracle_two_records_by_hand():
    ln_p = [math.log(1e-3), math.log(2e-3)]
    squares = stats.norm.isf(np.array([5e-4, 1e-3])) ** 2
    joint = stats.chi2.logsf(squares.sum(), 2)
    tails = [stats.beta.logcdf(1e-3, 1, 2), stats.beta.logcdf(2e-3, 2, 1)]
    extreme = min(tails) / (1 + math.log(2) / 2.1)
    raw = (raw_score_of_ln(joint) + raw_score_of_ln(extreme)) / 2
    assert one(ln_p) == pytest.approx(float(ln_probability(raw)), rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 20, 50, 200])
def test_oracle_null_is_near_uniform(size):
    # Records that mean nothing: P(p <= y) / y of the combination, bold above 1, shy below.
    groups = min(50_000, 1_000_000 // size)
    random = np.random.default_rng(20_260_101 + size)
    ln_p = np.log1p(-random.random(groups * size))  # of 1 - u, as u may be 0
    found = combine(ln_p, np.repeat(np.arange(groups), size), groups)
    for least, most, y in ((0.8, 1.25, 0.1), (0.5, 1.15, 0.01)):
        assert least <= (found <= math.log(y)).mean() / y <= most
    assert (found <= math.log(1e-3)).sum() <= 1e-3 * groups + 5 * math.sqrt(1e-3 * groups)


def test_law_both_kinds_of_oddness_are_seen():
    ordinary = np.log(np.linspace(0.05, 0.95, 100))
    assert one(ordinary) > math.log(0.05)
    one_very_odd = ordinary.copy()
    one_very_odd[7] = math.log(1e-12)
    assert one(one_very_odd) < math.log(1e-4)
    many_somewhat_odd = ordinary.copy()
    many_somewhat_odd[:40] = math.log(0.02)
    assert one(many_somewhat_odd) < math.log(1e-4)


@given(LN_P)
def test_law_a_lone_record_passes_unchanged(ln_p):
    assert one([ln_p]) == max(ln_p, math.log(LEAST_P))


@given(LISTS, st.data())
def test_law_never_rises_when_a_record_falls(ln_p, data):
    place = data.draw(st.integers(0, len(ln_p) - 1))
    lower = list(ln_p)
    lower[place] -= data.draw(st.floats(0.0, 50.0))
    assert one(lower) <= one(ln_p) + 1e-9 * max(1.0, abs(one(ln_p)))


@given(LISTS, st.randoms())
def test_law_order_says_nothing_and_the_range_holds(ln_p, random):
    shuffled = random.sample(ln_p, len(ln_p))
    assert one(shuffled) == pytest.approx(one(ln_p), rel=1e-12, abs=1e-12)
    assert math.log(LEAST_P) - 1e-9 <= one(ln_p) <= 0.0


@given(st.lists(LISTS, min_size=1, max_size=6))
def test_law_groups_do_not_touch(lists):
    ln_p = np.concatenate([np.array(each) for each in lists])
    group = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
    order = np.random.default_rng(3).permutation(ln_p.size)
    together = combine(ln_p[order], group[order], len(lists) + 1)
    assert together[:-1] == pytest.approx([one(each) for each in lists], rel=1e-12, abs=1e-12)
    assert together[-1] == 0.0


def test_law_nothing_at_all_is_ordinary():
    assert combine(np.empty(0), np.empty(0, np.int64), 2).tolist() == [0.0, 0.0]
    assert one([0.0] * 5) == pytest.approx(0.0, abs=1e-12)


def test_contract_ELi_09_influence_is_what_leaves_with_the_entity():
    full = np.array([-10.0, -10.0, -10.0, -10.0, 0.0, -1e-300])
    without = np.array([0.0, -6.0, -6.001, -12.0, 0.0, 0.0])
    assert influence(full, without).tolist() == pytest.approx([1.0, 0.4, 0.0, 0.0, 0.0, 1.0])


def test_contract_ELi_09_an_influencer_has_its_records_by_their_share():
    ln_p = np.array([-30.0, -20.0, -8.0, -25.0])
    shares = np.array([0.5, 0.9, 0.0, 0.0])
    found = combine_influenced(ln_p, shares, np.array([0, 0, 0, 1]), 2)
    assert found.tolist() == [one([-15.0, -18.0]), 0.0]
