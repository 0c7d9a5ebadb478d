"""Runs and ingests as rows: read from their lines, and one winner for each id.

Of several events of one type and id the greatest (event time, canonical JSON) is in force. The
canonical text writes integers beyond 64 bits as doubles, so the two fields that may hold one, of
`version` and `strike`, decide what it cannot.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from engine.asking import number
from engine.panes import text
from engine.processing.processing_tables import INGEST_AMOUNTS, RUN_TIMES
from engine.seen import Hits

__all__ = [
    "HAPPENINGS",
    "Happening",
    "block_lines",
    "in_force",
    "rows_of",
    "settle",
    "stored_lines",
]


@dataclass(frozen=True, slots=True)
class Happening:
    """A type of event that is counted by hour, and its columns beside id and time.

    Attributes
    ----------
    type, log : str
        Of the event, and the table that keeps its rows.
    texts, amounts : tuple of str
        Fields that are text or ids, and fields that are numbers.
    spelled : str
        The field that the canonical JSON may not tell apart: an integer of any length.
    """

    type: str
    log: str
    texts: tuple[str, ...]
    amounts: tuple[str, ...]
    spelled: str

    @property
    def columns(self) -> str:
        """The columns of the log, in its order."""
        return ", ".join(("seq", "key", "id", "event_time", *self.texts, *self.amounts))


HAPPENINGS = (
    Happening(
        "run",
        "runs_log",
        ("job_type", "version", "status", "error_category"),
        RUN_TIMES,
        "version",
    ),
    Happening("ingest", "ingests_log", ("strike", "status"), INGEST_AMOUNTS, "strike"),
)


def block_lines(block_seq: int) -> str:
    """Give SQL for the other events of the block at hand, registered as `b_others`."""
    return (
        f"SELECT {block_seq} + ordinal AS seq, type, event_id AS id,"
        " make_timestamp(event_us) AS event_time, raw FROM b_others"
    )


def stored_lines(low: int, high: int) -> str:
    """Give SQL for the other events stored from line `low` to before line `high`."""
    return (
        "SELECT seq, type, event_id AS id, event_time, raw FROM other_events"
        f" WHERE seq >= {low} AND seq < {high}"
    )


def rows_of(happening: Happening, lines: str) -> str:
    """Give SQL for the rows of one type, with the columns of its log, from what `lines` gives."""
    # The lines were checked when they came: a text field is a string, or for ids also an integer,
    # whose digits DuckDB keeps; a number is one that fits a double.
    kinds = [f'"{name}":"VARCHAR"' for name in happening.texts]
    kinds += [f'"{name}":"DOUBLE"' for name in happening.amounts]
    structure = text("{" + ",".join(kinds) + "}")
    fields = ", ".join(f"said.{name}" for name in (*happening.texts, *happening.amounts))
    kind = text(happening.type)
    return (
        f"SELECT seq, hash({kind}, id) AS key, id, event_time, {fields} FROM (SELECT seq, id,"
        f" event_time, from_json(raw, {structure}) AS said FROM ({lines}) WHERE type = {kind})"
    )


def in_force(happening: Happening, where: str = "true") -> str:
    """Give SQL for the stored rows of one type that no other one has replaced."""
    return (
        f"SELECT * FROM (SELECT * FROM {happening.log} WHERE {where})"
        " ANTI JOIN processing_retired USING (seq)"
    )


def settle(
    cursor: duckdb.DuckDBPyConnection,
    happening: Happening,
    lines: str,
    canonical: Callable[[str], str],
    hits: Hits,
) -> int:
    """Decide which rows of the touched keys are in force.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With the new rows in `t_happened` and the touched keys registered as `touched`.
    happening : Happening
    lines : str
        SQL that gave the new rows.
    canonical : callable
        Canonical JSON of a raw event.
    hits : Hits
        Where stored rows of the touched keys may lie.

    Returns
    -------
    int
        How many stored rows were replaced. They stand in `t_happened_before`, and in
        `processing_retired`; new rows that lost are no longer in `t_happened`.
    """
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_happened_before AS SELECT * FROM"
        f" ({in_force(happening, hits.where)}) SEMI JOIN touched USING (key)"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_happened_rivals AS"
        f" SELECT seq, id, event_time, {happening.spelled} AS spelled, false AS is_new"
        " FROM t_happened_before UNION ALL"
        f" SELECT seq, id, event_time, {happening.spelled}, true"
        " FROM t_happened SEMI JOIN touched USING (key)"
    )
    cursor.register("b_canonical", _break_ties(cursor, lines, canonical))
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_happened_lost AS SELECT seq FROM t_happened_rivals"
        " LEFT JOIN b_canonical USING (seq) QUALIFY row_number() OVER (PARTITION BY id"
        " ORDER BY event_time DESC, canonical DESC NULLS LAST, spelled DESC NULLS LAST, seq) > 1"
    )
    cursor.unregister("b_canonical")
    cursor.execute("DELETE FROM t_happened WHERE seq IN (SELECT seq FROM t_happened_lost)")
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_happened_before AS"
        " SELECT * FROM t_happened_before SEMI JOIN t_happened_lost USING (seq)"
    )
    return number(
        cursor, "INSERT INTO processing_retired SELECT seq FROM t_happened_before ORDER BY seq"
    )


def _break_ties(
    cursor: duckdb.DuckDBPyConnection, lines: str, canonical: Callable[[str], str]
) -> pa.Table:
    """Give the canonical JSON of rivals with the same id and time, where their lines differ."""
    tied = number(
        cursor,
        "CREATE OR REPLACE TEMP TABLE t_happened_ties AS SELECT seq, id, event_time, is_new"
        " FROM t_happened_rivals QUALIFY count(*) OVER (PARTITION BY id, event_time) > 1",
    )
    found: list[tuple[int, str]] = []
    if tied:
        old = "SELECT min(seq) AS low, max(seq) AS high FROM t_happened_ties WHERE NOT is_new"
        low, high = cursor.execute(old).fetchall()[0]
        sources = f"SELECT seq, raw FROM ({lines})"
        if low is not None:  # the raw lines are by far the widest column: read the old ones alone
            sources += f" UNION ALL SELECT seq, raw FROM ({stored_lines(low, high + 1)})"
        found = cursor.execute(
            "SELECT seq, raw FROM (SELECT t.*, r.raw FROM t_happened_ties t"
            f" JOIN ({sources}) r USING (seq)) WINDOW tie AS (PARTITION BY id, event_time)"
            " QUALIFY min(raw) OVER tie <> max(raw) OVER tie"
        ).fetchall()
    return pa.table(
        {
            "seq": pa.array([seq for seq, _ in found], pa.int64()),
            "canonical": pa.array([canonical(raw) for _, raw in found], pa.string()),
        }
    )
