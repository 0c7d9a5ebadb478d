"""What is declared of jobs and their models: administrators, minutes, the order of decisions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import orjson

from engine.config import Settings

__all__ = ["JobRules", "Minutes", "declared_labels", "minutes_of", "time_saved"]


@dataclass(frozen=True, slots=True)
class JobRules:
    """The settings that answers about jobs depend on.

    Attributes
    ----------
    administrators : tuple of str
        Whose votes override.
    horizon_us : int
        How far a vote may be from its event, µs.
    classes : int
        Most decisions of a matrix.
    """

    administrators: tuple[str, ...] = ()
    horizon_us: int = 30 * 86_400 * 1_000_000
    classes: int = 1000

    @classmethod
    def of(cls, settings: Settings) -> "JobRules":
        """Take them from the settings in force."""
        horizon_us = settings.time.label_horizon_us
        return cls(settings.administrators, horizon_us, settings.limits.classes)


@dataclass(frozen=True, slots=True)
class Minutes:
    """What an analyst spends on an event: by its decision, else `event`; None: not said."""

    event: float | None
    by_label: Mapping[str, float]


def minutes_of(cursor: duckdb.DuckDBPyConnection, models: Sequence[str]) -> dict[str, Minutes]:
    """Give the minutes of those models that have any, in the order of the models."""
    rows = cursor.execute(
        "SELECT model_id, minutes, minutes_by_label FROM model_settings"
        " WHERE model_id IN (SELECT unnest($models::VARCHAR[]))",
        {"models": list(models)},
    ).fetchall()
    found = {model: Minutes(event, orjson.loads(by_label)) for model, event, by_label in rows}
    return {
        model: found[model]
        for model in models
        if model in found and (found[model].event is not None or found[model].by_label)
    }


def time_saved(
    minutes: Mapping[str, Minutes], correct: Iterable[tuple[str, str, int]]
) -> float | None:
    """Add up minutes times correct decisions of (model, decision, count); None without minutes."""
    if not minutes:
        return None
    return math.fsum(
        count * (of.by_label.get(label, of.event or 0.0))
        for model, label, count in correct
        if (of := minutes.get(model)) is not None
    )


def declared_labels(
    cursor: duckdb.DuckDBPyConnection, models: Sequence[str], active: str | None
) -> tuple[str, ...]:
    """Give the decisions declared for a job's models: the active one's, then by place and name."""
    rows = cursor.execute(
        "SELECT class FROM (SELECT model_id, unnest(classes) AS class,"
        " generate_subscripts(classes, 1) AS place FROM model_settings"
        " WHERE model_id IN (SELECT unnest($models::VARCHAR[]))) GROUP BY class"
        " ORDER BY min(place) FILTER (model_id = $active) NULLS LAST, min(place), class",
        {"models": list(models), "active": active},
    ).fetchall()
    return tuple(name for (name,) in rows)
