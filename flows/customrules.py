"""The custom rules of detectors: what is done with the results that they describe.

Source: contracts.md ELi-17.
"""

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from engine.config import CustomRule, RuleCondition, RuleScope
from flows.yamlnodes import Faults, Node, quoted, shown
from flows.yamlreaders import (
    Reader,
    all_required,
    choice,
    class_text,
    each,
    entries,
    finite,
    has_key,
    identifier,
    mapping,
    nearest,
    several,
    value_at,
)

__all__ = ["custom_rules"]

_SHIFT = "force_time_shift"
_NO_SHIFT = "the time of a series is that of its events, and is never shifted"
_ACTIONS = ("skip_result", "skip_model_update")


def custom_rules(
    faults: Faults,
    node: Node,
    key: str,
    fields: Collection[str],
    filters: Mapping[str, tuple[str, ...] | None],
) -> tuple[CustomRule, ...]:
    """Read the rules of one detector.

    Parameters
    ----------
    fields : collection of str
        Its by, over and partition fields: what scopes may be of.
    filters : mapping of str to tuple of str, or None
        Items by filter id; None: declared, with faults.
    """

    def read(faults: Faults, node: Node, key: str) -> CustomRule | None:
        return _rule(faults, node, key, fields, filters)

    return tuple(rule for _, _, rule in each(faults, node, key, read))


def _rule(
    faults: Faults,
    node: Node,
    key: str,
    fields: Collection[str],
    filters: Mapping[str, tuple[str, ...] | None],
) -> CustomRule | None:
    def scopes(faults: Faults, node: Node, key: str) -> tuple[RuleScope, ...]:
        return _scopes(faults, node, key, fields, filters)

    before = faults.count()
    readers: dict[str, Reader] = {
        "actions": several(_action, f"a list of {' and '.join(_ACTIONS)}", 1),
        "scope": scopes,
        "conditions": _conditions,
    }
    found = mapping(faults, node, key, readers, refused={"params": _NO_SHIFT})
    if faults.count() > before:
        return None
    if not (found.get("scope") or found.get("conditions")):
        faults.say(node, f"{key} must have a `scope` or `conditions`, got neither")
        return None
    return CustomRule(**found)


def _action(faults: Faults, node: Node, key: str) -> str | None:
    if isinstance(node, yaml.ScalarNode) and node.value == _SHIFT:
        faults.say(node, f"{key}: `{_SHIFT}` is not supported: {_NO_SHIFT}")
        return None
    found: str | None = choice(*_ACTIONS)(faults, node, key)
    return found


# ---- scopes ----------------------------------------------------------------------------------


def _scopes(
    faults: Faults,
    node: Node,
    key: str,
    fields: Collection[str],
    filters: Mapping[str, tuple[str, ...] | None],
) -> tuple[RuleScope, ...]:
    found = []
    for name, where, value in entries(faults, node, key):
        if name in fields:
            found.append(_scope(faults, value, where, name, filters))
        else:
            names = ", ".join(quoted(each) for each in fields) or "it has none"
            rule = f"a field that splits its detector ({names})"
            hint = nearest(name, fields)
            faults.say(value, f"{key} must be of {rule}, got {quoted(name)}{hint}")
    return tuple(scope for scope in found if scope is not None)


def _scope(
    faults: Faults,
    node: Node,
    key: str,
    field: str,
    filters: Mapping[str, tuple[str, ...] | None],
) -> RuleScope | None:
    readers: dict[str, Reader] = {
        "filter_id": identifier,
        "filter_type": choice("include", "exclude"),
        "values": several(class_text, "a list of one value or more", 1),
    }
    found = mapping(faults, node, key, readers)
    told = [name for name in ("filter_id", "values") if has_key(node, name)]
    if len(told) != 1:
        if isinstance(node, yaml.MappingNode):
            got = "both" if told else "nothing"
            faults.say(node, f"{key} must have either `filter_id` or `values`, got {got}")
        return None
    values = found.get("values")
    if "filter_id" in found:
        values = _items(faults, value_at(node, "filter_id"), f"{key}.filter_id", filters)
    include = found.get("filter_type", "include") == "include"
    return None if values is None else RuleScope(field, values, include)


def _items(
    faults: Faults, node: Node, key: str, filters: Mapping[str, tuple[str, ...] | None]
) -> tuple[str, ...] | None:
    written = str(node.value)
    if written in filters:
        return filters[written] or ()  # its faults have been told
    rule = "the `filter_id` of one of `filters`"
    faults.say(node, f"{key} must be {rule}, got {shown(node)}{nearest(written, filters)}")
    return None


# ---- conditions ------------------------------------------------------------------------------

_CONDITION: dict[str, Reader] = {
    "applies_to": choice("actual", "typical", "diff_from_typical", "time"),
    "operator": choice("gt", "gte", "lt", "lte"),
    "value": finite,
}


def _condition(faults: Faults, node: Node, key: str) -> RuleCondition | None:
    found: dict[str, Any] = mapping(faults, node, key, _CONDITION)
    return RuleCondition(**found) if all_required(faults, node, key, _CONDITION, found) else None


def _conditions(faults: Faults, node: Node, key: str) -> tuple[RuleCondition, ...]:
    return tuple(condition for _, _, condition in each(faults, node, key, _condition))
