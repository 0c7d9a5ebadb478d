"""Scale's contract: the catalogues of plot data, their choices, and the data (`/v6/metrics/`).

Parameters are read as its web UI writes them: the word null or nothing at all is no value, a
parameter that is not known says nothing, and of one that may be there once the last one counts.
Paths are served with and without a slash at their end. A fault is `{"detail": message}`.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.app import Room
from connectors.rest.auth import Viewer
from connectors.rest.faults import Fault, contract_route
from connectors.rest.services import services_of
from engine.processing.catalogues import catalogues, details
from engine.processing.plot import PlotQuestion, plot_data
from engine.processing.plot_pages import Page
from engine.processing.plot_words import page_words, question_of
from engine.processing.seeing import seeing_of

__all__ = ["ROOM"]

_PREFIX = "/v6/metrics"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", re.ASCII)

Words = dict[str, list[str]]
Name = Annotated[str, Path(description="The name of a catalogue.")]


def render(_: Request, fault: Fault) -> Response:
    """Tell a fault."""
    answer = _answered({"detail": fault.message}, fault.status)
    answer.headers.update(fault.headers)
    return answer


# ---- description -----------------------------------------------------------------------------

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list_of(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


_COLUMN = _object(
    name=_TEXT,
    title=_TEXT,
    description=_TEXT,
    units=_TEXT,
    group=_MAYBE_TEXT,
    aggregate={"type": "string", "enum": ["avg", "max", "min", "sum"]},
)
_CATALOGUE = _object(
    name=_TEXT,
    title=_TEXT,
    description=_TEXT,
    filters=_list_of(_object(param=_TEXT, type=_TEXT)),
    groups=_list_of(_object(name=_TEXT, title=_TEXT, description=_TEXT)),
    columns=_list_of(_COLUMN),
)
_DETAILS = _object(
    **_CATALOGUE["properties"], choices=_list_of(_object(id={"type": "integer"}, name=_MAYBE_TEXT))
)
_VALUE = {
    "type": "object",
    "required": ["datetime", "value"],
    "properties": {
        "id": {"type": "integer"},
        "datetime": {"type": "string", "format": "date-time"},
        "value": {"type": "number"},
    },
}
_PLOT = _object(
    column=_COLUMN,
    min_x=_MAYBE_TEXT,
    max_x=_MAYBE_TEXT,
    min_y=_MAYBE_NUMBER,
    max_y=_MAYBE_NUMBER,
    values=_list_of(_VALUE),
)


def _page_of(results: Mapping[str, Any]) -> dict[str, Any]:
    link = {"type": ["string", "null"], "format": "uri"}
    return _object(count={"type": "integer"}, next=link, previous=link, results=_list_of(results))


def _described(schema: Mapping[str, Any], *faults: int) -> dict[int | str, dict[str, Any]]:
    told: dict[int | str, dict[str, Any]] = {200: _content("What was asked for", schema)}
    detail = _object(detail=_TEXT)
    for status in sorted({400, 401, 403, 404, 429, 500, *faults}):
        told[status] = _content(HTTPStatus(status).phrase, detail)
    for status in (408, 413):
        told[status] = _content(HTTPStatus(status).phrase, _object(error=_TEXT))
    told[503] = _content(HTTPStatus(503).phrase, {"type": "object"})  # of the run, or of a body
    return told


def _content(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


def _parameters(*told: tuple[str, str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": what, "schema": schema}
            for name, what, schema in told
        ]
    }


_NULL = {"type": "string", "enum": ["", "null"]}
_PAGES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("page", "From 1, the default.", {"anyOf": [{"type": "integer", "minimum": 1}, _NULL]}),
    (
        "page_size",
        "100 by default, at most 1000: more are cut to so many.",
        {"anyOf": [{"type": "integer", "minimum": 1}, _NULL]},
    ),
)
_OF_PLOT = _parameters(
    *_PAGES,
    ("started", "ISO 8601 date and time, or a duration back from now.", _TEXT),
    ("ended", "The same; now by default.", _TEXT),
    (
        "choice_id",
        "Ids of choices; one point for each of them and hour.",
        _list_of({"anyOf": [{"type": "integer"}, _NULL]}),
    ),
    ("column", "Names of columns, in the order of the answer.", _list_of(_TEXT)),
    ("group", "Names of groups of columns.", _list_of(_TEXT)),
)

# ---- routes ----------------------------------------------------------------------------------

_ROUTER = APIRouter(prefix=_PREFIX, route_class=contract_route(render), tags=["Scale"])


@_ROUTER.get("", include_in_schema=False)
@_ROUTER.get("/", responses=_described(_page_of(_CATALOGUE)), openapi_extra=_parameters(*_PAGES))
async def scale_list_metrics(request: Request, caller: Viewer) -> Response:
    """List the catalogues."""
    page, page_size = page_words(_words(request))

    def asked(asking: Asking) -> dict[str, object]:
        seeing = seeing_of(asking.cursor, caller.models, caller.jobs)
        found = catalogues(asking.cursor, page, page_size, seeing)
        return _enveloped(request, found.page, found.to_json(), f"{_PREFIX}/", [])

    return _answered(await services_of(request).read(asked))


@_ROUTER.get("/{name}", include_in_schema=False)
@_ROUTER.get("/{name}/", responses=_described(_DETAILS))
async def scale_metric_details(request: Request, name: Name, caller: Viewer) -> Response:
    """Give a catalogue with the choices by which its data can be narrowed."""

    def asked(asking: Asking) -> dict[str, object]:
        seeing = seeing_of(asking.cursor, caller.models, caller.jobs)
        return details(asking.cursor, name, seeing).to_json()

    return _answered(await services_of(request).read(asked))


@_ROUTER.get("/{name}/plot-data", include_in_schema=False)
@_ROUTER.get("/{name}/plot-data/", responses=_described(_page_of(_PLOT)), openapi_extra=_OF_PLOT)
async def scale_plot_data(request: Request, name: Name, caller: Viewer) -> Response:
    """Give the data of columns: whole series, in the order of the columns asked for."""
    question = question_of(name, _words(request), time.time_ns() // 1000)

    def asked(asking: Asking) -> dict[str, object]:
        seeing = seeing_of(asking.cursor, caller.models, caller.jobs)
        found = plot_data(asking.cursor, replace(question, seeing=seeing))
        path = f"{_PREFIX}/{quote(name, '')}/plot-data/"
        return _enveloped(request, found.page, found.to_json(), path, _told(question))

    return _answered(await services_of(request).read(asked))


def _words(request: Request) -> Words:
    """Give the parameters of a request, each with all its words."""
    found: Words = {}
    for name, word in request.query_params.multi_items():
        found.setdefault(name, []).append(word)
    return found


def _told(question: PlotQuestion) -> list[tuple[str, str]]:
    """Give the parameters of a question beside its page."""
    told = [
        *(("column", each) for each in question.columns),
        *(("group", each) for each in question.groups),
        *(("choice_id", str(each)) for each in question.choice_ids),
    ]
    ends = (("started", question.started), ("ended", question.ended))
    return [*told, *((name, each) for name, each in ends if each is not None)]


def _enveloped(
    request: Request,
    page: Page,
    answer: Mapping[str, object],
    path: str,
    told: list[tuple[str, str]],
) -> dict[str, object]:
    """Put a page into the envelope of SC-05, with whole URLs of the pages beside it."""
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        host = ":".join(str(part) for part in request.scope.get("server") or ("localhost",))
    address = f"{request.scope['scheme']}://{host}{path}"

    def link(number: int | None) -> str | None:
        if number is None:
            return None
        return f"{address}?{urlencode([('page', number), ('page_size', page.size), *told])}"

    return {
        "count": answer["count"],
        "next": link(page.next),
        "previous": link(page.previous),
        "results": answer["results"],
    }


def _answered(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


ROOM: Room = ((_PREFIX,), _ROUTER, render)
