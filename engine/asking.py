"""Small questions to the cursor, with nothing left unread on it."""

from typing import Any

import duckdb

__all__ = ["first", "number"]


def first(
    cursor: duckdb.DuckDBPyConnection, sql: str, parameters: object = None
) -> tuple[Any, ...] | None:
    """Give the first row of a result, or None; the result is read to its end.

    An unread result blocks the next statement of the connection, and checkpoints.
    """
    rows = cursor.execute(sql, parameters).fetchall()
    return rows[0] if rows else None


def number(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: object = None) -> int:
    """Give the one whole number that a statement answers; 0 for NULL or no row."""
    row = first(cursor, sql, parameters)
    return 0 if row is None or row[0] is None else int(row[0])
