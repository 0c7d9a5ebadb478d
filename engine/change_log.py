"""The log of edits in the store: written by the one writer, read back at a start."""

import json
from dataclasses import dataclass

import duckdb

from engine.changes import Edit

__all__ = ["Stamp", "latest_edits", "write_edit"]

# One row an edit; they are few, and their numbers have no gaps.
_WRITE = """
INSERT INTO changes_log
SELECT coalesce(max(seq), 0) + 1, $kind, $id, $definition, $by, make_timestamp($now),
    make_timestamp($watermark)
FROM changes_log
"""
_LATEST = """
SELECT kind, id, definition FROM changes_log
QUALIFY row_number() OVER (PARTITION BY kind, id ORDER BY seq DESC) = 1
ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who made an edit, when (µs), and from which watermark on (µs) it holds; None: before all."""

    by: str
    now_us: int
    watermark_us: int | None


def write_edit(cursor: duckdb.DuckDBPyConnection, edit: Edit, stamp: Stamp) -> None:
    """Write an edit behind all others, inside a transaction."""
    told = None
    if edit.definition is not None:
        told = json.dumps(edit.definition, ensure_ascii=False, sort_keys=True)
    cursor.execute(
        _WRITE,
        {
            "kind": edit.kind,
            "id": edit.id,
            "definition": told,
            "by": stamp.by,
            "now": stamp.now_us,
            "watermark": stamp.watermark_us,
        },
    )


def latest_edits(cursor: duckdb.DuckDBPyConnection) -> list[Edit]:
    """Give the edit that holds for each kind and id, in the order in which they were made."""
    return [
        Edit(kind, entry_id, None if told is None else json.loads(told))
        for kind, entry_id, told in cursor.execute(_LATEST).fetchall()
    ]
