"""What is left of single entries when those of one entity are taken out: ranks and distinct counts.

All of it goes once through the entries, whatever the number of entities. The entry of rank k that
is left lies as many places further as removed entries lie before it, and a removed one lies before
it if at most k of what is left does: ``before it - removed before it <= k``.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from engine.numbering import added

__all__ = ["Ordered", "Taken", "distinct_left", "distinct_of", "middle", "rank_of"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ordered:
    """Entries of m series, those of each in order.

    Attributes
    ----------
    place : int64, shape (n,)
        The series, 0 to m - 1, rising.
    entry : float64, shape (n,)
    weight : int64, shape (n,)
        Above 0.
    before : int64, shape (n,)
        How many entries lie before each one, of its own series.
    base, size : int64, shape (m,)
        How many lie before each series, and in it.
    """

    place: Ints
    entry: Numbers
    weight: Ints
    before: Ints
    base: Ints
    size: Ints

    @classmethod
    def of(cls, place: Ints, entry: Numbers, weight: Ints, count: int) -> tuple[Self, Ints]:
        """Put entries in order; gives also the order, shape (n,)."""
        order = np.lexsort((entry, place))
        place, entry, weight = place[order], entry[order], weight[order]
        size = added(weight, place, count)
        base = np.cumsum(size) - size
        before = np.cumsum(weight) - weight - base[place]
        return cls(place, entry, weight, before, base, size), order

    def at(self, place: Ints, rank: Ints) -> Numbers:
        """Give the entries of some ranks in some series; the ranks must exist."""
        ends = self.base[self.place] + self.before + self.weight
        return self.entry[np.searchsorted(ends, self.base[place] + rank, side="right")]


@dataclass(frozen=True, slots=True)
class Taken:
    """Pairs of a series and an entity whose entries are taken out of it.

    Attributes
    ----------
    pair : int64, shape (n,)
        Of each ordered entry its pair, 0 to k - 1; -1: it is of no entity.
    place, size : int64, shape (k,)
        The series of each pair, and how many entries are left.
    """

    pair: Ints
    place: Ints
    size: Ints

    @classmethod
    def of(cls, ordered: Ordered, pair: Ints, place: Ints) -> Self:
        """Say what is taken out of some ordered entries."""
        some = pair >= 0
        gone = added(ordered.weight[some], pair[some], len(place))
        return cls(pair, place, ordered.size[place] - gone)

    def at(self, ordered: Ordered, rank: Ints) -> Numbers:
        """Give the entry of some rank of what is left; NaN where nothing is."""
        rows = np.flatnonzero(self.pair >= 0)
        rows = rows[np.argsort(self.pair[rows], kind="stable")]
        pair, weight = self.pair[rows], ordered.weight[rows]
        so_far = np.cumsum(weight) - weight
        first = np.searchsorted(pair, np.arange(len(self.place)))
        removed = so_far - so_far[first[pair]] if len(rows) else so_far
        earlier = ordered.before[rows] - removed <= rank[pair]
        shift = added(weight[earlier], pair[earlier], len(self.place))
        found = np.full(len(self.place), np.nan)
        left = np.flatnonzero(self.size > 0)
        found[left] = ordered.at(self.place[left], (rank + shift)[left])
        return found


def rank_of(base: str, size: Ints) -> tuple[Ints, Ints]:
    """Give the ranks, from 0, between which a minimum, maximum or median of so many lies."""
    last = np.maximum(size - 1, 0)
    if base == "min":
        return np.zeros_like(size), np.zeros_like(size)
    return (last, last) if base == "max" else (last // 2, np.maximum(size, 1) // 2)


def middle(low: Numbers, high: Numbers) -> Numbers:
    """Give what lies halfway between two entries, without overflow."""
    found: Numbers = np.where(low == high, low, low * 0.5 + high * 0.5)
    return found


def distinct_of(place: Ints, count: int) -> Ints:
    """Count the distinct entries of series: one row each, shape (n,)."""
    return added(np.ones(len(place), np.int64), place, count)


def distinct_left(groups: tuple[Ints, Ints], pair: Ints, place: Ints, total: Ints) -> Ints:
    """Count the distinct entries that are left without one entity.

    Parameters
    ----------
    groups : tuple of int64
        Of each (series, entry, entity) the number of its (series, entry), and, per such number,
        in how many of them it is.
    pair : int64, shape (n,)
        Of each (series, entry, entity) the pair of series and entity, -1 for none.
    place : int64, shape (k,)
        The series of each pair.
    total : int64, shape (m,)
        Distinct entries of each series.
    """
    number, entities = groups
    alone = (pair >= 0) & (entities[number] == 1)
    return total[place] - added(np.ones(int(alone.sum()), np.int64), pair[alone], len(place))
