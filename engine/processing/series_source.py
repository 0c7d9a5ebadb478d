"""Where the values of a catalogue come from: rows by choice and UTC hour whose amounts add up.

A relation has one or more rows for each choice and hour. An amount under the stem ``x`` is kept as
``x_n``, ``x_sum``, ``x_min`` and ``x_max``, a count as ``x`` alone, so that any number of rows and
choices can be put together, and averages are divided last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from engine.panes import quoted, text
from engine.processing.hours import HOUR_S

__all__ = [
    "FIRST_S",
    "IN_RANGE",
    "LAST_S",
    "Recipe",
    "Source",
    "bound_in",
    "choice_id_sql",
    "choices_of",
    "narrowed",
]

FIRST_S = -62_135_596_800  # 0001-01-01T00:00:00Z
LAST_S = 253_402_300_799 // HOUR_S * HOUR_S  # 9999-12-31T23:00:00Z

IN_RANGE = (
    "{time} >= make_timestamp($low_s::BIGINT * 1000000)"
    " AND {time} < make_timestamp(($high_s::BIGINT + 3600) * 1000000)"
)
"""SQL: whether a TIMESTAMP lies in an hour asked for; to be formatted with `time`."""

_NARROWING_MAX = 100  # names: beyond, a list costs more than it saves
_ADDED = "add"
_PARTS = {
    "count": (("", _ADDED),),
    "sum": (("_n", _ADDED), ("_sum", _ADDED)),
    "avg": (("_n", _ADDED), ("_sum", _ADDED)),
    "min": (("_min", "min"),),
    "max": (("_max", "max"),),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a column is computed from the amounts of an hour.

    Attributes
    ----------
    kind : str
        ``count``, ``sum``, ``avg``, ``min`` or ``max``.
    stem : str
        The amount's name in the relation.
    """

    kind: str
    stem: str

    def parts(self) -> dict[str, str]:
        """Give the columns of the relation that it needs: ``add``, ``min`` or ``max`` of each."""
        return {self.stem + suffix: operation for suffix, operation in _PARTS[self.kind]}


@dataclass(frozen=True, slots=True)
class Source:
    """The rows and the choices of one catalogue, as SQL.

    Attributes
    ----------
    relation : str
        SELECT of `choice_id` BIGINT, `hour_s` BIGINT (start, seconds since the epoch), `present`
        and the amounts. It may name ``$low_s`` and ``$high_s``, the first and the last hour asked
        for.
    present : str
        A whole-number column of it: an hour is there where the sum of these is not 0.
    recipes : Mapping
        By the column's name.
    choices : str
        SELECT of `choice_id` and the fields of every choice that has an hour, in their order.
    fields : tuple of str
        Names of those fields.
    keys : Mapping
        Field to the relation's column that holds it, where there is one: by these the relation is
        narrowed before it is computed.
    """

    relation: str
    present: str
    recipes: Mapping[str, Recipe]
    choices: str
    fields: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)


def choice_id_sql(catalogue: str, names: Sequence[str]) -> str:
    """Give SQL of the id of a choice by the names that make it; NULL is a name of its own.

    Names are joined with their lengths, so that no two choices share a text; the id is 53 bits of
    its MD5, and so the same whatever came first.

    Parameters
    ----------
    catalogue : str
    names : sequence of str
        SQL, VARCHAR.
    """
    name = " || ".join(f"coalesce(length({one}) || ':' || {one}, '-')" for one in names)
    told = f"{text(catalogue + ':')} || length({name}) || ':' || {name}"
    return f"(md5_number_lower({told}) >> 11)::BIGINT"


def bound_in(sql: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values whose parameters stand in a statement; DuckDB refuses any others."""
    return {name: value for name, value in values.items() if f"${name}" in sql}


def choices_of(
    cursor: duckdb.DuckDBPyConnection, source: Source
) -> dict[int, dict[str, str | None]]:
    """Give the fields of the choices that have values, by id."""
    names = ", ".join(map(quoted, source.fields))
    sql = f"SELECT choice_id, {names} FROM ({source.choices})"
    rows = cursor.execute(sql, bound_in(sql, {"low_s": FIRST_S, "high_s": LAST_S})).fetchall()
    return {row[0]: dict(zip(source.fields, row[1:], strict=True)) for row in rows}


def narrowed(source: Source, chosen: Sequence[Mapping[str, str | None]]) -> str:
    """Give SQL that rows of these choices, and perhaps of others, hold to; it reaches the scans."""
    held = []
    for name, column in source.keys.items():
        values = {one[name] for one in chosen}
        listed = ", ".join(text(value) for value in sorted(v for v in values if v is not None))
        if len(values) <= _NARROWING_MAX and listed:
            alone = f"{quoted(column)} IN ({listed})"
            held.append(f"({alone} OR {quoted(column)} IS NULL)" if None in values else alone)
    return " AND ".join(held) or "true"
