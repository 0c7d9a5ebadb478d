"""Compaction of pane deltas: what many blocks wrote becomes one row per series and pane.

A stream of ten events a second writes two blocks a second, each with a delta for every pane it
touches; one of 30,000 a second does the same. Blocks of a history that is read hardly ever share a
pane, but for what late labels change, and merging them would be for nothing. So, after `BLOCKS`
blocks or `LINES` lines, the deltas since the last time are merged in those tables where a row in
two can be saved. When that happens is a function of the blocks alone, so a run that was killed and
resumed merges alike.
"""

import duckdb
import numpy as np
import pyarrow as pa

from engine.amounts import binned, coded, group, join_codes
from engine.arrays import Ints, whole
from engine.asking import number

__all__ = ["BLOCKS", "LINES", "compact"]

BLOCKS = 120
"""Blocks between two looks: about a minute at one commit every half second."""

LINES = 1 << 21
"""Lines between two looks: to merge their panes takes some tenths of a second."""

_KEYS = {
    "total_panes": "model_id, time_basis, pane_s",
    "cell_panes": "model_id, time_basis, pane_s, label, prediction",
    "value_panes": "model_id, pane_s, property",
    "error_panes": "model_id, time_basis, pane_s",
    "probability_panes": "model_id, time_basis, pane_s",
    "bin_panes": "binning, version, pane_s, bin",
}

_CELL = "model_id, event_pane_s, label_pane_s, kind, label, prediction"

_ORDERED = "sum({0} ORDER BY block_seq) AS {0}"

# label_mean and label_m2 merge by Chan, Golub and LeVeque 1983, about the mean of all deltas.
_AMOUNTS = {
    "total_panes": "sum(events)::BIGINT AS events, sum(labelled)::BIGINT AS labelled",
    "cell_panes": "sum(count)::BIGINT AS count",
    "bin_panes": "sum(count)::BIGINT AS count",
    "value_panes": f"sum(count)::BIGINT AS count, {_ORDERED.format('sum')},"
    " min(min) AS min, max(max) AS max",
    "error_panes": f"sum(count)::BIGINT AS count, {_ORDERED.format('squared_error')},"
    f" {_ORDERED.format('absolute_error')}, any_value(all_mean) AS label_mean,"
    " sum(label_m2 + count * (label_mean - all_mean) * (label_mean - all_mean)"
    " ORDER BY block_seq) AS label_m2",
    "probability_panes": f"sum(count)::BIGINT AS count, {_ORDERED.format('log_loss')},"
    f" {_ORDERED.format('brier')}",
}


_PREPARED = {
    "error_panes": "SELECT *, sum(count * label_mean ORDER BY block_seq) OVER pane"
    " / sum(count) OVER pane AS all_mean FROM ({rows}) WINDOW pane AS (PARTITION BY {keys})",
}


def compact(cursor: duckdb.DuckDBPyConnection, since_seq: int) -> None:
    """Merge the deltas of pane tables written by blocks from `since_seq` on, where it pays."""
    for table, keys in _KEYS.items():
        if not _shared(cursor, table, keys, since_seq):
            continue
        rows = f"SELECT * FROM {table} WHERE block_seq >= {since_seq}"
        rows = _PREPARED.get(table, "{rows}").format(rows=rows, keys=keys)
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_merged AS SELECT {keys}, {_AMOUNTS[table]},"
            f" max(block_seq) AS block_seq FROM ({rows}) GROUP BY {keys}"
            f" HAVING {_not_empty(table)} ORDER BY {keys}"
        )
        cursor.execute(f"DELETE FROM {table} WHERE block_seq >= {since_seq}")
        cursor.execute(f"INSERT INTO {table} SELECT * FROM t_merged")
    if _shared(cursor, "score_bins", _CELL, since_seq):
        _merge_bins(cursor, since_seq)


def _shared(cursor: duckdb.DuckDBPyConnection, table: str, keys: str, since_seq: int) -> bool:
    """Tell whether merging leaves half of the rows at most."""
    mine = f"FROM {table} WHERE block_seq >= {since_seq}"
    rows = number(cursor, f"SELECT count(*) {mine}")
    return rows >= 2 and rows >= 2 * number(
        cursor, f"SELECT count(*) FROM (SELECT DISTINCT {keys} {mine})"
    )


def _not_empty(table: str) -> str:
    if table == "total_panes":
        return "sum(events) <> 0 OR sum(labelled) <> 0"
    return "sum(count) <> 0"


def _merge_bins(cursor: duckdb.DuckDBPyConnection, since_seq: int) -> None:
    """Merge the score bins: as many as there were lines, too many for lists taken apart by SQL."""
    mine = f"score_bins WHERE block_seq >= {since_seq}"
    rows = cursor.sql(f"SELECT * FROM {mine}").to_arrow_table()
    texts = {name: coded(rows[name]) for name in ("model_id", "kind", "label", "prediction")}
    panes = {name: _numbered(rows[name]) for name in ("event_pane_s", "label_pane_s")}
    codes = [(each.code, each.size) for each in texts.values()]
    codes += [(code, len(values)) for code, values in panes.values()]
    cells = group(*join_codes(*codes))
    bins, counts = whole(rows["bins"]), whole(rows["counts"])
    cell = np.repeat(cells.of_row, np.diff(np.asarray(bins.offsets)))
    weight = np.asarray(counts.flatten())
    present, places, amounts = binned(
        cell, len(cells), np.asarray(bins.flatten()).astype(np.int64), weight
    )
    row = cells.first()[present]
    latest = np.zeros(len(cells), np.int64)
    np.maximum.at(latest, cells.of_row, np.asarray(whole(rows["block_seq"])))
    found = {name: each.texts(each.code[row]) for name, each in texts.items()}
    found |= {name: pa.array(values[code[row]]) for name, (code, values) in panes.items()}
    found |= {"bins": places, "counts": amounts, "block_seq": pa.array(latest[present])}
    cursor.execute(f"DELETE FROM {mine}")
    cursor.register("b_merged", pa.table(found))
    cursor.execute(
        f"INSERT INTO score_bins SELECT {', '.join(rows.column_names)} FROM b_merged"
        f" ORDER BY {_CELL}"
    )
    cursor.unregister("b_merged")


def _numbered(column: "pa.ChunkedArray[pa.Int64Scalar]") -> tuple[Ints, Ints]:
    """Give the place of each value among the distinct ones, and these."""
    values, code = np.unique(np.asarray(whole(column)), return_inverse=True)
    return code.reshape(-1).astype(np.int64), values
