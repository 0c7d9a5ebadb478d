"""What the SQL client and the owner say to each other over the Unix socket: frames.

A frame is its length as four bytes, big end first, and that many bytes. One connection carries one
question::

    client   frame: JSON {"sql": …, "limit_seconds": …}
    owner    frame: JSON {} or {"error": …}            an error ends the answer
             frames: an Arrow IPC stream, cut anywhere
             empty frame
             frame: JSON {"rows": …} or {"error": …}   what happened on the way

or one call of a function (`connectors.calls`)::

    client   frame: JSON {"call": …, "arguments": {…}, "limit_seconds": …}
    owner    frame: JSON {} or {"error": …, "kind": …}  an error ends the answer
             frames: JSON {"answer": …}, cut anywhere
             empty frame

`kind` says whose fault an error is: `query` the asker's, `not_found`, too, who named what there is
not, `fault` the owner's own.
"""

import io
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from engine.errors import NotFoundError, QueryError, StoreError

__all__ = [
    "REQUEST_BYTES_MAX",
    "TIME_LIMIT_MAX_S",
    "TIME_LIMIT_S",
    "FrameReader",
    "FrameWriter",
    "check_time_limit",
    "error_frame",
    "raise_if_error",
    "receive_json",
    "send_json",
]

REQUEST_BYTES_MAX = 1 << 20
TIME_LIMIT_S = 30.0
TIME_LIMIT_MAX_S = 3600.0

_FRAME_BYTES_MAX = 16 << 20
_LENGTH = struct.Struct(">I")


def check_time_limit(time_limit_s: float, name: str = "limit_seconds") -> float:
    """Give the limit back when it may be asked for.

    Raises
    ------
    QueryError
        It is not a number above 0 and up to `TIME_LIMIT_MAX_S`.
    """
    if not 0 < time_limit_s <= TIME_LIMIT_MAX_S:
        msg = f"`{name}` must be above 0 and at most {TIME_LIMIT_MAX_S:g}, got {time_limit_s:g}"
        raise QueryError(msg)
    return time_limit_s


def send_json(connection: socket.socket, value: dict[str, Any]) -> None:
    """Send one frame of JSON."""
    body = json.dumps(value).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def error_frame(error: BaseException) -> dict[str, str]:
    """Give the frame that tells why a call has no answer."""
    if isinstance(error, QueryError):
        kind = "not_found" if isinstance(error, NotFoundError) else "query"
        return {"error": str(error), "kind": kind}
    return {"error": f"{type(error).__name__}: {error}", "kind": "fault"}


def raise_if_error(message: dict[str, object]) -> None:
    """Raise what a frame of `error_frame`, or the end of an answer, tells."""
    if "error" not in message:
        return
    text, kind = str(message["error"]), message.get("kind")
    if kind == "fault":
        msg = f"the running owner failed: {text}"
        raise StoreError(msg)
    raise NotFoundError(text) if kind == "not_found" else QueryError(text)


def receive_json(
    connection: socket.socket,
    bytes_max: int = REQUEST_BYTES_MAX,
    within_s: float | None = None,
) -> dict[str, Any]:
    """Receive one frame of JSON, all of it `within_s` seconds; None keeps the socket's time-out.

    Raises
    ------
    ValueError
        It is longer than `bytes_max`, or no JSON object.
    ConnectionError, TimeoutError
        The other side has gone, or says nothing.
    """
    deadline_s = None if within_s is None else time.monotonic() + within_s
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, deadline_s))
    if length > bytes_max:
        msg = f"the request must be at most {bytes_max} bytes, got {length}"
        raise ValueError(msg)
    value = json.loads(_receive(connection, length, deadline_s))
    if not isinstance(value, dict):
        msg = f"the request must be a JSON object, got {type(value).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - whoever calls us meets one kind of bad request
    return value


class FrameWriter(io.RawIOBase):
    """A file whose bytes leave as frames; `ready` is asked before each one, and may raise."""

    def __init__(self, connection: socket.socket, ready: Callable[[], None]) -> None:
        super().__init__()
        self._connection, self._ready = connection, ready

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Send the first bytes of `data` as one frame; say how many these were."""
        part = memoryview(data).cast("B")[:_FRAME_BYTES_MAX]
        if part.nbytes:
            self._ready()
            self._connection.sendall(_LENGTH.pack(part.nbytes))
            self._connection.sendall(part)
        return part.nbytes

    def end(self) -> None:
        """Send the empty frame."""
        self._ready()
        self._connection.sendall(_LENGTH.pack(0))


class FrameReader(io.RawIOBase):
    """A file of the bytes that arrive as frames, up to the empty one."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self._left = 0
        self._ended = False

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer's beginning; 0 at the end."""
        if not self._left and not self._ended:
            (self._left,) = _LENGTH.unpack(_receive(self._connection, _LENGTH.size))
            self._ended = not self._left
        if self._ended:
            return 0
        part = memoryview(buffer).cast("B")[: self._left]
        count = self._connection.recv_into(part)
        if not count and part.nbytes:
            msg = "the other side has closed the connection"
            raise ConnectionError(msg)
        self._left -= count
        return count


def _receive(connection: socket.socket, count: int, deadline_s: float | None = None) -> bytes:
    body = bytearray()
    while len(body) < count:
        if deadline_s is not None:
            connection.settimeout(max(deadline_s - time.monotonic(), 1e-3))
        part = connection.recv(min(count - len(body), 1 << 16))
        if not part:
            msg = "the other side has closed the connection"
            raise ConnectionError(msg)
        body += part
    return bytes(body)
