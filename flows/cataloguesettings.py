"""The `catalogues` section of the configuration: what can be plotted beside what is built in."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import yaml

from engine.catalogue_settings import (
    CatalogueColumn,
    CatalogueGroup,
    Catalogues,
    CatalogueSettings,
    ChoiceSettings,
)
from engine.processing.builtin import BUILTIN, CHOICE_FLAGS, CHOICE_TEXTS
from engine.processing.declared_fields import EVENT_KINDS
from engine.processing.series import SERIES
from engine.schema import CONTAINERS
from flows.yamlnodes import Faults, Node, quoted, scalar, shown
from flows.yamlreaders import (
    Reader,
    all_required,
    choice,
    class_text,
    each,
    entries,
    flag,
    has_key,
    identifier,
    line_text,
    mapping,
    nearest,
    path,
    required,
    several,
    text,
    value_at,
)

__all__ = ["catalogues"]

_AGGREGATES = ("sum", "avg", "min", "max", "count")
_COLUMNS_MAX, _FIELDS_MAX, _VALUES_MAX = 200, 10, 1_000


def catalogues(faults: Faults, node: Node, key: str) -> Catalogues:
    """Read the section: catalogues of one's own, and choices of those that are built in."""
    declared: dict[str, CatalogueSettings] = {}
    choices: list[ChoiceSettings] = []
    named: set[str] = set()
    for place, entry, (name, found) in each(faults, node, key, _entry):
        if name in named:
            rule = f"there once, got {quoted(name)} again"
            faults.say(value_at(entry, "name"), f"{place}.name must be {rule}")
        named.add(name)
        if isinstance(found, CatalogueSettings):
            declared[name] = found
        else:
            choices += found
    return Catalogues(tuple(declared.values()), tuple(choices))


def _entry(faults: Faults, node: Node, key: str) -> tuple[str, Any] | None:
    """Read an entry as its name, and either a catalogue or the choices of one."""
    name = None
    if has_key(node, "name"):
        name = value_at(node, "name").value
    if name in BUILTIN:
        return name, _choices(faults, node, key, name)
    found = _catalogue(faults, node, key)
    if found is not None and found.name in SERIES:
        rule = f"a name of its own: {', '.join(SERIES)} are there already"
        faults.must(value_at(node, "name"), f"{key}.name", rule)
    return None if found is None else (found.name, found)


# ---- choices of the built-in ones --------------------------------------------------------------


def _choices(faults: Faults, node: Node, key: str, catalogue: str) -> list[ChoiceSettings]:
    def read(faults: Faults, node: Node, key: str) -> ChoiceSettings | None:
        return _choice(faults, node, key, catalogue)

    def listed(faults: Faults, node: Node, key: str) -> list[ChoiceSettings]:
        found: dict[tuple[str, str | None], ChoiceSettings] = {}
        for place, entry, one in each(faults, node, key, read):
            if (one.name, one.version) in found:
                of = (
                    f"{quoted(one.name)} again"
                    if one.version is None
                    else (f"{quoted(one.name)} with {quoted(one.version)} again")
                )
                faults.say(entry, f"{place} must be there once, got {of}")
            found[one.name, one.version] = one
        return list(found.values())

    why = f"{catalogue} is built in, and only its `choices` can be told more of"
    own = (*_CATALOGUE, "columns", "filters")
    refused = {name: why for name in own if name != "name"}
    found = mapping(faults, node, key, {"name": identifier, "choices": listed}, refused=refused)
    required(faults, node, key, "choices", found)
    choices: list[ChoiceSettings] = found.get("choices", [])
    return choices


def _choice(faults: Faults, node: Node, key: str, catalogue: str) -> ChoiceSettings | None:
    told: dict[str, Reader] = {
        **dict.fromkeys(CHOICE_TEXTS[catalogue], path),
        **dict.fromkeys(CHOICE_FLAGS[catalogue], flag),
    }
    names: dict[str, Reader] = {"name": text}
    if catalogue == "job-types":
        names["version"] = _version
    found = mapping(faults, node, key, {**names, **told})
    if not required(faults, node, key, "name", found):
        return None
    attributes = tuple((name, found[name]) for name in told if name in found)
    return ChoiceSettings(catalogue, found["name"], found.get("version"), attributes)


def _version(faults: Faults, node: Node, key: str) -> str | None:
    """Read a version as it is written: 1.0 is "1.0", as in the events."""
    if isinstance(node, yaml.ScalarNode) and isinstance(scalar(node), Decimal):
        node = yaml.ScalarNode(node.tag, node.value, node.start_mark, style='"')
    return text(faults, node, key)


# ---- catalogues of one's own -------------------------------------------------------------------


_CATALOGUE: dict[str, Reader] = {
    "name": identifier,
    "title": line_text,
    "description": path,  # as long as a path may be
    "type": choice(*EVENT_KINDS),
}


def _catalogue(faults: Faults, node: Node, key: str) -> CatalogueSettings | None:
    kind = value_at(node, "type").value if has_key(node, "type") else None
    field = _field_of(kind)

    fields: dict[str, Reader] = {
        **_CATALOGUE,
        "choice": _some(_choice_field(field), "field", _FIELDS_MAX),
        "filters": several(text, "a list of fields"),
        "groups": _named(_group, _COLUMNS_MAX, "group"),
        "columns": _named(_column_of(field), _COLUMNS_MAX, "column"),
    }
    found = mapping(faults, node, key, fields)
    given = all_required(faults, node, key, ("name", "type", "choice", "columns"), found)
    _check_among(faults, node, f"{key}.filters", "filters", found.get("choice", ()))
    _check_groups(faults, node, key, found)
    if not given:
        return None
    return CatalogueSettings(**{"filters": found["choice"], **found})


def _check_among(faults: Faults, node: Node, key: str, name: str, choice: Collection[str]) -> None:
    """Tell of filters that are no field of a choice; without a choice there is nothing to say."""
    if not choice or not has_key(node, name):
        return
    listed = value_at(node, name)
    for place, entry in enumerate(listed.value if isinstance(listed, yaml.SequenceNode) else ()):
        if str(entry.value) not in choice:
            hint = nearest(str(entry.value), choice)
            rule = f"one of `choice`, {', '.join(choice)}"
            faults.say(entry, f"{key}[{place}] must be {rule}, got {shown(entry)}{hint}")


def _check_groups(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    groups = {group.name for group in found.get("groups", ())}
    if not has_key(node, "columns") or (has_key(node, "groups") and "groups" not in found):
        return
    listed = value_at(node, "columns")
    for place, entry in enumerate(listed.value if isinstance(listed, yaml.SequenceNode) else ()):
        if has_key(entry, "group") and value_at(entry, "group").value not in groups:
            group = value_at(entry, "group")
            hint = nearest(str(group.value), groups)
            where = f"{key}.columns[{place}].group"
            faults.say(group, f"{where} must be one of `groups`, got {shown(group)}{hint}")


def _field_of(kind: object) -> Reader:
    """Give the reader of a field's name, for events of one type."""
    known = EVENT_KINDS.get(str(kind))

    def read(faults: Faults, node: Node, key: str) -> str | None:
        name = text(faults, node, key)
        if name is None or known is None:
            return name
        if known.json is None and name not in known.texts:
            faults.must(node, key, f"one of {', '.join(known.texts)} for the type {kind}")
            return None
        if kind == "prediction" and name.startswith(tuple(f"{each}." for each in CONTAINERS)):
            faults.must(node, key, "the bare name of a property, such as city")
            return None
        return name

    return read


def _choice_field(field: Reader) -> Reader:
    def read(faults: Faults, node: Node, key: str) -> str | None:
        name: str | None = field(faults, node, key)
        if name in ("id", "event_id"):
            faults.must(node, key, "a field that several events share")
            return None
        return name

    return read


def _some(read_one: Reader, what: str, most: int) -> Reader:
    rule = f"a list of 1 to {most:,} {what}s"
    read_all = several(read_one, rule, 1)

    def read(faults: Faults, node: Node, key: str) -> Any:
        if isinstance(node, yaml.SequenceNode) and len(node.value) > most:
            faults.must(node, key, rule)
            return None
        return read_all(faults, node, key) or None

    return read


def _named(read_one: Reader, most: int, what: str) -> Reader:
    """Read a list of 1 to `most` entries whose names are there once."""

    def read(faults: Faults, node: Node, key: str) -> tuple[Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode) or not 1 <= len(node.value) <= most:
            faults.must(node, key, f"a list of 1 to {most:,} {what}s")
            return None
        found: dict[str, Any] = {}
        for place, entry, one in each(faults, node, key, read_one):
            if one.name in found:
                rule = f"there once, got {quoted(one.name)} again"
                faults.say(value_at(entry, "name"), f"{place}.name must be {rule}")
            found[one.name] = one
        return tuple(found.values()) or None

    return read


def _group(faults: Faults, node: Node, key: str) -> CatalogueGroup | None:
    fields: dict[str, Reader] = {"name": identifier, "title": line_text, "description": path}
    found = mapping(faults, node, key, fields)
    return CatalogueGroup(**found) if required(faults, node, key, "name", found) else None


def _column_of(field: Reader) -> Reader:
    fields: dict[str, Reader] = {
        "name": identifier,
        "title": line_text,
        "description": path,
        "units": line_text,
        "group": identifier,
        "aggregate": choice(*_AGGREGATES),
        "field": field,
        "where": _where_of(field),
    }

    def read(faults: Faults, node: Node, key: str) -> CatalogueColumn | None:
        found = mapping(faults, node, key, fields)
        given = all_required(faults, node, key, ("name", "units", "aggregate"), found)
        if found.get("aggregate", "count") != "count" and not has_key(node, "field"):
            faults.say(node, f"{key}.field must be given for {found['aggregate']}, got nothing")
            return None
        if not given or (has_key(node, "field") and "field" not in found):
            return None
        return CatalogueColumn(**found)

    return read


def _where_of(field: Reader) -> Reader:
    """Read conditions: a value, or a list of some of which one must be there, for each field."""
    some = _some(class_text, "value", _VALUES_MAX)

    def read(faults: Faults, node: Node, key: str) -> tuple[tuple[str, Any], ...]:
        found = []
        for name, where, value in entries(faults, node, key):
            # The name stands in the key, so its fault is told there, in its own words.
            named = field(faults, yaml.ScalarNode("", name, value.start_mark, style='"'), where)
            if isinstance(value, yaml.SequenceNode):
                values = some(faults, value, where)
            else:
                one = class_text(faults, value, where)
                values = None if one is None else (one,)
            if named is not None and values is not None:
                found.append((name, values))
        return tuple(found)

    return read
