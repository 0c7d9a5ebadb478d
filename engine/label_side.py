"""Reduction of labelled predictions, weighted +1 and -1, to amounts per pair of panes.

A row counts in the pane of its event time (basis `event`) and in that of the greater of event time
and label time (basis `label`), so it is grouped by both at once: `engine.label_panes` splits them.
What is made, as temporary tables: `t_cells` and `t_bins` (whole counts), `t_errors` (regression)
and `t_probabilities` (log loss and Brier score, sums of floats).
"""

from dataclasses import dataclass

import duckdb

from engine.asking import first, number
from engine.panes import pane_of, score_bin

__all__ = ["BOTH_CLASSES", "LabelSide", "Sums"]

_EPSILON = 2.220446049250313e-16  # the clip of scikit-learn's log_loss

BOTH_CLASSES = (
    "prediction IS NOT NULL"
    " AND (label_number IS NULL OR label_number = trunc(label_number))"
    " AND (prediction_number IS NULL OR prediction_number = trunc(prediction_number))"
)
"""SQL: label and prediction are classes. `*_number` is set for numbers; a whole one is a class."""

_COLUMNS = "label, label_number, prediction, prediction_number, score, positive_score"


@dataclass(frozen=True, slots=True)
class Sums:
    """What the rows have: errors of regression, probabilities of the truth, positive scores."""

    errors: bool
    probabilities: bool
    positive: bool


class LabelSide:
    """Reduces labelled rows on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With `b_predictions` registered or `t_changes` made, and the table `positives` (`model_id`,
        `positive`) of the models that name a positive property.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, pane_s: int) -> None:
        self._cursor = cursor
        self._pane_s = pane_s

    def gather_fresh(self) -> Sums | None:
        """Take the fresh rows of `b_predictions` that carry their label; None without any."""
        pane = pane_of("event_time", self._pane_s)
        return self._gather(
            f"SELECT 1 AS weight, seq, series_id AS model_id, {pane} AS event_pane,"
            f" {pane} AS label_pane, {_COLUMNS} FROM b_predictions"
            " WHERE fresh AND label IS NOT NULL"
        )

    def gather_changes(self, series: str) -> Sums | None:
        """Take the rows of `t_changes`; None when there are none.

        `series` is SQL over `e.model_id` for the series that an event is counted under.
        """
        event_pane = pane_of("e.event_time", self._pane_s)
        label_pane = pane_of("greatest(e.event_time, e.label_time)", self._pane_s)
        return self._gather(
            f"SELECT e.weight, e.seq, {series} AS model_id, {event_pane} AS event_pane,"
            f" {label_pane} AS label_pane, {_COLUMNS} FROM t_changes e"
        )

    def _gather(self, rows: str) -> Sums | None:
        declared = number(self._cursor, "SELECT count(*) FROM positives")
        positive = (
            "(SELECT positive FROM positives p WHERE p.model_id = l.model_id)"
            if declared
            else "NULL::VARCHAR"
        )
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_labelled AS SELECT l.*, {positive} AS positive,"
            f" {BOTH_CLASSES} AS both_classes FROM ({rows}) l"
        )
        found = first(
            self._cursor,
            "SELECT count(*), count(label_number + prediction_number), count(score),"
            " count(positive_score) FROM t_labelled",
        ) or (0, 0, 0, 0)
        if not found[0]:
            return None
        return Sums(bool(found[1]), bool(found[2] or found[3]), bool(found[3]))

    def count(self, sums: Sums) -> None:
        """Make `t_cells` and `t_bins` of `t_labelled`."""
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_cells AS SELECT model_id, event_pane, label_pane,"
            " label, prediction, both_classes, sum(weight)::BIGINT AS count"
            " FROM t_labelled GROUP BY ALL HAVING sum(weight) <> 0"
        )
        keys = "model_id, event_pane, label_pane, label, prediction"
        binned = (
            f"SELECT {keys}, 'score' AS kind, {score_bin('score')} AS bin,"
            " sum(weight)::BIGINT AS count FROM t_labelled"
            " WHERE score IS NOT NULL AND both_classes GROUP BY ALL HAVING sum(weight) <> 0"
        )
        if sums.positive:
            binned += (
                f" UNION ALL SELECT {keys}, 'positive', {score_bin('positive_score')},"
                " sum(weight)::BIGINT FROM t_labelled"
                " WHERE positive_score IS NOT NULL GROUP BY ALL HAVING sum(weight) <> 0"
            )
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_bins AS SELECT {keys}, kind, list(bin) AS bins,"
            f" list(count) AS counts FROM ({binned}) GROUP BY {keys}, kind"
        )

    def sum(self, sums: Sums) -> None:
        """Make `t_errors` and `t_probabilities` of the rows of `t_labelled` that count anew."""
        self.sum_of("SELECT * FROM t_labelled WHERE weight = 1", "", sums)

    def sum_of(self, rows: str, order: str, sums: Sums) -> None:
        """Make the sums of any rows; those that do not come in line order need an `order`."""
        if sums.errors:
            self._cursor.execute(_ERRORS.format(rows=rows, order=order))
        if sums.probabilities:
            self._cursor.execute(_PROBABILITIES.format(rows=rows, order=order))


_ERRORS = """
CREATE OR REPLACE TEMP TABLE t_errors AS
SELECT model_id, event_pane, label_pane, count(*) AS count,
    sum(error * error{order}) AS squared_error, sum(abs(error){order}) AS absolute_error,
    avg(label_number{order}) AS label_mean, var_pop(label_number{order}) * count(*) AS label_m2
FROM (SELECT *, label_number - prediction_number AS error FROM ({rows}))
WHERE error IS NOT NULL GROUP BY ALL"""

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
