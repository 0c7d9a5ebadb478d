"""The bins of one property, frozen with the reference set, and which bin each value is in.

Numbers
    The inner edges are quantiles of the reference set; a bin is [lower, upper), the outermost are
    open to -inf and inf. A value that takes up two quantiles or more (an *atom*) has a bin of its
    own, [c, next double above c), between two open ones: so a reference of one value has the bins
    (-inf, c), [c, c], (c, inf) and still notices a change. The last bin is `__missing__`: absent,
    null, or no number.
Categories
    One bin for each of the most frequent texts of the reference set, then `__other__` for all
    further ones, then `__missing__`. A property that is number here and text there is text.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "MISSING",
    "OTHER",
    "BinRow",
    "Bins",
    "bin_numbers",
    "bin_texts",
    "category_bins",
    "number_bins",
]

OTHER = "__other__"
MISSING = "__missing__"

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]
Texts: TypeAlias = "Sequence[str | None] | pa.Array[Any] | pa.ChunkedArray[Any]"


class BinRow(NamedTuple):
    """One bin as the table `drift_bins` shows it.

    A bin of numbers is [lower, upper). Where both are the same it is that value alone, and the
    next bin begins just above it. `category` is the text, `__other__` or `__missing__`.
    """

    bin: int
    lower: float | None
    upper: float | None
    category: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """The bins of one property; neither array is ever written to again.

    Attributes
    ----------
    property : str
        Qualified name.
    kind : str
        ``number`` or ``category``.
    edges : float64, shape (E,)
        Of numbers: the inner edges, strictly ascending; E + 1 intervals and `__missing__`.
    categories : tuple of str
        Of categories: the texts with a bin of their own; `__other__` and `__missing__` follow.
    reference : int64, shape (B,)
        Rows of the reference set in each bin.
    """

    property: str
    kind: Literal["number", "category"]
    edges: Numbers
    categories: tuple[str, ...]
    reference: Counts

    def __len__(self) -> int:
        """Give the number of bins B, `__missing__` included; at least 2."""
        return len(self.edges) + 2 if self.kind == "number" else len(self.categories) + 2

    def rows(self) -> tuple[BinRow, ...]:
        """Give every bin in order, with its bounds or its category."""
        if self.kind == "category":
            names = (*self.categories, OTHER, MISSING)
            return tuple(BinRow(place, None, None, name) for place, name in enumerate(names))
        bounds = [-np.inf, *self.edges.tolist(), np.inf]
        rows: list[BinRow] = []
        above = _next(np.array(bounds)).tolist()
        for place, (lower, upper) in enumerate(pairwise(bounds)):
            if upper == above[place]:
                rows.append(BinRow(place, lower, lower, None))
            else:  # above an atom it is open below, and told by the atom
                below = rows[-1].upper if rows else lower
                rows.append(BinRow(place, below, upper, None))
        return (*rows, BinRow(len(rows), None, None, MISSING))

    def to_json(self) -> str:
        """Write all of it as JSON; edges as hexadecimal floats, so that nothing is rounded."""
        return json.dumps(
            {
                "property": self.property,
                "kind": self.kind,
                "edges": [edge.hex() for edge in self.edges.tolist()],
                "categories": self.categories,
                "reference": self.reference.tolist(),
            }
        )

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(
            told["property"],
            told["kind"],
            np.array([float.fromhex(edge) for edge in told["edges"]], np.float64),
            tuple(told["categories"]),
            np.array(told["reference"], np.int64),
        )


def number_bins(property: str, values: Numbers, num_bins: int = 10) -> Bins:  # noqa: A002 - its name
    """Cut the reference set at its quantiles.

    Parameters
    ----------
    values : float64, shape (n,)
        The reference set, any order, NaN where missing.
    num_bins : int
        Bins that continuous values get, at least 1; atoms add to them, few values have fewer.

    Examples
    --------
    >>> number_bins("features.x", np.arange(40.0), 4).edges.tolist()
    [10.0, 20.0, 30.0]
    >>> number_bins("features.x", np.full(9, 2.0)).reference.tolist()
    [0, 9, 0, 0]
    """
    if num_bins < 1:
        msg = f"`num_bins` must be at least 1, got {num_bins}"
        raise ValueError(msg)
    known = np.sort(values[~np.isnan(values)]) + 0.0  # no negative zero
    edges = _edges(known, num_bins) if len(known) else np.empty(0)
    bins = Bins(property, "number", edges, (), np.empty(0, np.int64))
    return _counted(bins, bin_numbers(bins, values))


def _edges(ordered: Numbers, num_bins: int) -> Numbers:
    # Quantile i is the value with n·i/num_bins values before it. Places are unique first: fewer
    # values than bins are no repetition.
    places = np.unique(np.arange(num_bins + 1) * len(ordered) // num_bins)
    places = np.minimum(places, len(ordered) - 1)
    marks, times = np.unique(ordered[np.unique(places)], return_counts=True)
    atoms = marks[times > 1] if ordered[0] < ordered[-1] else ordered[:1]
    inner = ordered[places[(places > 0) & (np.arange(len(places)) < len(places) - 1)]]
    edges: Numbers = np.unique(np.concatenate([inner, atoms, _next(atoms)]))
    finite: Numbers = edges[np.isfinite(edges)]  # the outermost bins reach further anyway
    return finite


def _next(values: Numbers) -> Numbers:
    with np.errstate(over="ignore"):  # above the greatest double is inf
        following: Numbers = np.nextafter(values, np.inf)
    return following


def category_bins(property: str, values: Texts, limit: int = 50) -> Bins:  # noqa: A002 - its name
    """Give the most frequent texts of the reference set a bin each.

    Parameters
    ----------
    values : str or None, length n
        The reference set; None where missing.
    limit : int
        Texts that get a bin of their own, at least 0: by count, of equal counts by name.

    Examples
    --------
    >>> category_bins("features.city", ["b", "a", "b", None], limit=1).reference.tolist()
    [2, 1, 1]
    """
    if limit < 0:
        msg = f"`limit` must be at least 0, got {limit}"
        raise ValueError(msg)
    column = _column(values)
    counted = pc.value_counts(column.drop_null())
    names = counted.field(0).to_pylist()
    order = sorted(zip((-counted.field(1).to_numpy()).tolist(), names, strict=True))
    kept = tuple(str(name) for _, name in order[:limit])
    bins = Bins(property, "category", np.empty(0), kept, np.empty(0, np.int64))
    return _counted(bins, bin_texts(bins, column))


def _counted(bins: Bins, codes: Codes) -> Bins:
    counts = np.bincount(codes, minlength=len(bins)).astype(np.int64)
    return Bins(bins.property, bins.kind, bins.edges, bins.categories, counts)


def bin_numbers(bins: Bins, values: Numbers) -> Codes:
    """Give the bin of each number, in [0, B); NaN is missing. About 30 ns a value."""
    codes = np.searchsorted(bins.edges, values, side="right")
    codes[np.isnan(values)] = len(bins) - 1
    return codes


def bin_texts(bins: Bins, values: Texts) -> Codes:
    """Give the bin of each text, in [0, B); None is missing, an unknown text `__other__`."""
    column = _column(values)
    known = pa.array(bins.categories, column.type)
    found = pc.index_in(column, value_set=known).fill_null(len(bins.categories))
    codes: Codes = found.to_numpy(zero_copy_only=False).astype(np.intp)
    codes[column.is_null().to_numpy(zero_copy_only=False)] = len(bins) - 1
    return codes


def _column(values: Texts) -> "pa.Array[Any]":
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(pa.large_string())
    return pa.array(values, pa.large_string())
