"""AUC and calibration from score bins against scikit-learn and a naive twin, within bounds."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from engine.binned import BINS, auc, auc_error, bin_of, calibration_error

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def _binned(scores: Floats, weights: npt.ArrayLike = 1) -> Counts:
    counts = np.zeros(BINS, np.int64)
    np.add.at(counts, bin_of(scores), weights)
    return counts


@given(st.floats(0, 1))
def test_law_a_score_lies_in_its_bin(score: float) -> None:
    b = int(bin_of(np.array([score]))[0])
    k = b // 2
    if b % 2 == 0:
        assert score == k / 1000
    else:
        assert k / 1000 < score < (k + 1) / 1000


@given(st.integers(0, 1000))
def test_law_neighbours_of_a_point_are_not_on_it(k: int) -> None:
    point = k / 1000
    near = np.array([np.nextafter(point, 0), point, np.nextafter(point, 1)])
    low, at, high = (int(b) for b in bin_of(near))
    assert (low, at, high) == (max(2 * k - 1, 0), 2 * k, min(2 * k + 1, 2000))


@pytest.mark.parametrize("scale", [1.0, 0.01, 0.0005])
@pytest.mark.parametrize("seed", range(5))
def test_oracle_auc_within_its_bound(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, 400)
    scores = np.clip(0.4 + scale * (random.random(400) + 0.3 * truth) / 2, 0, 1)
    positives, negatives = _binned(scores[truth == 1]), _binned(scores[truth == 0])
    bound = auc_error(positives, negatives)
    assert abs(auc(positives, negatives) - roc_auc_score(truth, scores)) <= bound + 1e-12
    assert bound <= {1.0: 0.001, 0.01: 0.1, 0.0005: 0.5}[scale]


def test_oracle_auc_is_exact_on_points() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, 1000)
    scores = np.clip(random.integers(0, 600, 1000) + 300 * truth, 0, 1000) / 1000
    positives, negatives = _binned(scores[truth == 1]), _binned(scores[truth == 0])
    assert auc_error(positives, negatives) == 0
    assert auc(positives, negatives) == pytest.approx(roc_auc_score(truth, scores), rel=1e-12)


def test_golden_auc_is_undefined_with_one_class() -> None:
    some, none = _binned(np.array([0.5, 0.7])), np.zeros(BINS, np.int64)
    for pair in ((some, none), (none, some), (none, none)):
        assert math.isnan(auc(*pair))
        assert math.isnan(auc_error(*pair))


def test_golden_auc_of_many_events_does_not_overflow() -> None:
    positives, negatives = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    positives[1500] = negatives[500] = 10**9
    assert auc(positives, negatives) == 1.0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_oracle_calibration_error(scored: list[tuple[float, bool]]) -> None:
    gaps = [Fraction(0)] * 10
    for score, correct in scored:
        # The interval by comparison: 0.3 * 10 would be 3.0000000000000004 and 0.29999 * 10 not.
        interval = max(i for i in range(10) if score >= i / 10)
        gaps[interval] += int(correct) - Fraction(score)
    exact = float(sum(abs(g) for g in gaps) / len(scored))
    scores = np.array([score for score, _ in scored])
    correct = np.array([correct for _, correct in scored]).astype(np.int64)
    got = calibration_error(_binned(scores), _binned(scores, correct))
    assert abs(got - exact) <= 0.0005 + 1e-12


def test_golden_calibration_error_of_nothing_is_undefined() -> None:
    none = np.zeros(BINS, np.int64)
    assert math.isnan(calibration_error(none, none))
