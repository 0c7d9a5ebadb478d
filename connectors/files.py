"""Files as partitions: patterns, plain or compressed, each read once from front to end.

Delivery: a file resumes at any byte position of its content; compressed ones are unpacked up to
there and the rest is read. The cuts into blocks depend on content, start and limit alone. Limits:
regular files only; a file is one partition, named by its absolute real path.
"""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from connectors.archives import Reader, is_compressed, open_plain, open_reader, quoted
from connectors.lines import LineCutter
from connectors.marks import HEAD_BYTES, Mark, mark_at, marks_of, state_of
from connectors.partition import BLOCK_BYTES, Resume
from engine.batch import Block
from engine.errors import SourceError

__all__ = ["StoredFile", "matches", "open_files"]

# One poll of a compressed file unpacks no more than this before it gives way.
_SKIPPED_BYTES_A_POLL = 64 << 20
_READS_A_POLL = 8

# The first block is small, so that those behind it are decoded while it is taken in.
_FIRST_BYTES = 1 << 20


def matches(pattern: str) -> list[str]:
    """Paths that a pattern names, sorted; `**` goes through folders. Folders are left out.

    A path that exists is itself, whatever brackets it has; a folder named so is given, for the
    one who opens it to complain.
    """
    if os.path.lexists(pattern):
        return [pattern]
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
    return sorted(path for path in found if not Path(path).is_dir())


def open_files(source: str, patterns: Sequence[str], resume: Resume) -> list["StoredFile"]:
    """Open every file that the patterns name, in order of name; one named twice is read once.

    Parameters
    ----------
    source : str
        Name of the source.
    patterns : sequence of str
        Paths or globs, relative to the working folder.
    resume : callable
        Gives the committed position and state of (source, partition).

    Raises
    ------
    SourceError
        A pattern matches nothing, or a file cannot be read or is shorter than what was read of it.
    """
    names: set[str] = set()
    for pattern in patterns:
        paths = matches(pattern)
        if not paths:
            msg = f"`files` must match at least one file, got {quoted(pattern)}"
            raise SourceError(msg)
        names.update(os.path.realpath(path) for path in paths)
    return [StoredFile(source, name, *resume(source, name)) for name in sorted(names)]


class StoredFile:
    """One file, read to its end.

    Parameters
    ----------
    source, name : str
        Name of the source; absolute path.
    start : int
        Committed position.
    state : str or None
        Committed with it.

    Raises
    ------
    SourceError
        The file cannot be opened, or is shorter than what was read of it.
    """

    bounded = True

    def __init__(self, source: str, name: str, start: int = 0, state: str | None = None) -> None:
        self.source = source
        self.name = name
        self.state = state
        self.finished = False
        self.consumed = 0
        self._position = start
        self._marks = marks_of(state)
        self._resumed = mark_at(self._marks, start)
        self._base = self._resumed.base if self._resumed else 0
        self._head = b""
        self._reader: Reader | None = None
        self._arrived = False
        self._unpacked = 0  # bytes of the content read so far
        self._cutter = LineCutter()
        self._ended = False
        self._fault: SourceError | None = None
        self.size: int | None = self._look()

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """Give the next block; None also while a compressed file is being skipped.

        Raises
        ------
        SourceError
            The file is damaged, shorter than what was read of it, or not the one read before; every
            whole line before the damage was delivered.
        """
        if self.finished or not self._arrive():
            return None
        if self._position == 0:
            limit = min(limit, _FIRST_BYTES)
        taken = self._next(limit)
        block = None
        if taken is not None:
            block = Block(self.source, self.name, self._position, taken[0], now_us, taken[1])
            self._position = block.end
        elif self._fault is not None:
            raise self._fault
        if self._ended and not self._cutter.holds:
            self._finish()
        return block

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _look(self) -> int:
        """See that the file is there; one that was read to its end is not read again."""
        descriptor = open_plain(self.name)
        found = os.fstat(descriptor)
        head = os.pread(descriptor, HEAD_BYTES, 0)
        os.close(descriptor)
        if not is_compressed(self.name):
            if found.st_size < self._position - self._base:
                raise self._shorter(found.st_size)
            self._check_head(head)
            self._head = head
        mark = self._resumed
        if mark is not None and (mark.end, mark.stored) == (self._position, found.st_size):
            self.finished = True
            self.consumed = found.st_size
        return found.st_size

    def _arrive(self) -> bool:
        """Open the file at the position; False while that needs more polls."""
        offset = self._position - self._base
        if self._reader is None:
            self._reader = open_reader(self.name, offset)
            if not is_compressed(self.name):
                self._unpacked, self._arrived = offset, True
                self._note()
        stop = self._unpacked + _SKIPPED_BYTES_A_POLL
        need = max(offset, self._resumed.head_bytes if self._resumed and offset else 0)
        while not self._arrived and self._unpacked < stop:
            before = self._unpacked
            chunk = self._read(BLOCK_BYTES) if before < need else b""
            self._cutter.feed(chunk[max(0, offset - before) :])
            if not chunk:
                if self._unpacked < offset:
                    raise self._fault or self._shorter(self._unpacked)
                self._check_head(self._head)
                self._arrived = True
        return self._arrived

    def _check_head(self, head: bytes) -> None:
        """Refuse to go on in the middle of another file."""
        read = self._position - self._base
        if self._resumed is not None and read and not self._resumed.fits(head):
            msg = (
                f"`files` must still begin as when they were read, got {quoted(self.name)} with "
                f"other first bytes, of which {read} bytes were read before"
            )
            raise SourceError(msg)

    def _shorter(self, size: int) -> SourceError:
        msg = (
            f"`files` must be at least as long as what was read of them, got {quoted(self.name)} "
            f"with {size} bytes, of which {self._position - self._base} were read before"
        )
        return SourceError(msg)

    def _next(self, limit: int) -> tuple[bytes, int] | None:
        """Lines of the next block, as far as some reads suffice."""
        want = limit
        for _ in range(_READS_A_POLL):
            while self._cutter.waiting < want and not self._over:
                self._cutter.feed(self._read(want - self._cutter.waiting))
            taken = self._cutter.take(limit, ended=self._ended)
            if taken is not None or self._over:
                return taken
            want = self._cutter.waiting + limit  # a line longer than `limit`
        return None

    @property
    def _over(self) -> bool:
        return self._ended or self._fault is not None

    def _read(self, count: int) -> bytes:
        """Read from the file, minding its head; empty at its end or damage."""
        if self._reader is None:
            return b""
        try:
            chunk = self._reader.read(count)
        except SourceError as fault:
            self._fault = fault
            return b""
        self.consumed = self._reader.consumed
        before, self._unpacked = self._unpacked, self._unpacked + len(chunk)
        self._ended = not chunk
        if before < HEAD_BYTES:
            self._head = (self._head[:before] + chunk)[:HEAD_BYTES]
            self._note()
        return chunk

    def _note(self, end: int | None = None, stored: int | None = None) -> None:
        """Renew the mark, and with it the state."""
        if self._reader is not None:
            mark = Mark.of(self._reader.identity.st_ino, self._base, self._head)
            earlier = [earlier for earlier in self._marks if earlier.base < self._base]
            self.state = state_of([*earlier, replace(mark, end=end, stored=stored)])

    def _finish(self) -> None:
        self.finished = True
        self._note(self._position, self.consumed)
        self.close()
