"""Looks at a store file without changing it: whether it is sound, and how far it had come.

The file is opened read-only, together with its log. Each block is compared with its checksum, and
where there is a log, every row of every table is read, too.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from connectors.blocks import first_damaged
from connectors.damage import is_damage, wal_of
from connectors.walcheck import look_at_log
from engine.panes import quoted
from engine.rows import SCHEMA_VERSION

__all__ = ["Change", "Found", "Place", "look"]

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "640MB",
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
}
_PLACES = "SELECT source, partition, position, events, updated_time FROM partitions ORDER BY 1, 2"
_CHANGES = "SELECT seq, kind, id, made_time FROM changes_log ORDER BY seq"
_SENT = "SELECT count(*) FROM notifications_log WHERE status NOT IN ('pending', 'grouped')"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition of a source was taken; bytes, or what its source counts in."""

    source: str
    partition: str
    position: int
    events: int
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """An edit that was made while a run went on."""

    seq: int
    kind: str
    id: str
    made: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a file has found.

    Attributes
    ----------
    path : pathlib.Path
    fault : str or None
        What is damaged; None: it is sound.
    log_only : bool
        The file itself opens; its log is damaged.
    newer : bool
        Nothing is damaged; a newer version of the program has written it.
    readable : bool
        The small tables below could be read.
    places : tuple of Place
    changes : tuple of Change
    mails : int
        Notifications that are done with.
    """

    path: Path
    fault: str | None = None
    log_only: bool = False
    newer: bool = False
    readable: bool = False
    places: tuple[Place, ...] = field(default=())
    changes: tuple[Change, ...] = field(default=())
    mails: int = 0

    @property
    def committed(self) -> datetime | None:
        """When the last block that is in it came, UTC; None where there is none."""
        return max((each.updated for each in self.places if each.updated), default=None)


def look(path: Path, *, whole: bool = True) -> Found:
    """Look at a file.

    Parameters
    ----------
    path : pathlib.Path
        The database file; its log is beside it.
    whole : bool
        Look at every block and every row.
    """
    if not path.exists():
        return Found(path, "the file is missing")
    log = look_at_log(wal_of(path))
    if log.fault is not None:
        return Found(path, log.fault, log_only=True)
    try:
        connection = duckdb.connect(str(path), read_only=True, config=_CONFIG)
    except duckdb.Error as fault:
        told = _line(fault)
        return Found(path, told, log_only="WAL" in told)
    with connection:
        return _inside(path, connection, whole=whole)


def _inside(path: Path, connection: duckdb.DuckDBPyConnection, *, whole: bool) -> Found:
    try:
        version = _version(connection)
        if version > SCHEMA_VERSION:
            text = f"it has the schema version {version}: a newer Bellwether has written it"
            return Found(path, text, newer=True)
        places = tuple(Place(*row) for row in connection.execute(_PLACES).fetchall())
        changes: tuple[Change, ...] = ()
        mails = 0
        if version >= 5:
            changes = tuple(Change(*row) for row in connection.execute(_CHANGES).fetchall())
        if version >= 2:
            (mails,) = connection.execute(_SENT).fetchone() or (0,)
    except (duckdb.Error, ValueError) as fault:
        return Found(path, _line(fault))
    fault_text = _damage_within(path, connection) if whole else None
    return Found(path, fault_text, readable=True, places=places, changes=changes, mails=mails)


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    rows = connection.execute("SELECT value FROM settings WHERE name = 'schema_version'").fetchall()
    if not rows:
        msg = "it has no schema version: it was not written by Bellwether"
        raise ValueError(msg)
    return int(rows[0][0])


def _damage_within(path: Path, connection: duckdb.DuckDBPyConnection) -> str | None:
    at = first_damaged(path)
    if at is not None:
        return f"its block at byte {at:,} is not as it was written"
    if not wal_of(path).exists():
        return None
    # Blocks that only the log refers to are free to the file itself.
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY table_name"
    ).fetchall()
    for (name,) in tables:
        every_row = f"SELECT bit_xor(hash(t)) FROM {quoted(name)} AS t"  # noqa: S608 - its own words
        try:
            try:
                connection.execute(every_row)
            except duckdb.OutOfMemoryException:  # long lines, of which 2,048 are read at once
                connection.execute("RESET memory_limit")
                connection.execute(every_row)
        except duckdb.Error as fault:
            if not is_damage(str(fault)):
                raise
            return f"the table {name} cannot be read: {_line(fault)}"
    return None


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).partition("Stack Trace")[0].split()).rstrip(".")
