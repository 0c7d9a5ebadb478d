"""What a program may log of a step metric, as an event carries it: value, step and time.

Numbers are taken from whatever holds one: Python's, numpy's, decimals, fractions, tensors. The
rules are those of a line of events: no booleans, no texts but `nan`, `inf` and `-inf`, and nothing
finite that no double can hold.
"""

import math
import operator
from datetime import UTC, datetime
from numbers import Complex, Integral, Real
from typing import Any

from engine.errors import QueryError
from engine.instants import iso_us, milliseconds_us

__all__ = ["Instant", "instant_of", "number_of", "step_of"]

Instant = datetime | str | float
"""A time: a `datetime` (no zone: UTC), ISO 8601, or epoch milliseconds."""

_SPECIAL = ("nan", "inf", "-inf")


def number_of(value: object) -> float:
    """Give a value as a double.

    Raises
    ------
    QueryError
        If it is no number.

    Examples
    --------
    >>> number_of(3), number_of("-inf")
    (3.0, -inf)
    """
    if type(value) is float:
        return value
    special = isinstance(value, str) and value in _SPECIAL
    number = float(value) if special else _float_of(value)  # type: ignore[arg-type]
    if number is None:
        msg = f'`value` must be a number, "nan", "inf" or "-inf", got {value!r}'
        raise QueryError(msg)
    return number


def _float_of(value: Any) -> float | None:
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # of numpy: b is boolean, c complex
    unreal = isinstance(value, Complex) and not isinstance(value, Real)
    if isinstance(value, bool | str | bytes) or unreal or kind not in "iuf":
        return None
    if getattr(value, "ndim", 0):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isinf(number) and value != number else number


def step_of(step: object) -> int:
    """Give a step: a whole number from 0, below 2^63.

    Raises
    ------
    QueryError
        If it is none.
    """
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        msg = f'`step` must be a whole number from 0 to 2^63 - 1, or "auto", got {step!r}'
        raise QueryError(msg)
    return number


def instant_of(value: object) -> str | float:
    """Give a time as an event carries it: ISO 8601, or epoch milliseconds.

    Raises
    ------
    QueryError
        If it is none, or not in the years 1 to 9999.

    Examples
    --------
    >>> instant_of(datetime(2026, 11, 21, tzinfo=UTC)), instant_of(1.5)
    ('2026-11-21T00:00:00Z', 1.5)
    """
    found: str | float | None = None
    if isinstance(value, datetime):
        found = _iso_of(value)
    elif isinstance(value, str):
        found = value if iso_us(value) is not None else None
    elif not isinstance(value, bool) and isinstance(value, Real):
        number = int(value) if isinstance(value, Integral) else float(value)
        if math.isfinite(number) and milliseconds_us(number) is not None:
            found = number
    if found is None:
        msg = f"`timestamp` must be a datetime, epoch milliseconds or ISO 8601, got {value!r}"
        raise QueryError(msg)
    return found


def _iso_of(value: datetime) -> str | None:
    try:
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
    return aware.replace(tzinfo=None).isoformat() + "Z"
