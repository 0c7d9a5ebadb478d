"""What all plans read of the rows, at once: few statements a block, whatever the number of rules.

A statement over some rows costs more to plan than to run. So the columns that plans ask for are
read together and found again by their SQL, in which parameters are named after their values: the
same text is the same column. What is added up is then a matter of numpy: the rows are numbered by
(model, group, pane, arrival), once for all plans with the same `Frame`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.numbering import numbered

__all__ = ["Frame", "Framed", "Read", "Wanted", "by_value", "read_rows"]

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Wanted = Mapping[str, Mapping[str, object]]
"""SQL of columns over ``r``, each with its parameters."""

_PARAMETER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w+)""")
_COLUMNS_MAX = 256  # of one statement
_SECOND_US = 1_000_000
# With their types: to find out a type, pyarrow looks for dateutil each time, in vain.
_FALSE = pa.scalar(value=False, type=pa.bool_())
_ZERO = pa.scalar(0, pa.int64())


def by_value(sql: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Name the parameters of SQL after their values, and leave out those that it does not use.

    >>> by_value("r.score > $p0_", {"p0_": 0.5, "p1_": 2})
    ('r.score > $v8bf71c4c9ada8f13', {'v8bf71c4c9ada8f13': 0.5})
    """
    used: dict[str, object] = {}

    def renamed(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        value = parameters[found[1]]
        told = f"{type(value).__name__}\0{value!r}".encode()
        name = "v" + md5(told, usedforsecurity=False).hexdigest()[:16]
        used[name] = value
        return f"${name}"

    return _PARAMETER.sub(renamed, sql), used


@dataclass(frozen=True, slots=True)
class Frame:
    """Which rows count, and where.

    Attributes
    ----------
    moment : str
        SQL, BIGINT: when a row counts, µs.
    condition, group : str or None
        SQL: which rows count, None for all; the text that they are told apart by.
    step_s : int
    """

    moment: str
    condition: str | None
    group: str | None
    step_s: int


@dataclass(frozen=True, slots=True)
class Framed:
    """Rows that count, numbered by (model, group, pane, arrival).

    Attributes
    ----------
    rows : int64, shape (n,)
        Their places.
    number : int64, shape (n,)
        From 0 to m - 1.
    pane_s, enter_s : int64, shape (n,)
        The pane of each row, and the first boundary that it counts at.
    first : int64, shape (m,)
        The place, among `rows`, of one row of each number.
    """

    rows: Ints
    number: Ints
    pane_s: Ints
    enter_s: Ints
    first: Ints


class Read:
    """The rows of ``w_rows`` with the columns that were asked for.

    Parameters
    ----------
    rows : pyarrow.Table
    columns : mapping of str to pyarrow.ChunkedArray
        By their SQL.
    """

    def __init__(self, rows: pa.Table, columns: "Mapping[str, pa.ChunkedArray[Any]]") -> None:
        self.model_no: Ints = rows["model_no"].to_numpy()
        self.weight: Ints = rows["weight"].to_numpy()
        self._arrival_us: Ints = rows["arrival_us"].to_numpy()
        self._columns = columns
        self._flags: dict[str, Flags] = {}
        self._frames: dict[Frame, Framed] = {}

    def column(self, sql: str) -> "pa.ChunkedArray[Any]":
        """Give a column as it is."""
        return self._columns[sql]

    def flags(self, sql: str) -> Flags:
        """Give a BOOLEAN column; NULL is false."""
        found = self._flags.get(sql)
        if found is None:
            found = self._flags[sql] = _filled(self._columns[sql], _FALSE)
        return found

    def numbers(self, sql: str) -> npt.NDArray[np.float64]:
        """Give a DOUBLE column; NULL is NaN."""
        return np.asarray(self._columns[sql].to_numpy(), np.float64)

    def framed(self, frame: Frame) -> Framed:
        """Give the rows that count in a frame, numbered."""
        found = self._frames.get(frame)
        if found is None:
            found = self._frames[frame] = self._number(frame)
        return found

    def _number(self, frame: Frame) -> Framed:
        moment = _filled(self._columns[frame.moment], _ZERO)
        if frame.condition is None:
            rows = np.arange(len(moment))
        else:
            rows = np.flatnonzero(self.flags(frame.condition))
        step_us = frame.step_s * _SECOND_US
        pane, arrival = moment[rows] // step_us, self._arrival_us[rows] // step_us
        late = np.maximum(arrival - pane, 0)
        keys = [self.model_no[rows], pane, late]
        if frame.group is not None:
            codes = self._columns[frame.group].combine_chunks().dictionary_encode().indices
            keys.append(codes.to_numpy().astype(np.int64)[rows])
        number, first = numbered(keys)
        pane_s = pane * frame.step_s
        return Framed(rows, number, pane_s, pane_s + (late + 1) * frame.step_s, first)


def read_rows(cursor: duckdb.DuckDBPyConnection, rows: pa.Table, wanted: Wanted) -> Read:
    """Read columns of `rows`, which are registered as ``w_rows``."""
    columns: dict[str, pa.ChunkedArray[Any]] = {}
    every = list(wanted.items())
    for start in range(0, len(every), _COLUMNS_MAX):
        some = every[start : start + _COLUMNS_MAX]
        listed = ", ".join(f"({sql}) AS e{i}" for i, (sql, _) in enumerate(some))
        used = {name: value for _, parameters in some for name, value in parameters.items()}
        found = cursor.sql(f"SELECT {listed} FROM w_rows r", params=used).to_arrow_table()
        columns |= {sql: found[f"e{i}"] for i, (sql, _) in enumerate(some)}
    return Read(rows, columns)


def _filled(column: Any, value: Any) -> npt.NDArray[Any]:
    """Put a value in place of NULL; asking whether there is any costs a hundredth of it."""
    filled = pc.fill_null(column, value) if column.null_count else column
    found: npt.NDArray[Any] = filled.to_numpy()
    return found
