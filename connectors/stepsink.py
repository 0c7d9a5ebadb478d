"""Whole lines on their way out of a Python program, and what a file of events holds already.

Lines are appended by one write each time, so several logs may share a file. Delivery: `flush` and
`close` return when the operating system has the lines; others wait for a timer, or for 64 KiB.
After a failed write the rest stays, and is written before all else. Limits: to a pipe a write of
more than 4 KiB may be mixed with those of others.
"""

import os
import stat
import threading
from pathlib import Path
from typing import Protocol

import orjson

__all__ = ["AppendedFile", "Out", "Sink", "steps_in"]

_FULL_BYTES = 64 << 10


class Out(Protocol):
    """What takes bytes; gives how many it took, or None for all of them."""

    def write(self, data: bytes, /) -> int | None:
        """Take some of the bytes."""
        ...


class Sink:
    """Whole lines on their way out, under one lock; a timer writes those that have waited.

    Parameters
    ----------
    out : Out
        An `AppendedFile` is closed at the end, anything else is not.
    flush_after_s : float
        Seconds that a line may wait, 0 for none.
    """

    def __init__(self, out: Out, flush_after_s: float) -> None:
        self._out, self._flush_after_s = out, flush_after_s
        self._before = b"\n" if isinstance(out, AppendedFile) and out.is_torn else b""
        self._waiting = bytearray()
        self._timer: threading.Timer | None = None
        self._error: OSError | None = None
        self._closed = False
        self._lock = threading.Lock()

    def add(self, line: bytes) -> None:
        """Take a whole line; raises what an earlier write failed with (OSError)."""
        with self._lock:
            if self._closed:
                msg = "the log is closed"
                raise ValueError(msg)
            self._raise()
            self._waiting += self._before + line
            self._before = b""
            if len(self._waiting) >= _FULL_BYTES or self._flush_after_s == 0:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(self._flush_after_s, self._on_time)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._error = None  # it is tried again at once
            self._write()

    def close(self) -> None:
        """Write what waits and close the file; a second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            try:
                self._write()
            finally:
                if isinstance(self._out, AppendedFile):
                    self._out.close()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            if self._closed:
                return
            try:
                self._write()
            except OSError as error:
                self._error = error  # for the next call

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self) -> None:
        while self._waiting:
            written = self._out.write(bytes(self._waiting))
            if written == 0:
                msg = "the stream takes no more"
                raise BlockingIOError(msg)
            # Streams that say nothing have taken everything.
            del self._waiting[: len(self._waiting) if written is None else written]
        flush = getattr(self._out, "flush", None)
        if flush is not None:
            flush()


class AppendedFile:
    """A file, or named pipe, opened for appending.

    Attributes
    ----------
    is_torn : bool
        Whether it ends within a line: what a crash left.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.is_torn = _is_torn(self._file, path)

    def write(self, data: bytes) -> int:
        """Append some of the bytes; gives how many."""
        return os.write(self._file, data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _is_torn(file: int, path: str | os.PathLike[str]) -> bool:
    """Tell whether a regular file ends within a line."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return False
    with Path(path).open("rb") as found:
        found.seek(-1, os.SEEK_END)
        return found.read(1) != b"\n"


def steps_in(path: Path, job_id: str) -> dict[str, int]:
    """Give the highest step of each metric of a job in a file of events."""
    found: dict[str, int] = {}
    if not path.is_file():
        return found
    with path.open("rb") as lines:
        for line in lines:
            if b"metric" not in line:
                continue
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if not isinstance(event, dict) or event.get("type") != "metric":
                continue
            name, step = event.get("name"), event.get("step") or 0
            if str(event.get("job_id")) != job_id or not isinstance(name, str):
                continue
            if type(step) is int and 0 <= step < 2**63:
                found[name] = max(step, found.get(name, -1))
    return found
