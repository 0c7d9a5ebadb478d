"""What an answer is computed from: stored rows, or the rows of a subquery as a relation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from engine.arrays import Array
from engine.panes import quoted
from engine.query.expressions import Kind, kind_of
from engine.query.functions import FUNCTIONS
from engine.query.names import ModelNames
from engine.query.parse_order import key_of
from engine.query.projected import Projected
from engine.query.tree import Call, Query
from engine.values import number_text

__all__ = ["Rows", "inner_rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A relation under ``r``, and how its properties are read.

    Attributes
    ----------
    relation : str
        SELECT text, to be widened by `columns`; the values of `bound` belong to it.
    types : mapping of str to str
        Of the properties.
    time : str or None
        SQL for the instant by which a row falls into a minute; None for the rows of a subquery.
    """

    relation: str
    bound: Mapping[str, object]
    names: ModelNames
    columns: Projected
    types: Mapping[str, Kind]
    time: str | None


class _InnerColumns:
    """Reads the columns of a subquery: number, text and time of each lie side by side."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._places = {key: place for place, key in enumerate(keys)}

    def number(self, name: str) -> str:
        return f"r.n{self._places[name]}"

    def text(self, name: str) -> str:
        return f"r.t{self._places[name]}"

    def time(self, name: str) -> str:
        return f"r.m{self._places[name]}"


def inner_rows(
    names: ModelNames, inner: Query, found: list[dict[str, object]], name: str
) -> tuple[pa.Table, Rows]:
    """Give the rows that a subquery gave as a table, and how they are read under that name."""
    types = _types(names.properties, inner)
    keys = tuple(key_of(item) for item in inner.select)
    columns: dict[str, Array] = {"place": pa.array(range(len(found)), pa.int64())}
    for place, key in enumerate(keys):
        values = [row[key] for row in found]
        columns[f"n{place}"] = pa.array([_number(value) for value in values], pa.float64())
        columns[f"t{place}"] = pa.array([_text(value) for value in values], pa.string())
        times = [value if isinstance(value, datetime) else None for value in values]
        columns[f"m{place}"] = pa.array(times, pa.timestamp("us"))
    relation = f"SELECT * FROM {quoted(name)}"
    return pa.table(columns), Rows(relation, {}, names, Projected(_InnerColumns(keys)), types, None)


def _types(types: Mapping[str, Kind], inner: Query) -> dict[str, Kind]:
    if inner.subquery is not None:
        types = _types(types, inner.subquery)
    kinds: dict[str, Kind] = {}
    for item in inner.select:
        result = FUNCTIONS[item.function].result if isinstance(item, Call) else None
        if result is None:
            kinds[key_of(item)] = kind_of(item, types)
        else:
            kinds[key_of(item)] = "text" if result == "several" else result
    return kinds


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    number = _number(value)
    return json.dumps(value, ensure_ascii=False) if number is None else number_text(number)
