"""Exact sums by limbs equal fractions, over the whole range of doubles and any way of adding up."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.gather.angles import directions, mean_second
from engine.anomaly.gather.limbs import Limbs, quotients
from engine.query.exact import exact_means, exact_sums
from engine.query.plan import SCALE_BITS

DOUBLES = st.floats(allow_nan=True, allow_infinity=True)
ROWS = st.lists(st.tuples(DOUBLES, st.sampled_from([-1, 1, 3]), st.integers(0, 2)), max_size=30)


def limbs_of(rows):
    values, weights, number = (np.array([row[i] for row in rows]) for i in range(3))
    return Limbs.of(values.astype(float), weights.astype(np.int64), number.astype(np.int64), 3)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, 30))
def test_oracle_sums_equal_fractions_wherever_they_are_cut(rows, cut):
    parts = [limbs_of(rows[:cut]), limbs_of(rows[cut:])]
    totals, bits = Limbs.joined(parts).grouped(np.array([0, 1, 2, 0, 1, 2]), 3).totals()
    for group in range(3):
        expected = sum(
            (Fraction(x) * w for x, w, g in rows if g == group and math.isfinite(x)), Fraction(0)
        )
        assert Fraction(int(totals[group])) / Fraction(2) ** bits == expected


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_oracle_means_equal_those_of_the_rules(rows):
    values, weights, number = (np.array([row[i] for row in rows]) for i in range(3))
    values, number = values.astype(float), number.astype(np.int64)
    sums = exact_sums(values, number, 3, weights.astype(np.int64))
    found = limbs_of(rows)
    assert found.totals_of(SCALE_BITS).tolist() == sums.tolist()
    counts = np.array([1, 7, 0])
    totals, bits = found.totals()
    np.testing.assert_array_equal(quotients(totals, counts, bits), exact_means(sums, counts))


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_law_what_is_taken_away_was_never_there(rows, more):
    both = limbs_of([*rows, *more]).less(limbs_of(more))
    assert both.totals_of(2000).tolist() == limbs_of(rows).totals_of(2000).tolist()


def test_oracle_the_mean_time_of_day_goes_round_midnight():
    times = np.array([23 * 3600 + 1800, 24 * 3600 + 1800, 24 * 3600 + 3600]) * 1_000_000
    cosine, sine = (each.sum(keepdims=True) for each in directions(times, 86_400))
    found = mean_second(cosine, sine, np.array([3]), 86_400)
    turns = np.exp(2j * np.pi * times / 86_400e6).sum()
    assert abs(found[0] - np.angle(turns) / (2 * np.pi) * 86_400) < 1e-3
    assert 0 < found[0] < 3600


def test_law_opposite_times_have_no_mean():
    times = np.array([0, 12 * 3600]) * 1_000_000
    cosine, sine = (each.sum(keepdims=True) for each in directions(times, 86_400))
    assert np.isnan(mean_second(cosine, sine, np.array([2]), 86_400)[0])


def test_golden_a_week_begins_on_monday():
    monday_us = 4 * 86_400 * 1_000_000
    for day in range(7):
        cosine, sine = directions(np.array([monday_us + day * 86_400_000_000]), 604_800)
        assert abs(mean_second(cosine, sine, np.array([1]), 604_800)[0] - day * 86_400) < 1e-3
