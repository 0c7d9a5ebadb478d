"""Properties computed once a row: short SQL, and no JSON read twice.

Plans name a property many times over. Over a relation that `Projected.relation` has widened each of
them is a column of its own.
"""

from engine.query.plan import Columns

__all__ = ["Projected"]


class Projected:
    """Columns over a relation widened by the properties that were asked for.

    Parameters
    ----------
    columns : Columns
        Of the relation as it is.

    Examples
    --------
    >>> from engine.query.columns import StoredColumns
    >>> from engine.query.names import ModelNames
    >>> columns = Projected(StoredColumns(ModelNames("m")))
    >>> columns.number("prediction"), columns.number("prediction")
    ('r.x0', 'r.x0')
    >>> columns.relation("SELECT * FROM rows")
    'SELECT *, r.prediction_number AS x0 FROM (SELECT * FROM rows) r'
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._places: dict[str, str] = {}

    def number(self, name: str) -> str:
        """Give SQL, DOUBLE: the value if it is a number, else NULL."""
        return self._place(self._columns.number(name))

    def text(self, name: str) -> str:
        """Give SQL, VARCHAR: strings as they are, other scalars as class text; NULL if absent."""
        return self._place(self._columns.text(name))

    def time(self, name: str) -> str:
        """Give SQL, TIMESTAMP, of inference_timestamp and its like."""
        return self._place(self._columns.time(name))

    def relation(self, relation: str) -> str:
        """Widen a SELECT text by what has been asked for until now."""
        columns = "".join(f", {sql} AS {place}" for sql, place in self._places.items())
        return f"SELECT *{columns} FROM ({relation}) r"

    def _place(self, sql: str) -> str:
        return f"r.{self._places.setdefault(sql, f'x{len(self._places)}')}"
