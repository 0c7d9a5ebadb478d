"""`POST /events`: lines of events into the stream; the answer comes once they are durable."""

from typing import Any

import anyio
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Editor
from connectors.rest.faults import Fault
from connectors.rest.limits import BODY_BYTES_MAX
from connectors.rest.own.shapes import content, described, json_response, own_router, parameter
from connectors.rest.own.unpacking import ENCODINGS, unpacked
from connectors.rest.services import services_of
from engine.receipts import Receipt

__all__ = ["EVENTS"]

EVENTS: APIRouter = own_router()

_MEDIA = (
    *("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
    *("application/json", "application/octet-stream", "text/plain"),
    "application/x-www-form-urlencoded",  # what curl says of --data-binary
)
_KEY_CHARACTERS = 255
_UNPACKINGS = 4  # at once
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("events-unpacking")

_LINE = (
    '{"model_id": "triage", "id": "e-1", "timestamp": "2025-01-01T00:00:00Z",'
    ' "prediction": "Drop", "label": "Drop"}\n'
)
_ANSWER = {
    "type": "object",
    "required": ["lines", "accepted", "rejected_count", "rejected"],
    "properties": {
        "lines": {"type": "integer", "description": "Those that are not blank."},
        "accepted": {"type": "integer"},
        "rejected_count": {"type": "integer"},
        "rejected": {
            "type": "array",
            "description": "The first of them; all are in the relation `rejects`.",
            "items": {
                "type": "object",
                "required": ["line", "field", "reason"],
                "properties": {
                    "line": {"type": "integer", "minimum": 1},
                    "field": {"type": ["string", "null"]},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_KEY = parameter(
    "Idempotency-Key",
    "The same lines under the same key are taken once, and told the same.",
    {"type": "string", "minLength": 1, "maxLength": _KEY_CHARACTERS, "pattern": "^[!-~]+$"},
    where="header",
)
_ENCODING = parameter(
    "Content-Encoding",
    "How the body is packed.",
    {"type": "string", "enum": list(ENCODINGS)},
    where="header",
)
_BODY = {
    "application/x-ndjson": {
        "schema": {"type": "string", "description": "An event a line, as JSON."},
        "example": _LINE,
    }
}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: these lines were taken by an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


@EVENTS.post(
    "/events",
    **described(
        content(_ANSWER),
        status=202,
        text="All lines are durable, as events or as rejects",
        headers=_REPLAYED,
        faults=(400, 409, 415),
        parameters=(_KEY, _ENCODING),
        body=_BODY,
    ),
)
async def own_post_events(request: Request, caller: Editor) -> Response:
    """Hand lines in.

    One JSON object a line. Lines that break a rule are kept as rejects, and listed.
    """
    if not caller.sees_all:
        msg = "only a user who sees every model and every job may hand in events"
        raise Fault(403, msg)
    key = _key_of(request)
    _check_media(request)
    lines = await _lines_of(request)
    receipt = await services_of(request).post(lines, caller.username, key)
    answer = json_response(_told(receipt), 202)
    if receipt.repeated:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer


async def _lines_of(request: Request) -> bytes:
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding == "identity" or encoding not in ENCODINGS:
        return unpacked(body, encoding, BODY_BYTES_MAX)
    return await _aside(body, encoding)


async def _aside(body: bytes, encoding: str) -> bytes:
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_UNPACKINGS)
        _LIMITER.set(limiter)
    return await run_sync(unpacked, body, encoding, BODY_BYTES_MAX, limiter=limiter)


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        rule = f"1 to {_KEY_CHARACTERS} printable characters of ASCII"
        msg = f"`Idempotency-Key` must be {rule}, got {key[:80]!r}"
        raise Fault(400, msg)
    return key


def _check_media(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media and media not in _MEDIA:
        msg = f"`Content-Type` must be {_MEDIA[0]} or the like, got {media[:80]!r}"
        raise Fault(415, msg)


def _told(receipt: Receipt) -> dict[str, Any]:
    return {
        "lines": receipt.lines,
        "accepted": receipt.accepted,
        "rejected_count": receipt.rejected_count,
        "rejected": [
            {"line": each.line, "field": each.field, "reason": each.reason}
            for each in receipt.rejected
        ],
    }
