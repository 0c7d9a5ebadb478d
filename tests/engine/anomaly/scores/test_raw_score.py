"""Raw scores: the documents' own numbers to the last digit, and the laws of ELi-01's four pieces.

A step between two pieces, or a score that falls as p falls, would reorder anomalies; a last digit
lost would make a stored row disagree with its own probability.
"""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.scores.raw_score import (
    LEAST_P,
    ln_probability,
    probability,
    raw_score,
    raw_score_of_ln,
    significance,
)

LN_P = st.floats(-760.0, 0.0)
LN_LEAST = math.log(LEAST_P)


@pytest.mark.parametrize("copies", [1, 9])  # numpy has other code for long columns
def test_golden_get_buckets(copies):
    raw = raw_score(np.full(copies, 1.7340849573442696e-4))
    assert raw.tolist() == [0.5758246639716365] * copies
    assert significance(raw).tolist() == [91.58505459594764] * copies


def test_golden_get_records():
    raw = raw_score(np.array([1.3882308899968812e-4]))
    assert significance(raw).tolist() == [94.98554565630553]


def test_golden_older_document():
    assert float(raw_score(5.75042e-6)) == pytest.approx(2.32119, abs=5e-6)


def test_contract_ELi_01_ends_of_the_pieces():
    p = np.array([1.0, 0.05, np.nextafter(0.05, 0), 1e-4, 1e-50, LEAST_P, 5e-324, 0.0])
    expected = [0.0, 0.0, 0.0, 1.0, 50.0, 100.0, 100.0, 100.0]
    assert raw_score(p) == pytest.approx(expected, abs=1e-12)
    assert raw_score(p)[:2].tolist() == [0.0, 0.0]
    assert raw_score_of_ln([0.0, LN_LEAST, -1e9]).tolist() == [0.0, 100.0, 100.0]
    assert significance([0.0, 1e-15, 1.0, 100.0]) == pytest.approx([0.0, 5.0, 100.0, 100.0])


def decimal_raw(ln_p):
    getcontext().prec = 40
    ln = max(Decimal(ln_p), Decimal(LEAST_P).ln())
    large, small, tiny = (Decimal(text).ln() for text in ("0.05", "1e-4", "1e-50"))
    least = Decimal(LEAST_P).ln()
    if ln >= large:
        return 0.0
    if ln >= small:
        return float(((-ln).exp() - 20) / 9980)
    if ln >= tiny:
        return float(1 + 49 * (small - ln) / (small - tiny))
    return float(50 + 50 * (tiny - ln) / (tiny - least))


@given(LN_P)
def test_oracle_decimal_arithmetic(ln_p):
    expected = pytest.approx(decimal_raw(ln_p), rel=1e-12, abs=1e-14)
    assert float(raw_score_of_ln(ln_p)) == expected
    assert float(raw_score(probability(ln_p))) == pytest.approx(
        decimal_raw(ln_p), rel=1e-12, abs=1e-14
    )


@given(st.lists(LN_P, min_size=2, max_size=30))
def test_law_never_rises_with_p(ln_p):
    ordered = np.sort(ln_p)
    for raw in (raw_score_of_ln(ordered), raw_score(probability(ordered))):
        assert (np.diff(raw) <= 0).all()
        assert (np.diff(significance(raw)) <= 1e-12).all()
        assert raw.min() >= 0.0
        assert raw.max() <= 100.0


@given(st.floats(0.0, 100.0))
def test_law_inverse_comes_back(raw):
    assert float(raw_score_of_ln(ln_probability(raw))) == pytest.approx(raw, abs=1e-11)


@given(st.floats(LN_LEAST, math.log(0.0499)))
def test_law_inverse_of_the_score_is_the_probability(ln_p):
    assert float(ln_probability(raw_score_of_ln(ln_p))) == pytest.approx(ln_p, rel=1e-13)


def test_law_stored_probability_stays_in_its_range():
    stored = probability(np.array([-np.inf, -2000.0, LN_LEAST - 1e-9, -1.0, 0.0, 0.3]))
    assert stored.min() == LEAST_P
    assert stored[3:].tolist() == [math.exp(-1.0), 1.0, 1.0]


def test_law_nan_stays_nan():
    assert np.isnan(raw_score([np.nan, 0.5])).tolist() == [True, False]
    assert np.isnan(raw_score_of_ln([np.nan, -3.0])).tolist() == [True, False]
    assert np.isnan(probability([np.nan])).all()
    assert np.isnan(ln_probability([np.nan])).all()
