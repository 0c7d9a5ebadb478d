"""Exact sums of doubles by group, as whole numbers of 2^-1074, and what is divided out of them.

A double is m · 2^(e - 53) with a whole |m| <= 2^53. Per group and exponent the upper and the lower
halves of m are added as 64-bit whole numbers, which is exact for 2^36 values; only the sums per
(group, exponent) become Python's whole numbers. So the order of the values does not matter, and
what was added can be taken back to the last bit. Cost: about 50 ns a value, and 1 µs a (group,
exponent).
"""

import numpy as np
import numpy.typing as npt

from engine.query.plan import SCALE_BITS

__all__ = ["exact_means", "exact_quotient", "exact_sums"]

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_HALF = 27


def exact_sums(
    values: Values, groups: Counts, count: int, weights: Counts | None = None
) -> npt.NDArray[np.object_]:
    """Add up values by group, exactly.

    Parameters
    ----------
    values : float64, shape (n,)
        What is not finite is left out.
    groups : int64, shape (n,)
        From 0 to `count` - 1.
    count : int
        Number of groups.
    weights : int64, shape (n,), optional
        How often each value counts; negative takes it back. The sum of their sizes is below 2^36.

    Returns
    -------
    object, shape (count,)
        Python whole numbers of 2^-1074.

    >>> sums = exact_sums(np.array([1e300, 1.0, -1e300]), np.zeros(3, np.int64), 1)
    >>> exact_quotient(sums[0], 1)
    1.0
    """
    mantissa, exponent = np.frexp(values)
    kept = np.isfinite(values) & (mantissa != 0.0)
    if not kept.all():
        mantissa, exponent, groups = mantissa[kept], exponent[kept], groups[kept]
        weights = None if weights is None else weights[kept]
    totals = np.zeros(count, object)
    if not len(mantissa):
        return totals
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    least = int(exponent.min())
    span = int(exponent.max()) - least + 1
    keys, place = _places(groups.astype(np.int64) * span + (exponent - least), count * span)
    high, low = whole >> _HALF, whole & ((1 << _HALF) - 1)
    if weights is not None:
        high, low = high * weights, low * weights
    highs, lows = _sums(high, place, len(keys)), _sums(low, place, len(keys))
    shift = keys % span + least - 53 + SCALE_BITS  # never below -53, and then m ends in 0s
    where = keys // span
    for group, by, upper, lower in zip(
        where.tolist(), shift.tolist(), highs.tolist(), lows.tolist(), strict=True
    ):
        total = (upper << _HALF) + lower
        totals[group] += total << by if by >= 0 else total >> -by
    return totals


def _places(keys: Counts, size: int) -> tuple[Counts, Counts]:
    """Give the distinct keys, of `size` that there may be, and the place of every value."""
    if size <= max(1 << 16, 4 * len(keys)):
        there = np.zeros(size, np.bool_)
        there[keys] = True
        seen = np.flatnonzero(there)
        return seen, (np.cumsum(there) - 1)[keys]
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct, place


def _sums(values: Counts, place: Counts, count: int) -> Counts:
    """Add up whole numbers by place."""
    sums = np.zeros(count, np.int64)
    np.add.at(sums, place, values)
    return sums


def exact_quotient(total: int, count: int, scale_bits: int = SCALE_BITS) -> float:
    """Divide a whole number of 2^-scale_bits by a count, correctly rounded; NaN of nothing."""
    if not count:
        return float("nan")
    try:
        return total / (count << scale_bits)
    except OverflowError:
        return float("inf") if (total > 0) == (count > 0) else float("-inf")


def exact_means(totals: npt.NDArray[np.object_], counts: Counts) -> Values:
    """Divide sums by counts, shape (m,); NaN where there is nothing."""
    pairs = zip(totals.tolist(), counts.tolist(), strict=True)
    return np.array([exact_quotient(int(total), count) for total, count in pairs], np.float64)
