"""Renormalisation: stored scores are made anew when a history has seen a new maximum.

Only raw scores decide, with the history as it was at the cause: current scores move, initial ones
never do. Each change is journalled with its cause, so that it can be undone when the cause is
forgotten. Bucket scores follow their influencers. Source: contracts.md ELi-03 and ELi-04.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.anomaly.results.moves import Change, Move, StoredScores, follow, move

__all__ = ["rescore", "undo"]

Codes = npt.NDArray[np.int64]

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where rows lie, and what names them in the journal."""

    table: str
    result: str
    level: str
    names: str


_RECORD: Final = (
    "detector_index, function_description, by_field_value, over_field_value, partition_field_value"
)
_ENTITY: Final = "field_name AS influencer_field_name, field_value AS influencer_field_value"
_KINDS: Final = {
    "record": _Kind("record_results", "record", "'record'", f"{_RECORD}, scope"),
    "influencer": _Kind(
        "influencer_results", "influencer", "'influencer:' || field_name", f"{_ENTITY}, scope"
    ),
    "bucket": _Kind("bucket_influencer_results", "bucket_influencer", "level", f"{_ENTITY}, scope"),
}
_BUCKET: Final = _Kind("bucket_results", "bucket", "NULL", "NULL AS scope")


def rescore(cursor: duckdb.DuckDBPyConnection, changes: Sequence[Change]) -> int:
    """Score stored rows anew, each time with those of the buckets up to the cause.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction; everything up to the latest
        `changed_s` is there.
    changes : sequence of Change
        In order of time.

    Returns
    -------
    int
        Changes of scores by more than 1e-9, those of buckets included.
    """
    families: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        if len(change.scopes):
            family = change.job_id, change.level.partition(":")[0]
            families.setdefault(family, []).append(change)
    count = 0
    for (_, name), some in families.items():
        kind = _KINDS[name]
        ids, rows = _stored(cursor, kind, some)
        moves = move(rows, some)
        _write(cursor, kind, ids, some, moves)
        count += sum(len(each.place) for each in moves)
        if name == "bucket" and moves:
            count += _follow(cursor, some, rows, moves)
    return count


def _stored(
    cursor: duckdb.DuckDBPyConnection, kind: _Kind, changes: Sequence[Change]
) -> tuple[Codes, StoredScores]:
    """Give the rows that the changes can reach, and those that a bucket's score depends on."""
    scopes = np.unique(np.concatenate([each.scopes for each in changes]))
    cursor.register("b_scopes", pa.table({"scope": pa.array(scopes)}))
    reached = "true" if kind is _KINDS["bucket"] else "raw_score > 0 AND scope IN (FROM b_scopes)"
    # In order of time, then as they were written: one order, whatever the store has done to them.
    found = cursor.execute(
        f"SELECT rowid AS id, epoch_us(timestamp) // {_SECOND_US} AS start_s, {kind.level} AS"
        f" level, scope, raw_score, score, ceiling::BIGINT AS ceiling FROM {kind.table}"
        f" WHERE job_id = $job AND timestamp >= make_timestamp($from) AND {reached}"
        " AND NOT is_interim ORDER BY timestamp, rowid",
        _told(changes),
    ).fetchnumpy()
    cursor.unregister("b_scopes")
    return np.asarray(found["id"], np.int64), StoredScores(
        np.asarray(found["start_s"], np.int64),
        np.asarray(found["level"], np.object_),
        np.asarray(found["scope"], np.int64),
        np.asarray(found["raw_score"], np.float64),
        np.array(found["score"], np.float64),
        np.array(found["ceiling"], np.int64),
    )


def _told(changes: Sequence[Change]) -> dict[str, object]:
    first_s = min(each.from_s for each in changes)
    return {"job": changes[0].job_id, "from": max(first_s, _FIRST_S) * _SECOND_US}


_FIRST_S: Final = -62_135_596_800  # the year 1: a window may reach back further than times go


def _follow(
    cursor: duckdb.DuckDBPyConnection,
    changes: Sequence[Change],
    rows: StoredScores,
    moves: Sequence[Move],
) -> int:
    """Bring the scores of buckets in line with their influencers, journalled as well."""
    found = cursor.execute(
        f"SELECT rowid AS id, epoch_us(timestamp) // {_SECOND_US} AS start_s, score"
        " FROM bucket_results WHERE job_id = $job AND timestamp >= make_timestamp($from)"
        " AND NOT is_interim ORDER BY timestamp, rowid",
        _told(changes),
    ).fetchnumpy()
    starts = np.asarray(found["start_s"], np.int64)
    followed = follow(rows, moves, starts, np.array(found["score"], np.float64))
    _write(cursor, _BUCKET, np.asarray(found["id"], np.int64), changes, followed)
    return sum(len(each.place) for each in followed)


def _write(
    cursor: duckdb.DuckDBPyConnection,
    kind: _Kind,
    ids: Codes,
    changes: Sequence[Change],
    moves: Sequence[Move],
) -> None:
    """Write moved scores, and the journal of them: one entry a row and change."""
    if not moves:
        return
    number = np.concatenate([np.full(len(each.place), each.change) for each in moves])
    row = ids[np.concatenate([each.place for each in moves])]
    causes = pa.array([each.cause for each in changes], pa.string())
    changed = np.array([each.changed_s for each in changes], np.int64) * _SECOND_US
    table = pa.table(
        {
            "place": pa.array(np.arange(len(row))),
            "row": pa.array(row),
            "old_score": pa.array(np.concatenate([each.old for each in moves])),
            "new_score": pa.array(np.concatenate([each.new for each in moves])),
            "old_ceiling": pa.array(np.concatenate([each.old_ceiling for each in moves])),
            "new_ceiling": pa.array(np.concatenate([each.new_ceiling for each in moves])),
            "cause": causes.take(number),
            "changed_us": pa.array(changed[number]),
        }
    )
    cursor.register("b_moves", table)
    cursor.execute(
        f"INSERT INTO score_changes BY NAME SELECT job_id, timestamp, $result AS result,"
        f" {kind.names}, {kind.level} AS level, b.old_score, b.new_score, b.old_ceiling, b.cause,"
        " make_timestamp(b.changed_us) AS changed_time"
        f" FROM {kind.table} t JOIN b_moves b ON t.rowid = b.row ORDER BY b.place",
        {"result": kind.result},
    )
    ceiling = "" if kind is _BUCKET else ", ceiling = b.new_ceiling"
    cursor.execute(
        f"UPDATE {kind.table} SET score = b.new_score{ceiling} FROM (SELECT row,"
        " arg_max(new_score, place) AS new_score, arg_max(new_ceiling, place) AS new_ceiling"
        f" FROM b_moves GROUP BY row) b WHERE {kind.table}.rowid = b.row"
    )
    cursor.unregister("b_moves")


# Of several changes of a row the first one that is undone had the score that it goes back to.
_UNDO = """
UPDATE {table} AS t SET score = c.old_score {ceiling}
FROM (
    SELECT timestamp, {names}, arg_min(old_score, rowid) AS old_score,
        arg_min(old_ceiling, rowid) AS old_ceiling
    FROM score_changes
    WHERE job_id = $job AND result = $result AND changed_time >= make_timestamp($from)
        AND timestamp < make_timestamp($from)
    GROUP BY ALL
) AS c
WHERE t.job_id = $job AND t.timestamp = c.timestamp AND NOT t.is_interim AND {same}
"""
_BACK: Final = ", ceiling = c.old_ceiling"
_UNDONE: Final = {
    "bucket": _UNDO.format(table="bucket_results", ceiling="", names="0", same="true"),
    "bucket_influencer": _UNDO.format(
        table="bucket_influencer_results",
        ceiling=_BACK,
        names="level, scope, influencer_field_value",
        same="t.level = c.level AND t.scope = c.scope"
        " AND t.field_value IS NOT DISTINCT FROM c.influencer_field_value",
    ),
    "influencer": _UNDO.format(
        table="influencer_results",
        ceiling=_BACK,
        names="influencer_field_name, influencer_field_value",
        same="t.field_name = c.influencer_field_name AND t.field_value = c.influencer_field_value",
    ),
    "record": _UNDO.format(
        table="record_results",
        ceiling=_BACK,
        names="detector_index, function_description, scope",
        same="t.detector_index = c.detector_index"
        " AND t.function_description = c.function_description AND t.scope = c.scope",
    ),
}


def undo(cursor: duckdb.DuckDBPyConnection, job_id: str, from_s: int) -> None:
    """Take back what buckets from a time on have changed in older rows, and the journal of it.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        As for `rescore`.
    job_id : str
    from_s : int
        Start of the first bucket that is forgotten.
    """
    told = {"job": job_id, "from": from_s * _SECOND_US}
    for result, update in _UNDONE.items():
        cursor.execute(update, {**told, "result": result})
    cursor.execute(
        "DELETE FROM score_changes WHERE job_id = $job AND (timestamp >= make_timestamp($from)"
        " OR changed_time >= make_timestamp($from))",
        told,
    )
