"""A topic of Kafka as a source: its partitions, each polled for blocks of whole messages.

Delivery: each message once, resumed at the position in the store; the consumer group decides
nothing. A partition is named ``topic/number``, its position is an offset (`connectors.kafka.eras`
says what of a topic that was created anew). Only what belongs to finished transactions is read.
With ``until: end`` the partitions are bounded by what is there at the start: their blocks are a
function of the messages alone, and the run ends by itself.
"""

import logging
import threading
import time
from collections.abc import Callable

from connectors.kafka.lane import Lane, lane_of
from connectors.kafka.outage import Outage
from connectors.kafka.reading import Reading
from connectors.kafka.shelf import block_of
from connectors.partition import BLOCK_BYTES
from engine.batch import Block
from engine.errors import EndingError, SourceError
from engine.kafka_settings import KafkaSettings

__all__ = ["BOUNDED_WAIT_S", "LIVE_WAIT_S", "Topic", "TopicPartition"]

BOUNDED_WAIT_S = 15.0
"""How long a topic that is read to its end waits for the brokers, before it says that none came."""

LIVE_WAIT_S = 5.0
"""How long the start of a run waits for the brokers, so that all partitions begin together."""

_POLL_S = 0.05
_CLOSE_S = 0.5

_logger = logging.getLogger(__name__)


class Topic:
    """One source; a thread of its own reads it.

    Parameters
    ----------
    source : str
        Its name.
    settings : KafkaSettings
    known : callable
        Gives committed position and state of a partition of it by name, None if there is none.
    names : collection of str
        The names of the partitions that the store knows.
    wait_s : float, optional
        In place of `BOUNDED_WAIT_S` or `LIVE_WAIT_S`.
    """

    def __init__(
        self,
        source: str,
        settings: KafkaSettings,
        known: Callable[[str], tuple[int, str | None] | None],
        names: tuple[str, ...] = (),
        wait_s: float | None = None,
    ) -> None:
        self.source, self.settings = source, settings
        self.changed = threading.Condition()
        self.fault: BaseException | None = None
        numbers = sorted(_number(name, settings.topic) for name in names)
        lanes = [
            lane_of(settings.topic, n, known(f"{settings.topic}/{n}") or (0, None), fresh=False)
            for n in numbers
            if n >= 0
        ]
        outage = Outage(f"source {source}", settings.connection.brokers)
        self.reading = Reading(settings, outage, lanes, known, self.changed)
        self._outage = outage
        patience_s = LIVE_WAIT_S if settings.until is None else BOUNDED_WAIT_S
        self._wait_s = patience_s if wait_s is None else wait_s
        self._given: set[int] = set()
        # A daemon: a client that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"kafka-{source}", daemon=True)

    def start(self, stopped: Callable[[], bool] = lambda: False) -> list["TopicPartition"]:
        """Begin to read; waits a stated time for the brokers, or until it is `stopped`.

        Raises
        ------
        EndingError
            It was stopped.
        SourceError
            They do not answer, or have no such topic, and it is to be read to its end.
        """
        self._thread.start()
        bounded = self.settings.until is not None
        reading = self.reading

        def known() -> bool:
            return reading.opened or self.fault is not None or (reading.absent and not bounded)

        until_s = time.monotonic() + self._wait_s
        with self.changed:
            while not known() and not stopped() and time.monotonic() < until_s:
                self.changed.wait(_POLL_S)
        if self.fault is not None:
            raise self.fault
        if stopped():
            self.close()
            msg = "the run was stopped before its topic was there"
            raise EndingError(msg)
        if not reading.opened and bounded:
            self.close()
            raise SourceError(self._nothing())
        if not reading.opened and not reading.absent:
            self._outage.begins()
        return self.discover(0)

    def discover(self, _now_us: int) -> list["TopicPartition"]:
        """Give the partitions that were found since the last call."""
        with self.changed:
            new = [lane for n, lane in sorted(self.reading.lanes.items()) if n not in self._given]
        self._given.update(lane.number for lane in new)
        return [TopicPartition(self, lane) for lane in new]

    def close(self) -> None:
        """Let go; a second call does nothing."""
        self.reading.closing = True
        with self.changed:
            self.changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            self.reading.run()
        except BaseException as fault:  # noqa: BLE001 - raised where the partitions are polled
            with self.changed:
                self.fault = fault
                self.changed.notify_all()

    def _nothing(self) -> str:
        topic, brokers = self.settings.topic, self.settings.connection.brokers
        if self.reading.absent:
            return f"kafka.topic must be there, got {topic}, which {brokers} do not have"
        return (
            f"kafka.brokers must answer within {self._wait_s:.0f} s, got none of {brokers}"
            f" ({self._outage.reason})"
        )


def _number(name: str, topic: str) -> int:
    """Give the number of a partition; -1 where the name is of another topic."""
    front, _, number = name.rpartition("/")
    return int(number) if front == topic and number.isdigit() else -1


class TopicPartition:
    """One partition; see `connectors.partition.Partition`."""

    size: int | None = None

    def __init__(self, topic: Topic, lane: Lane) -> None:
        self.source, self.name = topic.source, lane.name
        self.bounded = topic.settings.until is not None
        self.consumed = 0
        self.state = lane.state
        self._topic, self._lane = topic, lane

    @property
    def finished(self) -> bool:
        """Everything up to the end was delivered."""
        return self._lane.ended and not self._lane.shelf

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """Give what is there; of a bounded topic a whole block, or what is left at its end.

        Raises
        ------
        SourceError
            Messages are lost, and the settings say to stop then.
        """
        lane, changed = self._lane, self._topic.changed
        with changed:
            if self.bounded and not self._ready(limit):
                # In the thread that reads ahead: it would only ask again at once.
                changed.wait_for(lambda: self._ready(limit), _POLL_S)
            ready = not self.bounded or self._ready(limit)
            piece = lane.shelf.take(limit) if ready else None
            self.state = lane.state
            changed.notify_all()
        if piece is not None:
            self.consumed += len(piece.data)
            return block_of(piece, self.source, self.name, now_us)
        if self._topic.fault is not None:
            raise self._topic.fault
        return None

    def close(self) -> None:
        """Let go of the topic, and so of all its partitions."""
        self._topic.close()

    def _ready(self, limit: int) -> bool:
        return (
            self._lane.ended or self._topic.fault is not None or self._lane.shelf.waiting >= limit
        )
