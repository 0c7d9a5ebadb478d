"""The models that are known or declared, as pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from engine.config import ModelSettings
from engine.listed.pages import Listed, Page, among, listed, rows_of

__all__ = ["models_asked"]

_COLUMNS = "i.model_id"

_SOURCE = """
FROM (SELECT model_id FROM models_known UNION SELECT unnest($declared) AS model_id) AS i
WHERE true
"""

_KNOWN = """
SELECT
    k.model_id, k.job_id, k.positive_property, k.threshold, k.first_event,
    coalesce(c.classes, []) AS classes,
    k.model_id IN (SELECT model_id FROM model_properties WHERE property = 'prediction') AS is_number
FROM models_known AS k
LEFT JOIN (
    SELECT model_id, list(class ORDER BY place NULLS LAST, class) AS classes
    FROM model_classes WHERE list_contains($ids, model_id) GROUP BY model_id
) AS c ON c.model_id = k.model_id
WHERE list_contains($ids, k.model_id)
"""

_UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(("job_id", "positive_property", "threshold", "first_event")),
    "classes": (),
    "is_number": False,
}


def models_asked(
    cursor: duckdb.DuckDBPyConnection,
    declared: Mapping[str, ModelSettings],
    page: Page,
    visible: Sequence[str] | None,
    model_id: str | None = None,
) -> Listed:
    """Give a page of the models, by their id.

    Parameters
    ----------
    declared : mapping of str to ModelSettings
        By id; what is declared of a model holds over what was learned.
    visible : sequence of str or None
        The models that there are for the one who asks.
    model_id : str, optional
        This one alone, whether there is anything of it or not.
    """
    ids = list(declared) if model_id is None else [model_id]
    bound: dict[str, object] = {"declared": ids}
    source = _SOURCE
    for name, values in (("visible", visible), ("one", None if model_id is None else [model_id])):
        if values is not None:
            bound[name] = list(values)
            source += among(name, "i.model_id", values)
    found = listed(cursor, _COLUMNS, source, bound, page=page, order="model_id")
    wanted = {"ids": [row["model_id"] for row in found.rows]}
    known = {each["model_id"]: each for each in rows_of(cursor, _KNOWN, wanted)}
    rows = tuple(
        _told({**row, **known.get(row["model_id"], _UNKNOWN)}, declared.get(row["model_id"]))
        for row in found.rows
    )
    return Listed(rows, page, found.total)


def _told(row: Mapping[str, Any], declared: ModelSettings | None) -> dict[str, Any]:
    settings = declared or ModelSettings(id=row["model_id"])
    return {
        **row,
        "job_id": settings.job or row["job_id"],
        "positive_property": settings.positive_property or row["positive_property"],
        "threshold": settings.threshold if row["threshold"] is None else row["threshold"],
        "classes": list(settings.classes or row["classes"]),
        "is_batch": settings.kind == "batch",
        "is_number": row["is_number"] and not settings.classes,
    }
