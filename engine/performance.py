"""The performance functions AR-F01 to AR-F23 over counts, as plain functions of numpy arrays.

They are the twin of the SQL behind `metric_values`: the same formulas, for whoever holds the counts
already. Every function takes numbers or arrays that broadcast, and gives float64 of that shape;
**undefined is NaN**, as NULL is in SQL, and never 0.

A confusion matrix is an int64 array of shape (K, K), rows truth, columns prediction.

>>> precision(tp=np.array([3, 0]), fp=np.array([1, 0])).tolist()
[0.75, nan]
>>> macro(recall_by_class(np.array([[2, 0], [1, 1]])))
0.75
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALIASES",
    "BINARY",
    "MULTICLASS",
    "accuracy",
    "accuracy_by_class",
    "accuracy_rate",
    "average",
    "balanced_accuracy_rate",
    "binary_function",
    "brier_score",
    "f1",
    "f1_by_class",
    "fall_out_by_class",
    "false_negative_rate",
    "false_positive_rate",
    "log_loss",
    "macro",
    "mean_absolute_error",
    "miss_rate_by_class",
    "one_versus_rest",
    "precision",
    "precision_by_class",
    "r_squared",
    "recall",
    "recall_by_class",
    "root_mean_squared_error",
    "specificity",
    "specificity_by_class",
]

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
_EPSILON = float(np.finfo(np.float64).eps)


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Values:
    """Divide, NaN where there is nothing to divide by."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below != 0)
    return quotient


# ---- aggregates and regression ---------------------------------------------------------------


def average(count: npt.ArrayLike, total: npt.ArrayLike) -> Values:
    """Mean of `count` values of sum `total` (AR-F01); NaN of nothing."""
    return _ratio(total, count)


def root_mean_squared_error(count: npt.ArrayLike, squared_error: npt.ArrayLike) -> Values:
    """√(Σe² / n) (AR-F05), in the unit of the label; NaN of nothing."""
    return np.asarray(np.sqrt(_ratio(squared_error, count)))


def mean_absolute_error(count: npt.ArrayLike, absolute_error: npt.ArrayLike) -> Values:
    """Σ|e| / n (AR-F06), in the unit of the label; NaN of nothing."""
    return _ratio(absolute_error, count)


def r_squared(
    count: npt.ArrayLike,
    squared_error: npt.ArrayLike,
    label_mean: npt.ArrayLike,
    label_m2: npt.ArrayLike,
) -> Values:
    """1 - Σe² / Σ(y - ȳ)² (AR-F07); NaN of nothing or where all labels are equal.

    `label_m2` is the sum of squares about `label_mean`. Labels are taken as equal when they spread
    by no more than 8 ulp of their mean, which is what the rounding of a mean can leave.
    """
    count = np.asarray(count, np.float64)
    rounding = count * (8 * _EPSILON * np.asarray(label_mean, np.float64)) ** 2
    spread = np.where(np.asarray(label_m2) > rounding, label_m2, 0.0)
    return np.asarray(1.0 - _ratio(squared_error, spread))


def log_loss(count: npt.ArrayLike, total: npt.ArrayLike) -> Values:
    """Mean of -ln p, p the probability given to the true class; `total` is its sum."""
    return _ratio(total, count)


def brier_score(count: npt.ArrayLike, total: npt.ArrayLike) -> Values:
    """Mean of (1 - p)², p the probability given to the true class; `total` is its sum."""
    return _ratio(total, count)


# ---- binary ----------------------------------------------------------------------------------


def accuracy_rate(
    tp: npt.ArrayLike, fp: npt.ArrayLike, tn: npt.ArrayLike, fn: npt.ArrayLike
) -> Values:
    """(TP + TN) / N (AR-F08); NaN of nothing."""
    tp, fp, tn, fn = (np.asarray(count) for count in (tp, fp, tn, fn))
    return _ratio(tp + tn, tp + fp + tn + fn)


def balanced_accuracy_rate(
    tp: npt.ArrayLike, fp: npt.ArrayLike, tn: npt.ArrayLike, fn: npt.ArrayLike
) -> Values:
    """(TPR + TNR) / 2 (AR-F09); NaN without positives or without negatives."""
    return np.asarray((recall(tp, fn) + specificity(tn, fp)) / 2)


def f1(tp: npt.ArrayLike, fp: npt.ArrayLike, fn: npt.ArrayLike) -> Values:
    """2 TP / (2 TP + FP + FN) (AR-F10); NaN where there is no positive, true or predicted."""
    tp, fp, fn = (np.asarray(count) for count in (tp, fp, fn))
    return _ratio(2 * tp, 2 * tp + fp + fn)


def false_negative_rate(tp: npt.ArrayLike, fn: npt.ArrayLike) -> Values:
    """FN / (FN + TP) (AR-F11); NaN without positives."""
    return _ratio(fn, np.asarray(tp) + np.asarray(fn))


def false_positive_rate(tn: npt.ArrayLike, fp: npt.ArrayLike) -> Values:
    """FP / (FP + TN) (AR-F12); NaN without negatives."""
    return _ratio(fp, np.asarray(fp) + np.asarray(tn))


def precision(tp: npt.ArrayLike, fp: npt.ArrayLike) -> Values:
    """TP / (TP + FP) (AR-F13); NaN where nothing was predicted positive."""
    return _ratio(tp, np.asarray(tp) + np.asarray(fp))


def recall(tp: npt.ArrayLike, fn: npt.ArrayLike) -> Values:
    """TP / (TP + FN) (AR-F14, F15, F17); NaN without positives."""
    return _ratio(tp, np.asarray(tp) + np.asarray(fn))


def specificity(tn: npt.ArrayLike, fp: npt.ArrayLike) -> Values:
    """TN / (TN + FP) (AR-F16, F18); NaN without negatives."""
    return _ratio(tn, np.asarray(tn) + np.asarray(fp))


# ---- several classes -------------------------------------------------------------------------


def one_versus_rest(matrix: Counts) -> tuple[Counts, Counts, Counts, Counts]:
    """Count tp, fp, tn and fn of every class against all others, each of shape (K,)."""
    hits = np.diagonal(matrix)
    fn, fp = matrix.sum(axis=1) - hits, matrix.sum(axis=0) - hits
    return hits, fp, matrix.sum() - hits - fn - fp, fn


def accuracy(matrix: Counts) -> float:
    """Share on the diagonal (AR-F19): trace / N; NaN of nothing."""
    return float(_ratio(np.trace(matrix), matrix.sum()))


def accuracy_by_class(matrix: Counts) -> Values:
    """(TP + TN) / N of each class; its mean is the "accuracy across decisions" of ACi-17."""
    return accuracy_rate(*one_versus_rest(matrix))


def recall_by_class(matrix: Counts) -> Values:
    """Give the true positive rate of each class (AR-F22), shape (K,); NaN if never true."""
    tp, _, _, fn = one_versus_rest(matrix)
    return recall(tp, fn)


def specificity_by_class(matrix: Counts) -> Values:
    """Give the true negative rate of each class (AR-F23), shape (K,); NaN if all are of it."""
    _, fp, tn, _ = one_versus_rest(matrix)
    return specificity(tn, fp)


def fall_out_by_class(matrix: Counts) -> Values:
    """Give the false positive rate of each class (AR-F21), shape (K,); NaN if all are of it."""
    _, fp, tn, _ = one_versus_rest(matrix)
    return false_positive_rate(tn, fp)


def miss_rate_by_class(matrix: Counts) -> Values:
    """Give the false negative rate of each class (AR-F20), shape (K,); NaN if never true."""
    tp, _, _, fn = one_versus_rest(matrix)
    return false_negative_rate(tp, fn)


def precision_by_class(matrix: Counts) -> Values:
    """Precision of each class, shape (K,); NaN for a class never predicted."""
    tp, fp, _, _ = one_versus_rest(matrix)
    return precision(tp, fp)


def f1_by_class(matrix: Counts) -> Values:
    """F1 of each class, shape (K,); NaN for a class neither true nor predicted."""
    tp, fp, _, fn = one_versus_rest(matrix)
    return f1(tp, fp, fn)


def macro(by_class: Values) -> float:
    """Mean over the classes for which it is defined, each with the same weight; NaN if none is."""
    defined = by_class[~np.isnan(by_class)]
    return float(defined.mean()) if defined.size else float("nan")


BINARY: dict[str, Callable[[Counts, Counts, Counts, Counts], Values]] = {
    "accuracyRate": accuracy_rate,
    "balancedAccuracyRate": balanced_accuracy_rate,
    "f1": lambda tp, fp, _tn, fn: f1(tp, fp, fn),
    "falseNegativeRate": lambda tp, _fp, _tn, fn: false_negative_rate(tp, fn),
    "falsePositiveRate": lambda _tp, fp, tn, _fn: false_positive_rate(tn, fp),
    "precision": lambda tp, fp, _tn, _fn: precision(tp, fp),
    "recall": lambda tp, _fp, _tn, fn: recall(tp, fn),
    "sensitivity": lambda tp, _fp, _tn, fn: recall(tp, fn),
    "specificity": lambda _tp, fp, tn, _fn: specificity(tn, fp),
    "truePositiveRate": lambda tp, _fp, _tn, fn: recall(tp, fn),
    "trueNegativeRate": lambda _tp, fp, tn, _fn: specificity(tn, fp),
}
"""Binary functions by the contract's name, each of (tp, fp, tn, fn)."""

ALIASES = {"falsePostiveRate": "falsePositiveRate"}
"""Names to accept as well: the contract prints this one so (ARx-2)."""

MULTICLASS: dict[str, Callable[[Counts], Values]] = {
    "truePositiveRateMulticlass": recall_by_class,
    "trueNegativeRateMulticlass": specificity_by_class,
    "falsePositiveRateMulticlass": fall_out_by_class,
    "falseNegativeRateMulticlass": miss_rate_by_class,
    "precisionMulticlass": precision_by_class,
    "f1Multiclass": f1_by_class,
}
"""Functions of a matrix, per class, by the contract's name."""


def binary_function(name: str) -> Callable[[Counts, Counts, Counts, Counts], Values]:
    """Look a binary function up, by its name or an alias.

    Raises
    ------
    KeyError
        When there is none of this name.

    >>> float(binary_function("falsePostiveRate")(1, 1, 3, 0))
    0.25
    """
    return BINARY[ALIASES.get(name, name)]
