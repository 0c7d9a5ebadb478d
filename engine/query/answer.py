"""The answer to any query over any relation of rows: one dictionary a group or a row.

The key of a value is its alias, else the function's name, else the property as written. Numbers are
floats (counts are ints), instants are naive datetimes in UTC, booleans of properties their words,
what is undefined or absent is None. Groups come in the order of their keys and rows in that of
time, unless the query orders them; None comes last.

>>> import duckdb
>>> cursor = duckdb.connect()
>>> rows = "SELECT 'm' AS model_id, x AS prediction_number FROM (VALUES (1.0), (4.0)) v(x)"
>>> mean = Call("avg", {"property": Column("prediction", "prediction", "q")}, "q", "mean")
>>> answer(cursor, ModelNames("m"), Query((mean,)), lambda source: rows)
[{'mean': 2.5}]
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import duckdb

from engine.errors import QueryError
from engine.query.answer_groups import grouped
from engine.query.answer_rows import plain
from engine.query.answer_source import Rows, inner_rows
from engine.query.columns import StoredColumns
from engine.query.functions import FUNCTIONS
from engine.query.names import ModelNames
from engine.query.projected import Projected
from engine.query.tree import Call, Column, Query, Source

__all__ = ["Window", "answer", "windowed"]

Window = tuple[int, int, Literal["event", "label"]]
"""From and to, in microseconds since the epoch, the end excluded; and the time basis."""

_MINUTES = ("adwin", "pageHinkley")


def answer(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: Query,
    relation_of: Callable[[Source], str],
    window: Window | None = None,
) -> list[dict[str, object]]:
    """Answer a query.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Where the relations can be read; the rows of a subquery are registered on it meanwhile.
    names : ModelNames
        The model's.
    query : Query
        Checked, as `parse` gives it.
    relation_of : callable
        Source -> SELECT text with the columns `plan.ROW_COLUMNS` (`columns.rows_sql`).
    window : (int, int, str), optional
        Only rows at start <= time < end: their event time, or for the basis label, labelled rows,
        when the label came, not before the event.

    Raises
    ------
    QueryError
        If a function cannot run over a subquery, or DuckDB cannot run the query.
    """
    try:
        return _answer(cursor, names, query, relation_of, window=window)
    except duckdb.Error as error:
        msg = f"the query failed: {str(error).splitlines()[0]}"
        raise QueryError(msg) from error


def _answer(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: Query,
    relation_of: Callable[[Source], str],
    *,
    window: Window | None,
    depth: int = 0,
) -> list[dict[str, object]]:
    if query.subquery is None:
        sql, time, bound = windowed(relation_of(query.source), window)
        rows = Rows(sql, bound, names, Projected(StoredColumns(names)), names.properties, time)
        return _run(cursor, rows, query)
    for item in query.select:
        if isinstance(item, Call) and item.function in _MINUTES:
            msg = f"`{item.place}.function` must not be {item.function} over a subquery"
            raise QueryError(msg)
    found = _answer(cursor, names, query.subquery, relation_of, window=window, depth=depth + 1)
    name = f"bellwether_subquery_{depth}"
    table, rows = inner_rows(names, query.subquery, found, name)
    cursor.register(name, table)
    try:
        return _run(cursor, rows, query)
    finally:
        cursor.unregister(name)


def _run(cursor: duckdb.DuckDBPyConnection, rows: Rows, query: Query) -> list[dict[str, object]]:
    query = replace(query, subquery=None)
    if query.group_by or any(_aggregates(item) for item in query.select):
        return grouped(cursor, rows, query)
    return plain(cursor, rows, query)


def _aggregates(item: Column | Call) -> bool:
    return isinstance(item, Call) and FUNCTIONS[item.function].kind != "row"


def windowed(relation: str, window: Window | None) -> tuple[str, str, dict[str, object]]:
    """Restrict a relation to a window; without one it is given back as it is.

    Gives SQL, the time under ``r`` that counts, and what is bound.
    """
    if window is None:
        return relation, "r.event_time", {}
    start, end, basis = window
    time = "r.event_time" if basis == "event" else "greatest(r.event_time, r.label_time)"
    labelled = "" if basis == "event" else "r.label_time IS NOT NULL AND "
    sql = (
        f"SELECT * FROM ({relation}) r WHERE {labelled}{time} >= make_timestamp($w0::BIGINT)"
        f" AND {time} < make_timestamp($w1::BIGINT)"
    )
    return sql, time, {"w0": start, "w1": end}
