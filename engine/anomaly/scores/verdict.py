"""From what models say to one probability each: of every series, every detector, the bucket.

The path: judgements of the parts of a detector (a function such as ``metric`` has several) -> the
most unusual part of each series -> one probability of the detector -> one of the bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.scores.combine import combine
from engine.anomaly.scores.raw_score import LARGEST_P
from engine.anomaly.values import Judgement

__all__ = ["LN_UNUSUAL", "Picked", "impact", "of_bucket", "of_detector", "pick"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LN_UNUSUAL = float(np.log(LARGEST_P))
"""Where the raw score begins: what is not below it is no result."""

_IMPACT_MAX = 5.0
_IMPACT_RATIO = 10.0  # a logarithm ten times the other one is all or nothing


@dataclass(frozen=True, slots=True)
class Picked:
    """The series of a detector, each with its most unusual part.

    Attributes
    ----------
    series : int64, shape (m,)
        Numbers, rising.
    part, place : int64, shape (m,)
        The part, and the place in its judgement.
    ln_p : float64, shape (m,)
        At most 0; of several parts the least, times their number.
    """

    series: Codes
    part: Codes
    place: Codes
    ln_p: Numbers

    def where(self, kept: Flags) -> "Picked":
        """Give those where a flag is set."""
        return Picked(self.series[kept], self.part[kept], self.place[kept], self.ln_p[kept])


def pick(judgements: Sequence[Judgement]) -> Picked:
    """Choose the most unusual part of every series; of equals the first part."""
    if len(judgements) == 1:
        only = judgements[0]
        size = len(only.series)
        return Picked(only.series, np.zeros(size, np.int64), np.arange(size), only.ln_p)
    series = np.concatenate([each.series for each in judgements])
    ln_p = np.concatenate([each.ln_p for each in judgements])
    sizes = [len(each.series) for each in judgements]
    part = np.repeat(np.arange(len(judgements)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    order = np.lexsort((part, ln_p, series))
    distinct, first = np.unique(series[order], return_index=True)
    chosen = order[first]
    # The least of several probabilities, as if they were independent (Bonferroni).
    parts = np.bincount(np.searchsorted(distinct, series), minlength=len(distinct))
    least = np.minimum(ln_p[chosen] + np.log(np.maximum(parts, 1)), 0.0)
    return Picked(distinct, part[chosen], place[chosen], least)


def of_detector(ln_p: Numbers) -> float:
    """Give ln p of all series of a detector together; 0 without any."""
    if not ln_p.any():  # nearly always, where there are few
        return 0.0
    return float(combine(ln_p, np.zeros(len(ln_p), np.int64), 1)[0])


def of_bucket(detectors: Sequence[float]) -> float:
    """Give ln p of a bucket from those of its detectors."""
    return of_detector(np.array(detectors, np.float64))


def impact(ln_p_single: Numbers, ln_p_multi: Numbers) -> Numbers:
    """Say whether one bucket or several made a result unusual (ELi-06).

    Returns
    -------
    float64, same shape
        From -5 (the bucket alone) to 5 (several together), by the logarithm of the ratio of the two
        logarithms, floored to two decimals.

    Examples
    --------
    >>> impact(np.array([-10.0, -1.0, -8.0]), np.array([-1.0, -10.0, -8.0])).tolist()
    [-5.0, 5.0, 0.0]
    """
    single, multi = np.maximum(-ln_p_single, 1e-3), np.maximum(-ln_p_multi, 1e-3)
    scaled = _IMPACT_MAX * np.log(multi / single) / np.log(_IMPACT_RATIO)
    # Of a number that is whole but for its last bits the floor is that number.
    clipped: Numbers = np.clip(scaled, -_IMPACT_MAX, _IMPACT_MAX)
    return np.asarray(np.floor(clipped * 100.0 + 1e-9) / 100.0, np.float64)
