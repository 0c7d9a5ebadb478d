"""The `users` and `notifications` sections of the configuration."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from engine.config import NotificationSettings, SmtpSettings, UserSettings
from engine.errors import ConfigurationError
from flows.yamlnodes import Faults, Node, quoted
from flows.yamlreaders import (
    Reader,
    all_required,
    choice,
    duration_us,
    each,
    flag,
    has_key,
    line_text,
    listed,
    mapping,
    nearest,
    path,
    required,
    several,
    text,
    value_at,
    whole,
)

__all__ = ["Notifications", "configurations", "digests_of", "notifications", "users", "variable"]

Notifications = tuple[SmtpSettings | None, tuple[NotificationSettings, ...]]

_SECOND_US = 10**6
_DAY_S = 86_400
_ADDRESS_MAX, _LOCAL_MAX = 254, 64  # RFC 5321, 4.5.3.1, and its erratum 1690
_ADDRESS = re.compile(
    r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9._:-]+|\[[0-9A-Fa-f:.]+\]")


def _address(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    found = _ADDRESS.fullmatch(written)
    if found and len(written) <= _ADDRESS_MAX and len(found[1]) <= _LOCAL_MAX:
        return written
    faults.must(node, key, "an e-mail address such as ana@example.org")
    return written or None  # so that what must equal it is not at fault, too


def variable(faults: Faults, node: Node, key: str) -> str | None:
    """Read the name of an environment variable; what else stands there may be the secret itself."""
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if len(written) <= 256 and _VARIABLE.fullmatch(written):
        return written
    rule = "the name of an environment variable, of A to Z, 0 to 9 and _, never the secret itself"
    faults.say(node, f"{key} must be {rule}, got something else, not shown here")
    return None


def _digest(faults: Faults, node: Node, key: str) -> str | None:
    """Read the SHA-256 of a key; what else stands there may be the key itself."""
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if _SHA256.fullmatch(written):
        return written.lower()
    rule = "the SHA-256 of a key, 64 hexadecimal digits, never the key itself"
    faults.say(node, f"{key} must be {rule}, got something else, not shown here")
    return None


def _host(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if len(written) <= 253 and _HOST.fullmatch(written):
        return written
    faults.must(node, key, "the name or address of a host, such as mail.example.org")
    return None


# ---- users -----------------------------------------------------------------------------------


def _user(faults: Faults, node: Node, key: str) -> UserSettings | None:
    fields: dict[str, Reader] = {
        "username": text,
        "role": choice("viewer", "editor", "administrator"),
        "email": _address,
        "api_key_env": variable,
        "api_key_sha256": _digest,
        "models": several(text, "a list of ids of models"),
        "jobs": several(text, "a list of ids of jobs"),
    }
    found = mapping(faults, node, key, fields)
    return UserSettings(**found) if required(faults, node, key, "username", found) else None


_users = listed(_user, lambda user: str(user.username), "username")


def users(faults: Faults, node: Node, key: str) -> tuple[UserSettings, ...]:
    """Read the section `users`; each of them is there once, and so is each key."""
    found: tuple[UserSettings, ...] = _users(faults, node, key)
    for name in ("api_key_env", "api_key_sha256"):
        taken: dict[str, str] = {}
        for user in found:
            told = getattr(user, name)
            if told in taken:
                both = f"{quoted(taken[told])} and {quoted(user.username)}"
                faults.say(node, f"{key} must have different values of `{name}`, got one of {both}")
            elif told is not None:
                taken[told] = user.username
    return found


def digests_of(users: Iterable[UserSettings]) -> dict[str, str]:
    """Read the API keys that the environment has; gives their SHA-256 by the user's name.

    Raises
    ------
    ConfigurationError
        A variable is not set, or its key is too short. No text has the key.
    """
    from connectors.rest.auth import KEY_CHARACTERS_MIN, digest_of  # noqa: PLC0415 - loads FastAPI

    found, faults = {}, []
    for user in users:
        if user.api_key_env is None:
            continue
        key = os.environ.get(user.api_key_env, "")
        if len(key) < KEY_CHARACTERS_MIN:
            got = "a shorter one" if key else "none"
            faults.append(
                f"the API key of the user {quoted(user.username)} must be at least"
                f" {KEY_CHARACTERS_MIN} characters in the environment variable"
                f" {user.api_key_env}, got {got}"
            )
        found[user.username] = digest_of(key)
    if faults:
        raise ConfigurationError("\n".join(faults))
    return found


# ---- notifications ---------------------------------------------------------------------------


def notifications(
    faults: Faults, node: Node, key: str, users: Mapping[str, UserSettings]
) -> Notifications:
    """Read the section `notifications`, given the declared users by name."""

    def read_all(faults: Faults, node: Node, key: str) -> tuple[NotificationSettings, ...]:
        return configurations(faults, node, key, users)

    found = mapping(faults, node, key, {"smtp": _smtp, "configurations": read_all})
    told = found.get("configurations", ())
    if told and not has_key(node, "smtp"):
        rule = "given where there are configurations, got nothing"
        faults.say(value_at(node, "configurations"), f"{key}.smtp must be {rule}")
    return found.get("smtp"), told


def configurations(
    faults: Faults, node: Node, key: str, users: Mapping[str, UserSettings]
) -> tuple[NotificationSettings, ...]:
    """Read a list of configurations, given the declared users by name."""

    def read(faults: Faults, node: Node, key: str) -> NotificationSettings | None:
        return _configuration(faults, node, key, users)

    found: dict[tuple[str, str], NotificationSettings] = {}
    for place, entry, one in each(faults, node, key, read):
        if (one.user, one.model) in found:
            what = f"{quoted(one.user)} and {quoted(one.model)} again"
            faults.say(entry, f"{place} must be there once for a user and a model, got {what}")
        found[one.user, one.model] = one
    return tuple(found.values())


def _configuration(
    faults: Faults, node: Node, key: str, users: Mapping[str, UserSettings]
) -> NotificationSettings | None:
    fields: dict[str, Reader] = {
        "user": text,
        "model": text,
        "type": choice("email"),
        "destination": text,
        "enabled": flag,
    }
    found = mapping(faults, node, key, fields)
    needed = ("user", "model", "type", "destination")
    given = all_required(faults, node, key, needed, found)
    if "user" in found:
        _check_user(faults, node, key, found, users)
    return NotificationSettings(**found) if given else None


def _check_user(
    faults: Faults,
    node: Node,
    key: str,
    found: Mapping[str, Any],
    users: Mapping[str, UserSettings],
) -> None:
    name = found["user"]
    if name not in users:
        where = value_at(node, "user")
        faults.say(
            where, f"{key}.user must be one of `users`, got {quoted(name)}{nearest(name, users)}"
        )
    elif "destination" in found and found["destination"] != users[name].email:
        email = users[name].email
        own = f"the address of {quoted(name)}, {email or 'who has none'}"
        faults.must(value_at(node, "destination"), f"{key}.destination", own)


# ---- the mail server -------------------------------------------------------------------------


def _seconds(low_us: int, rule: str) -> Reader:
    read_us = duration_us(low_us, _DAY_S * _SECOND_US, rule)

    def read(faults: Faults, node: Node, key: str) -> float | None:
        us: int | None = read_us(faults, node, key)
        return None if us is None else us / _SECOND_US

    return read


_SPAN = 'a duration such as "500ms", "5s" or "1m", up to 1 d'
_SMTP: dict[str, Reader] = {
    "host": _host,
    "port": whole(1, 65_535),
    "from": _address,
    "security": choice("none", "starttls", "tls"),
    "username": line_text,
    "password_env": variable,
    "timeout": _seconds(1, f"{_SPAN}, above 0"),
    "retry": _seconds(1, f"{_SPAN}, above 0"),
    "join": _seconds(0, _SPAN),
    "ca_file": path,
}
_FIELDS = {"from": "sender", "timeout": "timeout_s", "retry": "retry_s", "join": "join_s"}


def _smtp(faults: Faults, node: Node, key: str) -> SmtpSettings | None:
    found = mapping(faults, node, key, _SMTP)
    given = all_required(faults, node, key, ("host", "port", "from"), found)
    for one, other in (("username", "password_env"), ("password_env", "username")):
        if has_key(node, one) and not has_key(node, other):
            faults.say(
                value_at(node, one),
                f"{key}.{one} must be given together with `{other}`, got nothing there",
            )
    if "ca_file" in found and found.get("security", "none") == "none":
        rule = "left out where `security` is none"
        faults.must(value_at(node, "ca_file"), f"{key}.ca_file", rule)
    if not given:
        return None
    return SmtpSettings(**{_FIELDS.get(name, name): value for name, value in found.items()})
