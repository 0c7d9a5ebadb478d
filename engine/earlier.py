"""The stored predictions that a block touches: the last from memory, older ones by search."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.alone import Alone, alone
from engine.arrays import Flags, Ints, flags, whole
from engine.asking import number
from engine.recent import Recent
from engine.seen import SEGMENT_BITS, Keys, Seen, keys_of

__all__ = ["LISTED", "Earlier"]

# What pairing needs of a stored event. The raw line is by far the widest column and is fetched for
# ties alone: reading it took ten times as long as all others together.
_NUMBERS = ("prediction_number", "label_number", "score", "positive_score")
_WHO = ("key", "model_id", "event_id")
_NEEDED = ("seq", *_WHO, "event_time", "prediction", "label", "job_id", *_NUMBERS)
LISTED = ", ".join(_NEEDED)
"""The columns of `t_old`, as SQL."""
_KNOWN: dict[str, pa.DataType] = dict.fromkeys(_NUMBERS, pa.float64())
_KNOWN |= {"seq": pa.int64(), "key": pa.uint64(), "event_time": pa.timestamp("us")}
_SCHEMA = pa.schema([(name, _KNOWN.get(name, pa.string())) for name in _NEEDED])


class Earlier:
    """Finds stored predictions by their keys.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`; after a rollback another one must be made.
    seen : Seen
        The filter over all stored keys.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seen: Seen) -> None:
        self._cursor, self._seen = cursor, seen
        self._recent = Recent(number(cursor, "SELECT coalesce(max(next_seq), 0) FROM clock"))

    def add(self, rows: pa.Table, order: Ints | None) -> None:
        """Take in the predictions of a block.

        Parameters
        ----------
        rows : pyarrow.Table
            Columns of `events_log`, `counted` and `fresh`.
        order : int, shape (n,), optional
            The rows in order of their keys.
        """
        counted, stored = whole(rows["counted"]), rows.select(_NEEDED)
        if counted.true_count < len(rows):
            stored, order = stored.filter(counted), None
        self._recent.add(stored, order)
        self._recent.touch(rows["seq"].to_numpy()[~flags(whole(rows["fresh"]))])

    def replace(self) -> None:
        """Leave out from now on what `t_replaced` holds."""
        replaced = self._cursor.sql("SELECT seq FROM t_replaced").fetchnumpy()
        self._recent.replace(np.asarray(replaced["seq"]))

    def drop(self, segment: int) -> None:
        """Forget a segment of lines that is not stored any more."""
        self._recent.begin((segment + 1) << SEGMENT_BITS)

    def alone(self, rows: pa.Table, votes: pa.Table) -> Alone:
        """Find the votes of a block that stand alone on a prediction of it, or one held here.

        `rows` are the block's own predictions that have a vote, or may stand against others.
        """
        near = _filled(self._recent.find(np.unique(keys_of(votes))))
        own = rows.select(_NEEDED)
        touched = self._recent.touched(near["seq"].to_numpy())
        # What was never seen has met nothing, and nothing of it is stored.
        touched = np.append(touched, self._seen.ask(keys_of(own)).flags)
        found = alone(near, own, touched, votes)
        self._recent.touch(found.events["seq"].to_numpy()[~found.new])
        return found

    def fetch(self, touched: pa.Table, rows: pa.Table, votes: pa.Table) -> None:
        """Make `t_old`: the stored predictions that hold and have a touched key, by line.

        Parameters
        ----------
        touched : pyarrow.Table
            Column `key`, uint64, distinct and ascending.
        rows, votes : pyarrow.Table
            The block's own predictions and votes that have these keys.
        """
        near = self._recent.find(keys_of(touched))
        # Whatever replaced a row that is held here is held here, too, and of one id one row holds.
        far = _not_among(near, pa.concat_tables([each.select(_WHO) for each in (rows, votes)]))
        older, parts = self._seen.ask(far), []
        if older.segments and older.segments[0] << SEGMENT_BITS < self._recent.since:
            # Only the segments that may hold such a key are scanned: seq prunes by row group.
            self._cursor.register("b_far", pa.table({"key": far[older.flags]}))
            parts.append(
                f"SELECT {LISTED} FROM events_stored SEMI JOIN b_far USING (key)"
                " ANTI JOIN events_retired USING (seq)"
                f" WHERE seq < {self._recent.since} AND {older.where}"
            )
        if near is not None:
            self._recent.touch(near["seq"].to_numpy())
            self._cursor.register("b_near", _filled(near))
            parts.append(f"SELECT {LISTED} FROM b_near")
        found = " UNION ALL ".join(parts) or f"SELECT {LISTED} FROM events_stored LIMIT 0"
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_old AS {found}")
        for name in ("b_far", "b_near"):
            self._cursor.unregister(name)


def _not_among(rows: pa.Table | None, asked: pa.Table) -> Keys:
    """Give the keys asked whose model and id none of the rows has, ascending.

    A row of another id, whose key is the same by chance, does not count.
    """
    keys = keys_of(asked)
    if rows is None:
        return np.unique(keys)
    known = keys_of(rows)
    order = np.argsort(known, kind="stable")
    place = order[np.minimum(np.searchsorted(known[order], keys), len(known) - 1)]
    same: Flags = known[place] == keys
    for name in _WHO[1:]:
        same &= flags(pc.equal(whole(rows[name]).take(pa.array(place)), whole(asked[name])))
    return np.unique(keys[~same])


def _filled(rows: pa.Table | None) -> pa.Table:
    """Give stored rows with all columns; those without any value are left out there."""
    if rows is None:
        return _SCHEMA.empty_table()
    empty = {name: pa.nulls(len(rows), _SCHEMA.field(name).type) for name in _NEEDED}
    there = {name: rows[name] for name in rows.column_names}
    return pa.table({**empty, **there}).select(_NEEDED)
