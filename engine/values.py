"""Single JSON values by the rules of an event: classes, ids, numbers and their faults."""

import json
import math
from dataclasses import dataclass
from typing import NoReturn

__all__ = [
    "MAX_NAME",
    "Fault",
    "Refused",
    "class_of",
    "cut",
    "fail",
    "identifier",
    "number_text",
    "numeric",
    "shown",
    "text_of",
]

MAX_NAME = 256
RAW_BYTES = 64 << 10
_SHOWN = 80
_PATH = 300
# One for all: `json.dumps` would make one for each of a flood of bad lines.
_WRITER = json.JSONEncoder(ensure_ascii=False, default=lambda other: other.text)


class Fault(Exception):  # noqa: N818 -- it never leaves this package: it becomes a reject
    """What is wrong with a line, and with which field of it; long paths are cut."""

    def __init__(self, reason: str, field: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = None if field is None else _short(field)


@dataclass(frozen=True, slots=True)
class Refused:
    """A number that no double can hold, or that JSON does not know (`NaN`), as it was written."""

    text: str


def shown(value: object) -> str:
    """Return a value as JSON text, cut for a message.

    >>> shown("é"), len(shown("x" * 200))
    ('"é"', 80)
    """
    text = value.text if isinstance(value, Refused) else _WRITER.encode(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _short(path: str) -> str:
    return path if len(path) <= _PATH else path[: _PATH - 1] + "…"


def fail(path: str, rule: str, value: object) -> NoReturn:
    """Raise the `Fault` of the field at `path`."""
    reason = f"`{_short(path)}` must be {rule}, got {shown(value)}"
    raise Fault(reason, path)


def cut(line: bytes) -> str:
    """Return a bad line as text: at most 64 KiB of it, what is not UTF-8 with backslashes."""
    text = line[:RAW_BYTES].decode("utf-8", "backslashreplace")
    if len(line) > RAW_BYTES:
        while len(text.encode()) > RAW_BYTES:
            text = text[: len(text) - max(1, (len(text.encode()) - RAW_BYTES) // 4)]
    return text


def numeric(value: object) -> float | None:
    """Return a JSON number as double, None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def number_text(value: float) -> str:
    """Return a number as class text: ``1`` for 1 and 1.0 alike, else the shortest that tells it.

    >>> number_text(1.0), number_text(-0.0), number_text(0.1), number_text(2**53)
    ('1', '0', '0.1', '9007199254740992.0')
    """
    if math.floor(value) == value and abs(value) < 2**53:
        return str(int(value))
    return repr(float(value))


def class_of(value: object, path: str) -> tuple[str, float | None]:
    """Return the class text of a value, and its number if it is one."""
    if isinstance(value, str):
        if not 0 < len(value) <= MAX_NAME:
            fail(path, f"a string of 1 to {MAX_NAME} characters, a number or a boolean", value)
        return value, None
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, int | float):
        return number_text(value), float(value)
    return fail(path, f"a string of 1 to {MAX_NAME} characters, a number or a boolean", value)


def identifier(value: object, path: str) -> str:
    """Return an id: a string of 1 to 256 characters, or an integer as its decimal text."""
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
        if len(text.lstrip("-")) <= MAX_NAME:
            return text
    return fail(path, f"a string of 1 to {MAX_NAME} characters or an integer", value)


def text_of(value: object, path: str) -> str:
    """Return a string of 1 to 256 characters."""
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME:
        return value
    return fail(path, f"a string of 1 to {MAX_NAME} characters", value)
