"""What the commands `bellwether user …` do: add, remove, list.

A run that owns the data folder is asked through its socket, so that a change holds at once; a
folder that nobody owns is changed itself, and the next run finds the change. A key is made here and
said once: what is sent and stored is its digest.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from connectors.sqlclient import DATABASE_NAME, LOCK_NAME, call_owner
from connectors.store import Store
from engine.asking import first
from engine.change_log import Stamp, latest_edits
from engine.commands.users import add_user, listed_users, remove_user
from engine.config import NotificationSettings, Settings, UserSettings
from engine.errors import StoreError
from flows.anomalyjobs import utf8
from flows.changing import Work
from flows.entries import Known, read_entry
from flows.inforce import in_force
from flows.render import write
from flows.telling import DECLARED_USERS
from flows.usercalls import BY, new_user_of

__all__ = ["COMMANDS"]

_KEY_PREFIX = "bw_"
_KEY_BYTES = 32
_TRIES = 3  # somebody may start a run between a look at the lock and the opening of the folder
_CHANGE_S = 30.0

_CONFIGURATIONS = "SELECT username, model_id, destination, type, enabled FROM configurations_known"
_WATERMARK = "SELECT epoch_us(watermark) FROM clock"

Act = Callable[[Work], Any]


# ---- the commands ----------------------------------------------------------------------------


def _add(told: argparse.Namespace) -> int:
    from connectors.rest.auth import digest_of  # noqa: PLC0415 - loads FastAPI

    key = _KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    arguments: dict[str, Any] = {
        "username": utf8("NAME", told.name),
        "role": told.role,
        "email": None if told.email is None else utf8("--email", told.email),
        "models": None if told.models is None else [utf8("--model", m) for m in told.models],
        "jobs": None if told.jobs is None else [utf8("--job", j) for j in told.jobs],
        "api_key_sha256": digest_of(key),
    }
    new = new_user_of(arguments)
    found = _changed(
        told.data, "user_add", arguments, lambda work: {"is_new": add_user(work, new)}, fresh=True
    )
    what = "added" if found["is_new"] else "there already, with a new key"
    sys.stderr.write(
        f"{told.name}: {what}. The key is said this once; it goes into a header of each request:"
        " Authorization: Bearer KEY\n"
    )
    sys.stdout.write(key + "\n")
    return 0


def _remove(told: argparse.Namespace) -> int:
    username = utf8("NAME", told.name)
    _changed(
        told.data, "user_remove", {"username": username}, lambda work: remove_user(work, username)
    )
    sys.stderr.write(f"{username}: removed\n")
    return 0


def _list(told: argparse.Namespace) -> int:
    found = _changed(told.data, "user_list", {}, lambda work: listed_users(work.configured))
    if told.format == "json":
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return 0
    names = ("username", "email", "role", "models", "jobs", "key", "declared")
    rows = {name: [_cell(each[name]) for each in found] for name in names}
    kinds = {name: pa.bool_() if name == "declared" else pa.string() for name in names}
    table = pa.table({name: pa.array(column, kinds[name]) for name, column in rows.items()})
    write(table, told.format, sys.stdout.buffer)
    return 0


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "add": _add,
    "remove": _remove,
    "list": _list,
}


# ---- where they are done ---------------------------------------------------------------------


def _changed(
    data: str, name: str, arguments: dict[str, Any], act: Act, *, fresh: bool = False
) -> Any:
    """Have the owner do something, or do it where there is none; `fresh`: make the folder."""
    folder = Path(data)
    for attempt in range(_TRIES):
        is_there = any((folder / each).exists() for each in (DATABASE_NAME, LOCK_NAME))
        if is_there or not fresh:
            found = call_owner(data, name, arguments, _CHANGE_S)
            if found is not None:
                return found.answer
        try:
            return _done(folder, act)
        except StoreError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError(data)  # the last attempt has ended above


def _done(folder: Path, act: Act) -> Any:
    """Do something in a folder that nobody owns, in one transaction."""
    with Store(folder) as store:
        store.begin()
        try:
            found = act(_work(store))
        except BaseException:
            store.rollback()
            raise
        store.commit()
        return found


def _work(store: Store) -> Work:
    """Give what there is to work with: the users of the last run's file, and the edits since."""
    declared = json.loads(store.setting(DECLARED_USERS) or "[]")
    users = tuple(_user(each) for each in declared)
    told = tuple(
        NotificationSettings(*row) for row in store.cursor.execute(_CONFIGURATIONS).fetchall()
    )
    edits = [edit for edit in latest_edits(store.cursor) if edit.kind == "user"]
    configured, _ = in_force(Settings(users=users, notifications=told), edits)
    row = first(store.cursor, _WATERMARK)
    return Work(
        store.cursor, configured, Stamp(BY, time.time_ns() // 1000, None if row is None else row[0])
    )


def _user(definition: dict[str, Any]) -> UserSettings:
    found: UserSettings = read_entry("user", definition, Known(Settings()))
    return found
