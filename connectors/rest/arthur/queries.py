"""Queries over what was predicted: any query, data drift, and the buckets behind a PSI.

Filters on times and batches are allowed here. An answer has at most 10,000 rows (`limit`, `offset`,
or `page` and `page_size` give further ones) and takes at most 30 seconds. Nothing is ever sampled,
so `disable_auto_sample` changes nothing and is accepted.
"""

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.shared import (
    ModelId,
    arthur_router,
    at,
    json_body,
    model_or_404,
    only,
)
from connectors.rest.auth import Caller, Viewer
from connectors.rest.faults import Fault
from connectors.rest.services import services_of
from connectors.sqlwire import TIME_LIMIT_S
from engine.ad_hoc import ROWS_MAX, ask, ask_drift, ask_psi_buckets
from engine.config import ModelSettings, Settings
from engine.errors import NotFoundError, QueryError
from engine.query.drift_parse import ROLLUPS

__all__ = ["query_answer", "router", "within_time"]

router = arthur_router()

Rows = list[dict[str, object]]
_Ask = Callable[[Asking, Settings, ModelSettings], Rows]

_ITEMS = {"type": "array", "items": {"type": "object"}}
_ROWS = {
    "type": "object",
    "required": ["query_result"],
    "properties": {"query_result": {**_ITEMS, "maxItems": ROWS_MAX}},
}
_SOURCE = {"type": "string", "enum": ["inference", "enriched", "reference", "ground_truth"]}
_QUERY = {
    "type": "object",
    "required": ["select"],
    "properties": {
        "select": {**_ITEMS, "minItems": 1},
        "from": _SOURCE,
        "filter": _ITEMS,
        "group_by": _ITEMS,
        "order_by": _ITEMS,
        "subquery": {"type": "object"},
        "limit": {"type": "integer", "minimum": 0, "maximum": ROWS_MAX},
        "offset": {"type": "integer", "minimum": 0},
        "disable_auto_sample": {"type": "boolean"},
    },
    "example": {"select": [{"function": "count"}]},
}
_SIDE = {"type": "object", "properties": {"source": _SOURCE, "filter": _ITEMS}}
_DRIFT: dict[str, Any] = {
    "type": "object",
    "required": ["properties"],
    "properties": {
        "properties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "num_bins": {"type": "integer", "minimum": 2, "maximum": 100},
        "metric": {"type": "string"},
        "base": _SIDE,
        "target": _SIDE,
        "group_by": _ITEMS,
        "rollup": {
            "type": "string",
            "enum": list(ROLLUPS),
        },
        "disable_auto_sample": {"type": "boolean"},
    },
    "example": {"properties": ["temperature"]},
}
_TABLE = {
    "type": "object",
    "properties": {"property": {"type": "string"}, **_DRIFT["properties"]},
    "example": {"property": "temperature"},
}
_Page = Annotated[int | None, Query(ge=1, le=10**9, description="From 1; needs `page_size`.")]
_PageSize = Annotated[int | None, Query(ge=1, le=ROWS_MAX, description="Rows a page.")]


def query_answer(rows: Rows) -> Response:
    """Answer with rows: instants in UTC, numbers that are none as null."""
    told = orjson.dumps({"query_result": rows}, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    return Response(told, media_type="application/json")


async def _asked(request: Request, caller: Caller, model_id: str, question: _Ask) -> Response:
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> Rows:
        model = model_or_404(asking, settings, caller, model_id)
        return within_time(asking, lambda: question(asking, settings, model))

    return query_answer(await services.read(read))


def within_time(asking: Asking, question: Callable[[], Rows]) -> Rows:
    """Answer a question; one that was stopped is told why, and not how that broke it.

    Raises
    ------
    QueryError
    """
    try:
        return question()
    except QueryError as error:
        if not asking.stopped():
            raise
        msg = (
            f"the query must be done within {TIME_LIMIT_S:g} s, and was stopped;"
            " ask of a shorter time with a filter on `inference_timestamp`"
        )
        raise QueryError(msg) from error


async def _given(request: Request) -> dict[str, Any]:
    """Read a query; whether it may be sampled changes nothing."""
    given = await json_body(request)
    if not isinstance(given.pop("disable_auto_sample", True), bool | None):
        msg = "`disable_auto_sample` must be true or false"
        raise Fault(400, msg)
    return given


@at(router, "POST", "/models/{model_id}/inferences/query", _ROWS, body=_QUERY)
async def arthur_query(
    request: Request,
    caller: Viewer,
    model_id: ModelId,
    page: _Page = None,
    page_size: _PageSize = None,
) -> Response:
    """Ask a query of the inferences of a model, its reference set, or its labelled inferences."""
    only(request, ("page", "page_size"))
    query = await _given(request)
    if page is not None and page_size is None:
        msg = "`page_size` must be given with `page`"
        raise Fault(400, msg)
    paged = None if page_size is None else (page or 1, page_size)
    return await _asked(
        request, caller, model_id, lambda asking, _, model: ask(asking.cursor, model, query, paged)
    )


@at(router, "POST", "/models/{model_id}/inferences/query/data_drift", _ROWS, body=_DRIFT)
async def arthur_query_data_drift(request: Request, caller: Viewer, model_id: ModelId) -> Response:
    """Ask how far inferences lie from the reference set, or from others."""
    return await _drift(request, caller, model_id)


@at(router, "POST", "/models/{model_id}/inferences/data_drift", _ROWS, body=_DRIFT)
async def arthur_data_drift(request: Request, caller: Viewer, model_id: ModelId) -> Response:
    """Ask the same by the shorter path."""
    return await _drift(request, caller, model_id)


async def _drift(request: Request, caller: Caller, model_id: str) -> Response:
    only(request, ())
    query = await _given(request)
    return await _asked(
        request,
        caller,
        model_id,
        lambda asking, settings, model: ask_drift(asking.cursor, settings, model, query),
    )


@at(
    router,
    "POST",
    "/models/{model_id}/inferences/query/data_drift_psi_bucket_calculation_table",
    _ROWS,
    body=_TABLE,
)
async def arthur_psi_buckets(request: Request, caller: Viewer, model_id: ModelId) -> Response:
    """Give the buckets behind a PSI, with the part that each adds to it."""
    only(request, ())
    query = await _given(request)
    return await _asked(
        request,
        caller,
        model_id,
        lambda asking, _, model: ask_psi_buckets(asking.cursor, model, query),
    )


@at(router, "GET", "/models/{model_id}/inferences/query/{partner_inference_id}", _ROWS)
async def arthur_inference(
    request: Request, caller: Viewer, model_id: ModelId, partner_inference_id: str
) -> Response:
    """Give one inference by the id that it was sent with."""
    only(request, ())
    condition = {
        "property": "partner_inference_id",
        "comparator": "eq",
        "value": partner_inference_id,
    }
    query = {"select": [{"property": "*"}], "filter": [condition]}

    def question(asking: Asking, _: Settings, model: ModelSettings) -> Rows:
        rows = ask(asking.cursor, model, query)
        if not rows:
            msg = f"`partner_inference_id` must be that of an inference, got {partner_inference_id}"
            raise NotFoundError(msg)
        return rows

    return await _asked(request, caller, model_id, question)
