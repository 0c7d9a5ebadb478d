"""`filter_path`: the parts of an answer that a client wants, by their dotted paths.

Paths stand with commas between them; a name in a path may have `*` for any characters, `**` is any
names; a path behind `-` is left out. What is beneath a wanted name comes whole.
"""

from collections.abc import Sequence
from typing import Any

from connectors.rest.elastic.wildcards import matches
from engine.errors import QueryError

__all__ = ["filtered"]

_CHARACTERS_MAX = 1_000
_ANY = "**"

_Paths = Sequence[tuple[str, ...]]
_States = frozenset[tuple[int, int]]


def filtered(value: Any, paths: str) -> Any:
    """Give a copy of a JSON value with the wanted parts alone.

    Raises
    ------
    QueryError
        The paths are too long.

    Examples
    --------
    >>> answer = {"count": 1, "jobs": [{"job_id": "a", "state": "opened"}]}
    >>> filtered(answer, "jobs.job_*"), filtered(answer, "-jobs")
    ({'jobs': [{'job_id': 'a'}]}, {'count': 1})
    """
    if len(paths) > _CHARACTERS_MAX:
        rule = f"at most {_CHARACTERS_MAX} characters"
        msg = f"`filter_path` must have {rule}, got {len(paths)}"
        raise QueryError(msg)
    told = [each.strip() for each in paths.split(",") if each.strip()]
    wanted = [tuple(each.split(".")) for each in told if not each.startswith("-")]
    unwanted = [tuple(each[1:].split(".")) for each in told if each.startswith("-")]
    if wanted:
        value = _kept(value, wanted, _begin(wanted))
        value = {} if value is None else value
    return _left(value, unwanted, _begin(unwanted)) if unwanted else value


def _begin(paths: _Paths) -> _States:
    return frozenset((number, 0) for number in range(len(paths)))


def _kept(value: Any, paths: _Paths, states: _States) -> Any:
    """Give what the paths lead to; None where that is nothing."""
    if isinstance(value, list):
        parts = [_kept(each, paths, states) for each in value]
        return [part for part in parts if part is not None] or None
    if not isinstance(value, dict):
        return None
    found = {}
    for name, part in value.items():
        after = _after(paths, states, name)
        kept = part if _ends(paths, after) else _kept(part, paths, after) if after else None
        if kept is not None:
            found[name] = kept
    return found or None


def _left(value: Any, paths: _Paths, states: _States) -> Any:
    """Give what the paths do not lead to."""
    if isinstance(value, list):
        return [_left(each, paths, states) for each in value]
    if not isinstance(value, dict) or not states:
        return value
    steps = {name: _after(paths, states, name) for name in value}
    return {
        name: _left(part, paths, steps[name])
        for name, part in value.items()
        if not _ends(paths, steps[name])
    }


def _after(paths: _Paths, states: _States, name: str) -> _States:
    """Give how far each path has come once a name was passed."""
    found = set()
    for number, before in states:
        path, place = paths[number], before
        while place < len(path) and path[place] == _ANY:
            found.add((number, place))  # it takes this name, too
            place += 1
        if place < len(path) and matches(path[place], name):
            found.add((number, place + 1))
    return frozenset(found)


def _ends(paths: _Paths, states: _States) -> bool:
    return any(
        place == len(paths[number]) or set(paths[number][place:]) == {_ANY}
        for number, place in states
    )
