"""What runs and ingests add to each UTC hour of a choice, as rows that add up.

A *board* is a catalogue's table of hours: which rows of which log it counts, by which choice. Each
block adds one delta a choice and hour. Counts, sums, minima and maxima of deltas merge; they are
never taken back: an hour in which a row was replaced is computed anew from the log. Sums go in the
order of the lines and then of the blocks, so one sequence of blocks always gives one result.
"""

import hashlib
from dataclasses import dataclass

import duckdb

from engine.asking import first, number
from engine.panes import pane_of, text
from engine.processing.happenings import HAPPENINGS, Happening, in_force
from engine.processing.processing_tables import DROPPED, INGEST_AMOUNTS, MERGED, RUN_TIMES

__all__ = ["BOARDS", "HOUR_S", "Board", "add", "choice_of", "keep_dropped", "merge", "recount"]

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Board:
    """One table of hours.

    Attributes
    ----------
    catalogue, table : str
    happening : Happening
        Whose rows it counts.
    name, version : str
        SQL over the log that makes a choice; rows without a name are not counted.
    counts : dict of str to str
        Column of the table to SQL that says which rows it counts.
    amounts : tuple of str
    """

    catalogue: str
    table: str
    happening: Happening
    name: str
    version: str
    counts: dict[str, str]
    amounts: tuple[str, ...]


_RUN, _INGEST = HAPPENINGS
_ALL = {"total": "true"}
_BY_STATUS = {
    "completed": "lower(status) = 'completed'",
    "failed": "lower(status) = 'failed'",
    "canceled": "lower(status) IN ('canceled', 'cancelled')",
}
_BY_ERROR = {
    f"error_{name}": f"lower(error_category) = '{name}'" for name in ("system", "data", "algorithm")
}
_OF_INGEST = {
    name: f"lower(status) = '{name}'" for name in ("deferred", "ingested", "errored", "duplicate")
}

BOARDS = (
    Board(
        "job-types",
        "run_hours",
        _RUN,
        "job_type",
        "version",
        {**_BY_STATUS, **_ALL, **_BY_ERROR},
        RUN_TIMES,
    ),
    Board(
        "ingests",
        "ingest_hours",
        _INGEST,
        "strike",
        "NULL::VARCHAR",
        {**_OF_INGEST, **_ALL},
        INGEST_AMOUNTS,
    ),
    Board("errors", "error_hours", _RUN, "error_category", "NULL::VARCHAR", _ALL, ()),
)


def choice_of(catalogue: str, name: str, version: str | None = None) -> int:
    """Give the id of a choice, a number below 2^53, as `processing_choices` has it.

    >>> choice_of("job-types", "parse", "1.0")
    3142931126110200
    """
    named = f"{catalogue}:{len(name)}:{name}" + ("" if version is None else f":{version}")
    digest = hashlib.md5(named.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") >> 11


def add(cursor: duckdb.DuckDBPyConnection, board: Board, block_seq: int, *, replaced: bool) -> None:
    """Add what the rows of `t_happened` bring.

    Where rows of `t_happened_before` were replaced (`replaced`), their hours are computed anew from
    the log, which holds the new rows already.
    """
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE t_hours AS {_sums(board, 'FROM t_happened', block_seq)}"
    )
    added = "SELECT * EXCLUDE (name, version) FROM t_hours"
    if replaced:
        recount(cursor, board, "FROM t_happened_before")
        added += " ANTI JOIN t_hours_stale USING (choice_id, hour_s)"
    cursor.execute(f"INSERT INTO {board.table} BY NAME {added}")
    # After the hours of replaced rows: one that moved may have left its choice empty for a moment.
    cursor.execute(
        "INSERT INTO processing_choices"
        f" SELECT DISTINCT {text(board.catalogue)}, choice_id, name, version FROM t_hours"
        " WHERE choice_id NOT IN (SELECT choice_id FROM processing_choices"
        f" WHERE catalogue = {text(board.catalogue)}) ORDER BY name, version"
    )


def recount(cursor: duckdb.DuckDBPyConnection, board: Board, rows: str) -> None:
    """Compute the hours of some rows anew from the log; leaves them in `t_hours_stale`.

    `rows` is SQL that gives columns of the log. An hour, and a choice, that nothing is left of is
    deleted. What lines added that are no longer stored stays.
    """
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_hours_stale AS SELECT DISTINCT choice_id, name, version,"
        f" hour_s FROM ({_sums(board, rows, 0)})"
    )
    low, high = first(cursor, "SELECT min(hour_s), max(hour_s) FROM t_hours_stale") or (None, None)
    if low is None:
        return
    stale = f"block_seq >= {MERGED} AND hour_s >= {low} AND hour_s <= {high}"
    cursor.execute(
        f"DELETE FROM {board.table} WHERE {stale}"
        " AND (choice_id, hour_s) IN (SELECT choice_id, hour_s FROM t_hours_stale)"
    )
    # The bounds of time are constants, by which the scan of the log prunes.
    stored = in_force(
        board.happening,
        f"event_time >= make_timestamp({low * 1_000_000})"
        f" AND event_time < make_timestamp({(high + HOUR_S) * 1_000_000})",
    )
    touched = (
        f"FROM (SELECT l.* FROM ({stored}) l JOIN t_hours_stale s ON s.name = l.{board.name}"
        f" AND s.version IS NOT DISTINCT FROM {_of_log(board.version)}"
        f" AND s.hour_s = {pane_of('l.event_time', HOUR_S)} ORDER BY l.seq)"
    )
    cursor.execute(
        f"INSERT INTO {board.table} BY NAME SELECT * EXCLUDE (name, version)"
        f" FROM ({_sums(board, touched, MERGED)}) ORDER BY hour_s, choice_id"
    )
    cursor.execute(
        f"DELETE FROM processing_choices WHERE catalogue = {text(board.catalogue)}"
        " AND choice_id IN (SELECT choice_id FROM t_hours_stale)"
        f" AND choice_id NOT IN (SELECT choice_id FROM {board.table})"
    )


def keep_dropped(cursor: duckdb.DuckDBPyConnection, board: Board, rows: str) -> None:
    """Keep what some rows, which leave the log, have added; `rows` as for `recount`."""
    cursor.execute(
        f"INSERT INTO {board.table} BY NAME SELECT * EXCLUDE (name, version)"
        f" FROM ({_sums(board, rows, DROPPED)}) ORDER BY hour_s, choice_id"
    )


def merge(cursor: duckdb.DuckDBPyConnection, board: Board, least: int) -> None:
    """Merge the deltas into one row a choice and hour, once there are many of them.

    Many are more than `least`, and than a quarter of all rows: so a merge costs each delta a fixed
    amount, and a reader meets few rows more than there are hours. When it happens follows from the
    rows alone, so a run that was killed and resumed merges alike.
    """
    deltas = number(cursor, f"SELECT count(*) FROM {board.table} WHERE block_seq >= 0")
    if deltas <= max(least, number(cursor, f"SELECT count(*) FROM {board.table}") // 4):
        return
    low, high = first(
        cursor, f"SELECT min(hour_s), max(hour_s) FROM {board.table} WHERE block_seq >= 0"
    ) or (0, 0)
    touched = (
        f"block_seq >= {MERGED} AND hour_s >= {low} AND hour_s <= {high} AND (choice_id, hour_s)"
        f" IN (SELECT choice_id, hour_s FROM {board.table} WHERE block_seq >= 0)"
    )
    sums = [f"sum({name})::BIGINT AS {name}" for name in board.counts]
    for name in board.amounts:
        sums += [f"sum({name}_n)::BIGINT AS {name}_n", f"sum({name}_sum) AS {name}_sum"]
        sums += [f"{end}({name}_{end}) AS {name}_{end}" for end in ("min", "max")]
    # Rows stand in the order in which they were written, and one thread sums them in that order.
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE t_hours AS SELECT choice_id, hour_s, {', '.join(sums)},"
        f" {MERGED} AS block_seq FROM {board.table} WHERE {touched} GROUP BY choice_id, hour_s"
    )
    cursor.execute(f"DELETE FROM {board.table} WHERE {touched}")
    cursor.execute(
        f"INSERT INTO {board.table} BY NAME SELECT * FROM t_hours ORDER BY hour_s, choice_id"
    )


def _sums(board: Board, rows: str, block_seq: int) -> str:
    """Sum rows of the log by choice and hour: the table's columns, and `name` and `version`."""
    choice = (
        f"(md5_number_lower('{board.catalogue}:' || length(name) || ':' || name"
        " || coalesce(':' || version, '')) >> 11)::BIGINT"
    )
    sums = [f"count(*) FILTER ({which}) AS {column}" for column, which in board.counts.items()]
    for column in board.amounts:
        sums += [f"count({column}) AS {column}_n", f"coalesce(sum({column}), 0) AS {column}_sum"]
        sums += [f"{end}({column}) AS {column}_{end}" for end in ("min", "max")]
    return (
        f"SELECT {choice} AS choice_id, * FROM (SELECT {pane_of('event_time', HOUR_S)} AS hour_s,"
        f" {board.name} AS name, {board.version} AS version, {', '.join(sums)},"
        f" {block_seq}::BIGINT AS block_seq {rows} GROUP BY ALL)"
        " WHERE name IS NOT NULL"
    )


def _of_log(column: str) -> str:
    return f"l.{column}" if column.isidentifier() else column
