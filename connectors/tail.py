"""Follows one plain file as it grows, over rotation and truncation, like ``tail -F``.

Delivery: every line once, also over restarts: what was renamed is finished through its open
descriptor (after a restart it is looked for by inode among its neighbours), then the new file of
that name is read. The position counts on: the content of the new file begins at `base`, and the
state says which file that was. A torn last line waits for its end; it is given as it is when its
file was replaced.

Limits: what a copytruncate drops before it was read is lost to everybody; a file rewritten between
two looks with the same first 1,024 bytes and at least the same size is not told apart. Of several
rotations during a stop, or within one second, the first and the last file are read. Idle files are
looked at every 0.1 s.
"""

import logging
import os

from connectors.archives import open_plain, quoted
from connectors.lines import LineCutter
from connectors.marks import HEAD_BYTES, Mark, mark_at, marks_of, state_of
from connectors.partition import BLOCK_BYTES
from engine.batch import Block
from engine.errors import SourceError

__all__ = ["FollowedFile"]

_logger = logging.getLogger(__name__)

_LOOK_EVERY_US_MAX = 100_000
# How a line that is longer than a block is read on.
_LONG_LINE_STEP_BYTES = 1 << 20
# A writer that was told to reopen its log may still finish a line in the old one.
_LINGER_US = 1_000_000
# Marks kept of earlier files: rotated copies that a glob also matches are known by them.
_MARKS_MAX = 32


class FollowedFile:
    """One path, whatever file lies there.

    Parameters
    ----------
    source, name : str
        Name of the source; absolute path.
    start : int
        Committed position.
    state : str or None
        Committed with it.
    """

    bounded = False
    finished = False

    def __init__(self, source: str, name: str, start: int = 0, state: str | None = None) -> None:
        self.source = source
        self.name = name
        self.state = state
        self.size: int | None = None
        self.consumed = 0  # also the offset in the file of the byte to be read next
        self._position = start
        self._marks = list(marks_of(state))
        self._resumed = mark_at(self._marks, start) or (Mark.of(0, 0, b"") if start else None)
        self._base = 0
        self._head = b""
        self._descriptor: int | None = None
        self._inode = 0
        self._cutter = LineCutter()
        self._moved = False  # another file has the name, and this one is quiet
        self._cut_off = False  # the file was truncated or rewritten
        self._quiet_us: int | None = None  # since when it is moved and does not grow
        self._grew_us = self._looked_us = self._look_us = 0

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """Whole lines that were added since; see `Partition.poll`.

        Raises
        ------
        SourceError
            The file cannot be read, or a folder has taken its place.
        """
        taken = self._cutter.take(limit, ended=self._replaced)
        if taken is None and self._due(now_us):
            taken = self._look(now_us, limit)
        if taken is None:
            return None
        block = Block(self.source, self.name, self._position, taken[0], now_us, taken[1])
        self._position = block.end
        return block

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def knows(self, inode: int, head: bytes) -> bool:
        """Whether a file is one that was read here, under whatever name it has now."""
        if self._descriptor is not None and inode == self._inode:
            return True
        marks = (mark for mark in self._marks if mark.inode == inode and mark.head_bytes)
        return any(mark.fits(head) for mark in marks)

    @property
    def _replaced(self) -> bool:
        """Nothing more will come of this content: what is torn stays torn."""
        return self._moved or self._cut_off

    def _due(self, now_us: int) -> bool:
        """Look less often at what has long been idle: a thousand idle files must cost little."""
        if self._looked_us <= now_us < self._look_us:
            return False
        idle_us = max(0, now_us - self._grew_us)
        self._looked_us = now_us
        self._look_us = now_us + min(_LOOK_EVERY_US_MAX, idle_us // 10)
        return True

    def _look(self, now_us: int, limit: int) -> tuple[bytes, int] | None:
        if self._replaced:
            self._begin_anew()
        if self._descriptor is None and not self._attach():
            return None
        room = limit - self._cutter.waiting
        if self._grow(room if room > 0 else _LONG_LINE_STEP_BYTES):
            self._grew_us = self._look_us = now_us  # there may be more
            self._quiet_us = None
        elif not self._cut_off and self._was_moved():
            self._quiet_us = now_us if self._quiet_us is None else self._quiet_us
            self._moved = not self._quiet_us <= now_us < self._quiet_us + _LINGER_US
        return self._cutter.take(limit, ended=self._replaced)

    # ---- growth -------------------------------------------------------------------------------

    def _grow(self, count: int) -> bool:
        """Read what was added, `count` bytes at most; notices when it was cut off instead."""
        descriptor = self._descriptor
        if descriptor is None:
            return False
        try:
            chunk = os.pread(descriptor, count, self.consumed)
            # Looked at after reading: what was read is only right if nothing was cut off by then.
            self.size = os.fstat(descriptor).st_size
            head = os.pread(descriptor, len(self._head), 0)
        except OSError as fault:
            msg = (
                f"`files` must be readable, got {quoted(self.name)}: {fault.strerror} "
                f"at byte {self.consumed}"
            )
            raise SourceError(msg) from fault
        if self.size < self.consumed + len(chunk) or head != self._head:
            self._cut_off = True
            return False
        if len(self._head) < HEAD_BYTES and chunk:
            self._head = (self._head + chunk)[:HEAD_BYTES]
            self._note()
        self.consumed += len(chunk)
        self._cutter.feed(chunk)
        return bool(chunk)

    def _was_moved(self) -> bool:
        """Whether another file, with something in it, has taken the name."""
        try:
            there = os.stat(self.name)  # noqa: PTH116  a name may hold any bytes
        except OSError:
            return False  # it vanished: wait for its return
        return there.st_ino != self._inode and there.st_size > 0

    def _begin_anew(self) -> None:
        """Leave a content that was replaced: for another file, or the same one cut off."""
        if self._moved:
            self.close()
        else:
            self._start(self._inode)
        self._moved = self._cut_off = False
        self._quiet_us = None

    # ---- which file ---------------------------------------------------------------------------

    def _attach(self) -> bool:
        """Open the file that the position belongs to, or the one that has the name now."""
        mark, self._resumed = self._resumed, None
        if mark is not None:
            for path in (*self._neighbours(mark.inode), self.name):
                if self._resume(path, mark):
                    return True
        descriptor = _open_if_there(self.name)
        if descriptor is None:
            self._resumed = mark
            return False
        if mark is not None and self._position > mark.base:
            _logger.warning(
                "%s was replaced while nobody read it: what followed its first %d bytes is lost",
                self.name,
                self._position - mark.base,
            )
        self._descriptor = descriptor
        self._start(os.fstat(descriptor).st_ino)
        return True

    def _resume(self, path: str, mark: Mark) -> bool:
        """Go on in the file at `path`, if it is the one that was marked."""
        descriptor = _open_if_there(path)
        if descriptor is None:
            return False
        found = os.fstat(descriptor)
        head = os.pread(descriptor, HEAD_BYTES, 0)
        offset = self._position - mark.base
        # A copy has another inode; a full head is proof enough.
        same = found.st_ino == mark.inode or mark.head_bytes in (0, HEAD_BYTES)
        if not (same and mark.fits(head) and found.st_size >= offset):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._inode, self._base, self._head = found.st_ino, mark.base, head[:offset]
        self.consumed = offset
        self._note()
        return True

    def _neighbours(self, inode: int) -> list[str]:
        """Paths in the same folder that are the file with this inode, renamed."""
        try:
            with os.scandir(os.path.dirname(self.name)) as entries:  # noqa: PTH120
                return [entry.path for entry in entries if entry.inode() == inode]
        except OSError:
            return []

    def _start(self, inode: int) -> None:
        """Take the content of a file from its front; the position counts on."""
        self._inode, self._base, self._head = inode, self._position, b""
        self.consumed = 0
        self._note()

    def _note(self) -> None:
        """Renew the mark of the file, and with it the state."""
        earlier = [mark for mark in self._marks if mark.base < self._base]
        mark = Mark.of(self._inode, self._base, self._head)
        self._marks = [*earlier, mark][-_MARKS_MAX:]
        self.state = state_of(self._marks)


def _open_if_there(path: str) -> int | None:
    """Open a plain file; None while it is missing, as it is for a moment in every rotation."""
    try:
        return open_plain(path)
    except SourceError as fault:
        if isinstance(fault.__cause__, FileNotFoundError):
            return None
        raise
