"""One probability of many: how unusual a set of records is together, per bucket or influencer.

Two questions are asked of the N records of a group, in logarithms throughout:

joint
    Are many of them somewhat odd? The squares of their two-sided normal equivalents add up to a
    chi-square of N degrees.
extreme
    Are a few of them very odd? The m-th smallest p of N is Beta(m, N - m + 1); the least of these
    tails over m <= 5 counts, its logarithm shrunk by 1 + ln(M) / 2.1 because it is a least of M.

The answer has the mean of both raw scores. Above the raw score's end at p = .05 its first piece is
continued, so that the answer has no step: below p = 1e-4 means of ln p, above it means of 1/p.
Records count as independent: a change common to all of them looks more extreme than it is.
Source: the combination measured in the design's prototype; null-checked here for N = 1 to 200.
"""

import numpy as np
import numpy.typing as npt

from engine.anomaly.scores.raw_score import LEAST_P, ln_probability, raw_score_of_ln

__all__ = ["combine", "combine_influenced", "influence", "ln_beta_tail", "ln_chi_square_tail"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_MOST_EXTREMES = 5
_SHRINK = 2.1  # of the logarithm, for taking the least of M; fitted on nulls
_LEAST_TAIL = 1e-280  # below, scipy's tails lose digits, then vanish
_LN_LEAST = float(np.log(LEAST_P))
_LEAST_INFLUENCE = 0.4
_LN_STEP = float(np.log(0.05))  # where the raw score turns 0


def combine(ln_p: Numbers, group: Codes, groups: int) -> Numbers:
    """Combine the records of each group into one probability.

    Parameters
    ----------
    ln_p : float64, shape (n,)
        Logarithms of the records' probabilities, no NaN; above 0 counts as 0.
    group : int64, shape (n,)
        Each record's group, within 0 to groups - 1, in any order.
    groups : int
        How many groups there are.

    Returns
    -------
    float64, shape (groups,)
        ln p, at least that of the smallest double. 0 where a group is empty; a lone record passes
        unchanged. Never rises when a record's probability falls.

    Examples
    --------
    >>> combine(np.log([1e-6, 0.5, 0.01]), np.array([0, 0, 1]), 3).round(3).tolist()
    [-11.029, -4.605, 0.0]
    """
    kept = np.clip(ln_p, _LN_LEAST, 0.0)
    order = np.lexsort((kept, group))
    kept, sorted_group = kept[order], group[order]
    size = np.bincount(sorted_group, minlength=groups)
    start = np.cumsum(size) - size
    answer = np.zeros(groups)
    lone = size == 1
    answer[lone] = kept[start[lone]]
    many = size > 1
    if many.any():
        joint = _joint(kept, sorted_group, size)[many]
        extreme = _extreme(kept, start[many], size[many])
        answer[many] = _mean_by_raw_score(joint, extreme)
    return answer


def _joint(ln_p: Numbers, group: Codes, size: Codes) -> Numbers:
    from scipy.special import ndtri_exp  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    equivalents = np.asarray(ndtri_exp(ln_p - np.log(2.0)), np.float64)
    squares = np.bincount(group, equivalents**2, size.size).astype(np.float64, copy=False)
    return ln_chi_square_tail(squares, np.maximum(size, 1))


def _extreme(ln_p: Numbers, start: Codes, size: Codes) -> Numbers:
    least = np.zeros(size.size)
    for rank in range(1, _MOST_EXTREMES + 1):
        there = size >= rank
        tail = ln_beta_tail(ln_p[start[there] + rank - 1], rank, size[there])
        least[there] = np.minimum(least[there], tail)
    return least / (1.0 + np.log(np.minimum(size, _MOST_EXTREMES)) / _SHRINK)


def _mean_by_raw_score(joint: Numbers, extreme: Numbers) -> Numbers:
    score = (_raw_beyond(joint) + _raw_beyond(extreme)) / 2.0
    # 20 + 9980 score is the mean of 1/p, at least 1: its logarithm is -ln p up to a score of 1.
    usual = -np.log(np.maximum(20.0 + 9980.0 * np.minimum(score, 0.0), 1.0))
    return np.where(score > 0.0, ln_probability(score), usual)


def _raw_beyond(ln_p: Numbers) -> Numbers:
    below_zero = (np.exp(-np.maximum(ln_p, _LN_STEP)) - 20.0) / 9980.0
    return np.where(ln_p < _LN_STEP, raw_score_of_ln(ln_p), below_zero)


def ln_chi_square_tail(statistic: Numbers, freedom: Codes) -> Numbers:
    """Give ln P(chi-square > statistic), also where P is no double any more.

    Parameters
    ----------
    statistic : float64, shape (g,)
    freedom : int64, shape (g,)
        Degrees, at least 1.

    Returns
    -------
    float64, shape (g,)
        At most 0; relative error below 1e-10 up to 10,000 degrees.
    """
    from scipy.special import gammaincc  # noqa: PLC0415 - slow

    shape, half = freedom / 2.0, statistic / 2.0
    tail = np.asarray(gammaincc(shape, half), np.float64)
    far = tail < _LEAST_TAIL
    answer = np.log(np.where(far, 1.0, tail))
    if far.any():
        answer[far] = _ln_gamma_tail(shape[far], half[far])
    return answer


def _ln_gamma_tail(shape: Numbers, value: Numbers) -> Numbers:
    """Sum Legendre's continued fraction of the upper gamma tail; `value` is far above `shape`."""
    from scipy.special import gammaln  # noqa: PLC0415 - slow

    # From its end backwards, which needs no guard against zero denominators.
    fraction = np.zeros_like(value)
    for term in range(200, 0, -1):
        fraction = term * (shape - term) / (value + 2.0 * term + 1.0 - shape + fraction)
    lead = shape * np.log(value) - value - gammaln(shape)
    return np.asarray(lead - np.log(value + 1.0 - shape + fraction), np.float64)


def ln_beta_tail(ln_p: Numbers, rank: int, size: Codes) -> Numbers:
    """Give ln P(the rank-th smallest of `size` uniform numbers <= p), also where it is no double.

    Parameters
    ----------
    ln_p : float64, shape (g,)
    rank : int
        At least 1.
    size : int64, shape (g,)
        At least `rank`.

    Returns
    -------
    float64, shape (g,)
        At most 0; relative error below 1e-10.
    """
    from scipy.special import betainc, gammaln  # noqa: PLC0415 - slow

    above = size - rank + 1.0
    tail = np.asarray(betainc(rank, above, np.exp(ln_p)), np.float64)
    # Where the tail is that small the terms after the first differ by less than a double's digits.
    ways = gammaln(size + 1.0) - gammaln(rank + 1.0) - gammaln(above)
    return np.where(
        tail < _LEAST_TAIL, ways + rank * ln_p, np.log(np.where(tail < _LEAST_TAIL, 1.0, tail))
    )


def influence(ln_p: Numbers, ln_p_without: Numbers) -> Numbers:
    """Say how much of a record's unusualness leaves with one entity's points (ELi-09).

    Parameters
    ----------
    ln_p, ln_p_without : float64, shape (n,)
        ln p of the record as it is, and with the entity's points taken out.

    Returns
    -------
    float64, shape (n,)
        1 - ln p_without / ln p, within 0 and 1; 0 where it is below .4 or p is 1.

    Examples
    --------
    >>> influence(np.array([-10.0, -10.0, 0.0]), np.array([-1.0, -8.0, -3.0])).tolist()
    [0.9, 0.0, 0.0]
    """
    unusual = ln_p < 0.0
    share = 1.0 - ln_p_without / np.where(unusual, ln_p, -1.0)
    return np.where(unusual & (share >= _LEAST_INFLUENCE), np.minimum(share, 1.0), 0.0)


def combine_influenced(ln_p: Numbers, shares: Numbers, group: Codes, groups: int) -> Numbers:
    """Combine, per influencer, its records, each as p to the power of its influence on it.

    Parameters
    ----------
    ln_p, shares : float64, shape (n,)
        ln p of the records, and what `influence` says of the influencer and the record.
    group : int64, shape (n,)
        The influencer of each pair, within 0 to groups - 1.
    groups : int

    Returns
    -------
    float64, shape (groups,)
        ln p; 0 for an influencer without influence.
    """
    has = shares > 0.0
    return combine(shares[has] * ln_p[has], group[has], groups)
