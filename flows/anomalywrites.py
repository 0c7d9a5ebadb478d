"""What changes an anomaly job from the command line, under the lock of the data folder.

::

    job and folder are known? ─ lock ─ transaction ─ engine.anomaly.operations ─ commit ─ one line

While a worker runs on the folder nothing is changed: the lock names who holds it. A run over stored
events is two such steps: the first takes the job back, the second is an opening of the folder
without any input, which catches up, as every opening does; so one that is cut short in between is
made good by the next start of anybody.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from connectors.sqlclient import query
from connectors.store import Store
from engine.anomaly import operations
from engine.asking import first, number
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.panes import text
from flows.anomalyjobs import check_job, check_known, utc
from flows.session import Session

__all__ = ["forecast", "rerun", "reset", "retain", "revert"]

_SECOND_US = 1_000_000
_RESULTS = "SELECT count(*) FROM bucket_results WHERE job_id = $job"
_LISTED = 20


def reset(data: str, job: str) -> str:
    """Forget all that a job has learned and found; give what to say."""
    check_job(data, job)
    with _writing(data) as store:
        buckets = number(store.cursor, _RESULTS, {"job": job})
        operations.reset(store.cursor, job)
    return f"{job}: reset; {_counted(buckets, 'bucket')} forgotten"


def revert(data: str, job: str, snapshot: str, *, delete_results: bool) -> str:
    """Take the model of a job back to a snapshot; give what to say."""
    _check_snapshot(data, job, snapshot)
    with _writing(data) as store:
        before = number(store.cursor, _RESULTS, {"job": job})
        operations.revert(store.cursor, job, snapshot, delete_results=delete_results)
        gone = before - number(store.cursor, _RESULTS, {"job": job})
    deleted = f"; {_counted(gone, 'bucket')} deleted" if delete_results else ""
    return f"{job}: reverted to {snapshot}{deleted}"


def retain(data: str, job: str, snapshot: str, *, keep: bool) -> str:
    """Keep a snapshot for ever, or no longer; give what to say."""
    _check_snapshot(data, job, snapshot)
    with _writing(data) as store:
        operations.retain(store.cursor, job, snapshot, keep=keep)
    return f"{job}: {snapshot} is {'kept' if keep else 'dropped when its time comes'}"


def rerun(settings: Settings, job: str, from_us: int) -> str:
    """Run a job over the stored events from a time on; give what to say.

    Parameters
    ----------
    settings : Settings
    job : str
        Declared in them.
    from_us : int
        µs since the epoch.

    Raises
    ------
    BellwetherError
        The job is not declared, or the folder cannot be used, or is in use.
    """
    _check_declared(settings, job)
    check_job(settings.data, job)
    with _writing(settings.data) as store:
        at_s = operations.rewind(store.cursor, job, from_us // _SECOND_US)
    session = Session(settings, [])
    try:
        session.open()
        session.commit()
    finally:
        session.close()
    since = f"job_id = {text(job)} AND epoch_us(timestamp) >= {at_s * _SECOND_US:d}"
    sql = f"SELECT count(*) FROM anomaly_buckets WHERE {since}"  # noqa: S608 - escaped
    written = int(query(settings.data, sql).column(0)[0].as_py())
    return f"{job}: {_counted(written, 'bucket')} written from {utc(at_s * _SECOND_US)} on"


def forecast(settings: Settings, job: str, duration_us: int, series: str | None) -> pa.Table:
    """Give what a job expects of the time after its last bucket.

    Parameters
    ----------
    settings : Settings
    job : str
        Declared in them.
    duration_us : int
        How far to look ahead.
    series : str or None
        Only series with this by or partition value.
    """
    _check_declared(settings, job)
    check_job(settings.data, job)
    with _writing(settings.data, keep=False) as store:
        row = first(
            store.cursor,
            "SELECT epoch_us(max(timestamp)) + max(span_s) * 1000000 FROM bucket_results"
            " WHERE job_id = $job AND NOT is_interim",
            {"job": job},
        )
        if row is None or row[0] is None:
            msg = f"`JOB` must have a closed bucket to look ahead from, got {job}, which has none"
            raise ConfigurationError(msg)
        until_s = -(-(int(row[0]) + duration_us) // _SECOND_US)
        table = operations.forecast(store.cursor, settings, job, until_s)
    return table if series is None else _of_series(table, series)


def _of_series(table: pa.Table, series: str) -> pa.Table:
    """Keep the rows of a series; tell which there are, if it has none."""
    keys = [table.column(name).to_pylist() for name in ("partition", "by")]
    found = table.filter(pa.array([series in key for key in zip(*keys, strict=True)], pa.bool_()))
    if len(found) == 0:
        values = sorted({str(value) for key in keys for value in key if value is not None})
        listed = ", ".join(values[:_LISTED]) + (", …" if len(values) > _LISTED else "")
        msg = (
            f"`--series` must be a by or partition value, got {series};"
            f" there are: {listed or 'none'}"
        )
        raise ConfigurationError(msg)
    return found


def _check_declared(settings: Settings, job: str) -> None:
    check_known(job, [each.job_id for each in settings.anomaly_jobs], "the configuration")


def _check_snapshot(data: str, job: str, snapshot: str) -> None:
    check_job(data, job)
    mine = f"job_id = {text(job)} ORDER BY timestamp"
    sql = f"SELECT snapshot_id FROM anomaly_snapshots WHERE {mine}"  # noqa: S608 - escaped
    known = [str(each) for each in query(data, sql).column(0).to_pylist()]
    if snapshot not in known:
        latest = ", ".join(reversed(known[-_LISTED:])) or "none"
        more = ", …" if len(known) > _LISTED else ""
        msg = f"`SNAPSHOT` must be one of {job}, got {snapshot}; the latest are: {latest}{more}"
        raise ConfigurationError(msg)


@contextmanager
def _writing(data: str, *, keep: bool = True) -> Iterator[Store]:
    """Hold the folder and a transaction, which is committed at the end, or forgotten.

    Raises
    ------
    StoreError
        Somebody else holds the folder: the message says who.
    """
    with Store(Path(data)) as store:
        store.begin()
        try:
            yield store
        except BaseException:
            store.rollback()
            raise
        if keep:
            store.commit()
        else:
            store.rollback()


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
