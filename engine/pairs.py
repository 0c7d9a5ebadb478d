"""Pairs of texts that are known: the classes of models, the properties of models."""

from collections import Counter
from collections.abc import Iterable

import duckdb
import numpy as np

from engine.amounts import Coded, coded
from engine.arrays import Array, Flags, Ints

__all__ = ["Pairs"]

_SHIFT = 32  # bits of a pair's number that tell the name


class Pairs:
    """A set of (model, name), asked for whole columns at a time.

    Each text has a number, so a pair is one number, and all pairs are one sorted array: a block
    with thousands of models is looked up in one go.
    """

    def __init__(self) -> None:
        self._models: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._known: Ints = np.zeros(0, np.int64)
        self._of_model: Counter[str] = Counter()

    @classmethod
    def of(cls, cursor: duckdb.DuckDBPyConnection, query: str) -> "Pairs":
        """Read the pairs that a query gives."""
        pairs = cls()
        pairs.add(cursor.execute(query).fetchall())
        return pairs

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return len(self._known)

    def count(self, model_id: str) -> int:
        """Count the names of a model."""
        return self._of_model[model_id]

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note pairs that are new."""
        keys = []
        for model_id, name in pairs:
            model = self._models.setdefault(model_id, len(self._models))
            keys.append(model << _SHIFT | self._names.setdefault(name, len(self._names)))
            self._of_model[model_id] += 1
        if keys:
            self._known = np.sort(np.append(self._known, np.array(keys, np.int64)))

    def new(self, models: Array, names: Array) -> list[tuple[str, str]]:
        """Give the distinct pairs of two columns that are not known, ascending; nulls are none."""
        model, name = coded(models), coded(names)
        given = (model.code < len(model.names)) & (name.code < len(name.names))
        rows = np.flatnonzero(given & ~self._has(model, name))
        pair = np.unique(model.code[rows] * name.size + name.code[rows])
        if not len(pair):
            return []
        model_names, name_names = model.names.to_pylist(), name.names.to_pylist()
        places = (divmod(each, name.size) for each in pair.tolist())
        return sorted((model_names[nth], name_names[at]) for nth, at in places)

    def has(self, models: Array, names: Array) -> Flags:
        """Tell for each pair of two columns whether it is known; one with a null is not."""
        return self._has(coded(models), coded(names))

    def _has(self, models: Coded, names: Coded) -> Flags:
        model = _numbers(models, self._models)[models.code]
        name = _numbers(names, self._names)[names.code]
        keys = model << _SHIFT | name
        if not len(self._known):
            return np.zeros(len(keys), np.bool_)
        place = np.minimum(np.searchsorted(self._known, keys), len(self._known) - 1)
        found: Flags = (model >= 0) & (name >= 0) & (self._known[place] == keys)
        return found


def _numbers(texts: Coded, known: dict[str, int]) -> Ints:
    """Give for each code the number of its text; -1 where it has none, and for null."""
    found = [known.get(str(text), -1) for text in texts.names.to_pylist()]
    return np.array([*found, -1], np.int64)
