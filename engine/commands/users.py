"""Users that are made while a run goes on, or by command: of a key only its digest is kept."""

from dataclasses import dataclass
from typing import Any

from engine.changes import Configured, Edit, Writing
from engine.errors import ConflictError, NotFoundError

__all__ = ["NewUser", "add_user", "listed_users", "remove_user"]


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user and the SHA-256 of the user's API key; see `engine.config.UserSettings`."""

    username: str
    role: str
    api_key_sha256: str
    email: str | None = None
    models: tuple[str, ...] | None = None
    jobs: tuple[str, ...] | None = None


def add_user(writing: Writing, new: NewUser) -> bool:
    """Make a user, or give one that is there another key; tells whether the user is new.

    Who is there keeps the role, and all else; a key that was made earlier holds no more, but one
    that the file names the environment variable of does.

    Raises
    ------
    ConflictError
        The user is there, and is another one than told.
    QueryError
        A value breaks a rule.
    """
    before = writing.configured.definition("user", new.username)
    told: dict[str, Any] = {"username": new.username, "role": new.role}
    told |= {} if new.email is None else {"email": new.email}
    told |= {} if new.models is None else {"models": list(new.models)}
    told |= {} if new.jobs is None else {"jobs": list(new.jobs)}
    if before is not None:
        _check_same({"role": "viewer", **before}, told, new.username)
        told = before
    definition = told | {"api_key_sha256": new.api_key_sha256}
    writing.edit(Edit("user", new.username, definition))
    return before is None


def _check_same(before: dict[str, Any], told: dict[str, Any], username: str) -> None:
    for name, value in told.items():
        if before.get(name) != value:
            has = before.get(name)
            msg = (
                f"the user {username} is there already, and only the key can be made anew: `{name}`"
                f" must be {'left out' if has is None else _shown(has)}, got {_shown(value)}"
            )
            raise ConflictError(msg)


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def remove_user(writing: Writing, username: str) -> None:
    """Take a user away that was made here.

    Raises
    ------
    NotFoundError
        There is no such user.
    ConflictError
        The file declares the user, or a notification configuration is theirs.
    """
    configured = writing.configured
    if configured.definition("user", username) is None:
        msg = f"the user must be one that there is, got {username}"
        raise NotFoundError(msg)
    if configured.declared("user", username):
        msg = f"the user {username} must be taken out of the configuration file, which declares it"
        raise ConflictError(msg)
    writing.edit(Edit("user", username, None))


def listed_users(configured: Configured) -> list[dict[str, Any]]:
    """List the users in force; of their keys it says only where they are."""
    return [
        {
            "username": user.username,
            "email": user.email,
            "role": user.role,
            "models": None if user.models is None else list(user.models),
            "jobs": None if user.jobs is None else list(user.jobs),
            "key": _key(user.api_key_env, made=user.api_key_sha256 is not None),
            "declared": configured.declared("user", user.username),
        }
        for user in sorted(configured.settings.users, key=lambda each: each.username)
    ]


def _key(variable: str | None, *, made: bool) -> str:
    parts = ([] if variable is None else [f"environment: {variable}"]) + ["made"] * made
    return " and ".join(parts) or "none"
