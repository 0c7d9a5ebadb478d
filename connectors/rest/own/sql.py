"""`/sql`: one reading statement over the store, for users from whom nothing is hidden.

At most `STATEMENTS` run at once, in threads that nothing else waits for; up to `WAITING` wait for
that, and who comes beyond is asked to come again, as is who comes while `ANSWERS` answers, or
`ANSWERS_BYTES_MAX` of them in all, are on their way to slow clients. A client that takes nothing of
its answer for `STALL_S` is let go.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import IO, Annotated, Any

import anyio
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from connectors.rest.auth import Caller, Viewer
from connectors.rest.faults import Fault
from connectors.rest.own.shapes import described, own_router, parameter
from connectors.rest.own.sqlanswers import Written, write_answer
from connectors.rest.own.sqlasked import (
    FORMS,
    ROWS,
    ROWS_MAX,
    SECONDS_MAX,
    Asked,
    asked_by_get,
    asked_by_post,
)
from connectors.rest.services import Services, services_of
from connectors.sqlwire import TIME_LIMIT_S

__all__ = ["ANSWERS", "ANSWERS_BYTES_MAX", "SQL", "STALL_S", "STATEMENTS", "WAITING"]

SQL: APIRouter = own_router()
STATEMENTS = 4
WAITING = 32
ANSWERS = 256
ANSWERS_BYTES_MAX = 1 << 30
STALL_S = 60.0

_CHUNK = 256 << 10
_LOOK_S = 0.25


class _Board:
    """What is going on in one event loop: statements that run or wait, answers being taken."""

    def __init__(self) -> None:
        self.limiter = anyio.CapacityLimiter(STATEMENTS)
        self.asked = self.answers = self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether nobody more can be answered just now."""
        taking = self.answers >= ANSWERS or self.bytes > ANSWERS_BYTES_MAX
        return taking or self.asked >= STATEMENTS + WAITING


_BOARD: RunVar[_Board] = RunVar("sql-board")


# ---- the routes ------------------------------------------------------------------------------

_TYPED = {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}}
_ANSWER: dict[str, Any] = {
    FORMS["json"]: {
        "schema": {
            "type": "object",
            "required": ["columns", "rows", "row_count", "truncated"],
            "properties": {
                "columns": {"type": "array", "items": _TYPED},
                "rows": {"type": "array", "items": {"type": "array"}},
                "row_count": {"type": "integer"},
                "truncated": {"type": "boolean", "description": "There were more rows."},
            },
        }
    },
    FORMS["csv"]: {"schema": {"type": "string"}},
    FORMS["arrow"]: {"schema": {"type": "string", "format": "binary"}},
}
_HEADERS = {
    "X-Bellwether-Truncated": {
        "description": "Whether there were more rows.",
        "required": True,
        "schema": {"type": "string", "enum": ["true", "false"]},
    }
}
_SECONDS = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": SECONDS_MAX,
    "default": TIME_LIMIT_S,
}
_ROWS = {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": ROWS}
_FORM = {"type": "string", "enum": list(FORMS)}
_LIMITS = (
    parameter("limit_seconds", "The statement is stopped after so long.", _SECONDS),
    parameter("limit_rows", "The most rows of the answer.", _ROWS),
    parameter("format", "The form of the answer; else `Accept` says it.", _FORM),
)
_EXAMPLE = "SELECT model_id, count(*) AS events FROM events GROUP BY model_id"
_STATEMENT = {"type": "string", "minLength": 1, "examples": [_EXAMPLE]}
_BODY = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["sql"],
            "additionalProperties": False,
            "properties": {
                "sql": _STATEMENT,
                "limit_seconds": _SECONDS,
                "limit_rows": _ROWS,
                "format": _FORM,
            },
        },
        "example": {"sql": _EXAMPLE, "limit_rows": 100},
    },
    "text/plain": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
}


def _everything(caller: Viewer) -> Caller:
    if not caller.sees_all:
        msg = "only a user who sees every model and every job may ask in SQL"
        raise Fault(403, msg)
    return caller


SeesAll = Annotated[Caller, Depends(_everything)]


@SQL.get(
    "/sql",
    **described(
        _ANSWER,
        headers=_HEADERS,
        faults=(400, 406),
        parameters=(parameter("q", "One reading statement.", _STATEMENT, required=True), *_LIMITS),
    ),
)
async def own_get_sql(request: Request, caller: SeesAll) -> Response:
    """Ask one statement that only reads; it sees the last commit."""
    del caller  # may ask
    return await _answered(request, asked_by_get(request))


@SQL.post(
    "/sql",
    **described(_ANSWER, headers=_HEADERS, faults=(400, 406, 415), parameters=_LIMITS, body=_BODY),
)
async def own_post_sql(request: Request, caller: SeesAll) -> Response:
    """Ask one statement that only reads; it sees the last commit."""
    del caller  # may ask
    return await _answered(request, await asked_by_post(request))


# ---- running and sending ---------------------------------------------------------------------


async def _answered(request: Request, asked: Asked) -> Response:
    board = _board()
    if board.full:
        msg = "too many statements are being answered just now"
        raise Fault(429, msg, headers={"Retry-After": "1"})
    board.asked += 1
    try:
        written = await _written(board, request, services_of(request), asked)
    finally:
        board.asked -= 1
    return _Sent(written, asked.form, board)


async def _written(board: _Board, request: Request, services: Services, asked: Asked) -> Written:
    async with _watched(request) as gone:
        return await run_sync(
            write_answer, services.cursors, asked, gone.is_set, limiter=board.limiter
        )


@asynccontextmanager
async def _watched(request: Request) -> AsyncIterator[threading.Event]:
    """Give what is set once the client has gone."""
    gone = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(_LOOK_S)
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


class _Sent(Response):
    """An answer from its file, a piece at a time."""

    def __init__(self, written: Written, form: str, board: _Board) -> None:
        super().__init__(media_type=FORMS[form])
        self._written, self._board = written, board
        self.headers["content-length"] = str(written.size)
        self.headers["x-bellwether-truncated"] = "true" if written.truncated else "false"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a client that takes nothing is let go."""
        del scope, receive
        size = self._written.size
        self._board.bytes += size
        self._board.answers += 1
        try:
            with self._written.file as file, contextlib.suppress(TimeoutError):
                for message in self._messages(file):
                    await asyncio.wait_for(send(message), STALL_S)
        finally:
            self._board.bytes -= size
            self._board.answers -= 1

    def _messages(self, file: IO[bytes]) -> Iterator[Message]:
        status, headers = self.status_code, self.raw_headers
        yield {"type": "http.response.start", "status": status, "headers": headers}
        while data := file.read(_CHUNK):
            yield {"type": "http.response.body", "body": data, "more_body": True}
        yield {"type": "http.response.body", "body": b""}


def _board() -> _Board:
    try:
        return _BOARD.get()
    except LookupError:
        board = _Board()
        _BOARD.set(board)
        return board
