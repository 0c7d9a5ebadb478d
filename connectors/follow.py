"""Finds the plain files to follow (``--follow``), also those that come later.

Every path that the patterns name is one partition (`connectors.tail`), named by the real path of
its folder and its own name. A copy that rotation made of a followed file is none, even where a glob
names it: it is known by inode and first bytes, also after a restart, up to 32 rotations back. A
compressed file is refused at the start; one that turns up later, as rotation makes them, is left
out.
"""

import logging
import os
from collections.abc import Sequence

from connectors.archives import is_compressed, open_plain, quoted
from connectors.files import matches
from connectors.marks import HEAD_BYTES
from connectors.partition import Resume
from connectors.tail import FollowedFile
from engine.errors import SourceError

__all__ = ["Follow"]

_logger = logging.getLogger(__name__)

_DISCOVER_EVERY_US = 1_000_000


class Follow:
    """Finds the files to follow, also those that come later.

    Parameters
    ----------
    source : str
        Name of the source.
    patterns : sequence of str
        Paths or globs, relative to the working folder.
    resume : callable
        Gives the committed position and state of (source, partition).
    """

    def __init__(self, source: str, patterns: Sequence[str], resume: Resume) -> None:
        self._source = source
        self._patterns = tuple(patterns)
        self._resume = resume
        self._files: dict[str, FollowedFile] = {}
        self._left_out: set[tuple[str, int]] = set()
        self._next_us = 0

    def start(self) -> list[FollowedFile]:
        """Open what is there.

        Raises
        ------
        SourceError
            A pattern matches nothing (a path that was read before may be gone for a while), or a
            file is compressed or cannot be read.
        """
        for pattern in self._patterns:
            paths = self._paths(pattern)
            if not paths:
                msg = f"`files` must match at least one file, got {quoted(pattern)}"
                raise SourceError(msg)
            for path in filter(is_compressed, paths):
                msg = f"`files` must be plain files with --follow, got {quoted(path)}"
                raise SourceError(msg)
            for path in filter(os.path.lexists, paths):
                os.close(open_plain(path))
        return self._open()

    def discover(self, now_us: int) -> list[FollowedFile]:
        """Open what has come since; looks once a second. `now_us` is the wall clock."""
        if self._next_us - _DISCOVER_EVERY_US <= now_us < self._next_us:
            return []
        self._next_us = now_us + _DISCOVER_EVERY_US
        return self._open()

    def _paths(self, pattern: str) -> list[str]:
        found = [_absolute(path) for path in matches(pattern)]
        if not found and self._resume(self._source, _absolute(pattern))[0] > 0:
            found = [_absolute(pattern)]  # read before, and just now being rotated
        return found

    def _open(self) -> list[FollowedFile]:
        """Open the new files; those with a committed position first, as they know their copies."""
        names = {path for pattern in self._patterns for path in self._paths(pattern)}
        new = [(name, *self._resume(self._source, name)) for name in names - self._files.keys()]
        opened = []
        for name, start, state in sorted(new, key=lambda found: (found[1] == 0, found[0])):
            if start == 0 and not self._wanted(name):
                continue
            self._files[name] = FollowedFile(self._source, name, start, state)
            opened.append(self._files[name])
        return sorted(opened, key=lambda file: file.name)

    def _wanted(self, name: str) -> bool:
        """Whether a new name is a new file, and no rotated copy of one that is followed."""
        try:
            inode = os.stat(name).st_ino  # noqa: PTH116  a name may hold any bytes
            if (name, inode) in self._left_out:
                return False
            descriptor = open_plain(name)
        except (OSError, SourceError):
            return False  # gone again, or not ours to read: nothing to follow yet
        head = os.pread(descriptor, HEAD_BYTES, 0)
        os.close(descriptor)
        rotated = any(file.knows(inode, head) for file in self._files.values())
        if rotated or is_compressed(name):
            self._left_out.add((name, inode))
            _logger.info("%s is not followed: it is a rotated or compressed file", name)
            return False
        return True


def _absolute(path: str) -> str:
    """Real path of the folder, and the name itself: a link stays the same when it moves on."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118  a name may hold any bytes
