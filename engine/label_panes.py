"""The panes of labelled predictions: deltas of counts and sums, in both time bases.

Whole counts are taken back by -1. Sums of floats never are: where a row is taken back its pane is
*dirty*, takes nothing from the block, and is computed anew from the stored events in line order, so
that no residue stays. Score bins keep both panes in one row, since most have a count of one.
"""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from engine.arrays import Flags, Ints
from engine.label_amounts import BASES, LABELLED_COLUMNS, LabelAmounts, label_amounts
from engine.panes import pane_of

__all__ = ["LABELLED", "LabelPanes"]

LABELLED = """
SELECT e.seq, e.model_id, e.event_time, e.prediction, e.prediction_number, e.score,
    e.positive_score,
    CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,
    CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END AS label_number,
    CASE WHEN o.event_seq IS NULL THEN e.event_time ELSE o.label_time END AS label_time
FROM (SELECT * FROM events_stored ANTI JOIN events_retired USING (seq)) e
LEFT JOIN (SELECT * FROM outcomes ANTI JOIN outcomes_retired USING (seq) WHERE property = '') o
    ON o.event_seq = e.seq
WHERE CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END IS NOT NULL"""
"""SQL: the stored predictions that are labelled now, with the label that holds."""

_KEYS = ["model_id", "time_basis", "pane_s"]
_SUMMED = ("error_panes", "probability_panes")


class LabelPanes:
    """Writes what labelled rows add to the panes.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    positives : mapping
        The positive class (or None) of the models that name the property of its probability.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        positives: Mapping[str, str | None],
        pane_s: int,
    ) -> None:
        self._cursor = cursor
        self._positives = positives
        self._pane_s = pane_s

    def changes(self, series: str, rows: str = "t_changes") -> pa.Table:
        """Give the rows of `t_changes`, or `rows`, with their `weight`, in line order.

        `series` is SQL over `e.model_id` for the series that an event is counted under.
        """
        return self._rows(f"SELECT *, {series} AS series_id FROM {rows} e")

    def amounts(self, changes: pa.Table) -> LabelAmounts:
        """Reduce the rows that `changes` gave."""
        return label_amounts(changes, _weights(changes), self._positives, self._pane_s)

    def _rows(self, rows: str) -> pa.Table:
        found: pa.Table = self._cursor.sql(
            "SELECT weight, series_id AS model_id, epoch_us(event_time) AS event_us,"
            " epoch_us(label_time) AS label_us, label, label_number, prediction,"
            f" prediction_number, score, positive_score FROM ({rows}) ORDER BY seq, weight"
        ).to_arrow_table()
        return found

    def dirty(self, changes: pa.Table) -> pa.Table | None:
        """Give the panes of the sums that `changes` takes something from, None if there are none.

        Columns `model_id`, `time_basis`, `pane_s`.
        """
        back = _weights(changes) < 0
        if not back.any():
            return None
        taken = changes.filter(pa.array(back))
        amounts = label_amounts(taken.select(LABELLED_COLUMNS), None, self._positives, self._pane_s)
        found = [table.select(_KEYS) for table in (amounts.errors, amounts.probabilities)]
        panes = pa.concat_tables(found)
        return panes.group_by(_KEYS).aggregate([]) if len(panes) else None

    def write(
        self, found: Sequence[LabelAmounts], block_seq: int, dirty: pa.Table | None = None
    ) -> None:
        """Write amounts; the sums but for the panes that are dirty."""
        if not found:
            return
        self._insert(
            "total_panes",
            "model_id, time_basis, pane_s, if(time_basis = 'label', labelled, 0), labelled",
            [each.totals for each in found],
            block_seq,
        )
        columns = "model_id, time_basis, pane_s, label, prediction, count"
        self._insert("cell_panes", columns, [each.cells for each in found], block_seq)
        columns = "model_id, event_pane_s, label_pane_s, kind, label, prediction, bins, counts"
        self._insert("score_bins", columns, [each.bins for each in found], block_seq)
        self._write_sums(found, block_seq, dirty)

    def _write_sums(
        self, found: Sequence[LabelAmounts], block_seq: int, dirty: pa.Table | None
    ) -> None:
        errors = [each.errors for each in found]
        probabilities = [each.probabilities for each in found]
        for table, sums in zip(_SUMMED, (errors, probabilities), strict=True):
            rows = [each if dirty is None else _without(each, dirty) for each in sums]
            self._insert(table, ", ".join(rows[0].column_names), rows, block_seq)

    def _insert(self, table: str, columns: str, parts: Sequence[pa.Table], block_seq: int) -> None:
        rows = pa.concat_tables(parts)
        if not len(rows):
            return
        self._cursor.register("b_amounts", rows)
        self._cursor.execute(f"INSERT INTO {table} SELECT {columns}, {block_seq} FROM b_amounts")
        self._cursor.unregister("b_amounts")

    def recount(self, dirty: pa.Table, block_seq: int, series: str) -> None:
        """Compute dirty panes anew; events and outcomes must be stored already."""
        self._cursor.register("b_dirty", dirty)
        for table in _SUMMED:
            self._cursor.execute(
                f"DELETE FROM {table} USING b_dirty d WHERE {table}.model_id = d.model_id"
                f" AND {table}.time_basis = d.time_basis AND {table}.pane_s = d.pane_s"
            )
        for basis in BASES:
            rows = self._rows(self._stored(basis, series))
            bases = (basis,)
            found = label_amounts(rows, None, self._positives, self._pane_s, bases)
            self._write_sums([found], block_seq, None)
        self._cursor.unregister("b_dirty")

    def _stored(self, basis: str, series: str) -> str:
        """Select the labelled stored events of the dirty panes of one basis."""
        time = "e.event_time" if basis == "event" else "greatest(e.event_time, e.label_time)"
        bounds = (
            "SELECT make_timestamp(min(pane_s) * 1000000) AS low,"
            f" make_timestamp((max(pane_s) + {self._pane_s}) * 1000000) AS high"
            f" FROM b_dirty WHERE time_basis = '{basis}'"
        )
        return (
            f"SELECT 1 AS weight, d.model_id AS series_id, e.* FROM ({LABELLED}) e JOIN b_dirty d"
            f" ON d.time_basis = '{basis}' AND d.model_id = {series}"
            f" AND d.pane_s = {pane_of(time, self._pane_s)}"
            f" WHERE {time} >= (SELECT low FROM ({bounds}))"
            f" AND {time} < (SELECT high FROM ({bounds}))"
        )


def _weights(changes: pa.Table) -> Ints:
    return changes["weight"].to_numpy().astype(np.int64)


def _without(rows: pa.Table, dirty: pa.Table) -> pa.Table:
    """Leave out the rows of some panes."""
    left = set(zip(*(dirty[name].to_pylist() for name in _KEYS), strict=True))
    keys = zip(*(rows[name].to_pylist() for name in _KEYS), strict=True)
    kept: Flags = np.array([key not in left for key in keys], np.bool_)
    return rows.filter(pa.array(kept))
