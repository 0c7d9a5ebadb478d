"""Rows as they come from the store, written into a file in one of three forms.

The whole answer is there before any of it is sent: so a fault on the way is still told as one, and
the statement's transaction never waits for a slow client. An answer of more than `MEMORY_BYTES` is
in a temporary file. JSON is
``{"columns": [{"name", "type"}], "rows": [[…]], "row_count": n, "truncated": false}``.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import orjson
import pyarrow as pa

from connectors.plainrows import csv_line, names, rows_of
from connectors.rest.own.sqlasked import Asked
from connectors.sqlquery import Answer, Cursors, answering
from engine.errors import QueryError

__all__ = ["BYTES_MAX", "MEMORY_BYTES", "Written", "write_answer"]

MEMORY_BYTES = 256 << 10
BYTES_MAX = 256 << 20

_PIECE_BYTES = 4 << 20  # of Arrow columns, turned into Python's values at once


@dataclass(frozen=True, slots=True)
class Written:
    """An answer in a file, which is to be closed; `truncated`: there were more rows."""

    file: IO[bytes]
    size: int
    rows: int
    truncated: bool


@dataclass(slots=True)
class _Taken:
    """Batches up to a number of rows, counted as they are taken."""

    batches: Iterator[pa.RecordBatch]
    limit: int
    rows: int = 0
    truncated: bool = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            left = self.limit - self.rows
            self.truncated = batch.num_rows > left
            self.rows += min(batch.num_rows, left)
            if left:
                yield from _pieces(batch.slice(0, left))
            if self.truncated:
                return


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch of large values."""
    rows = max(1, batch.num_rows * _PIECE_BYTES // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def write_answer(cursors: Cursors, asked: Asked, gone: Callable[[], bool]) -> Written:
    """Run a statement and write what it gives.

    Raises
    ------
    QueryError
        The statement is off, takes too long, or gives more than `BYTES_MAX`.
    """
    file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(MEMORY_BYTES))  # noqa: SIM115 - handed on
    try:
        with answering(cursors, asked.sql, asked.seconds, gone) as answer:
            taken = _Taken(answer.batches, asked.rows)
            _WRITERS[asked.form](answer, taken, _Bounded(file))
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Written(file, size, taken.rows, taken.truncated)


class _Bounded(io.RawIOBase):
    """A file that takes `BYTES_MAX`."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._left = BYTES_MAX

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Take all of it."""
        self._left -= len(data)
        if self._left < 0:
            msg = f"the answer must be at most {BYTES_MAX} bytes, got more: ask for less of it"
            raise QueryError(msg)
        return self._file.write(data)


def _json(answer: Answer, taken: _Taken, out: _Bounded) -> None:
    kinds = [str(field.type) for field in answer.schema]
    columns = [
        {"name": name, "type": kind}
        for name, kind in zip(names(answer.schema.names), kinds, strict=True)
    ]
    out.write(b'{"columns":' + orjson.dumps(columns) + b',"rows":[')
    separator = b""
    for batch in taken:
        rows = [_dumped(row) for row in rows_of(batch)]
        out.write(separator + b",\n".join(rows))
        separator = b",\n"
    told = {"row_count": taken.rows, "truncated": taken.truncated}
    out.write(b"]," + orjson.dumps(told)[1:])


def _dumped(row: tuple[object, ...]) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:  # a whole number of more than 64 bits: all its digits, as a text
        return orjson.dumps([_narrow(value) for value in row])


def _narrow(value: object) -> object:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, list):
        return [_narrow(one) for one in value]
    if isinstance(value, dict):
        return {name: _narrow(one) for name, one in value.items()}
    return value


def _csv(answer: Answer, taken: _Taken, out: _Bounded) -> None:
    out.write(csv_line(names(answer.schema.names)).encode())
    for batch in taken:
        lines = "".join(map(csv_line, rows_of(batch)))
        out.write(lines.encode("utf-8", "backslashreplace"))


def _arrow(answer: Answer, taken: _Taken, out: _Bounded) -> None:
    sink = pa.PythonFile(out, mode="w")
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        for batch in taken:
            writer.write_batch(batch)


_WRITERS: dict[str, Callable[[Answer, _Taken, _Bounded], None]] = {
    "json": _json,
    "csv": _csv,
    "arrow": _arrow,
}
