"""What `from_json` answers for metrics, runs, ingests and model events: one column per field."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.answer import ask, column
from engine.arrays import Array, Flags, Ints, Text, validity, whole
from engine.schema import OTHERS, OtherSchema

__all__ = ["OtherAnswer"]


class OtherAnswer:
    """The columns that `from_json` gave for some lines, those without any value left out.

    Attributes
    ----------
    length : int
        Number of lines, n.
    doubles : dict of str to pyarrow.DoubleArray
    texts : dict of str to Text
        The columns of type JSON; `type` is always there.
    kinds : dict of str to Kind
        Of all fields asked for.
    code : int64, shape (n,)
        Place of each line's type in `OTHERS`, or their number where it is of none.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, lines: Array, schema: OtherSchema
    ) -> None:
        names = schema.names.items()
        columns = [column(kind, name) for name, kind in names]
        table = ask(cursor, lines, schema.structure(), columns)
        self.length = table.num_rows
        self.doubles: dict[str, Array] = {}
        self.texts: dict[str, Text] = {}
        self.kinds = dict(names)
        for (name, kind), found in zip(names, table.columns, strict=True):
            if found.null_count == self.length and name != "type":
                continue
            if kind == "number":
                self.doubles[name] = whole(found)
            else:
                self.texts[name] = Text.of(whole(found))
        wanted = pa.array([f'"{kind}"' for kind in OTHERS])
        code: Array = pc.index_in(self.texts["type"].texts, wanted)
        self.code: Ints = np.asarray(code.fill_null(len(OTHERS))).astype(np.int64)

    def marks(self) -> Ints:
        """Return the quotation marks that a clean line with this answer has."""
        found = np.zeros(self.length, np.int64)
        for text in self.texts.values():
            found += text.valid
            found += text.string
        for array in self.doubles.values():
            found += validity(array)
        return 2 * found

    def present(self, name: str) -> Flags:
        """Return where a field of this name has a value."""
        if name in self.texts:
            return self.texts[name].valid
        if name in self.doubles:
            return validity(self.doubles[name])
        return np.zeros(self.length, np.bool_)

    def numbers(self) -> list[Array]:
        """Return the columns of type DOUBLE."""
        return list(self.doubles.values())

    def booleans(self) -> Ints:
        """Count the booleans among the values of type JSON."""
        found = np.zeros(self.length, np.int64)
        for text in self.texts.values():
            found += text.boolean
        return found

    def groups(self) -> Ints:
        """Return the type of each line: what is null depends on it."""
        return self.code

    def of(self, *kinds: int) -> Flags:
        """Return which lines are of one of these types."""
        table = np.zeros(len(OTHERS) + 1, np.bool_)
        table[list(kinds)] = True
        return np.asarray(table[self.code])
