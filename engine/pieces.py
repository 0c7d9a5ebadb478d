"""Cuts a batch where reference rows end: a reference set is frozen between two lines."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batch import Batch

__all__ = ["only_references", "pieces"]


def only_references(batch: Batch) -> bool:
    """Tell whether a batch has nothing but reference rows, rejects and blank lines."""
    return not (len(batch.predictions) or len(batch.votes) or not _references(batch.others).all())


def pieces(batch: Batch) -> list[Batch]:
    """Give the batch in parts, each with its reference rows, if it has any, behind all others.

    One part, the batch itself, where there are no reference rows.
    """
    if not len(batch.others):
        return [batch]
    kinds = np.zeros(batch.lines, np.int8)
    for table in (batch.predictions, batch.votes, batch.others):
        kinds[table["ordinal"].to_numpy()] = 1
    kinds[batch.others["ordinal"].to_numpy()[_references(batch.others)]] = 2
    if not (kinds == 2).any():
        return [batch]
    lines = np.flatnonzero(kinds)
    turns = np.flatnonzero((kinds[lines][:-1] == 2) & (kinds[lines][1:] == 1)) + 1
    starts = [0, *lines[turns].tolist(), batch.lines]
    return [_part(batch, low, high) for low, high in pairwise(starts)]


def _references(others: pa.Table) -> npt.NDArray[np.bool_]:
    return np.array([kind == "reference" for kind in others["type"].to_pylist()], np.bool_)


def _part(batch: Batch, low: int, high: int) -> Batch:
    """Give the lines from `low` up to `high` as a batch of their own."""
    if (low, high) == (0, batch.lines):
        return batch

    def mine(table: pa.Table) -> pa.Table:
        ordinal = table["ordinal"].to_numpy()
        kept = table.filter(pa.array((ordinal >= low) & (ordinal < high)))
        moved = pa.array((kept["ordinal"].to_numpy() - low).astype(np.int32))
        place = kept.schema.get_field_index("ordinal")
        return kept.set_column(place, kept.schema.field(place), moved)

    return replace(
        batch,
        lines=high - low,
        predictions=mine(batch.predictions),
        sparse=mine(batch.sparse),
        votes=mine(batch.votes),
        others=mine(batch.others),
        rejects=mine(batch.rejects),
        folded=None,
    )
