"""Hypothesis tests of a window against the reference set, as -log10 p: the more the further apart.

χ² of homogeneity for categories, two-sample Kolmogorov-Smirnov for numbers. Both go on where p is
too small for a double, by sums in log space, so that a greater distance stays a greater value.
"""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["chi2_test", "ks_distance", "ks_of_counts", "ks_test"]

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]

_LN_10 = math.log(10.0)
_LEAST_P = 1e-280  # below, scipy's p loses digits, then vanishes


def chi2_test(reference_counts: Counts, target_counts: Counts) -> Numbers:
    """Test whether both sides have the same shares, from the 2 by B table of counts.

    Parameters
    ----------
    reference_counts : shape (B,) or (m, B)
        Rows of the reference set by bin.
    target_counts : shape (m, B)
        Rows of each of m windows by bin.

    Returns
    -------
    float64, shape (m,)
        -log10 p, 0 when only one bin is in use, NaN when either side is empty. Equal to
        `scipy.stats.chi2_contingency` without correction on the bins that are in use.

    Examples
    --------
    >>> chi2_test(np.array([50, 50]), np.array([[5, 5], [9, 1]])).round(3).tolist()
    [0.0, 1.807]
    """
    target = np.asarray(target_counts, np.float64)
    reference = np.broadcast_to(np.asarray(reference_counts, np.float64), target.shape)
    size = target.sum(axis=-1, keepdims=True)
    base = reference.sum(axis=-1, keepdims=True)
    pooled = target + reference
    with np.errstate(divide="ignore", invalid="ignore"):
        share = pooled / (size + base)
        # Both sides miss their expectation by the same amount, in opposite directions.
        miss = (target - share * size) ** 2
        parts = miss * (1 / (share * size) + 1 / (share * base))
    statistic = np.where(pooled > 0, parts, 0.0).sum(axis=-1)
    freedom = (pooled > 0).sum(axis=-1) - 1
    defined = (size > 0)[..., 0] & (base > 0)[..., 0]
    found = _chi2_tail(np.where(defined, statistic, 0.0), np.where(defined, freedom, 0))
    return np.where(defined, found, np.nan)


def _chi2_tail(statistic: Numbers, freedom: npt.NDArray[np.int64]) -> Numbers:
    from scipy.special import gammaincc  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    a, x = np.maximum(freedom, 1) / 2, statistic / 2
    p = np.where(freedom > 0, gammaincc(a, x), 1.0)
    small = p < _LEAST_P
    tail = -np.log10(np.where(small, 1.0, p))
    tail[small] = -_ln_gamma_tail(a[small], x[small]) / _LN_10
    return np.maximum(tail, 0.0)


def _ln_gamma_tail(a: Numbers, x: Numbers) -> Numbers:
    """Give ln Q(a, x) for x well above a, by Legendre's continued fraction.

    Source: DLMF 8.9.2, evaluated by Lentz's method (Numerical Recipes 3, 6.2).
    """
    from scipy.special import gammaln  # noqa: PLC0415 - slow to load

    b = x + 1 - a
    c, d = np.full_like(x, 1e300), 1 / b
    value = d.copy()
    for step in range(1, 500):
        weight = -step * (step - a)
        b = b + 2
        d = 1 / (weight * d + b)
        c = b + weight / c
        value *= c * d
        if np.all(np.abs(c * d - 1) < 1e-16):
            break
    logs: Numbers = a * np.log(x) - x - gammaln(a) + np.log(value)
    return logs


def ks_test(
    reference_sorted: Numbers,
    target_values: Numbers,
    weights: npt.NDArray[np.int64] | None = None,
) -> float:
    """Test whether both sides have the same distribution, by the greatest gap between them.

    Parameters
    ----------
    reference_sorted : float64, shape (M,)
        The reference set, ascending, without NaN.
    target_values : float64, shape (n,)
        The window, any order; NaN is left out.
    weights : int64, shape (n,), optional
        How often each value counts: -1 takes one back. No value may end below 0. Default 1.

    Returns
    -------
    float
        -log10 p, at least 0 and finite; NaN when either side is empty. D and p are those of
        `scipy.stats.ks_2samp(method="asymp")`: the exact law of one sample of round(Mn/(M+n))
        (Simard & L'Ecuyer 2011), which is what keeps a window of five events honest. D = 1, where
        that law says p = 0, is taken as half its smallest step below 1.
    """
    distance, base, size = ks_distance(reference_sorted, target_values, weights)
    if math.isnan(distance):
        return distance
    effective = max(1, round(base * size / (base + size)))
    return _ks_tail(distance, effective, 1 / (2 * base * size))


def ks_distance(
    reference_sorted: Numbers,
    target_values: Numbers,
    weights: npt.NDArray[np.int64] | None = None,
) -> tuple[float, int, int]:
    """Give D = sup |F - G| and the sizes M and n; D is NaN when either is 0. O(n log(nM))."""
    known = ~np.isnan(target_values)
    values, places = np.unique(target_values[known], return_inverse=True)
    counted = np.ones(len(places), np.int64) if weights is None else weights[known]
    times = np.zeros(len(values), np.int64)
    np.add.at(times, places, counted)
    base, size = len(reference_sorted), int(times.sum())
    if base == 0 or size <= 0:
        return math.nan, base, max(size, 0)
    after = np.cumsum(times)
    # G only moves at its own values, F only rises: the gap is widest at one of them or just before.
    at = np.searchsorted(reference_sorted, values, side="right") / base - after / size
    before = np.searchsorted(reference_sorted, values, side="left") / base - (after - times) / size
    return float(max(np.abs(at).max(), np.abs(before).max())), base, size


def _ks_tail(distance: float, size: int, least_gap: float) -> float:
    """Give -log10 P(D_n > distance) for one sample of n = `size`."""
    spread = size * distance * distance
    # From here on both one-sided events exclude each other to 16 digits: p is twice Smirnov's.
    if spread > 4 or (size > 140 and spread >= 2.2):
        return -(math.log(2) + _ln_smirnov(size, distance, least_gap)) / _LN_10
    from scipy.stats import kstwo  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    p = float(np.clip(kstwo.sf(distance, size), 0.0, 1.0))
    if p > 0:
        return abs(math.log10(p))
    return -(math.log(2) + size * math.log(least_gap)) / _LN_10


def _ln_smirnov(size: int, distance: float, least_gap: float) -> float:
    """Give ln P(D_n⁺ > d) = ln Σ_j C(n,j) d (d + j/n)^(j-1) (1 - d - j/n)^(n-j), j ≤ n(1 - d).

    Only the terms near the greatest are added: they fall off like those of a normal distribution,
    so that n = 1e6 costs some 1e4 terms.
    Source: Birnbaum & Tingey 1951.
    """
    gap = max(1 - distance, least_gap)
    last = math.ceil(size * gap) - 1  # a term with 1 - d - j/n = 0 is none
    first_term = size * math.log(gap)
    if last < 1:
        return first_term
    coarse = np.unique(np.linspace(1, last, 2000).astype(np.int64))
    logs = _smirnov_terms(size, distance, coarse)
    near = np.flatnonzero(logs > logs.max() - 60)
    low, high = coarse[max(near[0] - 1, 0)], coarse[min(near[-1] + 1, len(coarse) - 1)]
    logs = np.append(_smirnov_terms(size, distance, np.arange(low, high + 1)), first_term)
    greatest = float(logs.max())
    return greatest + math.log(float(np.exp(logs - greatest).sum()))


def _smirnov_terms(size: int, distance: float, j: npt.NDArray[np.int64]) -> Numbers:
    # d/(d + j/n) times the binomial probability of j out of n at d + j/n, by Loader's saddle-point
    # form (2000), whose cancelling powers are gone: factorials would cost five digits at n = 1e6.
    hits, rest, shift = j.astype(np.float64), (size - j).astype(np.float64), size * distance
    with np.errstate(divide="ignore"):  # the last term may vanish by rounding
        away = np.log1p(-np.minimum(shift / rest, 1.0))
    deviance = -hits * np.log1p(shift / hits) - rest * away
    errors = _stirling(np.array([float(size)])) - _stirling(hits) - _stirling(rest)
    scale = np.log(shift / (shift + hits)) + 0.5 * np.log(size / (2 * np.pi * hits * rest))
    logs: Numbers = scale + errors - deviance
    return logs


def _stirling(n: Numbers) -> Numbers:
    """Give ln n! less Stirling's ½ ln 2πn + n ln n - n, to 1e-16 absolute."""
    from scipy.special import gammaln  # noqa: PLC0415 - slow to load

    few = np.minimum(n, 16.0)
    exact = gammaln(few + 1) - (few + 0.5) * np.log(few) + few - 0.5 * np.log(2 * np.pi)
    square = 1 / (n * n)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - square / 1680) * square) * square) / n
    stirling: Numbers = np.where(n < 16, exact, series)
    return stirling


def ks_of_counts(reference_counts: Counts, target_counts: Counts) -> Numbers:
    """Approximate `ks_test` from bins in ascending order, for many windows at once.

    The gap between two edges is missed; 0.58/√B in units of √n D makes up for it (Chernoff's
    correction of a discretely watched Brownian path; Siegmund 1985, 10.2). p is Kolmogorov's limit
    with Stephens' (1970) adjustment for small n, in its first term: -log10 p may be off by a
    tenth, and more with few bins.

    Parameters
    ----------
    reference_counts, target_counts : shapes (B,) or (m, B), and (m, B)
        Without the bin of missing values.

    Returns
    -------
    float64, shape (m,)
        At least 0; NaN when either side is empty.
    """
    target = np.asarray(target_counts, np.float64)
    reference = np.broadcast_to(np.asarray(reference_counts, np.float64), target.shape)
    size, base = target.sum(axis=-1), reference.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ours = target.cumsum(axis=-1) / size[..., None]
        gaps = ours - reference.cumsum(axis=-1) / base[..., None]
        root = np.sqrt(size * base / (size + base))
        stretched = root + 0.12 + 0.11 / root
    scaled = stretched * np.abs(gaps).max(axis=-1) + 0.5826 / np.sqrt(target.shape[-1])
    tails: Numbers = np.maximum((2 * scaled**2 - math.log(2)) / _LN_10, 0.0)
    return tails
