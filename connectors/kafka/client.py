"""Makes the clients of Kafka from the settings; the only room that knows their properties.

The client library is an extra, loaded when a topic is first met. A password comes from the
environment and goes into the client alone: no text here has it.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigurationError
from engine.kafka_settings import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

__all__ = ["admin_of", "check_connection", "consumer_of", "producer_of"]

OnError = Callable[["KafkaError"], None]

_COMMON: Mapping[str, Any] = {
    # Brokers that come back are met within seconds, not the ten of the default.
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1_000,
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 5_000,
    "socket.keepalive.enable": True,
    "topic.metadata.refresh.interval.ms": 5_000,
    "topic.metadata.refresh.fast.interval.ms": 250,
    # Told by the callback of errors, in words of ours, once; the library repeats itself.
    "log_level": 0,
}

_CONSUMER: Mapping[str, Any] = {
    **_COMMON,
    # A formality: partitions are assigned by hand and nothing is ever committed to the group.
    "group.id": "bellwether",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # what is lost is the source's to decide
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "check.crcs": True,
    # Of what waits in the client: with the pieces behind it, all that a slow run holds.
    "queued.max.messages.kbytes": 32_768,
    "fetch.max.bytes": 16_777_216,
    "fetch.message.max.bytes": 4_194_304,
    "fetch.queue.backoff.ms": 20,
    "fetch.wait.max.ms": 100,
    "fetch.error.backoff.ms": 200,
}

_PRODUCER: Mapping[str, Any] = {
    **_COMMON,
    "enable.idempotence": True,  # attempts of the client itself repeat nothing
    "message.timeout.ms": 30_000,
    "linger.ms": 5,
}

_logger = logging.getLogger(__name__)


def check_connection(connection: KafkaConnection, where: str) -> None:
    """See that there is a client library, and a password where one is named.

    Parameters
    ----------
    connection : KafkaConnection
    where : str
        Key of the settings that have it, for the message.

    Raises
    ------
    ConfigurationError
        Something is missing. No text has the password.
    """
    try:
        import confluent_kafka  # noqa: F401, PLC0415 - an extra
    except ImportError:
        msg = f"{where} must have its client library: pip install 'bellwether[kafka]'"
        raise ConfigurationError(msg) from None
    name = connection.password_env
    if name is not None and not os.environ.get(name):
        msg = (
            f"{where}.password_env must name an environment variable that is set and not empty,"
            f" got {name}"
        )
        raise ConfigurationError(msg)


def consumer_of(connection: KafkaConnection, on_error: OnError) -> "Consumer":
    """Make a consumer that belongs to no group; `on_error` is called where it is polled.

    Raises
    ------
    ConfigurationError
        See `check_connection`; a property has a value that the library does not take.
    """
    from confluent_kafka import Consumer  # noqa: PLC0415 - an extra

    made: Consumer = _made(Consumer, _CONSUMER, connection, on_error)
    return made


def admin_of(connection: KafkaConnection) -> "AdminClient":
    """Make a client that asks what topics there are.

    Raises
    ------
    ConfigurationError
        See `consumer_of`.
    """
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

    made: AdminClient = _made(AdminClient, _COMMON, connection, lambda _fault: None)
    return made


def producer_of(connection: KafkaConnection, on_error: OnError) -> "Producer":
    """Make a producer whose own attempts repeat nothing.

    Raises
    ------
    ConfigurationError
        See `consumer_of`.
    """
    from confluent_kafka import Producer  # noqa: PLC0415 - an extra

    made: Producer = _made(Producer, _PRODUCER, connection, on_error)
    return made


def _made(
    client: Any, properties: Mapping[str, Any], connection: KafkaConnection, on_error: OnError
) -> Any:
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

    check_connection(connection, "kafka")
    common = set(_COMMON) if properties is _COMMON else None
    told = {k: v for k, v in connection.options if common is None or _is_common(k)}
    try:
        return client(
            {**properties, **_security(connection), **told, "error_cb": on_error}, logger=_logger
        )
    except KafkaException as fault:
        what = fault.args[0].str()
        msg = f"kafka must have options that its client takes, got: {what}"
        raise ConfigurationError(msg) from None


def _is_common(name: str) -> bool:
    """Tell whether a property is one of every client, not of those alone that read."""
    return not name.startswith(("fetch.", "queued.", "check.", "max.partition."))


def _security(connection: KafkaConnection) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bootstrap.servers": connection.brokers,
        "security.protocol": connection.security_protocol,
    }
    if connection.ca_file is not None:
        found["ssl.ca.location"] = connection.ca_file
    if connection.sasl_mechanism is not None:
        found["sasl.mechanism"] = connection.sasl_mechanism
        found["sasl.username"] = connection.username
        found["sasl.password"] = os.environ.get(connection.password_env or "", "")
    return found
