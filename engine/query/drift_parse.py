"""A drift query as typed values, from decoded JSON: every fault is told with its place.

Grammar: AR-63 and ARi-14 of the contract. A null is as if absent.
"""

from collections.abc import Callable, Mapping

from engine.query.functions import DRIFT_MEASURES, REFUSED
from engine.query.names import ModelNames
from engine.query.parse import filters_of, source_of
from engine.query.parse_faults import Faults
from engine.query.parse_names import REGULAR, Scope, column_of, type_of
from engine.query.parse_values import text_of, whole_of
from engine.query.tree import Column, DriftQuery, Side

__all__ = ["DRIFT_METRICS", "MAX_PROPERTIES", "ROLLUPS", "parse_drift"]

DRIFT_METRICS = (*DRIFT_MEASURES, "Thresholds")
"""The measures, and the threshold that PSI gets from the reference set (AR-51)."""

ROLLUPS = ("minute", "hour", "day", "month", "year", "batch_id")
MAX_PROPERTIES = 100

_KEYS = ("properties", "num_bins", "metric", "base", "target", "group_by", "rollup")
_REGULAR = ("prediction", "label", "score")


def parse_drift(query: object, names: ModelNames, place: str = "query") -> DriftQuery:
    """Return a drift query as typed values.

    Parameters
    ----------
    query : object
        Decoded JSON.
    place : str
        What the query is called in messages.

    Raises
    ------
    QueryError
        With every fault on a line of its own.

    Examples
    --------
    >>> parse_drift({"properties": ["label"]}, ModelNames("triage")).metric
    'PSI'
    """
    faults = Faults()
    scope = Scope(names, faults)
    entry = faults.entries(query, place, _KEYS, ("properties",))
    properties = _columns(scope, entry, f"{place}.properties", _property)
    bins = whole_of(faults, entry.get("num_bins", 10), f"{place}.num_bins", 2, 100)
    metric = _metric(faults, entry.get("metric", "PSI"), f"{place}.metric")
    base = _side(scope, entry.get("base"), f"{place}.base", "reference")
    target = _side(scope, entry.get("target"), f"{place}.target", "inference")
    groups = _columns(scope, entry, f"{place}.group_by", _group)
    rollup = None
    if "rollup" in entry:
        rollup = faults.choice(entry["rollup"], f"{place}.rollup", ROLLUPS)
    faults.raise_any()
    return DriftQuery(properties, metric or "PSI", bins or 10, base, target, groups, rollup)


def _columns(
    scope: Scope,
    entry: Mapping[str, object],
    place: str,
    read: Callable[[Scope, object, str], Column | None],
) -> tuple[Column, ...]:
    """Return a list of columns, each at most once."""
    key = place.rpartition(".")[2]
    if key not in entry:
        return ()
    found: list[Column] = []
    empty = key == "group_by"
    items = scope.faults.items(entry[key], place, MAX_PROPERTIES, "properties", empty=empty)
    for index, item in enumerate(items):
        where = f"{place}[{index}]"
        column = read(scope, item, where)
        if column is None:
            continue
        if column.name in {each.name for each in found}:
            scope.faults.must(where, "a property not yet in the list", column.written)
        found.append(column)
    return tuple(found)


def _property(scope: Scope, item: object, place: str) -> Column | None:
    """Return a property whose distribution can drift."""
    column = _column(scope, item, place)
    if column is not None and column.name in REGULAR and column.name not in _REGULAR:
        rule = f"a feature, a named output or truth, or one of {', '.join(_REGULAR)}"
        scope.faults.must(place, rule, column.written)
        return None
    return column


def _group(scope: Scope, item: object, place: str) -> Column | None:
    """Return a property to group by."""
    entry = scope.faults.entries(item, place, ("property",), ("property",))
    if "property" not in entry:
        return None
    column = _column(scope, entry["property"], f"{place}.property")
    if column is not None and type_of(scope, column) == "time":
        hint = ", which is a time: that is what `rollup` is for"
        scope.faults.must(f"{place}.property", "a property of few values", column.written, hint)
        return None
    return column


def _column(scope: Scope, item: object, place: str) -> Column | None:
    if not isinstance(item, str) or item == "*":
        scope.faults.must(place, "the name of a property", item)
        return None
    written = text_of(scope.faults, item, place)
    return None if written is None else column_of(scope, written, place)


def _metric(faults: Faults, value: object, place: str) -> str | None:
    if isinstance(value, str) and value in REFUSED:
        faults.say(f"`{place}` must not be {value}: {REFUSED[value]}")
        return None
    return faults.choice(value, place, DRIFT_METRICS)


def _side(scope: Scope, value: object, place: str, source: str) -> Side:
    """Return one side; what is absent has its default."""
    entry = {} if value is None else scope.faults.entries(value, place, ("source", "filter"))
    return Side(
        source_of(scope.faults, entry.get("source", source), f"{place}.source"),
        filters_of(scope, entry.get("filter"), f"{place}.filter"),
    )
