"""`/docs`: the description of all endpoints as a page, made here, without any script.

It works offline, and allows the browser nothing but its own style sheet.
"""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from connectors.rest.own.page import page
from connectors.rest.own.shapes import own_router
from connectors.rest.own.style import STYLE

__all__ = ["DOCS"]

DOCS: APIRouter = own_router()

_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@DOCS.get("/docs", include_in_schema=False)
async def own_docs(request: Request) -> Response:
    """Show what there is to ask, and how."""
    described: dict[str, Any] = request.app.openapi()
    html = getattr(request.app.state, "docs", None)
    if html is None:
        html = request.app.state.docs = page(described)
    return HTMLResponse(html, headers=_HEADERS)


@DOCS.get("/docs/style.css", include_in_schema=False)
async def own_docs_style() -> Response:
    """Give the page's style sheet."""
    return Response(STYLE, media_type="text/css", headers=_HEADERS)
