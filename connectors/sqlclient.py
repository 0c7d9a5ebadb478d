"""Asking a data folder, in SQL or by calls: its running owner, or the file when none runs.

Both ways give the same rows and the same errors. The lock of the data folder decides: when it is
held, it names the owner's socket; when it is free, it is held here, shared, for as long as the file
is read, so that a starting owner finds out. A file that a killed owner left behind is read together
with its write-ahead log, which stays as it is.
"""

import contextlib
import fcntl
import io
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import pyarrow as pa

from connectors.damage import PUBLISHED_NAME, STORE_NAME, check_files, damaged, is_damage
from connectors.relationwire import Relation, received_relations
from connectors.sqlwire import (
    REQUEST_BYTES_MAX,
    TIME_LIMIT_MAX_S,
    TIME_LIMIT_S,
    FrameReader,
    check_time_limit,
    raise_if_error,
    receive_json,
    send_json,
)
from engine.errors import ConfigurationError, QueryError, StoreError

__all__ = ["DATABASE_NAME", "LOCK_NAME", "Told", "call", "call_owner", "query", "relations"]

if TYPE_CHECKING:
    import duckdb

_Answer = TypeVar("_Answer")

DATABASE_NAME = STORE_NAME
LOCK_NAME = "lock"

_PATIENCE_S = 5.0  # for an owner that holds the lock and has no socket yet, or is just ending
_PAUSE_S = 0.05
_LOCK_BYTES_MAX = 1 << 16
_MEMORY = "640MB"  # the owner's, for whole relations


@dataclass(frozen=True, slots=True)
class _Owner:
    pid: str
    host: str
    socket: str


@dataclass(frozen=True, slots=True)
class Told:
    """What an owner answered: what JSON knows."""

    answer: Any


class _UnansweredError(Exception):
    """The owner cannot be reached, or went away: look at the lock again."""


def query(data: str, sql: str, time_limit_s: float = TIME_LIMIT_S) -> pa.Table:
    """Ask one reading statement of the results in a data folder.

    Parameters
    ----------
    data : str
        The data folder.
    sql : str
        One statement, see `connectors.sqlquery`.
    time_limit_s : float
        Above 0, at most an hour.

    Raises
    ------
    ConfigurationError
        There is no such folder, or nothing has been stored in it.
    QueryError
        The statement is malformed or forbidden, fails, or takes too long.
    StoreError
        The file is damaged, or its owner does not answer.
    """
    return _asked(
        data,
        time_limit_s,
        {"sql": sql, "limit_seconds": time_limit_s},
        _table,
        lambda folder: _from_file(folder, sql, time_limit_s),
    )


def call(
    data: str, name: str, arguments: Mapping[str, Any], time_limit_s: float = TIME_LIMIT_S
) -> Any:
    """Call one function of the owner's table, or the same one on the file.

    Parameters
    ----------
    data : str
        The data folder.
    name : str
        See `connectors.calltable`.
    arguments : mapping
        What JSON knows.
    time_limit_s : float
        Above 0, at most an hour.

    Returns
    -------
    Any
        What JSON knows.

    Raises
    ------
    ConfigurationError
        There is no such folder, nothing has been stored in it, or only by an older version.
    NotFoundError
        The arguments name something that there is not.
    QueryError
        There is no such call, its arguments are off, or it takes too long.
    StoreError
        The file is damaged, or its owner does not answer, or fails.
    """
    request = {"call": name, "arguments": dict(arguments), "limit_seconds": time_limit_s}
    if len(json.dumps(request)) > REQUEST_BYTES_MAX:
        msg = f"`arguments` must be at most {REQUEST_BYTES_MAX} bytes with the rest, got more"
        raise QueryError(msg)
    return _asked(
        data,
        time_limit_s,
        request,
        _called,
        lambda folder: _called_on_file(folder, name, arguments, time_limit_s),
    )


def call_owner(
    data: str, name: str, arguments: Mapping[str, Any], time_limit_s: float = TIME_LIMIT_S
) -> Told | None:
    """Call one function of the owner; None: nobody owns the folder.

    See `call` for the parameters, and for what it raises.
    """
    request = {"call": name, "arguments": dict(arguments), "limit_seconds": time_limit_s}
    return _asked(
        data,
        time_limit_s,
        request,
        lambda connection: Told(_called(connection)),
        lambda _: None,
    )


def relations(
    data: str,
    names: Sequence[str],
    take: Callable[[Iterator[Relation]], _Answer],
    *,
    time_limit_s: float = TIME_LIMIT_MAX_S,
    published: bool = False,
) -> _Answer:
    """Hand whole relations, as they are at one commit, to `take`, and give what it gives.

    Parameters
    ----------
    data : str
    names : sequence of str
        Public relations, in the order in which they are wanted.
    take : callable
        Takes each relation to its end before the next; called again where the owner ends midway.
    time_limit_s : float
    published : bool
        Of the published copy, whether an owner runs or not.

    Raises
    ------
    ConfigurationError
        There is no such folder, nothing has been stored in it, or nothing was published.
    QueryError
        A relation cannot be read, or it takes too long.
    StoreError
        The file is damaged, or its owner does not answer.
    """
    from connectors.relations import read_relations  # noqa: PLC0415 - with DuckDB, as below

    def from_file(folder: Path, name: str = DATABASE_NAME) -> _Answer:
        with _opened(folder, 1, name, _MEMORY) as connection, _named(folder / name):
            return take(read_relations(connection, names, time_limit_s))

    if published:
        check_time_limit(time_limit_s)
        _check_folder(Path(data), data)
        return from_file(Path(data), PUBLISHED_NAME)
    request = {"relations": list(names), "limit_seconds": time_limit_s}
    return _asked(
        data, time_limit_s, request, lambda found: take(received_relations(found)), from_file
    )


def _asked(
    data: str,
    time_limit_s: float,
    request: dict[str, Any],
    answer: Callable[[socket.socket], _Answer],
    from_file: Callable[[Path], _Answer],
) -> _Answer:
    """Send a request to the owner and take the answer, or ask the file where there is none."""
    folder = Path(data)
    check_time_limit(time_limit_s)
    _check_folder(folder, data)
    give_up_s = time.monotonic() + _PATIENCE_S
    was_cut_off = False
    while True:
        with _lock_when_free(folder) as free:
            if free:
                return from_file(folder)
        owner = _owner(folder)
        asked_s = time.monotonic()
        try:
            return _from_owner(owner, request, time_limit_s, answer)
        except _UnansweredError as error:
            now_s = time.monotonic()
            if not was_cut_off and now_s - asked_s > 1:  # it ran, and its owner went: once more
                was_cut_off, give_up_s = True, now_s + _PATIENCE_S
            if now_s > give_up_s or (
                _is_elsewhere(owner) and now_s > give_up_s - _PATIENCE_S + 0.5
            ):
                raise StoreError(_no_answer(data, owner)) from error
        time.sleep(_PAUSE_S)


def _check_folder(folder: Path, data: str) -> None:
    if not folder.is_dir():
        msg = f"`--data` must be a data folder, got {data}, where there is none"
        raise ConfigurationError(msg)
    if not (folder / DATABASE_NAME).exists() and not (folder / LOCK_NAME).exists():
        msg = f"`--data` must be a data folder, got {data}, which holds no {DATABASE_NAME}"
        raise ConfigurationError(msg)


@contextlib.contextmanager
def _lock_when_free(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock, shared, and give True; give False when an owner has it."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:  # a folder that was copied without it: nobody owns it
        yield True
        return
    except OSError as error:
        msg = f"the lock of {folder} must be readable: {error.strerror}"
        raise StoreError(msg) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _owner(folder: Path) -> _Owner:
    """Read who holds the lock; empty fields while the owner has not yet written them."""
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            found = json.loads(file.read(_LOCK_BYTES_MAX))
    except (OSError, ValueError):
        found = {}
    fields = found if isinstance(found, dict) else {}
    return _Owner(*(str(fields.get(name) or "") for name in ("pid", "host", "socket")))


def _is_elsewhere(owner: _Owner) -> bool:
    return owner.host not in {"", socket.gethostname()}


def _no_answer(data: str, owner: _Owner) -> str:
    who = f"process {owner.pid}" if owner.pid else "another process"
    if _is_elsewhere(owner):
        return f"{data} is in use by {who} on {owner.host}: ask there"
    return f"{data} is in use by {who}, which does not answer questions"


def _from_owner(
    owner: _Owner,
    request: dict[str, Any],
    time_limit_s: float,
    answer: Callable[[socket.socket], _Answer],
) -> _Answer:
    if not owner.socket:
        raise _UnansweredError
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # The owner keeps the time limit; this is only for one that is stuck.
        connection.settimeout(time_limit_s + _PATIENCE_S)
        try:
            connection.connect(owner.socket)
            send_json(connection, request)
            return answer(connection)
        except TimeoutError as error:
            msg = f"the query must be done within {time_limit_s:g} s; its owner did not answer"
            raise QueryError(msg) from error
        except (
            OSError,
            ValueError,
            pa.ArrowException,
        ) as error:  # it ended in the middle of a word
            raise _UnansweredError from error


def _table(connection: socket.socket) -> pa.Table:
    raise_if_error(receive_json(connection))
    frames = io.BufferedReader(FrameReader(connection), 1 << 20)
    with pa.ipc.open_stream(frames) as stream:
        table = stream.read_all()
    while frames.read(1 << 20):
        pass  # up to the empty frame
    raise_if_error(receive_json(connection))
    return table


def _called(connection: socket.socket) -> Any:
    raise_if_error(receive_json(connection))
    with io.BufferedReader(FrameReader(connection), 1 << 20) as frames:
        return orjson.loads(frames.read())["answer"]


def _from_file(folder: Path, sql: str, time_limit_s: float) -> pa.Table:
    from connectors.sqlquery import answering  # noqa: PLC0415 - with DuckDB, as below

    # One thread, as the owner has: sums of floats then come out the same, to the last bit.
    with (
        _opened(folder, 1) as connection,
        _named(folder / DATABASE_NAME),
        answering(connection, sql, time_limit_s) as answer,
    ):
        return pa.Table.from_batches(list(answer.batches), answer.schema)


def _called_on_file(
    folder: Path, name: str, arguments: Mapping[str, Any], time_limit_s: float
) -> Any:
    from connectors.calls import answered  # noqa: PLC0415 - with DuckDB, as below
    from connectors.calltable import calls_on_file, check_schema  # noqa: PLC0415

    with (
        _opened(folder, len(os.sched_getaffinity(0))) as connection,
        _named(folder / DATABASE_NAME),
    ):
        check_schema(connection, folder)
        answer = answered(connection, calls_on_file(), name, arguments, time_limit_s)
    return orjson.loads(answer)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Tell damage that only a query comes upon as damage of the store."""
    try:
        yield
    except QueryError as error:
        cause = str(error.__cause__)
        if is_damage(cause):
            raise damaged(path, cause) from error
        raise


def _opened(
    folder: Path, threads: int, name: str = DATABASE_NAME, memory: str | None = None
) -> "duckdb.DuckDBPyConnection":
    import duckdb  # noqa: PLC0415 - takes 0.15 s, which asking an owner need not spend

    from connectors.sqlquery import DATABASE_CONFIG  # noqa: PLC0415 - as above

    path = folder / name
    if name == DATABASE_NAME:
        check_files(folder)
    if not path.exists():
        msg = f"`--data` must be a data folder, got {folder}, which holds no {name} yet"
        raise ConfigurationError(msg)
    try:
        config = {**DATABASE_CONFIG, "threads": threads}
        config |= {"memory_limit": memory} if memory else {}
        return duckdb.connect(str(path), read_only=True, config=config)
    except duckdb.Error as error:
        if is_damage(str(error)):
            raise damaged(path, str(error)) from error
        msg = f"{path} cannot be opened: {' '.join(str(error).split())}"
        raise StoreError(msg) from error
