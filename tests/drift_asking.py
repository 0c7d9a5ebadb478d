"""Asks drift queries over two lists of rows (`query_rows.row`): the base and the target."""

import pyarrow as pa
from query_rows import NAMES, cursor_of, table_of

from engine.query.drift_answer import drift_answer, psi_table
from engine.query.drift_parse import parse_drift
from engine.query.tree import DriftQuery


def sides_of(base, target):
    """Give a cursor with both sides, and what names them."""
    cursor = cursor_of(target)
    numbered = table_of(base).append_column("seq", pa.array(range(len(base)), pa.int64()))
    cursor.register("base_rows", numbered)
    return cursor, {"reference": "SELECT * FROM base_rows"}


def ask_drift(base, target, query, names=NAMES, window=None, *, table=False, **more):
    cursor, relations = sides_of(base, target)
    tree = query if isinstance(query, DriftQuery) else parse_drift(query, names)

    def relation(source):
        return relations.get(source, "SELECT * FROM rows")

    if table:
        return psi_table(cursor, names, tree, relation, window)
    return drift_answer(cursor, names, tree, relation, window, **more)
