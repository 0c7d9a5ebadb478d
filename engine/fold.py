"""Folds a block's rows to pane amounts before anybody knows which of them count.

Nearly always all predictions of a block are new and those that carry a label have no vote, so the
amounts can be made beside the shard step, on another core, by the same functions. The shard step
uses them where that turns out true, and reduces the rows that count where it does not: the result
is the same to the last bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from engine.amounts import EventAmounts, event_amounts
from engine.arrays import Array, Flags, Ints, whole
from engine.batch import Batch, Folded
from engine.config import ModelSettings
from engine.jobs.cells import cells
from engine.label_amounts import LABELLED_COLUMNS, LabelAmounts, label_amounts
from engine.seen import Keys, Probes, keys_of, probe, repeated_of

__all__ = ["asked", "fold", "fold_events", "fold_labels", "positives_of", "stamped"]

Positives = Mapping[str, str | None]


def positives_of(models: Iterable[ModelSettings]) -> dict[str, str | None]:
    """Give the positive class (or None) of the models that name the property of its probability."""
    return {model.id: model.positive for model in models if model.positive_property is not None}


def fold(batch: Batch, positives: Positives, pane_s: int) -> Batch:
    """Give the batch with its predictions folded.

    Parameters
    ----------
    batch : Batch
    positives : mapping
        See `positives_of`.
    pane_s : int
        Seconds a pane.
    """
    if not len(batch.predictions):
        return batch
    every, rows = np.ones(len(batch.predictions), np.bool_), _numbered(batch.predictions)
    events = fold_events(batch, rows["model_id"], every, pane_s)
    labels = fold_labels(rows, "model_id", every, positives, pane_s)
    keys = keys_of(rows)
    order = np.argsort(keys)
    repeated = repeated_of(keys[order])
    folded = Folded(events, labels, cells(rows), probe(keys), repeated, order)
    return replace(batch, folded=folded)


def _numbered(rows: pa.Table) -> pa.Table:
    """Give the texts that several reductions look at as dictionaries, made once."""
    for name in ("model_id", "job_id", "label", "prediction"):
        found = whole(rows[name]).dictionary_encode()
        rows = rows.set_column(rows.schema.get_field_index(name), name, found)
    return rows


def asked(batch: Batch) -> tuple[Probes, Keys, Ints]:
    """Give where the filter is asked about predictions, then votes; and the keys that repeat.

    The keys are those that several predictions of the batch have. Last come the predictions in
    order of their keys.
    """
    folded, keys = batch.folded, keys_of(batch.predictions)
    probes = folded.probes if folded else probe(keys)
    if len(batch.votes):
        probes = probe(keys_of(batch.votes)).behind(probes)
    if folded:
        return probes, folded.repeated, folded.order
    order = np.argsort(keys)
    return probes, repeated_of(keys[order]), order


def fold_events(batch: Batch, series: Array, counted: Flags, pane_s: int) -> EventAmounts:
    """Reduce the predictions that count to the panes of their event time.

    Parameters
    ----------
    batch : Batch
    series : pyarrow string array, shape (predictions,)
        The series that each is counted under.
    counted : bool, shape (predictions,)
    pane_s : int
    """
    rows, sparse = batch.predictions, batch.sparse
    names = {name: name for name in batch.properties}
    names |= {"prediction": "prediction_number", "score": "score"}
    place = np.searchsorted(rows["ordinal"].to_numpy(), sparse["ordinal"].to_numpy())
    beside = (place, sparse["property"], sparse["value"].to_numpy())
    numbers = {name: rows[column] for name, column in names.items()}
    event_us = rows["event_us"].to_numpy()
    if not counted.all():
        numbers = {name: column.filter(pa.array(counted)) for name, column in numbers.items()}
        series, event_us = series.filter(pa.array(counted)), event_us[counted]
        beside = _only(beside, counted)
    return event_amounts(series, event_us, numbers, beside, pane_s)


def _only(sparse: tuple[Ints, Array, Array], counted: Flags) -> tuple[Ints, Array, Array]:
    """Leave out what belongs to other rows; number the rows that are left."""
    place, names, values = sparse
    kept = counted[place]
    place = (np.cumsum(counted) - 1)[place[kept]]
    return place, names.filter(pa.array(kept)), values[kept]


def fold_labels(
    rows: pa.Table, series: str, fresh: Flags, positives: Positives, pane_s: int
) -> LabelAmounts | None:
    """Reduce the rows that carry a label; None without any.

    Parameters
    ----------
    rows : pyarrow.Table
        Predictions as in `Batch`.
    series : str
        The column with the series that each is counted under.
    fresh : bool, shape (rows,)
        Rows to look at.
    positives : mapping
    pane_s : int
    """
    chosen = fresh & rows["label"].is_valid().to_numpy()
    if not chosen.any():
        return None
    columns = {"model_id": series, "label_us": "event_us"}
    found = pa.table({name: rows[columns.get(name, name)] for name in LABELLED_COLUMNS})
    found = found if chosen.all() else found.filter(pa.array(chosen))
    return label_amounts(found, None, positives, pane_s)


def stamped(predictions: pa.Table) -> pa.Table:
    """Give the predictions with their event time as a time stamp."""
    return predictions.append_column("event_time", predictions["event_us"].cast(pa.timestamp("us")))
