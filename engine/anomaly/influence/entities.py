"""The entities of one influencer field, numbered in the order of their first bucket.

New ones of a bucket are numbered in text order, so that the numbers do not depend on how the
stream was cut.
"""

import json
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.errors import StoreError

__all__ = ["UNKNOWN", "Entities"]

Codes = npt.NDArray[np.int64]

UNKNOWN = -1
"""The code of an entity that found no room."""

_VERSION = 1


class Entities:
    """Texts and their codes, from 0; shared by the detectors of a job.

    Parameters
    ----------
    limit : int
        How many entities there may be; those beyond it have no code.

    Attributes
    ----------
    refused : int
        Entities that found no room, counted anew in every bucket.

    Examples
    --------
    >>> cities = Entities(limit=3)
    >>> cities.admit(["Rome", "Oslo"]).tolist()
    [1, 0]
    >>> cities.codes(["Bonn", "Rome", "Lima"]).tolist(), len(cities)
    ([2, 1, -1], 2)
    """

    def __init__(self, limit: int) -> None:
        self.refused = 0
        self._limit = limit
        self._code: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._code)

    @property
    def names(self) -> npt.NDArray[np.object_]:
        """The texts by their codes, shape (entities,)."""
        found = np.empty(len(self._code), np.object_)
        found[:] = list(self._code)
        return found

    def codes(self, texts: Sequence[str]) -> Codes:
        """Give the codes of texts, those that `admit` would give, and remember nothing.

        Parameters
        ----------
        texts : sequence of str, length m
            May repeat.

        Returns
        -------
        int64, shape (m,)
            `UNKNOWN` where there is no room.
        """
        code = self._code
        found = list(map(code.get, texts))
        if None not in found:
            return np.array(found, np.int64)
        coming = self._coming(texts)
        return np.array([code.get(text, coming.get(text, UNKNOWN)) for text in texts], np.int64)

    def admit(self, texts: Sequence[str]) -> Codes:
        """Give the codes of the texts of a bucket that closes, once a bucket; number new ones.

        Parameters
        ----------
        texts : sequence of str, length m
            May repeat.

        Returns
        -------
        int64, shape (m,)
            `UNKNOWN` where there is no room.
        """
        coming = self._coming(texts)
        self._code.update(coming)
        self.refused += len(set(texts) - self._code.keys())
        return self.codes(texts)

    def _coming(self, texts: Sequence[str]) -> dict[str, int]:
        begin = len(self._code)
        new = sorted(set(texts) - self._code.keys())[: max(self._limit - begin, 0)]
        return dict(zip(new, range(begin, begin + len(new)), strict=True))

    def to_json(self) -> str:
        """Write the texts in the order of their codes."""
        told = {"version": _VERSION, "refused": self.refused, "names": list(self._code)}
        return json.dumps(told, ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str, limit: int) -> Self:
        """Read what `to_json` wrote; a lower limit takes nothing away.

        Raises
        ------
        StoreError
            When another version wrote it.
        """
        told: dict[str, Any] = json.loads(text)
        if told["version"] != _VERSION:
            msg = f"`version` of an entity registry must be {_VERSION}, got {told['version']}"
            raise StoreError(msg)
        found = cls(limit)
        found.refused = told["refused"]
        found._code = {name: code for code, name in enumerate(told["names"])}
        return found
