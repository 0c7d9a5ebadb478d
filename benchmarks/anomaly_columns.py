"""Advances many series at once, as an anomaly job does one by one: bucket values to scores.

Each series has a clock and a span of its own, so the columns of one bank may be files that have
nothing to do with each other; the n-th step takes the n-th bucket of each. The scores are those
that a job with one detector would write as `initial_anomaly_score` of its buckets: the probability
of the one record is that of the bucket (contracts.md ELi-09), and each series has a history.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank import Bank
from engine.anomaly.scores.normalizer import STANDARD, History, Normalizer
from engine.anomaly.scores.raw_score import probability, raw_score

__all__ = ["Advance", "Series", "ln_p_of", "new_bank", "normalized", "scores_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Judges the next bucket of some rows of a bank, and learns it: starts, values, rows to ln p.
Advance = Callable[[Codes, Numbers, Codes], Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The buckets of one series, in order of time.

    Attributes
    ----------
    name : str
    span_s : int
    starts_s : int64, shape (n,)
        Whole multiples of the span, rising; every bucket, empty ones too.
    values : float64, shape (n,)
        NaN in an empty bucket.
    counts : bool
        Whether the job is asked for counts of events, not for a metric.
    """

    name: str
    span_s: int
    starts_s: Codes
    values: Numbers
    counts: bool = False


def new_bank(series: Sequence[Series]) -> Advance:
    """Make the engine's bank with a row for each series."""
    bank = Bank(series[0].span_s)
    for one in series:
        bank.add(1, counts=one.counts, side=0, span_s=np.array([one.span_s]))

    def advance(starts_s: Codes, values: Numbers, rows: Codes) -> Numbers:
        found = bank.evaluate(starts_s.astype(np.float64), values, rows)
        bank.learn(found)
        return np.asarray(found.ln_p)

    return advance


def ln_p_of(
    series: Sequence[Series], make: Callable[[Sequence[Series]], Advance] = new_bank
) -> list[Numbers]:
    """Give ln p of every bucket of every series, 0 in empty ones."""
    steps = max((len(one.values) for one in series), default=0)
    lengths = np.array([len(one.values) for one in series])
    starts = np.zeros((steps, len(series)), np.int64)
    values = np.full((steps, len(series)), np.nan)
    for column, one in enumerate(series):
        starts[: len(one.values), column] = one.starts_s
        values[: len(one.values), column] = one.values
    found = np.zeros((steps, len(series)))
    advance = make(series)
    for step in range(steps):
        rows = np.flatnonzero(lengths > step)
        found[step, rows] = advance(starts[step, rows], values[step, rows], rows)
    return [found[:length, column] for column, length in enumerate(lengths.tolist())]


def normalized(series: Series, ln_p: Numbers, by: Normalizer = STANDARD) -> Numbers:
    """Give the initial scores of a series' buckets, each by what was seen up to it."""
    raw = raw_score(probability(ln_p))
    scores = np.zeros(raw.shape)
    history, scope = History(), np.zeros(1, np.int64)
    for place, start_s in enumerate(series.starts_s.tolist()):
        one = raw[place : place + 1]
        history, _ = by.update(history, start_s, series.span_s, one, scope)
        if one[0] > 0.0:
            scores[place] = by.score(history, one, scope)[0][0]
    return scores


def scores_of(
    series: Sequence[Series], make: Callable[[Sequence[Series]], Advance] = new_bank
) -> list[Numbers]:
    """Give the scores of every bucket of every series, 0 to 100."""
    return [normalized(one, ln_p) for one, ln_p in zip(series, ln_p_of(series, make), strict=True)]
