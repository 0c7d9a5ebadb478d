"""The four severities of an anomaly score, each with the colour and the size of its mark.

The bounds are Elastic's. The colours are our own: they fall in lightness from minor to critical,
and stay apart from each other, from the blue of the series and in print, for eyes of every kind.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SEVERITIES", "Severity", "severities_of"]


@dataclass(frozen=True, slots=True)
class Severity:
    """A range of scores, [low, next one's low).

    Attributes
    ----------
    low : float
        0 to 100.
    words : str
        For a legend.
    color : str
        ``#rrggbb``.
    dot_points : float
        Diameter of a dot in points of 1/72 inch: severity is not told by colour alone.
    """

    name: str
    low: float
    words: str
    color: str
    dot_points: float


SEVERITIES = (
    Severity("warning", 0.0, "warning < 25", "#9fd0ee", 5.5),
    Severity("minor", 25.0, "minor < 50", "#f5d33c", 7.0),
    Severity("major", 50.0, "major < 75", "#ea7f1f", 8.5),
    Severity("critical", 75.0, "critical ≥ 75", "#ab0e2b", 10.0),
)
"""From the least on."""

_BOUNDS = np.array([each.low for each in SEVERITIES[1:]])


def severities_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give the place in `SEVERITIES` of each score.

    Parameters
    ----------
    scores : float64, shape (n,)
        0 to 100.

    >>> severities_of(np.array([3.0, 25.0, 74.9, 100.0])).tolist()
    [0, 1, 2, 3]
    """
    return np.searchsorted(_BOUNDS, scores, side="right").astype(np.int64)
