"""The registries of a job: names of series by detector, numbered once, up to a limit.

A name gets its number when the first bucket closes that has rows of it, names of one bucket in text
order; so numbers do not depend on how the stream was cut. Names beyond the limit have no number:
they are counted, and nothing more is kept of them than their 1,024 least hashes, from which the
number of distinct ones is told: exactly up to that many, and within a few per cent beyond.
Source: Bar-Yossef et al. 2002, "Counting distinct elements in a data stream".
"""

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Self

import numpy as np

from engine.anomaly.values import Keys

__all__ = ["Name", "Registries", "Registry"]

Name = tuple[str | None, str | None, str | None]
"""By, over and partition of a series."""

_HASHES = 1024
_HASH_SPAN = 1 << 64


class Registry:
    """Names of the series of one detector.

    Attributes
    ----------
    names : list of tuple
        (by, over, partition) by number.
    numbers : dict of tuple to int
    """

    def __init__(self, names: Iterable[Name] = ()) -> None:
        self.names: list[Name] = []
        self.numbers: dict[Name, int] = {}
        self._columns = [np.zeros(0, object) for _ in range(3)]
        for name in names:
            self.add(name)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: Name) -> int:
        """Give a new name the next number."""
        number = len(self.names)
        if number == len(self._columns[0]):
            more = np.full(max(64, number), None, object)
            self._columns = [np.concatenate((column, more)) for column in self._columns]
        for column, part in zip(self._columns, name, strict=True):
            column[number] = part
        self.names.append(name)
        self.numbers[name] = number
        return number

    def keys(self) -> Keys:
        """Give the names so far; what is added later does not show in it."""
        by, over, partition = (column[: len(self.names)] for column in self._columns)
        return Keys(by, over, partition)


class Registries:
    """The registries of all detectors of a job, and what is beyond their limit.

    Parameters
    ----------
    detectors : int
    limit : int
        How many series they may have together.

    Attributes
    ----------
    each : tuple of Registry
    rows_beyond : int
        Rows of series without a number.
    """

    def __init__(self, detectors: int, limit: int) -> None:
        self.each = tuple(Registry() for _ in range(detectors))
        self.limit = limit
        self.rows_beyond = 0
        self._hashes: set[int] = set()

    @property
    def names_beyond(self) -> int:
        """Number of distinct names beyond the limit: estimated if more than 1,024."""
        if len(self._hashes) < _HASHES:
            return len(self._hashes)
        return round((_HASHES - 1) * _HASH_SPAN / (max(self._hashes) + 1))

    def add(self, index: int, names: Iterable[Name]) -> dict[Name, int]:
        """Give numbers to new names of a detector, in text order; only while there is room."""
        room = self.limit - sum(map(len, self.each))
        new = sorted(names, key=_in_text_order)
        registry = self.each[index]
        found = {name: registry.add(name) for name in new[: max(room, 0)]}
        self._remember(index, new[max(room, 0) :])
        return found

    def _remember(self, index: int, names: list[Name]) -> None:
        for name in names:
            told = json.dumps([index, *name]).encode()
            self._hashes.add(int.from_bytes(blake2b(told, digest_size=8).digest()))
        if len(self._hashes) > _HASHES:
            self._hashes = set(sorted(self._hashes)[:_HASHES])

    def to_json(self) -> str:
        """Give all of it as JSON; the limit is a setting, and no part of it."""
        return json.dumps(
            {
                "names": [registry.names for registry in self.each],
                "rows_beyond": self.rows_beyond,
                "hashes": sorted(self._hashes),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def of_json(cls, told: str, limit: int) -> Self:
        """Make the registries of what `to_json` gave."""
        found = json.loads(told)
        made = cls(len(found["names"]), limit)
        made.each = tuple(Registry(map(_name, names)) for names in found["names"])
        made.rows_beyond = found["rows_beyond"]
        made._hashes = set(found["hashes"])
        return made


def _name(parts: list[str | None]) -> Name:
    by, over, partition = parts
    return by, over, partition


def _in_text_order(name: Name) -> tuple[tuple[bool, str], ...]:
    by, over, partition = name
    return tuple((each is not None, each or "") for each in (partition, by, over))
