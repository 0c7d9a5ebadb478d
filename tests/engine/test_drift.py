"""PSI, KL, JS and Hellinger against scipy on the same shares, and the promises of the smoothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from engine.drift import MEASURES, contributions, hellinger, js, kl, psi, shares

COUNTS = st.integers(0, 10_000)
PAIRS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=30)


def plain_shares(reference, target):
    """The stated rule, bin by bin."""
    used = [bool(r or t) for r, t in zip(reference, target, strict=True)]
    size, base = sum(target), sum(reference)
    total = size + sum(used) / 2
    scaled = [r * size / base for r in reference]
    p = [(e + 0.5) / total if use else 0.0 for e, use in zip(scaled, used, strict=True)]
    q = [(t + 0.5) / total if use else 0.0 for t, use in zip(target, used, strict=True)]
    return np.array(p), np.array(q)


@given(PAIRS)
def test_oracle_scipy_on_the_same_shares(pairs):
    reference, target = (list(side) for side in zip(*pairs, strict=True))
    ours = [measure(np.array(reference), np.array([target]))[0] for measure in MEASURES.values()]
    if not sum(reference) or not sum(target):
        assert np.isnan(ours).all()
        return
    p, q = plain_shares(reference, target)
    used = p > 0
    p, q = p[used], q[used]
    expected = [
        np.sum((q - p) * np.log(q / p)),
        entropy(q, p),
        jensenshannon(p, q) ** 2 if not np.array_equal(p, q) else 0.0,
        np.sqrt(np.sum((np.sqrt(q) - np.sqrt(p)) ** 2) / 2),
    ]
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_contract_AR_F24_psi_as_in_the_textbook_when_large():
    reference, target = np.array([500, 300, 200]), np.array([[2_000_000, 5_000_000, 3_000_000]])
    expected = -0.3 * np.log(0.2 / 0.5) + 0.2 * np.log(0.5 / 0.3) + 0.1 * np.log(0.3 / 0.2)
    assert psi(reference, target)[0] == pytest.approx(expected, rel=1e-6)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(1, 100_000))
def test_law_equal_shares_give_exactly_nothing_at_any_size(counts, times):
    reference = np.array(counts)
    for measure in MEASURES.values():
        values = measure(reference, np.array([reference * times, reference]))
        assert np.isnan(values).all() if not sum(counts) else (values == 0).all()
        small = measure(reference * times, reference[None])
        assert np.isnan(small).all() if not sum(counts) else (small == 0).all()


@given(PAIRS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_law_unused_bins_and_the_order_of_bins_change_nothing(pairs, unused, random):
    longer = pairs + [(0, 0)] * unused
    random.shuffle(longer)
    for measure in MEASURES.values():
        one, two = (
            measure(*(np.array(side) for side in zip(*rows, strict=True)))
            for rows in (pairs, longer)
        )
        assert two == pytest.approx(one, rel=1e-9, abs=1e-12, nan_ok=True)


@given(PAIRS)
def test_law_bounds(pairs):
    reference, target = (np.array(side) for side in zip(*pairs, strict=True))
    if not reference.sum() or not target.sum():
        return
    assert psi(reference, target) >= kl(reference, target) - 1e-12
    assert kl(reference, target) >= 0
    assert 0 <= js(reference, target) <= np.log(2) + 1e-12
    assert 0 <= hellinger(reference, target) <= 1 + 1e-12


def test_law_many_windows_at_once_are_as_one_by_one():
    draws = np.random.default_rng(5)
    reference = draws.integers(0, 50, 12)
    target = draws.integers(0, 4, (200, 12))
    target[17] = 0
    for measure in MEASURES.values():
        values = measure(reference, target)
        assert values.shape == (200,)
        assert np.flatnonzero(np.isnan(values)).tolist() == [17]
        singly = [measure(reference, row[None])[0] for row in target]
        assert values.tolist() == pytest.approx(singly, rel=1e-15, nan_ok=True)


def test_contract_ARi_16_the_rows_behind_a_value_sum_to_it():
    reference, target = np.array([90, 10, 0, 0]), np.array([[5, 5, 3, 0]])
    for name, measure in MEASURES.items():
        parts = contributions(name, reference, target)
        total = parts.sum(axis=1)
        expected = measure(reference, target)
        assert total == pytest.approx(expected**2 if name == "HellingerDistance" else expected)
        assert parts[0, 3] == 0
    assert (contributions("PSI", reference, target) >= 0).all()
    p, q = shares(reference, target)
    assert [p.sum(), q.sum()] == pytest.approx([1.0, 1.0])


def test_golden_one_event_in_an_unknown_bin_weighs_little():
    # At 100 events noise alone is about 0.09 on ten bins.
    assert psi(np.array([10_000, 0]), np.array([[99, 1]]))[0] == pytest.approx(0.0109, abs=1e-4)


def test_error_unknown_measure():
    with pytest.raises(ValueError, match=r"`measure` must be one of PSI, .*, got psi"):
        contributions("psi", np.ones(2, np.int64), np.ones((1, 2), np.int64))
