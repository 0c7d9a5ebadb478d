"""Aggregates by group: one statement gathers counts and entries, plans make values of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from engine.errors import QueryError
from engine.panes import pane_of
from engine.query.answer_items import MINUTE_S, Item, item_of
from engine.query.answer_source import Rows
from engine.query.answer_taken import Taken
from engine.query.compile import filter_of, has_truths
from engine.query.expressions import Scope, truths_among
from engine.query.parse_order import key_of, shape_of
from engine.query.plan import Component
from engine.query.tree import Call, Column, Query

__all__ = ["GROUPS_MAX", "grouped", "rank"]

GROUPS_MAX = 100_000
"""Groups of a query: they are held in memory."""

_Group = dict[int | str, object]
"""One group: the value of each key under its number, those of the items under their names."""


@dataclass(frozen=True, slots=True)
class _Key:
    """One column that groups: its place among them, and SQL for it."""

    node: Column | Call
    by: str
    shown: str


def grouped(cursor: duckdb.DuckDBPyConnection, rows: Rows, query: Query) -> list[dict[str, object]]:
    """Answer a query that aggregates."""
    scope = Scope(rows.names, rows.columns, "g", rows.types)
    where = filter_of(query.filter, scope)
    if rows.time is not None:
        where = f"{where} AND {has_truths(truths_among(scope.properties), rows.columns)}"
    keys = [_key(node, scope) for node in query.group_by]
    items, bound = _items(rows, query)
    columns = [f"{key.by} AS k{i}, {key.shown} AS s{i}" for i, key in enumerate(keys)]
    columns += [
        f"{sql} AS {name}" for item in items for name, sql in _gathered(item, rows.time).items()
    ]
    widened = rows.columns.relation(rows.relation)
    sql = f"SELECT {', '.join(columns)} FROM ({widened}) r WHERE {where}"
    if keys:
        sql += f" GROUP BY {', '.join(key.by for key in keys)} LIMIT {GROUPS_MAX + 1}"
    parameters = {**rows.bound, **scope.parameters, **bound}
    table = cursor.sql(sql, params=parameters).to_arrow_table().combine_chunks()
    if len(table) > GROUPS_MAX:
        msg = f"the query must give at most {GROUPS_MAX} groups, got more; group by fewer values"
        raise QueryError(msg)
    return _ordered(query, keys, _values(table, keys, items))


def _key(node: Column | Call, scope: Scope) -> _Key:
    kind = scope.kind(node)
    if kind == "time":
        time = scope.time(node)
        return _Key(node, time, time)
    if kind == "number":
        number = scope.number(node)
        return _Key(node, number, number)
    text = scope.text(node)
    if kind == "text":
        return _Key(node, text, text)
    number = scope.number(node)  # a number where every row of the class is one
    return _Key(node, text, f"CASE WHEN count({number}) = count(*) THEN any_value({number}) END")


def _items(rows: Rows, query: Query) -> tuple[list[Item], dict[str, object]]:
    """Draft what aggregates; gives the items and what they bind."""
    items: list[Item] = []
    bound: dict[str, object] = {}
    shapes = {shape_of(node) for node in query.group_by}
    for index, node in enumerate(query.select):
        if isinstance(node, Call) and shape_of(node) not in shapes:
            scope = Scope(rows.names, rows.columns, f"a{index}_", rows.types)
            items.append(item_of(node, scope, f"a{index}_", own=rows.time is not None))
            bound.update(scope.parameters)
    return items, bound


def _gathered(item: Item, time: str | None) -> dict[str, str]:
    """Give SQL for what one item gathers, by the column's name."""
    found: dict[str, str] = {}
    for component in item.components:
        name, sql = item.prefix + component.name, component.sql
        found |= _aggregate(name, sql, component, item.where, time)
    return found


def _aggregate(
    name: str, sql: str, component: Component, where: str, time: str | None
) -> dict[str, str]:
    if component.kind == "count":
        return {name: f"count(*) FILTER (WHERE ({where}) AND ({sql}))"}
    kept = f"FILTER (WHERE ({where}) AND ({sql}) IS NOT NULL)"
    if component.kind == "sum":
        return {name: f"list({sql}) {kept}"}
    if component.kind == "texts":
        counted = f"histogram({sql}) {kept}"
        return {name: f"map_keys({counted})", f"{name}_weights": f"map_values({counted})"}
    pane = "0" if time is None else pane_of(time, MINUTE_S)
    return {name: f"list({{'entry': {sql}, 'pane': ({pane})::BIGINT}}) {kept}"}


def _values(table: pa.Table, keys: Sequence[_Key], items: Sequence[Item]) -> list[_Group]:
    """Give the keys and the values of each group."""
    columns: dict[int | str, list[object]] = {}
    for place in range(len(keys)):
        by, shown = table[f"k{place}"].to_pylist(), table[f"s{place}"].to_pylist()
        pairs = zip(by, shown, strict=True)
        columns[place] = [text if number is None else number for text, number in pairs]
    for item in items:
        columns[item.key] = item.finish(Taken.of(table, item.prefix, item.components))
    return [
        {name: column[row] for name, column in columns.items()} for row in range(table.num_rows)
    ]


def _ordered(query: Query, keys: Sequence[_Key], found: list[_Group]) -> list[dict[str, object]]:
    """Order the groups, cut them, and give them the keys of the answer."""
    places = {shape_of(key.node): place for place, key in enumerate(keys)}
    columns = {key_of(node): places.get(shape_of(node), key_of(node)) for node in query.select}
    hidden = {key.node.name: i for i, key in enumerate(keys) if isinstance(key.node, Column)}
    found = sorted(found, key=lambda row: [rank(row[place]) for place in range(len(keys))])
    for order in reversed(query.order_by):
        by = columns[order.by] if order.by in columns else hidden[order.by]
        found = _sorted(found, by, descending=order.descending)
    end = None if query.limit is None else query.offset + query.limit
    return [
        {name: row[place] for name, place in columns.items()} for row in found[query.offset : end]
    ]


def _sorted(rows: list[_Group], by: int | str, *, descending: bool) -> list[_Group]:
    known = [row for row in rows if row[by] is not None]
    known.sort(key=lambda row: rank(row[by]), reverse=descending)
    return known + [row for row in rows if row[by] is None]


def rank(value: object) -> tuple[int, float, str]:
    """Give the place of a value in an order of any: numbers, then instants, then texts, None last.

    >>> sorted(["b", None, 2.0, "a", 10], key=rank)
    [2.0, 10, 'a', 'b', None]
    """
    if value is None:
        return 3, 0.0, ""
    if isinstance(value, int | float):
        return 0, float(value), ""
    if isinstance(value, datetime):
        return 1, 0.0, value.isoformat(timespec="microseconds")
    return 2, 0.0, str(value)
