"""The rows of an answer as people and programs take them: table, CSV, JSON, NDJSON, Parquet.

Times are ISO 8601 in UTC with microseconds and ``Z``. In text, a table shows NULL as ``NULL``; CSV
(RFC 4180) as an empty field, where empty text is ``""``; JSON as ``null``. JSON has no NaN and no
infinity: they are the strings "nan", "inf" and "-inf". Whole numbers keep all digits, other
decimals become the nearest double; binary values are hexadecimal. No format shortens a value.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa

from connectors.plainrows import csv_line, names, rows_of, text_of
from engine.errors import QueryError

__all__ = ["FORMATS", "TERMINAL_ROWS", "rows", "write"]

FORMATS = ("table", "csv", "json", "ndjson", "parquet")
TERMINAL_ROWS = 200  # what a terminal is shown of a table; a pipe gets every row

_ROWS_AT_ONCE = 10_000
_CONTROL = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}
# Letters that nobody sees, but those that join others, and letters that turn the order around.
_UNSEEN = (0xAD, 0x61C, 0x200B, *range(0x200E, 0x2010), *range(0x2028, 0x202F), 0xFEFF)
_UNSEEN = (*_UNSEEN, *range(0x2060, 0x2070))
_SPECIAL = _CONTROL | {code: f"\\u{code:04x}" for code in _UNSEEN}
_SPECIAL |= {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}
_MOVING = {code: text for code, text in _CONTROL.items() if chr(code) not in "\n\r\t"}
_JSON = {code: f"\\u{code:04x}" for code in range(127, 160)}  # what `json` leaves as it is


def write(table: pa.Table, form: str, out: IO[bytes], *, terminal_width: int | None = None) -> None:
    """Write all rows in one of the `FORMATS`.

    Parameters
    ----------
    table : pyarrow.Table
    form : str
        One of `FORMATS`.
    out : binary file
    terminal_width : int or None
        Columns of the terminal behind `out`; None where there is none.

    Raises
    ------
    QueryError
        Parquet has no such type.
    """
    if form == "parquet":
        _parquet(table, out)
        return
    text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        _WRITERS[form](table, text, terminal_width)
        text.flush()
    finally:
        text.detach()


def rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as plain values, see `connectors.plainrows.plain`."""
    for batch in table.to_batches(_ROWS_AT_ONCE):
        yield from rows_of(batch)


# ---- the formats -----------------------------------------------------------------------------


def _csv(table: pa.Table, out: IO[str], width: int | None) -> None:
    told = io.StringIO()
    csv.writer(told).writerow(table.column_names)
    safe = {} if width is None else _MOVING  # a file gets every byte, a terminal does not
    out.write(told.getvalue().translate(safe))
    for row in rows(table):
        out.write(csv_line(row).translate(safe))


def _json(table: pa.Table, out: IO[str], _: int | None) -> None:
    start = "[\n"
    for line in _objects(table):
        out.write(f"{start}  {line}")
        start = ",\n"
    out.write("[]\n" if start == "[\n" else "\n]\n")


def _ndjson(table: pa.Table, out: IO[str], _: int | None) -> None:
    for line in _objects(table):
        out.write(f"{line}\n")


def _objects(table: pa.Table) -> Iterator[str]:
    keys = names(table.column_names)
    for row in rows(table):
        told = json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False, allow_nan=False)
        yield told.translate(_JSON)


def _parquet(table: pa.Table, out: IO[bytes]) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - its 20 ms are for those who ask for it

    try:
        pq.write_table(table.rename_columns(names(table.column_names)), out)
    except pa.ArrowException as error:
        msg = f"the answer must have types that Parquet knows: {error}"
        raise QueryError(msg) from error


def _table(table: pa.Table, out: IO[str], width: int | None) -> None:
    shown = table if width is None else table.slice(0, TERMINAL_ROWS)
    cells = [[_cell(value) for value in row] for row in rows(shown)]
    right = [_is_number(kind) for kind in table.schema.types]
    heads = [name.translate(_SPECIAL) for name in table.column_names]
    if width is None:
        _aligned(heads, cells, right, out)
        return
    _on_terminal(heads, cells, right, out, width)
    count = f"({table.num_rows:,} {'row' if table.num_rows == 1 else 'rows'})"
    left = table.num_rows - shown.num_rows
    hint = f"… {left:,} rows more: use a pipe, --format or --output " if left else ""
    out.write(f"{hint}{count}\n")


def _cell(value: Any) -> str:
    # What a producer put into an id must not move the cursor or change the colours of a terminal.
    return text_of(value).translate(_SPECIAL)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _aligned(heads: list[str], cells: list[list[str]], right: list[bool], out: IO[str]) -> None:
    from rich.cells import cell_len  # noqa: PLC0415 - only a table needs it

    lines = [heads, *cells]
    widths = [max(cell_len(line[place]) for line in lines) for place in range(len(heads))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        parts = []
        for text, width, is_right in zip(line, widths, right, strict=True):
            gap = " " * (width - cell_len(text))
            parts.append(gap + text if is_right else text + gap)
        out.write("  ".join(parts).rstrip() + "\n")


def _on_terminal(
    heads: list[str], cells: list[list[str]], right: list[bool], out: IO[str], width: int
) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as above
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head, is_right in zip(heads, right, strict=True):
        table.add_column(Text(head), justify="right" if is_right else "left", no_wrap=True)
    for line in cells:
        table.add_row(*(Text(text, style="dim" if text == "NULL" else "") for text in line))
    console = Console(file=out, force_terminal=True, highlight=False, width=1 << 16)
    # A table wider than the terminal is wrapped by it: nothing is cut.
    console.width = max(width, console.measure(table).maximum)
    console.print(table)


_WRITERS: dict[str, Callable[[pa.Table, IO[str], int | None], None]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "ndjson": _ndjson,
}
