"""Cells: what rows add up to that have the same whole numbers in common, and tables of them.

A table keeps cells of all pending buckets. Blocks are appended, and only now and then brought
together, so that many small blocks cost no more than one large one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.gather.limbs import Limbs
from engine.numbering import added, numbered

__all__ = ["Cells", "Table"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_FEW = 1 << 12


@dataclass(frozen=True, slots=True)
class Cells:
    """What n cells hold.

    Attributes
    ----------
    keys : tuple of int64, shape (n,) each
        What the rows of a cell have in common.
    whole : tuple of int64, shape (n,) each
        Sums of whole numbers; the first is the number of rows.
    sums : tuple of Limbs
        Exact sums of doubles.
    """

    keys: tuple[Ints, ...]
    whole: tuple[Ints, ...]
    sums: tuple[Limbs, ...] = ()

    def __len__(self) -> int:
        return len(self.keys[0])

    @classmethod
    def empty(cls, keys: int, whole: int, sums: int) -> Self:
        """Give no cells, with so many columns."""
        none = np.zeros(0, np.int64)
        return cls((none,) * keys, (none,) * whole, (Limbs(0, np.zeros((0, 0), np.int64)),) * sums)

    @classmethod
    def of_rows(
        cls,
        keys: Sequence[Ints],
        whole: Sequence[Ints],
        values: Sequence[Numbers],
        weights: Ints,
    ) -> Self:
        """Add rows up.

        Parameters
        ----------
        keys : sequence of int64, shape (n,) each
        whole : sequence of int64, shape (n,) each
            Whole amounts beside the number of rows, weighted already.
        values : sequence of float64, shape (n,) each
        weights : int64, shape (n,)
        """
        number, first = numbered(keys)
        count = len(first)
        return cls(
            tuple(key[first] for key in keys),
            tuple(added(amount, number, count) for amount in (weights, *whole)),
            tuple(Limbs.of(value, weights, number, count) for value in values),
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put cells one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            tuple(np.concatenate(each) for each in zip(*(p.keys for p in parts), strict=True)),
            tuple(np.concatenate(each) for each in zip(*(p.whole for p in parts), strict=True)),
            tuple(Limbs.joined(each) for each in zip(*(p.sums for p in parts), strict=True)),
        )

    def taken(self, rows: Any) -> Self:
        """Give some of the cells."""
        return type(self)(
            tuple(key[rows] for key in self.keys),
            tuple(amount[rows] for amount in self.whole),
            tuple(each.taken(rows) for each in self.sums),
        )

    def grouped(self, places: Sequence[int]) -> Self:
        """Add up the cells that some of their keys have in common, in the order of these keys."""
        keys = [self.keys[place] for place in places]
        if len(self) <= 1:
            return type(self)(tuple(keys), self.whole, self.sums)
        number, first = numbered(keys)
        count = len(first)
        return type(self)(
            tuple(key[first] for key in keys),
            tuple(added(amount, number, count) for amount in self.whole),
            tuple(each.grouped(number, count) for each in self.sums),
        )

    def there(self) -> Self:
        """Leave out the cells in which nothing is left.

        No rows are not enough: a row may be taken back in another step than it came in.
        """
        some = np.logical_or.reduce([amount != 0 for amount in self.whole])
        for each in self.sums:
            some |= each.amounts.any(axis=1)
        return self if some.all() else self.taken(some)

    def less(self, other: Self) -> Self:
        """Take as many other cells away; the keys stay."""
        pairs = zip(self.whole, other.whole, strict=True)
        return type(self)(
            self.keys,
            tuple(one - two for one, two in pairs),
            tuple(one.less(two) for one, two in zip(self.sums, other.sums, strict=True)),
        )

    def recoded(self, place: int, codes: Ints) -> Self:
        """Put other codes in place of one key; below 0 they stay."""
        old = self.keys[place]
        new = np.where(old < 0, old, codes[np.maximum(old, 0)]) if len(codes) else old
        return type(self)((*self.keys[:place], new, *self.keys[place + 1 :]), self.whole, self.sums)


class Table:
    """Pending cells; their first key is the bucket, the second the step of their arrival.

    Parameters
    ----------
    keys, whole, sums : int
        How many columns there are.
    netted : bool
        Whether equal keys are added up as soon as possible, not only when they are asked for.
    """

    def __init__(self, keys: int, whole: int, sums: int, *, netted: bool) -> None:
        self._kept = Cells.empty(keys, whole, sums)
        self._fresh: list[Cells] = []
        self._fresh_size = 0
        self._netted = netted

    def add(self, cells: Cells) -> None:
        """Take cells in."""
        if not len(cells):
            return
        self._fresh.append(cells)
        self._fresh_size += len(cells)
        if self._fresh_size > max(_FEW, len(self._kept)):
            self._settle()

    def first_s(self) -> int | None:
        """Give the earliest bucket with rows that were not taken back; None without any."""
        self._settle()
        if not len(self._kept):
            return None
        found = self._kept.grouped([0])
        some = np.flatnonzero(found.whole[0] > 0)
        return int(found.keys[0][some[0]]) if len(some) else None

    def touched_s(self) -> int | None:
        """Give the earliest bucket of any cell, also of rows that were taken back."""
        self._settle()
        return int(self._kept.keys[0][0]) if len(self._kept) else None

    def of(self, start_s: int, before: int | None = None) -> Cells:
        """Give the cells of a bucket without bucket and step: all, or of the steps before one.

        Equal ones are added up if the table does so, too.
        """
        self._settle()
        low, high = np.searchsorted(self._kept.keys[0], (start_s, start_s + 1))
        found = self._kept.taken(slice(int(low), int(high)))
        if before is not None:
            found = found.taken(found.keys[1] < before)
        if self._netted and len(found.keys) > 2:
            return found.grouped(range(2, len(found.keys)))
        return Cells(found.keys[2:], found.whole, found.sums)

    def drop(self, until_s: int) -> None:
        """Forget the buckets that start before a time."""
        self._settle()
        low = int(np.searchsorted(self._kept.keys[0], until_s))
        if low:
            self._kept = self._kept.taken(slice(low, None))

    def codes(self, place: int) -> Ints:
        """Give the distinct values of a key, rising."""
        self._settle()
        return np.unique(self._kept.keys[place])

    def recode(self, place: int, codes: Ints) -> None:
        """Put other codes in place of one key."""
        self._settle()
        self._kept = self._kept.recoded(place, codes)

    def _settle(self) -> None:
        if not self._fresh:
            return
        whole = Cells.joined([*([self._kept] if len(self._kept) else []), *self._fresh])
        self._fresh, self._fresh_size = [], 0
        if self._netted:
            self._kept = whole.grouped(range(len(whole.keys))).there()
        else:
            bucket = whole.keys[0]
            in_order = bool((bucket[1:] >= bucket[:-1]).all())
            self._kept = whole if in_order else whole.taken(np.argsort(bucket, kind="stable"))
