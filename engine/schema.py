"""The names a decoder has learned, as a structure for DuckDB's `from_json`."""

import json
from typing import Literal

__all__ = ["CONTAINERS", "MAX_NAMES", "OPTIONAL", "TOP", "Kind", "Schema", "kind_of", "qualified"]

Kind = Literal["number", "text", "mixed"]

MAX_NAMES = 256
CONTAINERS = ("features", "predictions", "labels")
TOP = ("type", "model_id", "id", "timestamp", "prediction", "label", "score")
OPTIONAL = ("job_id", "batch_id", "bucket_id", "by")
# Columns of the predictions table: a property of such a name stays in `sparse`.
RESERVED = (
    *("ordinal", "position", "key", "model_id", "event_id", "event_us", "prediction", "raw"),
    *("prediction_number", "label", "label_number", "score", "positive_score"),
    *("job_id", "batch_id", "bucket_id", "seq"),
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
    """What names the lines have had so far, at most `MAX_NAMES` of them.

    A name that only differs by case from another one, or that JSON would have to escape (its line
    has a backslash and is never decoded by column), is not taken.

    >>> schema = Schema()
    >>> schema.learn("features", "age", "number"), schema.learn("features", "Age", "number")
    (True, False)
    """

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], Kind] = {}
        self.optional: list[str] = []
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
        if len(self.names) >= MAX_NAMES or any(c < " " or c in '"\\' for c in name):
            return False
        folded = _folded(qualified(container, name))
        if folded in self._taken:
            return False
        self._taken.add(folded)
        self.names[container, name] = kind
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
        for container in CONTAINERS:
            inside = {n: _type(kind) for (c, n), kind in self.names.items() if c == container}
            top[container] = inside or "JSON"
        top |= {name: _type(kind) for (c, name), kind in self.names.items() if not c}
        return json.dumps(top, ensure_ascii=False)


def _type(kind: Kind) -> str:
    return "DOUBLE" if kind == "number" else "JSON"
