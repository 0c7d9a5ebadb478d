"""The calls by which `bellwether user` reaches a run, which hears its own user of the machine."""

from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.calls import Asking, Calls
from engine.changes import Writing
from engine.commands.users import NewUser, add_user, listed_users, remove_user
from engine.errors import BusyError, QueryError

if TYPE_CHECKING:  # loads what a web server is made of
    from connectors.rest.services import Gate

__all__ = ["BY", "new_user_of", "user_calls"]

BY = "command line"
"""Who makes the edits of these calls."""

_LOOK_S = 0.05
T = TypeVar("T")


def user_calls(gate: "Gate") -> Calls:
    """Give the calls `user_add`, `user_remove` and `user_list`.

    Each change is durable when it is answered. Somebody who hangs up earlier has it taken back
    where the writer has not begun with it.

    Parameters
    ----------
    gate : Gate
        The way to the writer.
    """

    def add(asking: Asking, arguments: Mapping[str, Any]) -> Any:
        new = new_user_of(arguments)
        return {"is_new": _written(gate, asking, lambda writing: add_user(writing, new))}

    def remove(asking: Asking, arguments: Mapping[str, Any]) -> Any:
        username = _text(arguments, "username")
        _written(gate, asking, lambda writing: remove_user(writing, username))
        return {}

    def every(_: Asking, __: Mapping[str, Any]) -> Any:
        return listed_users(gate.configured)

    return {"user_add": add, "user_remove": remove, "user_list": every}


def _written(gate: "Gate", asking: Asking, work: Callable[[Writing], T]) -> T:
    future = gate.submit(BY, work)
    while not future.done():
        wait([future], _LOOK_S)
        if asking.stopped():
            future.cancel()
    if future.cancelled():
        msg = "the run must get to the change within the time, got too much else to do"
        raise BusyError(msg)
    return future.result()


def new_user_of(arguments: Mapping[str, Any]) -> NewUser:
    """Read the arguments of `user_add`; their values are checked with all that is in force.

    Raises
    ------
    QueryError
        One is missing, or of another kind.
    """
    return NewUser(
        _text(arguments, "username"),
        _text(arguments, "role"),
        _text(arguments, "api_key_sha256"),
        None if arguments.get("email") is None else _text(arguments, "email"),
        _names(arguments, "models"),
        _names(arguments, "jobs"),
    )


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        msg = f"`{name}` must be text, got {type(value).__name__}"
        raise QueryError(msg)
    return value


def _names(arguments: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        msg = f"`{name}` must be a list of text, got {type(value).__name__}"
        raise QueryError(msg)
    return tuple(value)
