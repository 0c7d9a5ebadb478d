"""How often sizes as large as one were seen before: decayed histograms with a Pareto tail.

One row per group, and bins that each are 6 % wide, so that the bulk is empirical and a row holds
any number of values::

    up to the 12th largest   p = (sizes in this bin or above + .5) / (n + 1)
    beyond it                p ~ (size / 12th largest)^(-1/.3), and
    at the least             a third of what the rank says, falling as the power 1/.6 beyond the
                             largest size ever seen

so that a heavy tail, once seen, is not unusual for ever, and a record still is.
Source: step 6 of the design's prototype (its 32 largest values, here as bins, which neither
overflow with thousands of values a bucket nor have to be capped in n).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import grown

__all__ = ["Magnitudes", "decay_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_PER_OCTAVE, _LEAST, _BINS = 12, 2.0**-3, 192  # from 1/8 to 8,192
_EDGES = _LEAST * 2.0 ** (np.arange(_BINS + 1) / _PER_OCTAVE)
_TAIL_RANK, _TAIL_INDEX = 12.0, 0.3
_RANK_SLACK, _RECORD_INDEX = 1.0 / 3.0, 0.6
_YOUNG = 30.0  # values; before, nothing is unusual
_HALF_LIFE_BUCKETS, _HALF_LIFE_S = 2000.0, 30 * 86400.0


def decay_of(span_s: int) -> float:
    """Give what a bucket leaves of the weight of the past: half in 30 days or 2,000 buckets.

    The longer of both: a month so that weeks are compared with weeks, and the buckets because
    from n of them no probability below 1/n can be learned.

    >>> round(decay_of(3600) ** 2000, 9)
    0.5
    """
    return float(0.5 ** (1.0 / max(_HALF_LIFE_BUCKETS, _HALF_LIFE_S / span_s)))


class Magnitudes:
    """Sizes seen, per row.

    Parameters
    ----------
    counts : float64, shape (rows, bins), optional
        Decayed numbers of sizes.
    total : float64, shape (rows,), optional
        Their sums.
    """

    def __init__(self, counts: Numbers | None = None, total: Numbers | None = None) -> None:
        self.counts = np.zeros((0, _BINS)) if counts is None else counts
        self.total = np.zeros(0) if total is None else total

    def grow(self, rows: int) -> None:
        """Make room for so many rows."""
        self.counts, self.total = grown(self.counts, rows), grown(self.total, rows)

    def surprise(self, rows: Codes, sizes: Numbers, slack: int = 0) -> Numbers:
        """Give -log10 p of a size at least that large.

        Parameters
        ----------
        rows : int64, shape (m,)
            Beyond the rows there are: nothing was seen.
        sizes : float64, shape (m,)
            At least 0, no NaN.
        slack : int
            Bins below that count as large as well, where sizes creep.

        Returns
        -------
        float64, shape (m,)
            At least 0; 0 for rows with fewer than 30 values.
        """
        answer = np.zeros(len(rows))
        at = self._old(rows)
        if at.size:
            distinct, place = np.unique(rows[at], return_inverse=True)
            answer[at] = self._surprise(distinct, place, sizes[at], slack)
        return answer

    def _old(self, rows: Codes) -> Codes:
        at = np.flatnonzero(rows < len(self.total))
        return at[self.total[rows[at]] >= _YOUNG]

    def _surprise(self, rows: Codes, place: Codes, sizes: Numbers, slack: int) -> Numbers:
        above, n = self._above(rows), self.total[rows] + 1.0
        bins = np.maximum(_bin_of(sizes) - slack, 0)
        by_rank = np.log10(n[place] / (above[place, bins] + 0.5))
        anchor = (above >= _TAIL_RANK).sum(axis=1)  # the first bin above the 12th largest
        anchored = above[np.arange(len(rows)), np.maximum(anchor - 1, 0)]
        beyond = np.maximum(sizes / _EDGES[anchor][place], 1.0)
        pareto = np.log10(n / anchored)[place] + np.log10(beyond) / _TAIL_INDEX
        largest = _EDGES[(above >= 0.5).sum(axis=1)]
        record = np.log10(np.maximum(sizes / largest[place], 1.0)) / _RECORD_INDEX
        limit = by_rank - np.log10(_RANK_SLACK) + record
        in_tail = bins >= anchor[place]
        return np.maximum(np.where(in_tail, np.minimum(pareto, limit), by_rank), 0.0)

    def _above(self, rows: Codes) -> Numbers:
        """Give how many sizes lie in each bin or above it."""
        return np.cumsum(self.counts[rows][:, ::-1], axis=1)[:, ::-1]

    def bound(self, rows: Codes, share: float) -> Numbers:
        """Give the size that this share of the sizes seen, and half a value, exceeds; shape (m,).

        NaN for rows with fewer than 30 values.
        """
        answer = np.full(len(rows), np.nan)
        at = self._old(rows)
        if at.size:
            distinct, place = np.unique(rows[at], return_inverse=True)
            many = self._above(distinct) > share * self.total[distinct][:, None] + 0.5
            answer[at] = _EDGES[many.sum(axis=1)][place]
        return answer

    def learn(self, rows: Codes, sizes: Numbers, decay: float) -> None:
        """Let the rows' past fade once each, and add sizes to it.

        Parameters
        ----------
        rows : int64, shape (m,)
            Within the rows there are; may repeat.
        sizes : float64, shape (m,)
        decay : float
        """
        distinct = np.unique(rows)
        self.counts[distinct] *= decay
        self.total[distinct] *= decay
        np.add.at(self.counts, (rows, _bin_of(sizes)), 1.0)
        np.add.at(self.total, rows, 1.0)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.counts.nbytes + self.total.nbytes

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Give the state, its names beginning with `prefix`."""
        return {f"{prefix}.counts": self.counts.copy(), f"{prefix}.total": self.total.copy()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Make the memory of what `to_arrays` gave."""
        return cls(*(np.array(arrays[f"{prefix}.{name}"]) for name in ("counts", "total")))


def _bin_of(sizes: Numbers) -> Codes:
    octaves = np.log2(np.maximum(sizes, _LEAST) / _LEAST)
    bins = np.minimum(np.floor(octaves * _PER_OCTAVE), _BINS - 1)
    return np.asarray(bins, np.int64)
