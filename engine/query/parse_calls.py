"""Calls of a query: functions with their parameters, each of which may nest row functions."""

from collections.abc import Mapping

from engine.query.functions import (
    DRIFT_MEASURES,
    FUNCTIONS,
    REFUSED,
    Function,
    Parameter,
    canonical,
)
from engine.query.parse_faults import Faults
from engine.query.parse_names import (
    MAX_DEPTH,
    Scope,
    column_of,
    depth_of,
    has_aggregate,
    type_of,
)
from engine.query.parse_rules import check_together, check_truth, class_of, read_condition
from engine.query.parse_values import number_of, text_of, whole_of
from engine.query.tree import Argument, Call, Column, Scalar

__all__ = ["call_of", "operand_of"]

_MAX_PROPERTIES = 100
_WORDS = {
    "number": "a number",
    "text": "a text",
    "time": "a time",
    "id": "an id",
    "mixed": "no time",
}
_ANY = Parameter("property", "property")


def call_of(
    scope: Scope, entry: Mapping[str, object], place: str, alias: str | None = None, depth: int = 1
) -> Call | None:
    """Return the call in an object with `function` and `parameters`, None with faults.

    Parameters
    ----------
    depth : int
        How many calls and subqueries this one lies in, itself included.
    """
    faults = scope.faults
    if depth > MAX_DEPTH:
        faults.say(f"`{place}` must not nest deeper than {MAX_DEPTH}")
        return None
    function = _function_of(faults, entry.get("function"), f"{place}.function")
    if function is None:
        return None
    place_in = f"{place}.parameters"
    if function.needs_truth and scope.columns is not None:
        faults.say(
            f"`{place}.function` must not compare with labels over a subquery, got"
            f' "{function.name}"; move it into the subquery'
        )
        return None
    before = len(faults.texts)
    given = faults.entries(
        entry.get("parameters") or {},
        place_in,
        [each.name for each in function.parameters],
        [each.name for each in function.parameters if each.required],
    )
    parameters: dict[str, Argument] = {}
    for parameter in function.parameters:
        value = _argument(scope, parameter, given, (f"{place_in}.{parameter.name}", depth))
        if value is not None:
            parameters[parameter.name] = value
    if function.name == "rate":
        read_condition(scope, parameters, given, place_in)
    check_together(faults, function, parameters, place_in)
    check_truth(scope, parameters, place_in)
    return Call(function.name, parameters, place, alias) if len(faults.texts) == before else None


def _function_of(faults: Faults, name: object, place: str) -> Function | None:
    """Return the function of that name, None with a fault if there is none."""
    if not isinstance(name, str):
        faults.must(place, "the name of a function", name)
        return None
    found = canonical(name)
    if found is not None:
        return FUNCTIONS[found]
    if name in REFUSED:
        faults.say(f"`{place}` must not be {name}: {REFUSED[name]}")
    elif name in DRIFT_MEASURES:
        faults.say(f"`{place}` must not be {name}: it is the `metric` of a data drift query")
    else:
        faults.must(place, "a known function", name, faults.near(name, FUNCTIONS))
    return None


def operand_of(
    scope: Scope,
    value: object,
    place: str,
    parameter: Parameter = _ANY,
    depth: int = 1,
) -> Column | Call | None:
    """Return what stands where a property may: a name, a nested row function or an alias.

    Faults: unknown names, aggregates, types that are not accepted.

    Parameters
    ----------
    parameter : Parameter
        Says which types are accepted, and whether a truth is looked for.
    depth : int
        How many calls and subqueries it lies in.
    """
    if isinstance(value, str):
        known = text_of(scope.faults, value, place)
        if known is None:
            return None
        node: Column | Call | None = column_of(scope, known, place, parameter.kind)
    elif isinstance(value, dict):
        node = _nested(scope, value, place, depth)
    else:
        rule = "the name of a property, {nested_function} or {alias_ref}"
        scope.faults.must(place, rule, value)
        return None
    return _accepted(scope, node, place, parameter.accepts, depth)


def _nested(scope: Scope, value: object, place: str, depth: int) -> Column | Call | None:
    keys = ("nested_function", "alias_ref")
    before = len(scope.faults.texts)
    entry = scope.faults.entries(value, place, keys)
    if len(scope.faults.texts) > before:
        return None
    if len(entry) != 1:
        scope.faults.say(f"`{place}` must have either nested_function or alias_ref")
        return None
    if "alias_ref" in entry:
        return _alias(scope, entry["alias_ref"], f"{place}.alias_ref")
    place = f"{place}.nested_function"
    entry = scope.faults.entries(
        entry["nested_function"], place, ("function", "parameters"), ("function",)
    )
    return call_of(scope, entry, place, None, depth + 1) if "function" in entry else None


def _alias(scope: Scope, value: object, place: str) -> Column | Call | None:
    """Return what an alias stands for: an item of the select, or a column of the subquery."""
    if isinstance(value, str):
        if value in scope.aliases:
            return scope.aliases[value]
        if scope.columns is not None and (scope.lenient or value in scope.columns):
            return Column(value, value, place)
    known = [*scope.aliases, *(scope.columns or ())]
    hint = scope.faults.near(value, known) if isinstance(value, str) else ""
    scope.faults.must(place, "an alias of an earlier item of the select", value, hint)
    return None


def _accepted(
    scope: Scope, node: Column | Call | None, place: str, accepts: tuple[str, ...], depth: int
) -> Column | Call | None:
    if node is None:
        return None
    if has_aggregate(node) and isinstance(node, Call):
        scope.faults.say(
            f"`{place}` must be a property or a row function, got the aggregate {node.function};"
            " aggregate in a subquery first"
        )
        return None
    if depth + depth_of(node) > MAX_DEPTH:
        scope.faults.say(f"`{place}` must not nest deeper than {MAX_DEPTH}")
        return None
    if isinstance(node, Column) and node.name == "*":
        scope.faults.must(place, "one property", "*")
        return None
    kind = type_of(scope, node)
    if kind not in accepts and not (kind == "id" and "text" in accepts):
        rule = _WORDS["number" if "number" in accepts else accepts[0]]
        told = node.written if isinstance(node, Column) else node.function
        is_a = _WORDS.get(kind, "several values")
        scope.faults.must(place, rule, told, f", which is {is_a}")
        return None
    return node


def _argument(
    scope: Scope, parameter: Parameter, given: Mapping[str, object], where: tuple[str, int]
) -> Argument:
    """Return the value of a parameter; None if it is absent, or with a fault."""
    place, depth = where
    value = given.get(parameter.name, parameter.default)
    if value is None or parameter.kind == "value":  # `read_condition` reads it
        return None
    if parameter.kind in {"property", "truth", "predicted"}:
        return operand_of(scope, value, place, parameter, depth)
    if parameter.kind == "properties":
        return _properties(scope, parameter, value, place)
    return _plain(scope, parameter, value, place)


def _plain(scope: Scope, parameter: Parameter, value: object, place: str) -> Scalar:
    """Return the value of a parameter that is no property."""
    faults = scope.faults
    if parameter.kind in {"comparator", "choice"}:
        return faults.choice(value, place, parameter.choices)
    if parameter.kind == "class":
        return class_of(scope, value, place)
    if parameter.kind == "whole":
        return whole_of(faults, value, place, int(parameter.low or 0), int(parameter.high or 0))
    bounds = (parameter.low, parameter.high)
    return number_of(faults, value, place, bounds, strict=parameter.strict)


def _properties(
    scope: Scope, parameter: Parameter, value: object, place: str
) -> tuple[str, ...] | None:
    """Return the resolved names of a list of properties."""
    names: list[str] = []
    items = scope.faults.items(value, place, _MAX_PROPERTIES, "property names", empty=False)
    for index, each in enumerate(items):
        where = f"{place}[{index}]"
        if not isinstance(each, str):
            scope.faults.must(where, "the name of a property", each)
            continue
        node = operand_of(scope, each, where, parameter)
        if isinstance(node, Column) and node.name in names:
            scope.faults.must(where, "a property not yet in the list", each)
        elif isinstance(node, Column):
            names.append(node.name)
    return tuple(names)
