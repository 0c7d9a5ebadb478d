"""Reduction of labelled predictions, weighted +1 and -1, in both time bases.

Confusion cells and score bins are whole counts: a -1 takes back. The sums of regression errors, log
loss and Brier score are floats: where a row is taken back, its pane is computed anew from the
stored events, in line order. A row counts in the pane of its event time (basis `event`) and in
that of the greater of event time and label time (basis `label`).
"""

import duckdb

from engine.asking import first, number
from engine.panes import pane_of, score_bin

__all__ = ["LABELLED", "LabelSide"]

_EPSILON = 2.220446049250313e-16  # the clip of scikit-learn's log_loss

# A class is a string, a boolean or a whole number; `*_number` is set for numbers alone.
_BOTH_CLASSES = (
    "prediction IS NOT NULL"
    " AND (label_number IS NULL OR label_number = trunc(label_number))"
    " AND (prediction_number IS NULL OR prediction_number = trunc(prediction_number))"
)

_COLUMNS = "label, label_number, prediction, prediction_number, score, positive_score"

_BASES = (("event", "event_pane"), ("label", "label_pane"))
_KEYS = "model_id, time_basis, pane_s"


class LabelSide:
    """Reduces a block's labelled rows.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With `b_predictions` registered, `t_changes` where keys were touched, and the table
        `positives` (`model_id`, `positive`) of the models that name a positive property.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, pane_s: int) -> None:
        self._cursor = cursor
        self._pane_s = pane_s
        self._regression = self._probabilities = False

    def gather(self, *, fresh: bool, touched: bool, series: str) -> bool:
        """Make `t_labelled` of the block's weighted rows; False when there are none.

        Parameters
        ----------
        fresh : bool
            Whether to take the fresh rows of `b_predictions`.
        touched : bool
            Whether to take the rows of `t_changes`.
        series : str
            SQL over `e.model_id` for the series that an event is counted under.
        """
        event_pane = pane_of("e.event_time", self._pane_s)
        label_pane = pane_of("greatest(e.event_time, e.label_time)", self._pane_s)
        parts = []
        if fresh:
            parts.append(
                f"SELECT 1 AS weight, e.seq, e.series_id AS model_id, {event_pane} AS event_pane,"
                f" {event_pane} AS label_pane, {_COLUMNS}"
                " FROM b_predictions e WHERE e.fresh AND e.label IS NOT NULL"
            )
        if touched:
            parts.append(
                f"SELECT e.weight, e.seq, {series} AS model_id, {event_pane} AS event_pane,"
                f" {label_pane} AS label_pane, {_COLUMNS} FROM t_changes e"
            )
        made = number(
            self._cursor,
            "CREATE OR REPLACE TEMP TABLE t_labelled AS SELECT l.*, p.positive,"
            f" {_BOTH_CLASSES} AS both_classes FROM ({' UNION ALL '.join(parts)}) l"
            " LEFT JOIN positives p USING (model_id)",
        )
        numbers = first(
            self._cursor,
            "SELECT count(label_number + prediction_number), count(score), count(positive_score)"
            " FROM t_labelled",
        ) or (0, 0, 0)
        self._regression = bool(numbers[0])
        self._probabilities = bool(numbers[1] or numbers[2])
        return made > 0

    def count(self) -> None:
        """Make `t_cells` and `t_bins`: the block's counts, by both panes at once."""
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_cells AS SELECT model_id, event_pane, label_pane,"
            " label, prediction, both_classes, sum(weight)::BIGINT AS count"
            " FROM t_labelled GROUP BY ALL HAVING sum(weight) <> 0"
        )
        keys = "model_id, event_pane, label_pane, label, prediction"
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_bins AS SELECT {keys}, 'score' AS kind,"
            f" {score_bin('score')} AS bin, sum(weight)::BIGINT AS count FROM t_labelled"
            " WHERE score IS NOT NULL AND both_classes GROUP BY ALL HAVING sum(weight) <> 0"
            f" UNION ALL SELECT {keys}, 'positive', {score_bin('positive_score')},"
            " sum(weight)::BIGINT FROM t_labelled"
            " WHERE positive_score IS NOT NULL GROUP BY ALL HAVING sum(weight) <> 0"
        )

    def write(self, block_seq: int) -> None:
        """Write the totals, cells and bins that `count` made, once per time basis."""
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
            self._cursor.execute(
                f"INSERT INTO score_bin_panes SELECT model_id, '{basis}', {pane}, kind, label,"
                f" prediction, bin, sum(count), {block_seq} FROM t_bins"
                " GROUP BY ALL HAVING sum(count) <> 0"
            )

    def sum(self, block_seq: int, *, touched: bool, series: str) -> None:
        """Write the sums of errors and probabilities; recount the panes that took back.

        The block's events and outcomes must be stored already: a pane that is recounted is
        read from them, and takes nothing from `t_labelled`.
        """
        dirty = touched and self._find_dirty()
        self._sum("SELECT * FROM t_labelled WHERE weight = 1", "")
        self._write_sums(block_seq, clean_only=dirty)
        if dirty:
            self._recount(block_seq, series)

    def _find_dirty(self) -> bool:
        # Only what enters a float sum makes a pane dirty: whole counts took back already.
        summed = (
            "weight < 0 AND (label_number IS NOT NULL AND prediction_number IS NOT NULL"
            " OR score IS NOT NULL AND both_classes OR positive_score IS NOT NULL)"
        )
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_dirty AS"
            f" SELECT DISTINCT model_id, 'event' AS time_basis, event_pane AS pane_s"
            f" FROM t_labelled WHERE {summed}"
            f" UNION SELECT DISTINCT model_id, 'label', label_pane FROM t_labelled WHERE {summed}"
        )
        return number(self._cursor, "SELECT count(*) FROM t_dirty") > 0

    def _sum(self, rows: str, order: str) -> None:
        """Make `t_errors` and `t_probabilities`: sums of the rows, by both panes at once.

        The rows of a block come in line order by themselves, stored ones must be told to.
        """
        if self._regression:
            self._cursor.execute(_ERRORS.format(rows=rows, order=order))
        if self._probabilities:
            self._cursor.execute(_PROBABILITIES.format(rows=rows, order=order))

    def _write_sums(self, block_seq: int, *, clean_only: bool, basis: str | None = None) -> None:
        """Merge the sums of each basis's panes and write them, except into dirty panes."""
        clean = " ANTI JOIN t_dirty USING (model_id, time_basis, pane_s)" if clean_only else ""
        for name, pane in _BASES:
            if basis not in (None, name):
                continue
            words = {"basis": name, "pane": pane, "clean": clean, "block_seq": block_seq}
            if self._regression:
                self._cursor.execute(_WRITE_ERRORS.format(**words))
            if self._probabilities:
                self._cursor.execute(_WRITE_PROBABILITIES.format(**words))

    def _recount(self, block_seq: int, series: str) -> None:
        cursor = self._cursor
        for table in ("error_panes", "probability_panes"):
            cursor.execute(
                f"DELETE FROM {table} USING t_dirty d WHERE {table}.model_id = d.model_id"
                f" AND {table}.time_basis = d.time_basis AND {table}.pane_s = d.pane_s"
            )
        for basis, _ in _BASES:
            self._sum(self._stored(basis, series), " ORDER BY seq")
            self._write_sums(block_seq, clean_only=False, basis=basis)

    def _stored(self, basis: str, series: str) -> str:
        """Select the labelled stored events of the dirty panes of one basis."""
        time = "e.event_time" if basis == "event" else "greatest(e.event_time, e.label_time)"
        bounds = (
            f"SELECT make_timestamp(min(pane_s) * 1000000) AS low,"
            f" make_timestamp((max(pane_s) + {self._pane_s}) * 1000000) AS high"
            f" FROM t_dirty WHERE time_basis = '{basis}'"
        )
        classes = _BOTH_CLASSES.replace("prediction", "e.prediction").replace("label_", "e.label_")
        return (
            "SELECT e.seq, d.model_id, d.pane_s AS event_pane, d.pane_s AS label_pane, e.label,"
            " e.label_number, e.prediction, e.prediction_number, e.score, e.positive_score,"
            f" p.positive, {classes}"
            f" AS both_classes FROM ({LABELLED}) e JOIN t_dirty d"
            f" ON d.time_basis = '{basis}' AND d.model_id = {series}"
            f" AND d.pane_s = {pane_of(time, self._pane_s)}"
            " LEFT JOIN positives p ON p.model_id = d.model_id"
            f" WHERE {time} >= (SELECT low FROM ({bounds}))"
            f" AND {time} < (SELECT high FROM ({bounds}))"
        )


_ERRORS = """
CREATE OR REPLACE TEMP TABLE t_errors AS
SELECT model_id, event_pane, label_pane, count(*) AS count,
    sum(error * error{order}) AS squared_error, sum(abs(error){order}) AS absolute_error,
    avg(label_number{order}) AS label_mean, var_pop(label_number{order}) * count(*) AS label_m2
FROM (SELECT *, label_number - prediction_number AS error FROM ({rows}))
WHERE error IS NOT NULL GROUP BY ALL"""

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

_PROBABILITIES = f"""
CREATE OR REPLACE TEMP TABLE t_probabilities AS
SELECT model_id, event_pane, label_pane, count(*) AS count,
    sum(-ln(greatest({_EPSILON!r}, least(1 - {_EPSILON!r}, p))){{order}}) AS log_loss,
    sum((1 - p) * (1 - p){{order}}) AS brier
FROM (
    SELECT *, CASE
        WHEN positive_score IS NOT NULL THEN
            CASE WHEN label = positive THEN positive_score ELSE 1 - positive_score END
        WHEN score IS NOT NULL AND both_classes AND positive IS NULL THEN
            CASE WHEN label = prediction THEN score ELSE 1 - score END
        END AS p
    FROM ({{rows}})
) WHERE p IS NOT NULL GROUP BY ALL"""

_WRITE_PROBABILITIES = """
INSERT INTO probability_panes
SELECT model_id, time_basis, pane_s, sum(count),
    sum(log_loss ORDER BY event_pane, label_pane),
    sum(brier ORDER BY event_pane, label_pane), {block_seq}
FROM (SELECT *, '{basis}' AS time_basis, {pane} AS pane_s FROM t_probabilities){clean}
GROUP BY model_id, time_basis, pane_s"""

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
