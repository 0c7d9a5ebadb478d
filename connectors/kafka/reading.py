"""The thread that reads a topic: looks what there is, fetches, and shelves what it gets.

::

    brokers ── consumer ── pieces per partition ── shelves ── poll() of each partition

Partitions are assigned by hand, at the offsets that the store tells; nothing is committed to any
group. Brokers that go away are waited for. Memory: the client's own queue, and the shelves, beyond
whose limits nothing is fetched.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.kafka.client import consumer_of
from connectors.kafka.lane import Lane, lane_of, settled, silent
from connectors.kafka.lookup import Absent, Found, Lookup, Refused, Unreachable
from connectors.kafka.outage import Outage
from connectors.kafka.pieces import piece_of
from connectors.partition import BLOCK_BYTES
from engine.batch import Told
from engine.errors import SourceError
from engine.kafka_settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

__all__ = ["Reading"]

_LOOK_EVERY_S = 5.0
_LOOK_AGAIN_S = 0.5
_WAIT_S = 0.05
_OFFSETS_S = 5.0
_MESSAGES = 10_000  # taken from the client at once, at most; and about so many bytes:
_TAKEN_BYTES = 4 << 20
_FIRST_MESSAGES = 100  # nothing is known of their size yet
_WAITING_BYTES_MAX = 2 * BLOCK_BYTES
_BOUNDED_BYTES = 128 << 20  # over all partitions; each has a share, but at least:
_BOUNDED_BYTES_MIN = 4 << 20

Made = Callable[[Lane], None]


class Reading:
    """The reading of one topic, for as long as `run` lasts.

    Parameters
    ----------
    settings : KafkaSettings
    outage : Outage
    known : callable
        Gives committed position and state of a partition by its name; whether it has any.
    changed : threading.Condition
        Guards the shelves, and is notified when something is on them.

    Attributes
    ----------
    lanes : dict of int to Lane
    opened : bool
        The topic was seen; all of its partitions are there.
    absent : bool
        It was not there when last looked.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        outage: Outage,
        lanes: Sequence[Lane],
        known: Callable[[str], tuple[int, str | None] | None],
        changed: threading.Condition,
    ) -> None:
        self.lanes: dict[int, Lane] = {lane.number: lane for lane in lanes}
        self.opened = self.absent = self.closing = False
        self._settings, self._outage, self._known = settings, outage, known
        self._any_known = bool(lanes)
        self._changed = changed
        self._consumer = consumer_of(settings.connection, self._on_error)
        self._lookup = Lookup(settings.connection, settings.topic, self._consumer)
        self._look_at_s = 0.0
        self._moved = False  # some lane is to be assigned anew
        self._down = False
        self._bounded = settings.until is not None
        self._at_once = _FIRST_MESSAGES

    def run(self) -> None:
        """Read until `closing`.

        Raises
        ------
        SourceError
            Messages are lost, and the settings say to stop then; the brokers refuse the topic.
        """
        try:
            while not self.closing:
                self._look()
                if self._down:
                    self._outage.begins()
                    self._down = False
                if self._full():
                    with self._changed:
                        self._changed.wait(_WAIT_S)
                else:
                    self._fetch()
        finally:
            self._consumer.close()

    # ---- what there is --------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask what there is when it is time, and act on the answer when it is there."""
        if not self._lookup.asked:
            if time.monotonic() >= self._look_at_s:
                self._lookup.ask()
            return
        answer = self._lookup.answer()
        if answer is None:
            return
        found = isinstance(answer, Found) and self._take_in(answer)
        self._look_at_s = time.monotonic() + (_LOOK_EVERY_S if found else _LOOK_AGAIN_S)
        if isinstance(answer, Absent):
            with self._changed:
                self.absent = True
                self._changed.notify_all()
            topic = self._settings.topic
            self._outage.once("absent", f"there is no topic {topic}; waiting until there is one")
        elif isinstance(answer, Refused):
            if not self.opened:
                msg = f"kafka: the brokers must let the topic be read, got {answer.reason}"
                raise SourceError(msg)
            self._outage.once("refused", answer.reason)
        elif isinstance(answer, Unreachable):
            self._outage.begins(answer.reason if self._outage.reason == "no answer" else None)

    def _take_in(self, found: Found) -> bool:
        """Begin with partitions that are new, and go on with those that lost their place."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        self.absent = False
        if not found.partitions:
            return False
        try:
            for number in found.partitions:
                self._settle(number, found)
        except KafkaException as fault:
            self._outage.begins(fault.args[0].str())
            return False
        self._outage.ends()
        self._outage.over("absent")
        if self._moved:
            self._assign()
            self._moved = False
        with self._changed:
            for number in self.lanes.keys() - set(found.partitions):
                self.lanes[number].ended = self._bounded  # of a former topic with more of them
            self.opened = True
            self._changed.notify_all()
        return True

    def _settle(self, number: int, found: Found) -> None:
        """Decide where a partition goes on, if that is open."""
        lane = self.lanes.get(number)
        if lane is None:
            if self.opened and self._bounded:
                return  # it was not there at the start
            lane = self._lane(number)
        here = lane.eras[-1].topic_id if lane.eras else None
        if lane.next is not None and (None in {here, found.topic_id} or here == found.topic_id):
            return
        low, high = self._offsets(number)
        if lane.next is not None:
            lane.position = lane.base + lane.next
        settings = self._settings
        piece = settled(
            lane, found.topic_id, low, high, start=settings.start, on_lost=settings.on_lost
        )
        if lane.until is None and self._bounded:
            lane.until = high
        lane.ended = lane.until is not None and (lane.next or 0) >= lane.until
        with self._changed:
            if piece is not None:
                lane.shelf.put(piece)
                for told in piece.told:
                    self._outage.once(told.reason, told.reason)
            self.lanes[number] = lane
            self._changed.notify_all()
        self._moved = True

    def _lane(self, number: int) -> Lane:
        topic = self._settings.topic
        known = self._known(f"{topic}/{number}")
        fresh = self.opened or (self._any_known and known is None)
        return lane_of(topic, number, known or (0, None), fresh=fresh)

    def _offsets(self, number: int) -> tuple[int, int]:
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        place = TopicPartition(self._settings.topic, number)
        found = self._consumer.get_watermark_offsets(place, _OFFSETS_S, cached=False)
        return found[0], found[1]

    def _assign(self) -> None:
        """Fetch all partitions from where they are now; what was under way is fetched anew."""
        lanes = [lane for lane in self.lanes.values() if lane.next is not None and not lane.ended]
        self._consumer.assign([self._place(lane) for lane in lanes])
        for lane in lanes:
            lane.paused = False

    def _place(self, lane: Lane) -> Any:
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        return TopicPartition(lane.topic, lane.number, lane.next or 0)

    # ---- messages -------------------------------------------------------------------------------

    def _full(self) -> bool:
        """Whether nothing more is to be fetched now; of a bounded topic, of single partitions."""
        with self._changed:
            held = {number: lane.shelf.memory for number, lane in self.lanes.items()}
        if not self._bounded:
            return sum(held.values()) >= _WAITING_BYTES_MAX
        most = max(_BOUNDED_BYTES_MIN, _BOUNDED_BYTES // max(1, len(held)))
        for number, lane in self.lanes.items():
            if lane.ended or lane.next is None:
                continue
            if not lane.paused and held[number] >= most:
                self._consumer.pause([self._place(lane)])
                lane.paused = True
            elif lane.paused and held[number] < most // 2:
                self._consumer.resume([self._place(lane)])
                lane.paused = False
        return False

    def _fetch(self) -> None:
        first = self._consumer.poll(_WAIT_S)
        if first is None:
            return
        messages = [first, *self._consumer.consume(self._at_once, 0)]
        kind = type(first)
        events = []
        if any(map(kind.error, messages)):
            events = [message for message in messages if message.error() is not None]
            messages = [message for message in messages if message.error() is None]
        if messages:
            self._shelve(messages)
        for event in events:  # they stand behind the messages of their partition
            self._on_event(event)

    def _shelve(self, messages: list["Message"]) -> None:
        """Join the messages of each partition, as they follow each other."""
        kind = type(messages[0])
        count = len(messages)
        numbers = np.fromiter(map(kind.partition, messages), np.int64, count)
        offsets = np.fromiter(map(kind.offset, messages), np.int64, count)
        values: list[bytes | None] = list(map(kind.value, messages))
        size = max(1, sum(len(value) for value in values if value) // count)
        self._at_once = max(1, min(_MESSAGES, _TAKEN_BYTES // size))
        borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), count]
        for low, high in pairwise(borders):
            lane = self.lanes.get(int(numbers[low]))
            if lane is not None and not lane.ended and lane.next is not None:
                self._put(lane, values[low:high], offsets[low:high])
        self._outage.ends()

    def _put(self, lane: Lane, values: list[bytes | None], offsets: Any) -> None:
        if lane.until is not None:
            count = int(np.searchsorted(offsets, lane.until))
            values, offsets = values[:count], offsets[:count]
        piece = piece_of(values, offsets + lane.base) if values else None
        if values:
            lane.next = int(offsets[-1]) + 1
        with self._changed:
            if piece is not None:
                lane.shelf.put(piece)
            lane.ended = lane.until is not None and (lane.next or 0) >= lane.until
            self._changed.notify_all()

    # ---- events ---------------------------------------------------------------------------------

    def _on_event(self, message: "Message") -> None:
        """Act on what comes in place of a message."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

        fault, lane = message.error(), self.lanes.get(message.partition() or 0)
        if fault is None or lane is None or lane.next is None:
            return
        code = fault.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - that is its name
            if lane.until is not None:  # what is behind it is of no finished transaction
                with self._changed:
                    lane.ended = True
                    self._changed.notify_all()
        elif code in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
            lane.position, lane.next = lane.base + lane.next, None
            self._look_at_s = 0.0
        elif code in {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._LOG_TRUNCATION}:  # noqa: SLF001
            self._report(lane, fault.str())
        else:
            self._outage.once(str(code), fault.str())
            self._look_at_s = 0.0

    def _report(self, lane: Lane, what: str) -> None:
        """Tell of messages that came damaged: they are missing."""
        place = lane.base + (lane.next or 0)
        reason = f"topic {lane.topic}, partition {lane.number}, at offset {lane.next}: {what}"
        self._outage.once(what, reason)
        with self._changed:
            lane.shelf.put(silent(place, Told(place, reason)))
            self._changed.notify_all()

    def _on_error(self, fault: "KafkaError") -> None:
        """Note what the client says of its connections; it goes on trying."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

        code = fault.code()
        refused = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001
        if code in refused:
            self._outage.reason = fault.str()
            self._outage.once("refused", fault.str())
        elif code in {KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._SSL}:  # noqa: SLF001
            if not self._outage.lasts:
                self._outage.reason = fault.str()
        elif code == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._down = True  # why comes next
