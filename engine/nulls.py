"""The keys of a line whose value is a literal null, and whether they stand nowhere else in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.arrays import Bytes, Flags, Ints
from engine.lines import Lines, behind_gap, quotes_before

__all__ = ["NullKeys", "null_keys"]

_QUOTE, _COLON = 34, 58
# Longer names, wider gaps and more different names than these are left to the exact reader.
_LONGEST, _WIDEST, _MOST = 32, 4, 16
_FEW = 16  # times as many lines
_NULL = re.compile(rb'"[\x00-\x20]{0,4}:[\x00-\x20]{0,4}(?=null)')


@dataclass(frozen=True, slots=True)
class NullKeys:
    """Keys with a null value, by line.

    Attributes
    ----------
    count : int64, shape (n,)
        How many there are.
    certain : bool, shape (n,)
        They differ from each other and from every key that has a value, so nothing is repeated.
    """

    count: Ints
    certain: Flags


def null_keys(lines: Lines, rows: Ints, present: Callable[[str], Flags]) -> NullKeys:
    """Find the keys whose value is null in the lines `rows`; lines with backslashes do not matter.

    Parameters
    ----------
    lines : Lines
        The block's lines.
    rows : int64, shape (n,)
        Lines to look at, ascending.
    present : callable
        Tells for a name which of the rows have a value under it, at whatever level.
    """
    count, certain = np.zeros(len(rows), np.int64), np.ones(len(rows), np.bool_)
    # A few lines are sooner looked at than all bytes.
    few = len(rows) * _FEW < len(lines)
    place = _closing_quotes_of(lines, rows) if few else _closing_quotes(lines)
    row = np.full(len(lines), -1, np.int64)
    row[rows] = np.arange(len(rows))
    owner = row[np.searchsorted(lines.offsets, place, side="right") - 1]
    place, owner = place[owner >= 0], owner[owner >= 0]
    names, code, named = _names(lines, place)
    certain[owner[~named]] = False
    if len(names) > _MOST:
        certain[owner] = False
        return NullKeys(count, certain)
    count += np.bincount(owner, minlength=len(rows))
    pair = owner[named] * len(names) + code[named]
    repeated = np.flatnonzero(np.bincount(pair, minlength=1) > 1)
    certain[repeated // max(len(names), 1)] = False
    for number, name in enumerate(names):
        elsewhere = present(name)
        holders = owner[named][code[named] == number]
        certain[holders[elsewhere[holders]]] = False
    return NullKeys(count, certain)


def _closing_quotes(lines: Lines) -> Ints:
    """Return where the quotation marks stand that end a key with the value null."""
    buffer = np.frombuffer(lines.data, np.uint8)
    place = behind_gap(lines.data, (b"null",)) - 1
    place = _back_to(buffer, place, _COLON) - 1
    place = _back_to(buffer, place[place > 0], _QUOTE)
    # A string may begin with `:null`: the mark in front of that one opens, it does not close.
    line = np.searchsorted(lines.offsets, place, side="right") - 1
    before = quotes_before(lines, np.concatenate([place, lines.starts[line]]))
    closing: Flags = (before[: len(place)] - before[len(place) :]) % 2 == 1
    return np.asarray(place[closing])


def _closing_quotes_of(lines: Lines, rows: Ints) -> Ints:
    """Return those in some lines, found one by one."""
    places = []
    for row in rows.tolist():
        line, start = lines.line(row), int(lines.starts[row])
        found = [match.start() for match in _NULL.finditer(line)]
        places += [start + at for at in found if line.count(b'"', 0, at) % 2]
    return np.array(places, np.int64)


def _back_to(buffer: Bytes, place: Ints, byte: int) -> Ints:
    for _ in range(_WIDEST):
        place = place - ((buffer[place] <= 32) & (place > 0))
    return np.asarray(place[buffer[place] == byte])


def _names(lines: Lines, place: Ints) -> tuple[list[str], Ints, Flags]:
    """Return the different names before the marks at `place`, which each is, and which are told."""
    buffer = np.frombuffer(lines.data, np.uint8)
    span = np.arange(1, _LONGEST + 1)
    window = buffer[np.maximum(place[:, None] - span, 0)]  # backwards from the mark
    opens = window == _QUOTE
    size = opens.argmax(axis=1)
    named = opens.any(axis=1) & (size > 0)
    letters = np.where(span[None, :] <= size[:, None], window, 0).astype(np.uint8)
    kept = np.ascontiguousarray(letters[named])
    cells = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(_LONGEST), len(kept), [None, pa.py_buffer(kept.tobytes())]
    ).dictionary_encode()
    names = [text.rstrip(b"\0")[::-1].decode() for text in cells.dictionary.to_pylist() if text]
    code = np.full(len(place), -1, np.int64)
    code[named] = np.asarray(cells.indices)
    return names, code, named
