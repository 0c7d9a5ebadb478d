"""Anomaly jobs in the store: what is declared, their states and counters, their snapshots."""

import json
from collections.abc import Sequence

import duckdb

from engine.anomaly.definition import Job, default_frequency_s
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.job_state import STATE_VERSION, JobState
from engine.anomaly.results.results import Results
from engine.anomaly.store.roster import (
    Annotation,
    Declared,
    Stats,
    annotate,
    declare_calendars,
    declare_jobs,
    drop_stats,
    write_stats,
)
from engine.anomaly.store.snapshots import drop_later, keep
from engine.anomaly.store.states import Stored, load, save
from engine.asking import first
from engine.config import AnomalyJobSettings, Settings
from engine.watermark import NEVER

__all__ = ["JobStore"]

_SECOND_US = 1_000_000
_SOFT = 0.8  # of the memory limit
_EVER_S = -(1 << 33)  # before all times
_BEGIN = "anomaly_begin:"  # of the name of a setting, before the job's id
_BEGUN = "anomaly_begun:"  # of one that has the definition of a job that was followed


class JobStore:
    """Keeps jobs on one cursor, inside the owner's transaction.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def declare(self, settings: Settings, jobs: Sequence[Job], watermark_us: int) -> None:
        """Write which jobs and calendars are in force."""
        followed = {job.job_id: job for job in jobs}
        declared = [_declared(told, followed.get(told.job_id)) for told in settings.anomaly_jobs]
        declare_jobs(self._cursor, declared, None if watermark_us == NEVER else watermark_us)
        declare_calendars(self._cursor, settings.calendars)
        self._cursor.execute(
            "DELETE FROM settings WHERE starts_with(name, $begun)"
            " AND NOT list_contains($names::VARCHAR[], name)",
            {"begun": _BEGUN, "names": [_BEGUN + job.job_id for job in jobs]},
        )

    def begin(self, job: Job) -> bool:
        """Note that a job is followed from now on; gives whether it was when the store was left.

        A job has no state before its first bucket closes, but which rows came late is decided.
        """
        name = _BEGUN + job.job_id
        told = first(self._cursor, "SELECT value FROM settings WHERE name = ?", [name])
        if told is not None and told[0] == job.definition:
            return True
        self._cursor.execute(
            "INSERT OR REPLACE INTO settings VALUES (?, ?)", [name, job.definition]
        )
        return False

    def load(self, job: Job, gathering: Gathering, results: Results) -> tuple[JobState, bool]:
        """Give the state of a job, and whether it had one.

        One of another definition does not fit: the job begins anew, and its results are forgotten.
        """
        stored = load(self._cursor, job.job_id)
        if stored is None:
            return self._fresh(job, gathering), False
        fits = stored.version == STATE_VERSION
        if not fits or json.loads(stored.told)["definition"] != job.definition:
            results.forget(job.job_id, _EVER_S)
            drop_later(self._cursor, job.job_id, _EVER_S)
            drop_stats(self._cursor, job.job_id)
            why = "The definition of the job changed: it began anew with the stored events"
            at_s = stored.next_start_s
            annotate(self._cursor, [Annotation(job.job_id, at_s, at_s, "model_reset", why)])
            return self._fresh(job, gathering), False
        state, registries = JobState.of_stored(job, stored.next_start_s, stored.told, stored.arrays)
        gathering.load(registries)
        gathering.begin(stored.next_start_s)
        return state, True

    def begin_at(self, job_id: str, from_s: int | None) -> None:
        """Note the event time at which a job begins when it has no state; None: at the first."""
        name = _BEGIN + job_id
        for each in (name, _BEGUN + job_id):
            self._cursor.execute("DELETE FROM settings WHERE name = ?", [each])
        if from_s is not None:
            self._cursor.execute("INSERT INTO settings VALUES (?, ?)", [name, str(from_s)])

    def _fresh(self, job: Job, gathering: Gathering) -> JobState:
        state = JobState.fresh(job)
        told = first(
            self._cursor, "SELECT value FROM settings WHERE name = ?", [_BEGIN + job.job_id]
        )
        if told is not None:
            state.next_s = int(told[0]) // job.span_s * job.span_s
            gathering.begin(state.next_s)
        return state

    def save(self, job: Job, state: JobState, gathering: Gathering) -> int:
        """Write the state of a job, its counters, and a snapshot if it is time for one.

        Returns
        -------
        int
            Bytes of the state.
        """
        if state.next_s is None:
            return 0
        told, arrays = state.to_stored(job.definition, gathering.to_json())
        size = save(self._cursor, job.job_id, Stored(STATE_VERSION, state.next_s, told, arrays))
        write_stats(self._cursor, [_stats(job, state, gathering)])
        keep(self._cursor, job.settings, state.next_s, "in the course of the stream")
        return size


def _declared(told: AnomalyJobSettings, job: Job | None) -> Declared:
    if job is not None:
        return Declared(
            told, job.time_basis, job.frequency_s, job.renormalization_window_s, job.definition
        )
    frequency_s = told.frequency_s or default_frequency_s(told.bucket_span_s)
    return Declared(told, told.time_basis or "event", frequency_s, 0, "disabled")


def _stats(job: Job, state: JobState, gathering: Gathering) -> Stats:
    counters, nbytes = state.counters, state.nbytes
    beyond, limit = gathering.registries.names_beyond, job.settings.memory_limit_bytes
    status = "ok"
    if beyond or any(each.refused for each in state.entities.values()):
        status = "hard_limit"
    elif limit is not None and nbytes > _SOFT * limit:
        status = "soft_limit"
    return Stats(
        job.job_id,
        "running",
        counters.records,
        counters.late,
        counters.missing_fields,
        counters.buckets,
        counters.empty_buckets,
        counters.sparse_buckets,
        _us(counters.earliest_s),
        _us(counters.latest_s),
        _us(counters.latest_empty_s),
        _us(counters.latest_sparse_s),
        sum(map(len, gathering.registries.each)),
        beyond,
        nbytes,
        status,
        counters.ms_min,
        counters.ms_max,
        counters.ms_sum / max(counters.buckets, 1),
        counters.ms_ewma,
    )


def _us(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * _SECOND_US
