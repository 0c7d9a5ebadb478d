"""The parts of a picture: lines thinned without loss of a peak, cells, names, severities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.lettering import shown, span_words, tick_words
from flows.plotdata import Line
from flows.severity import SEVERITIES, severities_of
from flows.swimlane import cell_span_s
from flows.thinning import thinned

SPAN_US = 60_000_000


def line(places, actual):
    """Buckets at these places; the band is one below and above, typical is the value."""
    time_us = np.asarray(places, np.int64) * SPAN_US
    actual = np.asarray(actual, float)
    return Line(time_us, actual, actual, actual - 1, actual + 1)


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=120, unique=True),
    st.integers(0, 99),
    st.integers(2, 20),
)
@settings(max_examples=60, deadline=None)
def test_law_a_thinned_line_keeps_peaks_stays_in_time_and_is_short(places, seed, most):
    random = np.random.default_rng(seed)
    actual = np.where(random.random(len(places)) < 0.2, np.nan, random.normal(size=len(places)))
    whole = line(sorted(places), actual)
    thin = thinned(whole, SPAN_US, most)
    if not np.isnan(actual).all():
        for low in (lambda each: each.actual, lambda each: each.lower):
            assert np.nanmin(low(thin)) == np.nanmin(low(whole))
        for high in (lambda each: each.actual, lambda each: each.upper):
            assert np.nanmax(high(thin)) == np.nanmax(high(whole))
    assert (np.diff(thin.time_us) >= 0).all()
    # Two points a stretch, and a hole beside each at the most.
    assert len(thin.time_us) <= max(2 * len(places), 4 * (most + 1))
    known = ~np.isnan(thin.actual)
    assert set(thin.actual[known]) <= set(actual[~np.isnan(actual)])


def test_golden_nothing_is_drawn_across_missing_buckets():
    thin = thinned(line([0, 1, 5, 6], [1, 2, 3, 4]), SPAN_US)
    assert (thin.time_us // SPAN_US).tolist() == [0, 1, 2, 5, 6]
    assert np.isnan([thin.actual[2], thin.typical[2], thin.lower[2], thin.upper[2]]).all()
    long = thinned(line([*range(5000), *range(9000, 14_000)], np.ones(10_000)), SPAN_US, 100)
    across = np.diff(long.time_us) > 1000 * SPAN_US
    assert np.isnan(long.actual[:-1][across]).all()
    assert across.sum() == 1


@given(st.integers(1, 200_000), st.integers(1, 5_000_000_000))
def test_law_cells_are_whole_buckets_and_at_most_128(span_s, length_s):
    cell_s = cell_span_s(span_s, length_s)
    assert cell_s % span_s == 0
    assert cell_s * 128 >= length_s
    assert cell_s <= max(span_s, 2 * (length_s / 128 + span_s))


@pytest.mark.parametrize(
    ("span_s", "length_s", "wanted"),
    [(300, 86_400, 900), (900, 30 * 86_400, 21_600), (420, 3_600, 420), (3_600, 86_400, 3_600)],
)
def test_golden_cells_have_a_usual_length_where_it_fits(span_s, length_s, wanted):
    assert cell_span_s(span_s, length_s) == wanted


def test_golden_scores_have_elastics_severities():
    scores = np.array([0, 24.999, 25, 49.999, 50, 74.999, 75, 100.0])
    assert severities_of(scores).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [each.low for each in SEVERITIES] == [0, 25, 50, 75]


def test_law_severities_differ_in_size_and_darken_from_minor_on():
    def lightness(color):
        return sum(
            share * int(color[at : at + 2], 16)
            for share, at in ((0.2126, 1), (0.7152, 3), (0.0722, 5))
        )

    light = [lightness(each.color) for each in SEVERITIES]
    assert light[1] > light[2] + 30 > light[3] + 60
    sizes = [each.dot_points for each in SEVERITIES]
    assert sizes == sorted(set(sizes))


@given(st.text(max_size=60))
def test_law_a_name_that_is_shown_has_nothing_invisible(name):
    assert shown(name).isprintable()
    if name.isprintable():
        assert shown(name) == name


def test_golden_spans_and_numbers_are_written_with_their_units():
    spans = [90, 900, 7_200, 86_400, 172_800]
    assert list(map(span_words, spans)) == ["90 s", "15 min", "2 h", "1 day", "2 days"]
    numbers = [(1_000_100.0, 2e6), (-0.25, 1.0), (0.1 + 0.2, 1.0), (1e300, 2e300)]
    assert [tick_words(*each) for each in numbers] == ["1,000,100", "-0.25", "0.3", "1e+300"]
