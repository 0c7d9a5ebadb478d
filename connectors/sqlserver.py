"""The owner's side of `bellwether sql`: read-only SQL and calls on a Unix socket during a run.

Promise: each question sees one commit, whole, and never blocks or breaks the writer. At most
`CLIENTS` are answered at once, further ones wait. A client that says nothing for `SILENCE_S`, or
takes its answer slower than its time limit, is dropped. Only the user who runs the owner, and root,
are answered: the socket has mode 0600, lies in a folder of its own with mode 0700, and the kernel
is asked who calls. The folder is a fresh one for temporary files, as a data folder's path may be
longer than the 108 bytes that the address of a socket has.

What is said there stands in `connectors.sqlwire`, what is allowed in `connectors.sqlquery`, what
can be called in the table that the owner is given.
"""

import contextlib
import io
import os
import select
import shutil
import socket
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.calls import Calls, answered
from connectors.relations import Relations, stream
from connectors.sqlquery import Cursors, answering, check_database
from connectors.sqlwire import (
    TIME_LIMIT_S,
    FrameWriter,
    check_time_limit,
    error_frame,
    receive_json,
    send_json,
)
from engine.errors import QueryError

__all__ = ["CLIENTS", "SILENCE_S", "SqlServer", "remove_stale"]

CLIENTS = 8
SILENCE_S = 10.0

_ADDRESS_BYTES = 100  # of 108, with the last for a zero
_PREFIX = "bellwether-sql-"
_NAME = "sql.sock"
_LOOK_S = 0.2
_BUFFER_BYTES = 1 << 20


class SqlServer:
    """Answers on a socket, in threads of its own, from `start` to `close`.

    Parameters
    ----------
    connection : Cursors
        The owner's connection, opened with `connectors.sqlquery.DATABASE_CONFIG`. It must stay open
        until `close` has returned.
    time_limit_s : float
        For questions that name no limit of their own.
    silence_s : float
        How long a client may say nothing before its question is there.
    calls : Calls
        What can be called, by name.

    Raises
    ------
    ValueError
        The database was opened without `DATABASE_CONFIG`.
    """

    def __init__(
        self,
        connection: Cursors,
        time_limit_s: float = TIME_LIMIT_S,
        silence_s: float = SILENCE_S,
        calls: Calls | None = None,
    ) -> None:
        check_database(connection)
        self._calls: Calls = {} if calls is None else calls
        self._connection, self._time_limit_s, self._silence_s = connection, time_limit_s, silence_s
        self._closing = threading.Event()
        self._free = threading.BoundedSemaphore(CLIENTS)
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._folder = _new_folder()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        Path(self.path).chmod(stat.S_IRUSR | stat.S_IWUSR)
        self._accepting = threading.Thread(target=self._accept, name="sql-accept", daemon=True)

    @property
    def path(self) -> str:
        """Where the socket is: what the lock of the data folder must name."""
        return str(self._folder / _NAME)

    def start(self) -> None:
        """Begin to answer."""
        self._socket.listen(64)
        self._socket.settimeout(_LOOK_S)
        self._accepting.start()

    def close(self) -> None:
        """Stop what is running, within a fraction of a second, and remove the socket."""
        self._closing.set()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as waking:
            waking.settimeout(0.0)
            waking.connect(self.path)  # wakes the thread that waits in accept
        if self._accepting.is_alive():
            self._accepting.join()
        self._socket.close()
        for client, connection in list(self._clients.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            client.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while not self._closing.is_set():
            if not self._free.acquire(timeout=_LOOK_S):
                continue
            try:
                connection, _ = self._socket.accept()
            except OSError:  # nobody came within the time, or hung up at once
                self._free.release()
                continue
            client = threading.Thread(
                target=self._serve, args=(connection,), name="sql-client", daemon=True
            )
            self._clients[client] = connection
            client.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # What a client does to its connection is its own affair; no answer reaches it anyway.
            with connection, contextlib.suppress(OSError):
                self._answer(connection)
        finally:
            self._clients.pop(threading.current_thread(), None)
            self._free.release()

    def _answer(self, connection: socket.socket) -> None:
        try:
            _check_caller(connection)
            request = receive_json(connection, within_s=self._silence_s)
            limit_s = self._limit(request)
            question = _question(request)
        except (QueryError, ValueError, RecursionError) as error:
            send_json(connection, {"error": _line(error), "kind": "query"})
            return
        deadline_s = time.monotonic() + limit_s

        def ready() -> None:
            # One look beyond the deadline, so that the reason can still be told.
            connection.settimeout(max(deadline_s - time.monotonic(), 0) + _LOOK_S)

        if isinstance(question, Relations):
            question.send(
                self._connection,
                limit_s,
                self._gone(connection),
                connection=connection,
                ready=ready,
                closing=self._closing.is_set,
            )
        elif isinstance(question, str):
            self._answer_sql(connection, question, limit_s, ready)
        else:
            self._answer_call(connection, *question, limit_s, ready)

    def _answer_sql(
        self, connection: socket.socket, sql: str, limit_s: float, ready: Callable[[], None]
    ) -> None:
        rows, started = 0, False
        try:
            with answering(self._connection, sql, limit_s, self._gone(connection)) as answer:
                ready()
                send_json(connection, {})
                started = True
                rows = stream(answer, FrameWriter(connection, ready))
            outcome: dict[str, Any] = {"rows": rows}
        except QueryError as error:
            outcome = {"error": str(error)}
        if self._closing.is_set():
            return  # the client, unanswered, asks again, and soon finds the file free
        if started:
            FrameWriter(connection, ready).end()
        ready()
        send_json(connection, outcome)

    def _answer_call(
        self,
        connection: socket.socket,
        name: str,
        arguments: dict[str, Any],
        limit_s: float,
        ready: Callable[[], None],
    ) -> None:
        try:
            gone = self._gone(connection)
            answer = answered(self._connection, self._calls, name, arguments, limit_s, gone=gone)
        except Exception as error:
            if not self._closing.is_set():  # else, as above
                ready()
                send_json(connection, error_frame(error))
            if not isinstance(error, QueryError):
                raise  # a fault of ours: the owner's terminal shows where
            return
        if self._closing.is_set():
            return
        ready()
        send_json(connection, {})
        raw = FrameWriter(connection, ready)
        with io.BufferedWriter(raw, _BUFFER_BYTES) as frames:
            for part in (b'{"answer":', answer, b"}"):
                frames.write(part)
        FrameWriter(connection, ready).end()

    def _gone(self, connection: socket.socket) -> Callable[[], bool]:
        poll = select.poll()
        poll.register(connection, select.POLLHUP | select.POLLERR)
        return lambda: self._closing.is_set() or bool(poll.poll(0))

    def _limit(self, request: dict[str, Any]) -> float:
        limit_s = request.get("limit_seconds", self._time_limit_s)
        if isinstance(limit_s, bool) or not isinstance(limit_s, int | float):
            msg = f"`limit_seconds` must be a number, got {type(limit_s).__name__}"
            raise QueryError(msg)
        return check_time_limit(limit_s)


def _question(request: dict[str, Any]) -> "str | Relations | tuple[str, dict[str, Any]]":
    if "relations" in request:
        return Relations.of(request["relations"])
    return _call_of(request) if "call" in request else _sql_of(request)


def _sql_of(request: dict[str, Any]) -> str:
    sql = request.get("sql")
    if not isinstance(sql, str):
        msg = f"`sql` must be text, got {type(sql).__name__}"
        raise QueryError(msg)
    return sql


def _call_of(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name, arguments = request["call"], request.get("arguments", {})
    if not isinstance(name, str):
        msg = f"`call` must be text, got {type(name).__name__}"
        raise QueryError(msg)
    if not isinstance(arguments, dict):
        msg = f"`arguments` must be an object, got {type(arguments).__name__}"
        raise QueryError(msg)
    return name, arguments


def remove_stale(path: str) -> None:
    """Remove the socket that a killed owner left behind, when `path` is one of ours."""
    folder = Path(path).parent
    if folder.name.startswith(_PREFIX) and Path(path).name == _NAME and not folder.is_symlink():
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if len(os.fsencode(folder / _NAME)) <= _ADDRESS_BYTES:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))


def _check_caller(connection: socket.socket) -> None:
    if not hasattr(socket, "SO_PEERCRED"):
        return  # not Linux: the modes of folder and socket stand guard alone
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    if user not in {0, os.geteuid()}:
        msg = f"the owner answers its own user only, got user {user}"
        raise QueryError(msg)


def _line(error: BaseException) -> str:
    if isinstance(error, QueryError):
        return str(error)
    return f"the request must be one frame of JSON: {error}"
