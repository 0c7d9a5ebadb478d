"""What travels down the path: a block of whole lines, and the columns decoded from it."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from engine.amounts import EventAmounts
from engine.arrays import Ints
from engine.label_amounts import LabelAmounts
from engine.seen import Keys, Probes

__all__ = ["Batch", "Block", "Folded", "Messages", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """What a source itself has to report of its input; it becomes a row of `rejects`.

    Attributes
    ----------
    position : int
        Where in the partition.
    reason : str
    raw : bytes
        What it is about, as far as there is anything.
    """

    position: int
    reason: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """The messages of a block whose positions are numbers of messages, not bytes.

    Attributes
    ----------
    starts : int64, shape (n,)
        Where each message begins in the data of the block, ascending from 0.
    positions : int64, shape (n,)
        Position of each message, ascending: that of all its lines.
    end : int
        Position of the next message: where reading resumes once the block is committed.
    count, tombstones, empty, missing : int
        Messages up to `end`; those of them without a value, and with an empty one, which are not in
        the data; positions that were skipped because nothing is there any more.
    """

    starts: Ints
    positions: Ints
    end: int
    count: int = 0
    tombstones: int = 0
    empty: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one partition, as bytes.

    Attributes
    ----------
    source, partition : str
        Where the lines come from; both names stay the same across restarts.
    start : int
        Byte offset of `data` in the partition, after decompression.
    data : bytes
        Whole lines; only the last line may lack its newline: at the end of the partition, and
        where a line of more than 2 MiB was cut (it stands alone in its block).
    received_us : int
        Wall clock at receipt, in microseconds since the epoch.
    skipped : int
        Bytes of such a cut line that follow `data` in the partition and were dropped.
    messages : Messages or None
        Where positions count messages: `start` is that of the first one then.
    told : tuple of Told
        What the source reports beside the lines.
    """

    source: str
    partition: str
    start: int
    data: bytes
    received_us: int
    skipped: int = 0
    messages: Messages | None = field(default=None, compare=False)
    told: tuple[Told, ...] = ()

    @property
    def end(self) -> int:
        """Position just behind the block: where reading resumes once it is committed."""
        if self.messages is not None:
            return self.messages.end
        return self.start + len(self.data) + self.skipped

    def positions(self, offsets: Ints) -> Ints:
        """Give the positions of lines that begin at these bytes of `data`.

        >>> starts, positions = np.array([0, 20]), np.array([7, 9])
        >>> messages = Messages(starts, positions, end=10)
        >>> Block("live", "events/0", 7, b"", 0, messages=messages).positions(np.array([0, 8, 20]))
        array([7, 7, 9])
        """
        if self.messages is None:
            return offsets + self.start
        return self.messages.positions[
            np.searchsorted(self.messages.starts, offsets, side="right") - 1
        ]


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch reduced to pane amounts beforehand, as if every row of it counted (`engine.fold`).

    Attributes
    ----------
    events : EventAmounts
    labels : LabelAmounts or None
        None when no row carries a label.
    decisions : pyarrow.Table
        See `engine.jobs.cells`.
    probes : Probes
        Of the keys of the predictions (`engine.seen`).
    repeated : uint64
        The keys that several predictions have.
    order : int64
        The predictions in order of their keys.
    """

    events: EventAmounts
    labels: LabelAmounts | None
    decisions: pa.Table
    probes: Probes
    repeated: Keys
    order: Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """The columns of one block; every table is in line order.

    Attributes
    ----------
    block : Block
        The block decoded. Its `data` may have been dropped (empty) to free memory; use `end`.
    end : int
        `block.end` at the time of decoding.
    lines : int
        Lines in the block, blank ones included; `ordinal` counts them from 0.
    predictions : pyarrow.Table
        Columns `ordinal` int32, `position` int64 (byte offset of the line in the partition),
        `key` uint64 (hash of model_id and event_id), `model_id`, `event_id` string, `event_us`
        int64, `prediction` string, `prediction_number` double, `label` string, `label_number`
        double, `score` double, `positive_score` double, `job_id`, `batch_id`, `bucket_id` string,
        `raw` string (the event as one JSON object; null of a plain one), `numbers` list of double
        and `shape` int32 (of a plain one its numbers, and the place of their names in `shapes`:
        `engine.typed`), then one double column per property in `properties`, under its qualified
        name (`features.age`; a further field: `age`).
    properties : tuple of str
        Qualified names of the numeric property columns of `predictions`.
    shapes : tuple of tuple of str
        The names of the numbers of plain predictions.
    sparse : pyarrow.Table
        Numeric properties of the lines whose properties are not in the wide columns: `ordinal`
        int32, `property` string, `value` double.
    votes : pyarrow.Table
        `ordinal`, `position`, `key`, `model_id`, `event_id`, `vote_us` int64, `voter` string (empty
        when unnamed), `property` string (empty for `label`, else the name within `labels`),
        `label` string, `label_number` double.
    others : pyarrow.Table
        Events of the other types: `ordinal`, `position`, `type`, `model_id`, `job_id`, `event_id`
        string, `event_us` int64, `raw` string.
    rejects : pyarrow.Table
        `ordinal`, `position`, `reason`, `field`, `raw` string.
    folded : Folded or None
        What the predictions add to the panes if all of them count.
    """

    block: Block
    end: int
    lines: int
    predictions: pa.Table
    properties: tuple[str, ...]
    sparse: pa.Table
    votes: pa.Table
    others: pa.Table
    rejects: pa.Table
    folded: Folded | None = None
    shapes: tuple[tuple[str, ...], ...] = ()
