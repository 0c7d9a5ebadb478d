"""What each watcher saw: a row per boundary at which its value, count or coverage changed.

A watcher is one rule on one series: a model, or one group of it. Rows come from the windows of the
metric, from those of the label coverage, and where a watcher starts or its warm-up ends; between
two rows everything stays as it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Observed", "Seen", "observed"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows of one kind, in any order; no (watcher, time) comes twice.

    Attributes
    ----------
    watcher, time_s : int64, shape (n,)
    value : float64, shape (n,), or None
        NaN: undefined. None: these rows tell nothing of the value.
    samples : int64, shape (n,), or None
    coverage, threshold : float64, shape (n,), or None
    """

    watcher: Ints
    time_s: Ints
    value: Floats | None = None
    samples: Ints | None = None
    coverage: Floats | None = None
    threshold: Floats | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What holds from each row's time on, sorted by watcher, then time; shape (m,) each."""

    watcher: Ints
    time_s: Ints
    value: Floats
    samples: Ints
    coverage: Floats
    threshold: Floats


def observed(parts: list[Seen], before: Observed) -> Observed:
    """Join rows of several kinds and carry forward what a row does not tell.

    Parameters
    ----------
    parts : list of Seen
    before : Observed
        Of every watcher, in order of its number, what held before.
    """
    watcher = np.concatenate([part.watcher for part in parts])
    time_s = np.concatenate([part.time_s for part in parts])
    order = np.lexsort((time_s, watcher))
    watcher, time_s = watcher[order], time_s[order]
    new = np.append(True, (watcher[1:] != watcher[:-1]) | (time_s[1:] != time_s[:-1]))
    row = np.cumsum(new) - 1
    starts = np.flatnonzero(new) if len(watcher) else np.zeros(0, np.int64)
    who, when = watcher[starts], time_s[starts]
    place = np.empty(len(order), np.int64)
    place[order] = row[: len(order)]
    columns = [
        _carried(name, parts, place, who, before)
        for name in ("value", "samples", "coverage", "threshold")
    ]
    return Observed(who, when, *columns)


def _carried(name: str, parts: list[Seen], place: Ints, who: Ints, before: Observed) -> Any:
    column = getattr(before, name)[who]
    told = np.zeros(len(who), np.bool_)
    at = 0
    for part in parts:
        size = len(part.watcher)
        values = getattr(part, name)
        if values is not None:
            column[place[at : at + size]] = values
            told[place[at : at + size]] = True
        at += size
    # A row that tells nothing takes the last one of its watcher that does, else what was before.
    last = np.maximum.accumulate(np.where(told, np.arange(len(who)), -1))
    known = last >= 0
    known[known] = who[last[known]] == who[known]
    column[known] = column[last[known]]
    return column
