"""How often a series keeps its value, and how surprising it is that it does so for long."""

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Scalars
from engine.anomaly.bank.features import Looks

__all__ = ["RUNS_PRIOR", "learn_runs", "limit_runs"]

Numbers = npt.NDArray[np.float64]

RUNS_PRIOR = (5.0, 10.0)
"""Before the first value: as if it had stayed the same five times in ten."""

_DECAY = 1.0 - 1.0 / 2000.0  # per bucket
_LEAST_RUN, _MOST = 6.0, 9.0


def limit_runs(surprise: Numbers, scalars: Scalars, run: Numbers) -> None:
    """Cap the surprise of unchanged values by their frequency, in place; 0 for short runs."""
    long = (run >= _LEAST_RUN).nonzero()[0]
    limited = surprise[long]
    surprise[...] = 0.0
    if long.size:
        # Counts are frozen during a run, which would else excuse itself.
        share = scalars.runs_same[long] / scalars.runs_all[long]
        power = -np.log10(np.minimum(np.maximum(share, 1e-3), 0.999))
        limited = np.minimum(np.minimum(limited, run[long] * power), _MOST)
        # What has never changed cannot surprise by not changing.
        says = (scalars.side[long] == 0.0) & (scalars.runs_all[long] > RUNS_PRIOR[1])
        surprise[long] = np.where(says, limited, 0.0)


def learn_runs(scalars: Scalars, x: Numbers, looks: Looks) -> None:
    """Count a run when it ends; `scalars.buckets` counts the bucket already."""
    ended = (looks.run == 0.0) & (scalars.buckets > 1.0)
    decay = np.full(x.size, _DECAY)
    long = (ended & (scalars.run > 0.0)).nonzero()[0]
    if long.size:
        decay[long] = np.power(_DECAY, scalars.run[long] + 1.0)
    same = scalars.runs_same * decay + scalars.run
    np.copyto(scalars.runs_same, same, where=ended)
    np.copyto(scalars.runs_all, scalars.runs_all * decay + scalars.run + 1.0, where=ended)
    scalars.run[...] = looks.run
    scalars.last_x[...] = x
