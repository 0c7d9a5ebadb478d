"""Normalised scores: documents' numbers, a naive twin that keeps every bucket, and the laws.

The state is kept over months and written at each bucket: it must give the same digits after a
restart, forget at its stated rate, and never let a greater raw score have the lesser score.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.scores.normalizer import CEILINGS, ELASTIC, NORMALIZERS, STANDARD, History
from engine.anomaly.scores.raw_score import raw_score, significance
from engine.errors import StoreError

HOUR = 3600
ONE = np.array([0])
QUIET = np.zeros(1)
DOCUMENT = np.array([0.5758246639716365])
RAWS = st.one_of(st.just(0.0), st.floats(1e-6, 1.0), st.floats(1.0, 100.0))
BUCKETS = st.lists(
    st.tuples(st.integers(1, 30), st.lists(st.tuples(RAWS, st.integers(0, 2)), max_size=4)),
    min_size=1,
    max_size=25,
)


def after(normalizer, raws, span_s=HOUR, history=None):
    history = history or History()
    begin = 0 if history.start_s is None else history.start_s + span_s
    for place, raw in enumerate(raws):
        history, _ = normalizer.update(
            history, begin + place * span_s, span_s, np.array([raw]), ONE
        )
    return history


def scored(normalizer, history, raw, scope=0):
    score, binding = normalizer.score(history, np.array([raw]), np.array([scope]))
    return float(score[0]), CEILINGS[binding[0]]


@pytest.mark.parametrize("normalizer", NORMALIZERS.values(), ids=NORMALIZERS.keys())
@pytest.mark.parametrize(
    ("p", "expected"),
    [(1.7340849573442696e-4, 91.58505459594764), (1.3882308899968812e-4, 94.98554565630553)],
)
def test_golden_document_after_a_quiet_history(normalizer, p, expected):
    raw = raw_score(np.array([p]))
    history = after(normalizer, [0.0] * 2000 + raw.tolist())
    assert scored(normalizer, history, raw[0]) == (expected, "significance")


def test_contract_ELi_02_knots_as_they_are():
    history = History(0, -1, np.arange(100), np.full(100, 10.0), np.array([0.05]))
    steep = dataclasses.replace(ELASTIC, noise=False)
    for below, expected in ((0, 0.0), (70, 1.0), (85, 1.2), (95, 3.0), (97, 20.0), (99, 50.0)):
        level = np.array([below / 1000 + 0.0005])
        upper = np.interp(below + 1, ELASTIC.percentiles, ELASTIC.scores)
        (ceiling,) = steep._of_history(history, level)
        assert float(ceiling[0]) == pytest.approx((expected + upper) / 2, rel=1e-12)


def test_contract_ELi_02_ratio_to_the_maximum():
    loud = dataclasses.replace(ELASTIC, scores=(100.0,) * 9)
    history = after(loud, [0.0] * 50 + [80.0])
    for raw, expected in ((8.0, 15.0), (40.0, 75.0), (60.0, 87.5)):
        score, binding = scored(loud, history, raw)
        assert (score, binding) == (pytest.approx(expected, rel=1e-12), "maximum")
    assert scored(loud, history, 80.0)[0] == 100.0
    assert scored(loud, history, 8.0, scope=3) == (100.0, "significance")


@given(st.lists(RAWS, min_size=1, max_size=20), RAWS)
def test_law_the_maximum_never_binds_on_the_significance_scale(seen, raw):
    assert scored(STANDARD, after(STANDARD, seen), raw)[1] in ("significance", "quantile")


def test_contract_ELi_02_noise_is_capped_near_the_median():
    noisy = after(ELASTIC, [0.3, 0.4, 0.5] * 40)
    assert scored(dataclasses.replace(ELASTIC, scores=(100.0,) * 9), noisy, 0.4)[1] == "noise"
    score, _ = scored(dataclasses.replace(ELASTIC, scores=(100.0,) * 9), noisy, 0.45)
    assert score == pytest.approx(1.5)
    quiet = after(ELASTIC, [0.0] * 80 + [0.4] * 20)
    assert scored(dataclasses.replace(ELASTIC, scores=(100.0,) * 9), quiet, 0.4)[1] != "noise"


def test_contract_ELi_03_a_big_change_is_told_once():
    history = after(STANDARD, [0.1])
    told = []
    for hour, raw in enumerate((0.1, 0.101, 0.9, 0.9, 0.0), start=1):
        history, changed = STANDARD.update(history, hour * HOUR, HOUR, np.array([raw]), ONE)
        told.append(changed.tolist())
    assert told == [[], [], [0], [], []]
    _, changed = STANDARD.update(history, 9 * HOUR, HOUR, np.array([0.0, 5.0]), np.array([1, 7]))
    assert changed.tolist() == []  # nothing older could be scored anew


def test_contract_ELi_03_older_rows_move_with_a_new_maximum():
    history = after(ELASTIC, [0.0] * 500 + [0.3])
    before, _ = scored(ELASTIC, history, 0.3)
    now, binding = scored(ELASTIC, after(ELASTIC, [30.0], history=history), 0.3)
    assert now < before
    assert now == pytest.approx(150 * 0.3 / 30.0, rel=1e-9)
    assert binding == "maximum"


def test_law_maximum_and_history_decay_at_their_rates():
    history = after(STANDARD, [5.0])
    later, changed = STANDARD.update(history, 10 * 86400, HOUR, QUIET, ONE)
    assert float(later.maxima[0]) == pytest.approx(100.0 * math.exp(-0.2), rel=1e-14)
    assert dict(zip(later.levels.tolist(), later.weights.tolist(), strict=True)) == pytest.approx(
        {0: 1.0, 1000: math.exp(-0.01)}, rel=1e-14
    )
    assert changed.tolist() == []


def test_law_an_hour_counts_once_by_its_greatest():
    raws = [0.0, 0.01, 0.2, 0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.01, 0.0, 0.0] + [0.0] * 11
    history = after(STANDARD, raws, span_s=300)
    greatest = int(significance(0.2) * 10)
    assert (history.levels.tolist(), history.peak) == ([greatest], 0)
    closed = after(STANDARD, [0.0], span_s=300, history=history)
    assert (closed.levels.tolist(), closed.peak) == ([0, greatest], -1)
    skipped, _ = STANDARD.update(history, 5 * HOUR, 300, QUIET, ONE)  # its end was never seen
    assert (skipped.levels.tolist(), skipped.peak) == ([0, greatest], 0)


def naive(normalizer, buckets, raw, scope):
    """Score from the whole list of buckets: (start_s, span_s, [(raw, scope)])."""
    value_of = (lambda x: x) if normalizer.raw else (lambda x: float(significance(x)))
    now = buckets[-1][0]
    peaks = {}
    maximum = 0.0
    for start, span, results in buckets:
        period = start // normalizer.period_s
        values = [math.floor(value_of(x) * normalizer.steps) for x, _ in results]
        peak, closed = peaks.get(period, (0, None))
        if closed is None and (start + span) // normalizer.period_s != period:
            closed = start
        peaks[period] = (max([peak, *values]), closed)
        for x, where in results:
            if where == scope:
                maximum = max(maximum, value_of(x) * math.exp(-0.02 * (now - start) / 86400))
    starts = [start for start, _, _ in buckets]
    history = []
    for period, (peak, closed) in peaks.items():
        later = [start for start in starts if start // normalizer.period_s > period]
        when = closed if closed is not None else (later[0] if later else None)
        if when is not None:
            history.append((peak, math.exp(-0.001 * (now - when) / 86400)))
    return naive_least(normalizer, history, maximum, value_of(raw), raw)


def naive_least(normalizer, history, maximum, value, raw):
    if raw <= 0:
        return 0.0
    ceilings = [100.0, float(significance(raw))]
    if maximum > 0:
        ceilings.append(100 * min(1.5 * value / maximum, 0.5 + 0.5 * value / maximum))
    total = sum(weight for _, weight in history)
    level = math.floor(value * normalizer.steps)
    if history:
        ends = [
            100 * sum(weight for peak, weight in history if keep(peak)) / total
            for keep in (lambda peak: peak < level, lambda peak: peak <= level)
        ]
        ceilings.append(np.interp(ends, normalizer.percentiles, normalizer.scores).mean())
    if history and normalizer.noise:
        ordered, seen, median = sorted(history), 0.0, None
        zero = sum(weight for peak, weight in history if peak == 0) / total
        for peak, weight in ordered:
            seen += weight / total
            if median is None and seen >= 0.5 - 1e-12:
                median = peak
        ceilings.append(
            max(1 + 10 * (level - median) / normalizer.steps, 0)
            + 100 * max(2 * min(2 * zero, 1) - 1, 0)
        )
    return min(ceilings)


@pytest.mark.parametrize("normalizer", NORMALIZERS.values(), ids=NORMALIZERS.keys())
@pytest.mark.parametrize("span_s", [300, 420, 7200])
@given(gaps=BUCKETS)
def test_oracle_naive_twin(normalizer, span_s, gaps):
    history, buckets, start = History(), [], 0
    for gap, results in gaps:
        start += gap * span_s
        buckets.append((start, span_s, results))
        raw = np.array([x for x, _ in results], np.float64)
        scopes = np.array([where for _, where in results], np.int64)
        history, _ = normalizer.update(history, start, span_s, raw, scopes)
        history = History.of_json(history.to_json())
    for raw, scope in [*buckets[-1][2], (0.37, 0), (3.0, 5)]:
        expected = naive(normalizer, buckets, raw, scope)
        assert scored(normalizer, history, raw, scope)[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("normalizer", NORMALIZERS.values(), ids=NORMALIZERS.keys())
@given(st.lists(RAWS, max_size=30), st.lists(RAWS, min_size=2, max_size=10))
def test_law_score_never_falls_when_the_raw_score_rises(normalizer, seen, asked):
    history = after(normalizer, seen)
    raw = np.sort(asked)
    score, binding = normalizer.score(history, raw, np.zeros(raw.size, np.int64))
    assert (np.diff(score) >= -1e-12).all()
    assert (score[raw == 0] == 0).all()
    assert (score <= np.minimum(significance(raw), 100.0)).all()
    assert set(binding.tolist()) <= set(range(len(CEILINGS)))


@given(st.lists(RAWS, min_size=1, max_size=30), st.data())
def test_law_a_restart_changes_no_digit(raws, data):
    cut = data.draw(st.integers(0, len(raws)))
    first = History.of_json(after(STANDARD, raws[:cut], span_s=420).to_json())
    resumed = after(STANDARD, raws[cut:], span_s=420, history=first)
    assert resumed.to_json() == after(STANDARD, raws, span_s=420).to_json()


def test_law_updates_leave_the_history_before_alone():
    history = after(STANDARD, [0.3, 0.2])
    text = history.to_json()
    STANDARD.update(history, 9 * HOUR, HOUR, np.array([0.3, 80.0]), np.array([0, 4]))
    assert history.to_json() == text


def test_law_a_bucket_without_results_is_a_quiet_one():
    nothing, _ = STANDARD.update(History(), 0, HOUR, np.empty(0), np.empty(0, np.int64))
    assert (nothing.levels.tolist(), nothing.weights.tolist()) == ([0], [1.0])
    assert scored(STANDARD, nothing, 0.5)[0] > 0


def test_error_buckets_come_in_order():
    history = after(STANDARD, [0.0, 0.0])
    with pytest.raises(
        ValueError, match="`start_s` must be after 3600, the latest bucket, got 3600"
    ):
        STANDARD.update(history, HOUR, HOUR, QUIET, ONE)


def test_error_another_version_is_not_read():
    text = History().to_json().replace('"version": 1', '"version": 2')
    with pytest.raises(StoreError, match="`version` of a score history must be 1, got 2"):
        History.of_json(text)
