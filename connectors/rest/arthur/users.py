"""Who is asking: `users/me` and `users/me/auth_info`, the first requests of both clients."""

from typing import Any
from uuid import UUID

from starlette.responses import Response

from connectors.rest.arthur.shared import arthur_router, at, json_response
from connectors.rest.auth import Caller, Viewer
from engine.config import UserSettings

__all__ = ["ORGANIZATION_ID", "ROLE_WORDS", "router", "user_named"]

ORGANIZATION_ID = UUID("3c1f7f6e-0b57-3a52-9f0e-5d1b7a4c2e90")
"""There is one organization, always this one."""

ROLE_WORDS = {"viewer": "User", "editor": "Model Owner", "administrator": "Administrator"}

router = arthur_router()

_TEXT = {"type": "string"}
_ROLES = {"type": "array", "items": {"type": "string", "enum": list(ROLE_WORDS.values())}}
_ME = {
    "type": "object",
    "required": ["id", "organization_id", "organization_name", "username", "roles", "email"],
    "properties": {
        **dict.fromkeys(("id", "organization_id", "organization_name", "username"), _TEXT),
        **dict.fromkeys(("email", "first_name", "last_name"), _TEXT),
        "roles": _ROLES,
    },
}
_AUTH_INFO_TEXTS = ("issuer", "username", "first_name", "last_name", "email", "internal_user_id")
_AUTH_INFO = {
    "type": "object",
    "required": [*_AUTH_INFO_TEXTS, "roles", "organization_ids"],
    "properties": {
        **dict.fromkeys(_AUTH_INFO_TEXTS, _TEXT),
        "roles": _ROLES,
        "organization_ids": {"type": "array", "items": _TEXT},
    },
}


@at(router, "GET", "/users/me/auth_info", _AUTH_INFO, faults=())
async def arthur_auth_info(caller: Viewer) -> Response:
    """Tell who asks, by which key."""
    return json_response(
        {
            "issuer": "bellwether",
            **_names(caller),
            "roles": [ROLE_WORDS[caller.role]],
            "organization_ids": [str(ORGANIZATION_ID)],
            "internal_user_id": str(caller.id),
        }
    )


@at(router, "GET", "/users/me", _ME, faults=())
async def arthur_me(caller: Viewer) -> Response:
    """Tell who asks."""
    return json_response(
        {
            "id": str(caller.id),
            "organization_id": str(ORGANIZATION_ID),
            "organization_name": "Bellwether",
            **_names(caller),
            "roles": [ROLE_WORDS[caller.role]],
        }
    )


def _names(caller: Caller) -> dict[str, Any]:
    """Tell the names; users have no first and last ones, and clients need some text there."""
    return {
        "username": caller.username,
        "first_name": "",
        "last_name": "",
        "email": caller.email or "",
    }


def user_named(users: tuple[UserSettings, ...], user_id: str) -> str | None:
    """Give the username of an id; None: nobody has it."""
    return next((each.username for each in users if str(Caller.of(each).id) == user_id), None)
