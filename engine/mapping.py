"""Other people's events as ours: fields of ours taken from JSON paths, or constant."""

import json
import re
from collections.abc import Mapping

from engine.values import Fault

__all__ = ["Mapped", "path_steps"]

Object = dict[str, object]

_DEEP = "line must be nested at most 64 deep, got more"
_STEP = re.compile(r'\.("(?:[^"\\]|\\.)*"|[^."\[\]]+)|\[(\d+)\]')


def path_steps(path: str) -> tuple[str | int, ...]:
    """Return the steps of a JSON path: names (bare or in double quotes) and indices of arrays.

    Raises
    ------
    ValueError
        If the path does not begin with ``$`` or is malformed.

    >>> path_steps('$.arcanna."a.b"[0]')
    ('arcanna', 'a.b', 0)
    """
    steps: list[str | int] = []
    place = 1
    while path.startswith("$") and place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            break
        name, index = match.groups()
        try:  # an unknown escape, or more digits than Python reads
            steps.append(int(index) if name is None else _name_of(name))
        except ValueError:
            break
        place = match.end()
    if not path.startswith("$") or place < len(path) or not steps:
        msg = f'`mapping` must be a JSON path such as $.a."b c"[0], got {path!r}'
        raise ValueError(msg)
    return tuple(steps)


def _name_of(written: str) -> str:
    return str(json.loads(written)) if written.startswith('"') else written


class Mapped:
    """One source's mapping, ready to be applied.

    Parameters
    ----------
    mapping : mapping of str to str
        Field of ours (``features.age``: a member) to a JSON path, or to a constant if it does not
        begin with ``$``.

    >>> Mapped({"prediction": "$.out.label", "model_id": "m"}).apply({"out": {"label": "x"}})
    {'out': {'label': 'x'}, 'prediction': 'x', 'model_id': 'm'}
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._fields = tuple(
            (target.split(".", 1), path_steps(value) if value.startswith("$") else value)
            for target, value in mapping.items()
        )

    def apply(self, event: Object) -> Object:
        """Return the event with our fields; one whose path yields nothing or null is left alone."""
        found = dict(event)
        for target, steps in self._fields:
            value = steps if isinstance(steps, str) else _at(event, steps)
            if value is None:
                continue
            if len(target) == 1:
                found[target[0]] = value
                continue
            inside = found.get(target[0])
            found[target[0]] = {**(inside if isinstance(inside, dict) else {}), target[1]: value}
        return found

    def text(self, event: Object) -> str:
        """Return a mapped event as JSON text, whole numbers of any size included."""
        try:
            return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            raise Fault(_DEEP, None) from None


def _at(value: object, steps: tuple[str | int, ...]) -> object:
    for step in steps:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
