"""What a statement gathered by group, as plans take it: counts, exact sums and multisets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array, whole
from engine.query.exact import exact_sums
from engine.query.plan import Amounts, Component, Multiset

__all__ = ["Taken"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Taken:
    """Amounts of m groups; `entries` is a multiset for each group where there is one to take."""

    amounts: Amounts
    entries: tuple[Multiset, ...]

    @classmethod
    def of(cls, table: pa.Table, prefix: str, components: Iterable[Component]) -> "Taken":
        """Take the columns ``prefix + name`` of the components, one row a group.

        Counts are whole numbers; sums are lists of doubles, values lists of (entry, pane), texts
        lists of texts beside lists of their weights. A null is an empty list.
        """
        counts: dict[str, Counts] = {}
        sums: dict[str, npt.NDArray[Any]] = {}
        entries: tuple[Multiset, ...] = ()
        for component in components:
            column = whole(table[prefix + component.name])
            if component.kind == "count":
                counts[component.name] = np.asarray(column).astype(np.int64)
            elif component.kind == "sum":
                sums[component.name] = _sums(column)
            elif component.kind == "values":
                entries = _values(column)
            else:
                entries = _texts(column, whole(table[f"{prefix}{component.name}_weights"]))
        return cls(Amounts(counts, sums), entries)


def _lengths(lists: Array) -> Counts:
    return np.asarray(pc.list_value_length(lists).fill_null(0)).astype(np.int64)


def _sums(lists: Array) -> npt.NDArray[Any]:
    lengths = _lengths(lists)
    values = np.asarray(pc.list_flatten(lists)).astype(np.float64)
    return exact_sums(values, np.repeat(np.arange(len(lengths)), lengths), len(lengths))


def _values(lists: Array) -> tuple[Multiset, ...]:
    flat: Array = pc.list_flatten(lists)
    values = np.asarray(flat.field("entry")).astype(np.float64)
    panes = np.asarray(flat.field("pane")).astype(np.int64)
    return tuple(
        Multiset(values[low:high], np.ones(high - low, np.int64), panes[low:high])
        for low, high in _spans(_lengths(lists))
    )


def _texts(lists: Array, weights: Array) -> tuple[Multiset, ...]:
    flat: Array = pc.list_flatten(lists)
    texts = flat.to_numpy(zero_copy_only=False).astype(object)
    counts = np.asarray(pc.list_flatten(weights)).astype(np.int64)
    return tuple(
        Multiset(texts[low:high], counts[low:high], np.zeros(high - low, np.int64))
        for low, high in _spans(_lengths(lists))
    )


def _spans(lengths: Counts) -> Sequence[tuple[int, int]]:
    ends = np.cumsum(lengths)
    return list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))
