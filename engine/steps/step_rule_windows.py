"""The value of a window over steps: a function of its values in step order, and of nothing else.

A window is cut from its end into pieces whose lengths are powers of two, the shortest last; every
piece is joined from its two halves, and the pieces from the last one back. All windows of an array
share the pieces, so that one of N values costs about log N operations; and as no piece reaches
beyond its window, the value does not depend on what else is in the array. Floats are added up in
that order, as IEEE 754 has it.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FUNCTIONS", "least", "windowed"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]

_SORTED_AT_ONCE = 64  # values of a window; longer ones roll, one by one
_AT_ONCE = 1 << 20  # numbers


def windowed(function: str, values: Floats, ends: Ints, counts: Ints) -> Floats:
    """Give the value of each window.

    Parameters
    ----------
    function : str
        One of `FUNCTIONS`; ``stddev`` is that of a sample.
    values : float64, shape (n,)
    ends, counts : int64, shape (m,)
        A window is ``values[end - count:end]``; counts are above 0.

    Returns
    -------
    float64, shape (m,)
        NaN where it is undefined: a value is NaN, or infinities of both signs meet in a sum; for
        ``stddev`` also of one value alone, and with any infinity.
    """
    if not len(ends):
        return np.zeros(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = _FUNCTIONS[function](values, ends, counts)
    bad = ~np.isfinite(values) if function == "stddev" else np.isnan(values)
    if bad.any():
        so_far = np.append(0, np.cumsum(bad))
        found[so_far[ends] > so_far[ends - counts]] = np.nan
    return found


def least(values: Ints, ends: Ints, counts: Ints) -> Ints:
    """Give the least of the whole numbers of each window; see `windowed`."""
    found: Ints = _folded(np.minimum, np.iinfo(np.int64).max, values, ends, counts)
    return found


def _folded(join: np.ufunc, identity: float, values: Numbers, ends: Ints, counts: Ints) -> Numbers:
    """Join the values of each window; `identity` changes nothing that it is joined to."""
    place, found = ends.copy(), np.full(len(ends), identity, values.dtype)
    pieces, length, longest = values, 1, int(counts.max(initial=0))
    while length <= longest:
        if length > 1:
            pieces = join(pieces[: -length // 2], pieces[length // 2 :])
        rows = np.flatnonzero(counts & length)
        place[rows] -= length
        found[rows] = join(pieces[place[rows]], found[rows])
        length *= 2
    return found


def _sum(values: Floats, ends: Ints, counts: Ints) -> Floats:
    return _folded(np.add, -0.0, values, ends, counts)


def _mean(values: Floats, ends: Ints, counts: Ints) -> Floats:
    return _sum(values, ends, counts) / counts


def _min(values: Floats, ends: Ints, counts: Ints) -> Floats:
    return _folded(np.minimum, np.inf, values, ends, counts)


def _max(values: Floats, ends: Ints, counts: Ints) -> Floats:
    return _folded(np.maximum, -np.inf, values, ends, counts)


def _last(values: Floats, ends: Ints, counts: Ints) -> Floats:
    del counts
    return values[ends - 1]


def _spread(values: Floats, ends: Ints, counts: Ints) -> Floats:
    """Give standard deviations by joining (count, mean, squares about the mean) of pieces.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm
    for computing sample variances" (1979).
    """
    place, taken = ends.copy(), np.zeros(len(ends))
    mean, squares = np.zeros(len(ends)), np.zeros(len(ends))
    means, spreads = values, np.zeros(len(values))
    length = 1
    while length <= int(counts.max()):
        if length > 1:
            half = length // 2
            means, spreads = _joined(
                (means[:-half], spreads[:-half], half), (means[half:], spreads[half:], half)
            )
        rows = np.flatnonzero(counts & length)
        place[rows] -= length
        at = place[rows]
        behind = mean[rows], squares[rows], taken[rows]
        mean[rows], squares[rows] = _joined((means[at], spreads[at], length), behind)
        taken[rows] += length
        length *= 2
    found: Floats = np.sqrt(squares / (counts - 1))  # 0 / 0 of one value
    return found


_Moments = tuple[Floats, Floats, int | Floats]


def _joined(one: _Moments, other: _Moments) -> tuple[Floats, Floats]:
    (mean, squares, n), (mean_2, squares_2, n_2) = one, other
    between, total = mean_2 - mean, n + n_2
    share = n_2 / total
    return mean + between * share, squares + squares_2 + between * between * (n * share)


def _median(values: Floats, ends: Ints, counts: Ints) -> Floats:
    # What is NaN makes its window undefined anyway, and must not disturb the order.
    known, found = (
        np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf),
        np.empty(len(ends)),
    )
    for count in np.unique(counts[counts <= _SORTED_AT_ONCE]).tolist():
        rows, within = np.flatnonzero(counts == count), np.arange(-count, 0)
        for some in np.array_split(rows, max(1, len(rows) * count // _AT_ONCE)):
            ordered = np.sort(known[ends[some][:, None] + within], axis=1)
            found[some] = (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    rows = np.flatnonzero(counts > _SORTED_AT_ONCE)
    found[rows] = _rolling_medians(known, ends[rows], counts[rows])
    return found


def _rolling_medians(values: Floats, ends: Ints, counts: Ints) -> list[float]:
    """Give medians of long windows, in an order in which each overlaps the one before."""
    ordered: list[float] = []
    low = high = 0
    found = []
    for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
        start = end - count
        if not low <= start < high <= end:
            ordered, low, high = [], start, start
        if high - start < count // 2:  # most of it is new
            ordered = sorted(values[start:end].tolist())
        else:
            for left in values[low:start].tolist():
                del ordered[bisect_left(ordered, left)]
            for come in values[high:end].tolist():
                insort(ordered, come)
        low, high = start, end
        found.append((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)
    return found


_FUNCTIONS: Mapping[str, Callable[[Floats, Ints, Ints], Floats]] = {
    "avg": _mean,
    "min": _min,
    "max": _max,
    "sum": _sum,
    "median": _median,
    "stddev": _spread,
    "last": _last,
}
FUNCTIONS = tuple(_FUNCTIONS)
"""The names of the functions."""
