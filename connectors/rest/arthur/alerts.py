"""Alerts of all models: listed, looked up, acknowledged and resolved (ARi-02 to ARi-04)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.arthur.alert_rules import RULE_SCHEMA, rule_told
from connectors.rest.arthur.faults import time_us, uuid_or_404
from connectors.rest.arthur.paging import PageSize, Paging, page_schema, paged
from connectors.rest.arthur.shared import arthur_router, at, json_body, json_response, only
from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.services import services_of
from engine.commands.alerts import ALERT_STATUSES, set_alert_status
from engine.commands.given import known
from engine.errors import NotFoundError
from engine.listed.alerts import AlertsAsked, alert_asked, alerts_asked

__all__ = ["AlertsParameters", "router"]

router = arthur_router()

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ALERT = {
    "type": "object",
    "required": [
        *("id", "timestamp", "metric_value", "message", "model_id", "status", "alert_rule"),
        *("window_start", "window_end", "batch_id", "severity"),
    ],
    "properties": {
        **dict.fromkeys(("id", "timestamp", "message", "model_id", "severity"), _TEXT),
        "metric_value": {"type": ["number", "null"]},
        "status": {"type": "string", "enum": ["new", *ALERT_STATUSES]},
        "alert_rule": RULE_SCHEMA,
        **dict.fromkeys(("window_start", "window_end", "batch_id"), _TEXT_OR_NULL),
        **dict.fromkeys(("group_value", "suppressed_since"), _TEXT_OR_NULL),
        "sample_count": {"type": ["integer", "null"]},
    },
}
_CHANGED = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "enum": list(ALERT_STATUSES)}},
    "additionalProperties": False,
}


AlertSort = Literal[
    "timestamp",
    "-timestamp",
    "status",
    "-status",
    "severity",
    "-severity",
    "metric_value",
    "-metric_value",
    "model_id",
    "-model_id",
]


class AlertsParameters(Paging):
    """The filters of the list of alerts; those that may be given several times want any of them."""

    model_id: list[str] = Field([])
    status: Literal["new", "acknowledged", "resolved"] | None = None
    severity: Literal["warning", "critical"] | None = None
    alert_rule_id: str | None = None
    batch_id: list[str] = Field([])
    start_time: str | None = Field(None, description="ISO 8601: triggered then or later.")
    end_time: str | None = Field(None, description="ISO 8601: triggered then or earlier.")
    sort: AlertSort = "-timestamp"
    page_size: PageSize = 500


@at(router, "GET", "/alerts", page_schema(_ALERT), faults=())
async def arthur_alerts(
    request: Request, caller: Viewer, told: Annotated[AlertsParameters, Query()]
) -> Response:
    """List the alerts of all models, the newest first."""
    asked = AlertsAsked(
        told.asked,
        _visible(caller),
        told.model_id or None,
        told.status,
        told.severity,
        told.alert_rule_id,
        told.batch_id or None,
        time_us("start_time", told.start_time),
        time_us("end_time", told.end_time),
        told.sort,
    )
    found = await services_of(request).read(lambda asking: alerts_asked(asking.cursor, asked))
    return json_response(paged(found, _teller(request)))


@at(router, "GET", "/alerts/{alert_id}", _ALERT)
async def arthur_alert(request: Request, alert_id: str, caller: Viewer) -> Response:
    """Look up one alert."""
    only(request, ())
    return await _answered(request, caller, uuid_or_404("alert_id", alert_id))


@at(router, "PATCH", "/alerts/{alert_id}", _ALERT, faults=(404, 409), body=_CHANGED)
async def arthur_update_alert(request: Request, alert_id: str, caller: Editor) -> Response:
    """Acknowledge or resolve an alert."""
    only(request, ())
    body = known(await json_body(request), ("status",), ("status",))
    wanted = uuid_or_404("alert_id", alert_id)
    visible = _visible(caller)
    await services_of(request).write(
        caller.username,
        lambda writing: set_alert_status(writing, wanted, body["status"], visible),
    )
    return await _answered(request, caller, wanted)


# ---- answers ---------------------------------------------------------------------------------


def _visible(caller: Caller) -> tuple[str, ...] | None:
    return None if caller.models is None else tuple(sorted(caller.models))


async def _answered(request: Request, caller: Caller, alert_id: str) -> Response:
    visible = _visible(caller)
    row = await services_of(request).read(
        lambda asking: alert_asked(asking.cursor, alert_id, visible)
    )
    if row is None:
        msg = f"`alert_id` must be the id of an alert, got {alert_id}"
        raise NotFoundError(msg)
    return json_response(_teller(request)(row))


def _teller(request: Request) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    rules: dict[tuple[Any, ...], orjson.Fragment] = {}  # many alerts have one rule

    def tell(row: Mapping[str, Any]) -> dict[str, Any]:
        key = (row["rule_id"], row["rule_version"], row["threshold"])
        if key not in rules:
            told = rule_told(request, {**row, "name": row["rule_name"]})
            rules[key] = orjson.Fragment(orjson.dumps(told))
        return {
            "id": row["alert_id"],
            "timestamp": row["triggered_time"],
            "metric_value": row["metric_value"],
            "message": row["message"],
            "severity": row["severity"],
            "model_id": row["model_id"],
            "status": row["status"],
            "alert_rule": rules[key],
            "window_start": row["window_start"],
            "window_end": row["window_end"],
            "batch_id": row["batch_id"],
            "group_value": row["group_value"],
            "sample_count": row["sample_count"],
            "suppressed_since": row["suppressed_since"],
        }

    return tell
