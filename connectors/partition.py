"""What every source looks like from above: a partition that is polled for blocks of whole lines.

A partition has two names that never change, a position that only grows, and never waits: `poll`
gives what is there. Where reading resumes after a restart is the position of the last block that
was committed, together with `state`. A partition may be read ahead of the commits: `state` is
always good for every position since the start of the run, not only for that of the last block.
"""

from collections.abc import Callable
from typing import Protocol

from engine.batch import Block

__all__ = ["BLOCK_BYTES", "Partition", "Resume"]

# DuckDB decodes 16 MiB at a time nearly twice as fast as 1 MiB (DESIGN §7); more gains nothing.
BLOCK_BYTES = 16 << 20

Resume = Callable[[str, str], tuple[int, str | None]]
"""Committed position in bytes and state of (source, partition); (0, None) if it is new."""


class Partition(Protocol):
    """One input that is read from front to end.

    Attributes
    ----------
    source, name : str
        Constant across restarts; together they name the partition in the store.
    bounded : bool
        Whether it ends by itself (a file) or is live (standard input, a followed file).
    size : int or None
        Bytes of the stored file on disk, where known.
    consumed : int
        Bytes of the stored file read so far: compressed ones for an archive.
    state : str or None
        What a restart needs beside the position; to be committed with it.
    """

    source: str
    name: str
    bounded: bool
    size: int | None
    consumed: int
    state: str | None

    @property
    def finished(self) -> bool:
        """No more will ever come."""
        ...

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """Whole lines that are there now, at most `limit` bytes; None when there are none.

        Never waits for others, and does no more work than one block takes. `now_us` is the wall
        clock, in microseconds since the epoch. A line longer than `limit` comes alone in a block.

        Raises
        ------
        SourceError
            The input cannot be read (any further); all whole lines before were delivered.
        """
        ...

    def close(self) -> None:
        """Let go of what is open; a second call does nothing."""
        ...
