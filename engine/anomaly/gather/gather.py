"""From the weighted rows of a job to the values of its buckets.

A row counts in the bucket of its time if it came before the bucket closed, else it is late. Pending
buckets keep sums where sums are enough, else single entries, apart by the interim step at which the
rows came. What is told of a bucket does not depend on how the stream was cut, to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.anomaly.definition import Job, names_for
from engine.anomaly.gather.cells import Cells, Table
from engine.anomaly.gather.coding import Coded
from engine.anomaly.gather.fields import Fields
from engine.anomaly.gather.measured import Measured, Part, values_of
from engine.anomaly.gather.pending import Pending, Rows
from engine.anomaly.gather.recipe import recipe_of
from engine.anomaly.gather.registry import Registries
from engine.anomaly.values import Keys, Values
from engine.config import ModelSettings
from engine.numbering import added, numbered
from engine.rules.reader import Read
from engine.rules.rowset import RowColumns
from engine.watermark import NEVER

__all__ = ["Gathering", "Late"]

Ints = npt.NDArray[np.int64]

_SECOND_US = 1_000_000
_ARRIVAL = "r.arrival_us"
_NO_TIME = pa.scalar(NEVER, pa.int64())
_STORED_US = -(1 << 62)  # where rows of the store count as if all of them came in time


@dataclass(frozen=True, slots=True)
class Late:
    """Rows that came after their bucket had closed.

    Attributes
    ----------
    start_s : int64, shape (n,)
        Their buckets, distinct and rising.
    events : int64, shape (n,)
        Sum of their weights, which may be 0.
    """

    start_s: Ints
    events: Ints


class Gathering:
    """Gathers the pending buckets of one job.

    Parameters
    ----------
    job : Job
    columns : RowColumns
        Of the rows that will be given; learns what they must have.
    model : ModelSettings or None
        The model of the job.
    limit : int
        How many series the detectors may have together.

    Attributes
    ----------
    registries : Registries
        Names and numbers of the series.
    wanted : mapping of str to mapping
        SQL that `read_rows` must read, with its parameters.
    latest_us : int
        The greatest time of a row so far, µs, or NEVER: the time of a job with a clock of its own.

    Raises
    ------
    QueryError
        A field or a filter is off.
    """

    def __init__(
        self, job: Job, columns: RowColumns, model: ModelSettings | None, *, limit: int
    ) -> None:
        self.job = job
        self.registries = Registries(len(job.detectors), limit)
        place = f"anomaly_jobs.{job.job_id}"
        fields = Fields(columns, names_for(model), every=job.reads_labels)
        by_label = job.time_basis == "label"
        moment = columns.moment(job.truths, label_basis=by_label)
        self._moment = fields.read(f"epoch_us({moment})")
        fields.read(_ARRIVAL)
        conditions = [fields.condition(job.settings.filter, f"{place}.filter")]
        if by_label:
            conditions.append(fields.read(columns.present(job.truths)))
        elif not job.reads_labels:
            conditions.append(fields.read("r.changed"))
        self._conditions = [each for each in conditions if each != "true"]
        influencers = {
            name: fields.read(fields.text(name, f"{place}.influencers")) for name in job.influencers
        }
        self._pending = [
            Pending(
                each,
                recipe_of(each, fields, f"{place}.detectors[{each.index}]"),
                {n: sql for n, sql in influencers.items() if n not in each.influencers},
            )
            for each in job.detectors
        ]
        self.wanted: Mapping[str, Mapping[str, object]] = fields.wanted
        self._events = Table(2, 1, 0, netted=True)
        self._numbers = [np.zeros(0, np.int64) for _ in job.detectors]
        self._open_s: int | None = None
        self.latest_us: int = NEVER

    # ---- what is stored ---------------------------------------------------------------------

    def to_json(self) -> str:
        """Give the registries as JSON."""
        return self.registries.to_json()

    def load(self, told: str) -> None:
        """Go on with the registries that `to_json` gave; before the first bucket closes."""
        self.registries = Registries.of_json(told, self.registries.limit)
        self._numbers = [np.zeros(0, np.int64) for _ in self.job.detectors]

    # ---- rows -------------------------------------------------------------------------------

    def begin(self, start_s: int) -> None:
        """Set the first bucket that is open: rows before it are late."""
        self._open_s = start_s

    def take(self, read: Read, rows: Ints) -> Late:
        """Add rows of a block; gives those that are late.

        Parameters
        ----------
        read : Read
            With the columns `wanted`.
        rows : int64, shape (n,)
            Places of this job's rows.
        """
        for condition in self._conditions:
            rows = rows[read.flags(condition)[rows]]
        moment = _filled(read.column(self._moment))[rows]
        if (moment == NEVER).any():
            rows, moment = rows[moment != NEVER], moment[moment != NEVER]
        arrival = read.column(_ARRIVAL).to_numpy()[rows]
        if self.job.own_clock and len(rows):
            arrival = self._own_arrival(arrival, moment)
        span_s = self.job.span_s
        start_s = moment // (span_s * _SECOND_US) * span_s
        on_time = arrival < (start_s + span_s) * _SECOND_US + self.job.latency_us
        if self._open_s is not None:
            on_time &= start_s >= self._open_s
        weight = read.weight[rows]
        late = _late(start_s[~on_time], weight[~on_time])
        if not on_time.all():
            rows, moment, start_s = rows[on_time], moment[on_time], start_s[on_time]
            arrival, weight = arrival[on_time], weight[on_time]
        if not len(rows):
            return late
        frequency_s = self.job.frequency_s
        step = np.maximum(arrival // (frequency_s * _SECOND_US), start_s // frequency_s)
        self._events.add(Cells.of_rows([start_s, step], [], [], weight))
        taken = Rows(Coded(read, rows), np.arange(len(rows)), start_s, step, moment)
        for pending in self._pending:
            pending.take(taken)
        return late

    def _own_arrival(self, arrival: Ints, moment: Ints) -> Ints:
        """Give the times of a clock that goes by the rows themselves, which are in order of lines.

        In place of the watermark behind each row.
        """
        own = np.maximum(np.maximum.accumulate(moment), self.latest_us)
        self.latest_us = int(own[-1])
        return np.where(arrival <= _STORED_US, arrival, own)

    # ---- buckets ----------------------------------------------------------------------------

    @property
    def first_s(self) -> int | None:
        """Start of the earliest bucket with rows; None without any."""
        return self._events.first_s()

    @property
    def touched_s(self) -> int | None:
        """Start of the earliest bucket that anything is known of, also what was taken back."""
        known = [self._events.touched_s(), *(each.touched_s for each in self._pending)]
        return min((start_s for start_s in known if start_s is not None), default=None)

    @property
    def keys(self) -> list[Keys]:
        """Names of the series by detector."""
        return [each.keys() for each in self.registries.each]

    def close(self, start_s: int) -> Measured:
        """Measure a bucket, number its new series, and forget it and what lies before."""
        for index, pending in enumerate(self._pending):
            self._number(index, pending, start_s)
        found = self._measured(start_s, None)
        self.pass_over(start_s + self.job.span_s)
        return found

    def pass_over(self, until_s: int) -> None:
        """Close all buckets before a time without a look at them, and forget them."""
        self._open_s = until_s
        self._events.drop(until_s)
        for index, pending in enumerate(self._pending):
            self._look_up(index)
            pending.drop(until_s)
            left = pending.forget(self._numbers[index])
            if left is not None:
                self._numbers[index] = self._numbers[index][left]

    def peek(self, start_s: int, before_us: int) -> Measured:
        """Measure a bucket by the rows that came before a time; series without a number are out.

        Parameters
        ----------
        start_s : int
        before_us : int
            Behind the start of the bucket, a multiple of the job's frequency.
        """
        for index in range(len(self._pending)):
            self._look_up(index)
        return self._measured(start_s, before_us // (self.job.frequency_s * _SECOND_US))

    def _number(self, index: int, pending: Pending, start_s: int) -> None:
        """Give numbers to the names of a bucket that have none, while there is room."""
        self._look_up(index)
        if not (self._numbers[index] < 0).any():
            return
        codes, rows = pending.keys_of(start_s, None)
        unknown = self._numbers[index][codes] < 0
        if not unknown.any():
            return
        told = {pending.names.told[code]: code for code in codes[unknown].tolist()}
        for name, number in self.registries.add(index, told).items():
            self._numbers[index][told[name]] = number
        beyond = self._numbers[index][codes] < 0
        self.registries.rows_beyond += int(rows[beyond].sum())

    def _look_up(self, index: int) -> None:
        """Find the numbers of names that have come up since the last time."""
        numbers, names = self._numbers[index], self._pending[index].names.told
        if len(numbers) < len(names):
            known = self.registries.each[index].numbers
            new = [known.get(name, -1) for name in names[len(numbers) :]]
            self._numbers[index] = np.append(numbers, np.array(new, np.int64))

    def _measured(self, start_s: int, before: int | None) -> Measured:
        events = self._events.of(start_s, before).whole[0]
        event_count = int(events.sum())
        parts, values = [], []
        for index, pending in enumerate(self._pending):
            keys = self.registries.each[index].keys()
            part = pending.part(start_s, before, self._numbers[index], keys)
            parts.append(part)
            values.append(self._values(part, start_s, keys, gap=event_count == 0))
        return Measured(start_s, event_count, tuple(values), tuple(parts))

    def _values(self, part: Part, start_s: int, keys: Keys, *, gap: bool) -> tuple[Values, ...]:
        count = part.totals.whole[0]
        return tuple(
            Values(start_s, self.job.span_s, keys, part.series, values_of(part, base), count, gap)
            for base in part.detector.bases
        )


def _filled(column: Any) -> Ints:
    found: Ints = pc.fill_null(column, _NO_TIME).to_numpy()
    return found


def _late(start_s: Ints, weight: Ints) -> Late:
    if not len(start_s):
        return Late(start_s, weight)
    number, first = numbered([start_s])
    return Late(start_s[first], added(weight, number, len(first)))
