"""Puts a data folder right again: each act keeps what it replaces, under a name with the time.

All acts need the folder's lock. What is to be there is written and on disk first, then the damaged
files are renamed, then it takes their place: a kill in between leaves a folder that a run refuses
and `look` understands.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.damage import PUBLISHED_NAME, STORE_NAME, wal_of
from connectors.inspecting import Found, look
from connectors.publish import copy_file, replace_synced
from connectors.walcheck import look_at_log
from engine.panes import text

__all__ = ["Restored", "rebuild", "restore", "salvage", "salvaged"]

_NEW_NAME = f"{STORE_NAME}.new"
_POSITION = re.compile(r"entry at byte position (\d+)")
_CARRY = (
    """
    UPDATE notifications_log AS n SET
        status = d.status, attempts = d.attempts, last_error = d.last_error, group_id = d.group_id,
        message_id = d.message_id, grouped_time = d.grouped_time, next_attempt = d.next_attempt,
        sent_time = d.sent_time
    FROM damaged.notifications_log AS d
    WHERE n.notification_id = d.notification_id AND d.status IN ('sent', 'parked', 'printed')
        AND n.status NOT IN ('sent', 'parked', 'printed')""",
    """
    INSERT INTO notifications_log BY NAME
    SELECT * FROM damaged.notifications_log AS d ANTI JOIN notifications_log USING (notification_id)
    WHERE d.status IN ('sent', 'parked', 'printed')""",
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: the files set aside, and how many notifications are known as done with.

    `carried` is None where the damaged store could not tell.
    """

    aside: tuple[Path, ...]
    carried: int | None = None


def restore(folder: Path, stamp: str) -> Restored:
    """Put a copy of the published file in the place of the store.

    Parameters
    ----------
    folder : pathlib.Path
        The data folder; its published copy must be sound.
    stamp : str
        The time, as it is to stand in names.

    Raises
    ------
    OSError
        It cannot be written; everything is as it was.
    """
    new = folder / _NEW_NAME
    new.unlink(missing_ok=True)
    try:
        with (folder / PUBLISHED_NAME).open("rb") as source, new.open("xb") as target:
            size = os.fstat(source.fileno()).st_size
            copy_file(source.fileno(), target.fileno(), size)
            os.fsync(target.fileno())
        carried = _carried(folder, new)
        aside = _set_aside([folder / STORE_NAME, wal_of(folder / STORE_NAME)], stamp)
        replace_synced(new, folder / STORE_NAME)
    finally:
        for left in (new, wal_of(new)):
            left.unlink(missing_ok=True)
    return Restored(aside, carried)


def rebuild(folder: Path, stamp: str) -> Restored:
    """Set store, log and published copy aside: the next run begins with nothing."""
    store, published = folder / STORE_NAME, folder / PUBLISHED_NAME
    return Restored(_set_aside([published, store, wal_of(store)], stamp))


def salvage(folder: Path, stamp: str) -> Restored:
    """Keep the store, and of its log the commits before the damage.

    Raises
    ------
    OSError
        It cannot be written; everything is as it was.
    """
    wal = wal_of(folder / STORE_NAME)
    new, aside = wal.with_name(f"{wal.name}.new"), _named(wal, stamp)
    try:
        with salvaged(folder, whole=False) as found:
            kept = wal_of(found.path)
            if kept.exists():
                kept.rename(new)
            else:
                new.touch()
        with new.open("rb") as file:
            os.fsync(file.fileno())
        _linked(wal, aside)  # so that there is a log at every moment
        replace_synced(new, wal)
    finally:
        new.unlink(missing_ok=True)
    return Restored((aside,))


@contextlib.contextmanager
def salvaged(folder: Path, *, whole: bool = True) -> Iterator[Found]:
    """Look at the store with as much of its log as is good, in a folder of its own.

    What is found is as good as it gets: its `fault` tells of damage in the file itself.
    """
    store = folder / STORE_NAME
    with tempfile.TemporaryDirectory(prefix="repair.", dir=folder) as scratch:
        path = Path(scratch) / STORE_NAME
        if store.exists():
            _linked(store, path)  # it is only read
            if wal_of(store).exists():
                shutil.copyfile(wal_of(store), wal_of(path))
                _trim(path)
        yield look(path, whole=whole)


def _trim(path: Path) -> None:
    """Cut a log behind the last commit with which its file opens."""
    wal = wal_of(path)
    ends = list(look_at_log(wal).commits)
    while ends:
        os.truncate(wal, ends[-1])
        found = look(path, whole=False)
        if found.readable or found.newer:
            return
        told = _POSITION.search(found.fault or "")
        at = int(told[1]) if told else 0
        ends = [end for end in ends[:-1] if end < at]
    wal.unlink()


def _carried(folder: Path, new: Path) -> int | None:
    """Note in a restored store which notifications the damaged one knows to be done with.

    Without that, each alert that is raised again by lines read again would be mailed again.
    """
    with salvaged(folder, whole=False) as found:
        if not found.readable:
            return None
        try:
            with duckdb.connect(str(new)) as connection:
                connection.execute(f"ATTACH {text(str(found.path))} AS damaged (READ_ONLY)")
                connection.execute("BEGIN")
                counts = [connection.execute(sql).fetchall()[0][0] for sql in _CARRY]
                connection.execute("COMMIT")
        except duckdb.Error:
            return None
    return int(sum(counts))


def _set_aside(paths: list[Path], stamp: str) -> tuple[Path, ...]:
    """Rename what is there of some files; they are never removed."""
    aside = []
    for path in paths:
        if path.exists():
            aside.append(_named(path, stamp))
            replace_synced(path, aside[-1])
    return tuple(aside)


def _named(path: Path, stamp: str) -> Path:
    """Give a name that is free."""
    names = (
        f"{path.name}.damaged-{stamp}{more}" for more in ("", *(f"-{n}" for n in range(2, 99)))
    )
    return next(found for name in names if not (found := path.with_name(name)).exists())


def _linked(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, other)
