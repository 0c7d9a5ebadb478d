"""Catalogues that the configuration declares: stored with the results, computed on read.

They are computed from the events in force by the UTC hour of their time, whenever they are asked,
so that a catalogue that is new shows all that is stored. Its definition lies in
`catalogues_declared`, what is declared of choices in `choice_attributes`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import duckdb

from engine.catalogue_settings import (
    CatalogueColumn,
    CatalogueGroup,
    CatalogueSettings,
    ChoiceSettings,
)
from engine.config import Settings
from engine.panes import pane_of, quoted
from engine.processing.catalogue import Catalogue, Column, Filter, Group
from engine.processing.catalogue_offer import Offer
from engine.processing.declared_fields import EVENT_KINDS, Fields
from engine.processing.hours import HOUR_S, choice_of
from engine.processing.series_source import IN_RANGE, Recipe, Source, choice_id_sql

__all__ = ["declare_catalogues", "declared_offers"]


def declare_catalogues(cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Put what the settings declare in place of what was declared before, inside a transaction."""
    declared, choices = settings.catalogues.declared, settings.catalogues.choices
    wanted = [
        (one.name, place, json.dumps(asdict(one), ensure_ascii=False))
        for place, one in enumerate(declared)
    ]
    _replace(cursor, "catalogues_declared", "place", wanted)
    told = [(one.catalogue, _id_of(one), _attributes(one)) for one in choices]
    _replace(cursor, "choice_attributes", "catalogue, choice_id", sorted(told))


def _replace(
    cursor: duckdb.DuckDBPyConnection, table: str, order: str, rows: list[tuple[Any, ...]]
) -> None:
    if cursor.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall() == rows:
        return
    cursor.execute(f"DELETE FROM {table}")
    for row in rows:
        cursor.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", row)


def _id_of(choice: ChoiceSettings) -> int:
    return choice_of(choice.catalogue, choice.name, choice.version)


def _attributes(choice: ChoiceSettings) -> str:
    named: dict[str, str | None] = {"name": choice.name}
    if choice.catalogue == "job-types":
        named["version"] = choice.version
    return json.dumps({**named, **dict(choice.attributes)}, ensure_ascii=False)


def declared_offers(cursor: duckdb.DuckDBPyConnection) -> dict[str, Offer]:
    """Give the declared catalogues by name, in their order."""
    rows = cursor.execute(
        "SELECT name, definition FROM catalogues_declared ORDER BY place"
    ).fetchall()
    return {name: _offer(_settings_of(json.loads(definition))) for name, definition in rows}


def _settings_of(told: Mapping[str, Any]) -> CatalogueSettings:
    columns = tuple(CatalogueColumn(**one) for one in told["columns"])
    return CatalogueSettings(
        **{
            **told,
            "choice": tuple(told["choice"]),
            "filters": tuple(told["filters"]),
            "groups": tuple(CatalogueGroup(**one) for one in told["groups"]),
            "columns": tuple(
                replace(one, where=tuple((name, tuple(values)) for name, values in one.where))
                for one in columns
            ),
        }
    )


def _offer(told: CatalogueSettings) -> Offer:
    fields = Fields(EVENT_KINDS[told.type])
    amounts: dict[str, str] = {}  # SQL of what a row brings in, to its stem
    recipes = {}
    for column in told.columns:
        is_count = column.aggregate == "count"
        sql = _brought(column, fields)
        stem = amounts.setdefault(sql, f"a{len(amounts)}")
        recipes[column.name] = Recipe("count" if is_count else column.aggregate, stem)
    keys = {f"c{place}": fields.text(name) for place, name in enumerate(told.choice)}
    picked = _picked(told, fields, {**keys, **{stem: sql for sql, stem in amounts.items()}})
    summed = ", ".join(
        f"count(*) FILTER ({stem}) AS {stem}"
        if recipe.kind == "count"
        else f"count({stem}) AS {stem}_n, coalesce(sum({stem}), 0) AS {stem}_sum,"
        f" min({stem}) AS {stem}_min, max({stem}) AS {stem}_max"
        for stem, recipe in {recipe.stem: recipe for recipe in recipes.values()}.items()
    )
    one = choice_id_sql(told.name, list(keys))
    listed = ", ".join(keys)
    named = ", ".join(
        f"{key} AS {quoted(name)}" for key, name in zip(keys, told.choice, strict=True)
    )
    source = Source(
        f"SELECT {one} AS choice_id, * FROM (SELECT {listed}, hour_s, count(*) AS present,"
        f" {summed} FROM ({picked}) GROUP BY {listed}, hour_s)",
        "present",
        recipes,
        f"SELECT {one} AS choice_id, {named} FROM (SELECT DISTINCT {listed} FROM ({picked}))",
        told.choice,
        dict(zip(told.choice, keys, strict=True)),
    )
    return Offer(_catalogue(told), source)


def _brought(column: CatalogueColumn, fields: Fields) -> str:
    """Give SQL of what a row brings in: BOOLEAN of a count, else DOUBLE."""
    held = [fields.among(name, values) for name, values in column.where]
    if column.aggregate == "count":
        if column.field is not None:
            held.append(f"({fields.text(column.field)}) IS NOT NULL")
        return " AND ".join(held) or "true"
    number = fields.number(column.field or "")
    return f"CASE WHEN {' AND '.join(held)} THEN {number} END" if held else number


def _picked(told: CatalogueSettings, fields: Fields, columns: Mapping[str, str]) -> str:
    time = f"r.{EVENT_KINDS[told.type].time}"
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return (
        f"SELECT {pane_of(time, HOUR_S)} AS hour_s, {listed} FROM ({fields.relation()}) r"
        f" WHERE {IN_RANGE.format(time=time)}"
    )


def _catalogue(told: CatalogueSettings) -> Catalogue:
    return Catalogue(
        told.name,
        told.title or told.name,
        told.description or "",
        tuple(Filter(name) for name in told.filters),
        tuple(Group(one.name, one.title or one.name, one.description or "") for one in told.groups),
        tuple(
            Column(
                one.name,
                one.title or one.name,
                one.description or "",
                one.units,
                one.group,
                "sum" if one.aggregate == "count" else one.aggregate,
            )
            for one in told.columns
        ),
    )
