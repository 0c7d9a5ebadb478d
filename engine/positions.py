"""How far the stream has been taken: the rows of `clock` and `partitions`."""

import duckdb

from engine.batch import Batch
from engine.watermark import NEVER, Mark

__all__ = ["or_null", "write_clock", "write_partition"]


def or_null(time_us: int) -> int | None:
    """Give a time as the store has it: NEVER is NULL."""
    return None if time_us == NEVER else time_us


def write_partition(
    cursor: duckdb.DuckDBPyConnection,
    number: int,
    batch: Batch,
    mark: Mark,
    told: tuple[int, str | None, int, int],
) -> None:
    """Write where a partition is behind a batch.

    Parameters
    ----------
    number : int
        Of the partition.
    mark : Mark
    told : tuple
        Its own watermark (µs), what its source wants back at a resume, events and rejects of the
        batch.
    """
    own_us, state, events, rejects = told
    cursor.execute(
        "UPDATE partitions SET position = ?, max_event = make_timestamp(?),"
        " watermark = make_timestamp(?), idle = false, ended = false, events = events + ?,"
        " rejects = rejects + ?, state = ?, updated_time = make_timestamp(?)"
        " WHERE partition_id = ?",
        [
            batch.end,
            or_null(mark.max_event_us),
            or_null(own_us),
            events,
            rejects,
            state,
            batch.block.received_us,
            number,
        ],
    )


def write_clock(
    cursor: duckdb.DuckDBPyConnection, watermark_us: int, last_event_us: int, counters: list[int]
) -> None:
    """Write watermark, greatest event time, and the counters of `clock` in their order."""
    cursor.execute("DELETE FROM clock")
    cursor.execute(
        "INSERT INTO clock VALUES (make_timestamp(?), make_timestamp(?), ?, ?, ?, ?)",
        [or_null(watermark_us), or_null(last_event_us), *counters],
    )
