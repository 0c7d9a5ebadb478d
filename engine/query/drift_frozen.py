"""What the properties of a drift query are compared with: bins of the base rows of one group."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.drift import MEASURES
from engine.drift_bins import Bins, bin_numbers, bin_texts, category_bins, number_bins
from engine.drift_tests import chi2_test, ks_test
from engine.drift_thresholds import Calibration
from engine.query.drift_sides import Part
from engine.query.tree import DriftQuery

__all__ = ["Evaluation", "Frozen", "doubles_of", "frozen_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Values = Sequence[Floats]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What thresholds depend on beside the base: of the rules that they would belong to.

    Attributes
    ----------
    lookback_s, step_s : int
        Length of the window, and from one evaluation to the next.
    version : int
        Of the reference set.
    """

    lookback_s: int = 86_400
    step_s: int = 8_640
    version: int = 1


@dataclass(slots=True)
class Frozen:
    """One property of the base.

    Attributes
    ----------
    ordered : float64 or None
        The values of the base, ascending: of numbers under `HypothesisTest`.
    """

    bins: Bins
    ordered: Floats | None = None
    calibration: Calibration | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)

    def codes(self, column: Any) -> Ints:
        """Give the bin of each value of a column."""
        if self.bins.kind == "number":
            return bin_numbers(self.bins, doubles_of(column)).astype(np.int64)
        return bin_texts(self.bins, column).astype(np.int64)

    def values(self, metric: str, counts: Ints, entries: Values) -> list[float | None]:
        """Compare windows with the base.

        Parameters
        ----------
        counts : int64, shape (m, B)
            Rows of each window by bin.
        entries : sequence of m arrays
            Their values, where `ordered` is there.

        Returns
        -------
        list of float or None
            None is undefined.
        """
        if self.calibration is not None:
            found = [self._threshold(self.calibration, int(n)) for n in counts.sum(axis=1)]
        elif self.ordered is not None:
            ordered = self.ordered
            found = [ks_test(ordered, each) if len(each) else np.nan for each in entries]
        elif metric == "HypothesisTest":
            found = chi2_test(self.bins.reference, counts).tolist()
        else:
            found = MEASURES[metric](self.bins.reference, counts).tolist()
        return [value if np.isfinite(value) else None for value in found]

    def _threshold(self, calibration: Calibration, samples: int) -> float:
        of = self.evaluation
        return calibration.threshold(samples, of.lookback_s, of.step_s)


def frozen_of(
    model_id: str,
    query: DriftQuery,
    kinds: Sequence[str],
    part: Part,
    evaluation: Evaluation,
) -> list[Frozen]:
    """Freeze every property of the base rows of one group."""
    found = []
    for place, (each, kind) in enumerate(zip(query.properties, kinds, strict=True)):
        column, counted = part.values[place], part.counts[place]
        if counted is not None:
            column = column.filter(pa.array(counted))
        if kind == "number":
            bins = number_bins(each.name, doubles_of(column), query.num_bins)
        else:
            bins = category_bins(each.name, column)
        frozen = Frozen(bins, evaluation=evaluation)
        if query.metric == "Thresholds":
            # What a rule on the property draws from: `engine.rules.drifts`.
            seed = f"{model_id}\0{each.name}\0{evaluation.version}"
            codes = frozen.codes(column).astype(np.intp)
            frozen.calibration = Calibration.of(bins, codes, "PSI", seed)
        elif query.metric == "HypothesisTest" and kind == "number":
            values = doubles_of(column)
            frozen.ordered = np.sort(values[~np.isnan(values)])
        found.append(frozen)
    return found


def doubles_of(column: Any) -> Floats:
    """Give a column of numbers, NaN where it is missing."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
