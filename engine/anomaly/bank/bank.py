"""A bank of series: thousands of them advanced by one bucket at once, in numpy.

`Bank.evaluate` says how unusual values are and changes nothing; `Bank.learn` takes in what was
evaluated. What is said of a bucket rests on it and on earlier ones only: no range, length or label
is known in advance. The rooms, in the order of a bucket: seasons (what is expected), scales,
features, exceedances (how surprising each is), novelty, limiter.

All is elementwise along the series: a series' numbers are the same to the last bit whatever other
series stand beside it. So no matrix products, and no sums whose order depends on the shape.

Source: the algorithm of the design's prototype, measured there.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Columns, Scalars, State
from engine.anomaly.bank.evaluation import Evaluation, Step, kept_of
from engine.anomaly.bank.exceedances import forget, learn_exceedances, surprises_of
from engine.anomaly.bank.features import features_of, learn_rings
from engine.anomaly.bank.limiter import alerts_of, learn_alerts, length_discount
from engine.anomaly.bank.novelty import discount_of, learn_novelty
from engine.anomaly.bank.outlook import Outlook, outlook_of
from engine.anomaly.bank.places import Bucket, numbers_of, place_of
from engine.anomaly.bank.roots import COUNTS, FOUND, PLAIN, found_wrong, rooted
from engine.anomaly.bank.runs import RUNS_PRIOR, learn_runs, limit_runs
from engine.anomaly.bank.scales import (
    accept_day,
    accept_week,
    learn_scales,
    roll_slots,
    scales_at,
    spread_with,
    usual_today,
)
from engine.anomaly.bank.seasons import (
    begin,
    learn_levels,
    learn_profiles,
    learn_weights,
    parts_at,
    season_of,
    split_profiles,
    starting,
)
from engine.anomaly.bank.surprise import joined, ln_p_of
from engine.anomaly.bank.tuning import Tuning

__all__ = ["Bank"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LARGEST = 1e300
_MOST_SCALES = 1e270  # so that its share of the least feature is still a double
_YOUNG = 20.0  # buckets without features
_ROUNDING = 1e-5  # scales: what constant series show of their last digit


class Bank:
    """Series of one bucket span, or of several for experiments, numbered from 0.

    Cost: about 1 us a series and bucket from some thousand series on, 8.7 kB a series.

    >>> bank = Bank(span_s=900)
    >>> bank.add(2, counts=False, side=0)
    >>> for start in range(0, 90000, 900):
    ...     bank.learn(bank.evaluate(start, np.array([start % 7.0, 5.0])))
    >>> bank.evaluate(90000, np.array([3.0, 6.0])).outlook.typical.round().tolist()
    [3.0, 5.0]
    """

    def __init__(self, span_s: int, tuning: Tuning | None = None) -> None:
        self.span_s = span_s
        self.tuning = tuning or Tuning()
        self._state = State(int(self._slots_of(np.array([float(span_s)]))[0]))
        self._survey()

    def _slots_of(self, span_s: Numbers) -> Codes:
        most = self.tuning.slots_max
        slots = np.round(86400.0 / (self.tuning.buckets_per_slot * span_s))
        return np.minimum(np.maximum(slots, 4), most).astype(np.int64)

    @property
    def size(self) -> int:
        """Number of series."""
        return self._state.size

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        return self._state.nbytes

    def add(
        self, count: int, *, counts: bool, side: int, span_s: npt.ArrayLike | None = None
    ) -> None:
        """Append series that have seen nothing.

        Parameters
        ----------
        count : int
        counts : bool
            Values are counts, at least 0: their spread grows with their root.
        side : int
            -1 or 1: only what is low or high is unusual; 0: both.
        span_s : array, shape (count,), optional
            Bucket spans; the bank's own when absent.
        """
        spans = np.broadcast_to(np.asarray(self.span_s if span_s is None else span_s, float), count)
        slots = self._slots_of(spans)
        fresh = self._state.add(count, int(slots.max(initial=0)))
        fresh.side[...], fresh.counts[...] = side, COUNTS if counts else FOUND
        fresh.span_s[...], fresh.slots[...] = spans, slots
        _unborn(fresh)
        self._survey()

    def _survey(self) -> None:
        """See what all series share, so that it is not looked up per series."""
        scalars = self._state.scalars(slice(0, self.size))[0]
        slots = np.unique(scalars.slots)
        self._slots = int(slots[0]) if slots.size == 1 else None
        self._sided = bool(scalars.side.any())
        kinds = np.unique(scalars.counts)
        self._kind = float(kinds[0]) if kinds.size == 1 else None

    def evaluate(
        self, start_s: float | Numbers, x: Numbers, rows: Codes | None = None
    ) -> Evaluation:
        """Say how unusual values are; nothing changes.

        Parameters
        ----------
        start_s : float, or float64 of shape (m,)
            Start of the bucket, seconds since the epoch; not before buckets learned.
        x : float64, shape (m,)
            Values; NaN: none. Counted as 1e300 beyond it.
        rows : int64, shape (m,), optional
            Series, which may repeat; None: all.
        """
        bucket, block = self._bucket(start_s, rows)
        value = np.minimum(np.maximum(np.asarray(x, np.float64), -_LARGEST), _LARGEST)
        x = rooted(value, self._kind_of(bucket.scalars))
        known = ~np.isnan(value)
        less, which = None, starting(bucket, known)
        if which is not None:
            bucket = replace(bucket, scalars=Scalars.of(block.copy()))
            less = begin(bucket, x, which)
        scalars, parts = bucket.scalars, parts_at(bucket, less)
        season = season_of(scalars, parts)
        if not known.all():
            x = np.where(known, x, scalars.levels[1] + season)
        rest = x - season
        residuals = rest - scalars.levels
        long_mean, spread = spread_with(scalars, x, self.tuning)
        scales = scales_at(bucket)
        with np.errstate(over="ignore"):
            z = np.minimum(np.maximum(residuals / scales, -_MOST_SCALES), _MOST_SCALES)
        z *= (scalars.buckets >= _YOUNG) & (np.abs(z) > _ROUNDING)
        looks = features_of(bucket, x, residuals, z, scalars.side if self._sided else None)
        step = Step(
            bucket.columns,
            bucket.place,
            value,
            x,
            known,
            rest,
            np.abs(residuals),
            parts,
            long_mean,
            spread,
            looks,
        )
        return self._judged(bucket, step, season, scales[1])

    def _bucket(self, start_s: float | Numbers, rows: Codes | None) -> tuple[Bucket, Numbers]:
        columns: Columns = slice(0, self.size) if rows is None else rows
        scalars, block = self._state.scalars(columns)
        place = place_of(start_s, scalars, self._slots)
        return Bucket(scalars, self._state.tables, columns, place, self.tuning), block

    def _kind_of(self, scalars: Scalars) -> float | Numbers:
        return scalars.counts if self._kind is None else self._kind

    def _judged(self, bucket: Bucket, step: Step, season: Numbers, scale: Numbers) -> Evaluation:
        scalars, tuning, looks = bucket.scalars, self.tuning, step.looks
        surprises = surprises_of(bucket, looks, step.known)
        limit_runs(surprises[8], scalars, looks.run)
        surprise, beyond = joined(surprises, tuning)
        surprise *= step.known
        length = length_discount(scalars, tuning)
        # Below, p is above .05, which is never told, and no alert either.
        hot = (surprise[0] > 1.0 + np.minimum(length, 0.0)).nonzero()[0]
        if hot.size:
            usual = usual_today(bucket, hot)
            excused = step.sizes[:, hot] <= tuning.excuse * usual
            surprises[:3, hot] *= ~excused[[0, 1, 1]]
            least, beyond[:, hot] = joined(surprises[:, hot], tuning)
            off = discount_of(bucket, looks.descriptors, hot)
            surprise[:, hot] = np.maximum(least - off, 0.0)
        alerts = alerts_of(scalars, surprise, length, tuning)
        return Evaluation(
            probabilities=ln_p_of(alerts.alert, beyond, tuning),
            outlook=outlook_of(
                bucket.scalars, season, scale, tuning, self._kind_of(bucket.scalars)
            ),
            surprise=surprise,
            surprises=surprises,
            alerts=alerts,
            step=step,
            tuning=tuning,
        )

    def learn(self, evaluation: Evaluation, keep: Flags | None = None) -> None:
        """Take in what was evaluated, before anything else of these series is learned.

        Parameters
        ----------
        evaluation : Evaluation
            Of series that do not repeat.
        keep : bool, shape (m,), optional
            False: as if there had been no value.
        """
        step = evaluation.step
        kept = step.known if keep is None else step.known & keep
        wrong = self._found_wrong(step, kept)
        if wrong is not None:
            kept = kept & ~wrong
        surprise, alerts = evaluation.surprise[0], evaluation.alerts
        if not kept.all():
            places = np.flatnonzero(kept)
            step, surprise = kept_of(step, places), kept_of(surprise, places)
            alerts = kept_of(alerts, places)
        if step.x.size:
            scalars, block = self._state.scalars(step.columns)
            bucket = Bucket(scalars, self._state.tables, step.columns, step.place, self.tuning)
            _learn_model(bucket, step)
            learn_novelty(bucket, step.looks.descriptors)
            learn_alerts(scalars, surprise, alerts)
            self._state.write(step.columns, block)
        if wrong is not None:
            self._start_plain(kept_of(evaluation.step, np.flatnonzero(wrong)))

    def _found_wrong(self, step: Step, kept: Flags) -> Flags | None:
        if self._kind in {PLAIN, COUNTS}:
            return None
        wrong = found_wrong(step.value, self._state.scalars(step.columns)[0])
        if wrong is None:
            return None
        wrong &= kept
        return wrong if wrong.any() else None

    def _start_plain(self, step: Step) -> None:
        """Start series anew whose values were thought to be whole."""
        numbers = numbers_of(step.columns)
        self._state.clear(numbers)
        scalars, block = self._state.scalars(numbers)
        scalars.counts[...] = PLAIN
        _unborn(scalars)
        self._state.write(numbers, block)
        self._survey()
        self.learn(self.evaluate(step.place.start_s, step.value, numbers))

    def expected(self, start_s: float, rows: Codes | None = None) -> Outlook:
        """Give what is expected of a bucket that starts then, now or later.

        The band widens with the buckets since the last value: levels wander.
        """
        bucket, _ = self._bucket(start_s, rows)
        scalars = bucket.scalars
        scale = scales_at(bucket)[1]
        ahead = np.maximum((start_s - scalars.seen_s) / scalars.span_s - 1.0, 0.0)
        scale *= np.sqrt(1.0 + ahead / self.tuning.level_buckets)
        season = season_of(scalars, parts_at(bucket))
        return outlook_of(scalars, season, scale, self.tuning, self._kind_of(scalars))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays, series along the last axis or the first."""
        return self._state.to_arrays()

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], span_s: int, tuning: Tuning | None = None
    ) -> Self:
        """Make the bank of what `to_arrays` gave, equal to the last bit.

        Raises
        ------
        StoreError
            If an array is missing or has another shape or type.
        """
        bank = cls(span_s, tuning)
        bank._state = State.of_arrays(arrays)
        bank._survey()
        return bank


def _unborn(scalars: Scalars) -> None:
    """Set what is not 0 before the first value."""
    scalars.slot[...], scalars.usual_size[...], scalars.alerted[...] = -1.0, 1.0, -1e9
    scalars.runs_same[...], scalars.runs_all[...] = RUNS_PRIOR


def _learn_model(bucket: Bucket, step: Step) -> None:
    scalars, x = bucket.scalars, step.x
    which = starting(bucket, step.known)
    if which is not None:
        less = begin(bucket, x, which)
        split_profiles(bucket, less, which[1])
    scalars.buckets += 1.0
    scalars.seen_s[...] = bucket.place.start_s
    scalars.long_mean[...], scalars.spread[...] = step.long_mean, step.spread
    learn_scales(bucket, step.sizes)
    roll_slots(bucket, step.sizes)
    day, week = learn_weights(bucket, step.parts, x)
    changed = (day | week).nonzero()[0]
    if changed.size:
        accept_day(bucket, np.flatnonzero(day))
        accept_week(bucket, np.flatnonzero(week))
        forget(bucket, changed)
    learn_profiles(bucket, step.parts, x)
    learn_levels(bucket, step.parts, x, step.rest)
    learn_rings(bucket, step.looks)
    learn_runs(scalars, x, step.looks)
    learn_exceedances(bucket, step.looks.features)
