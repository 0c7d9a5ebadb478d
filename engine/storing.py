"""Puts the predictions of a block where they are kept: whole, or without properties."""

import duckdb
import pyarrow as pa

from engine.arrays import whole
from engine.kept import BARE_COLUMNS, KEPT_COLUMNS, RARE_COLUMNS

__all__ = ["store_events"]

_WHOLE = ", ".join(KEPT_COLUMNS)
_WITHOUT = f"{', '.join(KEPT_COLUMNS[:-3])}, NULL, NULL, NULL"


def store_events(cursor: duckdb.DuckDBPyConnection, rows: pa.Table, *, bare: bool) -> None:
    """Store those of the rows that count, and leave all of them registered as `b_predictions`.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    rows : pyarrow.Table
        Columns `KEPT_COLUMNS` and `counted`.
    bare : bool
        Without properties.
    """
    table, columns = "events_kept", _WITHOUT if bare else _WHOLE
    if bare and all(rows[name].null_count == len(rows) for name in RARE_COLUMNS):
        table, columns = "events_bare", ", ".join(BARE_COLUMNS)
    cursor.register("b_predictions", rows)
    some = "" if whole(rows["counted"]).true_count == len(rows) else " WHERE counted"
    cursor.execute(f"INSERT INTO {table} SELECT {columns} FROM b_predictions{some}")
