"""Compaction of pane deltas: what many small blocks wrote becomes one row per series and pane.

A stream of ten events a second writes two blocks a second, each with a delta for every pane it
touches; large blocks hardly ever share a pane. So only small blocks are counted, and after every
`SMALL_BLOCKS` of them the deltas since the last compaction are merged. When that happens is a
function of the blocks alone, so a run that was killed and resumed merges alike.
"""

import duckdb

__all__ = ["SMALL_BLOCKS", "SMALL_LINES", "compact"]

SMALL_LINES = 4096
"""A block of fewer lines is small."""

SMALL_BLOCKS = 120
"""Small blocks between two compactions: about a minute at one commit every half second."""

_KEYS = {
    "total_panes": "model_id, time_basis, pane_s",
    "cell_panes": "model_id, time_basis, pane_s, label, prediction",
    "score_bins": "model_id, event_pane_s, label_pane_s, kind, label, prediction",
    "value_panes": "model_id, pane_s, property",
    "error_panes": "model_id, time_basis, pane_s",
    "probability_panes": "model_id, time_basis, pane_s",
    "bin_panes": "binning, version, pane_s, bin",
}

_ORDERED = "sum({0} ORDER BY block_seq) AS {0}"

# label_mean and label_m2 merge by Chan, Golub and LeVeque 1983, about the mean of all deltas.
_AMOUNTS = {
    "total_panes": "sum(events)::BIGINT AS events, sum(labelled)::BIGINT AS labelled",
    "cell_panes": "sum(count)::BIGINT AS count",
    "bin_panes": "sum(count)::BIGINT AS count",
    "score_bins": "list(bin ORDER BY bin) AS bins, list(count ORDER BY bin) AS counts",
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
    "score_bins": "SELECT {keys}, bin, sum(count)::BIGINT AS count, max(block_seq) AS block_seq"
    " FROM (SELECT * EXCLUDE (bins, counts), unnest(bins) AS bin, unnest(counts) AS count"
    " FROM ({rows})) GROUP BY {keys}, bin HAVING sum(count) <> 0",
    "error_panes": "SELECT *, sum(count * label_mean ORDER BY block_seq) OVER pane"
    " / sum(count) OVER pane AS all_mean FROM ({rows}) WINDOW pane AS (PARTITION BY {keys})",
}


def compact(cursor: duckdb.DuckDBPyConnection, since_seq: int) -> None:
    """Merge the deltas of all pane tables written by blocks from `since_seq` on."""
    for table, keys in _KEYS.items():
        rows = f"SELECT * FROM {table} WHERE block_seq >= {since_seq}"
        rows = _PREPARED.get(table, "{rows}").format(rows=rows, keys=keys)
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_merged AS SELECT {keys}, {_AMOUNTS[table]},"
            f" max(block_seq) AS block_seq FROM ({rows}) GROUP BY {keys}"
            f" HAVING {_not_empty(table)} ORDER BY {keys}"
        )
        cursor.execute(f"DELETE FROM {table} WHERE block_seq >= {since_seq}")
        cursor.execute(f"INSERT INTO {table} SELECT * FROM t_merged")


def _not_empty(table: str) -> str:
    if table == "total_panes":
        return "sum(events) <> 0 OR sum(labelled) <> 0"
    return "sum(count) <> 0"
