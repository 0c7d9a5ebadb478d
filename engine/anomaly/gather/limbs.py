"""Exact sums of doubles as whole arrays: the value of a sum does not depend on any order.

A double is a whole number of 2^-1152 of at most 2,176 bits. It is cut into limbs of 32 bits, and
limbs are added up as 64-bit whole numbers: exact for 2^31 values. Only the limbs that are in use
are kept, the same ones for all sums together. The sums equal those of `engine.query.exact`, which
gives Python's whole numbers at once and is slower where there are many small groups.
Source: the long accumulator of Kulisch 1971, with carries put off to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.numbering import added
from engine.query.exact import exact_quotient

__all__ = ["Limbs", "quotients"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[Any]

_UNIT_BITS = 1152
_LIMB_BITS = 32
_LOW = np.uint64(0xFFFFFFFF)
_WIDTH = np.uint64(_LIMB_BITS)


@dataclass(frozen=True, slots=True)
class Limbs:
    """Sums of n cells.

    Attributes
    ----------
    low : int
        Number of the first limb: limb i of the array is worth 2^(32 (low + i) - 1152).
    amounts : int64, shape (n, limbs)
    """

    low: int
    amounts: Ints

    @classmethod
    def of(cls, values: Numbers, weights: Ints, number: Ints, count: int) -> Self:
        """Add up values by group.

        Parameters
        ----------
        values : float64, shape (n,)
            What is not finite is left out.
        weights, number : int64, shape (n,)
            How often each counts, and its group from 0 to `count` - 1.
        """
        mantissa, exponent = np.frexp(values)
        kept = np.isfinite(values) & (mantissa != 0.0)
        if not kept.all():
            mantissa, exponent, number = mantissa[kept], exponent[kept], number[kept]
            weights = weights[kept]
        if not len(mantissa):
            return cls(0, np.zeros((count, 0), np.int64))
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        place = exponent.astype(np.int64) - 53 + _UNIT_BITS
        limb, shift = place >> 5, (place & 31).astype(np.uint64)
        low = int(limb.min())
        width = int(limb.max()) - low + 3
        sums = np.zeros(count * width, np.int64)
        at = number * width + (limb - low)
        signs = np.sign(whole) * weights
        for i, part in enumerate(_parts(np.abs(whole).astype(np.uint64), shift)):
            np.add.at(sums, at + i, part * signs)
        return cls(low, sums.reshape(count, width)).trimmed()

    def trimmed(self) -> Self:
        """Leave out the outer limbs that are nowhere in use."""
        used = np.flatnonzero(self.amounts.any(axis=0))
        if not len(used):
            return type(self)(0, self.amounts[:, :0])
        first, last = int(used[0]), int(used[-1])
        if last - first + 1 == self.amounts.shape[1]:
            return self
        return type(self)(self.low + first, self.amounts[:, first : last + 1])

    def taken(self, rows: Any) -> Self:
        """Give the sums of some cells."""
        return type(self)(self.low, self.amounts[rows])

    def grouped(self, number: Ints, count: int) -> Self:
        """Add up cells by group."""
        columns = [added(column, number, count) for column in self.amounts.T]
        amounts = np.stack(columns, axis=1) if columns else np.zeros((count, 0), np.int64)
        return type(self)(self.low, amounts)

    def less(self, other: Self) -> Self:
        """Take the sums of as many other cells away."""
        low, amounts, others = _aligned(self, other)
        return type(self)(low, amounts - others)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put cells one after another."""
        filled = [part for part in parts if part.amounts.shape[1]]
        low = min((part.low for part in filled), default=0)
        high = max((part.low + part.amounts.shape[1] for part in filled), default=low)
        return cls(low, np.concatenate([_widened(part, low, high) for part in parts]))

    def totals(self) -> tuple[Whole, int]:
        """Give the sums as Python's whole numbers of 2^-bits, shape (n,), and bits."""
        totals = np.zeros(len(self.amounts), object)
        for column in self.amounts.T[::-1]:
            totals = (totals << _LIMB_BITS) + column.astype(object)
        return totals, _UNIT_BITS - _LIMB_BITS * self.low

    def totals_of(self, bits: int) -> Whole:
        """Give the sums as whole numbers of 2^-bits; exact where the values are such numbers."""
        totals, own = self.totals()
        return totals << (bits - own) if own <= bits else totals >> (own - bits)


def _parts(size: npt.NDArray[np.uint64], shift: npt.NDArray[np.uint64]) -> tuple[Ints, Ints, Ints]:
    """Cut numbers below 2^53, shifted by up to 31 bits, into three limbs."""
    lower = (size & _LOW) << shift
    upper = ((size >> _WIDTH) << shift) + (lower >> _WIDTH)
    return (
        (lower & _LOW).astype(np.int64),
        (upper & _LOW).astype(np.int64),
        (upper >> _WIDTH).astype(np.int64),
    )


def _aligned(one: Limbs, other: Limbs) -> tuple[int, Ints, Ints]:
    low = min(one.low, other.low)
    high = max(one.low + one.amounts.shape[1], other.low + other.amounts.shape[1])
    return low, _widened(one, low, high), _widened(other, low, high)


def _widened(part: Limbs, low: int, high: int) -> Ints:
    width = part.amounts.shape[1]
    if not width:
        return np.zeros((len(part.amounts), high - low), np.int64)
    if part.low == low and width == high - low:
        return part.amounts
    wide = np.zeros((len(part.amounts), high - low), np.int64)
    wide[:, part.low - low : part.low - low + width] = part.amounts
    return wide


def quotients(totals: Whole, counts: Ints, bits: int) -> Numbers:
    """Divide whole numbers of 2^-bits by counts, correctly rounded; NaN of nothing.

    Parameters
    ----------
    totals : object, shape (n,)
    counts : int64 or object, shape (n,)
    bits : int
        May be below 0.
    """
    if bits < 0:
        totals, bits = totals << -bits, 0
    pairs = zip(totals.tolist(), counts.tolist(), strict=True)
    return np.array([exact_quotient(total, count, bits) for total, count in pairs], np.float64)
