"""One surprise of nine, and the probability that it means."""

import math

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.tuning import MULTI, SINGLE, Tuning
from engine.anomaly.scores.raw_score import LEAST_P

__all__ = ["dominant_of", "joined", "ln_p_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_LN_10, _LN_LEAST = math.log(10.0), math.log(LEAST_P)


def joined(surprises: Numbers, tuning: Tuning) -> tuple[Numbers, Numbers]:
    """Give the power mean of the features' surprise, of degree five, which the largest rules.

    Returns
    -------
    joint : float64, shape (3, m)
        Of all features, of the single bucket's, of several buckets'; each feature capped.
    beyond : float64, shape (3, m)
        What the caps took. It counts in the probability, but not for the limiter,
        which could else be blinded for long by one absurd value.
    """
    capped = np.minimum(surprises, tuning.surprise_max)
    joint = _power_means(capped, tuning)
    beyond = np.zeros_like(joint)
    if surprises.size and surprises.max() > tuning.surprise_max:
        some = np.flatnonzero((surprises > tuning.surprise_max).any(axis=0))
        beyond[:, some] = _power_means(surprises[:, some], tuning) - joint[:, some]
    return joint, beyond


def _power_means(surprises: Numbers, tuning: Tuning) -> Numbers:
    squares = surprises * surprises
    fifth = squares * squares * surprises
    fifth *= np.array(tuning.weights)[:, None] / 9.0
    sums = np.empty((3, surprises.shape[1]))
    for row, (first, *others) in ((1, SINGLE), (2, MULTI)):
        sums[row] = fifth[first]
        for feature in others:
            sums[row] += fifth[feature]
    np.add(sums[1], sums[2], out=sums[0])
    means: Numbers = np.power(sums, 0.2)
    return means


def dominant_of(surprises: Numbers, tuning: Tuning) -> Codes:
    """Give the feature that weighs most, shape (m,)."""
    weights = np.power(np.array(tuning.weights), 0.2)[:, None]
    dominant: Codes = np.argmax(surprises * weights, axis=0)
    return dominant


def ln_p_of(alert: Numbers, beyond: Numbers, tuning: Tuning) -> Numbers:
    """Give ln p of alerts and what was beyond the caps: at least that of the smallest double."""
    told = alert + beyond * (alert > 0.0)
    return np.maximum(0.0 - tuning.p_slope * _LN_10 * told, _LN_LEAST)
