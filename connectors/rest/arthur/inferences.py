"""Inferences and their ground truths come in; each is taken or refused by itself.

What is answered with 200 is durable. A model that nobody knows yet begins with its first inference.
How attributes become events: `engine.inferences.stages`.
"""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.arthur.forms import FILE, file_of
from connectors.rest.arthur.handing import COUNTS, Make, counts_of, failures_of, hand_in
from connectors.rest.arthur.shared import (
    ModelId,
    arthur_router,
    at,
    body_of,
    json_response,
    only,
)
from connectors.rest.auth import Caller, Editor
from connectors.rest.faults import Fault
from engine.inferences.items import Item, Maker, inference_items, nested, truth_items

__all__ = ["FAILURES", "router"]

router = arthur_router()

_TIME = {"oneOf": [{"type": "string"}, {"type": "number"}], "description": "ISO 8601, or ms"}
_ATTRIBUTES = {
    "type": "object",
    "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
}
_TRUTH = {
    "partner_inference_id": {"type": "string", "minLength": 1, "maxLength": 256},
    "ground_truth_timestamp": _TIME,
    "ground_truth_data": _ATTRIBUTES,
}
_INFERENCES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["inference_timestamp", "inference_data"],
        "properties": {
            "inference_timestamp": _TIME,
            "batch_id": {"type": "string", "minLength": 1, "maxLength": 256},
            "inference_data": _ATTRIBUTES,
            **_TRUTH,
        },
    },
}
_TRUTHS = {
    "type": "array",
    "items": {"type": "object", "required": list(_TRUTH), "properties": _TRUTH},
}
_RESULT = {
    "type": "object",
    "required": ["message", "status"],
    "properties": {
        "message": {"type": "string"},
        "status": {"type": "integer", "enum": [200, 400]},
        "partner_inference_id": {"type": "string"},
    },
}
_RESULTS = {
    "type": "object",
    "required": ["counts", "results"],
    "properties": {"counts": COUNTS, "results": {"type": "array", "items": _RESULT}},
}
FAILURES: dict[str, Any] = {
    "type": "object",
    "required": ["counts", "failures"],
    "properties": {"counts": COUNTS, "failures": {"type": "array", "items": _RESULT}},
}
"""Schema of the answer to a file."""

_FORM = {
    "type": "object",
    "properties": {
        "inference_data": {**FILE, "description": "Inferences, or"},
        "ground_truth_data": {**FILE, "description": "ground truths"},
        "batch_id": {"type": "string", "description": "Of all inferences in the file"},
    },
}


@at(router, "POST", "/models/{model_id}/inferences", _RESULTS, status=207, body=_INFERENCES)
async def arthur_send_inferences(request: Request, caller: Editor, model_id: ModelId) -> Response:
    """Take inferences, with or without their ground truths."""
    rows = await _list(request)
    return await _taken(request, caller, model_id, lambda maker: inference_items(maker, rows))


@at(router, "PATCH", "/models/{model_id}/inferences", _RESULTS, status=207, body=_TRUTHS)
async def arthur_update_ground_truths(
    request: Request, caller: Editor, model_id: ModelId
) -> Response:
    """Take ground truths of inferences; a later one of the same inference corrects an earlier."""
    rows = await _list(request)
    return await _taken(request, caller, model_id, lambda maker: truth_items(maker, rows))


async def _list(request: Request) -> list[Any]:
    only(request, ())
    given = body_of(await request.body())
    if not isinstance(given, list):
        msg = "the body must be a JSON array"
        raise Fault(400, msg)
    return given


async def _taken(request: Request, caller: Caller, model_id: str, make: Make) -> Response:
    items = await hand_in(request, caller, model_id, make)
    return json_response({"counts": counts_of(items), "results": list(map(_result, items))}, 207)


def _result(item: Item) -> dict[str, Any]:
    return {
        **({} if item.id is None else {"partner_inference_id": item.id}),
        "message": "success" if item.fault is None else item.fault,
        "status": 200 if item.fault is None else 400,
    }


@at(router, "POST", "/models/{model_id}/inferences/file", FAILURES, status=207, form=_FORM)
async def arthur_send_inference_file(
    request: Request, caller: Editor, model_id: ModelId
) -> Response:
    """Take a file of inferences, or of ground truths: Parquet, JSON, JSON lines or CSV.

    Rows are inferences as the other routes take them, or flat: an attribute a column.
    """
    only(request, ())
    file = await file_of(request, ("inference_data", "ground_truth_data"), ("batch_id",))
    batch_id = file.texts.get("batch_id")

    def make(maker: Maker) -> Iterator[Item]:
        found = (_nested(maker, row) for row in file.rows())
        if file.part == "ground_truth_data":
            return truth_items(maker, map(_only_truth, found))
        if batch_id:
            found = (_with_batch(row, batch_id) for row in found)
        return inference_items(maker, found)

    items = await hand_in(request, caller, model_id, make)
    return json_response({"counts": counts_of(items), "failures": failures_of(items)}, 207)


def _nested(maker: Maker, row: Any) -> Any:
    return nested(maker.stages, row) if isinstance(row, dict) else row


def _with_batch(row: Any, batch_id: str) -> Any:
    return {**row, "batch_id": batch_id} if isinstance(row, dict) else row


def _only_truth(row: Any) -> Any:
    """Take all attributes of a row of ground truths as such, whatever they are called."""
    data, truth = (
        row.get(name) if isinstance(row, dict) else None
        for name in ("inference_data", "ground_truth_data")
    )
    if not isinstance(data, dict) or not isinstance(truth, dict | None):
        return row
    kept = {key: value for key, value in row.items() if key != "inference_data"}
    return {**kept, "ground_truth_data": {**data, **(truth or {})}}
