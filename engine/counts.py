"""What a block, or a whole run, brought: lines, events and what became of them."""

from dataclasses import dataclass, fields

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """What one block, or a whole run, brought."""

    lines: int = 0
    events: int = 0
    votes: int = 0
    others: int = 0
    repeats: int = 0
    rejects: int = 0
    alerts: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count to this one."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
