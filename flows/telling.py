"""What a run says of changes at run time: to its user at the start, and in the public relations."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import duckdb

from engine.config import NotificationSettings, Settings, UserSettings
from engine.notifications import configuration_id
from flows.definitions import definition_of
from flows.inforce import InForce
from flows.yamlnodes import quoted

__all__ = ["DECLARED_USERS", "notes_of", "remember_users", "tell"]

DECLARED_USERS = "declared_users"
"""Name of the setting with the users of the file, as JSON."""


# ---- at a start ------------------------------------------------------------------------------


def notes_of(found: InForce, left_out: Mapping[tuple[str, str], str]) -> list[str]:
    """Give a line on what differs from the file, and one for each edit that does not fit it."""
    counted = Counter(
        (kind, how)
        for kind, entry_id in found.edited
        if (how := _how(found.of_file[kind].get(entry_id), found.entries[kind].get(entry_id)))
    )
    lines = []
    if counted:
        parts = [f"{_number(n, kind)} {how}" for (kind, how), n in sorted(counted.items())]
        lines.append(
            f"note: over REST: {', '.join(parts)}; they hold over the file (relation `changes`)"
        )
    for (kind, entry_id), why in sorted(left_out.items()):
        what = f"the change of the {kind.replace('_', ' ')} {quoted(entry_id)}"
        reason = "; ".join(why.splitlines())
        lines.append(f"note: over REST: {what} does not fit the file and is left out: {reason}")
    return lines


def _how(declared: object, holds: object) -> str | None:
    if declared == holds:
        return None
    if declared is None:
        return "added"
    return "removed" if holds is None else "changed"


def _number(count: int, kind: str) -> str:
    words = "notification configuration" if kind == "notification" else kind.replace("_", " ")
    return f"{count:,} {words}{'' if count == 1 else 's'}"


# ---- in the store ----------------------------------------------------------------------------


def remember_users(cursor: duckdb.DuckDBPyConnection, file: Settings) -> None:
    """Write the users of the file: who changes users while nobody runs is to know them."""
    told = [definition_of("user", user, file) for user in file.users]
    cursor.execute(
        "INSERT OR REPLACE INTO settings VALUES ($name, $value)",
        {"name": DECLARED_USERS, "value": json.dumps(told, ensure_ascii=False)},
    )


def tell(cursor: duckdb.DuckDBPyConnection, kind: str, before: Any, after: Any) -> None:
    """Bring `users` and `notification_configurations` up to date with one edit."""
    if kind == "user":
        _tell_user(cursor, before, after)
    elif kind == "notification":
        _tell_notification(cursor, before, after)


def _tell_user(
    cursor: duckdb.DuckDBPyConnection, before: UserSettings | None, after: UserSettings | None
) -> None:
    if before is not None:
        cursor.execute("DELETE FROM users_known WHERE username = ?", [before.username])
    if after is not None:
        cursor.execute(
            "INSERT INTO users_known VALUES (?, ?, ?)", [after.username, after.email, after.role]
        )


def _tell_notification(
    cursor: duckdb.DuckDBPyConnection,
    before: NotificationSettings | None,
    after: NotificationSettings | None,
) -> None:
    if before is not None:
        cursor.execute(
            "DELETE FROM configurations_known WHERE configuration_id = ?",
            [configuration_id(before)],
        )
    if after is not None:
        cursor.execute(
            "INSERT INTO configurations_known VALUES (?, ?, ?, ?, ?, ?)",
            [
                *(configuration_id(after), after.user, after.model),
                *(after.type, after.destination, after.enabled),
            ],
        )
