"""The panes of predictions, counted once each: how many, and the numbers of their properties.

Per (model, pane) the number of events; per numeric property count, sum, least and greatest, as
`engine.amounts` makes them. A replaced prediction is taken back: its count by -1, while the sums
and extremes of its pane are computed anew from the stored events, in line order, so that no residue
of a float stays.
"""

import duckdb
import pyarrow as pa

from engine.asking import number
from engine.kept import BARE
from engine.panes import NUMBERS, dirty_span, pane_of, text
from engine.schema import KNOWN

__all__ = ["EventSide"]

_KNOWN = f"({', '.join(map(text, sorted(KNOWN)))})"


class EventSide:
    """Writes what predictions counted for the first time add, and takes replaced ones back.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    pane_s : int
        Seconds a stored pane.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, pane_s: int) -> None:
        self._cursor = cursor
        self._pane_s = pane_s

    def write_totals(self, totals: pa.Table, block_seq: int) -> None:
        """Write how many events; `block_seq` is the block's first line number."""
        self._insert("total_panes", "model_id, 'event', pane_s, events, 0", totals, block_seq)

    def write_values(self, values: pa.Table, block_seq: int) -> None:
        """Write what `engine.amounts` calls values."""
        if len(values):
            columns = "model_id, pane_s, property, count, sum, min, max"
            self._insert("value_panes", columns, values, block_seq)

    def _insert(self, table: str, columns: str, rows: pa.Table, block_seq: int) -> None:
        self._cursor.register("b_amounts", rows)
        self._cursor.execute(f"INSERT INTO {table} SELECT {columns}, {block_seq} FROM b_amounts")
        self._cursor.unregister("b_amounts")

    def take_back(self, block_seq: int, series: str) -> pa.Table | None:
        """Uncount `t_replaced`; give the values of its panes, computed anew.

        Parameters
        ----------
        block_seq : int
            The block's first line number.
        series : str
            SQL over `e.model_id` for the series that an event is counted under.

        Returns
        -------
        pyarrow.Table or None
            None when there was nothing to take back.
        """
        cursor, pane = self._cursor, pane_of("e.event_time", self._pane_s)
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_dirty AS SELECT {series} AS model_id,"
            f" {pane} AS pane_s, count(*) AS events FROM t_replaced e GROUP BY ALL"
        )
        if not number(cursor, "SELECT count(*) FROM t_dirty"):
            return None
        cursor.execute(
            f"INSERT INTO total_panes SELECT model_id, 'event', pane_s, -events, 0, {block_seq}"
            " FROM t_dirty"
        )
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_recount AS SELECT {_RECOUNTED}"
            f" FROM {_STORED} e JOIN t_dirty d ON d.model_id = {series} AND d.pane_s = {pane}"
            f" WHERE {dirty_span('e.event_time', self._pane_s)}"
        )
        # Where properties were not stored, what a replaced event added to theirs stays.
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_bare AS SELECT DISTINCT model_id, pane_s"
            f" FROM t_recount WHERE {BARE}"
        )
        cursor.execute(
            "DELETE FROM value_panes USING t_dirty d WHERE value_panes.model_id = d.model_id"
            " AND value_panes.pane_s = d.pane_s AND (property IN ('prediction', 'score')"
            " OR (d.model_id, d.pane_s) NOT IN (FROM t_bare))"
        )
        values: pa.Table = cursor.sql(
            f"SELECT * FROM ({_RECOUNT}) WHERE property IN ('prediction', 'score')"
            " OR (model_id, pane_s) NOT IN (FROM t_bare)"
        ).to_arrow_table()
        return values

    def recount(self, bounds: str, series: str, block_seq: int) -> pa.Table:
        """Write the totals of the stored events within `bounds`, SQL; give their values."""
        pane = pane_of("e.event_time", self._pane_s)
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_recount AS SELECT e.seq,"
            f" {series} AS model_id, {pane} AS pane_s, {_SAID}"
            f" FROM {_STORED} e WHERE {bounds}"
        )
        self._cursor.execute(
            "INSERT INTO total_panes SELECT model_id, 'event', pane_s, count(*), 0,"
            f" {block_seq} FROM t_recount GROUP BY ALL ORDER BY ALL"
        )
        values: pa.Table = self._cursor.sql(_RECOUNT).to_arrow_table()
        return values


_STORED = "(SELECT * FROM events_stored ANTI JOIN events_retired USING (seq))"
_SAID = "e.line, e.shape_id, e.numbers, e.prediction_number, e.score"
_RECOUNTED = f"e.seq, d.model_id, d.pane_s, {_SAID}"


def _numbers_of(member: str) -> str:
    return (
        f"SELECT seq, model_id, pane_s, '{member}.' || j.key, j.value::DOUBLE"
        f" FROM t_recount, json_each(line, '$.{member}') j WHERE j.type IN {NUMBERS}"
    )


# The numbers of a stored event, under the names that the decoder gives them.
_RECOUNT = f"""
WITH long(seq, model_id, pane_s, property, value) AS (
    SELECT seq, model_id, pane_s, 'prediction', prediction_number
    FROM t_recount WHERE prediction_number IS NOT NULL
    UNION ALL
    SELECT seq, model_id, pane_s, 'score', score FROM t_recount WHERE score IS NOT NULL
    UNION ALL {_numbers_of("features")}
    UNION ALL {_numbers_of("predictions")}
    UNION ALL {_numbers_of("labels")}
    UNION ALL
    SELECT seq, model_id, pane_s, j.key, j.value::DOUBLE FROM t_recount, json_each(line) j
    WHERE j.type IN {NUMBERS} AND j.key NOT IN {_KNOWN}
    UNION ALL
    SELECT seq, model_id, pane_s, property, value FROM (
        SELECT seq, model_id, pane_s, unnest(names) AS property, unnest(numbers) AS value
        FROM t_recount JOIN shapes USING (shape_id)
    ) WHERE value IS NOT NULL
)
SELECT model_id, pane_s, property, count(*) AS count, sum(value ORDER BY seq) AS sum,
    min(value) AS min, max(value) AS max
FROM long GROUP BY ALL"""
