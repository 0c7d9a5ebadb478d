"""Who is told of which model's alerts: made, changed and removed while the run goes on.

Users have those of their own; an administrator has all of them (AR-26).
"""

from collections.abc import Mapping
from typing import Any

from engine.changes import Edit, Writing
from engine.commands.given import known, text_of
from engine.config import NotificationSettings, UserSettings
from engine.errors import ConflictError, NotFoundError, QueryError
from engine.notifications import configuration_id

__all__ = ["create_configuration", "delete_configuration", "update_configuration"]

_FIELDS = ("user_id", "model_id", "type", "destination", "enabled")


def create_configuration(writing: Writing, username: str, body: Mapping[str, Any]) -> str:
    """Make a configuration; gives its id.

    Parameters
    ----------
    username : str
        Whose; whoever asks must have been allowed to.
    body : mapping
        As Arthur has it; without `destination` it is the user's own address.

    Raises
    ------
    QueryError
        A field breaks a rule.
    ConflictError
        The user has one for that model.
    """
    given = known(body, _FIELDS, ("model_id", "type"))
    model = text_of(given, "model_id")
    if given["type"] != "email":
        msg = f"`type` must be email, got {str(given['type'])[:100]}"
        raise QueryError(msg)
    user = _user(writing, username)
    if user.models is not None and model not in user.models:
        msg = f"`model_id` must be a model that the user sees, got {model}"
        raise QueryError(msg)
    address = text_of(given, "destination") if "destination" in given else (user.email or "")
    told = NotificationSettings(username, model, address)
    made = configuration_id(told)
    if writing.configured.definition("notification", made) is not None:
        msg = "a user must have one configuration for a model and a type, got a second one"
        raise ConflictError(msg)
    definition = {"user": username, "model": model, "type": told.type, "destination": address}
    if "enabled" in given:
        definition["enabled"] = given["enabled"]
    writing.edit(Edit("notification", made, definition))
    return made


def update_configuration(
    writing: Writing, wanted: str, owner: str | None, body: Mapping[str, Any]
) -> None:
    """Let a configuration hold, or not.

    Parameters
    ----------
    owner : str or None
        Those of this user are all that there are for the one who asks; None: all are.

    Raises
    ------
    NotFoundError
        There is no such one.
    QueryError
        Something other than `enabled` is to be changed.
    """
    definition = _definition(writing, wanted, owner)
    given = known(body, ("enabled",), ("enabled",))
    if not isinstance(given["enabled"], bool):
        msg = f"`enabled` must be true or false, got {str(given['enabled'])[:100]}"
        raise QueryError(msg)
    writing.edit(Edit("notification", wanted, {**definition, "enabled": given["enabled"]}))


def delete_configuration(writing: Writing, wanted: str, owner: str | None) -> None:
    """Take a configuration away.

    Raises
    ------
    NotFoundError
        There is no such one.
    """
    _definition(writing, wanted, owner)
    writing.edit(Edit("notification", wanted, None))


def _definition(writing: Writing, wanted: str, owner: str | None) -> dict[str, Any]:
    found = writing.configured.definition("notification", wanted)
    if found is None or (owner is not None and found.get("user") != owner):
        msg = f"`configuration_id` must be the id of a configuration, got {wanted}"
        raise NotFoundError(msg)
    return found


def _user(writing: Writing, username: str) -> UserSettings:
    users = writing.configured.settings.users
    found = next((user for user in users if user.username == username), None)
    if found is None:
        msg = "`user_id` must be the id of a user"
        raise QueryError(msg)
    return found
