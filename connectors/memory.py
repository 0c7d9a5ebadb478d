"""A partition of bytes in memory, for tests and for small streams made in place."""

from collections.abc import Iterable

from connectors.lines import LineCutter
from connectors.partition import BLOCK_BYTES
from engine.batch import Block

__all__ = ["Memory"]


class Memory:
    r"""Bytes as a partition; each poll gives whole lines of one of the blocks given.

    Delivery: resumes at any byte position; the blocks given are the cuts, as far as they end with
    whole lines. A live one (`bounded=False`) takes more by `push` until `end` is called.

    >>> memory = Memory([b"a\nb\n", b"c"], source="s", name="m")
    >>> [memory.poll(0).data, memory.poll(0).data, memory.finished]
    [b'a\nb\n', b'c', True]
    """

    size: int | None
    state: str | None = None

    def __init__(
        self,
        blocks: Iterable[bytes] = (),
        *,
        source: str = "memory",
        name: str = "memory",
        start: int = 0,
        bounded: bool = True,
    ) -> None:
        self.source = source
        self.name = name
        self.bounded = bounded
        self._chunks = _from(list(blocks), start)
        self.size = sum(map(len, self._chunks)) + start if bounded else None
        self.consumed = start
        self._position = start
        self._cutter = LineCutter()
        self._ended = bounded

    @property
    def finished(self) -> bool:
        """No more will ever come."""
        return self._ended and not self._chunks and not self._cutter.holds

    def push(self, block: bytes) -> None:
        """Let `block` arrive at a live partition."""
        self._chunks.append(block)

    def end(self) -> None:
        """Say that a live partition gets no more."""
        self._ended = True

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """Whole lines of the next block; see `Partition.poll`."""
        taken = self._take(limit)
        while taken is None and self._chunks:
            chunk = self._chunks.pop(0)
            self.consumed += len(chunk)
            self._cutter.feed(chunk)
            taken = self._take(limit)
        if taken is None:
            return None
        block = Block(self.source, self.name, self._position, taken[0], now_us, taken[1])
        self._position = block.end
        return block

    def close(self) -> None:
        """Nothing is open."""

    def _take(self, limit: int) -> tuple[bytes, int] | None:
        return self._cutter.take(limit, ended=self._ended and not self._chunks)


def _from(blocks: list[bytes], start: int) -> list[bytes]:
    """Give what of the blocks lies behind byte `start`."""
    rest = []
    for block in blocks:
        if start < len(block):
            rest.append(block[start:])
        start = max(0, start - len(block))
    return rest
