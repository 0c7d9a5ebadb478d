"""All anomaly jobs over the stream: from the rows of a block to results in the store.

The path of a block: its rows go into the open buckets of every job -> the watermark closes buckets,
in order of time -> their results, and what they change in older ones, are written together: some
thousand buckets at once, the last ones at the end of the transaction, as are the states. Open
buckets are not stored: `open` fills them from the stored events, for a job that is new as for one
that goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from math import gcd

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.anomaly.alerts.alerts import ScoreRules
from engine.anomaly.alerts.score_looks import ScoredBucket
from engine.anomaly.definition import Job, jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.gather.sources import TypeRows
from engine.anomaly.results.moves import Change
from engine.anomaly.results.results import RecordKeys, Results
from engine.anomaly.runner import Closed, Runner
from engine.anomaly.skipping import Skips
from engine.anomaly.store.job_store import JobStore
from engine.anomaly.store.roster import Annotation, annotate
from engine.anomaly.stretches import stretches
from engine.batch import Batch
from engine.config import ModelSettings, Settings
from engine.retention import drop_old_anomaly_results
from engine.rules.alerting import Lines
from engine.rules.reader import Read, read_rows
from engine.rules.roster import MODEL_NO
from engine.rules.rowset import RowColumns, Rowset
from engine.watermark import NEVER

__all__ = ["Jobs"]

Codes = npt.NDArray[np.int64]
Taker = Callable[[Read, Codes], object]

_SECOND_US = 1_000_000
_DELAYED = "delayed_data"
_TOO_LATE = "Rows of this bucket came after it had closed"
_PAUSED = "empty_buckets_paused"
_TOO_MANY = "So many buckets had no rows that further empty ones are left out until rows come"
_LEFT_OUT = "empty_buckets_left_out"
_WITHOUT = "These buckets had no rows, as many before them: they were left out"
_LONG_AGO_US = -(1 << 62)
_SERIES_BYTES = 9_000  # of the state of one, at most


class Jobs:
    """Runs the jobs of the settings on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever it is used.
    settings : Settings
    columns : RowColumns
        Learns what rows of predictions must have.
    stopwatch : callable
        Gives milliseconds that pass.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        settings: Settings,
        columns: RowColumns,
        stopwatch: Callable[[], float],
    ) -> None:
        self._cursor = cursor
        self._settings = settings
        self._columns = columns
        self._stopwatch = stopwatch
        self._types = TypeRows(cursor)
        self._jobs = jobs_of(settings)
        self._gatherings = [self._gathering(job, columns) for job in self._jobs]
        self._wanted = {g.job.job_id: g.wanted for g in self._gatherings}
        self._runners: list[Runner] = []
        self._numbers: dict[str, int] = {}
        self._rowset: Rowset | None = None
        self._results = Results(cursor)
        self._store = JobStore(cursor)
        self._rules = ScoreRules(cursor, settings)

    def _gathering(self, job: Job, columns: RowColumns) -> Gathering:
        models = {model.id: model for model in self._settings.models}
        model = ModelSettings(job.model_id) if job.model_id is not None else None
        if job.model_id in models:
            model = models[job.model_id]
        used = columns if job.type is None else self._types.columns
        limit = self._settings.limits.anomaly_series
        if job.settings.memory_limit_bytes is not None:
            limit = min(limit, max(job.settings.memory_limit_bytes // _SERIES_BYTES, 1))
        return Gathering(job, used, model, limit=limit)

    @property
    def idle(self) -> bool:
        """Whether there are none."""
        return not self._jobs

    @property
    def models(self) -> list[str]:
        """Models whose predictions are watched."""
        return [j.model_id for j in self._jobs if j.type is None and j.model_id is not None]

    @property
    def steps_s(self) -> list[int]:
        """Seconds that divide every instant at which a bucket closes or is looked at."""
        return [
            gcd(job.span_s, job.frequency_s, job.latency_us // _SECOND_US) for job in self._jobs
        ]

    def watch(self, model_id: str, number: int) -> None:
        """Note the number that rows of a model have."""
        self._numbers[model_id] = number

    # ---- opening ----------------------------------------------------------------------------

    def open(self, rowset: Rowset, watermark_us: int) -> None:
        """Begin, or go on: load the states, and fill the open buckets; only the first time."""
        stamp = None if watermark_us == NEVER else watermark_us
        self._rules.declare(stamp)
        if self._rowset is not None:
            return
        self._rowset = rowset
        self._store.declare(self._settings, self._jobs, watermark_us)
        for job, gathering in zip(self._jobs, self._gatherings, strict=True):
            skips = Skips.of(job.settings, self._settings.calendars)
            state, known = self._store.load(job, gathering, self._results)
            known |= self._store.begin(job)
            runner = Runner(
                job,
                gathering,
                state,
                skips,
                self._stopwatch,
                empty_max=self._settings.limits.anomaly_empty_buckets,
            )
            self._runners.append(runner)
            self._catch_up(runner, watermark_us, known=known)

    def _catch_up(self, runner: Runner, watermark_us: int, *, known: bool) -> None:
        """Go through the stored events from the first open bucket on.

        `known`: it was followed when they came.
        """
        job, next_s = runner.job, runner.state.next_s
        if next_s is not None:  # so late it was at the least when the bucket before it closed
            closed_us = next_s * _SECOND_US + job.latency_us
            runner.gathering.latest_us = max(runner.gathering.latest_us, closed_us)
        elif known and not job.own_clock:
            runner.start_behind(watermark_us)
        if next_s is None and known and job.own_clock:
            self._read([(job, runner.take)], _as_they_came(self._stored(job, None, None)))
        else:
            for low_us, high_us in stretches(self._cursor, job, next_s):
                self._read([(job, runner.take)], self._stored(job, low_us, high_us))
                if high_us is not None and watermark_us != NEVER:
                    self._close([runner], min(high_us, watermark_us))
        if watermark_us == NEVER:  # several inputs have none before each has begun
            return
        at_us = _time_of(runner, watermark_us)
        if known and at_us != NEVER and not runner.behind(at_us):
            runner.resume(at_us)
        self._close([runner], watermark_us)

    def _stored(self, job: Job, low_us: int | None, high_us: int | None) -> pa.Table:
        """Give the stored rows of a job in a stretch of time, as if all of them came in time."""
        if job.type is not None:
            return self._types.of_store(job.type, low_us, high_us)
        if self._rowset is None or job.model_id is None:
            msg = "the jobs must be open"
            raise RuntimeError(msg)
        time = "e.event_time"
        if job.time_basis == "label":
            time = "greatest(event_time, coalesce(label_time, event_time))"
        bounds = [f"model_no = {self._numbers[job.model_id]}"]
        if not [truth for truth in job.truths if truth != "label"]:
            bounds += [] if low_us is None else [f"{time} >= make_timestamp({low_us})"]
            bounds += [] if high_us is None else [f"{time} < make_timestamp({high_us})"]
        return self._rowset.of_store(MODEL_NO, " AND ".join(bounds), _LONG_AGO_US)

    # ---- one block --------------------------------------------------------------------------

    def gather(self, rows: pa.Table) -> None:
        """Take in rows of predictions (`engine.rules.rowset`)."""
        present = set(np.unique(rows["model_no"].to_numpy()).tolist()) if len(rows) else set()
        chosen = [
            runner
            for runner in self._runners
            if runner.job.type is None and self._numbers[runner.job.model_id or ""] in present
        ]
        self._read([(runner.job, runner.take) for runner in chosen], rows)

    def note(self, batch: Batch, lines: Lines) -> None:
        """Take in events of other types, which are stored already."""
        types = {runner.job.type for runner in self._runners if runner.job.type is not None}
        for kind in sorted(types):
            rows = self._types.of_block(kind, batch, lines)
            self._read([(r.job, r.take) for r in self._runners if r.job.type == kind], rows)

    def _read(self, takers: Sequence[tuple[Job, Taker]], rows: pa.Table) -> None:
        """Read what jobs need of some rows, and hand it to who takes it in for them."""
        if not takers or not len(rows):
            return
        self._cursor.register("w_rows", rows)
        wanted: dict[str, Mapping[str, object]] = {}
        for job, _ in takers:
            wanted.update(self._wanted[job.job_id])
        read = read_rows(self._cursor, rows, wanted)
        self._cursor.unregister("w_rows")
        for job, take in takers:
            take(read, self._places(job, rows, read.model_no))

    def _places(self, job: Job, rows: pa.Table, model_no: Codes) -> Codes:
        """Give the rows of a job."""
        if job.type is None:
            return np.flatnonzero(model_no == self._numbers[job.model_id or ""])
        if job.model_id is None:
            return np.arange(len(rows))
        names = np.asarray(rows["model_id"].to_pylist(), object)
        return np.flatnonzero(names == job.model_id)

    # ---- time -------------------------------------------------------------------------------

    def advance(self, watermark_us: int, lines: Lines | None, next_seq: int) -> pa.Table:
        """Close the buckets that the watermark has passed.

        Parameters
        ----------
        watermark_us : int
        lines : Lines or None
            The block that moved it; None: time alone did.
        next_seq : int
            The number of the next line.

        Returns
        -------
        pyarrow.Table
            `alert_id`, `model_id` of the alerts.
        """
        scored = self._close(self._runners, watermark_us)
        return self._rules.evaluate(scored, lines, next_seq)

    def _close(self, runners: list[Runner], watermark_us: int) -> list[ScoredBucket]:
        scored = []
        for runner in runners:
            every, at_us = self._rules.looks(runner.job.job_id), _time_of(runner, watermark_us)
            followed = self._rules.follows(runner.job.job_id)
            if at_us == NEVER:
                continue
            for closed in runner.advance(at_us, every_look=every):
                self._results.add(closed.rows)
                self._rescore(runner, closed)
                if followed:
                    scored.append(ScoredBucket(closed.rows, closed.closed_us))
            self._note_rests(runner)
            # The bucket of a late row may have closed in the same block.
            self._restate(runner)
        return scored

    def _rescore(self, runner: Runner, closed: Closed) -> None:
        """Score older results anew where a level has a new maximum."""
        start_s, job = closed.rows.start_s, runner.job
        for level, scopes in closed.grown.items():
            levels = runner.state.levels
            self._results.rescore(
                Change(
                    job.job_id,
                    level,
                    scopes,
                    start_s - job.renormalization_window_s,
                    start_s,
                    f"new maximum of {level}",
                    levels.normalizer,
                    levels.histories[level],
                )
            )

    def _note_rests(self, runner: Runner) -> None:
        """Say from when on empty buckets are left out, and from when to when they were."""
        rests, runner.rests = runner.rests, []
        annotate(
            self._cursor,
            [
                Annotation(runner.job.job_id, rest.start_s, rest.start_s, _PAUSED, _TOO_MANY)
                if rest.end_s is None
                else Annotation(runner.job.job_id, rest.start_s, rest.end_s, _LEFT_OUT, _WITHOUT)
                for rest in rests
            ],
        )

    def _restate(self, runner: Runner) -> None:
        """Restate counts and values of closed buckets by the rows that came late."""
        late, runner.late = runner.late, {}
        if not late:
            return
        starts = np.array(sorted(late), np.int64)
        events = np.array([late[start_s] for start_s in starts.tolist()], np.int64)
        runner.state.counters.late += self._results.restate(runner.job.job_id, starts, events)
        annotate(
            self._cursor,
            [
                Annotation(runner.job.job_id, at_s, at_s + runner.job.span_s, _DELAYED, _TOO_LATE)
                for at_s in starts[events > 0].tolist()
            ],
        )
        keys = self._results.records_of(runner.job.job_id, starts)
        if len(keys):
            actual = self._measured_anew(runner, keys)
            self._results.restate_actual(runner.job.job_id, keys, actual)
        runner.dirty = True  # its counters have changed

    def _measured_anew(self, runner: Runner, keys: RecordKeys) -> npt.NDArray[np.float64]:
        """Give what the records of closed buckets amount to, by all rows that are stored now."""
        job, actual = runner.job, np.full(len(keys), np.nan)
        gathering = self._gathering(job, self._columns)
        gathering.load(runner.gathering.to_json())
        for start_s in np.unique(keys.start_s).tolist():
            low_us = start_s * _SECOND_US
            rows = self._stored(job, low_us, low_us + job.span_s * _SECOND_US)
            self._read([(job, gathering.take)], rows)
            measured = gathering.close(start_s)
            for place in np.flatnonzero(keys.start_s == start_s).tolist():
                detector = job.detectors[int(keys.detector_index[place])]
                part = detector.bases.index(keys.function_description[place])
                values = measured.values[detector.index][part]
                series = int(keys.scope[place]) // len(job.detectors)
                found = np.searchsorted(values.series, series)
                if found < len(values.series) and values.series[found] == series:
                    actual[place] = values.value[found]
                elif detector.function.zero:
                    actual[place] = 0.0
        return actual

    def retain(self, watermark_us: int) -> None:
        """Drop results that are older than their job keeps them."""
        for job in self._jobs:
            span_us = job.settings.results_retention_us
            if span_us is not None:
                drop_old_anomaly_results(self._cursor, job.job_id, watermark_us - span_us)

    def save(self) -> int:
        """Write results, and the states of the jobs that closed a bucket; gives bytes of states."""
        self._results.flush()
        size = 0
        for runner in self._runners:
            if runner.dirty:
                size += self._store.save(runner.job, runner.state, runner.gathering)
                runner.dirty = False
        return size


def _as_they_came(rows: pa.Table) -> pa.Table:
    """Give stored rows in order of lines, for a clock that goes by them: it tells what is late."""
    rows, place = rows.sort_by("seq"), rows.column_names.index("arrival_us")
    return rows.set_column(place, "arrival_us", pa.repeat(pa.scalar(0, pa.int64()), len(rows)))


def _time_of(runner: Runner, watermark_us: int) -> int:
    """Give the time of a job: the watermark, or that of its newest row."""
    return runner.gathering.latest_us if runner.job.own_clock else watermark_us
