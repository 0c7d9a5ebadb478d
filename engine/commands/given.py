"""The fields of what somebody asks to be made or changed, checked before they are used."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import QueryError

__all__ = ["check_depth", "known", "text_of"]

_DEPTH_MAX = 32  # of what is handed in: readers go down it call by call
_TEXT_MAX = 1_024


def known(
    body: Mapping[str, Any], names: Sequence[str], needed: Sequence[str] = ()
) -> dict[str, Any]:
    """Give the fields that are not null.

    Raises
    ------
    QueryError
        There are others than `names`, one of `needed` is missing, or it goes too deep.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name in body:
        if name not in names:
            msg = f"the fields must be of {', '.join(names)}, got {name[:_TEXT_MAX]}"
            raise QueryError(msg)
    for name in needed:
        if name not in given:
            msg = f"`{name}` is missing"
            raise QueryError(msg)
    check_depth(given)
    return given


def text_of(given: Mapping[str, Any], name: str) -> str:
    """Give a field that is text of up to 1,024 characters, not blank.

    Raises
    ------
    QueryError
        It is something else.
    """
    value = given[name]
    if not isinstance(value, str) or not value.strip():
        msg = f"`{name}` must be text, got {_shown(value)}"
        raise QueryError(msg)
    if len(value) > _TEXT_MAX:
        msg = f"`{name}` must have up to {_TEXT_MAX} characters, got {len(value)}"
        raise QueryError(msg)
    return value


def check_depth(value: object, most: int = _DEPTH_MAX) -> None:
    """See that objects and lists are not nested without end.

    Raises
    ------
    QueryError
        They are nested deeper than `most`.
    """
    level: list[object] = [value]
    for _ in range(most):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    msg = f"the body must be nested at most {most} deep"
    raise QueryError(msg)


def _inside(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _shown(value: object) -> str:
    return {"str": "a blank one"}.get(type(value).__name__, type(value).__name__)
