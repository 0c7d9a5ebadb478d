"""The declared inputs as partitions, at the positions where the store says to go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.files import open_files
from connectors.follow import Follow
from connectors.partition import Partition
from connectors.stdin import Stdin
from engine.config import Settings

__all__ = ["Inputs", "Resume", "open_inputs"]

Resume = Mapping[tuple[str, str], tuple[int, str | None, int | None]]
"""Per (source, partition): position in bytes, the source's own state, greatest event time in µs."""

Discover = Callable[[int], Sequence[Partition]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to read: the partitions of the start, and who finds those that come later."""

    partitions: list[Partition]
    discover: Discover | None


def open_inputs(settings: Settings, resume: Resume) -> Inputs:
    """Open every source of the settings.

    Raises
    ------
    SourceError
        A file is missing, a pattern matches nothing, an archive cannot be followed.
    """

    def known(source: str, name: str) -> tuple[int, str | None]:
        return resume.get((source, name), (0, None, None))[:2]

    partitions: list[Partition] = []
    followers: list[Follow] = []
    for source in settings.sources:
        if source.stdin:
            partitions.append(Stdin(source.name, known(source.name, Stdin.name)[0]))
        elif source.follow:
            followers.append(Follow(source.name, source.files, known))
            partitions.extend(followers[-1].start())
        else:
            partitions.extend(open_files(source.name, source.files, known))
    return Inputs(partitions, _discover_of(followers))


def _discover_of(followers: Sequence[Follow]) -> Discover | None:
    if not followers:
        return None
    return lambda now_us: [new for each in followers for new in each.discover(now_us)]
