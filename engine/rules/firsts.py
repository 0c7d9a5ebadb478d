"""The least line number behind windows, for many windows at once.

An amount with line number q is in the windows of its series that end at enter <= t < leave. Asked
for m windows, sorted by (series, t), it covers a run of them; q lowers all in the run. Each run is
the union of two whose lengths are a power of two, so the least is passed down from the longest
powers to single windows: O(n + m log m), all in numpy.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NO_LINE", "Spans", "least_lines"]

Ints = npt.NDArray[np.int64]

NO_LINE = int(np.iinfo(np.int64).max)
"""The line number of a window with nothing in it."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Amounts: in the windows of `series` from `enter_s` until before `leave_s`; shape (n,)."""

    series: Ints
    enter_s: Ints
    leave_s: Ints
    seq: Ints


def least_lines(spans: Spans, series: Ints, time_s: Ints) -> Ints:
    """Give the least line number behind each window.

    Parameters
    ----------
    spans : Spans
    series, time_s : int64, shape (m,)
        The windows, in any order.

    Returns
    -------
    int64, shape (m,)
        `NO_LINE` where there is nothing.

    >>> one = Spans(*(np.array([each]) for each in (0, 60, 180, 7)))
    >>> least_lines(one, np.zeros(3, np.int64), np.array([0, 60, 120])).tolist()[1:]
    [7, 7]
    """
    least = np.full(len(series), NO_LINE)
    if not len(series) or not len(spans.series):
        return least
    order = np.lexsort((time_s, series))
    names, place = np.unique(series[order], return_inverse=True)
    times = np.unique(time_s)
    keys = place * (len(times) + 1) + np.searchsorted(times, time_s[order])
    own = np.searchsorted(names, spans.series)
    mine = np.flatnonzero(names[np.minimum(own, len(names) - 1)] == spans.series)
    base = own[mine] * (len(times) + 1)
    low = np.searchsorted(keys, base + np.searchsorted(times, spans.enter_s[mine]))
    high = np.searchsorted(keys, base + np.searchsorted(times, spans.leave_s[mine]))
    least[order] = _lowered(len(keys), low, high, spans.seq[mine])
    return least


def _lowered(size: int, low: Ints, high: Ints, seq: Ints) -> Ints:
    """Give the least `seq` over each place of those whose run [low, high) holds it."""
    some = np.flatnonzero(high > low)
    low, high, seq = low[some], high[some], seq[some]
    power = np.frexp((high - low).astype(np.float64))[1] - 1  # the greatest with 2^p <= length
    top = int(power.max(initial=0))
    level = np.full(size, NO_LINE)
    for step in range(top, -1, -1):
        here = power == step
        for start in (low[here], high[here] - (1 << step)):
            np.minimum.at(level, start, seq[here])
        if step:
            half = 1 << (step - 1)
            np.minimum(level[half:], level[:-half].copy(), out=level[half:])
    return level
