"""What each entity of an influencer field usually brings to each series of a detector.

To see what an entity v did to a bucket its points x_v are taken out of the value x, and what v
usually brings is put in (ELi-09): x - x_v + E_v, where E_v = share_v times the typical value. So a
bucket that is too low is made usual again by the entity that fell silent, also where it has no row.

A share is the exponentially weighted mean of amount / total over the buckets in which the series
has a total; an entity without rows brought 0. Decay is kept as one factor a series, so that only
the pairs of a bucket are touched: share = weight[pair] * factor[series].
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.errors import StoreError

__all__ = ["Shares"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_VERSION = 1
_LEAST = 1e-4  # a smaller share is forgotten: over 1 % of a bucket it must have been, once in 100
_LEAST_TOLD = 0.01
_LEAST_FACTOR = 1e-100  # below, the factors are multiplied in, long before a double ends
_BITS = 32  # of a key: the entity; above it the series


class Shares:
    """Shares of pairs (series, entity), for one measure of a detector and one influencer field.

    Parameters
    ----------
    limit : int
        How many pairs are kept, those with the largest shares.
    tau : float
        How many buckets of a series its shares remember.

    Examples
    --------
    >>> shares, none = Shares(limit=10), np.zeros(0, np.int64)
    >>> one, both = np.array([7]), np.array([7, 7])
    >>> shares.learn(both, np.array([0, 1]), np.array([30.0, 10.0]), one, np.array([40.0]))
    >>> shares.learn(one, np.array([0]), np.array([20.0]), one, np.array([20.0]))
    >>> [found.tolist() for found in shares.expected(one)]
    [[0, 0], [0, 1], [0.875, 0.125]]
    """

    def __init__(self, limit: int, tau: float = 100.0) -> None:
        self._limit = limit
        self._tau = tau
        self._key = np.zeros(0, np.int64)  # rising
        self._weight = np.zeros(0)
        self._factor = np.zeros(0)  # by series
        self._buckets = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._key)

    def learn(
        self, series: Codes, entity: Codes, amount: Numbers, total_series: Codes, total: Numbers
    ) -> None:
        """Learn a closed bucket.

        Parameters
        ----------
        series, entity : int64, shape (m,)
            The pairs that have rows, in any order; of one that repeats the amounts add up. A
            negative entity has no code, and is left out.
        amount : float64, shape (m,)
            What the rows of the pair brought: a part of the total, in its unit.
        total_series : int64, shape (k,)
            Series that have rows, each once; those of all pairs are among them.
        total : float64, shape (k,)
            Nothing is learned of a series whose total is 0 or not finite.

        Notes
        -----
        What a pair brought counts as 0 to 1 of the total, also where amounts of both signs make
        the total less than its parts.
        """
        order = np.argsort(total_series, kind="stable")
        total_series, total = total_series[order], total[order]
        known = np.isfinite(total) & (total != 0.0)
        total_series, total = total_series[known], total[known]
        if not len(total_series):
            return
        gain = self._decay(total_series)
        place = np.minimum(np.searchsorted(total_series, series), len(total_series) - 1)
        kept = (total_series[place] == series) & (entity >= 0) & np.isfinite(amount)
        key, summed, place = _summed(series[kept], entity[kept], amount[kept], place[kept])
        part = np.clip(summed / total[place], 0.0, 1.0)
        self._add(key, gain[place] * part / self._factor[total_series[place]])

    def _decay(self, series: Codes) -> Numbers:
        """Begin another bucket of some series; give how much of it each takes over."""
        most = int(series[-1]) + 1
        if most > len(self._factor):
            self._factor = np.append(self._factor, np.ones(most - len(self._factor)))
            self._buckets = np.append(self._buckets, np.zeros(most - len(self._buckets), np.int64))
        self._buckets[series] += 1
        gain = np.maximum(1.0 / self._tau, 1.0 / self._buckets[series])
        # In the first bucket there is nothing to decay, and a factor of 0 says nothing.
        self._factor[series] *= np.where(gain < 1.0, 1.0 - gain, 1.0)
        if self._factor[series].min() < _LEAST_FACTOR:
            self._weight *= self._factor[self._key >> _BITS]
            self._factor[:] = 1.0
        return gain

    def _add(self, key: Codes, weight: Numbers) -> None:
        """Add to the weights of pairs, rising; make room for new ones."""
        place = np.searchsorted(self._key, key)
        there = np.zeros(len(key), np.bool_)
        inside = place < len(self._key)
        there[inside] = self._key[place[inside]] == key[inside]
        self._weight[place[there]] += weight[there]
        # The others stay where they are until something new needs the whole row to move.
        factor = self._factor[key >> _BITS]
        new = ~there & (weight * factor >= _LEAST)
        if new.any():
            self._key = np.insert(self._key, place[new], key[new])
            self._weight = np.insert(self._weight, place[new], weight[new])
            self._forget()

    def _forget(self) -> None:
        """Drop pairs of next to no share, and the smallest of more than there is room for."""
        share = self._weight * self._factor[self._key >> _BITS]
        kept = np.flatnonzero(share >= _LEAST)
        if len(kept) > self._limit:
            # A stable sort: of equal shares the first series, and entities, stay.
            kept = np.sort(kept[np.argsort(-share[kept], kind="stable")[: self._limit]])
        if len(kept) < len(share):
            self._key, self._weight = self._key[kept], self._weight[kept]

    def expected(self, series: Codes) -> tuple[Codes, Codes, Numbers]:
        """Give the entities that usually bring 1 % or more to some series.

        Parameters
        ----------
        series : int64, shape (q,)
            In any order; may repeat, or never have been learned.

        Returns
        -------
        place : int64, shape (m,)
            Where in `series`, rising.
        entity : int64, shape (m,)
            Rising within a place.
        share : float64, shape (m,)
            .01 to 1.
        """
        start = np.searchsorted(self._key, series << _BITS)
        size = np.searchsorted(self._key, (series + 1) << _BITS) - start
        place = np.repeat(np.arange(len(series)), size)
        pair = np.arange(len(place)) - np.repeat(np.cumsum(size) - size, size) + start[place]
        share = np.minimum(self._weight[pair] * self._factor[series[place]], 1.0)
        told = share >= _LEAST_TOLD
        entity = self._key[pair[told]] & ((1 << _BITS) - 1)
        return place[told], entity, share[told]

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        return sum(array.nbytes for array in self.to_arrays().values())

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        return {
            "version": np.array([_VERSION], np.int64),
            "key": self._key.copy(),
            "weight": self._weight.copy(),
            "factor": self._factor.copy(),
            "buckets": self._buckets.copy(),
        }

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], limit: int, tau: float = 100.0
    ) -> Self:
        """Make the shares of what `to_arrays` gave, equal to the last bit.

        Raises
        ------
        StoreError
            When another version wrote it.
        """
        version = int(arrays["version"][0])
        if version != _VERSION:
            msg = f"`version` of influencer shares must be {_VERSION}, got {version}"
            raise StoreError(msg)
        found = cls(limit, tau)
        for name in ("key", "weight", "factor", "buckets"):
            setattr(found, f"_{name}", np.array(arrays[name]))
        return found


def _summed(
    series: Codes, entity: Codes, amount: Numbers, place: Codes
) -> tuple[Codes, Numbers, Codes]:
    """Add up the amounts of each pair, in an order that does not depend on that of the rows."""
    key = (series << _BITS) | entity
    if not len(key):
        return key, amount, place
    order = np.lexsort((amount, key))
    key, amount = key[order], amount[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    return key[first], np.add.reduceat(amount, first), place[order][first]
