"""One alert at a time: after one, for a while, only what is clearly larger is told.

Without it every long disturbance alerts in each of its buckets (on the Numenta benchmark the
score falls from 77 to 48).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Scalars
from engine.anomaly.bank.tuning import Tuning

__all__ = ["Alerts", "alerts_of", "learn_alerts", "length_discount"]

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Alerts:
    """What passes.

    Attributes
    ----------
    alert : float64, shape (3, m)
        Powers of ten: jointly, by the bucket alone, by several buckets; 0 where held back.
    fired : bool, shape (m,)
    rested : bool, shape (m,)
        The last alert is long ago.
    """

    alert: Numbers
    fired: Flags
    rested: Flags


def length_discount(scalars: Scalars, tuning: Tuning) -> Numbers:
    """Give the powers of ten to take off: the longer a history the more often chance had a turn."""
    return tuning.length_discount * (np.log10(scalars.buckets + 1.0) - 3.0)


def alerts_of(scalars: Scalars, surprise: Numbers, length: Numbers, tuning: Tuning) -> Alerts:
    """Let surprises pass, shape (3, m), less their `length_discount`; the first row decides."""
    wait = tuning.refractory_share * scalars.buckets
    wait = np.minimum(np.maximum(wait, tuning.refractory_min), tuning.refractory_max)
    rested = scalars.buckets + 1.0 - scalars.alerted > wait
    fired = surprise[0] > np.where(rested, 0.0, scalars.bar * tuning.patience)
    return Alerts(np.maximum(surprise - length, 0.0) * (fired & (surprise > 0.0)), fired, rested)


def learn_alerts(scalars: Scalars, surprise: Numbers, alerts: Alerts) -> None:
    """Remember the alert; `scalars.buckets` counts the bucket already."""
    told = alerts.fired & (surprise > 1.0)
    np.copyto(scalars.bar, 0.0, where=alerts.rested)
    np.copyto(scalars.bar, surprise, where=told)
    np.copyto(scalars.alerted, scalars.buckets, where=told)
