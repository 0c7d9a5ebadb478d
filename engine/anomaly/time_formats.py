"""The forms in which posted records tell their time: seconds, milliseconds, or a pattern.

A pattern is of Java's letters, as Elastic's `time_format` is: ``yyyy`` or ``uuuu``, ``MM``, ``dd``,
``HH``, ``mm``, ``ss``, ``S`` to ``SSSSSSSSS``, a zone ``X``, ``XX``, ``XXX`` or ``Z``, words within
apostrophes; what is no letter stands for itself. No zone is UTC, no time of the day is midnight.
Source: contracts.md ELi-25.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from engine.errors import QueryError
from engine.instants import FIRST_US, LAST_US, iso_us, milliseconds_us

__all__ = ["EPOCH", "EPOCH_MS", "TimeReader", "time_reader"]

EPOCH = "epoch"
EPOCH_MS = "epoch_ms"

TimeReader = Callable[[object], int | None]
"""Gives µs since the epoch, or None for what is no instant of the form."""

_SECOND_US = 1_000_000
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII)
_TOKEN = re.compile(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z'\[\]{}#]")
_ZONE = r"Z|[+-]\d\d(?::?\d\d)?"
_PARTS = {
    **dict.fromkeys(("yyyy", "uuuu"), ("year", r"\d{4}")),
    "MM": ("month", r"\d\d"),
    "dd": ("day", r"\d\d"),
    "HH": ("hour", r"\d\d"),
    "mm": ("minute", r"\d\d"),
    "ss": ("second", r"\d\d"),
    **{"S" * size: ("fraction", rf"\d{{{size}}}") for size in range(1, 10)},
    **dict.fromkeys(("X", "XX", "XXX", "Z"), ("zone", _ZONE)),
}
_RULE = (
    "epoch, epoch_ms, or a pattern of yyyy, MM, dd, HH, mm, ss, S and X, such as"
    " yyyy-MM-dd HH:mm:ssX"
)


@lru_cache(256)
def time_reader(time_format: str) -> TimeReader:
    """Give what reads times of a form.

    Raises
    ------
    QueryError
        There is no such form here.

    Examples
    --------
    >>> time_reader("epoch")("1.5"), time_reader("epoch_ms")(1_500)
    (1500000, 1500000)
    >>> time_reader("yyyy-MM-dd HH:mm:ssX")("1970-01-01 01:00:01+01")
    1000000
    """
    if time_format == EPOCH:
        return _of_seconds
    if time_format == EPOCH_MS:
        return _of_milliseconds
    pattern = re.compile(_expression(time_format), re.ASCII)
    return lambda value: _of_text(pattern, value)


def _of_seconds(value: object) -> int | None:
    number = _number(value)
    if number is None or abs(number) > LAST_US // _SECOND_US + 1:
        return None
    us = number * _SECOND_US if isinstance(number, int) else round(number * _SECOND_US)
    return us if FIRST_US <= us <= LAST_US else None


def _of_milliseconds(value: object) -> int | None:
    number = _number(value)
    return None if number is None else milliseconds_us(number)


def _number(value: object) -> int | float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(value) < 1e18 else None  # NaN, too
    return None


def _expression(time_format: str) -> str:
    """Give the regular expression of a pattern."""
    found, at, taken = "", 0, set()
    for token in _TOKEN.finditer(time_format):
        word = token[0]
        part = _PARTS.get(word)
        if token.start() != at or (token[1] and (part is None or part[0] in taken)):
            _refuse(time_format)
        at = token.end()
        if part is not None:
            taken.add(part[0])
            found += f"(?P<{part[0]}>{part[1]})"
        else:
            found += re.escape(word.strip("'") or "'")
    if at != len(time_format) or not {"year", "month", "day"} <= taken:
        _refuse(time_format)
    return found


def _refuse(time_format: str) -> None:
    shown = time_format if len(time_format) <= 80 else time_format[:79] + "…"
    msg = f'`time_format` must be {_RULE}, got "{shown}"'
    raise QueryError(msg)


def _of_text(pattern: re.Pattern[str], value: object) -> int | None:
    found = pattern.fullmatch(value) if isinstance(value, str) and len(value) <= 256 else None
    if found is None:
        return None
    told = {"hour": "00", "minute": "00", "second": "00", "zone": "Z"}
    told |= {name: text for name, text in found.groupdict().items() if text is not None}
    fraction = f".{told['fraction']}" if "fraction" in told else ""
    clock = f"{told['hour']}:{told['minute']}:{told['second']}{fraction}{told['zone']}"
    return iso_us(f"{told['year']}-{told['month']}-{told['day']}T{clock}")
