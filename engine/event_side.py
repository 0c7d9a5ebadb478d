"""Reduction of predictions, counted once each: how many, and the numbers of their properties.

Per (model, pane) the number of events; per numeric property count, sum, least and greatest. A
replaced prediction is taken back: its count by -1, while the sums and extremes of its pane are
computed anew from the stored events, in line order, so that no residue of a float stays.
"""

from collections.abc import Sequence

import duckdb

from engine.asking import number
from engine.panes import NUMBERS, dirty_span, pane_of, quoted, text
from engine.schema import KNOWN

__all__ = ["EventSide"]

_KNOWN = f"({', '.join(map(text, sorted(KNOWN)))})"


class EventSide:
    """Reduces the predictions counted for the first time, and takes replaced ones back.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With `b_predictions` (columns of events_log, `ordinal`, `counted`, `series_id`, property
        columns) and `b_sparse` (`ordinal`, `property`, `value`) registered.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, pane_s: int) -> None:
        self._cursor = cursor
        self._pane_s = pane_s

    def reduce(self, properties: Sequence[str], mixed: Sequence[str]) -> None:
        """Make `t_totals` of the block's counted rows and `t_values` of their properties.

        Parameters
        ----------
        properties : sequence of str
            Names of the property columns of `b_predictions`.
        mixed : sequence of str
            Names whose values lie in `b_sparse`, perhaps beside a column.
        """
        beside = set(mixed)
        wide = [_statistics(quoted(name), name) for name in properties if name not in beside]
        wide += [_statistics("prediction_number", "prediction"), _statistics("score", "score")]
        # One pass over the block: first by (model, pane), then one row per property.
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_wide AS SELECT series_id AS model_id,"
            f" {pane_of('event_time', self._pane_s)} AS pane_s, count(*) AS events,"
            f" [{', '.join(wide)}] AS statistics"
            " FROM b_predictions WHERE counted GROUP BY ALL"
        )
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_totals AS SELECT model_id, pane_s, events FROM t_wide"
        )
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_values AS SELECT model_id, pane_s, s.property,"
            " s.count, s.sum, s.min, s.max"
            " FROM (SELECT model_id, pane_s, unnest(statistics) AS s FROM t_wide) WHERE s.count > 0"
        )
        if mixed:
            self._reduce_long([name for name in properties if name in beside])

    def _reduce_long(self, columns: Sequence[str]) -> None:
        # A sum must not depend on which values sat in a column, so both are summed in line order.
        long = ["SELECT ordinal, property, value FROM b_sparse"]
        long += [
            f"SELECT ordinal, {text(name)}, {quoted(name)} FROM b_predictions"
            f" WHERE {quoted(name)} IS NOT NULL"
            for name in columns
        ]
        self._cursor.execute(
            "INSERT INTO t_values SELECT p.series_id,"
            f" {pane_of('p.event_time', self._pane_s)} AS pane_s, l.property, count(*),"
            " sum(l.value ORDER BY l.ordinal), min(l.value), max(l.value)"
            f" FROM ({' UNION ALL '.join(long)}) l JOIN b_predictions p USING (ordinal)"
            " WHERE p.counted GROUP BY ALL"
        )

    def write_totals(self, block_seq: int) -> None:
        """Write `t_totals`; `block_seq` is the block's first line number."""
        self._cursor.execute(
            "INSERT INTO total_panes SELECT model_id, 'event', pane_s, events, 0,"
            f" {block_seq} FROM t_totals"
        )

    def write_values(self, block_seq: int, *, merged: bool) -> None:
        """Write `t_values`; `merged`: a limit may have put several properties under one name."""
        if not merged:
            self._cursor.execute(
                "INSERT INTO value_panes SELECT model_id, pane_s, property, count, sum, min, max,"
                f" {block_seq} FROM t_values"
            )
            return
        self._cursor.execute(
            "INSERT INTO value_panes SELECT model_id, pane_s, property, sum(count),"
            f" sum(sum ORDER BY sum), min(min), max(max), {block_seq}"
            " FROM t_values GROUP BY model_id, pane_s, property ORDER BY ALL"
        )

    def take_back(self, block_seq: int, series: str) -> bool:
        """Uncount `t_replaced` and make `t_values` of its panes, computed anew.

        Parameters
        ----------
        block_seq : int
            The block's first line number.
        series : str
            SQL over `e.model_id` for the series that an event is counted under.

        Returns
        -------
        bool
            Whether there was anything to take back.
        """
        cursor, pane = self._cursor, pane_of("e.event_time", self._pane_s)
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_dirty AS SELECT {series} AS model_id,"
            f" {pane} AS pane_s, count(*) AS events FROM t_replaced e GROUP BY ALL"
        )
        if not number(cursor, "SELECT count(*) FROM t_dirty"):
            return False
        cursor.execute(
            f"INSERT INTO total_panes SELECT model_id, 'event', pane_s, -events, 0, {block_seq}"
            " FROM t_dirty"
        )
        cursor.execute(
            "DELETE FROM value_panes USING t_dirty d"
            " WHERE value_panes.model_id = d.model_id AND value_panes.pane_s = d.pane_s"
        )
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_recount AS SELECT {_RECOUNTED}"
            f" FROM {_STORED} e JOIN t_dirty d ON d.model_id = {series} AND d.pane_s = {pane}"
            f" WHERE {dirty_span('e.event_time', self._pane_s)}"
        )
        cursor.execute(_RECOUNT)
        return True

    def recount(self, bounds: str, series: str, block_seq: int) -> None:
        """Write the totals of the stored events within `bounds`, SQL; make their `t_values`."""
        pane = pane_of("e.event_time", self._pane_s)
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_recount AS SELECT e.seq,"
            f" {series} AS model_id, {pane} AS pane_s, e.raw, e.prediction_number, e.score"
            f" FROM {_STORED} e WHERE {bounds}"
        )
        self._cursor.execute(
            "INSERT INTO total_panes SELECT model_id, 'event', pane_s, count(*), 0,"
            f" {block_seq} FROM t_recount GROUP BY ALL ORDER BY ALL"
        )
        self._cursor.execute(_RECOUNT)


_STORED = "(SELECT * FROM events_log ANTI JOIN events_retired USING (seq))"
_RECOUNTED = "e.seq, d.model_id, d.pane_s, e.raw, e.prediction_number, e.score"


def _statistics(column: str, name: str) -> str:
    return (
        f"{{'property': {text(name)}, 'count': count({column}), 'sum': sum({column}),"
        f" 'min': min({column}), 'max': max({column})}}"
    )


def _numbers_of(member: str) -> str:
    return (
        f"SELECT seq, model_id, pane_s, '{member}.' || j.key, j.value::DOUBLE"
        f" FROM t_recount, json_each(raw, '$.{member}') j WHERE j.type IN {NUMBERS}"
    )


# The numbers of a stored event, under the names that the decoder gives them.
_RECOUNT = f"""
CREATE OR REPLACE TEMP TABLE t_values AS
WITH long(seq, model_id, pane_s, property, value) AS (
    SELECT seq, model_id, pane_s, 'prediction', prediction_number
    FROM t_recount WHERE prediction_number IS NOT NULL
    UNION ALL
    SELECT seq, model_id, pane_s, 'score', score FROM t_recount WHERE score IS NOT NULL
    UNION ALL {_numbers_of("features")}
    UNION ALL {_numbers_of("predictions")}
    UNION ALL {_numbers_of("labels")}
    UNION ALL
    SELECT seq, model_id, pane_s, j.key, j.value::DOUBLE FROM t_recount, json_each(raw) j
    WHERE j.type IN {NUMBERS} AND j.key NOT IN {_KNOWN}
)
SELECT model_id, pane_s, property, count(*) AS count, sum(value ORDER BY seq) AS sum,
    min(value) AS min, max(value) AS max
FROM long GROUP BY ALL"""
