"""Hands messages to brokers and tells what became of each; never waits but for a stated time.

Delivery: at least once, in the order of submission as long as no attempt fails. A message that was
not acknowledged is the store's to hand over again, under the same key. A broker that cannot be
reached fails the messages that wait for it after `message.timeout.ms`, and nothing else.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from connectors.kafka.client import check_connection, producer_of
from connectors.kafka.outage import Outage
from engine.kafka_settings import ProduceSettings
from engine.produce import Delivery, Produced

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

__all__ = ["Producers"]


class Producers:
    """One producer for each way out, made when it is first needed.

    Parameters
    ----------
    ways : sequence of ProduceSettings

    Raises
    ------
    ConfigurationError
        The client library is missing, or a password that is named.
    """

    def __init__(self, ways: Sequence[ProduceSettings]) -> None:
        for way in ways:
            check_connection(way.connection, f"produce.{way.name}.kafka")
        self._ways: Mapping[str, ProduceSettings] = {way.name: way for way in ways}
        self._outages = {
            way.name: Outage(f"produce {way.name}", way.connection.brokers) for way in ways
        }
        self._producers: dict[str, Producer] = {}
        self._in_flight: set[int] = set()
        self._done: list[Delivery] = []

    def submit(self, messages: Sequence[Produced]) -> None:
        """Take messages; one that is taken already, and has no outcome yet, is ignored."""
        for message in messages:
            if message.number not in self._in_flight:
                self._in_flight.add(message.number)
                self._produce(message)
        self._serve(0.0)

    def outcomes(self, wait_s: float = 0.0) -> list[Delivery]:
        """Give the new outcomes; when there is none, wait up to `wait_s` seconds for the first."""
        self._serve(0.0)
        if not self._done and self._in_flight and wait_s > 0:
            self._serve(wait_s)
        found, self._done = self._done, []
        self._in_flight.difference_update(each.number for each in found)
        return found

    def in_flight(self) -> frozenset[int]:
        """Give the numbers of what was taken and whose outcome was not given yet."""
        return frozenset(self._in_flight)

    def close(self) -> None:
        """Forget what is under way; the store does not."""
        for producer in self._producers.values():
            producer.purge()
        self._producers.clear()

    def _produce(self, message: Produced) -> None:
        way = self._ways[message.way]
        told = partial(self._on_delivery, message)
        try:
            self._producer(way).produce(
                way.topic, message.value.encode(), message.key.encode(), on_delivery=told
            )
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is tried again
            self._failed(message, str(fault))

    def _producer(self, way: ProduceSettings) -> "Producer":
        if way.name not in self._producers:
            on_error = partial(self._on_error, way.name)
            self._producers[way.name] = producer_of(way.connection, on_error)
        return self._producers[way.name]

    def _serve(self, wait_s: float) -> None:
        """Have the callbacks called; of several producers each waits for its part."""
        producers = list(self._producers.values())
        for producer in producers:
            producer.poll(0 if self._done else wait_s / len(producers))

    def _on_delivery(self, message: Produced, fault: "KafkaError | None", _sent: "Message") -> None:
        if fault is None:
            self._outages[message.way].ends()
            self._done.append(Delivery(message.number, message.attempt))
            return
        if fault.fatal():  # this producer never takes anything again
            self._producers.pop(message.way, None)
        self._failed(message, fault.str())

    def _failed(self, message: Produced, reason: str) -> None:
        self._outages[message.way].once("failed", f"a message must wait: {reason}")
        self._done.append(Delivery(message.number, message.attempt, reason))

    def _on_error(self, way: str, fault: "KafkaError") -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

        if fault.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - that is its name
            self._outages[way].begins(fault.str())
        elif fault.fatal():
            self._producers.pop(way, None)
