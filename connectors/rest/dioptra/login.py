"""Logging in and out, and who is logged in.

The published client has no place for an API key: the key is the password of a login, and what comes
back is a cookie for the session. It is no cookie for scripts or for requests from other sites.
"""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import COOKIE, Viewer, users_of
from connectors.rest.dioptra.bodies import fields_of
from connectors.rest.dioptra.shared import answered, body_of, described, dioptra_router
from connectors.rest.faults import Fault

__all__ = ["GROUP", "login_router"]

GROUP = {"id": 1, "name": "public"}
"""The one group there is; everybody is in it."""

login_router = dioptra_router()

_TEXT = {"type": "string"}
_LOGIN = {
    "type": "object",
    "required": ["username", "password"],
    "additionalProperties": False,
    "properties": {"username": _TEXT, "password": {"type": "string", "minLength": 1}},
}
_LOGGED_IN = {
    "type": "object",
    "required": ["username", "status"],
    "properties": {"username": _TEXT, "status": _TEXT},
}
_LOGGED_OUT = {
    "type": "object",
    "required": ["username", "status", "everywhere"],
    "properties": {"username": _TEXT, "status": _TEXT, "everywhere": {"type": "boolean"}},
}
_CURRENT = {
    "type": "object",
    "required": ["id", "username", "email", "groups"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "username": _TEXT,
        "email": {"type": ["string", "null"]},
        "groups": {"type": "array", "items": {"type": "object"}},
    },
}


@login_router.post("/auth/login", responses=described(_LOGGED_IN), openapi_extra=body_of(_LOGIN))
async def dioptra_login(request: Request) -> Response:
    """Log in, with an API key as the password."""
    fields = await fields_of(request, ("username", "password"))
    username = fields.text("username", needed=True)
    password = fields.text("password", needed=True)
    fields.check()
    token = users_of(request).log_in(request, username or "", password or "")
    if token is None:
        msg = "the password must be an API key of the user"
        raise Fault(401, msg)
    answer = answered({"username": username, "status": "Login successful"})
    answer.set_cookie(
        COOKIE,
        token,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@login_router.post("/auth/logout", responses=described(_LOGGED_OUT))
async def dioptra_logout(
    request: Request,
    caller: Viewer,
    everywhere: Annotated[bool, Query(description="End all sessions of the user.")] = False,  # noqa: FBT002 - a parameter of the request
) -> Response:
    """Log out: end the session of the cookie, or all sessions of the user."""
    users = users_of(request)
    users.log_out(request)
    if everywhere:
        users.log_out_everywhere(caller.username)
    told = {"username": caller.username, "status": "Logout successful", "everywhere": everywhere}
    answer = answered(told)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


@login_router.get("/users/current", responses=described(_CURRENT))
async def dioptra_current_user(caller: Viewer) -> Response:
    """Tell who is asking."""
    return answered(
        {
            "id": str(caller.id),
            "username": caller.username,
            "email": caller.email,
            "groups": [GROUP],
        }
    )
