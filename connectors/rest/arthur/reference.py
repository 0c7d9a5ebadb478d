"""The reference set of a model: rows come in a file, and add to what is there.

A row without an id gets one from its content, so that sending a file again changes nothing. Drift
is compared with the whole set; each file that adds to it makes a new version.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.forms import FILE, file_of
from connectors.rest.arthur.handing import counts_of, failures_of, hand_in, model_to_fill
from connectors.rest.arthur.inferences import FAILURES
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
from engine.inferences.items import reference_items
from engine.query.columns import rows_sql
from engine.query.names import ModelNames

__all__ = ["CLOSED", "CLOSING", "check_closing", "router"]

router = arthur_router()

CLOSING = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "string", "enum": ["uploaded"]},
        "total_record_count": {"type": ["integer", "null"], "minimum": 0},
    },
}
"""Schema of what closes a set of rows."""

CLOSED = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
"""Schema of the answer to it."""

_FORM = {"type": "object", "required": ["reference_data"], "properties": {"reference_data": FILE}}
_INFO = {
    "type": "object",
    "required": ["model_id", "records", "status"],
    "properties": {
        "model_id": {"type": "string"},
        "records": {"type": "integer", "minimum": 0},
        "status": {"type": "string"},
        "created_at": {"type": ["string", "null"]},
        "updated_at": {"type": ["string", "null"]},
    },
}

_TOLD = "count(*), strftime(min(received_time), $form), strftime(max(received_time), $form)"


@at(router, "POST", "/models/{model_id}/reference_data", FAILURES, status=207, form=_FORM)
async def arthur_send_reference(request: Request, caller: Editor, model_id: ModelId) -> Response:
    """Take a file of reference rows: Parquet, JSON, JSON lines or CSV; an attribute a column."""
    only(request, ())
    file = await file_of(request, ("reference_data",))
    items = await hand_in(
        request, caller, model_id, lambda maker: reference_items(maker, file.rows())
    )
    return json_response({"counts": counts_of(items), "failures": failures_of(items)}, 207)


@at(router, "PATCH", "/models/{model_id}/reference_data", CLOSED, body=CLOSING)
async def arthur_close_reference(request: Request, caller: Editor, model_id: ModelId) -> Response:
    """Say that the set is whole.

    The clients always say so. Rows are in force as soon as they are taken, so nothing depends on
    it.
    """
    only(request, ())
    check_closing(await json_body(request))
    model_to_fill(services_of(request).gate.configured.settings, caller, model_id)
    return json_response({"message": "success"})


def check_closing(body: dict[str, Any]) -> None:
    """See that a body closes a set of rows.

    Raises
    ------
    Fault
        400
    """
    for name in body:
        if name not in ("status", "total_record_count"):
            msg = f"the body must have status and total_record_count alone, got {name}"
            raise Fault(400, msg)
    if body.get("status") != "uploaded":
        msg = "`status` must be uploaded"
        raise Fault(400, msg)
    count = body.get("total_record_count")
    if count is not None and (type(count) is not int or count < 0):
        msg = "`total_record_count` must be a whole number from 0"
        raise Fault(400, msg)


@at(router, "GET", "/models/{model_id}/reference_data", _INFO)
async def arthur_reference_info(request: Request, caller: Viewer, model_id: ModelId) -> Response:
    """Tell how many rows the reference set has, and since when."""
    only(request, ())
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> tuple[Any, ...]:
        model_or_404(asking, settings, caller, model_id)
        rows = rows_sql(ModelNames(model_id), "reference")
        found = first(
            asking.cursor,
            f"SELECT {_TOLD} FROM ({rows})",  # noqa: S608 - ours
            {"form": "%Y-%m-%dT%H:%M:%S.%fZ"},
        )
        if found is None or not found[0]:
            msg = f"`model_id` must be that of a model with a reference set, got {model_id}"
            raise NotFoundError(msg)
        return found

    records, created, updated = await services.read(read)
    told = {"model_id": model_id, "records": records, "status": "uploaded"}
    return json_response({**told, "created_at": created, "updated_at": updated})
