"""What a detector measures in one bucket, and what a model of its series says of it.

The values of a bucket come from `engine.anomaly.gather`, the models take them, and
`engine.anomaly.scoring` makes probabilities, scores and rows of what they say. Series are numbered
per detector: a registry knows their names (by, over, partition). Numbers are given when a bucket
closes, new names in text order, so that they do not depend on how the stream was cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Expected", "Judgement", "Keys", "Model", "Values"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of series by their numbers; shape (series,) each, of str or None."""

    by: npt.NDArray[np.object_]
    over: npt.NDArray[np.object_]
    partition: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.by)


@dataclass(frozen=True, slots=True)
class Values:
    """One measure of one detector in one bucket.

    Attributes
    ----------
    start_s, span_s : int
        The bucket, whole seconds.
    keys : Keys
        All series of the detector so far, those of this bucket included.
    series : int64, shape (n,)
        Numbers of the series that have rows in this bucket, rising.
    value : float64, shape (n,)
        NaN where the rows have no value.
    count : int64, shape (n,)
        Rows of each.
    gap : bool
        The whole stream of the job is silent in this bucket: nothing is known of the series.
    """

    start_s: int
    span_s: int
    keys: Keys
    series: Codes
    value: Numbers
    count: Codes
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model says of m series in one bucket, those that say something.

    Attributes
    ----------
    series : int64, shape (m,)
        Numbers, rising; also of series without rows where their absence is a value.
    ln_p : float64, shape (m,)
        Logarithm of the probability of something at least as unusual, at most 0.
    ln_p_single, ln_p_multi : float64, shape (m,)
        The same by the bucket alone, and by the last several buckets together.
    actual, typical, lower, upper : float64, shape (m,)
        In the unit of the values; `lower` and `upper` bound what is usual; NaN where unknown.
    season : float64, shape (m,)
        What the time of day and week adds to the level, in that unit; NaN where unknown.
    length : int64, shape (m,)
        Buckets in a row, this one included, that were unusual (p < .05).
    first : bool, shape (m,)
        The name (by, over or partition) was never seen before.
    more : mapping of str to array, shape (m,)
        Further facts for the explanation, by name; None or NaN where they do not apply.
    scratch : object
        The model's own, for `learn`.
    """

    series: Codes
    ln_p: Numbers
    ln_p_single: Numbers
    ln_p_multi: Numbers
    actual: Numbers
    typical: Numbers
    lower: Numbers
    upper: Numbers
    season: Numbers
    length: Codes
    first: Flags
    more: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    scratch: Any = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model expects of some series at some time: shape (k,) each."""

    typical: Numbers
    lower: Numbers
    upper: Numbers
    season: Numbers


class Model(Protocol):
    """A model of all series of one measure of a detector. `judge` and `without` change nothing.

    One that says nothing of a bucket in a gap says nothing of the buckets that follow in it, and
    learns nothing of any of them: it is not asked again.
    """

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how unusual the values of a bucket are.

        Parameters
        ----------
        values : Values
        completeness : float, optional
            Share of the bucket that has passed, for interim results: counts and sums are moved
            towards what is expected, by at most what the rest of the bucket is expected to bring.
        """
        ...

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn a closed bucket, once, right after it was judged.

        Parameters
        ----------
        keep : bool, shape (m,)
            Of the series judged: False where nothing is to be learned from the value; the time of
            the series goes on.
        """
        ...

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p of judged series, had their values been others; before `learn`.

        Parameters
        ----------
        places : int64, shape (k,)
            Places in the judgement, not series numbers; may repeat.
        values : float64, shape (k,)
            NaN: no value at all, which is p = 1.
        """
        ...

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give what is expected of a bucket that starts then, now or later."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        ...
