"""Cuts chunks of bytes into blocks of whole lines, with bounded memory for endless lines.

Of a line longer than `KEPT_BYTES` only that much is kept and the rest is counted: it comes alone,
as (first bytes, number of bytes dropped), so that positions stay true and it can still be rejected.
Nothing here looks at a line: the work per block is one search from its end, one count of its
newlines and one copy, however many lines wait behind it.
"""

from collections import deque

import numpy as np

__all__ = ["KEPT_BYTES", "LINES_MAX", "LineCutter"]

# Twice the default limit of a line, so that the decoder sees that the line is over it.
KEPT_BYTES = 2 << 20

LINES_MAX = 1 << 17
"""Lines of a block. Only lines of less than 128 bytes meet it: each costs memory of its own when it
is no event, so 16 MiB of empty objects would cost gigabytes."""

_LOOK_BYTES = 1 << 18


class LineCutter:
    r"""Holds the bytes that are not yet a whole block.

    The blocks depend on the bytes alone, not on how they were fed, if `take` is called only
    while at least `limit` bytes wait or the end is known.

    >>> cutter = LineCutter()
    >>> cutter.feed(b"one\ntwo\nthr")
    >>> cutter.take(100)
    (b'one\ntwo\n', 0)
    >>> cutter.take(100, ended=True)
    (b'thr', 0)
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._pieces: deque[bytes] = deque()
        self._at = 0  # bytes of the first piece that are taken already
        self._kept: bytes | None = None  # front of a long line whose end is still sought
        self._skipped = 0

    @property
    def holds(self) -> bool:
        """Whether anything is still to be delivered."""
        return self.waiting > 0 or self._kept is not None

    def feed(self, chunk: bytes) -> None:
        """Add the bytes that come next."""
        if chunk:
            self._pieces.append(chunk)
            self.waiting += len(chunk)

    def take(self, limit: int, *, ended: bool = False) -> tuple[bytes, int] | None:
        """Whole lines of at most `limit` bytes, or one longer line; None when more is needed.

        Parameters
        ----------
        limit : int
            Bytes, at least 1.
        ended : bool
            Nothing more will be fed: what waits without a newline is the last line.

        Returns
        -------
        (bytes, int) or None
            The lines, and how many bytes of a cut line were dropped behind them.
        """
        if self._kept is not None:
            return self._rest_of_long_line(ended=ended)
        cut = self._last_newline(limit)
        if cut:
            return self._pop(self._at_most(LINES_MAX, cut)), 0
        line = self._first_newline() or (self.waiting if ended else 0)
        if line:
            kept = self._pop(min(line, KEPT_BYTES))
            self._drop(line - len(kept))
            return kept, line - len(kept)
        if self.waiting > KEPT_BYTES:
            self._kept = self._pop(KEPT_BYTES)
            return self._rest_of_long_line(ended=ended)
        return None

    def _at_most(self, lines: int, cut: int) -> int:
        """Bytes of the first `lines` lines, but no more than `cut`; looks no further than that."""
        if cut <= lines:
            return cut
        done = 0
        for index, piece in enumerate(self._pieces):
            low = 0 if index else self._at
            high = min(len(piece), low + cut - done)
            for start in range(low, high, _LOOK_BYTES):
                part = np.frombuffer(piece, np.uint8)[start : min(start + _LOOK_BYTES, high)]
                newlines = part == ord("\n")
                count = np.count_nonzero(newlines)
                if count >= lines:
                    return done + start - low + int(np.flatnonzero(newlines)[lines - 1]) + 1
                lines -= int(count)
            done += high - low
            if done >= cut:
                break
        return cut

    def _rest_of_long_line(self, *, ended: bool) -> tuple[bytes, int] | None:
        newline = self._first_newline()
        gone = newline or self.waiting
        self._drop(gone)
        self._skipped += gone
        if self._kept is None or not (newline or ended):
            return None
        done = self._kept, self._skipped
        self._kept, self._skipped = None, 0
        return done

    def _last_newline(self, limit: int) -> int:
        """Bytes up to and with the last newline in the first `limit` bytes; 0: there is none."""
        end = self.waiting
        for index in range(len(self._pieces) - 1, -1, -1):
            piece = self._pieces[index]
            low = 0 if index else self._at
            end -= len(piece) - low  # now where the piece begins
            if end < limit:
                found = piece.rfind(b"\n", low, low + limit - end) + 1
                if found:
                    return end + found - low
        return 0

    def _first_newline(self) -> int:
        """Bytes up to and with the first newline; 0: there is none."""
        before = -self._at
        low = self._at
        for piece in self._pieces:
            found = piece.find(b"\n", low) + 1
            if found:
                return before + found
            before += len(piece)
            low = 0
        return 0

    def _pop(self, count: int) -> bytes:
        """Take the first `count` bytes; one copy at most."""
        parts: list[bytes | memoryview] = []
        for piece, low, high in self._spans(count):
            whole = high - low == len(piece)
            parts.append(piece if whole else memoryview(piece)[low:high])
        if len(parts) == 1 and isinstance(parts[0], bytes):
            return parts[0]
        return b"".join(parts)

    def _drop(self, count: int) -> None:
        for _ in self._spans(count):
            pass

    def _spans(self, count: int) -> list[tuple[bytes, int, int]]:
        """Remove the first `count` bytes; give where they lie."""
        spans = []
        self.waiting -= count
        while count:
            piece, low = self._pieces[0], self._at
            high = min(len(piece), low + count)
            spans.append((piece, low, high))
            count -= high - low
            if high == len(piece):
                self._pieces.popleft()
                self._at = 0
            elif high * 2 > len(piece):  # a short rest must not hold on to a large piece
                self._pieces[0] = piece[high:]
                self._at = 0
            else:
                self._at = high
        return spans
