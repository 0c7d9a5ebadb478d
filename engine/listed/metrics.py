"""The metrics of a model, default and custom ones, as pages."""

from dataclasses import dataclass
from typing import Any

import duckdb

from engine.listed.pages import Listed, Page, listed, rows_of

__all__ = ["MetricsAsked", "metric_asked", "metrics_asked"]


@dataclass(frozen=True, slots=True)
class MetricsAsked:
    """Which metrics are wanted; None: whatever it is.

    Attributes
    ----------
    attribute : str or None
        The property that the metric is about, with or without what it is within
        (``features.age`` or ``age``).
    sort : str
        ``name`` or ``type``; with ``-`` in front the greatest comes first.
    """

    model_id: str
    page: Page
    default: bool | None = None
    types: tuple[str, ...] = ()
    name: str | None = None
    attribute: str | None = None
    sort: str = "name"


_COLUMNS = """
    metric_id::VARCHAR AS metric_id, model_id, name, function, property, type, is_default, endpoint,
    query::VARCHAR AS query
"""


def metrics_asked(cursor: duckdb.DuckDBPyConnection, asked: MetricsAsked) -> Listed:
    """Give a page of the metrics of a model."""
    bound: dict[str, object] = {"model": asked.model_id}
    source = "FROM metrics WHERE model_id = $model AND endpoint IN ('query', 'data_drift')"
    if asked.default is not None:
        bound["default"] = asked.default
        source += " AND is_default = $default"
    if asked.types:
        bound["types"] = list(asked.types)
        source += " AND list_contains($types, type)"
    if asked.name is not None:
        bound["name"] = asked.name
        source += " AND name = $name"
    if asked.attribute is not None:
        bound["attribute"] = asked.attribute
        source += (
            " AND (property = $attribute OR property IN ('features.' || $attribute,"
            " 'predictions.' || $attribute, 'labels.' || $attribute))"
        )
    column = "type" if asked.sort.removeprefix("-") == "type" else "name"
    order = f"{column} {'DESC' if asked.sort.startswith('-') else 'ASC'}, metric_id"
    return listed(cursor, _COLUMNS, source, bound, page=asked.page, order=order, dear=True)


def metric_asked(
    cursor: duckdb.DuckDBPyConnection, model_id: str, metric_id: str
) -> dict[str, Any] | None:
    """Give one metric of a model, None where there is no such one."""
    rows = rows_of(
        cursor,
        f"SELECT {_COLUMNS} FROM metrics WHERE model_id = $model AND metric_id = $id::UUID"
        " AND endpoint IN ('query', 'data_drift')",
        {"model": model_id, "id": metric_id},
    )
    return rows[0] if rows else None
