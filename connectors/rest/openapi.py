"""The OpenAPI description of all rooms: what FastAPI finds, with keys, and without what is not so.

FastAPI says of every route with parameters that it answers status 422 in FastAPI's own way; here
each contract tells its faults itself, and says so in its own description.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

__all__ = ["describe"]

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_AUTOMATIC = ("HTTPValidationError", "ValidationError")
_SCHEMES: dict[str, Any] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "An API key; `X-Arcanna-Api-Key` takes it, too.",
    },
    "authorization": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "The same key, as the client of each contract sends it: `ApiKey KEY`, `Token KEY`,"
            " `Bearer KEY`, `Basic` with the key as password, or the bare key."
        ),
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "bellwether_session",
        "description": "Given by `POST /api/v1/auth/login`, whose password is an API key.",
    },
}


def describe(app: FastAPI) -> None:
    """Let an application describe itself like that, once it is asked to."""
    found = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(found())
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign] # as FastAPI's manual says


def _complete(told: dict[str, Any]) -> None:
    parts = told.setdefault("components", {})
    schemas = parts.get("schemas", {})
    for name in _AUTOMATIC:
        schemas.pop(name, None)
    parts["securitySchemes"] = _SCHEMES
    told["security"] = [{name: []} for name in _SCHEMES]
    for operation in _operations(told):
        responses = operation.get("responses", {})
        if _is_automatic(responses.get("422")):
            del responses["422"]


def _operations(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in told.get("paths", {}).values():
        yield from (path[method] for method in _METHODS if method in path)


def _is_automatic(response: dict[str, Any] | None) -> bool:
    if response is None:
        return False
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema.get("$ref", "").endswith(f"/{_AUTOMATIC[0]}"))
