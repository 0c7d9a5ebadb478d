"""Metrics of a model: made, listed with every filter, and looked up (AR-30 to AR-49)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.faults import uuid_or_404
from connectors.rest.arthur.paging import PageSize, Paging, page_schema, paged
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
from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.services import Services, services_of
from engine.commands.metrics import TYPE_WORDS, create_metric, delete_metric, update_metric
from engine.errors import NotFoundError
from engine.listed.metrics import MetricsAsked, metric_asked, metrics_asked
from engine.listed.pages import Listed
from engine.metrics import METRIC_TYPES
from engine.query.stored_names import seen_properties

__all__ = ["MetricsParameters", "router", "type_word"]

router = arthur_router()

_TEXT = {"type": "string"}
_TYPE = {"type": "string", "enum": list(TYPE_WORDS)}
_METRIC = {
    "type": "object",
    "required": ["id", "name", "query", "endpoint", "is_default", "parameters"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        **dict.fromkeys(("name", "endpoint", "model_id"), _TEXT),
        "query": {"type": "object"},
        "type": _TYPE,
        "is_default": {"type": "boolean"},
        "attribute": {"type": ["string", "null"]},
        "parameters": {"type": "array", "items": {"type": "object"}},
    },
}
_TAKEN = {
    "type": "object",
    "required": ["name", "query"],
    "properties": {
        "name": {"type": "string"},
        "query": {"type": "object", "description": "One aggregate, or one measure of drift."},
        "endpoint": {
            "type": "string",
            "description": "A path that ends in /inference/query or /inference/data_drift.",
            "example": "/models/triage/inference/query",
        },
        "type": {**_TYPE, "type": ["string", "null"], "enum": [*TYPE_WORDS, None]},
        "parameters": {"type": ["array", "null"], "maxItems": 0},
    },
    "additionalProperties": False,
}
_PATH = "/models/{model_id}/metrics"

TypeWord = Literal[
    "model_output_metric",
    "model_input_data_metric",
    "model_performance_metric",
    "model_data_drift_metric",
    "model_data_bound_metric",
]


class MetricsParameters(Paging):
    """The filters of the list of metrics; `default=false` is as if it were left out (AR-44)."""

    expand: list[Literal["type"]] = Field([], description="`type`: with the type of each.")
    default: bool = Field(default=False, description="Only those that every model has.")
    type: list[TypeWord] = Field([], description="Any of these types.")
    metric_name: str | None = None
    attribute_name: str | None = Field(None, description="With or without `features.` in front.")
    sort: Literal["name", "-name", "type", "-type"] = "name"
    page_size: PageSize = 50


@at(router, "POST", _PATH, _METRIC, status=201, faults=(404, 409), body=_TAKEN)
async def arthur_create_metric(request: Request, model_id: ModelId, caller: Editor) -> Response:
    """Make a custom metric."""
    only(request, ())
    body, services = await json_body(request), services_of(request)
    names = await _known_names(services, caller, model_id)
    made = await services.write(
        caller.username, lambda writing: create_metric(writing, model_id, body, names)
    )
    return await _answered(request, caller, model_id, made, 201)


@at(router, "GET", _PATH, page_schema(_METRIC, "metrics"))
async def arthur_metrics(
    request: Request,
    model_id: ModelId,
    caller: Viewer,
    told: Annotated[MetricsParameters, Query()],
) -> Response:
    """List the metrics of a model, default and custom ones."""
    asked = MetricsAsked(
        model_id,
        told.asked,
        True if told.default else None,
        tuple(TYPE_WORDS[each] for each in told.type),
        told.metric_name,
        told.attribute_name,
        told.sort,
    )
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> Listed:
        model_or_404(asking, settings, caller, model_id)
        return metrics_asked(asking.cursor, asked)

    found = await services.read(read)
    return json_response(paged(found, _teller(request, typed=bool(told.expand)), "metrics"))


@at(router, "GET", _PATH + "/{metric_id}", _METRIC)
async def arthur_metric(
    request: Request, model_id: ModelId, metric_id: str, caller: Viewer
) -> Response:
    """Look up one metric."""
    only(request, ("expand",))
    return await _answered(request, caller, model_id, uuid_or_404("metric_id", metric_id))


@at(router, "PUT", _PATH + "/{metric_id}", _METRIC, faults=(404, 409), body=_TAKEN)
async def arthur_update_metric(
    request: Request, model_id: ModelId, metric_id: str, caller: Editor
) -> Response:
    """Put another query in a custom metric's place; its name stays."""
    only(request, ())
    body, services = await json_body(request), services_of(request)
    wanted = uuid_or_404("metric_id", metric_id)
    names = await _known_names(services, caller, model_id)
    await services.write(
        caller.username, lambda writing: update_metric(writing, model_id, wanted, body, names)
    )
    return await _answered(request, caller, model_id, wanted)


@at(router, "DELETE", _PATH + "/{metric_id}", None, status=204, faults=(404, 409))
async def arthur_delete_metric(
    request: Request, model_id: ModelId, metric_id: str, caller: Editor
) -> Response:
    """Take a custom metric away that no rule watches."""
    only(request, ())
    services = services_of(request)
    wanted = uuid_or_404("metric_id", metric_id)
    await _known_names(services, caller, model_id)
    await services.write(caller.username, lambda writing: delete_metric(writing, model_id, wanted))
    return Response(status_code=204)


# ---- answers ---------------------------------------------------------------------------------


def type_word(request: Request, word: str | None) -> str | None:
    """Give the type of a metric in the word that the client knows."""
    return "model_data_bound_metric" if word == METRIC_TYPES[1] and is_typed(request) else word


async def _known_names(services: Services, caller: Caller, model_id: str) -> list[str]:
    """Give the properties that the model's events have; it must exist for the caller."""
    settings = services.gate.configured.settings

    def read(asking: Asking) -> list[str]:
        model_or_404(asking, settings, caller, model_id)
        return list(seen_properties(asking.cursor, model_id))

    return await services.read(read)


async def _answered(
    request: Request, caller: Caller, model_id: str, metric_id: str, status: int = 200
) -> Response:
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> dict[str, Any] | None:
        model_or_404(asking, settings, caller, model_id)
        return metric_asked(asking.cursor, model_id, metric_id)

    row = await services.read(read)
    if row is None:
        msg = f"`metric_id` must be the id of a metric of the model, got {metric_id}"
        raise NotFoundError(msg)
    return json_response(_teller(request, typed=True)(row), status)


def _teller(request: Request, *, typed: bool) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def tell(row: Mapping[str, Any]) -> dict[str, Any]:
        told = {
            "id": row["metric_id"],
            "model_id": row["model_id"],
            "name": row["name"],
            "query": orjson.loads(row["query"]),
            "endpoint": f"/models/{row['model_id']}/inference/{row['endpoint']}",
            "is_default": row["is_default"],
            "attribute": row["property"],
            "parameters": [],
        }
        return {**told, "type": type_word(request, row["type"])} if typed else told

    return tell
