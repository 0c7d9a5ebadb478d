"""The model of counts and metrics: which series say something in a bucket, and of which value.

Each test runs a model over buckets as a job does: judge, ask what would be without rows, learn.
"""

import numpy as np
import pytest

from engine.anomaly.functions import FUNCTIONS
from engine.anomaly.models.series_model import SeriesModel
from engine.anomaly.values import Keys, Values

SPAN_S = 3600
LN_05 = np.log(0.05)


def keys_of(count, *, split=True):
    names = np.array([f"city{number}" if split else None for number in range(count)], object)
    return Keys(by=np.full(count, None, object), over=np.full(count, None, object), partition=names)


def values_of(hour, value, *, gap=False, split=True, known=0):
    """The values of a bucket by series number; `known`: series that there are at least."""
    series = np.array(sorted(value), np.int64)
    size = max(int(series.max(initial=-1)) + 1, known)
    return Values(
        start_s=hour * SPAN_S,
        span_s=SPAN_S,
        keys=keys_of(size, split=split),
        series=series,
        value=np.array([value[number] for number in series.tolist()], float),
        count=np.ones(series.size, np.int64),
        gap=gap,
    )


def step(model, values, keep=None):
    found = model.judge(values)
    model.learn(values, found, np.ones(found.series.size, bool) if keep is None else keep)
    return found


def run(function, rows, *, split=True):
    model = SeriesModel(SPAN_S, FUNCTIONS[function], split=split)
    for hour, row in enumerate(rows):
        step(model, values_of(hour, row, split=split, known=2))
    return model


def noisy(hours, seed=1, level=20.3):
    values = level + np.random.default_rng(seed).standard_normal((hours, 2))
    return [dict(enumerate(row)) for row in values.tolist()]


def test_golden_silence_of_a_series_is_a_count_of_0_from_its_first_bucket_on():
    model = SeriesModel(SPAN_S, FUNCTIONS["count"], split=True)
    first = step(model, values_of(0, {0: 5}))
    assert (first.series.tolist(), first.ln_p.tolist(), first.first.tolist()) == (
        [0],
        [0.0],
        [True],
    )
    second = step(model, values_of(1, {1: 7}))
    assert second.series.tolist() == [0, 1]
    assert second.actual.tolist() == [0.0, 7.0]
    assert second.first.tolist() == [False, True]
    assert np.isnan(second.typical).tolist() == [False, True]


def test_golden_silence_of_a_series_is_no_value_of_a_mean():
    model = run("mean", noisy(3))
    found = step(model, values_of(3, {1: 4.0}, known=2))
    assert found.series.tolist() == [1]
    found = step(model, values_of(4, {0: np.nan, 1: 4.0}))
    assert found.series.tolist() == [1]


@pytest.mark.parametrize(
    ("function", "split", "said"),
    [("count", True, []), ("mean", True, []), ("mean", False, []), ("count", False, [0])],
)
def test_golden_a_gap_says_nothing_but_that_a_whole_count_is_0(function, split, said):
    rows = [{0: 30.0 + hour % 3} for hour in range(100)]
    model = run(function, rows, split=split)
    before = model.to_arrays()
    found = step(model, values_of(100, {}, gap=True, split=split, known=1))
    assert found.series.tolist() == said
    if said:
        assert found.actual.tolist() == [0.0]
        assert found.ln_p[0] < LN_05
    else:
        after = model.to_arrays()
        assert all(array.tobytes() == after[name].tobytes() for name, array in before.items())


def test_golden_a_whole_count_is_there_before_its_first_row():
    model = SeriesModel(SPAN_S, FUNCTIONS["low_count"], split=False)
    found = step(model, values_of(0, {}, split=False))
    assert (found.series.tolist(), found.actual.tolist()) == ([0], [0.0])
    assert found.first.tolist() == [False]
    assert step(model, values_of(1, {}, gap=True, split=False)).ln_p.tolist() == [0.0]


def test_golden_facts_of_a_dip_and_of_a_spike():
    model = run("mean", noisy(200))
    found = model.judge(values_of(200, {0: 5.0, 1: 40.0}))
    assert (found.ln_p < np.log(1e-4)).all()
    assert found.more["feature"].tolist()[0] in {"dip", "low"}
    assert found.more["feature"].tolist()[1] in {"spike", "high"}
    assert found.actual.tolist() == [5.0, 40.0]
    assert found.typical == pytest.approx([20.3, 20.3], abs=0.5)
    assert (found.lower < found.typical).all()
    assert (found.typical < found.upper).all()
    assert (np.minimum(found.ln_p_single, found.ln_p_multi) >= found.ln_p).all()
    usual = model.judge(values_of(200, {0: 20.3, 1: 20.3}))
    assert usual.length.tolist() == [0, 0]


def test_golden_length_counts_unusual_buckets_in_a_row():
    model = run("mean", noisy(200))
    lengths = []
    for hour, value in enumerate((20.3, 26.0, 90.0, 20.3), 200):
        lengths.append(step(model, values_of(hour, {0: value, 1: 20.3})).length.tolist()[0])
    assert lengths == [0, 1, 2, 0]


@pytest.mark.parametrize("function", ["count", "mean", "sum", "high_mean", "low_non_zero_count"])
def test_law_without_is_what_would_have_been_judged(function):
    model = run(function, noisy(150))
    values = values_of(150, {0: 5.0, 1: 60.0, 2: 1.0})
    found = model.judge(values)
    places, other = np.array([1, 0, 1, 2]), np.array([20.0, 21.0, np.nan, 3.0])
    said = model.without(found, places, other)
    again = model.judge(values_of(150, {0: 21.0, 1: 20.0, 2: 3.0}))
    assert said[[0, 1]].tolist() == again.ln_p[[1, 0]].tolist()
    assert said[[2, 3]].tolist() == [0.0, 0.0]
    if not FUNCTIONS[function].side:
        assert (said[:2] > found.ln_p[[1, 0]]).all()


def test_law_judging_changes_nothing():
    model = run("sum", noisy(60))
    before = model.to_arrays()
    found = model.judge(values_of(60, {0: 1e9, 2: 4.0}, known=3), 0.3)
    model.without(found, np.array([0]), np.array([7.0]))
    model.expected(np.arange(5), 10**6)
    after = model.to_arrays()
    assert all(array.tobytes() == after[name].tobytes() for name, array in before.items())


@pytest.mark.parametrize("function", ["count", "mean", "low_sum", "non_zero_count"])
def test_law_a_model_goes_round_to_the_last_bit(function):
    rows = noisy(120)
    for row in rows[40:]:
        row[3] = 2.0
    for row in rows[80::2]:
        del row[0]
    whole, first = run(function, rows), run(function, rows[:100])
    arrays, told = first.to_arrays(), FUNCTIONS[function]
    assert all(array.dtype in {np.dtype(k) for k in "dfil"} for array in arrays.values())
    second = SeriesModel.of_arrays(arrays, SPAN_S, told, split=True)
    for hour, row in enumerate(rows[100:], 100):
        step(second, values_of(hour, row, known=2))
    one, other = whole.to_arrays(), second.to_arrays()
    assert all(array.tobytes() == other[name].tobytes() for name, array in one.items())
    assert second.nbytes == whole.nbytes


def test_law_what_is_not_kept_leaves_no_trace_but_the_series():
    rows = noisy(100)
    told, silent = run("mean", rows), run("mean", rows)
    keep = np.array([True, False, False])
    found = told.judge(values_of(100, {0: 21.0, 1: 1e6, 2: 3.0}))
    told.learn(values_of(100, {0: 21.0, 1: 1e6, 2: 3.0}), found, keep)
    step(silent, values_of(100, {0: 21.0}, known=3))
    ask = values_of(101, {0: 21.0, 1: 90.0, 2: 5.0})
    one, other = told.judge(ask), silent.judge(ask)
    assert one.ln_p.tolist() == other.ln_p.tolist()
    assert one.typical[:2].tolist() == other.typical[:2].tolist()


@pytest.mark.parametrize(
    ("function", "completeness", "so_far", "judged"),
    [
        # 20.3 is expected: what is missing of it is added, but no more than the rest may bring.
        ("sum", 0.25, 5.0, 20.2),
        ("sum", 0.25, 0.0, 15.2),
        ("sum", 0.25, 30.0, 30.0),
        ("sum", 1.0, 5.0, 5.0),
        ("mean", 0.25, 5.0, 5.0),
    ],
)
def test_golden_interim_sums_are_moved_towards_what_is_expected(
    function, completeness, so_far, judged
):
    model = run(function, noisy(300))
    typical = model.expected(np.array([0]), 300 * SPAN_S).typical[0]
    found = model.judge(values_of(300, {0: so_far, 1: 20.3}), completeness)
    assert found.actual[0] == so_far
    moved = judged
    if function == "sum" and so_far < typical:
        moved = min(so_far + (1 - completeness) * typical, typical)
    assert moved == pytest.approx(judged, abs=0.5)
    as_if = model.judge(values_of(300, {0: moved, 1: 20.3}))
    assert found.ln_p[0] == pytest.approx(as_if.ln_p[0], rel=1e-9)
    less = model.without(found, np.array([0]), np.array([so_far]))
    assert less[0] == found.ln_p[0]


def test_golden_interim_counts_are_moved_as_counts():
    rows = [{0: 100.0 + hour % 7} for hour in range(300)]
    model = run("count", rows)
    assert model.judge(values_of(300, {0: 51.0}, known=2), 0.5).ln_p[0] > LN_05
    assert model.judge(values_of(300, {0: 51.0}, known=2), 1.0).ln_p[0] < LN_05
    assert model.judge(values_of(300, {0: 400.0}, known=2), 0.5).ln_p[0] < LN_05


def test_golden_expected_of_unknown_series_is_unknown():
    model = run("mean", noisy(50))
    told = model.expected(np.array([1, 7]), 60 * SPAN_S)
    assert np.isnan(told.typical).tolist() == [False, True]
    judged = model.judge(values_of(50, {1: 3.0}, known=2))
    assert model.expected(np.array([1]), 50 * SPAN_S).typical.tolist() == judged.typical.tolist()
    assert np.isnan(told.upper).tolist() == [False, True]


def test_law_one_sided_functions_see_one_side():
    rows = noisy(200)
    high, low = run("high_mean", rows), run("low_mean", rows)
    values = values_of(200, {0: 90.0, 1: -50.0})
    assert (high.judge(values).ln_p < LN_05).tolist() == [True, False]
    assert (low.judge(values).ln_p < LN_05).tolist() == [False, True]
