"""The plain values of a query: texts, numbers, and what a property is compared with."""

import math

from engine.instants import iso_us, milliseconds_us
from engine.query.parse_faults import Faults, told
from engine.query.tree import Scalar

__all__ = ["MAX_IN", "MAX_NAME", "MAX_TEXT", "number_of", "text_of", "value_of", "whole_of"]

MAX_IN = 1000
MAX_NAME = 256
MAX_TEXT = 1024
_ORDERED = ("gt", "gte", "lt", "lte")
_LARGEST = 2**63 - 1
_INSTANT = "an ISO 8601 time or epoch milliseconds"
_SCALARS = {True: "a finite number or a text", False: "a finite number, a text or a boolean"}


def text_of(faults: Faults, value: object, place: str, limit: int = MAX_TEXT) -> str | None:
    """Return a text of at most `limit` characters, None with a fault if it is none."""
    if not isinstance(value, str) or len(value) > limit:
        faults.must(place, f"a text of at most {limit} characters", value)
    elif not value.isascii() and value.encode("utf-8", "ignore").decode() != value:
        faults.must(place, "a text of whole Unicode characters", value)
    else:
        return value
    return None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond a double
        return False


def number_of(
    faults: Faults,
    value: object,
    place: str,
    bounds: tuple[float | None, float | None] = (None, None),
    *,
    strict: bool = False,
) -> float | int | None:
    """Return a finite number within bounds, None with a fault if it is none."""
    low, high = bounds
    if _is_number(value) and isinstance(value, int | float):
        above = low is None or value > low or (value == low and not strict)
        below = high is None or value < high or (value == high and not strict)
        if above and below:
            return value if abs(value) <= _LARGEST else float(value)
    faults.must(place, _rule(low, high, strict=strict), value)
    return None


def _rule(low: float | None, high: float | None, *, strict: bool) -> str:
    if low is None:
        return "a finite number"
    if high is None:
        return f"a number above {low}" if strict else f"a number of at least {low}"
    return f"a number above {low} and below {high}" if strict else f"a number from {low} to {high}"


def whole_of(
    faults: Faults, value: object, place: str, low: int = 0, high: int = _LARGEST
) -> int | None:
    """Return a whole number from `low` to `high`, None with a fault if it is none."""
    if _is_number(value) and isinstance(value, int | float) and value == int(value):
        found = int(value)
        if low <= found <= high:
            return found
    most = "2^63 - 1" if high == _LARGEST else str(high)
    faults.must(place, f"a whole number from {low} to {most}", value)
    return None


def value_of(
    faults: Faults, comparator: str, entry: tuple[bool, object], place: str, kind: str
) -> Scalar | tuple[Scalar, ...]:
    """Return the value of a condition, checked against the type of what it is compared with.

    Parameters
    ----------
    entry : (bool, object)
        Whether there is a value, and which.
    kind : str
        Type of the operand: number, text, mixed, time or id (a text whose whole numbers are taken
        as their decimal text).
    """
    given, value = entry
    if comparator == "NotNull":
        if given:
            faults.say(f"`{place}` must be absent: NotNull takes no value, got {told(value)}")
        return None
    if not given:
        faults.say(f"`{place}` is missing: {comparator} compares with a value")
        return None
    if comparator == "like":
        if kind in {"number", "time"}:
            word = "number" if kind == "number" else "time"
            faults.say(f"`{place}` must belong to a text property: like is not for a {word}")
        return text_of(faults, value, place)
    if comparator == "in":
        several = faults.items(value, place, MAX_IN, "values", empty=False)
        found = [
            _scalar(faults, each, f"{place}[{index}]", kind) for index, each in enumerate(several)
        ]
        return tuple(each for each in found if each is not None)
    return _scalar(faults, value, place, kind, ordered=comparator in _ORDERED)


def _scalar(
    faults: Faults, value: object, place: str, kind: str, *, ordered: bool = False
) -> Scalar:
    """Return a single value to compare with, None with a fault if it cannot be compared."""
    if kind == "time":
        return _instant(faults, value, place)
    if kind == "id" and isinstance(value, int) and not isinstance(value, bool):
        whole = whole_of(faults, value, place, -_LARGEST)
        return None if whole is None else str(whole)
    if isinstance(value, str) and kind != "number":
        return text_of(faults, value, place)
    if isinstance(value, bool) and not ordered and kind in {"text", "mixed"}:
        return value
    if _is_number(value) and kind in {"number", "mixed"}:
        return number_of(faults, value, place)
    rule = {"number": "a number, as the property is", "mixed": _SCALARS[ordered]}
    faults.must(place, rule.get(kind, "a text, as the property is"), value)
    return None


def _instant(faults: Faults, value: object, place: str) -> Scalar:
    """Return an ISO 8601 time or epoch milliseconds as they are, None with a fault if neither."""
    if isinstance(value, str) and len(value) <= MAX_TEXT and iso_us(value) is not None:
        return value
    if (
        _is_number(value)
        and isinstance(value, int | float)
        and milliseconds_us(value) is not None  # of the years 1 to 9999
    ):
        return value
    faults.must(place, _INSTANT, value)
    return None
