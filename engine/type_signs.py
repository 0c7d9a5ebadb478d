"""A look at a block's bytes: which lines `engine.other_columns` should be the first to read."""

import re

import numpy as np

from engine.arrays import Bytes, Flags, Ints
from engine.lines import Lines
from engine.schema import OTHERS

__all__ = ["signs"]

_SIGN = re.compile(rb'"type"\s{0,4}:\s{0,4}"(?:' + "|".join(OTHERS).encode() + rb')"')
# Spread by the golden ratio: evenly, but in step with nothing that repeats in a stream.
_PLACES = np.arange(128) * 0.6180339887498949 % 1.0
_QUOTE, _COLON, _BLANK = 34, 58, 32
# Scans go piece by piece, so that what they put aside stays in the processor's cache.
_PIECE = 1 << 17


def signs(lines: Lines, rows: Ints) -> Flags:
    """Return which lines look as if they were of one of `OTHERS`; only speed depends on it.

    A stream of predictions pays for no more than a look at some of its lines.
    """
    some = rows[(_PLACES * len(rows)).astype(np.int64)] if len(rows) else rows
    if not any(_SIGN.search(lines.line(row)) for row in some.tolist()):
        return np.zeros(len(rows), np.bool_)
    buffer = np.frombuffer(lines.data, np.uint8)
    places = _values(buffer)
    places = places[_has_word(buffer, places)]
    behind = places - 1 - (buffer[places - 1] != _COLON)  # one blank is common
    places = places[(behind >= 6) & (buffer[behind] == _COLON)]
    behind = places - 1 - (buffer[places - 1] != _COLON)
    for place, byte in enumerate(b'"type"'):
        fits = buffer[behind - 6 + place] == byte
        places, behind = places[fits], behind[fits]
    found = np.zeros(len(lines), np.bool_)
    found[np.searchsorted(lines.offsets, places, side="right") - 1] = True
    return np.asarray(found[rows])


def _values(buffer: Bytes) -> Ints:
    """Return where strings begin behind a colon or a blank, but the one at the very start."""
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(buffer), _PIECE):
        piece = buffer[start : start + _PIECE + 1]
        before = piece[:-1]
        hit = (piece[1:] == _QUOTE) & ((before == _COLON) | (before == _BLANK))
        found.append(np.flatnonzero(hit) + start + 1)
    return np.concatenate(found)


def _has_word(buffer: Bytes, places: Ints) -> Flags:
    """Return where one of the types and a mark stand behind the marks at `places`."""
    found = np.zeros(len(places), np.bool_)
    first = buffer[np.minimum(places + 1, len(buffer) - 1)]
    for kind in OTHERS:
        word = f'{kind}"'.encode()
        todo = np.flatnonzero(first == word[0])
        todo = todo[places[todo] + len(word) < len(buffer)]
        for place, byte in enumerate(word[1:], start=2):
            todo = todo[buffer[places[todo] + place] == byte]
        found[todo] = True
    return found
