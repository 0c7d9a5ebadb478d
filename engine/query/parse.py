"""A query as typed values, from decoded JSON: every fault is told with its place.

Grammar: AR-57 to AR-62 and ARi-07 to ARi-13 of the contract. A null is as if absent.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from engine.query.functions import COMPARATORS
from engine.query.names import ModelNames
from engine.query.parse_calls import call_of, operand_of
from engine.query.parse_faults import Faults
from engine.query.parse_names import MAX_DEPTH, Scope, has_aggregate, type_of
from engine.query.parse_order import check_rows, group_of, key_of, order_of
from engine.query.parse_values import MAX_NAME, text_of, value_of, whole_of
from engine.query.tree import Call, Column, Condition, Query, Source

__all__ = ["MAX_ITEMS", "filters_of", "parse", "source_of"]

MAX_ITEMS = 100
"""How many items a select, a filter, a group_by or an order_by may have."""

_SOURCES: tuple[Source, ...] = get_args(Source)
_KEYS = ("select", "from", "filter", "group_by", "order_by", "subquery", "limit", "offset")


def parse(query: object, names: ModelNames, place: str = "query") -> Query:
    """Return a query as typed values.

    Parameters
    ----------
    query : object
        Decoded JSON.
    place : str
        What the query is called in messages.

    Raises
    ------
    QueryError
        With every fault on a line of its own.

    Examples
    --------
    >>> parse({"select": [{"function": "count"}]}, ModelNames("triage")).select[0].function
    'count'
    """
    faults = Faults()
    tree = _query_of(Scope(names, faults), query, place, 1)
    faults.raise_any()
    return tree


def _query_of(scope: Scope, query: object, place: str, depth: int) -> Query:
    """Return what could be read of a query; only without faults is it whole."""
    faults = scope.faults
    entry = faults.entries(query, place, _KEYS, ("select",))
    subquery = None
    if "subquery" in entry:
        subquery, scope = _subquery_of(scope, entry, f"{place}.subquery", depth + 1)
    source = source_of(faults, entry.get("from", "inference"), f"{place}.from")
    select = _select_of(scope, entry.get("select"), f"{place}.select", depth)
    where = filters_of(scope, entry.get("filter"), f"{place}.filter", depth)
    before = len(faults.texts)
    groups = tuple(
        node
        for index, item in enumerate(_items(faults, entry.get("group_by"), f"{place}.group_by"))
        if (node := group_of(scope, item, f"{place}.group_by[{index}]", depth)) is not None
    )
    if len(faults.texts) == before:  # else a group that could not be read would be missed
        check_rows(faults, select, groups)
    orders = tuple(
        order
        for index, item in enumerate(_items(faults, entry.get("order_by"), f"{place}.order_by"))
        if (order := order_of(scope, item, f"{place}.order_by[{index}]", select, groups))
    )
    limit = whole_of(faults, entry["limit"], f"{place}.limit") if "limit" in entry else None
    offset = whole_of(faults, entry.get("offset", 0), f"{place}.offset") or 0
    return Query(select, source, where, groups, orders, limit, offset, subquery)


def _items(faults: Faults, value: object, place: str) -> list[object]:
    return [] if value is None else faults.items(value, place, MAX_ITEMS, "items")


def _subquery_of(
    scope: Scope, entry: Mapping[str, object], place: str, depth: int
) -> tuple[Query | None, Scope]:
    """Return the subquery, and the scope in which its columns are the properties."""
    faults = scope.faults
    if "from" in entry:
        outer = place.removesuffix(".subquery")
        faults.say(f"`{outer}.from` must be absent, as the query is over a subquery")
    if depth > MAX_DEPTH:
        faults.say(f"`{place}` must not nest deeper than {MAX_DEPTH}")
        return None, replace(scope, columns={}, aliases={}, lenient=True)
    before = len(faults.texts)
    inner = Scope(scope.names, faults)
    query = _query_of(inner, entry["subquery"], place, depth)
    for index, each in enumerate(query.select):
        if key_of(each) == "*":
            faults.say(f"`{place}.select[{index}]` must name its columns: a subquery has no *")
    columns = _columns_of(inner, query)
    lenient = len(faults.texts) > before
    return query, replace(scope, columns=columns, aliases={}, lenient=lenient)


def _columns_of(scope: Scope, query: Query) -> dict[str, str]:
    """Return the columns that a query gives, and their types; `scope` is the query's own."""
    if query.subquery is not None:
        scope = replace(scope, columns=_columns_of(replace(scope, columns=None), query.subquery))
    return {key_of(each): type_of(scope, each) for each in query.select}


def source_of(faults: Faults, value: object, place: str) -> Source:
    """Return one of the sources; inference with a fault if it is none of them."""
    found = faults.choice(value, place, _SOURCES)
    return next((each for each in _SOURCES if each == found), "inference")


def _select_of(scope: Scope, value: object, place: str, depth: int) -> tuple[Column | Call, ...]:
    """Return the items of the select; their aliases are known to what follows."""
    if value is None:
        return ()
    nodes: list[Column | Call] = []
    keys: set[str] = set()
    items = scope.faults.items(value, place, MAX_ITEMS, "items", empty=False)
    for index, item in enumerate(items):
        where = f"{place}[{index}]"
        node = _item_of(scope, item, where, depth)
        if node is None:
            continue
        key = key_of(node)
        if key in keys:
            told = "alias" if node.alias is not None else "name"
            rule = f"the only one of its {told}" + ("" if node.alias else "; give it an alias")
            scope.faults.say(f'`{where}` must be {rule}, got "{key}" again')
        keys.add(key)
        if node.alias is not None:
            scope.aliases.setdefault(key, node)
        nodes.append(node)
    return tuple(nodes)


def _item_of(scope: Scope, item: object, place: str, depth: int) -> Column | Call | None:
    faults = scope.faults
    before = len(faults.texts)
    entry = faults.entries(item, place, ("function", "property", "alias", "parameters"))
    alias = _alias_of(faults, entry["alias"], f"{place}.alias") if "alias" in entry else None
    if not isinstance(item, dict):
        return None
    if "function" in entry and "property" in entry:
        faults.say(
            f"`{place}` must have either function or property;"
            " the property of a function belongs into its parameters"
        )
    elif "function" in entry:
        return call_of(scope, entry, place, alias, depth)
    elif "property" not in entry:
        if len(faults.texts) == before:  # else the key is perhaps misspelt
            faults.say(f"`{place}` must have either function or property")
    elif "parameters" in entry:
        faults.say(f"`{place}.parameters` must be absent: a property has none")
    else:
        return _property_of(scope, entry["property"], f"{place}.property", alias, depth)
    return None


def _property_of(
    scope: Scope, value: object, place: str, alias: str | None, depth: int
) -> Column | Call | None:
    """Return a property to select, which may be all of them."""
    if value == "*":
        if alias is not None:
            scope.faults.say(f"`{place}` must have no alias when it is *")
        return Column("*", "*", place)
    node = operand_of(scope, value, place, depth=depth)
    return None if node is None else replace(node, alias=alias)


def _alias_of(faults: Faults, value: object, place: str) -> str | None:
    alias = text_of(faults, value, place, MAX_NAME)
    if alias is None:
        return None
    if not alias or alias == "*" or any(ord(each) < 32 for each in alias):
        faults.must(place, f"1 to {MAX_NAME} printable characters and not *", value)
        return None
    return alias


def filters_of(scope: Scope, value: object, place: str, depth: int = 1) -> tuple[Condition, ...]:
    """Return the conditions of a filter; those with faults are left out."""
    if value is None:
        return ()
    items = scope.faults.items(value, place, MAX_ITEMS, "conditions")
    found = (
        _condition_of(scope, item, f"{place}[{index}]", depth) for index, item in enumerate(items)
    )
    return tuple(each for each in found if each is not None)


def _condition_of(scope: Scope, item: object, place: str, depth: int) -> Condition | None:
    faults = scope.faults
    before = len(faults.texts)
    keys = ("property", "function", "parameters", "comparator", "value")
    entry = faults.entries(item, place, keys, ("comparator",))
    if not isinstance(item, dict):
        return None
    operand = _operand_of(scope, entry, place, depth)
    comparator = None
    if "comparator" in entry:
        comparator = faults.choice(entry["comparator"], f"{place}.comparator", COMPARATORS)
    if operand is None or comparator is None:
        return None
    given = ("value" in entry, entry.get("value"))
    kind = type_of(scope, operand)
    value = value_of(faults, comparator, given, f"{place}.value", kind)
    if len(faults.texts) > before:
        return None
    return Condition(operand, comparator, value, place)


def _operand_of(
    scope: Scope, entry: Mapping[str, object], place: str, depth: int
) -> Column | Call | None:
    """Return what a condition is about: a property, or a row function of one."""
    faults = scope.faults
    if ("function" in entry) == ("property" in entry) or (
        "parameters" in entry and "function" not in entry
    ):
        faults.say(f"`{place}` must have either property, or function with its parameters")
        return None
    if "property" in entry:
        return operand_of(scope, entry["property"], f"{place}.property", depth=depth)
    call = call_of(scope, entry, place, None, depth)
    if call is not None and has_aggregate(call):
        faults.must(
            f"{place}.function",
            "a row function",
            call.function,
            ", which is an aggregate; filter on it over a subquery",
        )
        return None
    return call
