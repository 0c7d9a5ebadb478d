"""The range of a plot: instants or durations as hours, both ends included."""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from engine.errors import QueryError
from engine.instants import FIRST_US, iso_us
from engine.processing.hours import HOUR_S
from engine.processing.series_source import FIRST_S

__all__ = ["duration_back_us", "hours_between"]

_SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?)"
_DURATION = re.compile(
    rf"P(?=[\dT])(?:(\d{{1,5}})Y)?(?:(\d{{1,6}})M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_UNITS_S = (7 * 86_400, 86_400, 3_600, 60, 1)
_RULE = "an ISO 8601 date and time such as 2015-01-01T00:00:00Z, or a duration such as PT3H0M0S"


def duration_back_us(duration: str, now_us: int) -> int | None:
    """Give the instant that lies a duration before now, µs; None if it is none.

    Years and months go by the calendar: a day that the month does not have is its last one. What
    lies before the year 1 is its beginning.

    >>> now_us = iso_us("2026-03-31T12:00:00Z")
    >>> duration_back_us("P1M", now_us) == iso_us("2026-02-28T12:00:00Z")
    True
    >>> (now_us - duration_back_us("P1DT0.5H", now_us)) / 3.6e9
    24.5
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        return None
    years, months, *numbers = found.groups()
    parts = [float((part or "0").replace(",", ".")) for part in numbers]
    span_us = sum(
        round(part * unit_s * _SECOND_US) for part, unit_s in zip(parts, _UNITS_S, strict=True)
    )
    since = _months_before(now_us, 12 * int(years or 0) + int(months or 0))
    return max(since - span_us, FIRST_US)


def _months_before(now_us: int, months: int) -> int:
    if not months:
        return now_us
    now = _EPOCH + timedelta(microseconds=now_us)
    count = now.year * 12 + now.month - 1 - months
    if count < 12:
        return FIRST_US
    year, month = divmod(count, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    then = now.replace(year=year, month=month + 1, day=day)
    return (then - _EPOCH) // timedelta(microseconds=1)


def hours_between(started: str | None, ended: str | None, now_us: int) -> tuple[int, int]:
    """Give the first and the last hour whose start lies in a range, both ends included (SCi-05).

    Parameters
    ----------
    started, ended : str or None
        An ISO 8601 instant (no zone: UTC), or a duration that counts back from now; None: from the
        beginning, until now.
    now_us : int
        Microseconds since the epoch.

    Returns
    -------
    tuple of int
        Starts of hours, seconds since the epoch; the first is behind the last where the range
        holds no full hour.

    Raises
    ------
    QueryError
        One of them is neither, or `started` is not before `ended`.

    >>> hours_between("PT3H0M0S", None, 12 * 3_600_000_000)
    (32400, 43200)
    """
    end_us = now_us if ended is None else _instant(ended, "ended", now_us)
    if started is None:
        return FIRST_S, end_us // _SECOND_US // HOUR_S * HOUR_S
    start_us = _instant(started, "started", now_us)
    if start_us >= end_us:
        told = "now" if ended is None else f"`ended`={ended}"
        msg = f"`started` must be before {told}, got {started}"
        raise QueryError(msg)
    first_s = -(-start_us // (_SECOND_US * HOUR_S)) * HOUR_S
    return first_s, end_us // (_SECOND_US * HOUR_S) * HOUR_S


def _instant(told: str, name: str, now_us: int) -> int:
    us = duration_back_us(told, now_us) if told.startswith("P") else iso_us(told)
    if us is None:
        msg = f"`{name}` must be {_RULE}, got {told[:80]}"
        raise QueryError(msg)
    return us
