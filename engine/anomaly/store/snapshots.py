"""Snapshots of a job's state: kept at intervals of event time, thinned out, put back.

A snapshot is a copy of the state as it was saved last. Whether one is due, what it is called and
which ones are dropped depends on event time alone. Copies are not compressed: a state shrinks by
some 28 % only, at 50 MB/s with zlib's fastest (measured), against .2 s a copy of 88 MB.

Source: contracts.md ELi-19.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5

import duckdb

from engine.anomaly.results.results import Results
from engine.anomaly.store.roster import Annotation, annotate
from engine.asking import number
from engine.config import AnomalyJobSettings
from engine.errors import StoreError

__all__ = ["Snapshot", "drop_later", "keep", "listed", "retain", "revert"]

_SECOND_US = 1_000_000
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in the store.

    Attributes
    ----------
    snapshot_id : str
        Follows from the job and `at_s`.
    at_s : int
        Event time.
    retain : bool
        Whether it is kept whatever its age.
    size : int
        Bytes.
    next_start_s : int
        Start of the first bucket that is not in it.
    """

    job_id: str
    snapshot_id: str
    at_s: int
    description: str
    retain: bool
    size: int
    next_start_s: int


def keep(
    cursor: duckdb.DuckDBPyConnection,
    settings: AnomalyJobSettings,
    at_s: int,
    description: str,
) -> str | None:
    """Copy the state that was saved last as a snapshot, if one is due; drop those that are over.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction.
    settings : AnomalyJobSettings
        `snapshot_s`, `snapshot_retention_s`, `daily_snapshot_after_s`.
    at_s : int
        Event time: the end of the last bucket in the state.

    Returns
    -------
    str or None
        The id of the new snapshot; None where none is due, or there is no state.
    """
    job_id = settings.job_id
    found = listed(cursor, job_id)
    # After a revert there may be later ones, too: they say nothing of what is due now.
    due = not any(at_s - settings.snapshot_s < each.at_s <= at_s for each in found)
    name = _id_of(job_id, at_s)
    if not due or not number(
        cursor, "SELECT count(*) FROM anomaly_states WHERE job_id = ?", [job_id]
    ):
        return None
    protected = any(each.retain for each in found if each.snapshot_id == name)
    _drop(cursor, job_id, [name])
    cursor.execute(
        f"INSERT INTO model_snapshot_arrays (job_id, snapshot_id, {_PARTS})"
        f" SELECT job_id, $name, {_PARTS} FROM anomaly_state_arrays WHERE job_id = $job",
        {"job": job_id, "name": name},
    )
    cursor.execute(
        "INSERT INTO model_snapshots BY NAME SELECT job_id, $name AS snapshot_id,"
        " make_timestamp($at) AS timestamp, $description AS description, $retain AS retain,"
        " (SELECT sum(octet_length(data))::BIGINT FROM anomaly_state_arrays WHERE job_id = $job)"
        " AS size, version, next_start_s, arrays FROM anomaly_states WHERE job_id = $job",
        {
            "job": job_id,
            "name": name,
            "at": at_s * _SECOND_US,
            "description": description,
            "retain": protected,
        },
    )
    told = f"Model snapshot {name} was stored: {description}"
    annotate(cursor, [Annotation(job_id, at_s, at_s, "model_snapshot_stored", told)])
    _drop(cursor, job_id, list(_over(listed(cursor, job_id), settings, at_s)))
    return name


_PARTS = "place, name, dtype, shape, part, crc, data"


def _id_of(job_id: str, at_s: int) -> str:
    # Seconds alone would do within a job; ids of several jobs stand next to each other, too.
    return f"{at_s}-{md5(job_id.encode(), usedforsecurity=False).hexdigest()[:8]}"


def _over(found: Sequence[Snapshot], settings: AnomalyJobSettings, at_s: int) -> Iterator[str]:
    """Give the ids of snapshots that are too old, or not the first one of their day."""
    days: set[int] = set()
    for each in found:
        age_s, day = at_s - each.at_s, each.at_s // _DAY_S
        if age_s > settings.snapshot_retention_s:
            if not each.retain:
                yield each.snapshot_id
        elif age_s > settings.daily_snapshot_after_s:
            if day in days and not each.retain:
                yield each.snapshot_id
            days.add(day)


def _drop(cursor: duckdb.DuckDBPyConnection, job_id: str, names: list[str]) -> None:
    for table in ("model_snapshots", "model_snapshot_arrays"):
        cursor.execute(
            f"DELETE FROM {table} WHERE job_id = $job AND list_contains($names, snapshot_id)",
            {"job": job_id, "names": names},
        )


def listed(cursor: duckdb.DuckDBPyConnection, job_id: str) -> list[Snapshot]:
    """Give the snapshots of a job, oldest first."""
    rows = cursor.execute(
        "SELECT snapshot_id, epoch_us(timestamp), description, retain, size, next_start_s"
        " FROM model_snapshots WHERE job_id = ? ORDER BY timestamp",
        [job_id],
    ).fetchall()
    return [Snapshot(job_id, name, at_us // _SECOND_US, *told) for name, at_us, *told in rows]


def retain(
    cursor: duckdb.DuckDBPyConnection, job_id: str, snapshot_id: str, *, retained: bool
) -> None:
    """Say whether a snapshot is kept whatever its age.

    Raises
    ------
    StoreError
        When there is no such snapshot.
    """
    _found(cursor, job_id, snapshot_id)
    cursor.execute(
        "UPDATE model_snapshots SET retain = $retain WHERE job_id = $job AND snapshot_id = $name",
        {"retain": retained, "job": job_id, "name": snapshot_id},
    )


def revert(
    cursor: duckdb.DuckDBPyConnection, job_id: str, snapshot_id: str, *, delete_results: bool
) -> int:
    """Put a snapshot in the place of the state.

    Whoever has the job's state or `Results` in memory must make them anew.

    Parameters
    ----------
    delete_results : bool
        Whether results of buckets that are not in the snapshot go, with what they changed in older
        ones; later snapshots go with them unless they are retained.

    Returns
    -------
    int
        Start of the first bucket that is not in the state, seconds.

    Raises
    ------
    StoreError
        When there is no such snapshot.
    """
    snapshot = _found(cursor, job_id, snapshot_id)
    told = {"job": job_id, "name": snapshot_id}
    for table in ("anomaly_states", "anomaly_state_arrays"):
        cursor.execute(f"DELETE FROM {table} WHERE job_id = ?", [job_id])
    cursor.execute(
        "INSERT INTO anomaly_states BY NAME SELECT job_id, version, next_start_s, arrays"
        " FROM model_snapshots WHERE job_id = $job AND snapshot_id = $name",
        told,
    )
    cursor.execute(
        f"INSERT INTO anomaly_state_arrays (job_id, {_PARTS}) SELECT job_id, {_PARTS}"
        " FROM model_snapshot_arrays WHERE job_id = $job AND snapshot_id = $name",
        told,
    )
    if delete_results:
        Results(cursor).forget(job_id, snapshot.next_start_s)
        drop_later(cursor, job_id, snapshot.at_s)
    said = f"The model was reverted to snapshot {snapshot_id}: {snapshot.description}"
    start_s = snapshot.next_start_s
    annotate(cursor, [Annotation(job_id, start_s, start_s, "model_reverted", said)])
    return start_s


def drop_later(cursor: duckdb.DuckDBPyConnection, job_id: str, after_s: int) -> None:
    """Drop the snapshots after a time, event time, that are not retained."""
    later = [each for each in listed(cursor, job_id) if each.at_s > after_s and not each.retain]
    _drop(cursor, job_id, [each.snapshot_id for each in later])


def _found(cursor: duckdb.DuckDBPyConnection, job_id: str, snapshot_id: str) -> Snapshot:
    for each in listed(cursor, job_id):
        if each.snapshot_id == snapshot_id:
            return each
    msg = f"`snapshot_id` must be a snapshot of anomaly job {job_id}, got {snapshot_id}"
    raise StoreError(msg)
