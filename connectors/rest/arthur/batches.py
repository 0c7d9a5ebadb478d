"""Batches of a batch model: closing one lets its rules be evaluated; how much is in one."""

from time import time_ns
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.handing import model_to_fill
from connectors.rest.arthur.reference import CLOSED, CLOSING, check_closing
from connectors.rest.arthur.shared import (
    ModelId,
    arthur_router,
    at,
    json_body,
    json_response,
    model_or_404,
    only,
)
from connectors.rest.auth import Editor, Viewer
from connectors.rest.faults import Fault
from connectors.rest.services import services_of
from engine.asking import first
from engine.errors import NotFoundError

__all__ = ["router"]

router = arthur_router()

_BATCH = {
    "type": "object",
    "required": ["model_id", "batch_id", "records", "status"],
    "properties": {
        "model_id": {"type": "string"},
        "batch_id": {"type": "string"},
        "records": {"type": "integer", "minimum": 1},
        "partner_record_count": {"type": "integer", "minimum": 0},
        "status": {"type": "string", "enum": ["started", "uploaded"]},
        "created_at": {"type": "string"},
        "updated_at": {"type": "string"},
    },
}
_LATEST = (
    "SELECT epoch_ms(coalesce((SELECT max(event_time) FROM events WHERE model_id = $model"
    " AND batch_id = $batch), (SELECT max(last_event) FROM clock)))"
)
_ROWS = (
    "SELECT count(*), strftime(min(received_time), $form),"
    " strftime(max(received_time), $form) FROM events WHERE model_id = $model"
    " AND batch_id = $batch"
)
_CLOSED = (
    "SELECT count(*) FROM other_events WHERE type = 'model' AND model_id = $model"
    " AND raw ->> '$.batch_id' = $batch AND raw ->> '$.status' = 'uploaded'"
)
_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


@at(router, "PATCH", "/models/{model_id}/batches/{batch_id}", CLOSED, body=CLOSING)
async def arthur_close_batch(
    request: Request, caller: Editor, model_id: ModelId, batch_id: str
) -> Response:
    """Close a batch: a `model` event says that it is complete, at the time of its latest event.

    One without any event is closed at the time of the latest event that there is. The count of
    records that clients send along is not compared with anything: of each inference they were told
    whether it was taken.
    """
    only(request, ())
    check_closing(await json_body(request))
    services = services_of(request)
    model_to_fill(services.gate.configured.settings, caller, model_id)

    def latest(asking: Asking) -> int | None:
        row = first(asking.cursor, _LATEST, {"model": model_id, "batch": batch_id})
        return None if row is None or row[0] is None else int(row[0])

    time_ms = await services.read(latest)
    event = {
        "type": "model",
        "model_id": model_id,
        "batch_id": batch_id,
        "status": "uploaded",
        "timestamp": time_ns() // 1_000_000 if time_ms is None else time_ms,
    }
    receipt = await services.post(orjson.dumps(event) + b"\n", caller.username)
    if receipt.rejected:
        raise Fault(400, receipt.rejected[0].reason)
    return json_response({"message": "success"})


@at(router, "GET", "/models/{model_id}/batches/{batch_id}", _BATCH)
async def arthur_batch(
    request: Request, caller: Viewer, model_id: ModelId, batch_id: str
) -> Response:
    """Tell how many inferences a batch has, and whether it was closed."""
    only(request, ())
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> dict[str, Any]:
        model_or_404(asking, settings, caller, model_id)
        bound = {"model": model_id, "batch": batch_id}
        row = first(asking.cursor, _ROWS, {**bound, "form": _FORM})
        if row is None or not row[0]:
            msg = f"`batch_id` must be that of a batch of the model, got {batch_id}"
            raise NotFoundError(msg)
        closed = first(asking.cursor, _CLOSED, bound)
        return {
            "model_id": model_id,
            "batch_id": batch_id,
            "records": row[0],
            "partner_record_count": row[0],
            "status": "uploaded" if closed and closed[0] else "started",
            "created_at": row[1],
            "updated_at": row[2],
        }

    return json_response(await services.read(read))
