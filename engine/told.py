"""Adds what a source itself reports of its input to the rejects of the block's lines."""

import pyarrow as pa

from engine.batch import Block
from engine.values import cut

__all__ = ["with_told"]


def with_told(rejects: pa.Table, block: Block) -> pa.Table:
    """Give the rejects of a block with what its source told, in front of those of its lines.

    Parameters
    ----------
    rejects : pyarrow.Table
        See `engine.batch.Batch.rejects`.
    block : Block
    """
    if not block.told:
        return rejects
    rows = [
        {"ordinal": 0, "position": told.position, "reason": told.reason, "raw": cut(told.raw)}
        for told in block.told
    ]
    return pa.concat_tables([pa.Table.from_pylist(rows, schema=rejects.schema), rejects])
