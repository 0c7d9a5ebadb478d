"""Groups and order of a query, and whether what it selects has one value a group."""

from collections.abc import Hashable, Sequence

from engine.query.parse_calls import call_of, operand_of
from engine.query.parse_faults import Faults
from engine.query.parse_names import Scope, column_of, has_aggregate, is_known, type_of
from engine.query.tree import Argument, Call, Column, Order

__all__ = ["check_rows", "group_of", "key_of", "order_of", "shape_of"]

_DIRECTIONS = ("asc", "desc", "ascending", "descending")


def key_of(node: Column | Call) -> str:
    """Return the key of a selected item in the answer: its alias, else its name."""
    if node.alias is not None:
        return node.alias
    return node.written if isinstance(node, Column) else node.function


def shape_of(node: Argument) -> Hashable:
    """Return what two nodes share that mean the same, wherever they stand."""
    if isinstance(node, Column):
        return (Column, node.name)
    if isinstance(node, Call):
        parameters = sorted(node.parameters.items(), key=lambda entry: entry[0])
        return (node.function, *((name, shape_of(value)) for name, value in parameters))
    return (type(node), node)


def group_of(scope: Scope, item: object, place: str, depth: int) -> Column | Call | None:
    """Return what one item of `group_by` groups by, None with a fault."""
    faults = scope.faults
    before = len(faults.texts)
    entry = faults.entries(item, place, ("property", "alias", "function", "parameters"))
    chosen = [key for key in ("property", "alias", "function") if key in entry]
    if len(faults.texts) > before:
        return None
    if len(chosen) != 1 or ("parameters" in entry and chosen != ["function"]):
        faults.say(f"`{place}` must have one of property, alias and function")
        return None
    name = entry.get("property")
    if chosen == ["function"]:
        node: Column | Call | None = call_of(scope, entry, place, None, depth)
        return _rowwise(faults, node, f"{place}.function")
    is_alias = isinstance(name, str) and name in scope.aliases and not is_known(scope, name)
    value = (
        {"alias_ref": name if is_alias else entry["alias"]}
        if (is_alias or chosen == ["alias"])
        else name
    )
    return operand_of(scope, value, f"{place}.{chosen[0]}", depth=depth)


def _rowwise(faults: Faults, node: Column | Call | None, place: str) -> Column | Call | None:
    if isinstance(node, Call) and has_aggregate(node):
        faults.must(place, "a row function", node.function, ", which is an aggregate")
        return None
    return node


def order_of(
    scope: Scope,
    item: object,
    place: str,
    select: Sequence[Column | Call],
    groups: Sequence[Column | Call],
) -> Order | None:
    """Return one key of the order, None with a fault.

    `Order.by` is a key of the answer if there is one of that name, else a resolved property: in a
    query with aggregates one that it groups by.
    """
    faults = scope.faults
    entry = faults.entries(item, place, ("property", "alias", "direction"))
    direction = faults.choice(entry.get("direction", "asc"), f"{place}.direction", _DIRECTIONS)
    chosen = [key for key in ("property", "alias") if key in entry]
    if len(chosen) != 1:
        if isinstance(item, dict):
            faults.say(f"`{place}` must have either property or alias")
        return None
    by = _by(scope, entry[chosen[0]], f"{place}.{chosen[0]}", select, groups)
    if by is None or direction is None:
        return None
    return Order(by, direction.startswith("desc"), place)


def _by(
    scope: Scope,
    value: object,
    place: str,
    select: Sequence[Column | Call],
    groups: Sequence[Column | Call],
) -> str | None:
    faults = scope.faults
    selected = {key_of(each): each for each in select}
    if not isinstance(value, str) or value == "*":
        faults.must(place, "the name of a column", value)
    elif value not in selected:
        if place.endswith(".property"):
            return _unselected(scope, value, place, select, groups)
        faults.must(place, "an alias of the select", value, faults.near(value, selected))
    elif type_of(scope, selected[value]) == "several":
        faults.must(place, "a column of single values", value)
    else:
        return value
    return None


def _unselected(
    scope: Scope,
    name: str,
    place: str,
    select: Sequence[Column | Call],
    groups: Sequence[Column | Call],
) -> str | None:
    """Return the property that is ordered by without being in the answer."""
    column = column_of(scope, name, place)
    if column is None:
        return None
    aggregated = groups or any(has_aggregate(each) for each in select)
    if aggregated and shape_of(column) not in {shape_of(each) for each in groups}:
        scope.faults.must(place, "in select or in group_by, as the query aggregates", name)
        return None
    return column.name


def check_rows(
    faults: Faults, select: Sequence[Column | Call], groups: Sequence[Column | Call]
) -> None:
    """Check that every item of an aggregating query has one value a group."""
    if not groups and not any(has_aggregate(each) for each in select):
        return
    shapes = {shape_of(each) for each in groups}
    for each in select:
        if not has_aggregate(each) and shape_of(each) not in shapes:
            name = each.written if isinstance(each, Column) else each.function
            faults.must(each.place, "an aggregate or stand in group_by", name)
