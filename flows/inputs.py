"""The declared inputs as partitions, at the positions where the store says to go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.files import open_files
from connectors.follow import Follow
from connectors.kafka.client import check_connection
from connectors.kafka.topic import Topic
from connectors.partition import Partition
from connectors.stdin import Stdin
from engine.config import Settings, SourceSettings
from engine.kafka_settings import KafkaSettings

__all__ = ["Inputs", "Resume", "open_inputs", "state_of"]

Resume = Mapping[tuple[str, str], tuple[int, str | None, int | None]]
"""Per (source, partition): position, the source's own state, greatest event time in µs."""

Discover = Callable[[int], Sequence[Partition]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to read: the partitions of the start, and who finds those that come later."""

    partitions: list[Partition]
    discover: Discover | None
    topics: Sequence[Topic] = ()

    def close(self) -> None:
        """Let go of the topics, those without a partition, too."""
        for topic in self.topics:
            topic.close()


def open_inputs(
    settings: Settings, resume: Resume, stopped: Callable[[], bool] = lambda: False
) -> Inputs:
    """Open every source of the settings.

    Parameters
    ----------
    settings : Settings
    resume : mapping
    stopped : callable
        Whether to wait for nobody any more.

    Raises
    ------
    EndingError
        It was stopped while it waited for brokers.
    SourceError
        A file is missing, a pattern matches nothing, an archive cannot be followed; brokers that
        are to be read to the end do not answer.
    """

    def known(source: str, name: str) -> tuple[int, str | None]:
        return resume.get((source, name), (0, None, None))[:2]

    partitions: list[Partition] = []
    followers: list[Follow] = []
    topics: list[Topic] = []
    for source in settings.sources:
        if source.stdin:
            partitions.append(Stdin(source.name, known(source.name, Stdin.name)[0]))
        elif source.kafka is not None:
            topics.append(_topic_of(source, source.kafka, resume))
            partitions.extend(topics[-1].start(stopped))
        elif source.follow:
            follow = Follow(source.name, source.files, known)
            followers.append(follow)
            partitions.extend(follow.start())
        else:
            partitions.extend(open_files(source.name, source.files, known))
    live = [topic for topic in topics if topic.settings.until is None]
    return Inputs(partitions, _discover_of([*followers, *live]), topics)


def _topic_of(source: SourceSettings, kafka: KafkaSettings, resume: Resume) -> Topic:
    mine = {name: told[:2] for (of, name), told in resume.items() if of == source.name}
    check_connection(kafka.connection, "kafka")
    return Topic(source.name, kafka, mine.get, tuple(mine))


def state_of(partitions: Sequence[Partition], source: str, name: str) -> str | None:
    """Give what a partition wants back at a resume; good for all it has handed out."""
    for partition in partitions:
        if (partition.source, partition.name) == (source, name):
            return partition.state
    return None


def _discover_of(followers: Sequence[Follow | Topic]) -> Discover | None:
    if not followers:
        return None
    return lambda now_us: [new for each in followers for new in each.discover(now_us)]
