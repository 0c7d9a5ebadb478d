"""What the configuration says of Kafka: `kafka` of a source, and the section `produce`."""

import re
from collections.abc import Collection
from typing import Any

import yaml

from engine.kafka_settings import KafkaConnection, KafkaSettings, ProduceSettings
from flows.usersettings import variable
from flows.yamlnodes import Faults, Node, scalar, shown
from flows.yamlreaders import (
    Reader,
    all_required,
    choice,
    entries,
    has_key,
    line_text,
    listed,
    mapping,
    number,
    path,
    several,
    text,
    value_at,
)

__all__ = ["READ_OPTIONS", "WRITE_OPTIONS", "is_brokers", "is_topic", "kafka_source", "produce"]

_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\])"
_BROKER = re.compile(rf"{_HOST}(?::(\d{{1,5}}))?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")

_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_COMMON = (
    *("api.version.request.timeout.ms", "broker.address.family", "broker.address.ttl"),
    *("client.dns.lookup", "client.id", "client.rack", "connections.max.idle.ms"),
    *("metadata.max.age.ms", "receive.message.max.bytes", "reconnect.backoff.max.ms"),
    *("reconnect.backoff.ms", "retry.backoff.max.ms", "retry.backoff.ms"),
    *("socket.connection.setup.timeout.ms", "socket.keepalive.enable", "socket.max.fails"),
    *("socket.nagle.disable", "socket.receive.buffer.bytes", "socket.send.buffer.bytes"),
    *("socket.timeout.ms", "ssl.certificate.location", "ssl.cipher.suites", "ssl.crl.location"),
    *("ssl.curves.list", "ssl.endpoint.identification.algorithm", "ssl.key.location"),
    "ssl.sigalgs.list",
)
READ_OPTIONS = frozenset((
    *_COMMON,
    *("check.crcs", "fetch.error.backoff.ms", "fetch.max.bytes", "fetch.message.max.bytes"),
    *("fetch.min.bytes", "fetch.queue.backoff.ms", "fetch.wait.max.ms"),
    *("max.partition.fetch.bytes", "queued.max.messages.kbytes", "queued.min.messages"),
))  # fmt: skip
"""Properties of librdkafka that change how fast or by which way, never what is read."""

WRITE_OPTIONS = frozenset((
    *_COMMON,
    *("batch.size", "compression.codec", "compression.level", "compression.type", "linger.ms"),
    "message.max.bytes",
))  # fmt: skip
"""The same of what is produced."""

_OWN = {
    "bootstrap.servers": "brokers",
    "metadata.broker.list": "brokers",
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "username",
    "sasl.password": "password_env",
    "ssl.ca.location": "ca_file",
    "auto.offset.reset": "start` and `on_lost",
}


def is_brokers(written: str) -> bool:
    """Tell whether a text names brokers: hosts with or without ports, with commas between."""
    found = [_BROKER.fullmatch(each.strip()) for each in written.split(",")]
    return all(each and 0 < int(each[1] or 9092) <= 65_535 for each in found)


def is_topic(written: str) -> bool:
    """Tell whether a text is the name of a topic, as Kafka has them."""
    return bool(_TOPIC.fullmatch(written)) and written not in {".", ".."}


def _brokers(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if written and is_brokers(written):
        return ",".join(each.strip() for each in written.split(","))
    faults.must(node, key, "host:port, or several of them with commas between")
    return None


def _topic(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if is_topic(written):
        return written
    faults.must(node, key, "the name of a topic: 1 to 249 of letters, digits, . _ and -")
    return None


def _options(safe: Collection[str]) -> Reader:
    """Read further properties; those that decide what is read, or are secret, are refused."""

    def read(faults: Faults, node: Node, key: str) -> tuple[tuple[str, str], ...]:
        found = []
        for name, where, value in entries(faults, node, key):
            if name in _OWN:
                faults.say(value, f"`{where}` must be left out in favour of `{_OWN[name]}`")
            elif name not in safe:
                why = "it is unknown or secret, or could break that each message counts once"
                faults.say(value, f"`{where}` is not a property that can be set here: {why}")
            elif not isinstance(value, yaml.ScalarNode) or scalar(value) is None:
                faults.say(
                    value, f"{where} must be text, a number or a boolean, got {shown(value)}"
                )
            else:
                found.append((name, str(value.value)))
        return tuple(found)

    return read


_CONNECTION: dict[str, Reader] = {
    "brokers": _brokers,
    "security_protocol": choice(*_PROTOCOLS),
    "sasl_mechanism": choice(*_MECHANISMS),
    "username": line_text,
    "password_env": variable,
    "ca_file": path,
}
_OPTIONS = "options"  # others for what is read than for what is produced


def _connection(
    faults: Faults, node: Node, key: str, found: dict[str, Any]
) -> KafkaConnection | None:
    """Take the fields of the connection out of those found."""
    mine = {name: found.pop(name) for name in (*_CONNECTION, _OPTIONS) if name in found}
    protocol = mine.get("security_protocol", "plaintext")
    log_in = ("sasl_mechanism", "username", "password_env")
    for name in log_in:
        given = has_key(node, name)
        if given and not protocol.startswith("sasl"):
            rule = "left out where `security_protocol` is without `sasl`"
            faults.say(value_at(node, name), f"{key}.{name} must be {rule}")
        elif not given and protocol.startswith("sasl"):
            faults.say(node, f"{key}.{name} must be given with `security_protocol: {protocol}`")
    if has_key(node, "ca_file") and not protocol.endswith("ssl"):
        rule = "left out where `security_protocol` is without `ssl`"
        faults.say(value_at(node, "ca_file"), f"{key}.ca_file must be {rule}")
    return KafkaConnection(**mine) if "brokers" in mine else None


def kafka_source(faults: Faults, node: Node, key: str) -> KafkaSettings | None:
    """Read what a source says of its topic."""
    fields: dict[str, Reader] = {
        **_CONNECTION,
        _OPTIONS: _options(READ_OPTIONS),
        "topic": _topic,
        "start": choice("earliest", "latest"),
        "until": choice("end"),
        "on_lost": choice("continue", "stop"),
    }
    found = mapping(faults, node, key, fields)
    given = all_required(faults, node, key, ("brokers", "topic"), found)
    if not isinstance(node, yaml.MappingNode):
        return None
    connection = _connection(faults, node, key, found)
    return KafkaSettings(connection=connection, **found) if given and connection else None


def _produced_to(faults: Faults, node: Node, key: str) -> KafkaConnection | None:
    found = mapping(faults, node, key, {**_CONNECTION, _OPTIONS: _options(WRITE_OPTIONS)})
    given = all_required(faults, node, key, ("brokers",), found)
    if not isinstance(node, yaml.MappingNode):
        return None
    connection = _connection(faults, node, key, found)
    return connection if given else None


_RELATIONS = ("alerts", "anomaly_records")
_CHOICES = {"severities": "alerts", "min_score": "anomaly_records"}


def _way_out(faults: Faults, node: Node, key: str) -> ProduceSettings | None:
    fields: dict[str, Reader] = {
        "name": text,
        "kafka": _produced_to,
        "topic": _topic,
        "relation": choice(*_RELATIONS),
        "severities": several(_severity, "a list of severities"),
        "min_score": number(0, 100),
    }
    found = mapping(faults, node, key, fields)
    given = all_required(faults, node, key, ("name", "kafka", "topic", "relation"), found)
    for name, relation in _CHOICES.items():
        if name in found and found.get("relation", relation) != relation:
            faults.say(
                value_at(node, name), f"{key}.{name} must go with `relation: {relation}` only"
            )
    if not given:
        return None
    found["connection"] = found.pop("kafka")
    return ProduceSettings(**found)


_severity = choice("warning", "critical")

_ways_out = listed(_way_out, lambda way: str(way.name), "name")


def produce(faults: Faults, node: Node, key: str) -> Collection[ProduceSettings] | None:
    """Read the section `produce`; each name is there once."""
    found: tuple[ProduceSettings, ...] | None = _ways_out(faults, node, key)
    return found
