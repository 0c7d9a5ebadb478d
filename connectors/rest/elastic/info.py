"""What clients ask to see whether somebody is there: `GET /` and `HEAD /`."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Viewer
from connectors.rest.elastic.answers import answer, compatible_with, render
from connectors.rest.elastic.options import query_of
from connectors.rest.elastic.schemas import described
from connectors.rest.faults import contract_route

__all__ = ["ROUTER"]

ROUTER = APIRouter(route_class=contract_route(render), tags=["Elasticsearch: info"])

_NEWEST = 9
_INFO = {"type": "object", "properties": {"name": {"type": "string"}}}


@ROUTER.get("/", **described("elastic_get_info", _INFO))
@ROUTER.head("/", **described("elastic_head_info", _INFO))
async def elastic_info(request: Request, _: Viewer) -> Response:
    """Tell who this is; `version.number` is that of the interface, as the client asked for it."""
    query_of(request)
    told: dict[str, Any] = {
        "name": "bellwether",
        "cluster_name": "bellwether",
        "version": {
            "number": f"{compatible_with(request) or _NEWEST}.0.0",
            "bellwether": version("bellwether"),
        },
    }
    return answer(request, told)
