"""The watermark before a line is a function of the lines before it, however they were cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.watermark import NEVER, Watermarks

_times = st.lists(st.one_of(st.integers(-1000, 1000), st.just(NEVER)), min_size=1, max_size=30)


def naive(times, lateness):
    marks, highest = [], None
    for time in times:
        marks.append(NEVER if highest is None else highest - lateness)
        if time != NEVER:
            highest = time if highest is None else max(highest, time)
    return marks


@given(_times, st.integers(0, 50), st.integers(1, 7))
def test_law_cuts_change_nothing(times, lateness, cut):
    whole = Watermarks(lateness).advance(0, np.array(times, np.int64), 0)
    assert whole.tolist() == naive(times, lateness)
    pieces, cut_marks = Watermarks(lateness), []
    for at in range(0, len(times), cut):
        cut_marks += pieces.advance(0, np.array(times[at : at + cut], np.int64), 0).tolist()
    assert cut_marks == whole.tolist()


def test_law_the_least_partition_holds_all_back_until_it_is_idle():
    marks = Watermarks(10)
    marks.advance(0, np.array([100, 200]), heard_us=0)
    marks.advance(1, np.array([50]), heard_us=0)
    assert marks.overall_us == 190  # it never goes back
    marks.advance(0, np.array([300]), heard_us=5)
    assert marks.overall_us == 190
    assert not marks.rest(now_us=20, idle_timeout_us=30)
    assert marks.rest(now_us=31, idle_timeout_us=30)
    assert marks.overall_us == 290
    marks.advance(1, np.array([400]), heard_us=32)
    assert marks.overall_us == 290  # partition 0 is behind
    assert marks.rest(now_us=36, idle_timeout_us=30)
    assert marks.overall_us == 390  # and is idle now
    marks.advance(0, np.array([350]), heard_us=41)
    assert marks.overall_us == 390


def test_law_a_partition_without_an_event_holds_all_back():
    marks = Watermarks(0)
    marks.advance(1, np.array([NEVER]), heard_us=0)
    assert marks.advance(0, np.array([7, 8]), heard_us=0).tolist() == [NEVER, NEVER]
    marks.finish(1)
    assert marks.overall_us == 8


def test_law_the_end_does_not_depend_on_who_ended_last():
    for order in ((0, 1), (1, 0)):
        marks = Watermarks(10)
        for number, time in ((0, 600), (1, 50)):
            marks.advance(number, np.array([time]), heard_us=0)
        for number in order:
            marks.finish(number)
        assert marks.overall_us == 590
