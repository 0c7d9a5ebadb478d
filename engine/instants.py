"""Epoch milliseconds and ISO 8601 texts as whole microseconds, one by one and by column."""

import math
import re
from datetime import UTC, datetime

import numpy as np

from engine.arrays import Array, Bytes, Doubles, Flags, Ints, bytes_of, offsets_of

__all__ = ["FIRST_US", "LAST_US", "iso_us", "isos_us", "millis_us", "milliseconds_us"]

SECOND_US = 1_000_000
FIRST_US = -62_135_596_800 * SECOND_US  # 0001-01-01T00:00:00Z
LAST_US = 253_402_300_800 * SECOND_US - 1  # 9999-12-31T23:59:59.999999Z
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)


def milliseconds_us(value: float) -> int | None:
    """Return epoch milliseconds in microseconds, rounded half to even; None out of years 1 to 9999.

    >>> milliseconds_us(1.0005), milliseconds_us(1.0015)
    (1000, 1002)
    """
    whole = math.floor(value)
    us = whole * 1000 + (0 if isinstance(value, int) else round((value - whole) * 1000.0))
    return us if FIRST_US <= us <= LAST_US else None


def millis_us(values: Doubles) -> tuple[Ints, Flags]:
    """Return `milliseconds_us` of a column of finite numbers, and where there is a result."""
    whole = np.floor(values)
    fine = np.abs(whole) <= float(LAST_US // 1000 + 1)
    whole = np.where(fine, whole, 0.0)
    part = np.rint(np.where(fine, values - whole, 0.0) * 1000.0)
    us = whole.astype(np.int64) * 1000 + part.astype(np.int64)
    return us, fine & (us >= FIRST_US) & (us <= LAST_US)


def iso_us(text: str) -> int | None:
    """Return an ISO 8601 date or date-time as microseconds since the epoch, None if it is none.

    A blank may stand for ``T``; seconds, fraction (up to nine digits, cut to microseconds) and zone
    are optional; no zone is UTC. Years 1 to 9999; no leap second, no hour 24.

    >>> iso_us("1970-01-01T00:00:01.5+01:00"), iso_us("yesterday")
    (-3598500000, None)
    """
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, _, sign, ahead_h, ahead_m = match.groups()[6:]
    hours, minutes = int(ahead_h or 0), int(ahead_m or 0)
    if hours > 23 or minutes > 59:
        return None
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    since = moment - _EPOCH
    us = (since.days * 86_400 + since.seconds) * SECOND_US + int((fraction or "")[:6].ljust(6, "0"))
    us -= (-1 if sign == "-" else 1) * (hours * 60 + minutes) * 60 * SECOND_US
    return us if FIRST_US <= us <= LAST_US else None


def isos_us(texts: Array) -> tuple[Ints, Flags]:
    """Return `iso_us` of a column of texts, and where there is a result.

    ``YYYY-MM-DDThh:mm:ss[.f…][Z|±hh:mm]`` is read by column, anything else one by one.

    Parameters
    ----------
    texts : pyarrow.StringArray, shape (n,)
        No nulls.
    """
    us, fine = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    if not len(texts):
        return us, fine
    offsets, data = offsets_of(texts), bytes_of(texts)
    lengths = np.diff(offsets)
    for length in np.unique(lengths).tolist():
        if 19 <= length <= 35:
            rows = np.flatnonzero(lengths == length)
            us[rows], fine[rows] = _same_length(data[offsets[rows][:, None] + np.arange(length)])
    for row in np.flatnonzero(~fine).tolist():
        value = iso_us(texts[row].as_py())
        us[row], fine[row] = (0, False) if value is None else (value, True)
    return us, fine


def _same_length(text: Bytes) -> tuple[Ints, Flags]:
    digit = text - 48  # wraps: everything but a digit is above 9
    is_digit, length = digit <= 9, text.shape[1]
    zulu = text[:, -1] == ord("Z")
    sign = text[:, max(length - 6, 0)]
    zoned = (length >= 25) & ((sign == ord("+")) | (sign == ord("-"))) & ~zulu
    core = is_digit[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]].all(axis=1)
    for place, mark in ((4, "-"), (7, "-"), (13, ":"), (16, ":")):
        core &= text[:, place] == ord(mark)
    core &= (text[:, 10] == ord("T")) | (text[:, 10] == ord(" "))
    us, fine = _clock_us(digit)
    fine &= core
    tail = np.where(zulu, 1, np.where(zoned, 6, 0))  # bytes of the zone
    part, part_fine = _fraction_us(text, digit, is_digit, length - tail)
    away, away_fine = _zone_us(text, digit, is_digit) if zoned.any() else (us * 0, ~zoned)
    us = us + part - np.where(zoned, away, 0)
    fine &= part_fine & (away_fine | ~zoned)
    return us, fine & (us >= FIRST_US) & (us <= LAST_US)


def _number(digit: Bytes, first: int, count: int) -> Ints:
    value = np.zeros(len(digit), np.int64)
    for place in range(first, first + count):
        value = value * 10 + digit[:, place]
    return value


def _clock_us(digit: Bytes) -> tuple[Ints, Flags]:
    year, month, day = _number(digit, 0, 4), _number(digit, 5, 2), _number(digit, 8, 2)
    hour, minute, second = _number(digit, 11, 2), _number(digit, 14, 2), _number(digit, 17, 2)
    fine = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12) & (day >= 1)
    fine &= (hour <= 23) & (minute <= 59) & (second <= 59)
    months = np.where(fine, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    after = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    fine &= day <= after - first
    days = first + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 * SECOND_US + second * SECOND_US, fine


def _fraction_us(text: Bytes, digit: Bytes, is_digit: Flags, stop: Ints) -> tuple[Ints, Flags]:
    part, fine = np.zeros(len(text), np.int64), stop <= 29
    for place in range(20, 29):
        inside = place < stop
        if not inside.any():
            break
        fine &= is_digit[:, place] | ~inside
        if place < 26:
            part += np.where(inside, digit[:, place], 0).astype(np.int64) * 10 ** (25 - place)
    if text.shape[1] > 19:
        fine &= (stop == 19) | ((stop >= 21) & (text[:, 19] == ord(".")))
    return part, fine


def _zone_us(text: Bytes, digit: Bytes, is_digit: Flags) -> tuple[Ints, Flags]:
    tail, width = digit[:, -5:], text.shape[1]
    hours, minutes = _number(tail, 0, 2), _number(tail, 3, 2)
    fine = is_digit[:, [width - 5, width - 4, width - 2, width - 1]].all(axis=1)
    fine &= (text[:, -3] == ord(":")) & (hours <= 23) & (minutes <= 59)
    away = (hours * 60 + minutes) * 60 * SECOND_US
    return np.where(text[:, -6] == ord("-"), -away, away), fine
