"""What is declared of Kafka: how brokers are reached, what is read, and what is produced."""

from dataclasses import dataclass

__all__ = ["KafkaConnection", "KafkaSettings", "ProduceSettings"]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """How brokers are reached.

    Attributes
    ----------
    brokers : str
        ``host:port``, several of them with commas between.
    security_protocol : str
        ``plaintext``, ``ssl``, ``sasl_plaintext`` or ``sasl_ssl``.
    sasl_mechanism : str or None
        ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.
    username, password_env : str or None
        `password_env` names the environment variable with the password.
    ca_file : str or None
        The certificates that a broker's is checked against; None: those of the system.
    options : tuple of (str, str)
        Further properties of librdkafka, as they are.
    """

    brokers: str
    security_protocol: str = "plaintext"
    sasl_mechanism: str | None = None
    username: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """A topic that is read.

    Attributes
    ----------
    connection : KafkaConnection
    topic : str
    start : str
        Where a topic that was never read begins: ``earliest`` or ``latest``.
    until : str or None
        ``end``: read what is there at the start, and end; None: for ever.
    on_lost : str
        ``continue`` or ``stop``, where messages that were not read yet are no longer there.
    """

    connection: KafkaConnection
    topic: str
    start: str = "earliest"
    until: str | None = None
    on_lost: str = "continue"


@dataclass(frozen=True, slots=True)
class ProduceSettings:
    """What is produced to a topic.

    Attributes
    ----------
    name : str
        Of the way out, in the store; the same over restarts.
    connection : KafkaConnection
    topic : str
    relation : str
        ``alerts`` or ``anomaly_records``.
    severities : tuple of str
        Of the alerts produced; empty: all.
    min_score : float
        The least record score produced.
    """

    name: str
    connection: KafkaConnection
    topic: str
    relation: str
    severities: tuple[str, ...] = ()
    min_score: float = 0.0
