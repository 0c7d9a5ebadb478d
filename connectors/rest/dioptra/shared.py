"""What the routes of this contract share: their router, how faults are told, and schemas of both.

A fault is `{error, message, detail, originating_path}`; where fields of a body or parameters are
wrong, `errors` has the messages of each.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.faults import Fault, contract_route

__all__ = [
    "PREFIX",
    "answered",
    "body_of",
    "described",
    "dioptra_router",
    "is_whole",
    "render",
]

PREFIX = "/api/v1"

_NAMES = {
    400: "ValidationError",
    401: "UserAuthenticationError",
    403: "LockError",
    404: "EntityDoesNotExistError",
    409: "EntityExistsError",
}
_FAULT = {
    "type": "object",
    "required": ["error", "message", "detail", "originating_path"],
    "properties": {
        "error": {"type": "string", "description": "The kind of fault."},
        "message": {"type": "string"},
        "detail": {"type": "object"},
        "originating_path": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Messages by field of the body, or by parameter.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_LIMITS = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def dioptra_router() -> APIRouter:
    """Give a router of this contract."""
    return APIRouter(prefix=PREFIX, route_class=contract_route(render), tags=["Dioptra"])


def render(request: Request, fault: Fault) -> Response:
    """Tell a fault."""
    query = request.url.query
    phrase = HTTPStatus(fault.status).phrase
    told: dict[str, Any] = {
        "error": _NAMES.get(fault.status, phrase.replace(" ", "") + "Error"),
        "message": f"{phrase} - {fault.message}",
        "detail": {"errors": dict(fault.fields)} if fault.fields else {},
        "originating_path": request.url.path + (f"?{query}" if query else ""),
    }
    if fault.fields:
        told["errors"] = dict(fault.fields)
    answer = answered(told, fault.status)
    answer.headers.update(fault.headers)
    return answer


def answered(value: object, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def described(schema: Mapping[str, Any], *faults: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: what it gives, and how it may fail."""
    told: dict[int | str, dict[str, Any]] = {200: _content("What was asked for", schema)}
    for status in sorted({400, 401, 403, 429, 500, *faults}):
        told[status] = _content(HTTPStatus(status).phrase, _FAULT)
    for status in (408, 413, 503):
        told[status] = _content(HTTPStatus(status).phrase, _LIMITS)
    return told


def body_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the body of a route."""
    content = {"application/json": {"schema": dict(schema)}}
    return {"requestBody": {"required": True, "content": content}}


def is_whole(text: str) -> bool:
    """Tell whether an id is a whole number: such a one may be asked for before it is known."""
    return text.isascii() and text.isdecimal()


def _content(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": dict(schema)}},
    }
