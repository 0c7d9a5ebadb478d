"""Windows over steps: each function against plain Python, and nothing outside a window counts.

A value that depended on how a stream was cut would make a rule fire in one run and not in another.
"""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_step_rules import value_of

from engine.steps.step_rule_windows import FUNCTIONS, least, windowed

LENGTHS = (1, 2, 3, 5, 8, 31, 64, 65, 100, 127)


def agree(one, other):
    same = one == other or (math.isnan(one) and math.isnan(other))
    return same or math.isclose(one, other, rel_tol=1e-12)


def walk(count, most):
    """Windows as a series has them: growing up to the longest, then rolling."""
    ends = np.arange(1, count + 1)
    return ends, np.minimum(ends, most)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("most", LENGTHS)
def test_oracle_windows_equal_plain_python(function, most):
    values = np.random.default_rng(most).normal(3.0, 2.0, 300)
    values[[40, 41, 150]] = np.inf
    values[[42, 260]] = -np.inf
    values[[90, 91, 299]] = np.nan
    ends, counts = walk(300, most)
    found = windowed(function, values, ends, counts)
    for value, end, count in zip(found.tolist(), ends, counts, strict=True):
        wanted = value_of(function, values[end - count : end].tolist())
        assert value == wanted or agree(value, wanted), (end, count)
        assert function == "stddev" or math.isnan(value) or value == wanted


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40),
    most=st.integers(1, 12),
    cut=st.integers(0, 39),
)
@settings(max_examples=60, deadline=None)
def test_law_a_window_has_its_value_wherever_the_array_begins(values, most, cut):
    column = np.array(values)
    ends, counts = walk(len(values), most)
    low = min(cut, len(values) - 1)
    inside = ends - counts >= low
    for function in FUNCTIONS:
        whole = windowed(function, column, ends, counts)[inside]
        part = windowed(function, column[low:].copy(), ends[inside] - low, counts[inside])
        assert whole.tobytes() == part.tobytes()


def test_golden_infinities_meet():
    values, ends, counts = (
        np.array([np.inf, -np.inf, 1.0]),
        np.array([1, 2, 3]),
        np.array([1, 2, 2]),
    )
    told = {name: windowed(name, values, ends, counts).tolist() for name in FUNCTIONS}
    assert str(told["sum"]) == str(told["avg"]) == "[inf, nan, -inf]"
    assert told["min"] == [math.inf, -math.inf, -math.inf]
    assert told["max"] == [math.inf, math.inf, 1.0]
    assert told["last"] == [math.inf, -math.inf, 1.0]
    assert all(map(math.isnan, told["stddev"]))


def test_golden_long_medians_roll_and_jump():
    values = np.random.default_rng(4).integers(0, 50, 1_000).astype(np.float64)
    ends = np.concatenate((np.arange(100, 400), np.arange(900, 1_001, 30), np.arange(200, 260)))
    counts = np.minimum(ends, 150)
    wanted = [statistics.median(values[e - c : e]) for e, c in zip(ends, counts, strict=True)]
    assert windowed("median", values, ends, counts).tolist() == wanted


def test_golden_least_of_whole_numbers_beyond_doubles():
    values = np.array([2**62 + 1, 2**62, 2**62 + 3], np.int64)
    ends, counts = np.array([1, 3, 3]), np.array([1, 3, 1])
    assert least(values, ends, counts).tolist() == [2**62 + 1, 2**62, 2**62 + 3]


def test_golden_no_windows():
    none = np.zeros(0, np.int64)
    assert all(len(windowed(name, np.zeros(3), none, none)) == 0 for name in FUNCTIONS)
