"""The scores of the detection benchmark, against a plain loop over thresholds and by hand.

The benchmark's figures are compared with published ones, so its rules must be those published.
"""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nab import File, bank_scores, cut, job_scores, read, scored
from benchmarks.nab_scores import PROFILES, Scored, best, curve, probation, sigmoid

STANDARD, LOW_FP, LOW_FN = PROFILES


def naive(files, profile, threshold):
    """Follow the paper row by row."""

    def sigma(y):
        return -1.0 if y > 3 else 2 / (1 + math.exp(5 * y)) - 1

    total, windows = 0.0, 0
    for file in files:
        begin = math.floor(0.15 * min(len(file.scores), 5000))
        open_windows = list(file.windows)
        windows += len(open_windows)
        for row, value in enumerate(file.scores):
            if row < begin or value < threshold:
                continue
            holding = [window for window in file.windows if window[0] <= row <= window[1]]
            before = [window for window in file.windows if window[1] < row]
            if holding and holding[0] in open_windows:
                first, last = holding[0]
                open_windows.remove(holding[0])
                place = -(last - row + 1) / (last - first + 1)
                total += profile.found * sigma(place) / sigma(-1.0)
            elif not holding and before:
                first, last = before[-1]
                total += profile.false * sigma((row - last) / max(last - first, 1))
            elif not holding:
                total -= profile.false
        total -= profile.missed * len(open_windows)
    silent = -profile.missed * windows
    return 100 * (total - silent) / (profile.found * windows - silent)


@st.composite
def files_of_rows(draw):
    size = draw(st.integers(20, 60))
    scores = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=size, max_size=size))
    cuts = sorted(draw(st.lists(st.integers(4, size - 1), min_size=2, max_size=4, unique=True)))
    return Scored(np.array(scores), tuple(zip(cuts[::2], cuts[1::2], strict=False)))


@given(st.lists(files_of_rows(), min_size=1, max_size=3), st.sampled_from(PROFILES))
def test_oracle_the_curve_is_that_of_a_plain_loop(files, profile):
    thresholds, scores = curve(files, profile)
    expected = [naive(files, profile, threshold) for threshold in thresholds]
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    assert best(files, profile)[0] == max(scores)


def test_golden_a_perfect_and_a_silent_detector():
    scores = np.zeros(100)
    scores[[40, 70]] = 1.0
    perfect = Scored(scores, ((40, 49), (70, 79)))
    silent = Scored(np.zeros(100), ((40, 49), (70, 79)))
    for profile in PROFILES:
        assert best([perfect], profile) == (pytest.approx(100.0), 1.0)
        assert best([silent], profile) == (0.0, math.inf)


def test_golden_one_window_worked_out_by_hand():
    """Found in its middle, one false row just behind it and one without a window before."""
    scores = np.zeros(100)
    scores[[30, 45, 52]] = 1.0
    file = Scored(scores, ((40, 49),))
    found = sigmoid(-0.5) / sigmoid(-1.0)
    near = sigmoid(3 / 9)
    for profile, missed in ((STANDARD, 1.0), (LOW_FP, 1.0), (LOW_FN, 2.0)):
        total = found + profile.false * (near - 1.0)
        expected = 100 * (total + missed) / (1.0 + missed)
        assert curve([file], profile)[1][-1] == pytest.approx(float(expected))


def test_golden_probation_is_a_share_of_no_more_than_five_thousand_rows():
    assert [probation(rows) for rows in (10, 4032, 5000, 22695)] == [1, 604, 750, 750]


def test_golden_detections_in_probation_neither_earn_nor_cost():
    scores = np.zeros(100)
    scores[[0, 14]] = 1.0
    scores[90] = 0.5
    thresholds, found = curve([Scored(scores, ((10, 20),))], STANDARD)
    assert thresholds.tolist() == [math.inf, 0.5]
    assert found[0] == 0.0
    assert found[1] == pytest.approx(-100 * 0.11 / 2)


def test_error_without_a_window_there_is_no_scale():
    with pytest.raises(ValueError, match="must have a window at least, got none"):
        curve([Scored(np.zeros(9), ())], STANDARD)


@pytest.fixture
def folder(tmp_path):
    """Five-minute rows from 00:01:53; two rows in a bucket, an empty bucket, a clock set back."""
    (tmp_path / "data" / "some").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    minutes = [1, 6, 8, 11, 21, 26, 16, 31]
    lines = [f"2014-04-01 00:{m:02}:53,{m}.5\n" for m in minutes]
    (tmp_path / "data" / "some" / "one.csv").write_text("timestamp,value\n" + "".join(lines))
    label = [["2014-04-01 00:06:53.000000", "2014-04-01 00:21:53.000000"]]
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps({"some/one.csv": label}))
    return tmp_path


def test_golden_a_folder_is_read_and_cut_into_buckets(folder):
    (file,) = read(folder)
    assert file.name == "some/one.csv"
    assert file.windows == ((1, 6),)
    found = cut(file)
    series = found.series
    assert series.span_s == 300
    assert (series.starts_s % 86400 // 60).tolist() == [0, 5, 10, 15, 20, 25, 30]
    np.testing.assert_array_equal(series.values, [1.5, 7.5, 11.5, np.nan, 21.5, 26.5, 31.5])
    assert found.last.tolist() == [0, 2, 3, -1, 4, 5, 7]


def test_golden_rows_get_the_score_of_the_bucket_that_they_end(folder):
    files = read(folder)
    (found,) = scored(files, 2, lambda cuts: [10.0 + np.arange(len(cuts[0].series.values))])
    # Rows 0 and 1 are dropped, row 6 is too late.
    assert found.scores.tolist() == [0, 0, 10, 11, 13, 14, 0, 15]
    assert found.windows == files[0].windows


def test_error_a_file_that_is_labelled_must_be_there(folder):
    (folder / "data" / "some" / "one.csv").unlink()
    with pytest.raises(FileNotFoundError):
        read(folder)


def test_law_dropping_rows_never_looks_at_them():
    times = np.arange(500, dtype=np.int64) * 60
    values = np.arange(500.0)
    whole = cut(File("a", times, values, ()), 100).series
    other = cut(File("a", times, np.where(values < 100, -9.0, values), ()), 100).series
    np.testing.assert_array_equal(whole.values, other.values)


def test_oracle_jobs_of_the_whole_engine_write_the_scores_of_the_bank():
    """With a late row and empty buckets; what the fast way leaves out is what jobs leave out."""
    draws = np.random.default_rng(3)
    times = 1_400_000_113 + 300 * np.arange(400, dtype=np.int64)
    times[200:] += 3_000
    times[250] -= 2_000
    values = draws.normal(size=400)
    values[[320, 370]] += 20.0
    cuts = [cut(File("a", times, values, ()))]
    (bank,), (jobs,) = bank_scores(cuts), job_scores(cuts)
    assert bank.max() > 75
    np.testing.assert_allclose(jobs, bank, rtol=0, atol=1e-9)
