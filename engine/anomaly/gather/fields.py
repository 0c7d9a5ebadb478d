"""The fields that detectors name, as SQL over the rows of a block.

A field is one of our own (what comes of a prediction and its label), or a property of the event as
the metric language finds it: ``city``, ``features.city``, ``labels.fraud``, ``score``.
"""

from collections.abc import Mapping

from engine.anomaly.definition import OF_PAIRS, conditions_of
from engine.query.columns import class_text
from engine.query.compile import filter_of
from engine.query.expressions import Scope
from engine.query.names import ModelNames
from engine.query.parse_faults import Faults
from engine.query.parse_names import Scope as NameScope
from engine.query.parse_names import column_of
from engine.rules.reader import by_value
from engine.rules.rowset import RowColumns

__all__ = ["Fields"]


class Fields:
    """Gives SQL for fields and filters, and gathers what is to be read of the rows.

    Parameters
    ----------
    columns : RowColumns
        Learns what the rows must have.
    names : ModelNames
    every : bool
        Whether labels are read, so that each state of a row counts, not only another prediction.

    Attributes
    ----------
    wanted : dict of str to mapping
        SQL that is to be read, with its parameters.
    """

    def __init__(self, columns: RowColumns, names: ModelNames, *, every: bool) -> None:
        self.columns = columns
        self.names = names
        self.wanted: dict[str, Mapping[str, object]] = {}
        self._every = every

    def number(self, name: str, place: str) -> str:
        """Give SQL, DOUBLE, of a field: its finite number, else NULL.

        Raises
        ------
        QueryError
            There can be no such field.
        """
        sql = self._pair(name) if name in OF_PAIRS else self.columns.number(self._name(name, place))
        return f"(CASE WHEN isfinite({sql}) THEN {sql} END)"

    def text(self, name: str, place: str) -> str:
        """Give SQL, VARCHAR, of a field: class text of what is no text.

        Raises
        ------
        QueryError
            There can be no such field.
        """
        if name in OF_PAIRS:
            return f"({class_text(self._pair(name))})"
        return self.columns.text(self._name(name, place))

    def condition(self, filter_json: str | None, place: str) -> str:
        """Give SQL, BOOLEAN, of a filter of the metric language, ready to be read."""
        scope = Scope(self.names, self.columns)
        sql = filter_of(conditions_of(self.names, filter_json, place), scope)
        return sql if sql == "true" else self.read(sql, scope.parameters)

    def read(self, sql: str, parameters: Mapping[str, object] | None = None) -> str:
        """Note that SQL is to be read; gives the text under which it is found again."""
        sql, used = by_value(sql, parameters or {})
        self.wanted[sql] = used
        self.columns.note(sql)
        if self._every:
            self.columns.last(sql)
        return sql

    def _name(self, name: str, place: str) -> str:
        """Resolve a name as the metric language does."""
        if name == "model_id":  # a job may be over several models
            return name
        faults = Faults()
        column = column_of(NameScope(self.names, faults), name, place)
        faults.raise_any()
        return name if column is None else column.name

    def _pair(self, name: str) -> str:
        """Give SQL, DOUBLE, of what comes of a prediction and its label."""
        if name in ("correct", "error"):
            sign = "=" if name == "correct" else "<>"
            label, prediction = self.columns.text("label"), self.columns.text("prediction")
            return f"(({label} {sign} {prediction})::INTEGER::DOUBLE)"
        label, prediction = self.columns.number("label"), self.columns.number("prediction")
        lost = f"({label} - {prediction})"
        return f"abs({lost})" if name == "absolute_error" else f"({lost} * {lost})"
