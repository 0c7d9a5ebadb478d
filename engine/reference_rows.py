"""Reads the lines of a reference file as what they are there: rows of one model's reference set.

Predictions become events of the type ``reference``. Anything else that stands in such a file, and
rows of another model, are rejects: a reference set is whole or it is nothing.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.batch import Batch

__all__ = ["as_references"]


def as_references(batch: Batch, model_id: str) -> Batch:
    """Give a decoded block of a reference file with its predictions as reference rows.

    Parameters
    ----------
    batch : Batch
    model_id : str
        The model whose reference set it is.
    """
    rows = pa.table(
        {field.name: _column(batch, field).cast(field.type) for field in batch.others.schema}
    )
    own = batch.others.filter(pc.field("type") == "reference")
    every = pa.concat_tables([rows, own]).sort_by("ordinal")
    mine = np.asarray(every["model_id"].to_pylist(), object) == model_id
    others = every.filter(pa.array(mine))
    foreign = every.filter(pa.array(~mine))
    strange = batch.others.filter(pc.field("type") != "reference")
    rejects = [
        batch.rejects,
        _rejected(batch, batch.votes, "`type` must be prediction or reference in a reference file"),
        _rejected(batch, strange, "`type` must be prediction or reference in a reference file"),
        _rejected(batch, foreign, f'`model_id` must be "{model_id}" in its reference file'),
    ]
    return replace(
        batch,
        predictions=batch.predictions.slice(0, 0),
        sparse=batch.sparse.slice(0, 0),
        votes=batch.votes.slice(0, 0),
        others=others,
        rejects=pa.concat_tables(rejects).sort_by("ordinal"),
        folded=None,
    )


def _column(batch: Batch, field: "pa.Field[Any]") -> "pa.ChunkedArray[Any]":
    if field.name == "type":
        names = pa.array(["reference"] * len(batch.predictions), pa.string())
        return pa.chunked_array([names], pa.string())
    column = batch.predictions[field.name]
    return column if field.name != "raw" or not column.null_count else _lines(batch, column)


def _lines(batch: Batch, column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    """Give the JSON of each row; that of a plain one (`engine.typed`) is its line as it stands."""
    data, start = batch.block.data, batch.block.start
    places: list[int] = (batch.predictions["position"].to_numpy() - start).tolist()
    texts = [
        data[at : _end(data, at)].strip().decode() if raw is None else raw
        for raw, at in zip(column.to_pylist(), places, strict=True)
    ]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _end(data: bytes, at: int) -> int:
    found = data.find(b"\n", at)
    return len(data) if found < 0 else found


def _rejected(batch: Batch, rows: pa.Table, reason: str) -> pa.Table:
    """Give rejects for rows; of several votes in one line there is one."""
    _, first = np.unique(rows["ordinal"].to_numpy(), return_index=True)
    rows = rows.take(pa.array(first, pa.int64()))
    columns = {
        "ordinal": rows["ordinal"],
        "position": rows["position"],
        "reason": pa.array([reason] * len(rows), pa.string()),
        "field": pa.array([reason.split("`")[1]] * len(rows), pa.string()),
        "raw": rows["raw"] if "raw" in rows.column_names else pa.array([""] * len(rows)),
    }
    schema = batch.rejects.schema
    return (
        pa.table(
            {
                name: pa.chunked_array([c]) if isinstance(c, pa.Array) else c
                for name, c in columns.items()
            }
        )
        .select(schema.names)
        .cast(schema)
    )
