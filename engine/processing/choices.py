"""The choices of a catalogue: what its values can be narrowed to, each with a lasting id."""

import json
from collections.abc import Mapping
from typing import Any

import duckdb

from engine.processing.catalogue_offer import Offer
from engine.processing.seeing import Seeing
from engine.processing.series_source import choices_of

__all__ = ["choices", "known_choices"]


def choices(
    cursor: duckdb.DuckDBPyConnection, offer: Offer, seeing: Seeing | None = None
) -> list[dict[str, Any]]:
    """Give the choices that have values, and those that the configuration declares.

    Every filter of the catalogue is a field of each. What no event carries comes from the
    configuration, else it is a default.

    Returns
    -------
    list of dict
        In the order of their fields.

    Source: SC-14, SC-15.
    """
    declared, fields = _declared(cursor, offer), offer.source.fields
    told = [
        _choice(offer, one, named, declared.get(one, {}))
        for one, named in _with(cursor, offer, declared).items()
        if seeing is None or seeing.sees(named)
    ]
    told.sort(key=lambda one: [(one[name] is not None, one[name] or "") for name in fields])
    return told


def known_choices(
    cursor: duckdb.DuckDBPyConnection, offer: Offer, seeing: Seeing | None = None
) -> dict[int, dict[str, str | None]]:
    """Give the fields of the choices by id."""
    found = _with(cursor, offer, _declared(cursor, offer))
    if seeing is None:
        return found
    return {one: named for one, named in found.items() if seeing.sees(named)}


def _with(
    cursor: duckdb.DuckDBPyConnection, offer: Offer, declared: Mapping[int, Mapping[str, Any]]
) -> dict[int, dict[str, str | None]]:
    found = choices_of(cursor, offer.source)
    for one, attributes in declared.items():
        found.setdefault(one, {name: attributes.get(name) for name in offer.source.fields})
    return found


def _declared(cursor: duckdb.DuckDBPyConnection, offer: Offer) -> dict[int, dict[str, Any]]:
    rows = cursor.execute(
        "SELECT choice_id, attributes FROM choice_attributes WHERE catalogue = $name",
        {"name": offer.catalogue.name},
    ).fetchall()
    return {one: json.loads(attributes) for one, attributes in rows}


def _choice(
    offer: Offer, one: int, named: Mapping[str, Any], declared: Mapping[str, Any]
) -> dict[str, Any]:
    words = [named[name] for name in offer.titled or offer.source.fields]
    title = ", ".join(word for word in words if word)
    told = {"id": one, "name": title, **named, "title": title}
    known = {name: value for name, value in declared.items() if value is not None}
    return {**told, **offer.defaults, **known}
