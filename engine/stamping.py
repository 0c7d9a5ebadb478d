"""What the rows of a block get from it: line numbers, times of receipt and event, watermarks."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batch import Batch
from engine.fold import stamped
from engine.watermark import NEVER

__all__ = ["event_rows", "event_times", "vote_lines", "vote_rows"]


def event_times(batch: Batch) -> npt.NDArray[np.int64]:
    """Give the event time of each line, µs; NEVER for lines that have none or do not count.

    A reference row is history by its nature: its time moves no watermark.
    """
    times = np.full(batch.lines, NEVER, np.int64)
    for table, column in ((batch.predictions, "event_us"), (batch.votes, "vote_us")):
        if len(table):
            times[table["ordinal"].to_numpy()] = table[column].to_numpy()
    if len(batch.others):
        types = np.asarray(batch.others["type"].to_pylist(), object)
        us = batch.others["event_us"].fill_null(pa.scalar(NEVER)).to_numpy()
        moving = types != "reference"
        times[batch.others["ordinal"].to_numpy()[moving]] = us[moving]
    return times


def event_rows(
    batch: Batch, marks: npt.NDArray[np.int64], partition_id: int, block_seq: int
) -> pa.Table:
    """Give the predictions with the columns of events_log that their block decides.

    Parameters
    ----------
    batch : Batch
    marks : int64, shape (lines,)
        The watermark before each line, µs; NEVER before the first event.
    partition_id : int
    block_seq : int
        The running number of the block's first line.
    """
    rows = stamped(batch.predictions)
    ordinals = rows["ordinal"].to_numpy()
    own_marks = marks[ordinals]
    stamp = pa.timestamp("us")
    added = {
        "seq": pa.array(ordinals.astype(np.int64) + block_seq),
        "received_time": pa.repeat(pa.scalar(batch.block.received_us, stamp), len(rows)),
        "watermark": pa.array(own_marks, mask=own_marks == NEVER).cast(stamp),
        "partition_id": pa.repeat(pa.scalar(partition_id, pa.int32()), len(rows)),
    }
    for name, column in added.items():
        rows = rows.append_column(name, column)
    return rows


def vote_rows(votes: pa.Table, block_seq: int) -> pa.Table:
    """Give the votes with their line numbers and time stamps."""
    seq = votes["ordinal"].to_numpy().astype(np.int64) + block_seq
    rows = votes.append_column("seq", pa.array(seq))
    return rows.append_column("vote_time", votes["vote_us"].cast(pa.timestamp("us")))


def vote_lines(votes: pa.Table) -> int:
    """Count the lines that brought votes: one line may vote on several labels."""
    return len(np.unique(votes["ordinal"].to_numpy())) if len(votes) else 0
