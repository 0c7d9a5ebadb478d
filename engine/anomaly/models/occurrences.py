"""In how many of a partition's buckets its items occurred, lately more than long ago.

Each partition has a clock of its own that counts the buckets in which it had rows: its silence
makes nothing rarer. Weights fade when they are looked at, so that a bucket costs what is in it.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import grown, looked_up

__all__ = ["Occurrences"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_NAMES = ("clock", "total", "weight", "last")


class Occurrences:
    """Decayed weights of items, and totals of partitions.

    Parameters
    ----------
    decay : float
        What a bucket of the partition leaves of the weights, within 0 and 1.

    Attributes
    ----------
    clock : int64, shape (partitions,)
        Buckets with rows.
    total : float64, shape (partitions,)
    weight : float64, shape (items,)
        As it was at `last`, a reading of the clock of the item's partition.

    Examples
    --------
    >>> seen, zero = Occurrences(decay=0.5), np.array([0])
    >>> for _ in range(2):
    ...     seen.learn(zero, np.ones(1), zero, zero, np.ones(1))
    >>> seen.weights(zero, zero).tolist(), seen.totals(zero).tolist()
    ([1.5], [1.5])
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.clock: Codes = np.zeros(0, np.int64)
        self.total: Numbers = np.zeros(0)
        self.weight: Numbers = np.zeros(0)
        self.last: Codes = np.zeros(0, np.int64)

    def clocks(self, partitions: Codes) -> Codes:
        """Give the buckets that partitions had; 0 for unknown ones."""
        return looked_up(self.clock, partitions)

    def totals(self, partitions: Codes) -> Numbers:
        """Give the totals of partitions; 0 for unknown ones."""
        return looked_up(self.total, partitions)

    def weights(self, items: Codes, partitions: Codes) -> Numbers:
        """Give the weights of items of these partitions; 0 for unknown ones."""
        return looked_up(self.weight, items) * self._faded(items, partitions)

    def presence(self, items: Codes, partitions: Codes) -> Numbers:
        """Give 1 for items of the partition's last bucket, less the longer ago, 0 if unknown."""
        seen = looked_up(self.weight, items) > 0.0
        return np.where(seen, self._faded(items, partitions), 0.0)

    def _faded(self, items: Codes, partitions: Codes) -> Numbers:
        ago = self.clocks(partitions) - looked_up(self.last, items)
        return np.asarray(np.power(self.decay, ago.astype(np.float64)), np.float64)

    def learn(
        self,
        active: Codes,
        total_gain: Numbers,
        items: Codes,
        partitions: Codes,
        gain: Numbers,
    ) -> None:
        """Let a bucket pass.

        Parameters
        ----------
        active : int64, shape (a,)
            Partitions with rows, each once.
        total_gain : float64, shape (a,)
            What their totals gain.
        items : int64, shape (k,)
            Items that gain weight, each once; their partitions are active.
        partitions : int64, shape (k,)
            Of the items.
        gain : float64, shape (k,)
        """
        parts, size = int(active.max(initial=-1)) + 1, int(items.max(initial=-1)) + 1
        self.clock, self.total = grown(self.clock, parts), grown(self.total, parts)
        self.weight, self.last = grown(self.weight, size), grown(self.last, size)
        self.clock[active] += 1
        self.total[active] = self.total[active] * self.decay + total_gain
        self.weight[items] = self.weights(items, partitions) + gain
        self.last[items] = self.clock[partitions]

    @property
    def nbytes(self) -> int:
        """Bytes of all items and partitions."""
        return sum(getattr(self, name).nbytes for name in _NAMES)

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Give the state, its names beginning with `prefix`."""
        return {f"{prefix}.{name}": getattr(self, name).copy() for name in _NAMES}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, decay: float) -> Self:
        """Make the occurrences of what `to_arrays` gave."""
        found = cls(decay)
        for name in _NAMES:
            setattr(found, name, np.array(arrays[f"{prefix}.{name}"]))
        return found
