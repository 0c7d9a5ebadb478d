"""Asks the brokers what there is of a topic, without keeping anybody waiting."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.kafka.client import admin_of
from engine.kafka_settings import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import Consumer

__all__ = ["Absent", "Found", "Lookup", "Refused", "Unreachable"]

_ASK_S = 5.0
_ASK_AGAIN_S = 2.0
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # sixteen bytes of nothing: brokers before version 2.8


@dataclass(frozen=True, slots=True)
class Found:
    """A topic that is there: the brokers' own id of it, if they tell, and its partitions."""

    topic_id: str | None
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such topic."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The brokers do not let this user see the topic."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answers."""

    reason: str


Answer = Found | Absent | Refused | Unreachable


class Lookup:
    """One question at a time about one topic.

    Parameters
    ----------
    connection : KafkaConnection
    topic : str
    consumer : Consumer
        Asked in place of what only newer brokers answer.
    """

    def __init__(self, connection: KafkaConnection, topic: str, consumer: "Consumer") -> None:
        self._admin = admin_of(connection)
        self._topic, self._consumer = topic, consumer
        self._asked: Future[Any] | None = None

    @property
    def asked(self) -> bool:
        """Whether a question is open."""
        return self._asked is not None

    def ask(self) -> None:
        """Ask."""
        from confluent_kafka import TopicCollection  # noqa: PLC0415 - an extra

        topics = TopicCollection([self._topic])
        self._asked = self._admin.describe_topics(topics, request_timeout=_ASK_S)[self._topic]

    def answer(self) -> Answer | None:
        """Give the answer; None while there is none."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - an extra

        asked = self._asked
        if asked is None or not asked.done():
            return None
        self._asked = None
        try:
            told = asked.result()
        except KafkaException as fault:
            if fault.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return Absent()
            return self._old_answer()
        topic_id = str(told.topic_id)
        numbers = tuple(sorted(each.id for each in told.partitions))
        return Found(None if topic_id == _NO_ID else topic_id, numbers)

    def _old_answer(self) -> Answer:
        """Ask as brokers of every version answer; waits up to two seconds."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - an extra

        try:
            told = self._consumer.list_topics(self._topic, _ASK_AGAIN_S).topics[self._topic]
        except KafkaException as fault:
            return Unreachable(fault.args[0].str())
        if told.error is None:
            return Found(None, tuple(sorted(told.partitions)))
        if told.error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:  # noqa: SLF001 - that is its name
            return Absent()
        return Refused(told.error.str())
