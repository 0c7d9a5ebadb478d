"""The bodies that make a job and tell its status."""

from typing import Any

from connectors.rest.dioptra.bodies import Fields
from engine.commands.experiments import STATUSES
from engine.errors import QueryError
from engine.values import shown

__all__ = ["JOB_BODY", "STATUS_BODY", "new_job", "new_status"]

_ALL = ("queued", "started", "deferred", "finished", "failed", "reset")
_TIMEOUT = "24h"  # the published server's default
_NUMBER = {"type": ["integer", "null"], "minimum": 1}
JOB_BODY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "queue": _NUMBER,
        "entrypoint": _NUMBER,
        "entrypointSnapshot": _NUMBER,
        "description": {"type": ["string", "null"]},
        "values": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "artifactValues": {"type": ["object", "null"], "additionalProperties": {"type": "object"}},
        "swaps": {"type": ["array", "null"], "items": {"type": "object"}},
        "timeout": {"type": ["string", "null"]},
    },
}
STATUS_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["status"],
    "additionalProperties": False,
    "properties": {"status": {"type": "string", "enum": list(_ALL)}},
}


def new_job(fields: Fields) -> dict[str, Any]:
    """Read what is told of a new job; all of it is kept as it is.

    Raises
    ------
    Fault
        400: a field breaks its rule.
    """
    told: dict[str, Any] = {
        "queue": fields.whole("queue"),
        "entrypoint": fields.whole("entrypoint"),
        "entrypointSnapshot": fields.whole("entrypointSnapshot"),
        "description": fields.text("description"),
        "values": fields.texts("values"),
        "artifactValues": fields.read("artifactValues", _objects, dict[str, Any]()),
        "swaps": fields.read("swaps", _swaps, list[Any]()),
        "timeout": fields.text("timeout") or _TIMEOUT,
    }
    fields.check()
    return told


def new_status(fields: Fields) -> str:
    """Read a status.

    Raises
    ------
    Fault
        400: it is none.
    """
    status = fields.read("status", _status, "", needed=True)
    fields.check()
    return status


def _objects(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(part, dict) for part in value.values()):
        msg = f"`artifactValues` must be an object of objects, got {shown(value)}"
        raise QueryError(msg)
    return value


def _swaps(value: object) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        msg = f"`swaps` must be a list of objects, got {shown(value)}"
        raise QueryError(msg)
    return value


def _status(value: object) -> str:
    if not isinstance(value, str) or value not in {*STATUSES, "reset"}:
        msg = f"`status` must be one of {', '.join(_ALL)}, got {shown(value)}"
        raise QueryError(msg)
    return value
