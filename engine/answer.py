"""What DuckDB's `from_json` answers for some lines: one column per name that has been learned."""

import duckdb
import numpy as np
import pyarrow as pa

from engine.arrays import Array, Flags, Ints, Text, flags, validity, whole
from engine.schema import CONTAINERS, TOP, Schema

__all__ = ["Answer"]

_VIEW = "lines_to_decode"


class Answer:
    """The columns that `from_json` gave for some lines."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, lines: Array, schema: Schema) -> None:
        table = _ask(cursor, lines, schema)
        taken = (whole(column) for column in table.columns)
        names = [*TOP[:-1], *schema.optional]
        self.length = table.num_rows
        self.top = {name: Text.of(next(taken)) for name in names}
        self.inside = {name: flags(next(taken)) for name in CONTAINERS}
        self.score = next(taken)
        self.doubles: dict[tuple[str, str], Array] = {}
        self.texts: dict[tuple[str, str], Text] = {}
        for field, kind in schema.names.items():
            if kind == "number":
                self.doubles[field] = next(taken)
            else:
                self.texts[field] = Text.of(next(taken))
        self.missing = Text.of(pa.nulls(self.length, pa.string()))

    def marks(self) -> tuple[Ints, Flags]:
        """Return the marks of a clean line with this answer, and where containers are objects."""
        found = np.zeros(self.length, np.int64)
        for text in self.top.values():
            found += text.valid
        for text in (*self.top.values(), *self.texts.values()):
            found += text.string
        members = {name: np.zeros(self.length, np.int64) for name in (*CONTAINERS, "")}
        for (container, _), array in self.doubles.items():
            members[container] += validity(array)
        for (container, _), text in self.texts.items():
            members[container] += text.valid
        found += validity(self.score)
        found += members[""]
        objects = np.ones(self.length, np.bool_)
        for name in CONTAINERS:
            found += members[name] + self.inside[name]
            objects &= ~self.inside[name] | (members[name] > 0)
        return 2 * found, objects

    def booleans(self) -> Ints:
        """Count the booleans among the values of type JSON."""
        found = np.zeros(self.length, np.int64)
        for text in (*self.top.values(), *self.texts.values()):
            found += text.boolean
        return found

    def present(self, name: str) -> Flags:
        """Return where a field of this name has a value, at whatever level."""
        found = np.zeros(self.length, np.bool_)
        if name in self.top:
            found |= self.top[name].valid
        if name in self.inside:
            found |= self.inside[name]
        if name == "score":
            found |= validity(self.score)
        for container in (*CONTAINERS, ""):
            if (container, name) in self.doubles:
                found |= validity(self.doubles[container, name])
            if (container, name) in self.texts:
                found |= self.texts[container, name].valid
        return found


def _ask(cursor: duckdb.DuckDBPyConnection, lines: Array, schema: Schema) -> pa.Table:
    columns = [f"e.{_name(name)}::VARCHAR" for name in (*TOP[:-1], *schema.optional)]
    columns += [f"e.{name} IS NOT NULL" for name in CONTAINERS]
    columns += ["e.score"]
    for (container, name), kind in schema.names.items():
        path = f"e.{container}.{_name(name)}" if container else f"e.{_name(name)}"
        columns.append(path if kind == "number" else f"{path}::VARCHAR")
    chosen = ", ".join(f"{column} AS c{place}" for place, column in enumerate(columns))
    structure = schema.structure().replace("'", "''")
    cursor.register(_VIEW, pa.table({"line": lines}))
    try:
        # Names are quoted above, the structure is JSON in a quoted literal.
        inner = f"SELECT try(from_json(line, '{structure}')) AS e FROM {_VIEW}"
        found: pa.Table = cursor.sql(f"SELECT {chosen} FROM ({inner})").to_arrow_table()
        return found
    finally:
        cursor.unregister(_VIEW)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
