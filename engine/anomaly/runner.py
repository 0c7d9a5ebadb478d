"""One anomaly job as it runs: rows go into open buckets, the watermark closes them in order.

A bucket closes when the watermark reaches its end and the job's latency, also an empty one. While
it is open it is looked at whenever the watermark passes a multiple of the frequency. Rows that come
later than that change no score.
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

__all__ = ["Closed", "Runner"]

Codes = npt.NDArray[np.int64]

_SECOND_US = 1_000_000
_SPARSE = 0.25  # of the usual number of rows
_USUAL_GAIN = 0.01


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

    Attributes
    ----------
    late : dict of int to int
        Rows that came late by bucket, since they were last taken.
    dirty : bool
        Whether a bucket closed since the state was last written.
    """

    def __init__(
        self,
        job: Job,
        gathering: Gathering,
        state: JobState,
        skips: Skips,
        stopwatch: Callable[[], float],
    ) -> None:
        self.job = job
        self.gathering = gathering
        self.state = state
        self.late: dict[int, int] = {}
        self.dirty = False
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

    def resume(self, watermark_us: int) -> None:
        """Take it that the open buckets were looked at up to the watermark."""
        self._looked_us = self._last_look(watermark_us)

    def behind(self, watermark_us: int) -> bool:
        """Tell whether there are buckets that the watermark closes."""
        start_s = self._first_s
        return start_s is not None and self._closing_us(start_s) <= watermark_us

    def _closing_us(self, start_s: int) -> int:
        return (start_s + self.job.span_s) * _SECOND_US + self.job.latency_us

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
            for look_us in range(first_us + frequency_us, watermark_us, frequency_us):
                yield from self._close(look_us)
                yield from self._look(look_us)
        yield from self._close(watermark_us)
        yield from self._look(watermark_us)

    @property
    def _first_s(self) -> int | None:
        """Start of the first open bucket."""
        return self.gathering.first_s if self.state.next_s is None else self.state.next_s

    def _last_look(self, watermark_us: int) -> int:
        frequency_us = self.job.frequency_s * _SECOND_US
        return watermark_us // frequency_us * frequency_us

    def _close(self, watermark_us: int) -> Iterator[Closed]:
        state, span_s = self.state, self.job.span_s
        while True:
            start_s = self._first_s
            if start_s is None:
                return
            closed_us = self._closing_us(start_s)
            if closed_us > watermark_us:
                return
            began = self._stopwatch()
            measured = self.gathering.close(start_s)
            rows, grown = self._scorer.close(measured)
            state.next_s = start_s + span_s
            self._count(measured)
            self.dirty = True
            elapsed_ms = self._stopwatch() - began
            state.counters.time(elapsed_ms)
            yield Closed(replace(rows, processing_time_ms=elapsed_ms), grown, closed_us)

    def _look(self, watermark_us: int) -> Iterator[Closed]:
        """Look at the open buckets, as they stood at the last multiple of the frequency."""
        before_us = self._last_look(watermark_us)
        if self._looked_us is not None and before_us <= self._looked_us:
            return
        self._looked_us = before_us
        span_s = self.job.span_s
        start_s = self._first_s
        while start_s is not None and start_s * _SECOND_US < before_us:
            began = self._stopwatch()
            passed = (before_us - start_s * _SECOND_US) / (span_s * _SECOND_US)
            measured = self.gathering.peek(start_s, before_us)
            rows = self._scorer.look(measured, min(passed, 1.0))
            elapsed_ms = self._stopwatch() - began
            yield Closed(replace(rows, processing_time_ms=elapsed_ms), {}, before_us)
            start_s += span_s

    def _count(self, measured: Measured) -> None:
        counters, state = self.state.counters, self.state
        start_s, events = measured.start_s, measured.event_count
        counters.buckets += 1
        counters.records += events
        for part in measured.parts:
            if part.detector.settings.filter is None:
                counters.missing_fields += events - part.rows
        if not events:
            counters.empty_buckets += 1
            counters.latest_empty_s = start_s
            return
        counters.latest_s = start_s
        counters.earliest_s = start_s if counters.earliest_s is None else counters.earliest_s
        if events < _SPARSE * state.usual_events:
            counters.sparse_buckets += 1
            counters.latest_sparse_s = start_s
        gain = max(_USUAL_GAIN, 1.0 / (counters.buckets - counters.empty_buckets))
        state.usual_events += gain * (events - state.usual_events)
