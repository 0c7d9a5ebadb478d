"""Standard input as a partition: a pipe, a file or a terminal, read by a thread of its own.

Delivery: what the process was given, once; it cannot be resumed. Positions go on from `start`, so
that they never collide with those of an earlier run. Limits: two blocks wait at most, then the
writer is held back by its full pipe.
"""

import contextlib
import fcntl
import os
import select
import threading

from connectors.lines import KEPT_BYTES, LineCutter
from connectors.partition import BLOCK_BYTES
from engine.batch import Block
from engine.errors import SourceError

__all__ = ["Stdin"]

# The largest pipe an ordinary Linux user may have: 16 times the default, for fewer switches.
_PIPE_BYTES = 1 << 20
_WAITING_BYTES_MAX = 2 * BLOCK_BYTES


class Stdin:
    """A file descriptor that is read until its end; live, since nobody knows when that is.

    Parameters
    ----------
    source : str
        Name of the source.
    start : int
        Position to count on from: the one that an earlier run committed.
    descriptor : int
        What to read; 0 is standard input.
    """

    name = "stdin"
    bounded = False
    size: int | None = None
    state: str | None = None

    def __init__(self, source: str, start: int = 0, descriptor: int = 0) -> None:
        self.source = source
        self.consumed = 0
        self._descriptor = descriptor
        self._position = start
        self._cutter = LineCutter()
        self._arrived: list[bytes] = []
        self._arrived_bytes = 0
        self._ended = False
        self._closed = False
        self._fault: OSError | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def finished(self) -> bool:
        """The end was reached and everything before it was delivered."""
        return self._ended and not self._arrived and not self._cutter.holds and not self._fault

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """All whole lines that wait, up to `limit`; at the end also a last one without newline.

        Raises
        ------
        SourceError
            Standard input is closed or cannot be read.
        """
        if self._thread is None:
            # A daemon: it may sit in a read of a silent terminal when the process wants to end.
            self._thread = threading.Thread(target=self._read_all, name="stdin", daemon=True)
            self._thread.start()
        ended = self._collect(limit)
        taken = self._cutter.take(limit, ended=ended and self._fault is None)
        if taken is None:
            if ended and self._fault is not None:
                msg = f"`stdin` must be open for reading, got {self._fault.strerror}"
                raise SourceError(msg) from self._fault
            return None
        block = Block(self.source, self.name, self._position, taken[0], now_us, taken[1])
        self._position = block.end
        return block

    def close(self) -> None:
        """Take no more; the thread ends with its next read."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _collect(self, limit: int) -> bool:
        """Move what has arrived to the cutter; whether nothing more will arrive."""
        with self._changed:
            if self._cutter.waiting < max(limit, KEPT_BYTES + 1) and self._arrived:
                for chunk in self._arrived:
                    self._cutter.feed(chunk)
                self.consumed += self._arrived_bytes
                self._arrived = []
                self._arrived_bytes = 0
                self._changed.notify()
            return self._ended and not self._arrived

    def _read_all(self) -> None:
        with contextlib.suppress(OSError):  # not a pipe, or over the user's limit: as it is
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            while chunk := self._read():
                if not self._hand_over(chunk):
                    return
        except OSError as fault:
            self._fault = fault
        with self._changed:
            self._ended = True

    def _read(self) -> bytes:
        while True:
            try:
                return os.read(self._descriptor, _PIPE_BYTES)
            except BlockingIOError:  # whoever gave it to us does not block: then wait
                select.select([self._descriptor], [], [])

    def _hand_over(self, chunk: bytes) -> bool:
        """Queue `chunk` as soon as there is room; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._arrived_bytes < _WAITING_BYTES_MAX - BLOCK_BYTES
            )
            self._arrived.append(chunk)
            self._arrived_bytes += len(chunk)
            return not self._closed
