"""The published copy: a whole DuckDB file beside the store, good for anybody while the owner runs.

How it is made: right behind a checkpoint the file alone holds every commit, and no block that its
header refers to is written again before the header of the next checkpoint is: what is committed
meanwhile goes to the log and to free blocks. So while the header stays as it is, the file may be
copied block by block beside the writer; the copy's header leads to the state of that checkpoint,
all of it. Should the header have changed in the end, the copy is thrown away. Where the file system
shares blocks between files (btrfs, XFS) nothing is copied at all.

Promise: `published.duckdb` is replaced by a rename, once the copy is on disk, each of its blocks
fits its checksum and DuckDB has opened it. So it is never torn, and no good copy is replaced by one
of a damaged store. Who reads the old one keeps it. It is read-only. Limits: the copy needs the
store's size on disk, and `RESERVE_BYTES` more must be free, so that it never takes the store's own
room.

Cost: the file is read twice and written once, `CHUNK_BYTES` at a time, each on disk before the
next, so that commits do not queue behind it.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.blocks import first_damaged
from connectors.damage import PUBLISHED_NAME, STORE_NAME, damaged, wal_of

__all__ = [
    "CHUNK_BYTES",
    "NEW_NAME",
    "RESERVE_BYTES",
    "Copy",
    "check_sound",
    "copy_file",
    "forget_unfinished",
    "header_of",
    "publish",
    "replace_synced",
    "room_for",
    "sync_folder",
]

NEW_NAME = "published.duckdb.new"
CHUNK_BYTES = 16 << 20
RESERVE_BYTES = 256 << 20

_HEADERS = (4096, 2 * 4096)  # offset and length of the two headers, one of which is in force
_FICLONE = 0x40049409  # of linux/fs.h: share all blocks of another file
_NOT_CLONED = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}
_NOT_RANGED = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_OPENS = "SELECT value FROM settings WHERE name = 'schema_version'"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was published: bytes, and how long it took."""

    size: int
    took_s: float


def publish(
    folder: Path, source: int, stopped: Callable[[], bool], *, chunk_bytes: int = CHUNK_BYTES
) -> Copy | None:
    """Copy a store that is held still, and put the copy in the place of the last one.

    Parameters
    ----------
    folder : pathlib.Path
        The data folder.
    source : int
        Descriptor of the store's file, right behind a checkpoint.
    stopped : callable
        Asked between two chunks: True gives up.
    chunk_bytes : int
        How much is copied at a time.

    Returns
    -------
    Copy or None
        None: it was given up, or the store was not still; the last copy is there as before.

    Raises
    ------
    OSError
        It cannot be written: a full disk, above all.
    StoreError, duckdb.Error
        The store is damaged, and its copy with it.
    """
    began_s = time.monotonic()
    new, header = folder / NEW_NAME, header_of(source)
    found = os.fstat(source)
    try:
        with _created(new) as target:
            if not copy_file(source, target, found.st_size, stopped, chunk_bytes):
                return None
            os.fsync(target)
            if header_of(source) != header:
                return None
            check_sound(new)
            os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)  # the store's pages go first
            if stopped():
                return None
            os.fchmod(target, stat.S_IMODE(found.st_mode) & 0o444)
        # What somebody wrote into the last copy would else be taken for a log of this one.
        wal_of(folder / PUBLISHED_NAME).unlink(missing_ok=True)
        replace_synced(new, folder / PUBLISHED_NAME)
    finally:
        forget_unfinished(folder)
    return Copy(found.st_size, time.monotonic() - began_s)


def header_of(source: int) -> bytes:
    """Give both headers: they differ after every checkpoint."""
    return os.pread(source, _HEADERS[1], _HEADERS[0])


def forget_unfinished(folder: Path) -> None:
    """Remove what is left of a copy that was not finished."""
    for name in (NEW_NAME, f"{NEW_NAME}.wal"):
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def check_sound(path: Path) -> None:
    """See that a copy is good: each block fits its checksum, and DuckDB opens it as a store.

    Raises
    ------
    StoreError
        A block is damaged, and so it is in the store.
    duckdb.Error
        DuckDB does not open it.
    """
    at = first_damaged(path)
    if at is not None:
        raise damaged(
            path.parent / STORE_NAME, f"its block at byte {at:,} is not as it was written"
        )
    config: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
    with duckdb.connect(str(path), read_only=True, config=config) as connection:
        connection.execute(_OPENS).fetchall()


def copy_file(
    source: int,
    target: int,
    size: int,
    stopped: Callable[[], bool] = lambda: False,
    chunk_bytes: int = CHUNK_BYTES,
) -> bool:
    """Copy the first `size` bytes between two descriptors; False when told to stop.

    Raises
    ------
    OSError
        The disk is full, or would be nearly so; the source is shorter.
    """
    if _cloned(source, target):
        return True
    room_for(size, target)
    at = 0
    while at < size:
        if stopped():
            return False
        at += _copied(source, target, at, min(chunk_bytes, size - at))
        os.fdatasync(target)  # else the next commit had to wait for all of it
    return True


def room_for(size: int, descriptor: int) -> None:
    """See that so many bytes fit on the disk of a descriptor, with `RESERVE_BYTES` left over.

    Raises
    ------
    OSError
        They do not.
    """
    disk = os.fstatvfs(descriptor)
    free = disk.f_bavail * disk.f_frsize
    if free < size + RESERVE_BYTES:
        text = f"{size >> 20:,} MiB and {RESERVE_BYTES >> 20} MiB to spare, got {free >> 20:,} MiB"
        raise OSError(errno.ENOSPC, f"the disk must have room for {text}")


def replace_synced(new: Path, path: Path) -> None:
    """Rename one file over another, for good once this returns."""
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _created(path: Path) -> Iterator[int]:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _cloned(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as fault:
        if fault.errno in _NOT_CLONED:
            return False
        raise
    return True


def _copied(source: int, target: int, at: int, count: int) -> int:
    try:
        done = os.copy_file_range(source, target, count, at, at)
    except OSError as fault:
        if fault.errno not in _NOT_RANGED:
            raise
        done = os.pwrite(target, os.pread(source, count, at), at)
    if not done:
        raise OSError(errno.EIO, f"the store's file ended at byte {at:,}")
    return done
