"""The model of counts and metrics: each series against its own past, in one bank.

A series' number in the detector is its row in the bank. Functions with `zero` have a value in every
bucket from the first of their series on; the others are silent without rows, and learn nothing.
While the whole stream is silent only a count without a split says something: that it is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank import Bank
from engine.anomaly.bank.evaluation import Evaluation
from engine.anomaly.bank.outlook import Outlook
from engine.anomaly.bank.tuning import FEATURES
from engine.anomaly.functions import Function
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.values import Expected, Judgement, Values

__all__ = ["SeriesModel"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_NAMES: Final = np.array([*FEATURES, "dip"], np.object_)
_SPIKE, _DIP = 0, len(FEATURES)
_BANK = "bank."


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was judged: k series of the bank, then those that are new to it."""

    start_s: int
    completeness: float | None
    evaluation: Evaluation | None
    old: int
    new_values: Numbers


class SeriesModel:
    """A bank for one measure of a detector.

    Parameters
    ----------
    span_s : int
    function : Function
        Its side, and what its values are.
    split : bool
        Whether the detector has several series (a by or partition field).
    """

    def __init__(self, span_s: int, function: Function, *, split: bool) -> None:
        self._function = function
        self._split = split
        self._bank = Bank(span_s)
        self._streaks = Streaks()

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how unusual the values of a bucket are; see `engine.anomaly.values.Model`.

        Of an interim bucket `actual` is what was measured so far; its probability is that of what
        the bucket may come to.
        """
        series, value = self._told(values)
        old = int(np.searchsorted(series, self._bank.size))
        evaluation = None
        if old:
            rows = None if old == self._bank.size else series[:old]
            x = self._completed(value[:old], rows, values.start_s, completeness)
            evaluation = self._bank.evaluate(values.start_s, x, rows)
        scratch = _Judged(values.start_s, completeness, evaluation, old, value[old:])
        return self._judgement(values, series, value, scratch)

    def _told(self, values: Values) -> tuple[Codes, Numbers]:
        """Give the series that say something, rising, and what."""
        alone = self._function.zero and not self._split
        if values.gap and not alone:
            return np.zeros(0, np.int64), np.zeros(0)
        if not self._function.zero:
            has = ~np.isnan(values.value)
            return values.series[has], values.value[has]
        size = 1 if alone else self._bank.size
        there = values.series[values.series >= size]
        series = np.concatenate([np.arange(size), there])
        value = np.zeros(series.size)
        value[np.searchsorted(series, values.series)] = np.nan_to_num(values.value)
        return series, value

    def _completed(
        self, value: Numbers, rows: Codes | None, start_s: int, completeness: float | None
    ) -> Numbers:
        """Move counts and sums towards what is expected, by at most what the rest may bring."""
        adds = self._function.counts or "sum" in self._function.bases
        if completeness is None or not adds:
            return value
        typical = self._bank.expected(start_s, rows).typical
        rest = (1.0 - completeness) * typical
        move = np.minimum(np.maximum(typical - value, np.minimum(rest, 0.0)), np.maximum(rest, 0.0))
        return np.where(np.isnan(typical), value, value + move)

    def _judgement(
        self, values: Values, series: Codes, value: Numbers, scratch: _Judged
    ) -> Judgement:
        new, found = series.size - scratch.old, scratch.evaluation
        outlook = _outlook(found)
        ln_p = _with_new(None if found is None else found.probabilities, new, 0.0, (3,))
        told = np.stack([outlook.typical, outlook.lower, outlook.upper, outlook.season])
        typical, lower, upper, season = _with_new(told, new, np.nan, (4,))
        span_s = self._bank.span_s
        return Judgement(
            series=series,
            ln_p=ln_p[0],
            ln_p_single=ln_p[1],
            ln_p_multi=ln_p[2],
            actual=value,
            typical=typical,
            lower=lower,
            upper=upper,
            season=season,
            length=self._streaks.with_bucket(series, ln_p[0], values.start_s, span_s),
            first=(np.arange(series.size) >= scratch.old) & self._split,
            more={"feature": _features(found, value < typical)},
            scratch=scratch,
        )

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn a closed bucket; see `engine.anomaly.values.Model`."""
        scratch: _Judged = judgement.scratch
        if scratch.evaluation is not None:
            self._bank.learn(scratch.evaluation, keep[: scratch.old])
        wanted = max(int(judgement.series.max(initial=-1)) + 1, len(values.keys))
        if wanted > self._bank.size:
            counts, side = self._function.counts, self._function.side
            self._bank.add(wanted - self._bank.size, counts=counts, side=side)
        new = judgement.series[scratch.old :]
        if new.size:
            first = self._bank.evaluate(scratch.start_s, scratch.new_values, new)
            self._bank.learn(first, keep[scratch.old :])
        self._streaks.learn(judgement.series, judgement.length, scratch.start_s)

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p had values been others; see `engine.anomaly.values.Model`."""
        scratch: _Judged = judgement.scratch
        ln_p = np.zeros(places.size)
        old = places < scratch.old
        if old.any():
            rows = judgement.series[places[old]]
            x = self._completed(values[old], rows, scratch.start_s, scratch.completeness)
            ln_p[old] = self._bank.evaluate(scratch.start_s, x, rows).ln_p
        return ln_p

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give what is expected of a bucket that starts then; NaN of series never seen."""
        told = np.full((4, series.size), np.nan)
        old = series < self._bank.size
        found = self._bank.expected(start_s, series[old])
        told[:, old] = found.typical, found.lower, found.upper, found.season
        return Expected(*told)

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        return self._bank.nbytes + self._streaks.nbytes

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        bank = {_BANK + name: array for name, array in self._bank.to_arrays().items()}
        return bank | self._streaks.to_arrays()

    @classmethod
    def of_arrays(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        span_s: int,
        function: Function,
        *,
        split: bool,
    ) -> Self:
        """Make the model of what `to_arrays` gave, of the same detector, equal to the last bit.

        Raises
        ------
        StoreError
            If an array is missing or has another shape or type.
        """
        model = cls(span_s, function, split=split)
        bank = {
            name.removeprefix(_BANK): array
            for name, array in arrays.items()
            if name.startswith(_BANK)
        }
        model._bank = Bank.of_arrays(bank, span_s)
        model._streaks = Streaks.of_arrays(arrays)
        return model


def _outlook(found: Evaluation | None) -> Outlook:
    nothing = np.zeros(0)
    return found.outlook if found is not None else Outlook(nothing, nothing, nothing, nothing)


def _with_new(old: Numbers | None, new: int, filling: float, rows: tuple[int, ...]) -> Numbers:
    """Append places of series that are new to the bank, of which nothing is known."""
    fresh = np.full((*rows, new), filling)
    return fresh if old is None else np.concatenate([old, fresh], axis=-1)


def _features(found: Evaluation | None, low: Flags) -> npt.NDArray[np.object_]:
    """Name what was most unusual of each series, None where nothing was."""
    names = np.full(low.size, None, np.object_)
    if found is not None:
        unusual = np.flatnonzero(found.ln_p < 0.0)
        place = found.dominant_at(unusual)
        names[unusual] = _NAMES[np.where((place == _SPIKE) & low[unusual], _DIP, place)]
    return names
