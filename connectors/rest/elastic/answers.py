"""Answers in the contract's own form: its product header, its content types, its errors.

Every answer says `X-Elastic-Product: Elasticsearch`, without which the published clients go no
further, and is of the vendor type that the client accepts, else plain JSON.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.elastic.filter_path import filtered
from connectors.rest.faults import Fault

__all__ = ["ElasticFault", "answer", "compatible_with", "render", "unparsed"]

_PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
_VENDOR = re.compile(r"application/vnd\.elasticsearch\+json\s*;\s*compatible-with=([789])\b", re.I)
_TYPES = {
    400: "illegal_argument_exception",
    401: "security_exception",
    403: "security_exception",
    404: "resource_not_found_exception",
    405: "method_not_allowed_exception",
    409: "status_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
    503: "status_exception",
}


@dataclass(slots=True)
class ElasticFault(Fault):
    """A fault with the name that the contract has for its kind."""

    type: str = ""


def unparsed(message: str) -> ElasticFault:
    """Give the fault of a body that is not what it should be."""
    return ElasticFault(400, message, type="x_content_parse_exception")


def compatible_with(request: Request) -> int | None:
    """Give the major version that the client wants to be answered as; None: it names none."""
    found = _VENDOR.search(request.headers.get("accept", ""))
    return int(found[1]) if found else None


def answer(request: Request, value: Any, status: int = 200) -> Response:
    """Answer a document, as much of it as `filter_path` asks for, indented for `pretty`."""
    paths = request.query_params.get("filter_path")
    if paths:
        value = filtered(value, paths)
    return _response(request, value, status)


def render(request: Request, fault: Fault) -> Response:
    """Tell a fault as the contract does."""
    kind = fault.type if isinstance(fault, ElasticFault) else _TYPES.get(fault.status, "exception")
    reason = {"type": kind, "reason": fault.message}
    document = {"error": {"root_cause": [reason], **reason}, "status": fault.status}
    response = _response(request, document, fault.status)
    response.headers.update(fault.headers)
    return response


def _response(request: Request, value: Any, status: int) -> Response:
    version = compatible_with(request)
    media_type = "application/json"
    if version is not None:
        media_type = f"application/vnd.elasticsearch+json;compatible-with={version}"
    pretty = request.query_params.get("pretty", "false") in {"", "true"}
    option = orjson.OPT_INDENT_2 if pretty else 0
    return Response(orjson.dumps(value, option=option), status, _PRODUCT, media_type)
