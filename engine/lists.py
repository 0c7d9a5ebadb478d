"""The small lists that statements look names up in, made from the settings."""

import duckdb

from engine.config import Settings

__all__ = ["make_lists"]


def make_lists(cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make the temporary tables `administrators` and `positives` on a cursor.

    `administrators` (`voter`): whose votes override. `positives` (`model_id`, `positive`): the
    models that name a property with the probability of their positive class.
    """
    cursor.execute("CREATE OR REPLACE TEMP TABLE administrators (voter VARCHAR)")
    cursor.execute("CREATE OR REPLACE TEMP TABLE positives (model_id VARCHAR, positive VARCHAR)")
    for name in settings.administrators:
        cursor.execute("INSERT INTO administrators VALUES (?)", [name])
    for model in settings.models:
        if model.positive_property is not None:
            cursor.execute("INSERT INTO positives VALUES (?, ?)", [model.id, model.positive])
