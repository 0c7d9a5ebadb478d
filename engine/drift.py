"""How far a window lies from the reference set: PSI, KL, JS and Hellinger on binned counts.

Smoothing, one rule for all four measures: the reference is scaled to the size of the target,
e_b = n·r_b/M, and half an event is added to both sides of every bin that is not empty on both:

    p_b = (e_b + ½) / (n + A/2),   q_b = (k_b + ½) / (n + A/2),   A bins not empty on both sides.

Why this one: equal shares give exactly 0 at any size (a half added to raw counts of two sizes does
not, and makes each small window look drifted); a single event in a bin that the reference never
saw weighs about ln 3 / n, less than ordinary noise, instead of infinity or the whim of some
epsilon; adding bins that nobody uses changes nothing; and with n the textbook value comes back.
A half is the Jeffreys prior of a multinomial. Logarithms are natural.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["MEASURES", "contributions", "hellinger", "js", "kl", "psi", "shares"]

Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]


def shares(reference_counts: Counts, target_counts: Counts) -> tuple[Shares, Shares]:
    """Give the smoothed shares p of the reference and q of the target.

    Parameters
    ----------
    reference_counts : shape (B,) or (m, B)
        Rows of the reference set by bin.
    target_counts : shape (m, B)
        Rows of each of m windows by bin.

    Returns
    -------
    p, q : float64, shape (m, B)
        Each row sums to 1; both are 0 where both counts are. NaN in rows where either side is
        empty.
    """
    target = np.asarray(target_counts, np.float64)
    reference = np.broadcast_to(np.asarray(reference_counts, np.float64), target.shape)
    size = target.sum(axis=-1, keepdims=True)
    base = reference.sum(axis=-1, keepdims=True)
    defined = (size > 0) & (base > 0)
    half = 0.5 * ((reference > 0) | (target > 0))
    total = np.where(defined, size + half.sum(axis=-1, keepdims=True), np.nan)
    expected = reference * size / np.where(defined, base, 1.0)
    return (expected + half) / total, (target + half) / total


def _ratio_log(above: Shares, below: Shares) -> Shares:
    unused = below == 0  # then so is `above`
    logs: Shares = np.log(np.where(unused, 1.0, above) / np.where(unused, 1.0, below))
    return logs


def _psi(p: Shares, q: Shares) -> Shares:
    return (q - p) * _ratio_log(q, p)


def _kl(p: Shares, q: Shares) -> Shares:
    return q * _ratio_log(q, p)


def _js(p: Shares, q: Shares) -> Shares:
    middle = (p + q) / 2
    return (q * _ratio_log(q, middle) + p * _ratio_log(p, middle)) / 2


def _hellinger(p: Shares, q: Shares) -> Shares:
    parts: Shares = (np.sqrt(q) - np.sqrt(p)) ** 2 / 2
    return parts


_PARTS: dict[str, Callable[[Shares, Shares], Shares]] = {
    "PSI": _psi,
    "KLDivergence": _kl,
    "JSDivergence": _js,
    "HellingerDistance": _hellinger,
}


def contributions(measure: str, reference_counts: Counts, target_counts: Counts) -> Shares:
    """Give what each bin adds, shape (m, B): the rows behind one value.

    They sum to the measure; those of `HellingerDistance` to its square. Of `PSI` none is negative.

    Raises
    ------
    ValueError
        `measure` is none of `MEASURES`.
    """
    if measure not in _PARTS:
        msg = f"`measure` must be one of {', '.join(_PARTS)}, got {measure}"
        raise ValueError(msg)
    return _PARTS[measure](*shares(reference_counts, target_counts))


def _total(measure: str, reference_counts: Counts, target_counts: Counts) -> Shares:
    # Rounding may leave -1e-17 where both sides are nearly alike.
    parts = contributions(measure, reference_counts, target_counts)
    totals: Shares = np.maximum(parts.sum(axis=-1), 0.0)
    return totals


def psi(reference_counts: Counts, target_counts: Counts) -> Shares:
    """Give the population stability index Σ (q - p) ln(q/p), shape (m,); NaN of nothing (AR-F24).

    >>> psi(np.array([50, 50]), np.array([[5, 5], [9, 1]])).round(3).tolist()
    [0.0, 0.671]
    """
    return _total("PSI", reference_counts, target_counts)


def kl(reference_counts: Counts, target_counts: Counts) -> Shares:
    """Give the Kullback-Leibler divergence Σ q ln(q/p) in nats, shape (m,) (AR-F25)."""
    return _total("KLDivergence", reference_counts, target_counts)


def js(reference_counts: Counts, target_counts: Counts) -> Shares:
    """Give the Jensen-Shannon divergence ½KL(q‖m) + ½KL(p‖m), at most ln 2 (AR-F26)."""
    return _total("JSDivergence", reference_counts, target_counts)


def hellinger(reference_counts: Counts, target_counts: Counts) -> Shares:
    """Give the Hellinger distance √(½ Σ (√q - √p)²), at most 1, shape (m,) (AR-F27)."""
    distances: Shares = np.sqrt(_total("HellingerDistance", reference_counts, target_counts))
    return distances


MEASURES: dict[str, Callable[[Counts, Counts], Shares]] = {
    "PSI": psi,
    "KLDivergence": kl,
    "JSDivergence": js,
    "HellingerDistance": hellinger,
}
