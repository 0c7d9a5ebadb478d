"""Rows numbered by what they have in common, in the order of the columns; without sorting if few.

>>> number, first = numbered([np.array([7, 3, 7]), np.array([1, 1, 1])])
>>> number.tolist(), first.tolist()
([1, 0, 1], [1, 0])
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["added", "coded", "numbered"]

Ints = npt.NDArray[np.int64]


def coded(values: Ints) -> tuple[Ints, int]:
    """Give whole numbers as codes from 0 on in their order, and how many codes there may be."""
    if not len(values):
        return values, 1
    low, high = int(values.min()), int(values.max())
    if high - low <= 4 * len(values) + 1024:
        return values - low, high - low + 1
    distinct, codes = np.unique(values, return_inverse=True)
    return codes, len(distinct)


def numbered(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Give rows the number of their combination of values, combinations in lexical order.

    Parameters
    ----------
    columns : sequence of int64, shape (n,) each
        At least one.

    Returns
    -------
    number : int64, shape (n,)
        From 0 to m - 1.
    first : int64, shape (m,)
        The first row of each number.
    """
    code, size = coded(columns[0])
    for column in columns[1:]:
        other, more = coded(column)
        code, size = code * more + other, size * more
        if size > 4 * len(code) + 1024:
            distinct, code = np.unique(code, return_inverse=True)
            size = len(distinct)
    there = np.zeros(size, np.bool_)
    there[code] = True
    number = (np.cumsum(there) - 1)[code]
    first = np.empty(int(there.sum()), np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]
    return number, first


def added(values: Ints, number: Ints, count: int) -> Ints:
    """Add up whole numbers by group, exactly; gives int64 of shape (count,)."""
    totals = np.zeros(count, np.int64)
    np.add.at(totals, number, values)
    return totals
