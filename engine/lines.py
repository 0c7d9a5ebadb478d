"""The lines of a block: where each begins and ends, and an Arrow array of them without a copy."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.arrays import Array, Bytes, Flags, Ints, Words

__all__ = ["Lines", "behind_gap", "booleans", "quotes_before", "split", "suspects", "views"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHITESPACE = b" \t\r\n\v\f"
_IS_SPACE = np.zeros(256, dtype=np.bool_)
_IS_SPACE[list(WHITESPACE)] = True
_NEWLINE, _QUOTE, _COMMA, _COLON, _BACKSLASH, _CLOSE = 10, 34, 44, 58, 92, 125
_INLINE = 12  # bytes of a text that lie in its view
_BOOLEAN = re.compile(rb"[:\x00-\x20](?:true|false)")
# Scans go piece by piece, so that what they put aside stays in the processor's cache.
_PIECE = 1 << 17


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one block.

    Attributes
    ----------
    data : bytes
        The block.
    offsets : int64, shape (n,)
        Where each line begins, in bytes.
    starts, ends : int64, shape (n,)
        The same lines without the whitespace around them: ``data[start:end]``.
    """

    data: bytes
    offsets: Ints
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        """Return the number of lines, blank ones included."""
        return len(self.offsets)

    def line(self, row: int) -> bytes:
        """Return one line without the whitespace around it."""
        return self.data[self.starts[row] : self.ends[row]]


def split(data: bytes, *, at_start: bool) -> Lines:
    r"""Find the lines of `data`; a last line without newline counts.

    Parameters
    ----------
    data : bytes
        Whole lines.
    at_start : bool
        Whether this is the begin of a partition, where a byte order mark is dropped.

    >>> split(b" ab \r\n\nc", at_start=True).starts
    array([1, 6, 7])
    """
    buffer = np.frombuffer(data, np.uint8)
    breaks = _places(_bits(buffer, _NEWLINE))
    torn = len(data) > 0 and data[-1] != _NEWLINE
    ends = np.append(breaks, len(data)) if torn else breaks
    offsets = np.empty_like(ends)
    if len(ends):
        offsets[0] = 0
        offsets[1:] = ends[:-1] + 1
    starts, ends = offsets.copy(), ends.copy()
    if at_start and data.startswith(BYTE_ORDER_MARK):
        starts[0] = len(BYTE_ORDER_MARK)
    _strip(data, buffer, starts, ends)
    return Lines(data, offsets, starts, ends)


def _strip(data: bytes, buffer: Bytes, starts: Ints, ends: Ints) -> None:
    # One byte at either end of all lines at once is what well-kept streams need (a carriage
    # return); lines with more of it are done one by one: a megabyte of blanks costs one pass.
    after, before = _blank_ends(buffer, starts, ends)
    ends -= after
    starts += before
    rows = np.flatnonzero(after | before)
    if not len(rows):
        return
    after, before = _blank_ends(buffer, starts[rows], ends[rows])
    for row in rows[after | before].tolist():
        line = data[starts[row] : ends[row]]
        kept = line.strip(WHITESPACE)
        starts[row] += len(line) - len(line.lstrip(WHITESPACE))
        ends[row] = starts[row] + len(kept)


def _blank_ends(buffer: Bytes, starts: Ints, ends: Ints) -> tuple[Flags, Flags]:
    """Return which lines end, and which begin, with whitespace; a line of one byte only ends."""
    if not len(buffer):
        return np.zeros(len(ends), np.bool_), np.zeros(len(ends), np.bool_)
    after = (ends > starts) & _IS_SPACE[buffer[np.maximum(ends - 1, 0)]]
    before = (ends - starts > after) & _IS_SPACE[buffer[np.minimum(starts, len(buffer) - 1)]]
    return after, before


def views(lines: Lines, rows: Ints) -> Array:
    """Return the lines `rows` as an Arrow `string_view` array over the block's own bytes.

    The block must be shorter than 2 GiB and the lines valid UTF-8.
    """
    # Source: Arrow columnar format, "variable-size binary view layout": length, then twelve bytes
    # of the string itself, or its first four, the buffer's number and the offset.
    starts = lines.starts[rows]
    size = lines.ends[rows] - starts
    view = np.zeros((len(rows), 4), np.int32)
    view[:, 0] = size
    view[:, 3] = starts
    if len(lines.data) >= 4:
        fours = np.ndarray(len(lines.data) - 3, "<i4", lines.data, strides=(1,))
        view[:, 1] = fours[np.minimum(starts, len(fours) - 1)]
    short = np.flatnonzero(size <= _INLINE)
    if len(short):
        place = starts[short, None] + np.arange(_INLINE)
        inside = np.arange(_INLINE) < size[short, None]
        buffer = np.frombuffer(lines.data, np.uint8)
        text = np.where(inside, buffer[np.minimum(place, len(buffer) - 1)], 0)
        view[short, 1:] = text.astype(np.uint8).view(np.int32)
    buffers = [None, pa.py_buffer(view.tobytes()), pa.py_buffer(lines.data)]
    return pa.Array.from_buffers(pa.string_view(), len(rows), buffers)


def quotes_before(lines: Lines, places: Ints) -> Ints:
    """Count the quotation marks in front of each of `places`, as byte offsets in the block."""
    words = _bits(np.frombuffer(lines.data, np.uint8), _QUOTE)
    total = np.zeros(len(words), np.int64)
    np.cumsum(np.bitwise_count(words[:-1]).astype(np.int64), out=total[1:])
    word, bit = places >> 6, (places & 63).astype(np.uint64)
    below = words[word] & ((np.uint64(1) << bit) - np.uint64(1))
    return np.asarray(total[word] + np.bitwise_count(below))


def _bits(buffer: Bytes, byte: int) -> Words:
    """Return one bit for each byte of `buffer`, whether it is `byte`; at least one is behind it."""
    words = np.zeros(len(buffer) // 64 + 1, np.uint64)
    packed = words.view(np.uint8)
    for start in range(0, len(buffer), _PIECE):
        bits = np.packbits(buffer[start : start + _PIECE] == byte, bitorder="little")
        packed[start >> 3 :][: len(bits)] = bits
    return words


def _places(words: Words) -> Ints:
    """Return which bits are set, ascending."""
    one = np.uint64(1)
    word = np.flatnonzero(words)
    bits, found = words[word], []
    while len(word):
        below = bits - one  # all ones below the lowest bit that is set
        found.append((word << 6) + np.bitwise_count(below & ~bits))
        bits = bits & below
        some = bits != 0
        word, bits = word[some], bits[some]
    places = np.concatenate([*found, np.zeros(0, np.int64)])
    return np.sort(places) if len(found) > 1 else places


def suspects(lines: Lines) -> Flags:
    r"""Flag the lines with a backslash, or a comma (and blanks) before a closing brace."""
    found = np.zeros(len(lines), np.bool_)
    buffer = np.frombuffer(lines.data, np.uint8)
    places = _trailing_commas(buffer)
    if b"\\" in lines.data:
        places = np.append(places, np.flatnonzero(buffer == _BACKSLASH))
    if len(places):
        found[np.searchsorted(lines.offsets, places, side="right") - 1] = True
    return found


def _trailing_commas(buffer: Bytes) -> Ints:
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(buffer), _PIECE):
        piece = buffer[start : start + _PIECE + 1]
        before, closing = piece[:-1], piece[1:] == _CLOSE
        closing &= (before == _COMMA) | (before <= 32)
        if closing.any():
            found.append(np.flatnonzero(closing) + start)
    place = np.concatenate(found)
    # Walk back over the blanks; where there are many of them, call the line a suspect and be done.
    for _ in range(8):
        blank = _IS_SPACE[buffer[place]] & (place > 0) if len(place) else np.zeros(0, np.bool_)
        if not blank.any():
            break
        place = place - blank
    return place[(buffer[place] == _COMMA) | _IS_SPACE[buffer[place]]] if len(place) else place


def booleans(lines: Lines, rows: Ints) -> Ints:
    """Count the `true` and `false` behind a colon or a blank in `rows`; in strings too."""
    if len(rows) * 16 < len(lines):  # a few lines are sooner looked at than all bytes
        few = [len(_BOOLEAN.findall(lines.line(row))) for row in rows.tolist()]
        return np.array(few, np.int64)
    places = behind_gap(lines.data, (b"true", b"false"))
    line = np.searchsorted(lines.offsets, places, side="right") - 1
    return np.bincount(line, minlength=len(lines)).astype(np.int64)[rows]


def behind_gap(data: bytes, words: tuple[bytes, ...]) -> Ints:
    """Return where one of `words` stands behind a colon or a blank, as byte offsets."""
    buffer = np.frombuffer(data, np.uint8)
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(buffer), _PIECE):
        piece = buffer[start : start + _PIECE + 1]
        before, after = piece[:-1], piece[1:]
        hit = after == words[0][0]
        for word in words[1:]:
            hit |= after == word[0]
        hit &= (before == _COLON) | (before <= 32)
        if hit.any():
            found.append(np.flatnonzero(hit) + start + 1)
    places = np.concatenate(found)
    matches = [np.zeros(0, np.int64)]
    for word in words:
        match = places[places + len(word) <= len(buffer)]
        for place, byte in enumerate(word):
            match = match[buffer[match + place] == byte]
        matches.append(match)
    return np.concatenate(matches)
