"""What people do to anomaly jobs: reset, revert, rewind, keep a snapshot, forecast.

All but the forecast change the store alone: whoever has the job in memory must open it anew, and
then goes through the stored events from where its state ends.
Source: contracts.md ELi-19 and ELi-20.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from engine.anomaly.definition import Job, jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.job_state import JobState
from engine.anomaly.results.result_rows import stamps
from engine.anomaly.results.results import Results
from engine.anomaly.store import snapshots
from engine.anomaly.store.job_store import JobStore
from engine.anomaly.store.roster import Annotation, annotate, drop_stats
from engine.asking import first
from engine.config import ModelSettings, Settings
from engine.errors import QueryError
from engine.rules.rowset import RowColumns

__all__ = ["FORECAST_BUCKETS_MAX", "forecast", "reset", "retain", "revert", "rewind"]

_EVER_S = -(1 << 33)  # before all times
_SPLIT_MAX = 1_000  # series of a detector in a forecast

FORECAST_BUCKETS_MAX = 10_000
_NOT_FORECAST = ("rare", "freq_rare", "time_of_day", "time_of_week")


def reset(cursor: duckdb.DuckDBPyConnection, job_id: str, from_s: int | None = None) -> None:
    """Forget all that a job has learned, and what it said.

    Parameters
    ----------
    from_s : int, optional
        Event time at which it is to begin anew, a multiple of the span: what it said before stays.
        None: with the first stored event, and nothing stays.
    """
    since_s = _EVER_S if from_s is None else from_s
    Results(cursor).forget(job_id, since_s)
    snapshots.drop_later(cursor, job_id, since_s)
    for table in ("anomaly_states", "anomaly_state_arrays"):
        cursor.execute(f"DELETE FROM {table} WHERE job_id = ?", [job_id])
    drop_stats(cursor, job_id)
    JobStore(cursor).begin_at(job_id, from_s)
    at_s = from_s or _last_s(cursor)
    annotate(cursor, [Annotation(job_id, at_s, at_s, "model_reset", "The job was reset")])


def revert(
    cursor: duckdb.DuckDBPyConnection, job_id: str, snapshot_id: str, *, delete_results: bool
) -> int:
    """Put a snapshot in the place of the state; see `engine.anomaly.store.snapshots.revert`."""
    return snapshots.revert(cursor, job_id, snapshot_id, delete_results=delete_results)


def retain(cursor: duckdb.DuckDBPyConnection, job_id: str, snapshot_id: str, *, keep: bool) -> None:
    """Say whether a snapshot is kept whatever its age."""
    snapshots.retain(cursor, job_id, snapshot_id, retained=keep)


def rewind(cursor: duckdb.DuckDBPyConnection, job_id: str, from_s: int) -> int:
    """Take a job back to a time: to its last snapshot before, or to nothing where there is none.

    Results from there on are deleted.

    Returns
    -------
    int
        The instant from which it goes on, seconds.
    """
    before = [s for s in snapshots.listed(cursor, job_id) if s.next_start_s <= from_s]
    if before:
        return revert(cursor, job_id, before[-1].snapshot_id, delete_results=True)
    span_s = first(cursor, "SELECT span_s FROM anomaly_jobs_known WHERE job_id = ?", [job_id])
    start_s = from_s if span_s is None else from_s // int(span_s[0]) * int(span_s[0])
    reset(cursor, job_id, start_s)
    return start_s


def _last_s(cursor: duckdb.DuckDBPyConnection) -> int:
    found = first(cursor, "SELECT epoch_us(watermark) FROM clock")
    return 0 if found is None or found[0] is None else int(found[0]) // 1_000_000


# ---- forecast --------------------------------------------------------------------------------


def forecast(
    cursor: duckdb.DuckDBPyConnection, settings: Settings, job_id: str, until_s: int
) -> pa.Table:
    """Give what the models of a job expect of the buckets to come.

    Parameters
    ----------
    until_s : int
        The last bucket begins before it.

    Returns
    -------
    pyarrow.Table
        `timestamp`, `detector_index`, `function` (what is measured), `by`, `partition`, `typical`,
        `lower`, `upper`; the first 1,000 series of each detector. Not of detectors of a population,
        of rare values or of times.

    Raises
    ------
    QueryError
        The job has no state, or there are too many buckets.
    """
    job = next((each for each in jobs_of(settings) if each.job_id == job_id), None)
    if job is None:
        msg = f"`job` must be an enabled anomaly job of the configuration, got {job_id}"
        raise QueryError(msg)
    state, gathering = _loaded(cursor, settings, job)
    starts = range(state.next_s or 0, until_s, job.span_s)
    if len(starts) > FORECAST_BUCKETS_MAX:
        rule = f"at most {FORECAST_BUCKETS_MAX:,} buckets"
        msg = f"`duration` must be {rule} of {job.span_s} s, got {len(starts):,}"
        raise QueryError(msg)
    parts = []
    for detector in job.detectors:
        over = detector.settings.over_field_name is not None
        if over or detector.bases[0] in _NOT_FORECAST:
            continue
        for part in range(len(detector.bases)):
            parts.extend(_outlook(job, state, gathering, (detector.index, part), starts))
    return pa.concat_tables(parts) if parts else _NOTHING


def _loaded(
    cursor: duckdb.DuckDBPyConnection, settings: Settings, job: Job
) -> tuple[JobState, Gathering]:
    models = {model.id: model for model in settings.models}
    model = None if job.model_id is None else models.get(job.model_id, ModelSettings(job.model_id))
    gathering = Gathering(job, RowColumns(), model, limit=settings.limits.anomaly_series)
    state, known = JobStore(cursor).load(job, gathering, Results(cursor))
    if not known:
        msg = f"`job` must have closed a bucket before it can be forecast, got {job.job_id}"
        raise QueryError(msg)
    return state, gathering


def _outlook(
    job: Job,
    state: JobState,
    gathering: Gathering,
    which: tuple[int, int],
    starts: Sequence[int],
) -> list[pa.Table]:
    index, part = which
    keys = gathering.registries.each[index].keys()
    series = np.arange(min(len(keys), _SPLIT_MAX))
    model, found = state.models[index][part], []
    for start_s in starts:
        told = model.expected(series, start_s)
        found.append(
            pa.table(
                {
                    "timestamp": stamps(np.full(len(series), start_s)),
                    "detector_index": pa.array(np.full(len(series), index)),
                    "function": pa.array([job.detectors[index].bases[part]] * len(series)),
                    "by": pa.array(keys.by[series].tolist(), pa.string()),
                    "partition": pa.array(keys.partition[series].tolist(), pa.string()),
                    "typical": pa.array(told.typical),
                    "lower": pa.array(told.lower),
                    "upper": pa.array(told.upper),
                }
            )
        )
    return found


_NOTHING = pa.table(
    {
        "timestamp": pa.array([], pa.timestamp("us")),
        "detector_index": pa.array([], pa.int64()),
        **{name: pa.array([], pa.string()) for name in ("function", "by", "partition")},
        **{name: pa.array([], pa.float64()) for name in ("typical", "lower", "upper")},
    }
)
