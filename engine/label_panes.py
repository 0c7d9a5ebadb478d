"""The panes of labelled predictions: deltas of counts and sums, in both time bases.

Whole counts are taken back by -1. Sums of floats never are: where a row is taken back its pane is
*dirty*, takes nothing from the block, and is computed anew from the stored events in line order, so
that no residue stays. Score bins keep both panes in one row, since most have a count of one.
"""

import duckdb

from engine.asking import number
from engine.label_side import BOTH_CLASSES, LabelSide, Sums
from engine.panes import pane_of

__all__ = ["LABELLED", "LabelPanes"]

_BASES = (("event", "event_pane"), ("label", "label_pane"))

_BOTH = "(VALUES ('event'), ('label')) AS b(basis)"

LABELLED = """
SELECT e.seq, e.model_id, e.event_time, e.prediction, e.prediction_number, e.score,
    e.positive_score,
    CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,
    CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END AS label_number,
    CASE WHEN o.event_seq IS NULL THEN e.event_time ELSE o.label_time END AS label_time
FROM (SELECT * FROM events_log ANTI JOIN events_retired USING (seq)) e
LEFT JOIN (SELECT * FROM outcomes ANTI JOIN outcomes_retired USING (seq) WHERE property = '') o
    ON o.event_seq = e.seq
WHERE CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END IS NOT NULL"""
"""SQL: the stored predictions that are labelled now, with the label that holds."""


class LabelPanes:
    """Writes what a `LabelSide` on the same cursor has made.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    side : LabelSide
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, side: LabelSide, pane_s: int) -> None:
        self._cursor = cursor
        self._side = side
        self._pane_s = pane_s

    def write_fresh(self, block_seq: int, sums: Sums) -> None:
        """Write what fresh rows made, none of it dirty: both panes are one, nothing merges."""
        self._cursor.execute(
            "INSERT INTO total_panes SELECT model_id, basis, event_pane,"
            " if(basis = 'label', labelled, 0), labelled,"
            f" {block_seq} FROM (SELECT model_id, event_pane, sum(count) AS labelled FROM t_cells"
            f" GROUP BY ALL), {_BOTH}"
        )
        self._cursor.execute(
            "INSERT INTO cell_panes SELECT model_id, b.basis, event_pane, label, prediction,"
            f" count, {block_seq} FROM t_cells, {_BOTH} WHERE both_classes"
        )
        self._write_bins(block_seq)
        for made, table, amounts in (
            (sums.errors, "error", "squared_error, absolute_error, label_mean, label_m2"),
            (sums.probabilities, "probability", "log_loss, brier"),
        ):
            work = "t_errors" if table == "error" else "t_probabilities"
            if made:
                self._cursor.execute(
                    f"INSERT INTO {table}_panes SELECT model_id, b.basis, event_pane, count,"
                    f" {amounts}, {block_seq} FROM {work}, {_BOTH}"
                )

    def write_counts(self, block_seq: int) -> None:
        """Write the totals, cells and bins of `t_cells` and `t_bins`."""
        for basis, pane in _BASES:
            events = "sum(count)" if basis == "label" else "0"
            self._cursor.execute(
                f"INSERT INTO total_panes SELECT model_id, '{basis}', {pane}, {events},"
                f" sum(count), {block_seq} FROM t_cells GROUP BY ALL HAVING sum(count) <> 0"
            )
            self._cursor.execute(
                f"INSERT INTO cell_panes SELECT model_id, '{basis}', {pane}, label, prediction,"
                f" sum(count), {block_seq} FROM t_cells WHERE both_classes"
                " GROUP BY ALL HAVING sum(count) <> 0"
            )
        self._write_bins(block_seq)

    def _write_bins(self, block_seq: int) -> None:
        self._cursor.execute(
            "INSERT INTO score_bins SELECT model_id, event_pane, label_pane, kind, label,"
            f" prediction, bins, counts, {block_seq} FROM t_bins"
        )

    def write_sums(
        self, block_seq: int, sums: Sums, *, dirty: bool, basis: str | None = None
    ) -> None:
        """Write `t_errors` and `t_probabilities`; `dirty`: but for the panes in `t_dirty`."""
        clean = " ANTI JOIN t_dirty USING (model_id, time_basis, pane_s)" if dirty else ""
        for name, pane in _BASES:
            if basis not in (None, name):
                continue
            words = {"basis": name, "pane": pane, "clean": clean, "block_seq": block_seq}
            if sums.errors:
                self._cursor.execute(_WRITE_ERRORS.format(**words))
            if sums.probabilities:
                self._cursor.execute(_WRITE_PROBABILITIES.format(**words))

    def find_dirty(self) -> bool:
        """Make `t_dirty`: the panes of the sums that `t_labelled` takes something back from."""
        summed = (
            "weight < 0 AND (label_number IS NOT NULL AND prediction_number IS NOT NULL"
            " OR score IS NOT NULL AND both_classes OR positive_score IS NOT NULL)"
        )
        return (
            number(
                self._cursor,
                "CREATE OR REPLACE TEMP TABLE t_dirty AS"
                " SELECT DISTINCT model_id, 'event' AS time_basis, event_pane AS pane_s"
                f" FROM t_labelled WHERE {summed}"
                " UNION SELECT DISTINCT model_id, 'label', label_pane FROM t_labelled"
                f" WHERE {summed}",
            )
            > 0
        )

    def recount(self, block_seq: int, series: str) -> None:
        """Compute the panes in `t_dirty` anew; events and outcomes must be stored already."""
        for table in ("error_panes", "probability_panes"):
            self._cursor.execute(
                f"DELETE FROM {table} USING t_dirty d WHERE {table}.model_id = d.model_id"
                f" AND {table}.time_basis = d.time_basis AND {table}.pane_s = d.pane_s"
            )
        both = Sums(errors=True, probabilities=True, positive=True)
        for basis, _ in _BASES:
            self._side.sum_of(self._stored(basis, series), " ORDER BY seq", both)
            self.write_sums(block_seq, both, dirty=False, basis=basis)

    def _stored(self, basis: str, series: str) -> str:
        """Select the labelled stored events of the dirty panes of one basis."""
        time = "e.event_time" if basis == "event" else "greatest(e.event_time, e.label_time)"
        bounds = (
            "SELECT make_timestamp(min(pane_s) * 1000000) AS low,"
            f" make_timestamp((max(pane_s) + {self._pane_s}) * 1000000) AS high"
            f" FROM t_dirty WHERE time_basis = '{basis}'"
        )
        classes = BOTH_CLASSES.replace("prediction", "e.prediction").replace("label_", "e.label_")
        return (
            "SELECT e.seq, d.model_id, d.pane_s AS event_pane, d.pane_s AS label_pane, e.label,"
            " e.label_number, e.prediction, e.prediction_number, e.score, e.positive_score,"
            f" p.positive, {classes} AS both_classes FROM ({LABELLED}) e JOIN t_dirty d"
            f" ON d.time_basis = '{basis}' AND d.model_id = {series}"
            f" AND d.pane_s = {pane_of(time, self._pane_s)}"
            " LEFT JOIN positives p ON p.model_id = d.model_id"
            f" WHERE {time} >= (SELECT low FROM ({bounds}))"
            f" AND {time} < (SELECT high FROM ({bounds}))"
        )


# Partial means and squares merge by Chan, Golub and LeVeque 1983.
_WRITE_ERRORS = """
INSERT INTO error_panes
SELECT model_id, time_basis, pane_s, sum(count),
    sum(squared_error ORDER BY event_pane, label_pane),
    sum(absolute_error ORDER BY event_pane, label_pane), any_value(mean),
    sum(label_m2 + count * (label_mean - mean) * (label_mean - mean)
        ORDER BY event_pane, label_pane), {block_seq}
FROM (
    SELECT *, '{basis}' AS time_basis, {pane} AS pane_s,
        sum(count * label_mean ORDER BY event_pane, label_pane) OVER pane
        / sum(count) OVER pane AS mean
    FROM t_errors WINDOW pane AS (PARTITION BY model_id, {pane})
){clean} GROUP BY model_id, time_basis, pane_s"""

_WRITE_PROBABILITIES = """
INSERT INTO probability_panes
SELECT model_id, time_basis, pane_s, sum(count),
    sum(log_loss ORDER BY event_pane, label_pane),
    sum(brier ORDER BY event_pane, label_pane), {block_seq}
FROM (SELECT *, '{basis}' AS time_basis, {pane} AS pane_s FROM t_probabilities){clean}
GROUP BY model_id, time_basis, pane_s"""
