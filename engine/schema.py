"""The names a decoder has learned, as a structure for DuckDB's `from_json`."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from engine.crowd import Crowd
from engine.values import MAX_NAME

__all__ = [
    "AMOUNTS",
    "CONTAINERS",
    "KNOWN",
    "MAX_NAMES",
    "OPTIONAL",
    "OTHERS",
    "TOP",
    "Kind",
    "OtherSchema",
    "Schema",
    "kind_of",
    "qualified",
]

Kind = Literal["number", "text", "mixed"]

MAX_NAMES = 256
CONTAINERS = ("features", "predictions", "labels")
TOP = ("type", "model_id", "id", "timestamp", "prediction", "label", "score")
OPTIONAL = ("job_id", "batch_id", "bucket_id", "by")
# Fields that a prediction knows; all others of it are further fields. `by` belongs to labels.
KNOWN = frozenset((*TOP, *CONTAINERS, *OPTIONAL[:3]))
# The fields of the other types that have rules: those that are amounts, and the rest.
AMOUNTS = {
    "run": ("queue_time", "pre_time", "job_time", "post_time", "run_time", "stage_time"),
    "ingest": ("file_size", "transfer_time", "ingest_time"),
}
_FIELDS = {
    "metric": ("model_id", "job_id", "name", "value", "step", "timestamp", "experiment_id"),
    "run": ("model_id", "job_id", "id", "job_type", "version", "error_category"),
    "ingest": ("model_id", "job_id", "id", "strike"),
    "model": ("model_id", "job_id"),
}
OTHERS = tuple(_FIELDS)
# Columns of the predictions table: a property of such a name stays in `sparse`.
RESERVED = (
    *("ordinal", "position", "key", "model_id", "event_id", "event_us", "prediction", "raw"),
    *("prediction_number", "label", "label_number", "score", "positive_score"),
    *("job_id", "batch_id", "bucket_id", "seq", "line", "numbers", "shape", "shape_id"),
    *("event_time", "received_time", "watermark", "partition_id", "series_id", "fresh", "counted"),
)


def qualified(container: str, name: str) -> str:
    """Return the property's name: ``features.age``, and the bare name for a further field."""
    return f"{container}.{name}" if container else name


def kind_of(value: object) -> Kind:
    """Return the kind of a scalar; a null tells nothing and counts as a number."""
    return "text" if isinstance(value, str | bool) else "number"


def _folded(name: str) -> str:
    # DuckDB holds two names to be one when they differ in the case of ASCII letters only.
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


class Schema:
    """What names the lines have had so far, at most `MAX_NAMES` of them; see `engine.crowd`.

    A name that only differs by case from another one, or that JSON would have to escape (its line
    has a backslash and is never decoded by column), is not taken.

    Attributes
    ----------
    names : dict of (str, str) to str
        Container and name of each property, and its kind.
    optional : list of str
        Those of `OPTIONAL` that were met.
    instants : str
        The kind of `timestamp`: number, where all were one in the lines that were read last; a
        tenth of the reading is saved by not having them as text. Else mixed.

    >>> schema = Schema()
    >>> schema.learn("features", "age", "number"), schema.learn("features", "Age", "number")
    (True, False)
    """

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], Kind] = {}
        self.optional: list[str] = []
        self.instants: Kind = "mixed"
        self.crowd = Crowd(MAX_NAMES)
        self._taken = {_folded(name) for name in (*TOP, *OPTIONAL, *CONTAINERS, *RESERVED)}

    def learn(self, container: str, name: str, kind: Kind) -> bool:
        """Take in a property; return whether the structure has changed."""
        known = self.names.get((container, name))
        if known is not None:
            if known in (kind, "mixed"):
                return False
            self.names[container, name] = "mixed"
            return True
        if not container and name in OPTIONAL:
            return self._learn_optional(name)
        folded = _folded(qualified(container, name))
        if folded in self._taken or any(c < " " or c in '"\\' for c in name):
            return False
        if not self.crowd.admits((container, name), len(self.names)):
            return False
        self._taken.add(folded)
        self.names[container, name] = kind
        return True

    def settle(self) -> None:
        """Forget names that others need the room of; at the end of a block."""
        for container, name in self.crowd.leaving(self.names):
            del self.names[container, name]
            self._taken.remove(_folded(qualified(container, name)))

    def learn_instant(self, value: object) -> bool:
        """Take in a time stamp; return whether the structure has changed."""
        if self.instants == "mixed" or not isinstance(value, str):
            return False
        self.instants = "mixed"
        return True

    def _learn_optional(self, name: str) -> bool:
        if name in self.optional:
            return False
        self.optional.append(name)
        return True

    def structure(self) -> str:
        """Return the structure as JSON text, for `from_json`.

        What may be of several types is ``JSON``: its text tells what it was.
        """
        top: dict[str, object] = dict.fromkeys((*TOP, *self.optional), "JSON")
        top["score"] = "DOUBLE"
        top["timestamp"] = _type(self.instants)
        for container in CONTAINERS:
            inside = {n: _type(kind) for (c, n), kind in self.names.items() if c == container}
            top[container] = inside or "JSON"
        top |= {name: _type(kind) for (c, name), kind in self.names.items() if not c}
        return json.dumps(top, ensure_ascii=False)


class OtherSchema:
    """What the lines of the other types have had so far: their fields, and further names.

    A type whose events have not been met has no fields here: streams of metrics alone need few.
    Of further fields, at most `MAX_NAMES`, only scalars are taken in.

    >>> schema = OtherSchema()
    >>> schema.learn("model", {"type": "model", "status": "deployed", "owner": "ana"})
    True
    >>> sorted(schema.names)
    ['job_id', 'model_id', 'owner', 'status', 'timestamp', 'type']
    """

    def __init__(self) -> None:
        self.names: dict[str, Kind] = {"type": "text"}
        self.crowd = Crowd(MAX_NAMES)
        self._types: set[str] = set()
        self._fixed = {"type"}
        self._known = {name: kind for each in OTHERS for name, kind in _known(each)}
        self._taken = {_folded(name) for name in ("type", *self._known)}

    def learn(self, kind: str, event: Mapping[str, object]) -> bool:
        """Take in the names of an event; return whether the structure has changed."""
        learned = kind not in self._types
        if learned:
            self._types.add(kind)
            known = dict(_known(kind))
            self._fixed |= known.keys()
            self.names |= known
        for name, value in event.items():
            if name not in self._fixed and not isinstance(value, dict | list):
                self.crowd.meet([name] if name in self.names else [])
                learned |= self._learn_further(name, kind_of(value))
        return learned

    def _learn_further(self, name: str, kind: Kind) -> bool:
        known = self.names.get(name)
        if known is not None:
            if known in (kind, "mixed"):
                return False
            self.names[name] = "mixed"
            return True
        if name in self._known:  # of another type
            self._fixed.add(name)
            self.names[name] = self._known[name]
            return True
        folded = _folded(name)
        plain = 0 < len(name) <= MAX_NAME and not any(c < " " or c in '"\\' for c in name)
        if not plain or folded in self._taken or not self.crowd.admits(name, len(self.names)):
            return False
        self._taken.add(folded)
        self.names[name] = kind
        return True

    def settle(self) -> None:
        """Forget names that others need the room of; at the end of a block."""
        for name in self.crowd.leaving([n for n in self.names if n not in self._fixed]):
            del self.names[name]
            self._taken.remove(_folded(name))

    def structure(self) -> str:
        """Return the structure as JSON text, for `from_json`."""
        return json.dumps({n: _type(k) for n, k in self.names.items()}, ensure_ascii=False)


def _known(kind: str) -> Iterator[tuple[str, Kind]]:
    """Give the fields of a type that have rules; what may be of several types is ``mixed``."""
    for name in (*_FIELDS[kind], "timestamp", *(() if kind == "metric" else ("status",))):
        yield name, "mixed"
    for name in AMOUNTS.get(kind, ()):
        yield name, "number"


def _type(kind: Kind) -> str:
    return "DOUBLE" if kind == "number" else "JSON"
