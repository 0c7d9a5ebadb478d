"""The values of a request for results, which come as JSON or as the text of a query string."""

import math
import re

from engine.instants import iso_us, milliseconds_us
from engine.query.parse_faults import Faults
from engine.query.parse_values import number_of, whole_of

__all__ = ["double_of", "flag_of", "instant_of", "integer_of", "span_of", "unset"]

_FLAGS = {"true": True, "": True, "false": False}  # `?desc` alone says yes
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)
_SPAN = re.compile(r"(\d{1,12})([smhd]?)", re.ASCII)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN_MOST_S = 10 * 366 * 86_400
_TIME = "epoch milliseconds or an ISO 8601 time"


def flag_of(faults: Faults, value: object, place: str) -> bool:
    """Return a boolean; False with a fault if it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _FLAGS:
        return _FLAGS[value]
    faults.must(place, "true or false", value)
    return False


def double_of(faults: Faults, value: object, place: str) -> float:
    """Return a finite number; 0 with a fault if it is none."""
    if isinstance(value, str) and _DOUBLE.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return float(number_of(faults, value, place) or 0.0)


def integer_of(faults: Faults, value: object, place: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`; `low` with a fault if it is none."""
    told = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    found = whole_of(faults, told, place, low, high)
    return low if found is None else found


def unset(value: object) -> bool:
    """Say whether a value is the -1 that stands for no limit of time (EL-09, EL-15)."""
    return value == "-1" or (value == -1 and not isinstance(value, bool))


def instant_of(faults: Faults, value: object, place: str) -> int | None:
    """Return an instant in microseconds since the epoch (ELi-25).

    None if it is `unset`, or with a fault if it is no instant.

    >>> instant_of(Faults(), "1454530200001", "start"), instant_of(Faults(), "-1", "start")
    (1454530200001000, None)
    """
    if unset(value):
        return None
    found = None
    if isinstance(value, str):
        found = milliseconds_us(int(value)) if _WHOLE.fullmatch(value) else iso_us(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        found = milliseconds_us(value)
    if found is None:
        faults.must(place, _TIME, value)
    return found


def span_of(faults: Faults, value: object, place: str) -> int | None:
    """Return a span in whole seconds, at most ten years; None with a fault if it is none.

    >>> span_of(Faults(), "1h", "bucket_span"), span_of(Faults(), 90, "bucket_span")
    (3600, 90)
    """
    match = _SPAN.fullmatch(str(value)) if isinstance(value, str | int) else None
    if match is not None and not isinstance(value, bool):
        span_s = int(match[1]) * _UNIT_S[match[2]]
        if 0 < span_s <= _SPAN_MOST_S:
            return span_s
    faults.must(place, 'a span of whole seconds such as "300s", "15m", "1h" or "1d"', value)
    return None
