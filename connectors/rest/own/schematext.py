"""A JSON schema as a few lines of text, in the notation of types that most languages share."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["schema_text"]

_STEPS_MAX = 12
_LISTED_MAX = 12

Told = Mapping[str, Any]


def schema_text(schema: Any, described: Told) -> str:
    """Write a schema down; `described` is what its references are looked up in.

    >>> schema_text({"type": "array", "items": {"type": ["string", "null"]}}, {})
    '[string | null]'
    """
    return _text(schema, _Place(described))


@dataclass(frozen=True, slots=True)
class _Place:
    """How deep we are: in schemas, which may hold themselves, and in objects."""

    described: Told
    steps: int = 0
    indent: int = 0

    def deeper(self, indent: int = 0) -> "_Place":
        return replace(self, steps=self.steps + 1, indent=self.indent + indent)


def _text(schema: Any, place: _Place) -> str:
    if not isinstance(schema, Mapping) or place.steps > _STEPS_MAX:  # `true` is a schema, too
        return "any"
    schema, inside = _resolved(schema, place.described), place.deeper()
    for name, sign in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
        if name in schema:
            return sign.join(_text(each, inside) for each in schema[name])
    if "enum" in schema:
        return _listed(schema["enum"])
    if "const" in schema:
        return _listed([schema["const"]])
    kinds = schema.get("type", "object" if "properties" in schema else "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(_of_kind(kind, schema, inside) for kind in kinds)


def _of_kind(kind: str, schema: Told, place: _Place) -> str:
    if kind == "array":
        return f"[{_text(schema.get('items', {}), place)}]"
    if kind == "object":
        return _object(schema, place)
    if kind in {"integer", "number"}:
        return kind + _range(schema)
    if kind == "string" and "format" in schema:
        return f"string ({schema['format']})"
    return kind


def _object(schema: Told, place: _Place) -> str:
    must, inside = set(schema.get("required", ())), place.deeper(1)
    pad = "  " * inside.indent
    lines = [
        f"{pad}{name}{'' if name in must else '?'}: {_text(each, inside)}"
        for name, each in schema.get("properties", {}).items()
    ]
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        lines.append(f"{pad}…: {_text(more, inside)}")
    return "{\n" + "\n".join(lines) + "\n" + "  " * place.indent + "}" if lines else "{…}"


def _resolved(schema: Told, described: Told) -> Told:
    place = str(schema.get("$ref", ""))
    if not place.startswith("#/"):
        return schema
    found: Any = described
    for step in place[2:].split("/"):
        found = found.get(step, {})
    return found if isinstance(found, Mapping) else {}


def _listed(values: list[Any]) -> str:
    shown = [f'"{each}"' if isinstance(each, str) else str(each) for each in values[:_LISTED_MAX]]
    return " | ".join([*shown, *(["…"] if len(values) > _LISTED_MAX else [])])


def _range(schema: Told) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[name]:,}" for name, sign in signs.items() if name in schema]
    return f" ({', '.join(found)})" if found else ""
