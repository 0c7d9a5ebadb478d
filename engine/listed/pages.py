"""One page of the rows of a statement, with the count of them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.asking import number

__all__ = ["Listed", "Page", "among", "listed", "rows_of"]


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are wanted: the first page has number 1."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """The rows of a page by column name, and how many there are on all pages."""

    rows: tuple[dict[str, Any], ...]
    page: Page
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are.

        >>> Listed((), Page(1, 20), 41).pages
        3
        """
        return -(-self.total // self.page.size)


def listed(
    cursor: duckdb.DuckDBPyConnection,
    columns: str,
    source: str,
    bound: Mapping[str, object],
    *,
    page: Page,
    order: str,
    dear: bool = False,
) -> Listed:
    """Give one page; only its rows leave the store.

    Parameters
    ----------
    columns, source : str
        What a row has, and where rows come from with its conditions: begins with FROM.
    bound : mapping
        What the `$names` are bound to.
    order : str
        Of the rows; a total one, so that pages do not overlap.
    dear : bool
        Whether the source is a view that costs more than to keep its rows until they are counted.
    """
    skipped = (page.number - 1) * page.size
    cut = f"ORDER BY {order} LIMIT {page.size:d} OFFSET {skipped:d}"
    if dear:
        rows = rows_of(cursor, f"SELECT {columns}, count(*) OVER () AS total {source} {cut}", bound)
        if rows or not skipped:
            return Listed(tuple(rows), page, rows[0]["total"] if rows else 0)
    total = number(cursor, f"SELECT count(*) {source}", bound)
    if skipped >= total:
        return Listed((), page, total)
    return Listed(tuple(rows_of(cursor, f"SELECT {columns} {source} {cut}", bound)), page, total)


def rows_of(
    cursor: duckdb.DuckDBPyConnection, sql: str, bound: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Give rows by column name."""
    cursor.execute(sql, bound)
    names = [each[0] for each in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def among(name: str, column: str, values: object) -> str:
    """Give the condition that a column is among some values; none where there are no values.

    >>> among("models", "r.model_id", ["m"])
    ' AND list_contains($models, r.model_id)'
    """
    return "" if values is None else f" AND list_contains(${name}, {column})"
