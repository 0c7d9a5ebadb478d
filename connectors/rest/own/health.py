"""`/health` and `/ready`: whether the run goes on, and whether it answers; no key is needed.

Both say no more than that: what went wrong stands in the log, and for those who may see it in
`/metrics`.
"""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.own.shapes import content, described, json_response, own_router
from connectors.rest.services import services_of
from engine.errors import QueryError

__all__ = ["HEALTH", "SILENCE_S"]

HEALTH: APIRouter = own_router()
SILENCE_S = 120.0
"""A run that neither commits nor looks at its inputs for so long is not well."""

_READY_S = 5.0
_ANSWER = content(
    {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string", "enum": ["ok", "failed", "stalled", "busy"]}},
    }
)


def _described(text: str) -> dict[str, Any]:
    told = described(_ANSWER, open_to_all=True, text=text)
    bad = {"description": "It is not so; or too much is going on", "content": _ANSWER}
    return {**told, "responses": {**told["responses"], 503: bad}}


@HEALTH.get("/health", **_described("The run goes on"))
async def own_health(request: Request) -> Response:
    """Tell whether the run goes on."""
    return _answer(_health(request))


@HEALTH.get("/ready", **_described("The run goes on, and the store is read"))
async def own_ready(request: Request) -> Response:
    """Tell whether the run goes on, and questions are answered."""
    status = _health(request)
    if status == "ok":
        services = services_of(request)
        looked = asyncio.ensure_future(
            services.read(lambda asking: asking.cursor.execute("SELECT 1").fetchall(), _READY_S)
        )
        done, _ = await asyncio.wait([looked], timeout=_READY_S)
        looked.add_done_callback(lambda each: each.cancelled() or each.exception())
        if not done or isinstance(looked.exception(), QueryError):
            status = "busy"
        elif looked.exception() is not None:
            status = "failed"
    return _answer(status)


def _health(request: Request) -> str:
    state = services_of(request).state
    if state.fault is not None:
        return "failed"
    return "stalled" if state.committed_s > SILENCE_S else "ok"


def _answer(status: str) -> Response:
    return json_response({"status": status}, 200 if status == "ok" else 503)
