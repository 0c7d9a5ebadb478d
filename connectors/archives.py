"""Reads a stored file from front to end as its content: plain, `.gz` or `.zst`.

Archives of several members or frames are read as one. A reader tells a torn archive from a whole
one, and gives everything that can be unpacked before it raises: also what lies before the damage in
the same piece. Speed: that of zlib or zstd. Memory: one piece and what it unpacks to.
"""

import errno
import os
import resource
import stat
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from engine.errors import SourceError

__all__ = ["Archive", "Plain", "Reader", "is_compressed", "open_plain", "open_reader", "quoted"]

# The smallest unit of zlib unpacks to 1,032 times its size, that of zstd (a run in 4 bytes) to
# 32,768 times: these sizes bound what a hostile archive can make of a piece to 64 and 128 MiB.
_GZIP_PIECE_BYTES = 64 << 10
_ZSTD_PIECE_BYTES = 4 << 10
_ZSTD_WINDOW_BYTES_MAX = 1 << 31  # what `zstd --long=31` writes


class _Unpacker(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class Reader(Protocol):
    """A stored file opened for reading; `identity` is what `os.fstat` said at the start."""

    identity: os.stat_result

    @property
    def consumed(self) -> int:
        """Stored bytes read so far."""
        ...

    def read(self, count: int) -> bytes:
        """Give some of the bytes that come next, about `count` of them; empty only at the end.

        Raises
        ------
        SourceError
            The file is damaged here; everything before was given.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def quoted(path: str) -> str:
    """Write a path so that it can stand in a message, whatever bytes it has."""
    return '"' + path.encode("utf-8", "backslashreplace").decode() + '"'


def is_compressed(path: str) -> bool:
    """Whether the name says that the file is an archive."""
    return path.endswith((".gz", ".zst"))


def open_plain(path: str) -> int:
    """Open a regular file for reading; a file descriptor.

    Raises
    ------
    SourceError
        It is missing, not permitted, or no regular file.
    """
    try:
        descriptor = _opened(path)
    except OSError as fault:
        msg = f"`files` must be readable, got {quoted(path)}: {fault.strerror}"
        raise SourceError(msg) from fault
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        msg = f"`files` must be regular files, got {quoted(path)}, which is {kind}"
        raise SourceError(msg)
    return descriptor


def _opened(path: str) -> int:
    # Without O_NONBLOCK the mere opening of a named pipe waits for its writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except OSError as fault:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if fault.errno != errno.EMFILE or soft == hard:
            raise
    # Each partition keeps its file open; 1,024 is only what a shell starts with.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return os.open(path, flags)


def open_reader(path: str, start: int = 0) -> Reader:
    """Open a file by the ending of its name; `start` is a byte offset, for plain files only."""
    if path.endswith(".gz"):
        return Archive(path, lambda: zlib.decompressobj(wbits=31), _GZIP_PIECE_BYTES)
    if path.endswith(".zst"):
        unpack = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
        return Archive(path, unpack.decompressobj, _ZSTD_PIECE_BYTES)
    return Plain(path, start)


class Plain:
    """A file that is stored as it is."""

    def __init__(self, path: str, start: int = 0) -> None:
        self._path = path
        self._descriptor = open_plain(path)
        self.identity = os.fstat(self._descriptor)
        self.consumed = start

    def read(self, count: int) -> bytes:
        """Give the next bytes, `count` unless the file ends; see `Reader.read`."""
        try:
            chunk = os.pread(self._descriptor, count, self.consumed)
            left = len(chunk) or os.fstat(self._descriptor).st_size - self.consumed
        except OSError as fault:
            msg = (
                f"`files` must be readable, got {quoted(self._path)}: {fault.strerror} "
                f"at byte {self.consumed}"
            )
            raise SourceError(msg) from fault
        if left < 0:
            msg = (
                f"`files` must not be cut off while they are read, got {quoted(self._path)} with"
                f" {self.consumed + left} bytes, of which {self.consumed} were read before"
            )
            raise SourceError(msg)
        self.consumed += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class _Members:
    """Unpacks gzip members or zstd frames, one after the other."""

    def __init__(self, unpacker: Callable[[], _Unpacker]) -> None:
        self._unpacker = unpacker
        self._member: _Unpacker | None = None
        self._began = False

    @property
    def whole(self) -> bool:
        """Whether a file may end here."""
        return self._began and self._member is None

    def unpack(self, piece: bytes) -> bytes:
        """Unpack stored bytes, over the ends of members."""
        chunks = []
        while piece:
            if self._member is None:
                # gzip members may be padded with zeros (tapes, some object stores)
                piece = piece.lstrip(b"\0") if self._began else piece
                if not piece:
                    break
                self._member = self._unpacker()
                self._began = True
            chunks.append(self._member.decompress(piece))
            if not self._member.eof:
                break
            piece = self._member.unused_data
            self._member = None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Archive:
    """A compressed file.

    Parameters
    ----------
    path : str
        The file.
    unpacker : callable
        Makes what unpacks one member.
    piece_bytes : int
        Stored bytes per step.
    """

    def __init__(self, path: str, unpacker: Callable[[], _Unpacker], piece_bytes: int) -> None:
        self._path = path
        self._file = Plain(path)
        self._unpacker = unpacker
        self._members = _Members(unpacker)
        self._piece_bytes = piece_bytes
        self._produced = 0
        self._damage: SourceError | None = None
        self.identity = self._file.identity

    @property
    def consumed(self) -> int:
        """Stored bytes read so far."""
        return self._file.consumed

    def read(self, count: int) -> bytes:  # noqa: ARG002  the size of a piece decides
        """Give what the next piece unpacks to; see `Reader.read`."""
        if self._damage is not None:
            raise self._damage
        chunk = b""
        while not chunk:
            at = self.consumed
            piece = self._file.read(self._piece_bytes)
            if not piece:
                if self._members.whole:
                    return b""
                self._damage = self._damaged("it ends too early", at)
                raise self._damage
            try:
                chunk = self._members.unpack(piece)
            except (zlib.error, zstandard.ZstdError) as fault:
                chunk = self._salvage(at)
                self._damage = self._damaged(str(fault), at, len(chunk))
                if not chunk:
                    raise self._damage from fault
        self._produced += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged(self, reason: str, at: int, more: int = 0) -> SourceError:
        msg = (
            f"`files` must be whole archives, got {quoted(self._path)}, damaged at or behind byte "
            f"{at} as stored, byte {self._produced + more} of the content: {reason}"
        )
        return SourceError(msg)

    def _salvage(self, at: int) -> bytes:
        """Unpack what precedes the damage in the piece at stored byte `at`.

        The library gives nothing of a piece that is damaged anywhere, so the file is read anew up
        to there, and then byte by byte. That is slow, and happens once.
        """
        again = Plain(self._path)
        members = _Members(self._unpacker)
        chunks = []
        try:
            while again.consumed < at:
                members.unpack(again.read(self._piece_bytes))
            while stored := again.read(1):
                chunks.append(members.unpack(stored))
        except (zlib.error, zstandard.ZstdError):
            return b"".join(chunks)
        finally:
            again.close()
        return b"".join(chunks)
