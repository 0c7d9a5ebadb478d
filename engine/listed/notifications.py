"""Who is told of which model's alerts, as pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.listed.pages import Listed, Page, among, listed

__all__ = ["ConfigurationsAsked", "configuration_asked", "configurations_asked"]


@dataclass(frozen=True, slots=True)
class ConfigurationsAsked:
    """Which configurations are wanted; None: whatever it is.

    Attributes
    ----------
    owner : str or None
        Username: those of this user are all that there are for the one who asks.
    visible : sequence of str or None
        The models that there are for the one who asks.
    """

    page: Page
    owner: str | None = None
    visible: Sequence[str] | None = None
    username: str | None = None
    model_id: str | None = None
    configuration_id: str | None = None


_COLUMNS = "configuration_id, username, model_id, type, destination, enabled"


def configurations_asked(cursor: duckdb.DuckDBPyConnection, asked: ConfigurationsAsked) -> Listed:
    """Give a page of the configurations."""
    bound: dict[str, object] = {}
    source = "FROM configurations_known AS c WHERE true"
    if asked.visible is not None:
        bound["visible"] = list(asked.visible)
        source += among("visible", "c.model_id", asked.visible)
    for name, column in (
        ("owner", "username"),
        ("username", "username"),
        ("model_id", "model_id"),
        ("configuration_id", "configuration_id"),
    ):
        value = getattr(asked, name)
        if value is not None:
            bound[name] = value
            source += f" AND c.{column} = ${name}"
    order = "model_id, username, configuration_id"
    return listed(cursor, _COLUMNS, source, bound, page=asked.page, order=order)


def configuration_asked(
    cursor: duckdb.DuckDBPyConnection,
    configuration_id: str,
    owner: str | None,
    visible: Sequence[str] | None,
) -> dict[str, Any] | None:
    """Give one configuration, None where there is no such one for the one who asks."""
    asked = ConfigurationsAsked(Page(1, 1), owner, visible, configuration_id=configuration_id)
    rows = configurations_asked(cursor, asked).rows
    return rows[0] if rows else None
