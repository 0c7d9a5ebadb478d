"""Verdicts: the most unusual part of a series, one probability of many, and what several say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.scores.combine import combine
from engine.anomaly.scores.verdict import LN_UNUSUAL, impact, of_bucket, of_detector, pick
from engine.anomaly.values import Judgement


def judged(series, ln_p):
    size = len(series)
    numbers = [np.asarray(ln_p, float)] + [np.zeros(size)] * 7
    return Judgement(
        np.asarray(series, np.int64), *numbers, np.zeros(size, np.int64), np.zeros(size, bool)
    )


def test_golden_of_one_part_everything_is_as_it_was():
    picked = pick([judged([2, 5], [-1.0, -9.0])])
    assert picked.series.tolist() == [2, 5]
    assert picked.ln_p.tolist() == [-1.0, -9.0]
    assert picked.part.tolist() == [0, 0]
    assert picked.place.tolist() == [0, 1]


_parts = st.lists(
    st.dictionaries(st.integers(0, 5), st.floats(-50, 0), max_size=6), min_size=2, max_size=3
)


@given(_parts)
def test_oracle_several_parts_give_the_least_times_their_number(parts):
    parts = [dict(sorted(part.items())) for part in parts]
    picked = pick([judged(list(part), list(part.values())) for part in parts])
    naive = {}
    for series in sorted({each for part in parts for each in part}):
        found = [(part[series], at) for at, part in enumerate(parts) if series in part]
        least, at = min(found)
        naive[series] = (at, min(least + np.log(len(found)), 0.0))
    assert picked.series.tolist() == list(naive)
    assert picked.part.tolist() == [at for at, _ in naive.values()]
    assert picked.ln_p.tolist() == pytest.approx([ln_p for _, ln_p in naive.values()])
    for series, part, place in zip(picked.series, picked.part, picked.place, strict=True):
        assert list(parts[part])[place] == series


def test_golden_only_what_is_unusual_is_a_result():
    picked = pick([judged([0, 1], [np.log(0.051), np.log(0.049)])])
    assert picked.where(picked.ln_p < LN_UNUSUAL).series.tolist() == [1]


def test_law_a_bucket_without_anything_is_usual_and_a_lone_series_passes_unchanged():
    assert of_detector(np.empty(0)) == 0.0
    assert of_detector(np.array([-7.5])) == -7.5
    assert of_bucket([-7.5, 0.0]) == combine(np.array([-7.5, 0.0]), np.zeros(2, np.int64), 1)[0]


@given(st.floats(-700, 0), st.floats(-700, 0))
def test_contract_ELi_06_impact_is_within_5_and_turns_with_the_two(single, multi):
    (one,) = impact(np.array([single]), np.array([multi]))
    (other,) = impact(np.array([multi]), np.array([single]))
    assert -5.0 <= one <= 5.0
    assert one == round(float(one), 2)
    assert abs(one + other) <= 0.01 + 1e-9
    if multi < 2 * single < -1e-3:
        assert one > 0
