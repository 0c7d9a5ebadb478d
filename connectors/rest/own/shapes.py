"""What the own endpoints share: how they tell faults, and how they are described."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.faults import Fault, contract_route

__all__ = ["content", "described", "json_response", "own_router", "parameter", "render"]

_FAULT = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong, in one line."},
        "fields": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_FAULTS = {
    400: "The request breaks a rule",
    401: "No key, or one that is not known",
    403: "The user may not do that",
    404: "There is no such thing",
    406: "It cannot be had in that form",
    408: "The body came too slowly",
    409: "It does not fit what is there",
    413: "The body is too large",
    415: "The body is of no kind that is taken",
    429: "Too much at once: come again after `Retry-After` seconds",
    503: "Too many bodies at once, or the run has ended",
}
_ALWAYS = (401, 403, 408, 413, 429, 503)


def json_response(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def render(_: Request, fault: Fault) -> Response:
    """Tell a fault: `{"error": message}`, with `fields` where it is known which are wrong."""
    told: dict[str, Any] = {"error": _as_text(fault.message)}
    if fault.fields:
        told["fields"] = fault.fields
    answer = json_response(told, fault.status)
    answer.headers.update(fault.headers)
    return answer


def _as_text(message: str) -> str:
    return message.encode("utf-8", "backslashreplace").decode()


def own_router() -> APIRouter:
    """Make a router whose faults are told like that."""
    return APIRouter(route_class=contract_route(render), tags=["Bellwether"])


def content(schema: Mapping[str, Any], media: str = "application/json") -> dict[str, Any]:
    """Describe a body."""
    return {media: {"schema": dict(schema)}}


def parameter(
    name: str, text: str, schema: Mapping[str, Any], *, where: str = "query", required: bool = False
) -> dict[str, Any]:
    """Describe a parameter."""
    told = {"name": name, "in": where, "required": required, "description": text}
    return {**told, "schema": dict(schema)}


def described(
    answer: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, Any] | None = None,
    faults: tuple[int, ...] = (),
    parameters: tuple[Mapping[str, Any], ...] = (),
    body: Mapping[str, Any] | None = None,
    open_to_all: bool = False,
    text: str = "The answer",
) -> dict[str, Any]:
    """Give what the registration of a route says of it.

    Parameters
    ----------
    answer : mapping
        The content of the answer, by media type.
    faults : tuple of int
        Statuses beside those that every route has.
    body : mapping, optional
        The content of the request, by media type.
    open_to_all : bool
        Whether no key is needed.
    """
    extra: dict[str, Any] = {"security": []} if open_to_all else {}
    if parameters:
        extra["parameters"] = [dict(each) for each in parameters]
    if body is not None:
        extra["requestBody"] = {"required": True, "content": dict(body)}
    good: dict[str, Any] = {"description": text, "content": dict(answer)}
    if headers:
        good["headers"] = dict(headers)
    told = {
        each: {"description": _FAULTS[each], "content": content(_FAULT)}
        for each in sorted({*_ALWAYS, *faults})
    }
    return {
        "response_class": Response,
        "status_code": status,
        "responses": {status: good, **told},
        "openapi_extra": extra,
    }
