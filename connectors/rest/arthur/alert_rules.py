"""Alert rules of a model: made, listed, changed and removed (AR-01 to AR-18)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from uuid import uuid4

import orjson
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.faults import uuid_or_404
from connectors.rest.arthur.metrics import type_word
from connectors.rest.arthur.paging import Paging, page_schema, paged
from connectors.rest.arthur.shared import (
    ModelId,
    arthur_router,
    at,
    is_typed,
    json_body,
    json_response,
    model_or_404,
    only,
)
from connectors.rest.arthur.thresholds import thresholds_of
from connectors.rest.auth import Caller, Editor, Viewer, user_id
from connectors.rest.services import services_of
from engine.commands.alert_rules import create_rule, delete_rule, update_rule
from engine.commands.alerts import ALERT_STATUSES, set_status_of_rule
from engine.commands.given import known
from engine.commands.metrics import TYPE_WORDS
from engine.errors import NotFoundError
from engine.listed.pages import Listed, Page
from engine.listed.rules import RulesAsked, minutes, rules_asked

__all__ = ["RULE_SCHEMA", "RulesParameters", "router", "rule_told"]

router = arthur_router()

_PATH = "/models/{model_id}/alert_rules"
_NUMBER = {"type": ["number", "null"]}
_BOUND = {"type": "string", "enum": ["upper", "lower"]}
_SEVERITY = {"type": "string", "enum": ["warning", "critical"]}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_DYNAMIC = {"anyOf": [{"type": "number"}, {"const": "dynamic"}]}

RULE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        *("id", "model_id", "name", "bound", "threshold", "severity", "lookback_period"),
        *("subsequent_alert_wait_time", "enabled", "is_default", "metric_id", "metric_name"),
        *("metric_type", "metric_query", "metric_parameters", "filters"),
    ],
    "properties": {
        **{key: {"type": "string"} for key in ("id", "model_id", "name", "metric_id")},
        "bound": _BOUND,
        "threshold": {**_NUMBER, "description": "Null: dynamic, and not known yet."},
        "dynamic_threshold": {"type": "boolean"},
        "severity": _SEVERITY,
        "lookback_period": {**_NUMBER, "description": "Minutes."},
        "subsequent_alert_wait_time": {**_NUMBER, "description": "Minutes."},
        **{key: {"type": "boolean"} for key in ("enabled", "is_default")},
        "metric_name": _TEXT_OR_NULL,
        "metric_type": {"type": ["string", "null"], "enum": [*TYPE_WORDS, None]},
        "metric_query": {"type": ["object", "null"]},
        "metric_parameters": {"type": "object"},
        "filters": {"type": "array", "items": {"type": "object"}},
        **dict.fromkeys(("last_updated_by", "last_updated_at"), _TEXT_OR_NULL),
        "alert_counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "last_metric_value": _NUMBER,
        "last_triggered": _TEXT_OR_NULL,
    },
}

_PATCHED = {
    "name": _TEXT_OR_NULL,
    "bound": {**_BOUND, "type": ["string", "null"], "enum": ["upper", "lower", None]},
    "threshold": {"anyOf": [*_DYNAMIC["anyOf"], {"type": "null"}]},
    "severity": {**_SEVERITY, "type": ["string", "null"], "enum": ["warning", "critical", None]},
    "lookback_period": {**_NUMBER, "description": "Minutes, above 0; 5 if left out."},
    "subsequent_alert_wait_time": {**_NUMBER, "description": "Minutes; 0 if left out."},
    "enabled": {"type": ["boolean", "null"]},
    "metric_parameters": {"type": ["object", "null"], "maxProperties": 0},
    "filters": {"type": ["array", "null"], "maxItems": 0},
    "time_basis": {"type": ["string", "null"], "enum": ["event", "label", None]},
    "on_no_data": {"type": ["string", "null"], "enum": ["ignore", "alert", None]},
    "resolve_threshold": _NUMBER,
    "for": {**_NUMBER, "description": "Minutes that it must hold for."},
    "min_sample_count": {"type": ["integer", "null"]},
    "min_label_coverage": _NUMBER,
    "group_by": _TEXT_OR_NULL,
    "group_limit": {"type": ["integer", "null"]},
}
_MADE = {
    "type": "object",
    "required": ["metric_id", "bound", "threshold", "severity"],
    "properties": {
        **_PATCHED,
        "metric_id": {"type": "string", "format": "uuid"},
        "bound": _BOUND,
        "threshold": _DYNAMIC,
        "severity": _SEVERITY,
    },
    "additionalProperties": False,
}
_CHANGED = {
    "type": "object",
    "properties": {
        **_PATCHED,
        **dict.fromkeys(("id", "metric_id", "metric_name"), _TEXT_OR_NULL),
    },
    "additionalProperties": False,
}
_BULK = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "enum": list(ALERT_STATUSES)}},
    "additionalProperties": False,
}
_UPDATED = {
    "type": "object",
    "required": ["updated_alerts"],
    "properties": {"updated_alerts": {"type": "integer"}},
}


RuleSort = Literal[
    "name",
    "-name",
    "severity",
    "-severity",
    "metric_id",
    "-metric_id",
    "metric_name",
    "-metric_name",
    "metric_type",
    "-metric_type",
    "subsequent_alert_wait_time",
    "-subsequent_alert_wait_time",
    "enabled",
    "-enabled",
]


class RulesParameters(Paging):
    """The parameters of the list of rules; `-` in front of `sort` begins with the greatest."""

    severity: Literal["warning", "critical"] | None = None
    sort: RuleSort = "name"
    include_alert_metadata: bool = False


@at(router, "POST", _PATH, RULE_SCHEMA, body=_MADE)
async def arthur_create_rule(request: Request, model_id: ModelId, caller: Editor) -> Response:
    """Make an alert rule on a metric."""
    only(request, ())
    body, services = await json_body(request), services_of(request)
    await _check_model(request, caller, model_id)
    made = await services.write(
        caller.username, lambda writing: create_rule(writing, model_id, body, uuid4)
    )
    return await _answered(request, caller, model_id, made)


@at(router, "GET", _PATH, page_schema(RULE_SCHEMA))
async def arthur_rules(
    request: Request,
    model_id: ModelId,
    caller: Viewer,
    told: Annotated[RulesParameters, Query()],
) -> Response:
    """List the alert rules of a model that are in force."""
    services = services_of(request)
    settings = services.gate.configured.settings
    asked = RulesAsked(model_id, told.asked, told.severity, told.sort, told.include_alert_metadata)

    shown = thresholds_of(request)

    def read(asking: Asking) -> Listed:
        model = model_or_404(asking, settings, caller, model_id)
        return shown.filled(asking, settings, model, rules_asked(asking.cursor, asked))

    return json_response(paged(await services.read(read), _teller(request)))


@at(router, "GET", _PATH + "/{alert_rule_id}", RULE_SCHEMA)
async def arthur_rule(
    request: Request, model_id: ModelId, alert_rule_id: str, caller: Viewer
) -> Response:
    """Look up one alert rule."""
    only(request, ())
    rule_id = uuid_or_404("alert_rule_id", alert_rule_id)
    return await _answered(request, caller, model_id, rule_id)


@at(router, "PATCH", _PATH + "/{alert_rule_id}", RULE_SCHEMA, also=201, body=_CHANGED)
async def arthur_update_rule(
    request: Request, model_id: ModelId, alert_rule_id: str, caller: Editor
) -> Response:
    """Change some fields of an alert rule; its metric stays."""
    only(request, ())
    body, services = await json_body(request), services_of(request)
    rule_id = uuid_or_404("alert_rule_id", alert_rule_id)
    threshold = (await _found(request, caller, model_id, rule_id))["dynamic_threshold"]
    await services.write(
        caller.username,
        lambda writing: update_rule(writing, model_id, rule_id, body, threshold),
    )
    status = 201 if is_typed(request) else 200
    return await _answered(request, caller, model_id, rule_id, status)


@at(router, "DELETE", _PATH + "/{alert_rule_id}", None, status=204, also=201, faults=(404, 409))
async def arthur_delete_rule(
    request: Request, model_id: ModelId, alert_rule_id: str, caller: Editor
) -> Response:
    """Take an alert rule away; its alerts stay."""
    only(request, ())
    services = services_of(request)
    rule_id = uuid_or_404("alert_rule_id", alert_rule_id)
    await _check_model(request, caller, model_id)
    await services.write(caller.username, lambda writing: delete_rule(writing, model_id, rule_id))
    return Response(status_code=201 if is_typed(request) else 204)


@at(router, "PATCH", _PATH + "/{alert_rule_id}/bulk_alerts", _UPDATED, body=_BULK)
async def arthur_update_alerts_of_rule(
    request: Request, model_id: ModelId, alert_rule_id: str, caller: Editor
) -> Response:
    """Acknowledge or resolve all alerts of a rule."""
    only(request, ())
    body = known(await json_body(request), ("status",), ("status",))
    services = services_of(request)
    rule_id = uuid_or_404("alert_rule_id", alert_rule_id)
    await _check_model(request, caller, model_id)
    updated = await services.write(
        caller.username,
        lambda writing: set_status_of_rule(writing, model_id, rule_id, body["status"]),
    )
    return json_response({"updated_alerts": updated})


# ---- answers ---------------------------------------------------------------------------------


async def _check_model(request: Request, caller: Caller, model_id: str) -> None:
    services = services_of(request)
    settings = services.gate.configured.settings
    await services.read(lambda asking: model_or_404(asking, settings, caller, model_id))


async def _found(request: Request, caller: Caller, model_id: str, rule_id: str) -> dict[str, Any]:
    services = services_of(request)
    settings = services.gate.configured.settings
    shown, asked = thresholds_of(request), RulesAsked(model_id, Page(1, 1), rule_id=rule_id)

    def read(asking: Asking) -> Listed:
        model = model_or_404(asking, settings, caller, model_id)
        return shown.filled(asking, settings, model, rules_asked(asking.cursor, asked))

    found = await services.read(read)
    if not found.rows:
        msg = f"`alert_rule_id` must be the id of a rule of the model, got {rule_id}"
        raise NotFoundError(msg)
    return found.rows[0]


async def _answered(
    request: Request, caller: Caller, model_id: str, rule_id: str, status: int = 200
) -> Response:
    row = await _found(request, caller, model_id, rule_id)
    return json_response(_teller(request)(row), status)


def _teller(request: Request) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def tell(row: Mapping[str, Any]) -> dict[str, Any]:
        changed_by = row["last_changed_by"]
        told = {
            **rule_told(request, row),
            "last_updated_by": None if changed_by is None else str(user_id(changed_by)),
            "last_updated_at": row["last_changed_time"],
        }
        if "last_triggered" in row:
            counts = {each: row[f"{each}_count"] for each in ("new", *ALERT_STATUSES)}
            told["alert_counts"] = counts
            told["last_metric_value"] = row["last_metric_value"]
            told["last_triggered"] = row["last_triggered"]
        return told

    return tell


def rule_told(request: Request, row: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a rule by the columns that lists of rules and of alerts have in common."""
    threshold, query = row["threshold"], row["metric_query"]
    dynamic = threshold is None
    lookback_s, wait_us = row["lookback_s"], row["wait_us"]
    return {
        "id": row["rule_id"],
        "model_id": row["model_id"],
        "name": row["name"],
        "bound": row["bound"],
        "threshold": row.get("dynamic_threshold") if dynamic else threshold,
        "dynamic_threshold": dynamic,
        "severity": row["severity"],
        "lookback_period": None if lookback_s is None else minutes(lookback_s),
        "subsequent_alert_wait_time": None if wait_us is None else minutes(wait_us / 1_000_000),
        "enabled": row["enabled"],
        "is_default": row["is_default"],
        "metric_id": row["metric_id"],
        "metric_name": row["metric_name"],
        "metric_type": type_word(request, row["metric_type"]),
        "metric_query": None if query is None else orjson.loads(query),
        "metric_parameters": {},
        "filters": [],
    }
