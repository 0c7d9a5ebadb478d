"""What was read of one topic partition: many messages as one piece of lines with their positions.

A message is one line or several; one that lacks its last newline gets it. Tombstones and empty
messages are counted, and have no line. Nothing is done per message in Python but to ask for its
value and offset. Limits: a line keeps `KEPT_BYTES`, which is over every limit of a line, so it is
rejected; of a message with more than `LINES_MAX` lines the rest is reported as one reject.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from connectors.lines import KEPT_BYTES, LINES_MAX
from engine.arrays import Ints
from engine.batch import Told

__all__ = ["Piece", "joined", "piece_of"]

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Successive messages of a partition.

    Attributes
    ----------
    data : bytes
        Whole lines.
    starts, positions : int64, shape (n,)
        Where each message with lines begins in `data`; its position.
    end : int
        Position of the next message.
    tombstones, empty : int64
        Positions of the messages without a value, and with an empty one.
    told : tuple of Told
        What is to be reported, in order of position.
    missing : int
        Positions skipped in front of it.
    """

    data: bytes
    starts: Ints
    positions: Ints
    end: int
    tombstones: Ints = field(default_factory=lambda: _NONE)
    empty: Ints = field(default_factory=lambda: _NONE)
    told: tuple[Told, ...] = ()
    missing: int = 0

    @property
    def messages(self) -> int:
        """Number of messages, those without lines included."""
        return len(self.positions) + len(self.tombstones) + len(self.empty)

    def split(self, count: int) -> tuple["Piece", "Piece"]:
        """Give the first `count` messages with lines, at least one, and the others."""
        if count >= len(self.positions):
            return self, Piece(b"", _NONE, _NONE, self.end)
        cut, place = int(self.starts[count]), int(self.positions[count])
        low, high = (_below(each, place) for each in (self.tombstones, self.empty))
        first = Piece(
            self.data[:cut],
            self.starts[:count],
            self.positions[:count],
            place,
            self.tombstones[:low],
            self.empty[:high],
            tuple(told for told in self.told if told.position < place),
            self.missing,
        )
        rest = Piece(
            self.data[cut:],
            self.starts[count:] - cut,
            self.positions[count:],
            self.end,
            self.tombstones[low:],
            self.empty[high:],
            tuple(told for told in self.told if told.position >= place),
        )
        return first, rest

    def fitting(self, limit: int) -> int:
        """Count the messages from the first on that have at most `limit` bytes together."""
        if len(self.data) <= limit:
            return len(self.positions)
        return int(np.searchsorted(self.starts[1:], limit, side="right"))


def _below(positions: Ints, place: int) -> int:
    return int(np.searchsorted(positions, place))


def piece_of(values: Sequence[bytes | None], positions: Ints) -> Piece:
    r"""Join the values of successive messages.

    >>> piece = piece_of([b"a", None, b"b\nc\n", b""], np.arange(5, 9))
    >>> piece.data, piece.starts, piece.positions, piece.end
    (b'a\nb\nc\n', array([0, 2]), array([5, 7]), 9)
    >>> piece.tombstones, piece.empty
    (array([6]), array([8]))
    """
    end = int(positions[-1]) + 1
    filled, positions, tombstones = _without_nulls(values, positions)
    sizes = _sizes(filled)
    empty = positions[sizes == 0]
    if len(empty):
        filled, positions = [value for value in filled if value], positions[sizes > 0]
        sizes = sizes[sizes > 0]
    told: list[Told] = []
    large = len(sizes) > 0 and int(sizes.max()) > min(LINES_MAX, KEPT_BYTES)
    if large:
        placed = zip(filled, positions.tolist(), strict=True)
        filled = [_tamed(value, place, told) for value, place in placed]
    data = b"\n".join([*filled, b""])
    if large or b"\n\n" in data:  # some bring their newline along
        filled = [value.removesuffix(b"\n") for value in filled]
        data, sizes = b"\n".join([*filled, b""]), _sizes(filled)
    starts = np.zeros(len(sizes), np.int64)
    np.cumsum(sizes[:-1] + 1, out=starts[1:])
    return Piece(data, starts, positions, end, tombstones, empty, tuple(told))


def _without_nulls(
    values: Sequence[bytes | None], positions: Ints
) -> tuple[list[bytes], Ints, Ints]:
    """Give the values that are there with their positions, and the positions of the others."""
    found = [value for value in values if value is not None]
    if len(found) == len(values):
        return found, positions, _NONE
    there = np.array([value is not None for value in values], np.bool_)
    return found, positions[there], positions[~there]


def _sizes(values: Sequence[bytes]) -> Ints:
    return np.fromiter(map(len, values), np.int64, len(values))


def _tamed(value: bytes, position: int, told: list[Told]) -> bytes:
    """Cut what no block may hold: lines beyond `LINES_MAX`, and those beyond `KEPT_BYTES`."""
    lines = value.count(b"\n") + (not value.endswith(b"\n"))
    if lines > LINES_MAX:
        reason = f"message must have at most {LINES_MAX} lines, got {lines}: the rest is left out"
        breaks = np.flatnonzero(np.frombuffer(value, np.uint8) == ord("\n"))
        cut = int(breaks[LINES_MAX - 1]) + 1
        told.append(Told(position, reason, value[cut : cut + KEPT_BYTES]))
        value = value[:cut]
    if len(value) <= KEPT_BYTES:
        return value
    return b"\n".join([line[:KEPT_BYTES] for line in value.split(b"\n")])


def joined(pieces: Sequence[Piece]) -> Piece:
    """Give successive pieces, at least one, as one."""
    if len(pieces) == 1:
        return pieces[0]
    before = np.cumsum([0, *(len(piece.data) for piece in pieces[:-1])])
    starts = [piece.starts + shift for piece, shift in zip(pieces, before, strict=True)]
    return Piece(
        b"".join([piece.data for piece in pieces]),
        np.concatenate(starts),
        np.concatenate([piece.positions for piece in pieces]),
        pieces[-1].end,
        np.concatenate([piece.tombstones for piece in pieces]),
        np.concatenate([piece.empty for piece in pieces]),
        tuple(told for piece in pieces for told in piece.told),
        sum(piece.missing for piece in pieces),
    )
