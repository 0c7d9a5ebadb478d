"""AUC and calibration error from 2,001 score bins, with their error bounds.

Bin 2k holds the scores equal to k/1000, bin 2k+1 those strictly between k/1000 and (k+1)/1000.
The middle of bin b is b/2000, and 1 - score of a score in bin b lies in bin 2000 - b. These are the
twins of the SQL behind `metric_values`; undefined is NaN.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "auc", "auc_error", "bin_of", "calibration_error"]

BINS = 2001

Counts = npt.NDArray[np.int64]


def bin_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Bin of each score in [0, 1].

    A score is at k/1000 when it is the float64 nearest to it, and between otherwise.

    >>> bin_of(np.array([0.0, 0.0004, 0.57, 1.0])).tolist()
    [0, 1, 1140, 2000]
    """
    nearest = np.rint(scores * 1000)
    return (2 * nearest + np.sign(scores - nearest / 1000)).astype(np.int16)


def auc(positives: Counts, negatives: Counts) -> float:
    """Area under the ROC curve; pairs within a bin count one half.

    Parameters
    ----------
    positives, negatives : int64, shape (2001,)
        Events of the positive class and of all others by the bin of their positive score.

    Returns
    -------
    float
        In [0, 1], off by at most `auc_error`; NaN without positives or without negatives.
    """
    pairs = int(positives.sum()) * int(negatives.sum())
    if pairs == 0:
        return float("nan")
    won_twice = positives * (2 * np.cumsum(negatives) - negatives)
    return float(won_twice.sum() / (2 * pairs))


def auc_error(positives: Counts, negatives: Counts) -> float:
    """Bound of the error of `auc`: ½ Σ_b P_b N_b / (P N) over the bins that are not one value."""
    pairs = int(positives.sum()) * int(negatives.sum())
    if pairs == 0:
        return float("nan")
    return float((positives[1::2] * negatives[1::2]).sum() / (2 * pairs))


def calibration_error(counts: Counts, correct: Counts) -> float:
    """Compare confidence and truth over the intervals [0, .1), [.1, .2), … [.9, 1].

    The expected calibration error, Σ_i n_i/n · |share correct_i - mean confidence_i|. The
    confidence of an event is taken as the middle of its bin: off by less than 0.0005.

    Parameters
    ----------
    counts, correct : int64, shape (2001,)
        Events by the bin of their confidence, and those of them where it came true.

    Returns
    -------
    float
        In [0, 1]; NaN of nothing.
    """
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    bins = np.arange(BINS)
    gaps = np.zeros(10, np.int64)
    np.add.at(gaps, np.minimum(bins // 200, 9), 2000 * correct - bins * counts)
    return float(np.abs(gaps).sum() / (2000 * total))
