"""Damage of the data folder, told in one message: what is damaged, where, and what to do.

DuckDB has a checksum over every block of the file and every entry of its write-ahead log, and sees
most damage by itself. What it would not see, or would make good by removing a file, is looked at
here before the file is opened: a store that is missing although its log or its published copy is
there, and what `connectors.walcheck` finds in a log. Nothing here writes.
"""

import re
import shlex
from pathlib import Path

from connectors.walcheck import look_at_log
from engine.errors import StoreError

__all__ = ["PUBLISHED_NAME", "STORE_NAME", "check_files", "damaged", "is_damage", "wal_of"]

STORE_NAME = "bellwether.duckdb"
PUBLISHED_NAME = "published.duckdb"

_SIGNS = (
    "Corrupt database file",
    "Corrupt WAL file",
    "Failure while replaying WAL",
    "Could not read enough bytes from file",
    "not a valid DuckDB database file",
    "does not match stored checksum",
    "Failed to deserialize",
    "Failed to load metadata",
    "WAL does not match database file",
    "WAL checkpoint iteration does not match",
    "file was written with a storage version greater",
)
_STACK = re.compile(r"\s*Stack Trace:.*", re.DOTALL)


def wal_of(path: Path) -> Path:
    """Give the write-ahead log of a database file."""
    return path.with_name(path.name + ".wal")


def is_damage(text: str) -> bool:
    """Tell whether what DuckDB says is that a file is damaged."""
    return any(sign in text for sign in _SIGNS)


def damaged(path: Path, found: str) -> StoreError:
    """Give the error to raise for a damaged store.

    Parameters
    ----------
    path : pathlib.Path
        The database file.
    found : str
        What DuckDB said, or what was found.
    """
    line = " ".join(_STACK.sub("", found).split()).rstrip(".")
    advice = f"bellwether repair --data {shlex.quote(str(path.parent))}"
    return StoreError(f"{path} is damaged: {line}. It was left as it is; see `{advice}`")


def check_files(folder: Path) -> None:
    """See that a missing store was never there, and that its log is whole.

    Parameters
    ----------
    folder : pathlib.Path
        The data folder.

    Raises
    ------
    StoreError
        The file is missing or empty, but others say that there was one; the log is damaged in a way
        that DuckDB would pass over.
    """
    path, published = folder / STORE_NAME, folder / PUBLISHED_NAME
    if path.exists() and path.stat().st_size:
        log = look_at_log(wal_of(path))
        if log.fault is not None:
            raise damaged(path, log.fault)
        return
    gone = "the file is empty" if path.exists() else "the file is missing"
    wal = wal_of(path)
    if wal.exists() and wal.stat().st_size:
        raise damaged(path, f"{gone}, but its log {wal.name} is there")
    if published.exists():
        raise damaged(path, f"{gone}, but its published copy {published.name} is there")
