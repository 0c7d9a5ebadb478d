"""Holds the pieces read of one topic partition until a block is taken of them.

The cut into blocks follows from the messages, the place of the first one and the limit alone, if
blocks are taken only while at least `limit` bytes wait or nothing more will come: a message is
never torn, and a block has as many as fit. Not locked: the owner does that.
"""

from collections import deque

from connectors.kafka.pieces import Piece, joined
from connectors.lines import LINES_MAX
from engine.batch import Block, Messages

__all__ = ["Shelf", "block_of"]

_BYTES_A_MESSAGE = 16  # of the two numbers that stand for it


class Shelf:
    """The pieces of one partition, in order.

    Attributes
    ----------
    waiting : int
        Bytes of the lines that wait.
    memory : int
        Bytes that they take, about.
    """

    def __init__(self) -> None:
        self.waiting = self.memory = 0
        self._pieces: deque[Piece] = deque()

    def __bool__(self) -> bool:
        """Whether anything is still to be delivered."""
        return bool(self._pieces)

    def put(self, piece: Piece) -> None:
        """Add the messages that come next."""
        self._pieces.append(piece)
        self._count(piece, 1)

    def take(self, limit: int) -> Piece | None:
        """Give messages of at most `limit` bytes, or one larger one; None when nothing waits."""
        taken: list[Piece] = []
        size = 0
        while self._pieces:
            fits = self._pieces[0].fitting(limit - size)
            if fits == 0 and len(self._pieces[0].positions):
                if size:
                    break
                fits = 1
            piece = self._pop(fits)
            taken.append(piece)
            size += len(piece.data)
            if size > limit:
                break
        return self._at_most(LINES_MAX, joined(taken)) if taken else None

    def _at_most(self, lines: int, piece: Piece) -> Piece:
        """Keep the first messages, with so many lines together, and put the others back."""
        if len(piece.data) <= lines or piece.data.count(b"\n") <= lines:
            return piece
        low, high = 1, len(piece.positions)
        while low < high:  # the most messages that have no more lines; one at least
            middle = (low + high + 1) // 2
            end = len(piece.data)
            cut = int(piece.starts[middle]) if middle < len(piece.starts) else end
            if piece.data.count(b"\n", 0, cut) <= lines:
                low = middle
            else:
                high = middle - 1
        return self._keep(piece, low)

    def _pop(self, count: int) -> Piece:
        piece = self._pieces.popleft()
        self._count(piece, -1)
        return self._keep(piece, count)

    def _keep(self, piece: Piece, count: int) -> Piece:
        if count >= len(piece.positions):
            return piece
        first, rest = piece.split(count)
        self._pieces.appendleft(rest)
        self._count(rest, 1)
        return first

    def _count(self, piece: Piece, sign: int) -> None:
        self.waiting += sign * len(piece.data)
        self.memory += sign * (len(piece.data) + _BYTES_A_MESSAGE * piece.messages)


def block_of(piece: Piece, source: str, name: str, now_us: int) -> Block:
    """Give a piece as a block."""
    start = int(piece.positions[0]) if len(piece.positions) else piece.end
    messages = Messages(
        piece.starts,
        piece.positions,
        piece.end,
        piece.messages,
        len(piece.tombstones),
        len(piece.empty),
        piece.missing,
    )
    return Block(source, name, start, piece.data, now_us, messages=messages, told=piece.told)
