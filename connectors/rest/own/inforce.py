"""`/config`: what is in force, and whether the file or somebody over REST says so; `/changes`.

A definition has the form of its entry in the configuration file. Of users neither digests of keys
nor the names of the variables with keys are told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Caller, Editor
from connectors.rest.faults import Fault
from connectors.rest.own.shapes import content, described, json_response, own_router, parameter
from connectors.rest.services import services_of
from engine.changes import KINDS, Configured
from engine.config import Settings
from engine.jobs.answers import instant
from engine.metrics import metric_id
from engine.notifications import configuration_id
from engine.rules.definition import rule_id_of

__all__ = ["IN_FORCE"]

IN_FORCE: APIRouter = own_router()

_LISTS = ("metrics", "alert_rules", "anomaly_jobs", "notifications", "users")
_SECRETS = ("api_key_sha256", "api_key_env")
_PAGE, _PAGE_MAX = 100, 1000
_SEQ_MAX = 2**63 - 1
_CHANGES = """
SELECT seq, kind, id, definition, made_by, epoch_us(made_time), epoch_us(from_time) FROM changes
WHERE seq > $after AND ($kind IS NULL OR kind = $kind) ORDER BY seq LIMIT $rows
"""

_ENTRY = {
    "type": "object",
    "required": ["id", "declared_by", "definition"],
    "properties": {
        "id": {"type": "string"},
        "declared_by": {"type": "string", "enum": ["file", "rest"]},
        "definition": {"type": "object"},
    },
}
_CONFIG = {
    "type": "object",
    "required": ["models", *_LISTS, "time", "limits"],
    "properties": {
        "models": {"type": "array", "items": {"type": "object"}},
        **{name: {"type": "array", "items": _ENTRY} for name in _LISTS},
        "time": {"type": "object"},
        "limits": {"type": "object"},
    },
}
_CHANGE = {
    "type": "object",
    "required": ["seq", "kind", "id", "definition", "made_by", "made_time", "from_time"],
    "properties": {
        "seq": {"type": "integer"},
        "kind": {"type": "string", "enum": list(KINDS)},
        "id": {"type": "string"},
        "definition": {"type": ["object", "null"], "description": "null: it was taken away"},
        "made_by": {"type": "string"},
        "made_time": {"type": "string", "format": "date-time"},
        "from_time": {"type": ["string", "null"], "format": "date-time"},
    },
}
_LOG = {
    "type": "object",
    "required": ["changes", "next_after"],
    "properties": {
        "changes": {"type": "array", "items": _CHANGE},
        "next_after": {"type": ["integer", "null"], "description": "null: these were the last"},
    },
}


@IN_FORCE.get("/config", **described(content(_CONFIG)))
async def own_config(request: Request, caller: Editor) -> Response:
    """Tell what is in force, as far as the user may see it."""
    configured = services_of(request).gate.configured
    settings = configured.settings
    told: dict[str, Any] = {
        "models": [asdict(each) for each in settings.models if caller.sees_model(each.id)],
        "time": asdict(settings.time),
        "limits": asdict(settings.limits),
    }
    for kind, name in zip(KINDS, _LISTS, strict=True):
        told[name] = [
            {
                "id": entry_id,
                "declared_by": "rest" if configured.made_here(kind, entry_id) else "file",
                "definition": _without_secrets(configured, kind, entry_id),
            }
            for entry_id in _IDS[kind](settings, caller)
        ]
    return json_response(told)


@IN_FORCE.get(
    "/changes",
    **described(
        content(_LOG),
        faults=(400,),
        parameters=(
            parameter(
                "after",
                "Only changes behind this `seq`.",
                {"type": "integer", "minimum": 0, "maximum": _SEQ_MAX, "default": 0},
            ),
            parameter(
                "limit",
                "The most of them.",
                {"type": "integer", "minimum": 1, "maximum": _PAGE_MAX, "default": _PAGE},
            ),
            parameter("kind", "Only of this kind.", {"type": "string", "enum": list(KINDS)}),
        ),
    ),
)
async def own_changes(request: Request, caller: Editor) -> Response:
    """Tell what was changed while runs went on, in the order in which it was."""
    if not caller.sees_all:
        msg = "only a user who sees every model and every job may see what was changed"
        raise Fault(403, msg)
    after = _whole(request, "after", 0, 0, _SEQ_MAX)
    limit = _whole(request, "limit", _PAGE, 1, _PAGE_MAX)
    kind = request.query_params.get("kind")
    if kind is not None and kind not in KINDS:
        msg = f"`kind` must be one of {', '.join(KINDS)}, got {kind[:80]!r}"
        raise Fault(400, msg, {"kind": [msg]})
    given = {"after": after, "kind": kind, "rows": limit + 1}
    rows = await services_of(request).read(lambda asking: _changes(asking, given))
    found = rows[:limit]
    more = found[-1]["seq"] if len(rows) > limit else None
    return json_response({"changes": found, "next_after": more})


# ---- what is in force ------------------------------------------------------------------------


def _metrics(settings: Settings, caller: Caller) -> Iterator[str]:
    for each in settings.metrics:
        if caller.sees_model(each.model):
            yield str(metric_id(each.model, each.name))


def _rules(settings: Settings, caller: Caller) -> Iterator[str]:
    for each in settings.alert_rules:
        if caller.sees_model(each.model):
            yield str(rule_id_of(each, each.name or ""))


def _jobs(settings: Settings, caller: Caller) -> Iterator[str]:
    for each in settings.anomaly_jobs:
        if caller.sees_job(each.job_id) and (each.model is None or caller.sees_model(each.model)):
            yield each.job_id


def _notifications(settings: Settings, caller: Caller) -> Iterator[str]:
    every = caller.is_at_least("administrator")
    for each in settings.notifications:
        if caller.sees_model(each.model) and (every or each.user == caller.username):
            yield configuration_id(each)


def _users(settings: Settings, caller: Caller) -> Iterator[str]:
    every = caller.is_at_least("administrator")
    for each in settings.users:
        if every or each.username == caller.username:
            yield each.username


_IDS = {
    "metric": _metrics,
    "alert_rule": _rules,
    "anomaly_job": _jobs,
    "notification": _notifications,
    "user": _users,
}


def _without_secrets(configured: Configured, kind: str, entry_id: str) -> Mapping[str, Any]:
    definition = configured.definition(kind, entry_id) or {}
    if kind != "user":
        return definition
    has_key = any(definition.get(name) for name in _SECRETS)
    kept = {name: value for name, value in definition.items() if name not in _SECRETS}
    return {**kept, "has_key": has_key}


# ---- what was changed ------------------------------------------------------------------------


def _changes(asking: Asking, given: dict[str, Any]) -> list[dict[str, Any]]:
    rows = asking.cursor.execute(_CHANGES, given).fetchall()
    names = ("seq", "kind", "id", "definition", "made_by", "made_time", "from_time")
    return [dict(zip(names, map(_told, names, row), strict=True)) for row in rows]


def _told(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "definition":
        return orjson.loads(value)
    return instant(value) if name.endswith("_time") else value


def _whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    said = request.query_params.get(name)
    if said is None:
        return default
    if said.isascii() and said.isdecimal() and len(said) <= 19 and least <= int(said) <= most:
        return int(said)
    msg = f"`{name}` must be a whole number from {least} to {most}, got {said[:80]!r}"
    raise Fault(400, msg, {name: [msg]})
