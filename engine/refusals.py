"""Lines that are refused by their looks, told for a whole block at once.

Too long ones and those that are not UTF-8 are rejects already; what cannot be an object is left to
the exact reader, which says why. Nothing here reads JSON: `from_json` takes ten times as long for
the two thousand lines around a malformed one, so those are best kept from it.
"""

from dataclasses import dataclass
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa

from engine.arrays import Flags, Ints, flags
from engine.lines import Lines, views

__all__ = ["Looks", "is_utf8", "looks_of", "malformed", "no_objects"]

_OPEN, _CLOSE = ord("{"), ord("}")
_LARGEST = 2**31 - 1  # Arrow counts in 32 bits
# Of lines that are not all UTF-8, so much is looked at at once: small enough to make a string of.
_PIECE_BYTES = 32 << 10
_PIECE_WORDS = 32 << 10  # scanned at once: what is put aside stays in the processor's cache
_HIGH_BITS = np.uint64(0x8080808080808080)
_FEW = 4096  # bytes of the block for each eight that are not all ASCII
_VIEW = "lines_to_check"


@dataclass(frozen=True, slots=True)
class Looks:
    """What the looks of the lines tell.

    Attributes
    ----------
    readable : int64, shape (n,)
        The lines that are neither blank nor refused, ascending.
    refused : list of (int, str)
        The lines that are, and why.
    """

    readable: Ints
    refused: list[tuple[int, str]]


def looks_of(lines: Lines, line_bytes: int) -> Looks:
    """Look at all lines of a block.

    Parameters
    ----------
    lines : Lines
    line_bytes : int
        The longest line taken, in bytes.
    """
    size = lines.ends - lines.starts
    rule = f"line must have at most {line_bytes} bytes"
    long = np.flatnonzero(size > line_bytes).tolist()
    refused = [(row, f"{rule}, got {size[row]}") for row in long]
    todo = np.flatnonzero((size > 0) & (size <= line_bytes))
    if len(lines.data) <= _LARGEST and is_utf8(lines.data):
        return Looks(todo, refused)
    bad = np.zeros(len(lines), np.bool_)
    bad[_unreadable(lines)] = True
    for row in todo[bad[todo]].tolist():
        fault = _first_fault(lines.line(row))
        refused.append((row, f"line must be valid UTF-8, got {fault}"))
    return Looks(todo[~bad[todo]], refused)


def no_objects(lines: Lines, rows: Ints) -> Flags:
    """Return which of `rows`, none blank, do not begin with ``{`` or do not end with ``}``."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    buffer = np.frombuffer(lines.data, np.uint8)
    begins, ends = buffer[lines.starts[rows]], buffer[lines.ends[rows] - 1]
    return np.asarray((begins != _OPEN) | (ends != _CLOSE))


def malformed(cursor: duckdb.DuckDBPyConnection, lines: Lines, rows: Ints) -> Flags:
    """Return which of `rows` DuckDB cannot read as JSON: a guess at what the exact reader says.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of an in-memory database.
    lines : Lines
    rows : int64, shape (n,)
        Lines that are valid UTF-8.
    """
    cursor.register(_VIEW, pa.table({"line": views(lines, rows)}))
    try:
        asked = cursor.sql(f"SELECT NOT coalesce(json_valid(line), false) AS bad FROM {_VIEW}")
        return flags(asked.to_arrow_table()["bad"].combine_chunks())
    finally:
        cursor.unregister(_VIEW)


def is_utf8(data: bytes) -> bool:
    """Return whether at most 2 GiB of bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:  # Arrow looks at the bytes where they are, Python would make a string of them
        offsets = pa.py_buffer(np.array([0, len(data)], np.int32).tobytes())
        whole = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _unreadable(lines: Lines) -> list[int]:
    """Return the lines that are not UTF-8, ascending."""
    ends = np.append(lines.offsets[1:], len(lines.data))
    words = np.frombuffer(lines.data, np.uint64, len(lines.data) // 8)
    pieces = range(0, len(words), _PIECE_WORDS)
    found = [np.flatnonzero(words[at : at + _PIECE_WORDS] & _HIGH_BITS) + at for at in pieces]
    odd = 8 * np.concatenate([*found, np.zeros(0, np.int64)])
    if len(odd) * _FEW < len(lines.data):
        # Nearly all is ASCII: the lines around the bytes that are not are looked at one by one.
        around = (odd[:, None] + np.arange(8)).ravel()
        places = np.append(around, np.arange(8 * len(words), len(lines.data)))
        some = np.unique(np.searchsorted(ends, places, side="right")).tolist()
        return [row for row in some if not _decodes(lines.data[lines.offsets[row] : ends[row]])]
    return _by_halves(lines, ends)


def _by_halves(lines: Lines, ends: Ints) -> list[int]:
    """Return the lines that are not UTF-8, ascending: by halves, from pieces of some lines on."""
    cuts = np.searchsorted(ends, np.arange(_PIECE_BYTES, len(lines.data), _PIECE_BYTES))
    borders = np.unique(np.concatenate([[0], cuts, [len(lines)]])).tolist()
    waiting = list(pairwise(borders))[::-1]
    found: list[int] = []
    while waiting:
        first, stop = waiting.pop()
        if _decodes(lines.data[lines.offsets[first] : ends[stop - 1]]):
            continue
        if stop - first == 1:
            found.append(first)
            continue
        middle = (first + stop) // 2
        waiting += [(middle, stop), (first, middle)]
    return found


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_fault(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{line[error.start]:02x} at {error.start + 1}"
    return "nothing wrong"
