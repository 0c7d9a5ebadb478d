"""What a series is expected to hold, in the unit of its values."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Scalars
from engine.anomaly.bank.roots import undone
from engine.anomaly.bank.tuning import Tuning

__all__ = ["Outlook", "outlook_of"]

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of m series in a bucket: float64, shape (m,); NaN before the first value.

    Attributes
    ----------
    typical : array
        Level and seasons.
    lower, upper : array
        Bounds of what is usual: about 95 % of buckets lie between.
    season : array
        What the time of day and week adds to the level.
    """

    typical: Numbers
    lower: Numbers
    upper: Numbers
    season: Numbers


def outlook_of(
    scalars: Scalars, season: Numbers, scale: Numbers, tuning: Tuning, kind: float | Numbers
) -> Outlook:
    """Tell level, season and slow scale in the unit of the values.

    `kind` says of what roots are modelled, see `engine.anomaly.bank.roots`.
    """
    level = scalars.levels[1]
    typical = level + season
    band = tuning.band * scale
    told = np.empty((4, level.size))
    told[0], told[1], told[2], told[3] = typical, typical - band, typical + band, level
    told = undone(told, kind)
    if scalars.buckets.size and scalars.buckets.min() == 0.0:
        told = np.where(scalars.buckets > 0.0, told, np.nan)
    return Outlook(told[0], told[1], told[2], told[0] - told[3])
