"""Raw anomaly score of a probability, and back: 0 where p is ordinary, 100 at the smallest double.

Four pieces, joined without a step (contracts.md ELi-01; source: Elastic's ml-cpp)::

    p >= .05           0
    1e-4  <= p < .05   (1/p - 20) / (10000 - 20)        0 to 1
    1e-50 <= p < 1e-4  linear in ln p                   1 to 50
    p < 1e-50          linear in ln p                   50 to 100, at 2.2e-308

The score is that of the probability as it is stored, a double, not of its logarithm: the logarithm
has lost the last digits of 1/p, and a stored row must agree with itself.
"""

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGEST_P",
    "LEAST_P",
    "ln_probability",
    "probability",
    "raw_score",
    "raw_score_of_ln",
    "significance",
]

Numbers = npt.NDArray[np.float64]

LEAST_P = 2.2250738585072014e-308  # the smallest double that has all its digits
LARGEST_P = 0.05  # the raw score of a larger one is 0
_SMALL_P, _TINY_P = 1e-4, 1e-50
_LN_LARGEST, _LN_SMALL, _LN_TINY, _LN_LEAST = map(math.log, (LARGEST_P, _SMALL_P, _TINY_P, LEAST_P))


def probability(ln_p: npt.ArrayLike) -> Numbers:
    """Give the probability that is stored for a logarithm: within [`LEAST_P`, 1], NaN stays NaN.

    >>> probability([-2000.0, 0.5]).tolist()
    [2.2250738585072014e-308, 1.0]
    """
    return np.maximum(np.exp(np.minimum(np.asarray(ln_p, np.float64), 0.0)), LEAST_P)


def raw_score(p: npt.ArrayLike) -> Numbers:
    """Score probabilities by ELi-01.

    Parameters
    ----------
    p : float64, any shape
        Probabilities; below `LEAST_P` counts as `LEAST_P`.

    Returns
    -------
    float64, same shape
        0 to 100, never rising with p; NaN where p is.

    Examples
    --------
    >>> float(raw_score(1.7340849573442696e-4))
    0.5758246639716365
    """
    kept = np.maximum(np.asarray(p, np.float64), LEAST_P)
    return _pieces(np.log(kept), 1.0 / np.maximum(kept, _SMALL_P), kept >= LARGEST_P)


def raw_score_of_ln(ln_p: npt.ArrayLike) -> Numbers:
    """Score logarithms of probabilities, where no probability is stored: within 1e-14 of p's.

    >>> raw_score_of_ln([-1000.0, 0.0]).tolist()
    [100.0, 0.0]
    """
    kept = np.maximum(np.asarray(ln_p, np.float64), _LN_LEAST)
    return _pieces(kept, np.exp(-np.maximum(kept, _LN_SMALL)), kept >= _LN_LARGEST)


def _pieces(ln_p: Numbers, inverse: Numbers, ordinary: npt.NDArray[np.bool_]) -> Numbers:
    usual = np.maximum((inverse - 20.0) / (10000.0 - 20.0), 0.0)
    small = 1.0 + 49.0 * (_LN_SMALL - ln_p) / (_LN_SMALL - _LN_TINY)
    tiny = 50.0 + 50.0 * (_LN_TINY - ln_p) / (_LN_TINY - _LN_LEAST)
    unusual = np.where(ln_p >= _LN_SMALL, usual, np.where(ln_p >= _LN_TINY, small, tiny))
    return np.where(ordinary, 0.0, unusual)


def ln_probability(raw: npt.ArrayLike) -> Numbers:
    """Give ln p of raw scores, ln .05 for 0: the inverse of `raw_score` where p is below .05.

    >>> ln_probability([0.0, 1.0]).round(3).tolist()
    [-2.996, -9.21]
    """
    score = np.asarray(raw, np.float64)
    usual = -np.log(20.0 + (10000.0 - 20.0) * np.clip(score, 0.0, 1.0))
    small = _LN_SMALL - (score - 1.0) / 49.0 * (_LN_SMALL - _LN_TINY)
    tiny = _LN_TINY - (score - 50.0) / 50.0 * (_LN_TINY - _LN_LEAST)
    return np.where(score <= 1.0, usual, np.where(score <= 50.0, small, tiny))


def significance(raw: npt.ArrayLike) -> Numbers:
    """Cap a raw score's place on the scale 0 to 100 by its probability alone (ELi-02, ceiling 4).

    Returns
    -------
    float64, same shape
        100 (.05 + .95 (ln p - ln .05) / (ln 1e-4 - ln .05)), at most 100; 0 for a raw score of 0.

    Examples
    --------
    >>> float(significance(0.5758246639716365))
    91.58505459594764
    """
    ln_p = ln_probability(raw)
    scale = 0.05 + 0.95 * (ln_p - _LN_LARGEST) / (_LN_SMALL - _LN_LARGEST)
    return np.where(np.asarray(raw) <= 0.0, 0.0, 100.0 * np.minimum(scale, 1.0))
