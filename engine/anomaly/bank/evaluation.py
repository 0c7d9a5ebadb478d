"""What a bank says of values, and what it needs to learn them later."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Columns
from engine.anomaly.bank.features import Looks
from engine.anomaly.bank.limiter import Alerts
from engine.anomaly.bank.outlook import Outlook
from engine.anomaly.bank.places import Place, numbers_of
from engine.anomaly.bank.seasons import Parts
from engine.anomaly.bank.surprise import dominant_of
from engine.anomaly.bank.tuning import Tuning

__all__ = ["Evaluation", "Step", "kept_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_Parts = TypeVar("_Parts")


@dataclass(frozen=True, slots=True)
class Step:
    """One bucket of some series on its way into the model; shape (m,) where none is given."""

    columns: Columns
    place: Place
    value: Numbers
    x: Numbers  # as modelled: roots of counts; what is expected where there is no value
    known: Flags
    rest: Numbers  # without the season
    sizes: Numbers  # (2, m): |residuals| of the fast and the slow level
    parts: Parts
    long_mean: Numbers  # with this bucket
    spread: Numbers
    looks: Looks


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How unusual values are.

    Attributes
    ----------
    probabilities : float64, shape (3, m)
        ln p: jointly, by the bucket alone, by the last several buckets; 0 where there is no value.
    outlook : Outlook
        What was expected, in the unit of the values; NaN for series without any value before.
    surprise : float64, shape (3, m)
        Powers of ten, after the discount for what came before; at most about 13.
    surprises : float64, shape (9, m)
        Of each feature, in the order of `engine.anomaly.bank.tuning.FEATURES`, without a cap.
    alerts : Alerts
        What passes the limiter.
    step : Step
        The bank's own, for `learn`.
    tuning : Tuning
    """

    probabilities: Numbers
    outlook: Outlook
    surprise: Numbers
    surprises: Numbers
    alerts: Alerts
    step: Step
    tuning: Tuning

    @property
    def ln_p(self) -> Numbers:
        """Shape (m,): ln of the probability, at most 0, at least that of 2.2e-308."""
        return _row(self.probabilities, 0)

    @property
    def ln_p_single(self) -> Numbers:
        """Shape (m,): by the bucket alone."""
        return _row(self.probabilities, 1)

    @property
    def ln_p_multi(self) -> Numbers:
        """Shape (m,): by the last 12 to 48 buckets together."""
        return _row(self.probabilities, 2)

    @property
    def alert(self) -> Numbers:
        """Shape (m,): powers of ten, 0 while the limiter holds back."""
        return _row(self.alerts.alert, 0)

    def dominant_at(self, places: Codes) -> Codes:
        """Shape (k,): the feature that counts most at some places, by its place in `FEATURES`."""
        return dominant_of(self.surprises[:, places], self.tuning)


def _row(table: Numbers, row: int) -> Numbers:
    found: Numbers = table[row]
    return found


def kept_of(whole: _Parts, kept: Codes) -> _Parts:
    """Give a step, or anything made of arrays (..., m), with some of its places only."""
    if isinstance(whole, np.ndarray):
        return whole.take(kept, axis=-1)  # type: ignore[return-value]  # the same type, shorter
    if isinstance(whole, slice):
        return numbers_of(whole)[kept]  # type: ignore[return-value]  # columns are either
    if is_dataclass(whole) and not isinstance(whole, type):
        parts: dict[str, Any] = {
            each.name: kept_of(getattr(whole, each.name), kept) for each in fields(whole)
        }
        return replace(whole, **parts)
    return whole
