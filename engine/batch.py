"""What travels down the path: a block of whole lines, and the columns decoded from it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

__all__ = ["Batch", "Block", "Folded"]


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
    """

    source: str
    partition: str
    start: int
    data: bytes
    received_us: int
    skipped: int = 0

    @property
    def end(self) -> int:
        """Byte offset just behind the block: where reading resumes once it is committed."""
        return self.start + len(self.data) + self.skipped


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch reduced to pane amounts beforehand, as if every row of it counted (`engine.fold`).

    Attributes
    ----------
    events, labels : mapping of str to pyarrow.Table
        By the name of the work table; `labels` is empty when no row carries a label.
    """

    events: Mapping[str, pa.Table]
    labels: Mapping[str, pa.Table]


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
        `raw` string (the event as one JSON object), then one double column per property in
        `properties`, under its qualified name (`features.age`; a further field: `age`).
    properties : tuple of str
        Qualified names of the numeric property columns of `predictions`.
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
