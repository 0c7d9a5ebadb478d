"""Bodies of requests: a JSON object whose fields are read one by one, and all faults told at once.

A metric's value may be written `NaN`, `Infinity` and `-Infinity`, as the published server reads it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import Request

from connectors.rest.faults import Fault
from engine.errors import QueryError
from engine.values import shown

__all__ = ["Fields", "fields_of"]

_TEXT_MAX = 100_000
_WHOLE_MAX = 2**53
_DEPTH_MAX = 64
T = TypeVar("T")


class Fields:
    """The fields of a body; what is wrong with them is gathered for `check`.

    An absent field and a null are the same.

    Parameters
    ----------
    body : mapping
    known : sequence of str
        The fields that there may be.
    """

    def __init__(self, body: Mapping[str, Any], known: Sequence[str]) -> None:
        self._body = body
        self.faults: dict[str, list[str]] = {}
        for name in body:
            if name not in known:
                self.fault(name[:80], "Unknown field.")

    def fault(self, name: str, message: str) -> None:
        """Say what is wrong with a field."""
        self.faults.setdefault(name, []).append(message)

    def check(self) -> None:
        """Raise what is wrong, if anything is.

        Raises
        ------
        Fault
            400, by field.
        """
        if self.faults:
            told = "; ".join(f"`{name}`: {each[0]}" for name, each in self.faults.items())
            raise Fault(400, told, self.faults)

    def read(
        self, name: str, reader: Callable[[Any], T], otherwise: T, *, needed: bool = False
    ) -> T:
        """Give what a reader makes of a field; `otherwise` where there is none, or it is wrong."""
        value = self._body.get(name)
        if value is None:
            if needed:
                self.fault(name, "Missing data for required field.")
            return otherwise
        try:
            return reader(value)
        except QueryError as error:
            self.fault(name, str(error))
            return otherwise

    def text(self, name: str, *, needed: bool = False) -> str | None:
        """Give a text."""
        return self.read(name, lambda value: _text(name, value), None, needed=needed)

    def whole(self, name: str) -> int | None:
        """Give a whole number from 1."""
        return self.read(name, lambda value: _whole(name, value), None)

    def wholes(self, name: str) -> list[int]:
        """Give a list of whole numbers from 1."""
        return self.read(name, lambda value: _listed(name, value, _whole), [])

    def texts(self, name: str) -> dict[str, str]:
        """Give an object of texts."""
        return self.read(name, lambda value: _texts(name, value), {})


async def fields_of(request: Request, known: Sequence[str], *, special: bool = False) -> Fields:
    """Read the body of a request.

    Parameters
    ----------
    known : sequence of str
        The fields that there may be.
    special : bool
        Whether `NaN`, `Infinity` and `-Infinity` are numbers.

    Raises
    ------
    Fault
        400: it is no JSON object of texts that are Unicode.
    """
    try:
        body = json.loads(
            await request.body(),
            parse_float=_float,
            parse_int=_int,
            parse_constant=float if special else _refused,
        )
        _check_texts(body)
    except (ValueError, RecursionError) as error:
        reason = "what is nested too deeply" if isinstance(error, RecursionError) else str(error)
        msg = f"the body must be a JSON object, got: {reason[:200]}"
        raise Fault(400, msg, {"body": [msg]}) from None
    if not isinstance(body, dict):
        msg = f"the body must be a JSON object, got {shown(body)}"
        raise Fault(400, msg, {"body": [msg]})
    return Fields(body, known)


def _float(text: str) -> object:
    """Read a number; one beyond a double stays a text, which no field takes."""
    number = float(text)
    return text if number in (float("inf"), float("-inf")) else number


def _int(text: str) -> object:
    """Read a whole number; beyond 64 bits it is a double."""
    number = int(text) if len(text) < 25 else 2**64
    return number if -(2**63) <= number < 2**63 else _float(text)


def _refused(text: str) -> object:
    msg = f"has {text}, which JSON does not know"
    raise ValueError(msg)


def _check_texts(value: object, depth: int = 1) -> None:
    if isinstance(value, str):
        value.encode()  # a lone surrogate is a ValueError
        if "\0" in value:
            msg = "has a NUL in a text"
            raise ValueError(msg)
    elif isinstance(value, list | dict):
        if depth > _DEPTH_MAX:
            msg = f"is nested more than {_DEPTH_MAX} deep"
            raise ValueError(msg)
        for part in value:
            _check_texts(part, depth + 1)
            if isinstance(value, dict):
                _check_texts(value[part], depth + 1)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_MAX:
        msg = f"`{name}` must be a text of at most {_TEXT_MAX} characters, got {shown(value)}"
        raise QueryError(msg)
    return value


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _WHOLE_MAX:
        msg = f"`{name}` must be a whole number from 1, got {shown(value)}"
        raise QueryError(msg)
    return value


def _listed(name: str, value: object, reader: Callable[[str, object], T]) -> list[T]:
    if not isinstance(value, list):
        msg = f"`{name}` must be a list, got {shown(value)}"
        raise QueryError(msg)
    return [reader(name, part) for part in value]


def _texts(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        msg = f"`{name}` must be an object, got {shown(value)}"
        raise QueryError(msg)
    return {key: _text(f"{name}.{key}"[:80], part) for key, part in value.items()}
