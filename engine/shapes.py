"""The shapes of plain predictions in the store: a block's rows as the table keeps them.

A row whose names are all in a known shape, which is not much larger, borrows that one. Beyond a
number of shapes, which the macros (`engine.kept`) have in their text, rows are kept as JSON.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array, Flags, doubles, flags, validity, whole
from engine.kept import json_sql, make_macros, stored_shapes
from engine.typed import Shape, lists_of

__all__ = ["Shapes"]

_MOST_SHAPES, _MOST_NAMES = 64, 1024
_ROOMY = 2  # a shape may have so many times the names of the rows that borrow it


class Shapes:
    """The shapes in the store; those of a block are added as it comes.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        The writer, inside its transaction; after a rollback another one must be made.
    most : tuple of int
        So many shapes, with so many names in all, are stored at most.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        most: tuple[int, int] = (_MOST_SHAPES, _MOST_NAMES),
    ) -> None:
        self._cursor = cursor
        self._most = most
        self._known = stored_shapes(cursor)

    def kept(self, rows: pa.Table, shapes: Sequence[Shape]) -> pa.Table:
        """Give the rows of a block with `line` and `shape_id` in place of `raw` and `shape`.

        Parameters
        ----------
        rows : pyarrow.Table
            Predictions as in `engine.batch.Batch`, with `event_time`.
        shapes : sequence of Shape
            The shapes of the block.
        """
        own, line, numbers = (whole(rows[name]) for name in ("shape", "raw", "numbers"))
        ids: list[int | None] = []
        for place, names in enumerate(shapes):
            target = self._admit(names)
            ids.append(None if target is None else self._known[target])
            if target == names:
                continue
            mine = flags(pc.equal(own, pa.scalar(place, pa.int32())).fill_null(fill_value=False))
            some = pa.array(mine)
            if target is None:
                line = _put(line, mine, self._texts(rows.filter(some), names))
                numbers = _put(numbers, mine, pa.nulls(int(mine.sum()), numbers.type))
            else:
                numbers = _put(numbers, mine, _moved(numbers.filter(some), names, target))
        found = rows.drop_columns(["raw", "shape", "numbers"])
        shape_id = pa.array(ids, pa.int32()).take(own)
        for name, column in (("line", line), ("shape_id", shape_id), ("numbers", numbers)):
            found = found.append_column(name, column)
        return found

    def _admit(self, names: Shape) -> Shape | None:
        """Give the shape that rows with these names are stored under; None: there is no room."""
        if names in self._known:
            return names
        wanted, known = set(names), self._known
        roomy = [one for one in known if len(one) <= _ROOMY * len(names) and wanted <= set(one)]
        if roomy:
            return min(roomy, key=len)
        count, total = self._most
        if len(known) >= count or sum(map(len, known)) + len(names) > total:
            return None
        known[names] = len(known) + 1
        self._cursor.execute("INSERT INTO shapes VALUES (?, ?)", [known[names], list(names)])
        make_macros(self._cursor, known)
        return names

    def _texts(self, rows: pa.Table, names: Shape) -> Array:
        """Give the JSON of rows with numbers of one shape."""
        self._cursor.register("b_unkept", rows)
        found = self._cursor.sql(f"SELECT {json_sql(names)} AS line FROM b_unkept").to_arrow_table()
        self._cursor.unregister("b_unkept")
        return whole(found["line"])


def _put(column: Array, mine: Flags, values: Array) -> Array:
    """Give a column with other values in some rows."""
    index = np.arange(len(mine))
    index[mine] = len(mine) + np.arange(len(values))
    return pa.concat_arrays([column, values]).take(pa.array(index))


def _moved(lists: Array, names: Shape, target: Shape) -> Array:
    """Give lists of numbers under a larger shape."""
    flat, count = lists.flatten(), len(lists)
    values = doubles(flat).reshape(count, len(names))
    valid = validity(flat).reshape(count, len(names))
    place = {name: index for index, name in enumerate(names)}
    nothing, absent = np.zeros(count), np.zeros(count, np.bool_)
    return lists_of(
        [values[:, place[name]] if name in place else nothing for name in target],
        [valid[:, place[name]] if name in place else absent for name in target],
        count,
    )
