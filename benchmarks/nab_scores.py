"""Scores of detections after the rules of the Numenta Anomaly Benchmark.

Of the rows in a window that reach the threshold only the first counts: it earns the scaled sigmoid
of its place, 1 at the window's first row and near 0 at its last. Every row outside of the windows
that reaches it costs: the sigmoid of its distance from the end of the window before, in lengths of
that window, so -1 far behind it or where there is none. A window without a detection costs
a whole. A profile weighs the three, and one threshold, the best for the profile, holds for all
files. 0 is a silent detector, 100 one that reports the first row of every window and nothing else.
The first 15 % of a file, at most 750 rows, are probation: nothing there counts.

Source: Lavin & Ahmad 2015, Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly
Benchmark, sections II-B and II-C; the choices that it leaves open are those of the scorer published
with it: rows count as positions, a window's last row is its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["PROFILES", "Profile", "Scored", "best", "curve", "probation", "sigmoid"]

Numbers = npt.NDArray[np.float64]
Windows = tuple[tuple[int, int], ...]

_PROBATION = 0.15
_LONGEST = 5000  # rows: probation is a share of no more than these
_FAR = 3.0  # window lengths, beyond which a false detection costs a whole


@dataclass(frozen=True, slots=True)
class Profile:
    """What an application pays for a detection, a false one, a missed window."""

    name: str
    found: float
    false: float
    missed: float


PROFILES: Final = (
    Profile("standard", 1.0, 0.11, 1.0),
    Profile("low FP", 1.0, 0.22, 1.0),
    Profile("low FN", 1.0, 0.11, 2.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The scores of one file's rows, and its windows: first and last row of each, in order."""

    scores: Numbers
    windows: Windows


def probation(rows: int) -> int:
    """Give how many of a file's rows are probation.

    >>> probation(1000), probation(20_000)
    (150, 750)
    """
    return int(_PROBATION * min(rows, _LONGEST))


def sigmoid(place: npt.ArrayLike) -> Numbers:
    """Weigh a place relative to a window's end, in lengths of the window: 1 to -1.

    >>> sigmoid([-1.0, 0.0, 9.0]).round(3).tolist()
    [0.987, 0.0, -1.0]
    """
    y = np.asarray(place, np.float64)
    # numpy's exp warns where the far ones overflow; they are -1 anyway.
    return np.where(y > _FAR, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, _FAR))) - 1.0)


def curve(files: Sequence[Scored], profile: Profile) -> tuple[Numbers, Numbers]:
    """Give the normalised score at every threshold that tells rows apart.

    Parameters
    ----------
    files : sequence of Scored
        At least one window among them. NaN scores count as 0.
    profile : Profile

    Returns
    -------
    thresholds : float64, shape (t,)
        Falling, from infinity: a detector that is silent.
    scores : float64, shape (t,)
        At most 100, without a lower bound; the first is 0.

    Raises
    ------
    ValueError
        If no file has a window.
    """
    windows = sum(len(file.windows) for file in files)
    if windows == 0:
        msg = "`files` must have a window at least, got none"
        raise ValueError(msg)
    outside = [_outside(file) for file in files]
    scores = np.concatenate([found for found, _ in outside])
    costs = np.concatenate([cost for _, cost in outside])
    inside = [_inside(file, window) for file in files for window in file.windows]
    levels = np.unique(np.concatenate([scores, *(peaks for peaks, _ in inside)]))[::-1]
    thresholds = np.concatenate([[np.inf], levels[levels > 0.0]])
    order = np.argsort(-scores, kind="stable")
    lost = np.concatenate([[0.0], np.cumsum(costs[order])])
    total = profile.false * lost[np.searchsorted(-scores[order], -thresholds, "right")]
    for peaks, gains in inside:
        first = np.searchsorted(peaks, thresholds, "left")
        earned = np.concatenate([profile.found * gains, [-profile.missed]])
        total += earned[first]
    silent = -profile.missed * windows
    return thresholds, 100.0 * (total - silent) / (profile.found * windows - silent)


def best(files: Sequence[Scored], profile: Profile) -> tuple[float, float]:
    """Give the greatest score of a profile, and the highest threshold that reaches it."""
    thresholds, scores = curve(files, profile)
    at = int(np.argmax(scores))
    return float(scores[at]), float(thresholds[at])


def _inside(file: Scored, window: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Give the greatest score up to each row of a window, and what a detection there earns."""
    first, last = window
    begin = max(first, probation(len(file.scores)))
    scores = np.nan_to_num(file.scores[begin : last + 1])
    rows = np.arange(begin, last + 1)
    gains = sigmoid(-(last - rows + 1) / (last - first + 1)) / sigmoid(-1.0)
    return np.maximum.accumulate(scores) if scores.size else scores, gains


def _outside(file: Scored) -> tuple[Numbers, Numbers]:
    """Give the scores of the rows outside of the windows, and what a detection there costs."""
    rows = np.arange(len(file.scores))
    kept = rows >= probation(len(rows))
    place = np.full(rows.shape, np.inf)
    for first, last in file.windows:
        kept &= (rows < first) | (rows > last)
        after = rows > last
        place[after] = (rows[after] - last) / max(last - first, 1)
    return np.nan_to_num(file.scores[kept]), sigmoid(place[kept])
