"""Which by and over values are in nearly every bucket, and are to give no results.

The setting `exclude_frequent` of a detector. A value is frequent when it has rows in at least
90 % of the buckets in which its partition has rows, of about the last 500 (exponential weights).
Nothing is frequent before 30 such buckets.
Source: contracts.md ELi-15.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import Groups
from engine.anomaly.models.occurrences import Occurrences
from engine.anomaly.values import Values

__all__ = ["Excluding", "Frequent"]

Flags = npt.NDArray[np.bool_]

Excluding = Literal["all", "by", "over"]

_BUCKETS, _SHARE, _YOUNG_BUCKETS = 500.0, 0.9, 30
_DECAY = 1.0 - 1.0 / _BUCKETS


class Frequent:
    """Occurrences of the by and over values of all series of a detector.

    Parameters
    ----------
    excluding : str
        ``by``, ``over``, or ``all`` for both.
    """

    def __init__(self, excluding: Excluding) -> None:
        fields: tuple[Literal["by", "over"], ...] = (
            ("by", "over") if excluding == "all" else (excluding,)
        )
        self._partitions = Groups(("partition",))
        self._groups = {field: Groups(("partition", field)) for field in fields}
        self._seen = {field: Occurrences(_DECAY) for field in fields}

    def mask(self, values: Values) -> Flags:
        """Say which series of a bucket are excluded, by the buckets before; changes nothing.

        Returns
        -------
        bool, shape (n,)
            By `values.series`; True where a value of the series is frequent. A name that is None
            never is.
        """
        part = self._partitions.of(values.keys)[values.series]
        excluded = np.zeros(len(values.series), np.bool_)
        for field, groups in self._groups.items():
            seen, item = self._seen[field], groups.of(values.keys)[values.series]
            total = np.maximum(seen.totals(part), 1.0)
            often = seen.weights(item, part) >= _SHARE * total
            old = seen.clocks(part) >= _YOUNG_BUCKETS
            named = getattr(values.keys, field)[values.series] != None  # noqa: E711 - elementwise
            excluded |= often & old & named
        return excluded

    def learn(self, values: Values) -> None:
        """Learn a closed bucket, once; a gap teaches nothing."""
        partition_of_series = self._partitions.learn(values.keys)
        there = values.series[values.count > 0]
        if values.gap or not there.size:
            return
        active = np.unique(partition_of_series[there])
        for field, groups in self._groups.items():
            items, first = np.unique(groups.learn(values.keys)[there], return_index=True)
            part = partition_of_series[there][first]
            self._seen[field].learn(active, np.ones(len(active)), items, part, np.ones(len(items)))

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        groups = (self._partitions, *self._groups.values())
        seen = self._seen.values()
        return sum(each.nbytes for each in groups) + sum(each.nbytes for each in seen)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        found = self._partitions.to_arrays("partitions")
        for field, groups in self._groups.items():
            found |= groups.to_arrays(f"groups.{field}") | self._seen[field].to_arrays(field)
        return found

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], excluding: Excluding) -> Self:
        """Make what `to_arrays` gave, of the same setting."""
        found = cls(excluding)
        found._partitions = Groups.of_arrays(arrays, "partitions", ("partition",))
        for field in found._groups:
            found._groups[field] = Groups.of_arrays(arrays, f"groups.{field}", ("partition", field))
            found._seen[field] = Occurrences.of_arrays(arrays, field, _DECAY)
        return found
