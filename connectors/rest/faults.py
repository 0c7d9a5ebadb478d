"""Faults of requests: one exception, told by each contract in its own words.

A route raises `Fault`, or what the queries and commands beneath raise (`QueryError` and its
children, `ConfigurationError`); its contract gives the function that renders a fault as a response.
What is neither is a fault of ours: 500, told in the contract's words without any detail, and in the
log with all of them.
"""

import errno
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import (
    BusyError,
    ConfigurationError,
    ConflictError,
    EndingError,
    ForbiddenError,
    NotFoundError,
    QueryError,
    StoreError,
)

__all__ = ["Fault", "Render", "contract_route", "fault_of"]

_LOG = logging.getLogger("bellwether.rest")
_RETRY_S = 1
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (ForbiddenError, 403),
    (BusyError, 429),
    (EndingError, 503),
    (QueryError, 400),
    (ConfigurationError, 400),
    (StoreError, 507),
)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Fault(Exception):  # noqa: N818 - what is wrong with a request, not with the program
    """What is wrong with a request.

    Attributes
    ----------
    status : int
        Of HTTP.
    message : str
        What, where, rule and value, in one line.
    fields : mapping of str to list of str
        Messages by parameter or field of the body, where they are known.
    headers : mapping
    """

    status: int
    message: str
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


Render = Callable[[Request, Fault], Response]
"""Tells a fault as one contract does."""


def fault_of(error: Exception) -> Fault:
    """Give the fault that an exception stands for; 500 for one of ours."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return Fault(error.status_code, str(error.detail), headers=error.headers or {})
    if isinstance(error, OSError) and error.errno in _FULL:
        return Fault(507, "there is no room on the disk for temporary files")
    for kind, status in _STATUS:
        if isinstance(error, kind):
            headers = {"Retry-After": str(_RETRY_S)} if status in {429, 503} else {}
            return Fault(status, str(error), headers=headers)
    _LOG.error("a request has failed", exc_info=error)
    return Fault(500, "a fault of the server; its log says more")


def _of_validation(error: RequestValidationError) -> Fault:
    fields: dict[str, list[str]] = {}
    for each in error.errors():
        place = ".".join(str(part) for part in each["loc"][1:]) or str(each["loc"][0])
        fields.setdefault(place, []).append(str(each["msg"]))
    told = "; ".join(f"`{place}`: {', '.join(found)}" for place, found in fields.items())
    return Fault(400, told or "the request is malformed", fields)


def contract_route(render: Render) -> type[APIRoute]:
    """Give the class of a contract's routes: whatever they raise is told by `render`."""

    class ContractRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def told(request: Request) -> Response:
                try:
                    return await handle(request)
                except Exception as error:  # noqa: BLE001 - told, and logged where it is ours
                    return render(request, fault_of(error))

            return told

    return ContractRoute
