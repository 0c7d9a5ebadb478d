"""The options of a request: from its query string, its JSON body, or both.

Where both name an option the body's holds: the published clients send `from` and `size` in the
query string and everything else in the body. `pretty` and `filter_path` are of every call; `human`
and `error_trace` may be given as false, which is all that they can be here.
"""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import orjson
from starlette.requests import Request

from connectors.rest.elastic.answers import unparsed
from connectors.rest.faults import Fault

__all__ = ["COMMON", "body_of", "flag", "options_of", "query_of"]

COMMON = ("error_trace", "filter_path", "human", "pretty")
"""Options of every call."""

_FLAGS = {"true": True, "": True, "false": False}
_SHOWN = 80


def options_of(request: Request, body: bytes, names: Collection[str]) -> dict[str, Any]:
    """Give the options of a call by their names, those of a `page` among them as they came.

    Parameters
    ----------
    names : collection of str
        What may be told.

    Raises
    ------
    Fault
        400: an option that the call has not, or a body that is no JSON object.
    """
    told = body_of(body, names)
    page = told.get("page")
    also = set(page) if isinstance(page, Mapping) else set()
    asked = query_of(request, names)
    return {name: value for name, value in asked.items() if name not in also} | told


def query_of(request: Request, names: Collection[str] = ()) -> dict[str, str]:
    """Give the options in the query string, without those of every call.

    Raises
    ------
    Fault
        400: an unknown one, one that is there twice, or `human` or `error_trace`.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            _refuse(f"`{_cut(name)}` must be there once, got it twice")
        if name not in names and name not in COMMON:
            _refuse(f"`{_cut(name)}` is not an option of this call")
        found[name] = value
    for name in ("human", "error_trace"):
        if flag(found, name, default=False):
            _refuse(f"`{name}` must be false: there is no such form of the answer")
    flag(found, "pretty", default=False)
    return {name: value for name, value in found.items() if name not in COMMON}


def body_of(body: bytes, names: Collection[str] | None = None) -> dict[str, Any]:
    """Give the body as an object; an empty one has nothing.

    Parameters
    ----------
    names : collection of str, optional
        What may be in it; None: anything.

    Raises
    ------
    Fault
        400: it is none, or has a key that is unknown.
    """
    if not body.strip():
        return {}
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"the body must be JSON, got {error}"
        raise unparsed(msg) from error
    if not isinstance(told, dict):
        msg = "the body must be a JSON object"
        raise unparsed(msg)
    for name in told if names is not None else ():
        if name not in (names or ()):
            msg = f"unknown field [{_cut(name)}]: the fields are {', '.join(names or ())}"
            raise unparsed(msg)
    return told


def flag(told: Mapping[str, object], name: str, *, default: bool) -> bool:
    """Give a boolean option.

    Raises
    ------
    Fault
        400: it is none.
    """
    value = told.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value not in _FLAGS:
        _refuse(f"`{name}` must be true or false, got {_cut(str(value))}")
    return _FLAGS[value]


def _refuse(message: str) -> NoReturn:
    raise Fault(400, message)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
