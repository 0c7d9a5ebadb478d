"""What DuckDB's `from_json` answers for some lines: one column per name that has been learned."""

import duckdb
import numpy as np
import pyarrow as pa

from engine.arrays import Array, Flags, Ints, Text, flags, validity, whole
from engine.schema import CONTAINERS, TOP, Kind, Schema

__all__ = ["Answer", "ask", "column"]

_VIEW = "lines_to_decode"


class Answer:
    """The columns that `from_json` gave for some lines."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, lines: Array, schema: Schema) -> None:
        table = ask(cursor, lines, schema.structure(), _columns(schema))
        taken = (whole(found) for found in table.columns)
        names = _texts(schema)
        self.length = table.num_rows
        self.top = {name: Text.of(next(taken)) for name in names}
        self.inside = {name: flags(next(taken)) for name in CONTAINERS}
        self.score = next(taken)
        # Where all of them are numbers; else they are among the texts.
        self.instants = next(taken) if schema.instants == "number" else None
        self.doubles: dict[tuple[str, str], Array] = {}
        self.texts: dict[tuple[str, str], Text] = {}
        for field, kind in schema.names.items():
            if kind == "number":
                self.doubles[field] = next(taken)
            else:
                self.texts[field] = Text.of(next(taken))
        self.given = {field: validity(array) for field, array in self.doubles.items()}
        self.missing = Text.of(pa.nulls(self.length, pa.string()))

    def marks(self) -> Ints:
        """Return the quotation marks that a clean line with this answer has."""
        found = np.zeros(self.length, np.int64)
        for text in self.top.values():
            found += text.valid
        for text in (*self.top.values(), *self.texts.values()):
            found += text.string
        for given in self.given.values():
            found += given
        for text in self.texts.values():
            found += text.valid
        for array in self._numbers():
            found += validity(array)
        for name in CONTAINERS:
            found += self.inside[name]
        return 2 * found

    def objects(self) -> Flags:
        """Return where each container is an object, as far as its members tell, or null."""
        members = {name: np.zeros(self.length, np.bool_) for name in (*CONTAINERS, "")}
        for (container, _), given in self.given.items():
            members[container] |= given
        for (container, _), text in self.texts.items():
            members[container] |= text.valid
        found = np.ones(self.length, np.bool_)
        for name in CONTAINERS:
            found &= ~self.inside[name] | members[name]
        return found

    def met(self) -> list[tuple[str, str]]:
        """Return the names that any line has a value of."""
        found = [field for field, given in self.given.items() if given.any()]
        return found + [field for field, text in self.texts.items() if text.valid.any()]

    def numbers(self) -> list[Array]:
        """Return the columns of type DOUBLE."""
        return [*self.doubles.values(), *self._numbers()]

    def _numbers(self) -> list[Array]:
        return [self.score] if self.instants is None else [self.score, self.instants]

    def groups(self) -> Ints:
        """Return one number for all lines: their nulls are looked for at once."""
        return np.zeros(self.length, np.int64)

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
        if name == "timestamp" and self.instants is not None:
            found |= validity(self.instants)
        for container in (*CONTAINERS, ""):
            if (container, name) in self.given:
                found |= self.given[container, name]
            if (container, name) in self.texts:
                found |= self.texts[container, name].valid
        return found


def ask(
    cursor: duckdb.DuckDBPyConnection, lines: Array, structure: str, columns: list[str]
) -> pa.Table:
    """Return what `from_json` gives for some lines.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of an in-memory database.
    lines : pyarrow.StringViewArray, shape (n,)
    structure : str
        JSON, as `from_json` wants it.
    columns : list of str
        SQL over the struct ``e``; names in it are quoted (`column`).
    """
    chosen = ", ".join(f"{column} AS c{place}" for place, column in enumerate(columns))
    quoted = structure.replace("'", "''")
    cursor.register(_VIEW, pa.table({"line": lines}))
    try:
        # Names are quoted by the caller, the structure is JSON in a quoted literal.
        inner = f"SELECT try(from_json(line, '{quoted}')) AS e FROM {_VIEW}"
        found: pa.Table = cursor.sql(f"SELECT {chosen} FROM ({inner})").to_arrow_table()
        return found
    finally:
        cursor.unregister(_VIEW)


def column(kind: Kind, *path: str) -> str:
    """Return SQL for a field of the struct ``e``: a double, or the JSON text of what it was."""
    found = "e." + ".".join('"' + name.replace('"', '""') + '"' for name in path)
    return found if kind == "number" else f"{found}::VARCHAR"


def _texts(schema: Schema) -> list[str]:
    """Return the fields outside of all containers that are read as text."""
    there = [name for name in TOP[:-1] if name != "timestamp" or schema.instants != "number"]
    return there + schema.optional


def _columns(schema: Schema) -> list[str]:
    columns = [column("text", name) for name in _texts(schema)]
    columns += [f"e.{name} IS NOT NULL" for name in CONTAINERS]
    columns += ["e.score", *(["e.timestamp"] if schema.instants == "number" else [])]
    for (container, name), kind in schema.names.items():
        columns.append(column(kind, *((container, name) if container else (name,))))
    return columns
