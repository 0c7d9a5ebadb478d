"""The data folder: one DuckDB file, one owner, one transaction for everything up to a position.

Delivery: what `commit` has returned for survives a kill at any moment; what it has not is as if it
had never been read, and the sources are asked for it again from the committed positions. Limits:
one owner a folder (a second start says who holds it); a file is only opened with this version's
schema or an older one, which is migrated first.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import duckdb

from connectors.damage import STORE_NAME, check_files
from connectors.folderlock import FolderLock
from connectors.pressure import Pressure
from connectors.publish import forget_unfinished, replace_synced
from connectors.sqlquery import DATABASE_CONFIG
from connectors.storefaults import store_fault
from connectors.widerows import WideRows
from engine.asking import first, number
from engine.errors import StoreError
from engine.kept import LOG_TEXT, make_log
from engine.migrations import MIGRATIONS
from engine.panes import text
from engine.relations import MACROS, VIEWS
from engine.rows import SCHEMA_VERSION, make_tables

__all__ = ["FILE_NAME", "Store"]

FILE_NAME = STORE_NAME
_BEGUN_NAME = f"{STORE_NAME}.begun"
CATALOG = "bellwether"  # the stem of the file name: what a plain open calls it too
_ROW_GROUP_ROWS = 24_576
# A start reads all of the log first: 0.1 s for 32 MB. To take it into the file holds up a commit
# for 0.3 s, twice as long for twice as large a log. Until then its rows lie in the memory that
# readers share, too.
_CHECKPOINT_BYTES = "32MB"
_REST_S = 5.0  # after a start: a log that was found nearly full would hold up its first commits
# Of the memory limit; the rest stays the writer's, which takes 100 MB at full speed.
_WITH_READERS_BYTES = 450_000_000
_HELD_CHECKPOINT_BYTES = "2GB"  # of the log, while the file is held still, or has just been opened
_AFTER_ATTACH = ("enable_external_access", "lock_configuration")  # no file is attached after them

_HASH_PROBE = "SELECT hash('bellwether', 'key')::VARCHAR"
_COUNT_TABLES = f"SELECT count(*) FROM duckdb_tables() WHERE database_name = '{CATALOG}'"
_FIND_SETTINGS = f"{_COUNT_TABLES} AND table_name = 'settings'"


class Store:
    """An open, locked data folder; a context manager.

    Attributes
    ----------
    cursor : duckdb.DuckDBPyConnection
        The one writer.
    folder : pathlib.Path
    """

    def __init__(
        self,
        folder: Path,
        memory_bytes: int = 640_000_000,
        *,
        publish: bool = True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder = folder
        self._memory_bytes, self._wide = memory_bytes, WideRows()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(folder, stopped)
        except OSError as fault:
            msg = f"data folder {folder} cannot be used: {fault.strerror}"
            raise StoreError(msg) from fault
        self._descriptor = -1
        self._still = False
        self._rests_until_s = time.monotonic() + _REST_S
        self._pressure: Pressure | None = None
        try:
            check_files(folder)
            forget_unfinished(folder)
            self.cursor = _open(folder / FILE_NAME, memory_bytes)
        except BaseException:
            self._lock.release()
            raise
        try:
            self._prepare()
            if publish:
                self.publish()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def announce(self, socket_path: str) -> None:
        """Write into the folder where the owner answers queries."""
        self._lock.write({"socket": socket_path})

    def readers(self) -> "_Readers":
        """Give what makes cursors for queries beside the writer."""
        if self._pressure is None:
            self._pressure = Pressure(_Readers(self.cursor), _WITH_READERS_BYTES)
        return _Readers(self.cursor, self._pressure.high)

    def begin(self) -> None:
        """Open the transaction that everything up to the next position belongs to."""
        self.cursor.execute("BEGIN TRANSACTION")

    def commit(self) -> None:
        """Make everything since `begin` durable, all of it or nothing."""
        if time.monotonic() >= self._rests_until_s:
            self._rests_until_s = math.inf
            if not self._still:
                self.move_on()
        try:
            self.cursor.execute("COMMIT")
        except duckdb.Error as fault:
            msg = f"{self.folder / FILE_NAME} could not be written: {fault}"
            raise store_fault(fault, self.folder) or StoreError(msg) from fault

    def checkpoint(self) -> bool:
        """Bring the file up to date, so that what was replaced leaves room for other rows.

        Returns
        -------
        bool
            False while somebody reads, or the file is held still: then it is for another time.
        """
        if self._still:
            return False
        try:
            self.cursor.execute("CHECKPOINT")
        except duckdb.TransactionException:
            return False
        return True

    def hold_still(self) -> int | None:
        """Bring the file up to date, and keep its contents as they are until `move_on`.

        What is committed meanwhile goes to the log, unless that grows beyond 2 GB.

        Returns
        -------
        int or None
            A descriptor to read the file by, which is the store's; None while somebody reads.
        """
        if not self.checkpoint():
            return None
        self.cursor.execute(f"SET checkpoint_threshold = '{_HELD_CHECKPOINT_BYTES}'")
        self._still = True
        if self._descriptor < 0:
            # Closing any descriptor of a file gives up the process's POSIX locks on it, DuckDB's
            # among them. So this one is closed behind DuckDB's own.
            self._descriptor = os.open(self.folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def move_on(self) -> None:
        """Let checkpoints happen again."""
        self._still = False
        self.cursor.execute(f"SET checkpoint_threshold = '{_CHECKPOINT_BYTES}'")

    def note_lines(self, count: int, size: int) -> None:
        """Have room for lines that are about to be stored.

        Parameters
        ----------
        count, size : int
            Lines, and bytes of all of them.
        """
        if self._wide.note(count, size):
            self.remember("wide_rows", str(self._wide.extra_bytes))
            self._make_room()

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        self.cursor.execute("ROLLBACK")

    def setting(self, name: str) -> str | None:
        """Give a stored setting, or None."""
        row = first(self.cursor, "SELECT value FROM settings WHERE name = ?", [name])
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Store a setting."""
        self.cursor.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [name, value])

    def close(self) -> None:
        """Write everything to the file and let the folder go."""
        try:
            self.cursor.close()
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            self._lock.release()

    def _prepare(self) -> None:
        self.begin()
        try:
            if not number(self.cursor, _FIND_SETTINGS):
                self._create()
            self._migrate()
            self._wide = WideRows(int(self.setting("wide_rows") or 0))
            self._make_room()
        except duckdb.Error as fault:
            found = str(fault).splitlines()[0]
            raise store_fault(fault, self.folder) or self._not_ours(found) from fault
        self.commit()

    def _make_room(self) -> None:
        if self._wide.extra_bytes:
            allowed = self._memory_bytes + self._wide.extra_bytes
            self.cursor.execute(f"SET memory_limit = '{allowed}B'")

    def _create(self) -> None:
        if number(self.cursor, _COUNT_TABLES):
            found = "tables of something else"
            raise self._not_ours(found)
        make_tables(self.cursor)
        self.remember("schema_version", str(SCHEMA_VERSION))
        self.remember("hash_probe", self._probe())

    def publish(self) -> None:
        """Bring the public relations up to this version; a tenth of a second when they change."""
        self.begin()
        self._write_views()
        self.commit()

    def _write_views(self) -> None:
        views = hashlib.sha256(json.dumps([LOG_TEXT, VIEWS, MACROS]).encode()).hexdigest()
        if self.setting("views") == views:
            return
        make_log(self.cursor)
        for name, select in VIEWS.items():
            self.cursor.execute(f'CREATE OR REPLACE VIEW "{name}" AS {select}')
        for name, macro in MACROS.items():
            self.cursor.execute(f'CREATE OR REPLACE MACRO "{name}"{macro}')
        self.remember("views", views)

    def _not_ours(self, found: str) -> StoreError:
        return StoreError(f"{self.folder / FILE_NAME} must be written by Bellwether, got {found}")

    def _probe(self) -> str:
        row = first(self.cursor, _HASH_PROBE)
        return str(row[0]) if row else ""

    def _migrate(self) -> None:
        stored = self.setting("schema_version") or ""
        version = int(stored) if stored.isdecimal() else 0
        if version < 1:
            found = f'the schema version "{stored}"'
            raise self._not_ours(found)
        if version > SCHEMA_VERSION:
            msg = (
                f"{self.folder / FILE_NAME} must have a schema version up to {SCHEMA_VERSION},"
                f" got {version}: it was written by a newer Bellwether"
            )
            raise StoreError(msg)
        for step in range(version + 1, SCHEMA_VERSION + 1):
            MIGRATIONS[step](self.cursor)
            self.remember("schema_version", str(step))
        if self.setting("hash_probe") != self._probe():
            # DuckDB does not promise the same hash in every version: stored keys follow it.
            for table in ("events_kept", "events_bare", "votes_log"):
                self.cursor.execute(f"UPDATE {table} SET key = hash(model_id, event_id)")
            self.cursor.execute("DELETE FROM seen_filters")
            for table, kind in (("runs_log", "run"), ("ingests_log", "ingest")):
                self.cursor.execute(f"UPDATE {table} SET key = hash('{kind}', id)")
            self.remember("hash_probe", self._probe())


def _open(path: Path, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        # One thread: sums of floats then depend on the lines alone, never on how threads met.
        "threads": 1,
        "memory_limit": f"{memory_bytes}B",
        "checkpoint_threshold": _HELD_CHECKPOINT_BYTES,
        "temp_directory": str(path) + ".tmp",
        **{name: value for name, value in DATABASE_CONFIG.items() if name not in _AFTER_ATTACH},
    }
    try:
        cursor = duckdb.connect(config=config)
        if not path.exists() or not path.stat().st_size:
            _make_file(cursor, path)
        # A block of 16 MiB holds about 50,000 events. Appends that fill row groups are compressed
        # straight into the file; smaller ones are written twice, through the WAL (measured: 2.0
        # against 1.3 us an event).
        cursor.execute(f"ATTACH {text(str(path))} AS {CATALOG} (ROW_GROUP_SIZE {_ROW_GROUP_ROWS})")
        cursor.execute(f"USE {CATALOG}")
        for name in _AFTER_ATTACH:
            cursor.execute(f"SET {name} = {DATABASE_CONFIG[name]}")
    except (duckdb.Error, OSError) as fault:
        msg = f"{path} cannot be opened: {str(fault).splitlines()[0]}"
        raise store_fault(fault, path.parent) or StoreError(msg) from fault
    return cursor


def _make_file(cursor: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make an empty database; it has its name when it is whole.

    DuckDB writes its headers one after the other: killed between them, it left a file behind that
    nobody could open any more, although nothing had been stored.
    """
    begun = path.with_name(_BEGUN_NAME)
    begun.unlink(missing_ok=True)
    cursor.execute(f"ATTACH {text(str(begun))} AS begun (ROW_GROUP_SIZE {_ROW_GROUP_ROWS})")
    cursor.execute("DETACH begun")
    replace_synced(begun, path)


class _Readers:
    """Gives cursors for readers, in the catalog of the file."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, pressed: Callable[[], bool] = lambda: False
    ) -> None:
        self._connection = connection
        self.pressed = pressed  # asked by `connectors.sqlquery.Reading`

    def cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        cursor.execute(f"USE {CATALOG}")
        return cursor
