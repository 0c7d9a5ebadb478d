"""Ranges of plots: instants, durations by clock and calendar, both ends included; faults."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import QueryError
from engine.instants import iso_us
from engine.processing.ranges import duration_back_us, hours_between

NOW_US = iso_us("2026-03-31T12:30:00Z")


def hour(text):
    return iso_us(text) // 1_000_000


@pytest.mark.parametrize(
    ("started", "ended", "first", "last"),
    [
        ("2026-03-31T10:00:00Z", "2026-03-31T12:00:00Z", "2026-03-31T10:00", "2026-03-31T12:00"),
        ("2026-03-31T10:00:00.000001Z", None, "2026-03-31T11:00", "2026-03-31T12:00"),
        ("2026-03-31T12:00:00+02:00", None, "2026-03-31T10:00", "2026-03-31T12:00"),
        ("2026-03-30", "2026-03-31", "2026-03-30", "2026-03-31"),
        ("PT3H0M0S", None, "2026-03-31T10:00", "2026-03-31T12:00"),
        ("PT3H", "PT1H", "2026-03-31T10:00", "2026-03-31T11:00"),
        ("P1D", "PT0S", "2026-03-30T13:00", "2026-03-31T12:00"),
        ("PT30M", None, "2026-03-31T12:00", "2026-03-31T12:00"),
        ("P1W", None, "2026-03-24T13:00", "2026-03-31T12:00"),
        ("P1M", None, "2026-02-28T13:00", "2026-03-31T12:00"),
        ("P2Y1M", None, "2024-02-29T13:00", "2026-03-31T12:00"),
        ("1960-01-01T00:30:00Z", "1960-01-01T02:59:59Z", "1960-01-01T01:00", "1960-01-01T02:00"),
    ],
)
def test_golden_hours_of_a_range(started, ended, first, last):
    assert hours_between(started, ended, NOW_US) == (hour(first), hour(last))


def test_golden_a_range_may_hold_no_full_hour():
    first, last = hours_between("PT10M", None, NOW_US)
    assert first > last


def test_golden_what_lies_before_all_time_is_its_beginning():
    assert duration_back_us("P99999Y", NOW_US) == duration_back_us("P999999999D", NOW_US)
    assert hours_between("P99999Y", None, NOW_US)[0] == hours_between(None, None, NOW_US)[0]


@given(
    st.integers(0, 300),
    st.integers(0, 2_000),
    st.integers(0, 500),
    st.integers(0, 10_000),
    st.integers(0, 100_000),
)
def test_oracle_durations_are_those_of_timedelta(weeks, days, hours, minutes, seconds):
    text = f"P{weeks}W{days}DT{hours}H{minutes}M{seconds}S"
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    back = datetime(2026, 3, 31, 12, 30, tzinfo=UTC) - span
    assert duration_back_us(text, NOW_US) == iso_us(back.isoformat())


RULE = "an ISO 8601 date and time such as 2015-01-01T00:00:00Z, or a duration such as PT3H0M0S"


@pytest.mark.parametrize(
    "told",
    [
        "yesterday",
        "P",
        "PT",
        "P1H",
        "PT1D",
        "-PT1H",
        "P1DT",
        "PT1H1",
        "2026-13-01",
        "1743465600000",
    ],
)
def test_error_neither_an_instant_nor_a_duration(told):
    for name in ("started", "ended"):
        with pytest.raises(QueryError) as caught:
            hours_between(**{"started": None, "ended": None, name: told}, now_us=NOW_US)
        assert str(caught.value) == f"`{name}` must be {RULE}, got {told}"


@pytest.mark.parametrize(
    ("started", "ended", "told"),
    [
        ("PT0S", None, "`started` must be before now, got PT0S"),
        ("2027-01-01", None, "`started` must be before now, got 2027-01-01"),
        ("PT1H", "PT1H", "`started` must be before `ended`=PT1H, got PT1H"),
        ("PT1H", "PT2H", "`started` must be before `ended`=PT2H, got PT1H"),
    ],
)
def test_error_the_start_must_lie_before_the_end(started, ended, told):
    with pytest.raises(QueryError) as caught:
        hours_between(started, ended, NOW_US)
    assert str(caught.value) == told
