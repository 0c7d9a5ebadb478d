"""How often sizes as large were seen: against sorted lists, and against what probabilities mean.

Every population record rests on it: a tail that is too thin is an alert without end.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.models.magnitudes import Magnitudes, decay_of

ZERO = np.zeros(1, np.int64)


def _learned(sizes: np.ndarray) -> Magnitudes:
    found = Magnitudes()
    found.grow(1)
    found.learn(np.zeros(len(sizes), np.int64), sizes, 1.0)
    return found


def _edges_around(size: float) -> tuple[float, float]:
    place = np.floor(np.log2(size / 0.125) * 12)
    return 0.125 * 2 ** (place / 12), 0.125 * 2 ** ((place + 1) / 12)


@pytest.mark.parametrize("size", [0.3, 0.9, 1.5, 2.2, 2.9])
def test_oracle_the_bulk_is_the_rank_within_a_bin(size):
    rng = np.random.default_rng(1)
    seen = np.abs(rng.normal(size=20_000))
    p = 10.0 ** -float(_learned(seen).surprise(ZERO, np.array([size]))[0])
    low, _ = _edges_around(size)
    assert p == pytest.approx(((seen >= low).sum() + 0.5) / 20_001, rel=1e-9)


def test_oracle_the_tail_is_pareto_between_rank_and_record():
    seen = np.sort(np.random.default_rng(2).pareto(3.0, size=3_000) + 1.0)
    model = _learned(seen)
    largest = _edges_around(seen[-1])[1]
    anchor = max(e for e in (_edges_around(s)[0] for s in seen) if (seen >= e).sum() >= 12)
    top, rank = _edges_around(anchor * 1.001)[1], (seen >= anchor).sum()
    far = 100.0 * largest
    pareto = np.log10(3_001 / rank) + np.log10(far / top) / 0.3
    limit = np.log10(3_001 / 0.5) + np.log10(3.0) + np.log10(far / largest) / 0.6
    found = float(model.surprise(ZERO, np.array([far]))[0])
    assert found == pytest.approx(min(pareto, limit), rel=1e-9)


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 1e5), min_size=30, max_size=80),
    st.lists(st.floats(0, 1e9), min_size=2, max_size=20),
    st.integers(0, 2),
)
def test_law_larger_is_never_less_surprising(seen, asked, slack):
    sizes = np.sort(np.array(asked))
    rows = np.zeros(len(sizes), np.int64)
    found = _learned(np.array(seen)).surprise(rows, sizes, slack)
    assert (np.diff(found) >= -1e-12).all()
    assert (found >= 0.0).all()
    assert np.isfinite(found).all()
    order = np.random.default_rng(0).permutation(len(sizes))
    again = _learned(np.array(seen)).surprise(rows, sizes[order], slack)
    assert again.tobytes() == found[order].tobytes()


@pytest.mark.parametrize("tail", [2.5, 5.0, np.inf])
def test_oracle_probabilities_are_shares_of_the_times(tail):
    rng = np.random.default_rng(3)
    draw = rng.normal if np.isinf(tail) else (lambda size: rng.standard_t(tail, size=size))
    below = []
    for _ in range(40):
        model = _learned(np.abs(draw(size=2_000)))
        new = np.abs(draw(size=2_000))
        below.append(model.surprise(np.zeros(2_000, np.int64), new) >= 3.0)
    assert np.mean(below) / 1e-3 < 2.0


def test_law_a_record_is_less_unusual_the_second_time():
    seen = np.abs(np.random.default_rng(4).normal(size=1_000))
    model, spike = _learned(seen), np.array([50.0])
    surprise = []
    for _ in range(13):
        surprise.append(float(model.surprise(ZERO, spike)[0]))
        model.learn(ZERO, spike, 1.0)
    assert surprise[0] > 5.0
    assert surprise[1] < surprise[0] - 1.5
    assert surprise[-1] < 2.2


def test_law_few_values_and_unknown_rows_say_nothing():
    model = _learned(np.ones(29))
    assert model.surprise(np.array([0, 5]), np.array([1e6, 1e6])).tolist() == [0.0, 0.0]
    assert np.isnan(model.bound(np.array([0, 5]), 0.1)).all()
    assert Magnitudes().surprise(np.empty(0, np.int64), np.empty(0)).shape == (0,)


def test_oracle_the_bound_is_a_quantile():
    seen = np.abs(np.random.default_rng(5).normal(size=10_000))
    bound = float(_learned(seen).bound(ZERO, 0.05)[0])
    quantile = np.quantile(seen, 0.95)
    assert quantile * 0.99 <= bound <= quantile * 2 ** (1 / 12)


def test_law_the_past_fades_once_a_bucket_and_comes_back_to_the_bit():
    model = Magnitudes()
    model.grow(2)
    model.learn(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]), 0.5)
    model.learn(np.array([0]), np.array([9.0]), 0.5)
    assert model.total.tolist() == [2.0, 1.0]
    again = Magnitudes.of_arrays(model.to_arrays("m"), "m")
    assert again.counts.tobytes() == model.counts.tobytes()
    assert model.nbytes == again.nbytes == 2 * 193 * 8


@pytest.mark.parametrize(("span_s", "buckets"), [(60, 43_200), (3_600, 2_000), (86_400, 2_000)])
def test_oracle_half_of_the_past_is_left_after_a_month_or_2000_buckets(span_s, buckets):
    assert decay_of(span_s) ** buckets == pytest.approx(0.5)
