"""Values of Arrow columns as JSON and text know them.

Times are ISO 8601 in UTC with microseconds and ``Z``. JSON has no NaN and no infinity: they are the
strings "nan", "inf" and "-inf". Whole numbers keep all digits, other decimals become the nearest
double; binary values are hexadecimal. In CSV (RFC 4180) NULL is an empty field, and empty text is
``""``.
"""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from engine.errors import QueryError

__all__ = ["csv_line", "names", "plain", "rows_of", "text_of"]

_FOREVER_US = 2**63 - 1  # DuckDB's infinity; -infinity is its negative


def names(columns: Sequence[str]) -> list[str]:
    """Name the columns, each name once: a second ``a`` becomes ``a_1``.

    >>> names(["a", "a", "b"])
    ['a', 'a_1', 'b']
    """
    found: dict[str, None] = {}
    for name in columns:
        unique, count = name, 0
        while unique in found or (count and unique in columns):
            count += 1
            unique = f"{name}_{count}"
        found[unique] = None
    return list(found)


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as plain values, see `plain`."""
    yield from zip(*map(_column, batch.schema.names, batch.columns), strict=True)


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows: text, number, boolean, null, list, object."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, pa.MonthDayNano):
        return [plain(one) for one in value]
    return _words(value)


def _words(value: Any) -> str:
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(UTC)
        return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"PT{Decimal(value // timedelta(microseconds=1)) / 10**6:f}S"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, pa.MonthDayNano):
        months = f"{value.months}M" if value.months else ""
        days = f"{value.days}D" if value.days else ""
        return f"P{months}{days}T{Decimal(value.nanoseconds) / 10**9:f}S"
    return str(value)


def _column(name: str, column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        unit = column.type.unit
        return [_instant(ticks, unit) for ticks in column.cast(pa.int64()).to_pylist()]
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError) as error:
        msg = f"column {name} must have values that can be shown, cast it to VARCHAR: {error}"
        raise QueryError(msg) from error
    if pa.types.is_integer(column.type) or pa.types.is_string(column.type):
        return values
    if pa.types.is_map(column.type):
        return [None if value is None else plain(dict(value)) for value in values]
    return [plain(value) for value in values]


def _instant(ticks: int | None, unit: str) -> str | None:
    if ticks is None:
        return None
    if abs(ticks) == _FOREVER_US:
        return "infinity" if ticks > 0 else "-infinity"
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds, rest = divmod(ticks, per_second)
    digits = f"{rest * (10**9 // per_second):09d}"
    digits = digits if unit == "ns" else digits[:6]
    try:
        whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    except (OverflowError, ValueError, OSError):  # before year 1 or after 9999: no ISO 8601
        return f"{ticks} {unit} since 1970"
    return f"{whole}.{digits}Z"


def text_of(value: Any) -> str:
    """Write a plain value as text."""
    if isinstance(value, str):
        return value
    if value is None:
        return "NULL"
    return json.dumps(value, ensure_ascii=False)


def csv_line(row: Sequence[Any]) -> str:
    """Write a row of plain values as a line of CSV.

    >>> csv_line([1, None, "", "a,b"]).strip()
    '1,,"","a,b"'
    """
    # An empty line would be no record: the only field of a row is then quoted.
    return (",".join(map(_csv_field, row)) or '""') + "\r\n"


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    text = text_of(value)
    if not text or any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
