"""Rows of a catalogue put together: by hour over all choices, or by choice and hour, in numpy.

Over all choices DuckDB adds the rows up in one scan. By choice there are as many groups as rows,
nearly, and states of so many aggregates would not fit into the store's memory: there the rows come
as they are, and only those that share choice and hour are put together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.panes import quoted
from engine.processing.series_source import Recipe, Source, bound_in, narrowed

__all__ = ["Gathered", "gather", "value_of"]

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

_SQL = {"add": "sum", "min": "min", "max": "max"}
_PUT = {"add": np.add, "min": np.fmin, "max": np.fmax}


@dataclass(frozen=True, slots=True)
class Gathered:
    """The amounts of n points, oldest first, then by choice.

    Attributes
    ----------
    hours : int64, shape (n,)
        Starts, seconds since the epoch.
    choices : int64, shape (n,), or None
        None: over all choices.
    parts : mapping of str to int64 or float64, shape (n,)
        By the name in the relation; NaN where there is nothing.
    """

    hours: Ints
    choices: Ints | None
    parts: Mapping[str, Values]


def gather(
    cursor: duckdb.DuckDBPyConnection,
    source: Source,
    recipes: Sequence[Recipe],
    hours: tuple[int, int],
    chosen: Mapping[int, Mapping[str, str | None]],
    *,
    among: Mapping[int, Mapping[str, str | None]] | None = None,
) -> Gathered:
    """Read what some recipes need, of the hours from the first to the last one.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    source : Source
    recipes : sequence of Recipe
    hours : tuple of int
        First and last start, seconds since the epoch, both included.
    chosen : Mapping
        Fields by choice id: one point for each of these choices and hour. None: one point an hour,
        over all choices.
    among : Mapping, optional
        Without `chosen`: fields of the only choices that are put together; None: all.
    """
    parts: dict[str, str] = {}
    for recipe in recipes:
        parts |= recipe.parts()
    bound: dict[str, Any] = {"low_s": hours[0], "high_s": hours[1]}
    where = "hour_s BETWEEN $low_s AND $high_s"
    only = chosen or among
    if only is not None:
        where += f" AND {narrowed(source, list(only.values()))}"
        where += " AND choice_id IN (SELECT unnest($chosen::BIGINT[]))"
        bound["chosen"] = sorted(only)
    put = _by_choice if chosen else _over_choices
    return put(cursor, source, parts, where, bound)


def value_of(recipe: Recipe, parts: Mapping[str, Values]) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Give the values of a column, and where there is one.

    An average is the sum of sums by the sum of counts, whatever it is put together from (SCi-10).
    """
    if recipe.kind == "count":
        values = parts[recipe.stem]
        return values, np.ones(len(values), np.bool_)
    if recipe.kind in ("min", "max"):
        values = parts[f"{recipe.stem}_{recipe.kind}"]
        return values, ~np.isnan(values)
    count, values = parts[f"{recipe.stem}_n"], parts[f"{recipe.stem}_sum"]
    there = count > 0
    return (values / np.where(there, count, 1) if recipe.kind == "avg" else values), there


def _over_choices(
    cursor: duckdb.DuckDBPyConnection,
    source: Source,
    parts: Mapping[str, str],
    where: str,
    bound: Mapping[str, Any],
) -> Gathered:
    told = "".join(
        f", {_SQL[operation]}({quoted(name)})::{_type_of(name)} AS {quoted(name)}"
        for name, operation in parts.items()
    )
    rows = _arrow(
        cursor,
        f"SELECT hour_s{told} FROM ({source.relation}) WHERE {where} GROUP BY hour_s"
        f" HAVING sum({quoted(source.present)}) <> 0 ORDER BY hour_s",
        bound,
    )
    return Gathered(_column(rows, "hour_s"), None, {name: _column(rows, name) for name in parts})


def _by_choice(
    cursor: duckdb.DuckDBPyConnection,
    source: Source,
    parts: Mapping[str, str],
    where: str,
    bound: Mapping[str, Any],
) -> Gathered:
    asked = {source.present: "add", **parts}
    told = ", ".join(f"{quoted(name)}::{_type_of(name)} AS {quoted(name)}" for name in asked)
    rows = _arrow(
        cursor,
        f"SELECT choice_id, hour_s, {told} FROM ({source.relation}) WHERE {where}",
        bound,
    )
    hours, choices = _column(rows, "hour_s"), _column(rows, "choice_id")
    order, first = _order(hours, np.searchsorted(np.array(bound["chosen"]), choices))
    kept, rest = order[first], order[~first]
    into = (np.cumsum(first) - 1)[~first]  # the point that a further row goes into
    found: dict[str, Values] = {}
    for name, operation in asked.items():
        values = _column(rows, name)
        rows = rows.drop_columns([name])  # a year of a hundred choices is 7 MB a column
        found[name] = values[kept]
        _PUT[operation].at(found[name], into, values[rest])
    hours, choices = hours[kept], choices[kept]
    there = found[source.present] != 0
    if not there.all():
        hours, choices = hours[there], choices[there]
        found = {name: values[there] for name, values in found.items()}
    return Gathered(hours, choices, {name: found[name] for name in parts})


def _order(hours: Ints, choices: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Order rows by hour, then choice; tell for each row whether it begins a new point.

    Parameters
    ----------
    hours, choices : int64, shape (n,)
        Seconds, and places among the choices: no more than an argument list has.
    """
    first = np.ones(len(hours), np.bool_)
    if not len(hours):
        return np.empty(0, np.int64), first
    # 10,000 years of seconds times 10 million choices are below 2^63.
    places = (hours - hours.min()) * (int(choices.max()) + 1) + choices
    order = np.argsort(places, kind="stable")
    places = places[order]
    first[1:] = places[1:] != places[:-1]
    return order, first


def _type_of(part: str) -> str:
    return "DOUBLE" if part.endswith(("_sum", "_min", "_max")) else "BIGINT"


def _arrow(cursor: duckdb.DuckDBPyConnection, sql: str, bound: Mapping[str, Any]) -> pa.Table:
    rows: pa.Table = cursor.sql(sql, params=bound_in(sql, bound)).to_arrow_table()
    return rows


def _column(rows: pa.Table, name: str) -> Values:
    found: Values = rows.column(name).to_numpy()
    return found
