"""Alert notification configurations: who is told of which model's alerts (AR-19 to AR-29).

Users have those of their own. To anybody but an administrator those of others are not there.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.faults import uuid_or_404
from connectors.rest.arthur.paging import Paging, page_schema, paged
from connectors.rest.arthur.shared import (
    arthur_router,
    at,
    json_body,
    json_response,
    model_or_404,
    only,
)
from connectors.rest.arthur.users import user_named
from connectors.rest.auth import Caller, Viewer, user_id
from connectors.rest.services import Services, services_of
from engine.commands.notifications import (
    create_configuration,
    delete_configuration,
    update_configuration,
)
from engine.errors import ForbiddenError, NotFoundError
from engine.listed.notifications import (
    ConfigurationsAsked,
    configuration_asked,
    configurations_asked,
)

__all__ = ["ConfigurationsParameters", "router"]

router = arthur_router()

_PATH = "/alert_notification_configurations"
_TEXT = {"type": "string"}
_CONFIGURATION = {
    "type": "object",
    "required": ["id", "user_id", "model_id", "type", "destination", "enabled"],
    "properties": {
        **dict.fromkeys(("id", "user_id", "model_id", "destination"), _TEXT),
        "type": {"type": "string", "enum": ["email"]},
        "enabled": {"type": "boolean"},
    },
}
_MADE = {
    "type": "object",
    "required": ["model_id", "type"],
    "properties": {
        "user_id": {"type": ["string", "null"], "description": "Your own if left out."},
        "model_id": _TEXT,
        "type": {"type": "string", "enum": ["email"]},
        "destination": {"type": ["string", "null"], "description": "The user's own address."},
        "enabled": {"type": ["boolean", "null"]},
    },
    "additionalProperties": False,
}
_CHANGED = {
    "type": "object",
    "required": ["enabled"],
    "properties": {"enabled": {"type": "boolean"}},
    "additionalProperties": False,
}


class ConfigurationsParameters(Paging):
    """The filters of the list of configurations."""

    user_id: str | None = None
    model_id: str | None = None


@at(router, "POST", _PATH, _CONFIGURATION, status=201, faults=(404, 409), body=_MADE)
async def arthur_create_configuration(request: Request, caller: Viewer) -> Response:
    """Have a user told of a model's alerts."""
    only(request, ())
    body, services = await json_body(request), services_of(request)
    username = _owner_wanted(services, caller, body.get("user_id"))
    await _check_model(services, caller, body.get("model_id"))
    made = await services.write(
        caller.username, lambda writing: create_configuration(writing, username, body)
    )
    return await _answered(request, caller, made, 201)


@at(router, "GET", _PATH, page_schema(_CONFIGURATION), faults=())
async def arthur_configurations(
    request: Request, caller: Viewer, told: Annotated[ConfigurationsParameters, Query()]
) -> Response:
    """List the configurations: your own, or as an administrator all of them."""
    services = services_of(request)
    username = None
    if told.user_id is not None:
        # Nobody has an empty name: an id that nobody has gives no rows.
        username = user_named(services.gate.configured.settings.users, told.user_id) or ""
    asked = ConfigurationsAsked(
        told.asked, _owner(caller), _visible(caller), username, told.model_id
    )
    found = await services.read(lambda asking: configurations_asked(asking.cursor, asked))
    return json_response(paged(found, _told))


@at(router, "GET", _PATH + "/{configuration_id}", _CONFIGURATION)
async def arthur_configuration(request: Request, configuration_id: str, caller: Viewer) -> Response:
    """Look up one configuration."""
    only(request, ())
    return await _answered(request, caller, uuid_or_404("configuration_id", configuration_id))


@at(router, "PATCH", _PATH + "/{configuration_id}", _CONFIGURATION, body=_CHANGED)
async def arthur_update_configuration(
    request: Request, configuration_id: str, caller: Viewer
) -> Response:
    """Let a configuration hold, or not."""
    only(request, ())
    body = await json_body(request)
    wanted = uuid_or_404("configuration_id", configuration_id)
    await services_of(request).write(
        caller.username,
        lambda writing: update_configuration(writing, wanted, _owner(caller), body),
    )
    return await _answered(request, caller, wanted)


@at(router, "DELETE", _PATH + "/{configuration_id}", None, status=204)
async def arthur_delete_configuration(
    request: Request, configuration_id: str, caller: Viewer
) -> Response:
    """Take a configuration away."""
    only(request, ())
    wanted = uuid_or_404("configuration_id", configuration_id)
    await services_of(request).write(
        caller.username, lambda writing: delete_configuration(writing, wanted, _owner(caller))
    )
    return Response(status_code=204)


# ---- who may ---------------------------------------------------------------------------------


def _owner(caller: Caller) -> str | None:
    """Give whose configurations there are for a caller; None: everybody's."""
    return None if caller.is_at_least("administrator") else caller.username


def _visible(caller: Caller) -> tuple[str, ...] | None:
    return None if caller.models is None else tuple(sorted(caller.models))


def _owner_wanted(services: Services, caller: Caller, wanted: object) -> str:
    """Give the username of whom a new configuration is for.

    Raises
    ------
    ForbiddenError
        It is for somebody else, and the caller is no administrator.
    """
    if wanted is None or wanted == str(caller.id):
        return caller.username
    if not caller.is_at_least("administrator"):
        msg = "`user_id` must be your own, unless you are an administrator"
        raise ForbiddenError(msg)
    return user_named(services.gate.configured.settings.users, str(wanted)) or ""


async def _check_model(services: Services, caller: Caller, model_id: object) -> None:
    if isinstance(model_id, str):
        settings = services.gate.configured.settings
        await services.read(lambda asking: model_or_404(asking, settings, caller, model_id))


# ---- answers ---------------------------------------------------------------------------------


async def _answered(
    request: Request, caller: Caller, configuration_id: str, status: int = 200
) -> Response:
    def read(asking: Asking) -> dict[str, Any] | None:
        owner, visible = _owner(caller), _visible(caller)
        return configuration_asked(asking.cursor, configuration_id, owner, visible)

    row = await services_of(request).read(read)
    if row is None:
        msg = f"`configuration_id` must be the id of a configuration, got {configuration_id}"
        raise NotFoundError(msg)
    return json_response(_told(row), status)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["configuration_id"],
        "user_id": str(user_id(row["username"])),
        "model_id": row["model_id"],
        "type": row["type"],
        "destination": row["destination"],
        "enabled": row["enabled"],
    }
