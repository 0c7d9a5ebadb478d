"""A line of many buckets as few points that look the same: nothing high or low gets lost."""

import numpy as np
import numpy.typing as npt

from flows.plotdata import Line

__all__ = ["POINTS", "thinned"]

POINTS = 1_500  # about the width of a picture in pixels

Numbers = npt.NDArray[np.float64]


def thinned(line: Line, span_us: int, most: int = POINTS) -> Line:
    """Give a line of at most about 2 x `most` points, broken where buckets are missing.

    Where it has more than twice as many buckets, each stretch of time becomes two points, its
    lowest and its highest value; the band is the widest of the stretch, the typical value that in
    its middle.

    Parameters
    ----------
    line : Line
        Not empty.
    span_us : int
        Microseconds a bucket.
    most : int
        Stretches.
    """
    length_us = int(line.time_us[-1] - line.time_us[0]) + span_us
    if len(line.time_us) <= 2 * most:
        return _broken(line, span_us)
    stretch_us = -(-length_us // (most * span_us)) * span_us
    stretch = line.time_us // stretch_us
    starts = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    ends = np.append(starts[1:], len(stretch)) - 1

    def twice(column: Numbers) -> Numbers:
        return np.repeat(column, 2)

    lowest = np.fmin.reduceat(line.actual, starts)
    highest = np.fmax.reduceat(line.actual, starts)
    return _broken(
        Line(
            np.stack([line.time_us[starts], line.time_us[ends]], axis=1).ravel(),
            np.stack([lowest, highest], axis=1).ravel(),
            twice(line.typical[(starts + ends) // 2]),
            twice(np.fmin.reduceat(line.lower, starts)),
            twice(np.fmax.reduceat(line.upper, starts)),
        ),
        2 * stretch_us,
    )


def _broken(line: Line, usual_us: int) -> Line:
    """Put a point without values wherever more time than usual lies between two points."""
    after = np.flatnonzero(np.diff(line.time_us) > usual_us) + 1
    holes = (
        np.insert(column, after, np.nan)
        for column in (line.actual, line.typical, line.lower, line.upper)
    )
    between_us = line.time_us[after - 1] + usual_us
    return Line(np.insert(line.time_us, after, between_us), *holes)
