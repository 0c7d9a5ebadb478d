"""The canonical text of an event: of two with one id and instant the greater one counts.

Whether the JSON of a prediction is kept as it was written depends on what came before it
(`engine.typed`), so its canonical text has only what both forms say, written in one way: numbers as
doubles, ids as texts, and no nulls of known fields. What tied events have in common is left out:
model, id and instant.
"""

import json

import orjson

from engine.schema import CONTAINERS, KNOWN

__all__ = ["canonical"]

_SAME = frozenset(("type", "model_id", "id", "timestamp"))
_IDS = frozenset(("job_id", "batch_id", "bucket_id"))
_EXACT = 2**53


def canonical(raw: str) -> str:
    """Return the canonical JSON text of an event: sorted keys, no blanks.

    >>> canonical('{"id": 7, "score": 1, "a": 1.50, "label": null, "job_id": 5}')
    '{"a":1.5,"job_id":"5","score":1.0}'
    >>> canonical('{"type": "run", "id": 7}')
    '{"id":7,"type":"run"}'
    """
    event = orjson.loads(raw)
    if event.get("type") not in ("prediction", None):
        return orjson.dumps(event, option=orjson.OPT_SORT_KEYS).decode()
    event = json.loads(raw)  # whole numbers of any length
    said: dict[str, object] = {}
    for name, value in event.items():
        if name in _SAME or (name in KNOWN and value is None):
            continue
        if name in _IDS:
            said[name] = str(value)
        elif name in CONTAINERS:
            if value:
                said[name] = {inner: _double(each) for inner, each in value.items()}
        else:
            known = name in KNOWN and _number(value)
            said[name] = float(value) + 0.0 if known else _double(value)
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _double(value: object) -> object:
    """Return a number as a double, with 0 for -0; one that no double holds exactly as it is."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) >= _EXACT:
        return value
    return float(value) + 0.0
