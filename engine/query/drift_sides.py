"""The two sides of a drift query as statements, and what is read of each.

A row falls into a cell: the texts of what groups it, and on the side of the target its period. Base
rows are read whole, in the order of time, so that bins can be cut; target rows are read piece by
piece and only counted.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.panes import text
from engine.query.answer import Window, windowed
from engine.query.check import truths_of
from engine.query.compile import filter_of, has_truths
from engine.query.expressions import Scope
from engine.query.extracted import Extracted
from engine.query.names import ModelNames
from engine.query.parse_names import is_truth
from engine.query.tree import DriftQuery

__all__ = [
    "Cell",
    "Part",
    "Statement",
    "base_parts",
    "kinds_of",
    "rows_of",
    "statement_of",
    "target_pieces",
]

Cell = tuple[str | None, ...]
"""Class texts of the columns that group, then the period: microseconds or a batch, as text."""

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_PIECE_ROWS = 1 << 17


@dataclass(frozen=True, slots=True)
class Statement:
    """What is read of one side: ``cell``, ``n0``… (groups that are numbers), ``v0``…, ``ok0``…."""

    sql: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one side, shape (n,).

    Attributes
    ----------
    cells : tuple of Cell
        Those that occur, first come first.
    cell : int64
        Of each row, its place among them.
    numeric : bool, shape (n, groups)
        Whether what groups the row is a number.
    values : sequence of pyarrow columns
        Of each property: DOUBLE or VARCHAR, NULL where the row lacks it.
    counts : sequence of bool arrays, or None
        Which rows count for the property; None for all. A row without the truth does not.
    """

    cells: tuple[Cell, ...]
    cell: Ints
    numeric: Flags
    values: Sequence[Any]
    counts: Sequence[Flags | None]


def kinds_of(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: DriftQuery,
    relation: str,
    window: Window | None,
) -> tuple[int, tuple[str, ...]]:
    """Give the rows of a relation, and of each property whether it is a ``number`` there.

    That is: in every row that has it, whatever a filter leaves; else it is a ``category``.
    """
    columns = Extracted(names)
    counted = ", ".join(
        f"count({columns.number(each.name)}), count({columns.text(each.name)})"
        for each in query.properties
    )
    sql, _, bound = windowed(relation, window)
    select = f"SELECT count(*), {counted} FROM ({columns.relation(sql)}) r"
    ((rows, *found),) = cursor.execute(select, bound).fetchall()
    pairs = zip(found[::2], found[1::2], strict=True)
    return rows, tuple("number" if n and n == texts else "category" for n, texts in pairs)


def statement_of(
    names: ModelNames,
    query: DriftQuery,
    which: Literal["base", "target"],
    relation: tuple[str, Window | None],
    kinds: Sequence[str],
) -> Statement:
    """Write the statement that reads one side.

    Parameters
    ----------
    which : str
        Only the target has periods. The base is in the order of time where thresholds are wanted,
        which depend on it; then its relation has the column `seq`.
    relation : (str, Window or None)
        SELECT text of the rows, and the window of them that counts.
    kinds : sequence of str
        Of each property: ``number`` or ``category``.
    """
    columns = Extracted(names)
    scope = Scope(names, columns, "f")
    side = query.base if which == "base" else query.target
    where = filter_of(side.filter, scope)
    # As for a rule: rows of the target have every truth that is named, on either side.
    read = replace(query, properties=(), target=query.target if which == "target" else query.base)
    has = has_truths(truths_of(read), columns)
    keys = [columns.text(each.name) for each in query.group_by]
    if which == "target" and query.rollup is not None:
        keys.append(_period(query.rollup))
    listed = [f"{_cell(keys)} AS cell"]
    for i, each in enumerate(query.group_by):
        listed.append(f"({columns.number(each.name)}) IS NOT NULL AS n{i}")
    for i, (each, kind) in enumerate(zip(query.properties, kinds, strict=True)):
        said = columns.text(each.name)
        listed.append(f"{columns.number(each.name) if kind == 'number' else said} AS v{i}")
        if is_truth(each):
            listed.append(f"({said}) IS NOT NULL AS ok{i}")
    sql, _, bound = windowed(*relation)
    select = (
        f"SELECT {', '.join(listed)} FROM ({columns.relation(sql)}) r WHERE ({where}) AND {has}"
    )
    if which == "base" and query.metric == "Thresholds":
        select += " ORDER BY r.event_time, r.seq"
    return Statement(select, {**bound, **scope.parameters})


def _period(rollup: str) -> str:
    if rollup == "batch_id":
        return "r.batch_id"
    return f"epoch_us(date_trunc({text(rollup)}, r.event_time)::TIMESTAMP)::VARCHAR"


def _cell(keys: Sequence[str]) -> str:
    return f"to_json([{', '.join(keys)}]::VARCHAR[])::VARCHAR"


def base_parts(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, query: DriftQuery
) -> dict[Cell, Part]:
    """Read the base: the rows of each group, in the order of the statement."""
    table = cursor.sql(statement.sql, params=dict(statement.parameters)).to_arrow_table()
    whole = _part(table, query)
    if not query.group_by:
        return {(): whole}
    found: dict[Cell, Part] = {}
    for cell, rows in zip(whole.cells, rows_of(whole.cell, len(whole.cells)), strict=True):
        taken = pa.array(rows)
        values = [column.take(taken) for column in whole.values]
        counts = [None if each is None else each[rows] for each in whole.counts]
        here = np.zeros(len(rows), np.int64)
        found[cell] = Part((cell,), here, whole.numeric[rows], values, counts)
    return found


def target_pieces(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, query: DriftQuery
) -> Generator[Part]:
    """Read the target, some 100,000 rows at a time."""
    found = cursor.sql(statement.sql, params=dict(statement.parameters))
    reader = found.to_arrow_reader(_PIECE_ROWS)
    try:
        for batch in reader:
            yield _part(pa.Table.from_batches([batch]), query)
    finally:
        reader.close()  # what is left unread would block the next statement


def _part(table: pa.Table, query: DriftQuery) -> Part:
    told = table["cell"].combine_chunks().dictionary_encode()
    cells: tuple[Cell, ...] = tuple(
        tuple(json.loads(each)) for each in told.dictionary.to_pylist() if each is not None
    )
    cell = told.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    numeric = np.empty((table.num_rows, len(query.group_by)), np.bool_)
    for place in range(len(query.group_by)):
        numeric[:, place] = _flags(table[f"n{place}"])
    places = range(len(query.properties))
    columns = [table[f"v{place}"] for place in places]
    counts = [
        _flags(table[f"ok{place}"]) if is_truth(query.properties[place]) else None
        for place in places
    ]
    return Part(cells, cell, numeric, columns, counts)


def rows_of(number: Ints, count: int) -> list[Ints]:
    """Give the rows of each of `count` parts, in their order; `number` tells the part of a row."""
    if count == 1:
        return [np.arange(len(number))]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.searchsorted(number[order], np.arange(1, count))) if count else []


def _flags(column: "pa.ChunkedArray[Any]") -> Flags:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.bool_)
