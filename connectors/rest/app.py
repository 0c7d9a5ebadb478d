"""The application: the rooms of all contracts under one OpenAPI description."""

from collections.abc import Sequence
from importlib.metadata import version

import anyio
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Users
from connectors.rest.faults import Fault, Render, fault_of
from connectors.rest.limits import Limits
from connectors.rest.openapi import describe
from connectors.rest.services import Services

__all__ = ["Room", "limiter", "make_app"]

Room = tuple[tuple[str, ...], APIRouter, Render]
"""The prefixes of a contract's paths, its routes, and how it tells faults."""


def make_app(services: Services, users: Users, rooms: Sequence[Room]) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    services : Services
    users : Users
    rooms : sequence of Room
        Faults where no route matches are told by the room with the longest matching prefix; the
        last room tells them where none does.
    """
    app = FastAPI(
        title="Bellwether",
        version=version("bellwether"),
        description="Watches models that decide: five contracts over one store.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # some of the clients name none; `auth` sees to foreign pages
    )
    app.state.services, app.state.users = services, users
    for _, router, _ in rooms:
        app.include_router(router)
    prefixes = sorted(
        ((prefix, render) for found, _, render in rooms for prefix in found),
        key=lambda each: -len(each[0]),
    )

    async def unmatched(request: Request, error: Exception) -> Response:
        fault = fault_of(error)
        if fault.status == 404:
            fault = Fault(404, f"there is nothing at {request.url.path}")
        path = request.url.path
        render = next((r for prefix, r in prefixes if path.startswith(prefix)), rooms[-1][2])
        return render(request, fault)

    app.add_exception_handler(HTTPException, unmatched)
    app.add_middleware(Limits)
    describe(app)
    return app


def limiter(reads: int) -> anyio.CapacityLimiter:
    """Make what bounds the reads at once; inside the event loop that is to use it."""
    return anyio.CapacityLimiter(reads)
