"""Times of the day and of the week as directions, added up in whole numbers.

The cosine and the sine of a second are whole numbers of 2^-30, made of two small tables by one
multiplication more, so that they are the same whatever else is computed at once. A week begins on
Monday, 00:00 UTC.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["directions", "mean_second"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_SCALE = float(1 << 30)
_STEP = 1000
_MONDAY_S = 4 * 86_400  # 1970-01-01 was a Thursday: the first Monday is four days later


@lru_cache(maxsize=4)
def _table(first: int, step: int, period_s: int) -> tuple[Numbers, Numbers]:
    turns = [2.0 * math.pi * (step * i) / period_s for i in range(first)]
    return np.array([math.cos(t) for t in turns]), np.array([math.sin(t) for t in turns])


def directions(moment_us: Ints, period_s: int) -> tuple[Ints, Ints]:
    """Give cosine and sine, times 2^30, of times within their period, whole seconds each.

    Parameters
    ----------
    moment_us : int64, shape (n,)
        Microseconds since the epoch.
    period_s : int
        86,400 or 604,800.
    """
    second = (moment_us // 1_000_000 - _MONDAY_S) % period_s
    wide = _table(period_s // _STEP + 1, _STEP, period_s)
    fine = _table(_STEP, 1, period_s)
    high, low = second // _STEP, second % _STEP
    cosine = wide[0][high] * fine[0][low] - wide[1][high] * fine[1][low]
    sine = wide[1][high] * fine[0][low] + wide[0][high] * fine[1][low]
    return (
        np.rint(cosine * _SCALE).astype(np.int64),
        np.rint(sine * _SCALE).astype(np.int64),
    )


def mean_second(cosine: Ints, sine: Ints, count: Ints, period_s: int) -> Numbers:
    """Give the mean time within the period, seconds, of so many directions each.

    NaN where they cancel out, but for what their rounding leaves.
    """
    told = zip(cosine.tolist(), sine.tolist(), count.tolist(), strict=True)
    turns = [
        math.atan2(s, c) / (2.0 * math.pi) if max(abs(s), abs(c)) > n else math.nan
        for c, s, n in told
    ]
    found = np.array(turns, np.float64) * period_s
    found = np.where(found < 0.0, found + period_s, found)
    return np.where(found >= period_s, 0.0, found)
