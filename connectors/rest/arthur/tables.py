"""Rows of a file that came in a form: Parquet, a JSON array, JSON lines, or CSV with a header.

What it is is told by its first bytes, and by its name where that ends in .csv. A file is refused
whole where it cannot be read, or is beyond `ROWS_MAX` rows or `BYTES_MAX` bytes unpacked; values
are numbers, texts, booleans or null, times are ISO 8601, NaN is null.
"""

import io
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from connectors.rest.faults import Fault

__all__ = ["BYTES_MAX", "ROWS_MAX", "rows_of_file"]

ROWS_MAX = 1_000_000
BYTES_MAX = 256 << 20
_BATCH = 1024
_TEXT_MAX = 1 << 20  # of one value: a line could not hold more

_FLAT = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_timestamp, pa.types.is_date),
    *(pa.types.is_time, pa.types.is_null),
)


def rows_of_file(data: bytes, name: str) -> Iterator[Any]:
    """Give the rows of a file: dictionaries, or whatever else the elements of a JSON array are.

    Parameters
    ----------
    data : bytes
    name : str
        Of the file, as it was sent.

    Raises
    ------
    Fault
        400: it cannot be read, or is too large.
    """
    try:
        return _rows_of(data, data[:64].lstrip()[:1], name)
    except orjson.JSONDecodeError as error:
        _refuse(f"JSON that can be read, got {error}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        _refuse(f"a whole one, got {str(error).splitlines()[0]}")


def _rows_of(data: bytes, start: bytes, name: str) -> Iterator[Any]:
    if data[:4] == b"PAR1":
        return _parquet(data)
    if start == b"[":
        return iter(orjson.loads(data))
    if start == b"{":
        return iter([orjson.loads(line) for line in data.splitlines() if line.strip()])
    if not start or not name.lower().endswith(".csv"):
        _refuse("Parquet, a JSON array, JSON lines or CSV (*.csv) with a row at least")
    return _csv(data)


def _refuse(rule: str) -> NoReturn:
    raise Fault(400, f"the file must be {rule}")


def _parquet(data: bytes) -> Iterator[Any]:
    file = pq.ParquetFile(io.BytesIO(data))
    meta = file.metadata
    unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if meta.num_rows > ROWS_MAX or unpacked > BYTES_MAX:
        _too_large(meta.num_rows, unpacked)
    _check_columns(file.schema_arrow)
    columns = [meta.schema.column(i) for i in range(meta.num_columns)]
    # As dictionaries, a text that a million rows share is held once.
    texts = [each.path for each in columns if each.physical_type == "BYTE_ARRAY"]

    def batches() -> Iterator[pa.RecordBatch]:
        return pq.ParquetFile(io.BytesIO(data), read_dictionary=texts).iter_batches(_BATCH)

    _check_values(batches())
    return _rows(batches())


def _csv(data: bytes) -> Iterator[Any]:
    table = pyarrow.csv.read_csv(io.BytesIO(data))
    if len(table) > ROWS_MAX:
        _too_large(len(table), table.nbytes)
    _check_columns(table.schema)
    _check_values(iter(table.to_batches(_BATCH)))
    return _rows(iter(table.to_batches(_BATCH)))


def _too_large(rows: int, size: int) -> NoReturn:
    _refuse(f"of at most {ROWS_MAX} rows and {BYTES_MAX} bytes, got {rows} and {size}")


def _check_columns(schema: pa.Schema) -> None:
    if len(set(schema.names)) < len(schema.names):
        _refuse("one whose columns have different names")
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(is_flat(kind) for is_flat in _FLAT):
            _refuse(f"one of numbers, texts and times, got {field.type} in {field.name}")


def _check_values(batches: Iterator[pa.RecordBatch]) -> None:
    """Read everything once, so that a broken file is refused before any row of it is taken."""
    held = count = 0
    for batch in batches:
        batch.validate(full=True)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            held += _text_bytes(name, column)
            if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
                _check_times(name, column)
        count += len(batch)
        if held > BYTES_MAX:
            _too_large(count, held)


def _check_times(name: str, column: Any) -> None:
    years: Any = pc.min_max(pc.year(column)).as_py()
    if years["min"] is not None and not 1 <= years["min"] <= years["max"] <= 9999:
        _refuse(f"one of times of the years 1 to 9999, got others in {name}")


def _text_bytes(name: str, column: Any) -> int:
    """Give the bytes that the texts of a column take up, row by row."""
    words = column.dictionary if pa.types.is_dictionary(column.type) else column
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return 0
    lengths = pc.binary_length(words)
    longest = pc.max(lengths).as_py() or 0
    if longest > _TEXT_MAX:
        _refuse(f"one of texts of at most {_TEXT_MAX} bytes, got {longest} in {name}")
    if words is not column:
        lengths = lengths.take(column.indices)
    return pc.sum(lengths).as_py() or 0


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    for batch in batches:
        columns = [_microseconds(column).to_pylist() for column in batch.columns]
        names = batch.schema.names
        for values in zip(*columns, strict=True):
            yield {name: _plain(value) for name, value in zip(names, values, strict=True)}


def _microseconds(column: Any) -> Any:
    """Give times without the nanoseconds that Python's have not."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if pa.types.is_time64(column.type):
        return column.cast(pa.time64("us"), safe=False)
    return column


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
