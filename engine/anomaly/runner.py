"""One anomaly job as it runs: rows go into open buckets, the watermark closes them in order.

A bucket closes when the watermark reaches its end and the job's latency, also an empty one. While
it is open it is looked at whenever the watermark passes a multiple of the frequency. Rows that come
later than that change no score.

Of empty buckets in a row only so many are closed (`limits.anomaly_empty_buckets`): by then a job
has said that it hears nothing, and a stream that jumps by years would leave millions. Further ones
are left out, as if they had not been, until the next bucket with rows. Which ones follows from the
buckets with rows alone, not from how the stream was cut.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Job
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.gather.measured import Measured
from engine.anomaly.job_state import JobState
from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.scoring.scorer import Scorer
from engine.anomaly.skipping import Skips
from engine.rules.reader import Read
from engine.watermark import NEVER

__all__ = ["Closed", "Rest", "Runner"]

Codes = npt.NDArray[np.int64]

_SECOND_US = 1_000_000
_SPARSE = 0.25  # of the usual number of rows
_USUAL_GAIN = 0.01
_PIECE = 512  # empty buckets that are closed at once


@dataclass(frozen=True, slots=True)
class Closed:
    """A bucket that was scored.

    Attributes
    ----------
    rows : BucketRows
    grown : dict of str to int64 array
        By level, the scopes with a new maximum; nothing of interim results.
    closed_us : int
        The watermark at which it closed, or for which it was looked at.
    """

    rows: BucketRows
    grown: dict[str, Codes]
    closed_us: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Empty buckets that are left out, from `start_s` to `end_s`; None: the end is not known."""

    start_s: int
    end_s: int | None


class Runner:
    """Runs one job.

    Parameters
    ----------
    job : Job
    gathering : Gathering
    state : JobState
    skips : Skips
    stopwatch : callable
        Gives milliseconds that pass.
    empty_max : int
        How many empty buckets in a row are closed; further ones are left out.

    Attributes
    ----------
    late : dict of int to int
        Rows that came late by bucket, since they were last taken.
    dirty : bool
        Whether a bucket closed, or was left out, since the state was last written.
    rests : list of Rest
        What began or ended since they were last taken.
    """

    def __init__(
        self,
        job: Job,
        gathering: Gathering,
        state: JobState,
        skips: Skips,
        stopwatch: Callable[[], float],
        *,
        empty_max: int,
    ) -> None:
        self.job = job
        self.gathering = gathering
        self.state = state
        self.late: dict[int, int] = {}
        self.dirty = False
        self.rests: list[Rest] = []
        self._empty_max = empty_max
        self._scorer = Scorer(job, state, skips)
        self._stopwatch = stopwatch
        self._looked_us: int | None = None

    # ---- rows -------------------------------------------------------------------------------

    def take(self, read: Read, places: Codes) -> None:
        """Take in rows; those that are late are noted."""
        late = self.gathering.take(read, places)
        for start_s, events in zip(late.start_s.tolist(), late.events.tolist(), strict=True):
            self.late[start_s] = self.late.get(start_s, 0) + events

    # ---- time -------------------------------------------------------------------------------

    def start_behind(self, watermark_us: int) -> None:
        """Take it that rows of buckets that the watermark closes were late: none has closed."""
        if watermark_us != NEVER:
            self.gathering.begin(self._open_s(watermark_us))

    def resume(self, watermark_us: int) -> None:
        """Take it that the open buckets were looked at up to the watermark."""
        self._looked_us = self._last_look(watermark_us)

    def behind(self, watermark_us: int) -> bool:
        """Tell whether there are buckets that the watermark closes."""
        start_s = self._first_s
        return start_s is not None and self._closing_us(start_s) <= watermark_us

    def _closing_us(self, start_s: int) -> int:
        return (start_s + self.job.span_s) * _SECOND_US + self.job.latency_us

    def _open_s(self, watermark_us: int) -> int:
        """Give the start of the first bucket that stays open."""
        span_s = self.job.span_s
        return (watermark_us - self.job.latency_us) // _SECOND_US // span_s * span_s

    def advance(self, watermark_us: int, *, every_look: bool) -> Iterator[Closed]:
        """Close what the watermark has passed, and look at what is open.

        Parameters
        ----------
        watermark_us : int
        every_look : bool
            Give every look that the watermark has passed in order; else only the last one, which
            replaces those before.
        """
        if every_look and self._first_s is not None:
            frequency_us = self.job.frequency_s * _SECOND_US
            first_us = self._looked_us
            if first_us is None:
                first_us = self._last_look(self._first_s * _SECOND_US)
            look_us: int | None = first_us + frequency_us
            while look_us is not None and look_us < watermark_us:
                yield from self._close(look_us)
                yield from self._look(look_us)
                look_us = self._next_look(look_us)
        yield from self._close(watermark_us)
        yield from self._look(watermark_us)

    @property
    def _first_s(self) -> int | None:
        """Start of the first open bucket."""
        return self.gathering.first_s if self.state.next_s is None else self.state.next_s

    def _last_look(self, watermark_us: int) -> int:
        frequency_us = self.job.frequency_s * _SECOND_US
        return watermark_us // frequency_us * frequency_us

    def _next_look(self, look_us: int) -> int | None:
        """Give the next multiple of the frequency at which there can be something to see."""
        frequency_us, start_s = self.job.frequency_s * _SECOND_US, self._first_s
        if start_s is None or start_s < self._rest_s(start_s):
            return look_us + frequency_us
        rows_s = self.gathering.first_s
        if rows_s is None:
            return None
        return max(look_us, self._last_look(rows_s * _SECOND_US)) + frequency_us

    def _close(self, watermark_us: int) -> Iterator[Closed]:
        open_s = self._open_s(watermark_us)
        while (start_s := self._first_s) is not None and start_s < open_s:
            rows_s, rest_s = self.gathering.first_s, self._rest_s(start_s)
            if start_s >= rest_s and rows_s != start_s:
                self._leave_out(start_s, open_s if rows_s is None else min(rows_s, open_s))
                continue
            touched_s = self.gathering.touched_s
            empty_s = min(open_s, rest_s, open_s if touched_s is None else touched_s)
            closed = self._close_gap(start_s, empty_s) if start_s < empty_s else []
            yield from closed or [self._close_one(start_s)]

    def _close_one(self, start_s: int) -> Closed:
        began, state = self._stopwatch(), self.state
        measured = self.gathering.close(start_s)
        rows, grown = self._scorer.close(measured)
        state.next_s = start_s + self.job.span_s
        before_s = self._behind_written_s
        if before_s is not None and before_s < start_s:
            self.rests.append(Rest(before_s, start_s))
        self._count(measured)
        self.dirty = True
        elapsed_ms = self._stopwatch() - began
        state.counters.time(elapsed_ms)
        rows = replace(rows, processing_time_ms=elapsed_ms)
        return Closed(rows, grown, self._closing_us(start_s))

    def _close_gap(self, start_s: int, until_s: int) -> list[Closed]:
        """Close empty buckets, as many as can be closed at once; none if the first one cannot."""
        began, state, span_s = self._stopwatch(), self.state, self.job.span_s
        count = min((until_s - start_s) // span_s, _PIECE)
        found = self._scorer.close_gap(self.gathering.keys, start_s, count)
        if not found:
            return []
        state.next_s = start_s + len(found) * span_s
        self.gathering.pass_over(state.next_s)
        self.dirty = True
        elapsed_ms = (self._stopwatch() - began) / len(found)
        for rows in found:
            self._count_empty(rows.start_s)
            state.counters.time(elapsed_ms)
        return [
            Closed(replace(rows, processing_time_ms=elapsed_ms), {}, self._closing_us(rows.start_s))
            for rows in found
        ]

    # ---- too many empty buckets -------------------------------------------------------------

    def _rest_s(self, start_s: int) -> int:
        """Start of the first bucket that is left out if it is empty, as are those before it.

        Parameters
        ----------
        start_s : int
            The first open bucket.
        """
        counters, span_s = self.state.counters, self.job.span_s
        if counters.latest_s is not None:
            return counters.latest_s + (self._empty_max + 1) * span_s
        behind_s = self._behind_written_s
        left = self._empty_max - counters.buckets
        return (start_s if behind_s is None else behind_s) + left * span_s

    @property
    def _behind_written_s(self) -> int | None:
        """End of the last bucket that was closed and not left out; None before the first."""
        counters = self.state.counters
        ends = [s for s in (counters.latest_s, counters.latest_empty_s) if s is not None]
        return max(ends) + self.job.span_s if ends else None

    def _leave_out(self, start_s: int, until_s: int) -> None:
        if start_s == self._behind_written_s:
            self.rests.append(Rest(start_s, None))
        self.gathering.pass_over(until_s)
        self.state.next_s = until_s
        self.dirty = True

    # ---- looks ------------------------------------------------------------------------------

    def _look(self, watermark_us: int) -> Iterator[Closed]:
        """Look at the open buckets, as they stood at the last multiple of the frequency."""
        before_us = self._last_look(watermark_us)
        if self._looked_us is not None and before_us <= self._looked_us:
            return
        self._looked_us = before_us
        span_s = self.job.span_s
        first_s, touched_s = self._first_s, self.gathering.touched_s
        if first_s is None:
            return
        rest_s = self._rest_s(first_s)
        for start_s in range(first_s, -(-before_us // _SECOND_US), span_s):
            empty = touched_s is None or start_s < touched_s
            if empty and start_s >= rest_s:
                continue
            began = self._stopwatch()
            rows = self._seen(start_s, before_us, empty=empty)
            if rows.event_count:
                rest_s = start_s + (self._empty_max + 1) * span_s
            elif start_s >= rest_s:
                continue
            elapsed_ms = self._stopwatch() - began
            yield Closed(replace(rows, processing_time_ms=elapsed_ms), {}, before_us)

    def _seen(self, start_s: int, before_us: int, *, empty: bool) -> BucketRows:
        """Score an open bucket by the rows that came before a time."""
        passed = (before_us - start_s * _SECOND_US) / (self.job.span_s * _SECOND_US)
        rows, share = None, min(passed, 1.0)
        if empty:
            rows = self._scorer.look_at_gap(self.gathering.keys, start_s, share)
        if rows is None:
            rows = self._scorer.look(self.gathering.peek(start_s, before_us), share)
        return rows

    def _count(self, measured: Measured) -> None:
        counters, state = self.state.counters, self.state
        start_s, events = measured.start_s, measured.event_count
        if events:
            counters.buckets += 1
        else:
            self._count_empty(start_s)
        counters.records += events
        for part in measured.parts:
            if part.detector.settings.filter is None:
                counters.missing_fields += events - part.rows
        if not events:
            return
        counters.latest_s = start_s
        counters.earliest_s = start_s if counters.earliest_s is None else counters.earliest_s
        if events < _SPARSE * state.usual_events:
            counters.sparse_buckets += 1
            counters.latest_sparse_s = start_s
        gain = max(_USUAL_GAIN, 1.0 / (counters.buckets - counters.empty_buckets))
        state.usual_events += gain * (events - state.usual_events)

    def _count_empty(self, start_s: int) -> None:
        counters = self.state.counters
        counters.buckets += 1
        counters.empty_buckets += 1
        counters.latest_empty_s = start_s
