"""Groups of series by some of their names: those of a partition, of a by value, of an entity.

Groups are numbered in the order in which their first series were, so that the numbers follow from
the names alone, and a state needs only the numbers.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from engine.anomaly.values import Keys

__all__ = ["Groups", "grown", "looked_up", "size_of"]

Codes = npt.NDArray[np.int64]
Name = Literal["by", "over", "partition"]
_Kind = TypeVar("_Kind", bound=np.generic)


def grown(array: npt.NDArray[_Kind], size: int, fill: float = 0) -> npt.NDArray[_Kind]:
    """Give an array with at least `size` rows, the new ones filled; itself where it has them.

    >>> grown(np.array([1.5]), 3).tolist()
    [1.5, 0.0, 0.0]
    """
    missing = size - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.full((missing, *array.shape[1:]), fill, array.dtype)])


def looked_up(array: npt.NDArray[_Kind], places: Codes, fill: float = 0) -> npt.NDArray[_Kind]:
    """Give rows of an array at places, and what `grown` would give beyond its end.

    >>> looked_up(np.array([1.5, 2.5]), np.array([1, 7])).tolist()
    [2.5, 0.0]
    """
    return grown(array, int(places.max(initial=-1)) + 1, fill)[places]


def size_of(groups: Codes) -> int:
    """Give how many groups there are, of the group of every series."""
    return int(groups.max(initial=-1)) + 1


class Groups:
    """The group of every series.

    Parameters
    ----------
    names : tuple of str
        Of ``by``, ``over`` and ``partition``: series of a group have the same of these.
    of_series : int64, shape (series,), optional
        The groups of a state.

    Examples
    --------
    >>> by = np.array(["a", "b", "a"], np.object_)
    >>> none = np.array([None, None, None], np.object_)
    >>> Groups(("by", "partition")).of(Keys(by, none, none)).tolist()
    [0, 1, 0]
    """

    def __init__(self, names: tuple[Name, ...], of_series: Codes | None = None) -> None:
        self._names = names
        self.of_series = np.empty(0, np.int64) if of_series is None else of_series
        self._number: dict[tuple[str | None, ...], int] | None = None

    def of(self, keys: Keys) -> Codes:
        """Give the groups of all series, also of those not learned yet; changes nothing.

        Parameters
        ----------
        keys : Keys
            Of at least the series learned, in the same order.

        Returns
        -------
        int64, shape (series,)
        """
        return self._with_new(keys)[0]

    def learn(self, keys: Keys) -> Codes:
        """Give the groups of all series, and remember those of the new ones."""
        self.of_series, new = self._with_new(keys)
        if new:
            self._numbers(keys).update(new)
        return self.of_series

    def _with_new(self, keys: Keys) -> tuple[Codes, dict[tuple[str | None, ...], int]]:
        begin = len(self.of_series)
        new: dict[tuple[str | None, ...], int] = {}
        if len(keys) == begin:
            return self.of_series, new
        known = self._numbers(keys)
        found = np.empty(len(keys) - begin, np.int64)
        for place, name in enumerate(self._tuples(keys, slice(begin, None))):
            number = known.get(name)
            found[place] = new.setdefault(name, len(known) + len(new)) if number is None else number
        return np.concatenate([self.of_series, found]), new

    def _numbers(self, keys: Keys) -> dict[tuple[str | None, ...], int]:
        # Only numbers are in a state: the names come back with the first bucket after it.
        if self._number is None:
            names = self._tuples(keys, slice(len(self.of_series)))
            self._number = dict(zip(names, self.of_series.tolist(), strict=True))
        return self._number

    def _tuples(self, keys: Keys, part: slice) -> list[tuple[str | None, ...]]:
        return list(zip(*(getattr(keys, name)[part] for name in self._names), strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of the groups of all series; the names belong to the registry."""
        return self.of_series.nbytes

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Give the state, its name beginning with `prefix`."""
        return {f"{prefix}.of_series": self.of_series.copy()}

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, names: tuple[Name, ...]
    ) -> Self:
        """Make the groups of what `to_arrays` gave."""
        return cls(names, np.array(arrays[f"{prefix}.of_series"], np.int64))
