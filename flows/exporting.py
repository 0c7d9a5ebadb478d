"""`bellwether export`: all result relations as Parquet files, as they are at one commit.

::

    running owner ── socket ──┐
    the file, none runs ──────┼── relation by relation ── FOLDER.….tmp ── rename ── FOLDER
    published copy ───────────┘
"""

import argparse
import sys
from pathlib import Path

from connectors.damage import PUBLISHED_NAME
from connectors.parquetfolder import Exported, check_target, write_folder
from connectors.relations import PUBLIC
from connectors.sqlclient import relations
from engine.errors import ConfigurationError

__all__ = ["export"]


def export(told: argparse.Namespace) -> int:
    """Do what the words of `export` say; 0 when all files are there.

    Raises
    ------
    BellwetherError
        What the user can mend.
    """
    names, folder = _names(told.relations), Path(told.parquet)
    check_target(folder, PUBLIC, overwrite=told.overwrite)
    done: Exported = relations(
        told.data,
        names,
        lambda found: write_folder(folder, found),
        time_limit_s=told.limit_seconds,
        published=told.published,
    )
    of = f"{Path(told.data) / PUBLISHED_NAME} -> " if told.published else ""
    rows = sum(done.rows.values())
    sys.stderr.write(
        f"{of}{folder}: {len(done.rows):,} relation{'' if len(done.rows) == 1 else 's'},"
        f" {rows:,} row{'' if rows == 1 else 's'}, {done.size / 1e6:,.1f} MB\n"
    )
    return 0


def _names(words: str | None) -> tuple[str, ...]:
    if words is None:
        return PUBLIC
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in names:
        if name not in PUBLIC:
            msg = f"`--relations` must be of {', '.join(PUBLIC)}, got {name!r}"
            raise ConfigurationError(msg)
    return names
