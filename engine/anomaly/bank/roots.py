"""Counts are modelled by their square roots, whose spread is the same at every level.

Series of metrics that hold nothing but whole numbers at first, none below 0, are taken the same
way: means of counters and sums of ones are counts too, and nobody says so. A value that is not
whole within the first 30, of which none is judged, starts the series anew as it is.
Source: Anscombe 1948, with 3/8. On the Numenta benchmark finding them gains nothing beyond noise.
"""

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Scalars

__all__ = ["COUNTS", "FOUND", "PLAIN", "TRIAL_BUCKETS", "found_wrong", "rooted", "undone"]

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

PLAIN = 0.0
"""What `Scalars.counts` says of values that are modelled as they are."""

FOUND = 0.5
"""Of values that are modelled by their roots because the first are whole."""

COUNTS = 1.0
"""Of values that are known to be counts."""

TRIAL_BUCKETS = 30.0

_SHIFT = 0.375
_ZERO = float(np.sqrt(_SHIFT))


def rooted(x: Numbers, kind: float | Numbers) -> Numbers:
    """Give values as they are modelled; a count below 0 is 0. `kind` may be one for all series."""
    if isinstance(kind, float) and kind != FOUND:
        return x if kind == PLAIN else np.sqrt(np.maximum(x, 0.0) + _SHIFT)
    x = np.where(kind == COUNTS, np.maximum(x, 0.0), x)
    root = np.sqrt(np.abs(x) + _SHIFT)
    # What was found to be whole may fall below 0 later: there the root goes on as its mirror.
    return np.where(kind == PLAIN, x, np.where(x < 0.0, 2.0 * _ZERO - root, root))


def undone(told: Numbers, kind: float | Numbers) -> Numbers:
    """Give what is modelled in the unit of the values, shape (..., m)."""
    if isinstance(kind, float) and kind == PLAIN:
        return told
    root = np.where(kind == PLAIN, _ZERO, np.where(told < _ZERO, 2.0 * _ZERO - told, told))
    value = (root * root - _SHIFT) * np.where(told < _ZERO, -1.0, 1.0)
    value = np.where(kind == COUNTS, np.maximum(value, 0.0), value)
    return np.where(kind == PLAIN, told, value)


def found_wrong(value: Numbers, scalars: Scalars) -> Flags | None:
    """Tell the series whose values turn out not to be whole; None if none can any more."""
    trial = (scalars.counts == FOUND) & (scalars.buckets < TRIAL_BUCKETS)
    if not trial.any():
        return None
    wrong: Flags = trial & ((value != np.rint(value)) | (value < 0.0))
    return wrong
