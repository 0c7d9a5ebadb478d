"""Folds a block's rows to pane amounts before anybody knows which of them count.

Nearly always all predictions of a block are new and those that carry a label have no vote, so the
amounts can be made beside the shard step, on another core, by the same statements. The shard step
uses them where that turns out true, and reduces the block itself where it does not: the result is
the same to the last bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa

from engine.batch import Batch, Folded
from engine.event_side import EventSide
from engine.label_side import LabelSide, Sums

__all__ = ["Folder", "load", "mixed_in", "stamped", "sums_of"]

_EVENT_TABLES = ("t_totals", "t_values")
# Below it the tables cost more to hand over than to make.
_LEAST_ROWS = 4096


class Folder:
    """Folds batch after batch on a cursor of its own.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of a DuckDB in memory, one thread, with the table `positives`.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, pane_s: int) -> None:
        self._cursor = cursor
        self._events = EventSide(cursor, pane_s)
        self._labels = LabelSide(cursor, pane_s)

    def fold(self, batch: Batch) -> Batch:
        """Give the batch with its predictions folded, if it has enough for that to pay."""
        if len(batch.predictions) < _LEAST_ROWS:
            return batch
        count = len(batch.predictions)
        every = pa.repeat(pa.scalar(True), count)  # noqa: FBT003 - a value of a column
        rows = stamped(batch.predictions)
        for name, column in (
            ("series_id", rows["model_id"]),
            ("seq", rows["ordinal"].cast(pa.int64())),
            ("fresh", every),
            ("counted", every),
        ):
            rows = rows.append_column(name, column)
        self._cursor.register("b_predictions", rows)
        self._cursor.register("b_sparse", batch.sparse)
        self._events.reduce(batch.properties, mixed_in(batch))
        sums = self._labels.gather_fresh()
        if sums is not None:
            self._labels.count(sums)
            self._labels.sum(sums)
        folded = Folded(self._take(_EVENT_TABLES), self._take(_label_tables(sums)))
        for name in ("b_predictions", "b_sparse"):
            self._cursor.unregister(name)
        return replace(batch, folded=folded)

    def _take(self, names: Sequence[str]) -> dict[str, pa.Table]:
        return {name: self._cursor.sql(f"FROM {name}").to_arrow_table() for name in names}


def load(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    """Make work tables on another cursor."""
    for name, table in tables.items():
        cursor.register("b_folded", table)
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM b_folded")
        cursor.unregister("b_folded")


def sums_of(folded: Folded) -> Sums | None:
    """Tell which sums the labelled rows of a folded batch have; None without such rows."""
    if not folded.labels:
        return None
    return Sums("t_errors" in folded.labels, "t_probabilities" in folded.labels, positive=True)


def stamped(predictions: pa.Table) -> pa.Table:
    """Give the predictions with their event time as a time stamp."""
    return predictions.append_column("event_time", predictions["event_us"].cast(pa.timestamp("us")))


def mixed_in(batch: Batch) -> list[str]:
    """Name the properties of which a batch has values beside the columns."""
    return [str(name) for name in batch.sparse["property"].unique().to_pylist()]


def _label_tables(sums: Sums | None) -> list[str]:
    if sums is None:
        return []
    names = ["t_cells", "t_bins"]
    names += ["t_errors"] if sums.errors else []
    names += ["t_probabilities"] if sums.probabilities else []
    return names
