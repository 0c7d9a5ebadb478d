"""How a file is known again after a restart: marks, kept as JSON beside the position.

A mark says that from position `base` on the partition is the file with this inode whose content
began with bytes of this digest. A log that was rotated has several; the one that counts for a
position is the last with `base` <= position, so marks made ahead of a commit do no harm.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["HEAD_BYTES", "Mark", "mark_at", "marks_of", "state_of"]

# Enough for a few events, the first of which has an id or a time of its own.
HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """One file of a partition.

    Attributes
    ----------
    inode : int
        Of the file, when it was opened.
    base : int
        Position in the partition of the first byte of its content.
    head_bytes : int
        How many of the first bytes of its content the digest covers, at most 1024.
    digest : str
        BLAKE2b-64 of them, in hexadecimal.
    end : int or None
        Position of the end, if that was reached.
    stored : int or None
        Size of the stored file when the end was reached.
    """

    inode: int
    base: int
    head_bytes: int
    digest: str
    end: int | None = None
    stored: int | None = None

    @classmethod
    def of(cls, inode: int, base: int, head: bytes) -> "Mark":
        """Mark a file by the first bytes of its content."""
        return cls(inode, base, len(head[:HEAD_BYTES]), _digest(head[:HEAD_BYTES]))

    def fits(self, head: bytes) -> bool:
        """Whether a content that begins with `head` may be the one that was marked."""
        return len(head) >= self.head_bytes and _digest(head[: self.head_bytes]) == self.digest


def _digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def marks_of(state: str | None) -> tuple[Mark, ...]:
    """Give the marks in a committed state, in order of `base`."""
    return tuple(Mark(**mark) for mark in json.loads(state)["files"]) if state else ()


def state_of(marks: Sequence[Mark]) -> str:
    """Give the state to commit for these marks."""
    files = [{k: v for k, v in asdict(mark).items() if v is not None} for mark in marks]
    return json.dumps({"files": files}, separators=(",", ":"))


def mark_at(marks: Sequence[Mark], position: int) -> Mark | None:
    """Give the mark that counts for a position."""
    return next((mark for mark in reversed(marks) if mark.base <= position), None)
