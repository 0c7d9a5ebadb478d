"""Queries that aggregate nothing: properties and row functions of each row."""

import json
from collections.abc import Iterable

import duckdb

from engine.query.answer_source import Rows
from engine.query.compile import filter_of
from engine.query.expressions import Scope
from engine.query.parse_order import key_of
from engine.query.tree import Call, Column, Order, Query
from engine.schema import CONTAINERS, KNOWN

__all__ = ["plain", "properties_of"]

_REGULAR = (
    *("inference_id", "inference_timestamp", "received_timestamp", "ground_truth_timestamp"),
    *("prediction", "label", "score", "batch_id", "job_id", "bucket_id"),
)

Node = Column | Call


def plain(cursor: duckdb.DuckDBPyConnection, rows: Rows, query: Query) -> list[dict[str, object]]:
    """Answer a query without aggregates, row by row."""
    scope = Scope(rows.names, rows.columns, "g", rows.types)
    where = filter_of(query.filter, scope)
    own = rows.time is not None
    nodes = {key: node for item in query.select for key, node in _spread(item, rows)}
    columns = [sql for i, node in enumerate(nodes.values()) for sql in _columns(i, node, scope)]
    everything = own and any(key_of(item) == "*" for item in query.select)
    if everything:
        columns.append("r.raw AS raw")
    order = _order(query, nodes, scope, own=own)
    widened = rows.columns.relation(rows.relation)
    sql = (
        f"SELECT {', '.join(columns)} FROM ({widened}) r WHERE {where} ORDER BY {', '.join(order)}"
    )
    if query.limit is not None:
        sql += f" LIMIT {query.limit}"
    sql += f" OFFSET {query.offset}"
    table = cursor.sql(sql, params={**rows.bound, **scope.parameters}).to_arrow_table()
    shown = {
        key: [
            text if number is None else number
            for number, text in zip(
                table[f"n{i}"].to_pylist(), table[f"t{i}"].to_pylist(), strict=True
            )
        ]
        for i, key in enumerate(nodes)
    }
    answers = [{key: values[row] for key, values in shown.items()} for row in range(len(table))]
    if everything:
        for found, raw in zip(answers, table["raw"].to_pylist(), strict=True):
            found.update(properties_of(raw, taken=nodes))
    return answers


def _spread(item: Node, rows: Rows) -> Iterable[tuple[str, Node]]:
    """Give what an item selects, under the keys of the answer; ``*`` is every regular column."""
    if not isinstance(item, Column) or item.name != "*":
        return [(key_of(item), item)]
    names = _REGULAR if rows.time is not None else tuple(rows.types)
    return [(name, Column(name, name, item.place)) for name in names]


def _columns(place: int, node: Node, scope: Scope) -> tuple[str, str]:
    """Give SQL for the number or instant, and the text where there is none, of one column."""
    kind = scope.kind(node)
    if kind == "time":
        return f"{scope.time(node)} AS n{place}", f"NULL::TIMESTAMP AS t{place}"
    number = "NULL::DOUBLE" if kind == "text" else scope.number(node)
    text = "NULL::VARCHAR" if kind == "number" else scope.text(node)
    return f"{number} AS n{place}", f"{text} AS t{place}"


def _order(query: Query, nodes: dict[str, Node], scope: Scope, *, own: bool) -> list[str]:
    keys = [sql for order in query.order_by for sql in _by(order, nodes, scope)]
    return [*keys, *(("r.event_time", "r.event_id") if own else ("r.place",))]


def _by(order: Order, nodes: dict[str, Node], scope: Scope) -> list[str]:
    node = nodes.get(order.by, Column(order.by, order.by, order.place))
    way = f"{'DESC' if order.descending else 'ASC'} NULLS LAST"
    kind = scope.kind(node)
    if kind == "time":
        return [f"{scope.time(node)} {way}"]
    parts = [] if kind == "text" else [scope.number(node)]
    parts += [] if kind == "number" else [scope.text(node)]
    return [f"{part} {way}" for part in parts]


def properties_of(raw: str, taken: Iterable[str] = ()) -> dict[str, object]:
    """Give every property of an event: by its bare name, or qualified where that means another.

    A bare name is that of the features first, then of the predictions, the labels and the further
    fields; names in `taken` mean something else already.

    >>> properties_of('{"id": "1", "features": {"a": 1}, "labels": {"a": 0, "b": true}}')
    {'a': 1, 'labels.a': 0, 'b': True}
    """
    event = json.loads(raw)
    found: dict[str, object] = {}
    blocked = set(taken)
    for container in CONTAINERS:
        for name, value in (event.get(container) or {}).items():
            bare = name not in found and name not in blocked
            found[name if bare else f"{container}.{name}"] = value
    for name, value in event.items():
        if name not in KNOWN and name not in found and name not in blocked:
            found[name] = value
    return found
