"""What a query may name of a model that has stored events: its properties, types and classes.

Nobody lists the names of all events: those of the latest rows are read, and a name that is in none
of them is looked for in all rows once it is asked for (`missing_names`). So a misspelt name costs
one more look at the events, and a name that is there is never refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import duckdb
import orjson

from engine.asking import first
from engine.config import ModelSettings
from engine.errors import QueryError
from engine.kept import has_bare_events
from engine.query.columns import ANYWHERE, anywhere, pointer
from engine.query.names import ModelNames, PropertyType
from engine.query.parse_names import REGULAR, columns_in
from engine.query.tree import Argument, DriftQuery, Query
from engine.schema import CONTAINERS, KNOWN, qualified

__all__ = ["SAMPLED", "Seen", "check_kept", "missing_names", "seen_properties", "stored_names"]

SAMPLED = 200
"""Rows that are read for the names in them: so many events, and so many of the reference set."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a property was a number, a text and a boolean, in the rows that were read."""

    numbers: int = 0
    texts: int = 0
    booleans: int = 0


_LATEST = (
    "SELECT raw FROM events_log WHERE seq IN (SELECT seq FROM events_stored"
    " ANTI JOIN events_retired USING (seq) WHERE model_id = $model"
    f" ORDER BY seq DESC LIMIT {SAMPLED})"
)
_REFERENCE = (
    "SELECT raw FROM other_events WHERE type = 'reference' AND model_id = $model"
    f" ORDER BY seq DESC LIMIT {SAMPLED}"
)
_VOTED = (
    "SELECT property, label_number IS NOT NULL, count(*) FROM (SELECT property, label_number FROM"
    " votes_log WHERE model_id = $model AND property <> ''"
    f" ORDER BY seq DESC LIMIT {SAMPLED}) GROUP BY ALL"
)
_NUMBERS = "SELECT property FROM model_properties WHERE model_id = $model"
_OVER = "SELECT value FROM settings WHERE name = 'limits_reached'"
# As `_metric_models` has them: those that labelled events have, and the declared ones.
_CLASSES = (
    "SELECT DISTINCT class FROM (SELECT unnest([label, prediction]) AS class FROM cell_panes"
    " WHERE model_id = $model AND time_basis = 'event'"
    " GROUP BY label, prediction HAVING sum(count) <> 0)"
)


def seen_properties(cursor: duckdb.DuckDBPyConnection, model_id: str) -> dict[str, Seen]:
    """Give the properties in the latest events and reference rows of a model, in text order.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.

    Returns
    -------
    dict of str to Seen
        By the qualified name (`features.age`; a further field: its bare name); `prediction`,
        `label` and `score` where a row has them. Numbers that only older events have are there,
        too, without a count.
    """
    found: dict[str, list[int]] = {}
    bound = {"model": model_id}
    for sql in (_LATEST, _REFERENCE):
        for (raw,) in cursor.execute(sql, bound).fetchall():
            for name, value in _scalars(orjson.loads(raw)):
                _count(found, name, value)
    for name, is_number, times in cursor.execute(_VOTED, bound).fetchall():
        found.setdefault(f"labels.{name}", [0, 0, 0])[0 if is_number else 1] += times
    for (name,) in cursor.execute(_NUMBERS, bound).fetchall():
        found.setdefault(name, [0, 0, 0])
    return {name: Seen(*found[name]) for name in sorted(found)}


def _scalars(event: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Give the properties of an event with their values."""
    for container in CONTAINERS:
        members = event.get(container)
        for name, value in members.items() if isinstance(members, dict) else ():
            yield qualified(container, name), value
    for name, value in event.items():
        if name not in KNOWN or name in ("prediction", "label", "score"):
            yield name, value


def _count(found: dict[str, list[int]], name: str, value: object) -> None:
    counts = found.setdefault(name, [0, 0, 0])
    if isinstance(value, bool):
        counts[2] += 1
    elif isinstance(value, int | float):
        counts[0] += 1
    elif isinstance(value, str):
        counts[1] += 1


def stored_names(cursor: duckdb.DuckDBPyConnection, model: ModelSettings) -> ModelNames:
    """Give what a query may name of a model.

    Properties that were never a number are `text`; all others are `mixed`, since older rows may
    have texts where the latest have numbers. `complete` is off.
    """
    bound = {"model": model.id}
    over = first(cursor, _OVER)
    counted = over is None or "series" not in str(over[0]).split()
    numbers = {name for (name,) in cursor.execute(_NUMBERS, bound).fetchall()}
    properties: dict[str, PropertyType] = {}
    for name, seen in seen_properties(cursor, model.id).items():
        texts = seen.texts + seen.booleans > 0 and not seen.numbers
        if name not in REGULAR:
            properties[name] = "text" if texts and counted and name not in numbers else "mixed"
    known = {name for (name,) in cursor.execute(_CLASSES, bound).fetchall()}
    return ModelNames(
        model.id,
        properties,
        (*model.classes, *sorted(known.difference(model.classes))),
        model.positive,
        model.positive_property,
        model.threshold,
        complete=False,
    )


# ---- names that were not met -------------------------------------------------------------------


def missing_names(
    cursor: duckdb.DuckDBPyConnection, names: ModelNames, tree: Query | DriftQuery
) -> ModelNames | None:
    """Look for the names of a query that are not known yet in all rows of its model.

    Returns
    -------
    ModelNames or None
        None: all of them are there, or the model has no rows at all. Else all that there is, so
        that parsing the query once more tells which name is wrong.
    """
    places = dict.fromkeys(place for name in _named(tree) for place in _guessed(names, name))
    if not places or not _has_rows(cursor, names.model_id):
        return None
    there = _present(cursor, names.model_id, tuple(places))
    known: dict[str, PropertyType] = {**names.properties, **dict.fromkeys(there, "mixed")}
    if all(there & set(_guessed(names, name)) for name in _named(tree) if _guessed(names, name)):
        return None
    return replace(names, properties=known, classes=(), complete=True)


def _named(tree: Query | DriftQuery) -> Iterator[str]:
    """Give the resolved names of all properties that are read of stored rows."""
    if isinstance(tree, Query) and tree.subquery is not None:
        yield from _named(tree.subquery)
        return
    if isinstance(tree, Query):
        nodes: list[Argument] = [*tree.select, *tree.group_by]
        conditions = tree.filter
    else:
        nodes = [*tree.properties, *tree.group_by]
        conditions = (*tree.base.filter, *tree.target.filter)
    nodes += [each.operand for each in conditions]
    for column in columns_in(nodes):
        yield column.name


def _guessed(names: ModelNames, name: str) -> tuple[str, ...]:
    """Give the places where a name that is not known may lie; none of a known one."""
    if name == "*" or name in REGULAR or name in names.properties:
        return ()
    return anywhere(name.removeprefix(ANYWHERE)) if name.startswith(ANYWHERE) else (name,)


def check_kept(cursor: duckdb.DuckDBPyConnection, tree: Query | DriftQuery) -> None:
    """Refuse a query over properties of events that were stored without them.

    Raises
    ------
    QueryError
    """
    if isinstance(tree, Query) and _innermost(tree).source == "reference":
        return
    named = sorted({name for name in _named(tree) if name != "*" and name not in REGULAR})
    if named and has_bare_events(cursor):
        msg = (
            "a query must name columns alone where events are stored without their properties"
            f" (`keep_events: none`), got {named[0].removeprefix(ANYWHERE)}"
        )
        raise QueryError(msg)


def _innermost(tree: Query) -> Query:
    return tree if tree.subquery is None else _innermost(tree.subquery)


def _has_rows(cursor: duckdb.DuckDBPyConnection, model_id: str) -> bool:
    sql = (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM events_stored WHERE model_id = $model)"
        " OR EXISTS (SELECT 1 FROM other_events WHERE type = 'reference' AND model_id = $model)"
    )
    return first(cursor, sql, {"model": model_id}) is not None


def _present(cursor: duckdb.DuckDBPyConnection, model_id: str, places: Iterable[str]) -> set[str]:
    """Give those of some qualified names that any row of a model has."""
    listed = list(places)
    bound: dict[str, object] = {f"p{i}": pointer(name) for i, name in enumerate(listed)}
    bound |= {f"n{i}": name for i, name in enumerate(listed)}
    found = ", ".join(
        f"bool_or(CASE WHEN shape_id IS NULL THEN json_exists(line, $p{i})"
        f" ELSE _kept_number(shape_id, numbers, $n{i}) IS NOT NULL END)"
        for i in range(len(listed))
    )
    row = first(
        cursor,
        f"SELECT {found} FROM (SELECT line, shape_id, numbers FROM events_stored"
        " WHERE model_id = $model UNION ALL SELECT raw, NULL, NULL FROM other_events"
        " WHERE type = 'reference' AND model_id = $model)",
        {**bound, "model": model_id},
    )
    there = {name for name, has in zip(listed, row or (), strict=False) if has}
    voted = cursor.execute(
        "SELECT DISTINCT property FROM votes_log WHERE model_id = $model AND property <> ''",
        {"model": model_id},
    ).fetchall()
    return there | {f"labels.{name}" for (name,) in voted if f"labels.{name}" in listed}
