"""Bins: quantiles, atoms, missing values and categories against brute-force counting.

Wrong bins make every drift value wrong in silence, and a bound that loses a bit in storage would
move values between bins after a restart.
"""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.drift_bins import (
    MISSING,
    OTHER,
    BinRow,
    Bins,
    bin_numbers,
    bin_texts,
    category_bins,
    number_bins,
)

HOSTILE = {
    "empty": [],
    "one": [3.5],
    "constant": [2.0] * 40,
    "all missing": [np.nan] * 7,
    "offset": (1e9 + np.arange(100) * 1e-6).tolist(),
    "outlier": [0.0] * 99 + [1e300],
    "tiny": [5e-324, 0.0, -0.0, 1e-308] * 10,
    "greatest": [np.finfo(float).max] * 20 + [1.0],
    "infinite": [np.inf, -np.inf, 1.0, 2.0] * 5,
    "two values": [0.0, 1.0] * 30,
    "fewer than bins": [1.0, 2.0, 3.0, 4.0, 5.0],
}


def in_row(row, value):
    """Whether a value lies in a bin, by the words of `BinRow`."""
    if np.isnan(value):
        return row.category == MISSING
    if row.category is not None:
        return False
    return value == row.lower if row.lower == row.upper else row.lower <= value < row.upper


def brute_code(rows, value):
    """The first bin that holds it; an atom before the bin above it; the last takes in infinity."""
    for row in rows:
        if in_row(row, value):
            return row.bin
    return rows[-2].bin


@pytest.mark.parametrize("name", HOSTILE)
def test_oracle_numbers_lie_in_the_bin_whose_bounds_hold_them(name):
    values = np.array(HOSTILE[name], np.float64)
    bins = number_bins("features.x", values)
    assert np.all(np.diff(bins.edges) > 0)
    rows = bins.rows()
    assert len(rows) == len(bins) == len(bins.reference)
    probes = np.unique(np.concatenate([values, bins.edges, [-1e308, 0.0, 1e308, np.nan]]))
    codes = bin_numbers(bins, probes)
    assert codes.tolist() == [brute_code(rows, value) for value in probes.tolist()]
    assert bins.reference.sum() == len(values)
    assert bins.reference[-1] == np.isnan(values).sum()


def test_oracle_continuous_bins_are_equally_full():
    values = np.random.default_rng(3).normal(size=1000)
    bins = number_bins("features.x", values, 10)
    assert bins.reference.tolist() == [100] * 10 + [0]
    assert bins.edges.tolist() == np.sort(values)[100::100].tolist()
    assert (bins.rows()[0].lower, bins.rows()[9].upper) == (-np.inf, np.inf)


def test_contract_AR_51_a_constant_reference_has_open_bins_on_both_sides():
    bins = number_bins("features.x", np.full(10, 0.25))
    assert bins.rows() == (
        BinRow(0, -np.inf, 0.25, None),
        BinRow(1, 0.25, 0.25, None),
        BinRow(2, 0.25, np.inf, None),
        BinRow(3, None, None, MISSING),
    )
    probes = np.array([np.nextafter(0.25, 0), 0.25, np.nextafter(0.25, 1), np.nan])
    assert bin_numbers(bins, probes).tolist() == [0, 1, 2, 3]


def test_golden_an_atom_among_continuous_values():
    values = np.concatenate([np.zeros(50), np.arange(1.0, 51.0)])
    bins = number_bins("features.x", values, 10)
    assert bins.rows()[1] == BinRow(1, 0.0, 0.0, None)
    # The quantile at one half is the first value above the atom.
    assert bins.reference.tolist() == [0, 50, 0, 10, 10, 10, 10, 10, 0]


def test_golden_the_least_and_the_greatest_value_are_atoms_too():
    rare = number_bins("features.x", np.array([0.0] * 95 + [1.0] * 5))
    assert rare.reference.tolist() == [0, 95, 5, 0]
    top = number_bins("features.x", np.concatenate([np.arange(80.0), np.full(20, 90.0)]))
    assert BinRow(8, 90.0, 90.0, None) in top.rows()


NUMBERS = st.lists(
    st.one_of(
        st.floats(allow_nan=True, allow_infinity=False), st.sampled_from([0.0, 1.0, -0.0, 7.5])
    ),
    max_size=60,
)


@given(NUMBERS, st.integers(1, 25))
def test_law_a_value_on_two_quantiles_has_a_bin_of_its_own(values, num_bins):
    column = np.array(values, np.float64)
    bins = number_bins("features.x", column, num_bins)
    assert np.all(np.diff(bins.edges) > 0)
    known = column[~np.isnan(column)]
    rows = bins.rows()
    for value in set(known.tolist()):
        if (known == value).sum() >= 2 * (len(known) // num_bins + 1):
            row = rows[bin_numbers(bins, np.array([value]))[0]]
            assert row.lower == row.upper == value


@given(NUMBERS, st.integers(1, 25))
def test_law_json_keeps_every_bit(values, num_bins):
    bins = number_bins('features."x" é', np.array(values, np.float64), num_bins)
    again = Bins.of_json(bins.to_json())
    assert again.to_json() == bins.to_json()
    assert again.edges.tobytes() == bins.edges.tobytes()
    assert again.rows() == bins.rows()
    assert again.reference.dtype == np.int64


def test_golden_categories_by_count_then_name():
    values = ["b", "a", "c", "a", None, "b", "d", "c"]
    bins = category_bins("features.city", values, limit=3)
    assert bins.categories == ("a", "b", "c")
    assert bins.reference.tolist() == [2, 2, 2, 1, 1]
    assert [row.category for row in bins.rows()] == ["a", "b", "c", OTHER, MISSING]
    assert bin_texts(bins, ["zz", None, "c", ""]).tolist() == [3, 4, 2, 3]
    assert Bins.of_json(bins.to_json()).rows() == bins.rows()


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x", None, "y", "x"]),
        pa.array(["x", None, "y", "x"], pa.string_view()),
        pa.chunked_array([["x", None], ["y", "x"]]),
        pa.array(["x", None, "y", "x"]).dictionary_encode(),
    ],
    ids=["array", "view", "chunked", "dictionary"],
)
def test_golden_every_shape_of_arrow_column(column):
    bins = category_bins("features.city", column)
    assert (bins.categories, bins.reference.tolist()) == (("x", "y"), [2, 1, 0, 1])
    assert bin_texts(bins, column).tolist() == [0, 3, 1, 0]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.sampled_from("ab")), max_size=40))
def test_oracle_categories_equal_plain_counting(values):
    bins = category_bins("features.city", values, limit=4)
    known = [value for value in values if value is not None]
    ranked = sorted(set(known), key=lambda name: (-known.count(name), name))
    assert bins.categories == tuple(ranked[:4])
    kept = [known.count(name) for name in ranked[:4]]
    assert bins.reference.tolist() == [*kept, len(known) - sum(kept), len(values) - len(known)]
    assert Bins.of_json(bins.to_json()).categories == bins.categories


def test_error_settings_out_of_range():
    with pytest.raises(ValueError, match="`num_bins` must be at least 1, got 0"):
        number_bins("features.x", np.ones(3), 0)
    with pytest.raises(ValueError, match="`limit` must be at least 0, got -1"):
        category_bins("features.x", ["a"], -1)
