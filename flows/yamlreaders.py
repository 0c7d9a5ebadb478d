"""Readers of configuration values: each names the fault it finds, with rule and value.

A reader takes (faults, node, key) and gives the value, or None after telling the fault; `key` is
the dotted place of the value in the file.
"""

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import yaml

from flows.yamlnodes import Faults, Node, scalar, shown

__all__ = [
    "Reader",
    "choice",
    "class_text",
    "duration_us",
    "entries",
    "flag",
    "listed",
    "mapping",
    "number",
    "path",
    "required",
    "text",
    "value_at",
    "whole",
]

Reader = Callable[[Faults, Node, str], Any]

_UNITS_US = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_INTEGER = re.compile(r"[-+]?\d+")


def text(faults: Faults, node: Node, key: str) -> str | None:
    """Read text of 1 to 256 characters; a whole number counts as its digits."""
    return _text(faults, node, key, 256)


def path(faults: Faults, node: Node, key: str) -> str | None:
    """Read text of 1 to 4,096 characters, as the paths of files have."""
    return _text(faults, node, key, 4096)


def _text(faults: Faults, node: Node, key: str, most: int) -> str | None:
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, Decimal) and _INTEGER.fullmatch(node.value):
        value = str(node.value).lstrip("+")  # 007 stays what it is
    if isinstance(value, str) and 1 <= len(value) <= most and "\0" not in value:
        return value
    faults.must(node, key, f"text of 1 to {most:,} characters")
    return None


def class_text(faults: Faults, node: Node, key: str) -> str | None:
    """Read a class as events are compared by it: true, 1 and 1.0 are "true", "1" and "1"."""
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        near = float(value)
        if abs(near) < 2**53:
            return str(int(near)) if near.is_integer() else repr(near)
    if isinstance(value, str) and value:
        return value
    faults.must(node, key, "a class: text, a number or a boolean")
    return None


def flag(faults: Faults, node: Node, key: str) -> bool | None:
    """Read true or false."""
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, bool):
        return value
    faults.must(node, key, "true or false")
    return None


def choice(*words: str) -> Reader:
    """Read one of some words."""

    def read(faults: Faults, node: Node, key: str) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.value in words:
            return str(node.value)
        faults.must(node, key, f"one of {', '.join(words)}")
        return None

    return read


def number(low: float, high: float) -> Reader:
    """Read a number from `low` to `high`, both allowed."""

    def read(faults: Faults, node: Node, key: str) -> float | None:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, Decimal) and low <= value <= high:
            return float(value)
        faults.must(node, key, f"a number from {low:g} to {high:g}")
        return None

    return read


def whole(low: int, high: int) -> Reader:
    """Read a whole number from `low` to `high`, both allowed."""

    def read(faults: Faults, node: Node, key: str) -> int | None:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, Decimal) and low <= value <= high and value == int(value):
            return int(value)
        faults.must(node, key, f"a whole number from {low} to {high}")
        return None

    return read


def duration_us(low_us: int, high_us: int, rule: str, unit_us: int = 1) -> Reader:
    """Read a duration, "10s", "5m", "1h", "30d" or a number of seconds, in whole units of time."""

    def read(faults: Faults, node: Node, key: str) -> int | None:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        us: Decimal | None = None
        if found:
            us = Decimal(found[1]) * _UNITS_US[found[2]]
        elif isinstance(value, Decimal) and -(10**12) < value < 10**12:
            us = value * 10**6
        if us is not None and low_us <= us <= high_us and us % unit_us == 0:
            return int(us)
        faults.must(node, key, rule)
        return None

    return read


def mapping(
    faults: Faults,
    node: Node,
    key: str,
    fields: Mapping[str, Reader],
    later: Collection[str] = (),
) -> dict[str, Any]:
    """Read a mapping of known keys; those unknown, or with a fault in the value, are left out."""
    values: dict[str, Any] = {}
    for name, where, value in entries(faults, node, key):
        if name in later:
            faults.say(value, f"`{where}` is not supported by this version")
        elif name not in fields:
            import difflib  # noqa: PLC0415 - slow to load, and only a mistake needs it

            near = difflib.get_close_matches(name, list(fields), 1)
            hint = f'; did you mean "{near[0]}"?' if near else f": the keys are {', '.join(fields)}"
            faults.say(value, f"`{where}` is not a known key{hint}")
        else:
            read = fields[name](faults, value, where)
            if read is not None:
                values[name] = read
    return values


def entries(faults: Faults, node: Node, key: str) -> list[tuple[str, str, Node]]:
    """List name, dotted key and value of a mapping's entries; of a repeated name only the first."""
    if not isinstance(node, yaml.MappingNode):
        faults.must(node, key, "a mapping of keys to values")
        return []
    found: dict[str, tuple[str, str, Node]] = {}
    for name_node, value in node.value:
        if not isinstance(name_node, yaml.ScalarNode):
            faults.say(
                name_node, f"{key or 'a key'} must have keys of text, got {shown(name_node)}"
            )
            continue
        name = str(name_node.value)
        where = f"{key}.{name}" if key else name
        if name in found:
            first = found[name][2].start_mark.line + 1
            faults.say(name_node, f"`{where}` must be there once: it is in line {first} already")
        else:
            found[name] = (name, where, value)
    return list(found.values())


def listed(
    read_one: Callable[[Faults, Node, str], Any], name_of: Callable[[Any], str], what: str
) -> Reader:
    """Read a list whose entries have names, each of them once."""

    def read(faults: Faults, node: Node, key: str) -> tuple[Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode):
            faults.must(node, key, "a list")
            return None
        found: dict[str, Any] = {}
        for place, entry in enumerate(node.value):
            value = read_one(faults, entry, f"{key}[{place}]")
            if value is None:
                continue
            name = name_of(value)
            if name in found:
                faults.say(entry, f'{key}[{place}].{what} must be there once, got "{name}" again')
            found[name] = value
        return tuple(found.values())

    return read


def required(faults: Faults, node: Node, key: str, name: str, found: dict[str, Any]) -> bool:
    """Say whether a key was read; tell a fault when it is not there at all."""
    if name in found:
        return True
    if isinstance(node, yaml.MappingNode) and name not in {
        n for n, _, _ in entries(Faults(""), node, "")
    }:
        faults.say(node, f"{key}.{name} must be given, got nothing")
    return False


def value_at(node: Node, *steps: str | int) -> Node:
    """Give the node under keys and places in lists, which must be there."""
    for step in steps:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(value for name, value in node.value if name.value == step)
    return node
