"""What clients may take: bytes of a body and of headers, and time to send them.

A body is read whole before its route runs, at most `BODY_BYTES_MAX` of it, and no longer than
`BODY_S` in all: a thousand clients that send a byte a minute hold a socket each, no thread, and not
for long. The same holds for the lines of the head (`connectors.rest.connections`). All bodies that
are being read or answered together take `BODIES_BYTES_MAX` at most; who comes beyond that is asked
to come again.
"""

import asyncio
import contextlib

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_BYTES_MAX", "HEAD_BYTES_MAX", "Limits"]

BODY_BYTES_MAX = 16 << 20  # as the body comes; what is packed in it has limits of its own
BODIES_BYTES_MAX = 256 << 20
BODY_S = 60.0
HEAD_BYTES_MAX = 32 << 10

_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Limits:
    """ASGI middleware: refuses bodies that are too large (413), slow (408) or many (503)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then let the application run."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        chunks: list[bytes] = []
        held = 0
        try:
            status = 408
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BODY_S):
                    more = True
                    while more and held <= BODY_BYTES_MAX and self._held <= BODIES_BYTES_MAX:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        chunks.append(message.get("body", b""))
                        held += len(chunks[-1])
                        self._held += len(chunks[-1])
                        more = message.get("more_body", False)
                    status = 0 if not more else 413 if held > BODY_BYTES_MAX else 503
            if held > BODY_BYTES_MAX:
                status = 413
            if status:
                await _refused(scope, receive, send, status)
                return
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            await self._app(scope, _given(body, receive), _hardened(send))
        finally:
            self._held -= held


_RULES = {
    408: f"the body must be sent within {BODY_S:g} s",
    413: f"the body must be at most {BODY_BYTES_MAX} bytes, got more",
    503: "too many bodies are being read just now",
}


async def _refused(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    headers = {"connection": "close", **({"retry-after": "1"} if status == 503 else {})}
    await JSONResponse({"error": _RULES[status]}, status, headers)(scope, receive, send)


def _given(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def give() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _hardened(send: Send) -> Send:
    async def give(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in _HEADERS if name not in known]
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return give
