"""What became of lines that somebody handed in and waits for."""

import json
from dataclasses import dataclass
from typing import Self

__all__ = ["LISTED_MAX", "Receipt", "RejectedLine"]

LISTED_MAX = 10_000
"""Rejected lines that a receipt lists; all of them are counted, and are in `rejects`."""


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is in `rejects` now.

    Attributes
    ----------
    line : int
        Its number within what was handed in, from 1.
    """

    line: int
    reason: str
    field: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everything that was handed in is durable now: as events, or as rejects.

    Attributes
    ----------
    lines : int
        Those that are not blank.
    rejected_count : int
    rejected : tuple of RejectedLine
        In order, the first `LISTED_MAX`; the other lines were accepted.
    repeated : bool
        An earlier call with the same idempotency key has handed in the same, and this is what it
        was told.
    """

    lines: int
    rejected_count: int = 0
    rejected: tuple[RejectedLine, ...] = ()
    repeated: bool = False

    @property
    def accepted(self) -> int:
        """Lines that became events."""
        return self.lines - self.rejected_count

    def to_json(self) -> str:
        """Write what a later call with the same key is told."""
        rejected = [[each.line, each.reason, each.field] for each in self.rejected]
        return json.dumps([self.lines, self.rejected_count, rejected])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, as a repeated one.

        >>> one = Receipt(2, 1, (RejectedLine(2, "`id` is missing", "id"),))
        >>> Receipt.from_json(one.to_json()).rejected == one.rejected
        True
        """
        lines, count, rejected = json.loads(text)
        return cls(lines, count, tuple(RejectedLine(*each) for each in rejected), repeated=True)
