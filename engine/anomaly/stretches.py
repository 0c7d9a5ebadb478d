"""The stored events of a job cut into stretches of time, so that no more than some are held."""

from collections.abc import Iterator

import duckdb

from engine.anomaly.definition import Job
from engine.asking import first

__all__ = ["stretches"]

_SECOND_US = 1_000_000
_ROWS = 1 << 18  # of a stretch, if they were spread evenly


def stretches(
    cursor: duckdb.DuckDBPyConnection, job: Job, next_s: int | None
) -> Iterator[tuple[int | None, int | None]]:
    """Give bounds, µs: the lower one counts in, the upper one does not; None is open.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    job : Job
    next_s : int or None
        Start of the first bucket that is open; None: everything is new.
    """
    start_us = None if next_s is None else next_s * _SECOND_US
    if job.time_basis == "label" or job.type == "label":
        # When labels came is not known beforehand: all at once.
        yield start_us, None
        return
    table, where = "other_events", "type = $type"
    if job.type is None:
        table, where = "events_stored", "model_id = $model"
    told: dict[str, object] = {"type": job.type} if job.type else {"model": job.model_id}
    if start_us is not None:
        where += " AND event_time >= make_timestamp($start)"
        told["start"] = start_us
    found = first(
        cursor,
        "SELECT count(*), epoch_us(min(event_time)), epoch_us(max(event_time))"
        f" FROM {table} WHERE {where}",
        told,
    )
    count, low_us, high_us = found or (0, None, None)
    if not count:
        return
    span_us = job.span_s * _SECOND_US
    low_us, high_us = low_us // span_us * span_us, (high_us // span_us + 1) * span_us
    pieces = -(-count // _ROWS)
    step_us = -(-(high_us - low_us) // span_us // pieces) * span_us
    for cut_us in range(low_us, high_us, step_us):
        end_us = cut_us + step_us
        yield cut_us, end_us if end_us < high_us else None
