"""Readers of configuration values: each names the fault it finds, with rule and value.

A reader takes (faults, node, key) and gives the value, or None after telling the fault; `key` is
the dotted place of the value in the file.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import yaml

from flows.yamlnodes import Faults, Node, quoted, scalar, shown

__all__ = [
    "Reader",
    "all_required",
    "choice",
    "class_text",
    "duration_us",
    "each",
    "entries",
    "finite",
    "flag",
    "has_key",
    "identifier",
    "json_value",
    "line_text",
    "listed",
    "mapping",
    "minutes_us",
    "nearest",
    "number",
    "path",
    "required",
    "seconds",
    "several",
    "text",
    "value_at",
    "whole",
]

Reader = Callable[[Faults, Node, str], Any]

_UNITS_US = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_INTEGER = re.compile(r"[-+]?\d+")
_IDENTIFIER = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,254}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


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


def line_text(faults: Faults, node: Node, key: str) -> str | None:
    """Read text as `text` does, but of one line: without control characters."""
    value = _text(faults, node, key, 256)
    if value is not None and _CONTROL.search(value):
        faults.must(node, key, "text without control characters")
        return None
    return value


def identifier(faults: Faults, node: Node, key: str) -> str | None:
    """Read an id as Elastic has them: lower case, and safe in any path."""
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, str | Decimal) and _IDENTIFIER.fullmatch(node.value):
        return str(node.value)
    rule = "1 to 256 of a to z, 0 to 9, _ and -, with a letter or digit at both ends"
    faults.must(node, key, rule)
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


def finite(faults: Faults, node: Node, key: str) -> float | None:
    """Read any number that a float64 holds."""
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, Decimal) and math.isfinite(float(value)):
        return float(value)
    faults.must(node, key, "a finite number")
    return None


def minutes_us(rule: str, most: int, *, above: bool = False) -> Reader:
    """Read minutes, whole or not, from 0 (or `above` it) to `most`, in µs."""

    def read(faults: Faults, node: Node, key: str) -> int | None:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, Decimal) and 0 <= value <= most and (value > 0 or not above):
            return round(value * 60 * 10**6)
        faults.must(node, key, rule)
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


def seconds(low: int, high: int, rule: str) -> Reader:
    """Read a duration of whole seconds, from `low` to `high` of them."""
    read_us = duration_us(low * 10**6, high * 10**6, rule, 10**6)

    def read(faults: Faults, node: Node, key: str) -> int | None:
        us: int | None = read_us(faults, node, key)
        return None if us is None else us // 10**6

    return read


def mapping(
    faults: Faults,
    node: Node,
    key: str,
    fields: Mapping[str, Reader],
    later: Collection[str] = (),
    *,
    refused: Mapping[str, str] = {},
) -> dict[str, Any]:
    """Read a mapping of known keys; those unknown, or with a fault in the value, are left out.

    `later` are keys of later versions, `refused` those that there will never be, each with why.
    """
    values: dict[str, Any] = {}
    for name, where, value in entries(faults, node, key):
        if name in later:
            faults.say(value, f"`{where}` is not supported by this version")
        elif name in refused:
            faults.say(value, f"`{where}` is not supported: {refused[name]}")
        elif name not in fields:
            near = nearest(name, fields)
            hint = near or f": the keys are {', '.join(fields)}"
            faults.say(value, f"`{where}` is not a known key{hint}")
        else:
            read = fields[name](faults, value, where)
            if read is not None:
                values[name] = read
    return values


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the question after a name that was meant, such as ``; did you mean "age"?``, or ""."""
    import difflib  # noqa: PLC0415 - slow to load, and only a mistake needs it

    names = list(known)
    near = [each for each in names if each.casefold() == name.casefold()]
    near += difflib.get_close_matches(name, names, 1)
    return f"; did you mean {quoted(near[0])}?" if near else ""


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


def each(
    faults: Faults, node: Node, key: str, read_one: Reader
) -> list[tuple[str, yaml.Node, Any]]:
    """List place (``users[0]``), node and value of a list's entries that could be read."""
    if not isinstance(node, yaml.SequenceNode):
        faults.must(node, key, "a list")
        return []
    places = [(f"{key}[{number}]", entry) for number, entry in enumerate(node.value)]
    read = [(place, entry, read_one(faults, entry, place)) for place, entry in places]
    return [(place, entry, value) for place, entry, value in read if value is not None]


def listed(
    read_one: Callable[[Faults, Node, str], Any], name_of: Callable[[Any], str], what: str
) -> Reader:
    """Read a list whose entries have names, each of them once."""

    def read(faults: Faults, node: Node, key: str) -> tuple[Any, ...]:
        found: dict[str, Any] = {}
        for place, entry, value in each(faults, node, key, read_one):
            name = name_of(value)
            if name in found:
                faults.say(entry, f"{place}.{what} must be there once, got {quoted(name)} again")
            found[name] = value
        return tuple(found.values())

    return read


def several(read_one: Reader, what: str, least: int = 0) -> Reader:
    """Read a list of `least` or more plain values, each of them once."""

    def read(faults: Faults, node: Node, key: str) -> tuple[Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode) or len(node.value) < least:
            faults.must(node, key, what)
            return None
        found: dict[Any, None] = {}
        for place, entry, value in each(faults, node, key, read_one):
            if value in found:
                faults.say(entry, f"{place} must be there once, got {quoted(value)} again")
            found[value] = None
        return tuple(found)

    return read


def json_value(faults: Faults, node: Node, key: str) -> Any:
    """Read any value as JSON has it: mapping, list, text, number, true, false or null.

    A number written with a point or an exponent is a float, else an int; None after a fault, too.
    """
    if isinstance(node, yaml.MappingNode):
        found = entries(faults, node, key)
        return {name: json_value(faults, value, where) for name, where, value in found}
    if isinstance(node, yaml.SequenceNode):
        return [json_value(faults, one, f"{key}[{n}]") for n, one in enumerate(node.value)]
    value = scalar(node)
    if not isinstance(value, Decimal):
        return value
    if not math.isfinite(float(value)):
        faults.must(node, key, "a finite number")
        return None
    return int(value) if _INTEGER.fullmatch(node.value) else float(value)


def required(faults: Faults, node: Node, key: str, name: str, found: dict[str, Any]) -> bool:
    """Say whether a key was read; tell a fault when it is not there at all."""
    if name in found:
        return True
    if isinstance(node, yaml.MappingNode) and not has_key(node, name):
        faults.say(node, f"{key}.{name} must be given, got nothing")
    return False


def all_required(
    faults: Faults, node: Node, key: str, names: Iterable[str], found: dict[str, Any]
) -> bool:
    """Say whether all of these keys were read; tell a fault for each that is not there at all."""
    return not [name for name in names if not required(faults, node, key, name, found)]


def has_key(node: Node, name: str) -> bool:
    """Tell whether a node is a mapping with this key, whatever its value."""
    return isinstance(node, yaml.MappingNode) and any(key.value == name for key, _ in node.value)


def value_at(node: Node, *steps: str | int) -> Node:
    """Give the node under keys and places in lists, which must be there."""
    for step in steps:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(value for name, value in node.value if name.value == step)
    return node
