"""The body of a metric to be logged, and the event that it becomes."""

from dataclasses import dataclass
from typing import Any

from connectors.rest.dioptra.bodies import Fields
from engine.errors import QueryError
from engine.steps.logged import instant_of, number_of, step_of
from engine.steps.names import json_value, metric_name
from engine.values import shown

__all__ = ["METRIC", "PostedMetric", "metric_of"]

_SPECIAL = {
    "nan": "nan",
    "inf": "inf",
    "+inf": "inf",
    "-inf": "-inf",
    "infinity": "inf",
    "+infinity": "inf",
    "-infinity": "-inf",
}
METRIC: dict[str, Any] = {
    "type": "object",
    "required": ["name", "value"],
    "additionalProperties": False,
    "properties": {
        "name": {
            "type": "string",
            "maxLength": 256,
            "pattern": "^([A-Za-z]|[A-Za-z_][A-Za-z0-9_]+)$",
        },
        "value": {
            "anyOf": [{"type": "number"}, {"type": "string", "enum": ["nan", "inf", "-inf"]}]
        },
        "step": {
            "description": 'Whole, from 0; "auto" is the one after the highest.',
            "default": 0,
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
                {"type": "string", "enum": ["auto"]},
                {"type": "null"},
            ],
        },
        "timestamp": {
            "description": "ISO 8601; UTC without a zone. That of receipt when absent.",
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        },
    },
}
"""JSON schema of the body."""


@dataclass(frozen=True, slots=True)
class PostedMetric:
    """A metric to be logged.

    Attributes
    ----------
    step : int or None
        None: the one after the highest of this name.
    timestamp : str or None
        ISO 8601; None: that of receipt.
    """

    name: str
    value: float
    step: int | None
    timestamp: str | None

    def event(self, job_id: str, step: int, experiment_id: str | None) -> dict[str, object]:
        """Give the event, for one line of the stream."""
        told = {
            "type": "metric",
            "job_id": job_id,
            "name": self.name,
            "value": json_value(self.value),
            "step": step,
            "timestamp": self.timestamp,
            "experiment_id": experiment_id,
            "posted": True,  # it holds over what was logged before, whatever the times
        }
        return {name: value for name, value in told.items() if value is not None}


def metric_of(fields: Fields) -> PostedMetric:
    """Read a metric.

    Raises
    ------
    Fault
        400: a field breaks its rule.
    """
    name = fields.read("name", metric_name, "", needed=True)
    value = fields.read("value", _value, 0.0, needed=True)
    start: int | None = 0
    step = fields.read("step", _step, start)
    timestamp: str | None = fields.read("timestamp", _timestamp, None)
    fields.check()
    return PostedMetric(name, value, step, timestamp)


def _value(value: object) -> float:
    if isinstance(value, str):
        value = _SPECIAL.get(value.strip().lower(), value)
    if isinstance(value, str | int | float):
        return number_of(value)
    msg = f'`value` must be a number, "nan", "inf" or "-inf", got {shown(value)}'
    raise QueryError(msg)


def _step(value: object) -> int | None:
    return None if value == "auto" else step_of(value)


def _timestamp(value: object) -> str | None:
    if isinstance(value, str):
        return str(instant_of(value))
    msg = f"`timestamp` must be ISO 8601, got {shown(value)}"
    raise QueryError(msg)
