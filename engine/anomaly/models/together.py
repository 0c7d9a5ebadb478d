"""What the entities of a group do together in one bucket: their median and their spread.

Medians, so that no entity moves them; per group, whatever else is in the bucket.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Together", "medians_of", "together_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Together:
    """The groups that have entities in a bucket.

    Attributes
    ----------
    group : int64, shape (g,)
        Numbers, rising.
    place : int64, shape (n,)
        Of each entity's group in `group`.
    size : int64, shape (g,)
        Entities.
    median : float64, shape (g,)
        Of their values.
    """

    group: Codes
    place: Codes
    size: Codes
    median: Numbers


def medians_of(place: Codes, size: Codes, values: Numbers) -> Numbers:
    """Give the median of the values of each group.

    Parameters
    ----------
    place : int64, shape (n,)
        Each value's group, all of 0 to g - 1 there.
    size : int64, shape (g,)
        Values of each.
    values : float64, shape (n,)
        No NaN.

    Examples
    --------
    >>> medians_of(np.array([0, 1, 0]), np.array([2, 1]), np.array([1.0, 7.0, 4.0])).tolist()
    [2.5, 7.0]
    """
    ordered = values[np.lexsort((values, place))]
    start = np.cumsum(size) - size
    low, high = ordered[start + (size - 1) // 2], ordered[start + size // 2]
    # Halves first: the sum of two large values is no double.
    return np.asarray(low / 2.0 + high / 2.0, np.float64)


def together_of(group: Codes, values: Numbers) -> Together:
    """Bring the entities of a bucket together; shape (n,) both, in any order of the groups."""
    groups, place = np.unique(group, return_inverse=True)
    size = np.bincount(place, minlength=len(groups))
    return Together(groups, place, size, medians_of(place, size, values))
