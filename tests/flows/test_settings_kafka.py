"""What the configuration may say of topics, read and written; what it must not is said by line."""

import json
import sys

import pytest

from connectors.kafka.client import check_connection, consumer_of
from engine.config import SourceSettings
from engine.errors import ConfigurationError
from engine.kafka_settings import KafkaConnection, KafkaSettings, ProduceSettings
from flows.settings import Overrides, load, summary

SECURE = {
    "brokers": "a:9093, [::1]:9094,b",
    "security_protocol": "sasl_ssl",
    "sasl_mechanism": "SCRAM-SHA-512",
    "username": "ana",
    "password_env": "KAFKA_PASSWORD",
    "ca_file": "/etc/ca.pem",
    "options": {"socket.timeout.ms": 5000, "client.id": "bell", "check.crcs": False},
}


def written(folder, content):
    path = folder / "config.yaml"
    path.write_text(content)
    return str(path)


def read(tmp_path, **sections):
    return load(written(tmp_path, json.dumps(sections)))


def source(**kafka):
    return [{"name": "live", "kafka": kafka}]


def test_golden_a_topic_has_defaults(tmp_path):
    settings = read(tmp_path, sources=source(brokers="h:1", topic="t"))
    assert settings.sources == (
        SourceSettings("live", kafka=KafkaSettings(KafkaConnection("h:1"), "t")),
    )
    assert settings.sources[0].kafka.start == "earliest"
    assert settings.sources[0].kafka.until is None
    assert settings.sources[0].kafka.on_lost == "continue"
    assert "live: topic t of h:1 ->" in summary(settings)


def test_golden_everything_of_a_topic(tmp_path):
    told = source(**SECURE, topic="t.e-s_t", start="latest", until="end", on_lost="stop")
    (one,) = read(tmp_path, sources=[told[0] | {"mapping": {"id": "$.x"}}]).sources
    assert one.mapping == (("id", "$.x"),)
    assert one.kafka == KafkaSettings(
        KafkaConnection(
            "a:9093,[::1]:9094,b",
            *("sasl_ssl", "SCRAM-SHA-512", "ana", "KAFKA_PASSWORD", "/etc/ca.pem"),
            (("socket.timeout.ms", "5000"), ("client.id", "bell"), ("check.crcs", "false")),
        ),
        *("t.e-s_t", "latest", "end", "stop"),
    )


def test_golden_the_command_names_a_topic(tmp_path):
    path = written(tmp_path, "sources: [{name: a, files: b, mapping: {id: $.x}}]")
    settings = load(path, Overrides(source="kafka://h:1,i:2/t"))
    topic = KafkaSettings(KafkaConnection("h:1,i:2"), "t")
    assert settings.sources == (SourceSettings("kafka", kafka=topic, mapping=(("id", "$.x"),)),)


def test_golden_what_is_produced(tmp_path):
    kafka = {"brokers": "h:1", "options": {"compression.type": "zstd"}}
    told = [
        {
            "name": "a",
            "kafka": kafka,
            "topic": "t",
            "relation": "alerts",
            "severities": ["critical"],
        },
        {"name": "b", "kafka": kafka, "topic": "u", "relation": "anomaly_records", "min_score": 50},
    ]
    connection = KafkaConnection("h:1", options=(("compression.type", "zstd"),))
    assert read(tmp_path, produce=told).produce == (
        ProduceSettings("a", connection, "t", "alerts", ("critical",)),
        ProduceSettings("b", connection, "u", "anomaly_records", (), 50.0),
    )


@pytest.mark.parametrize(
    ("kafka", "text"),
    [
        ({"topic": "t"}, "sources[0].kafka.brokers must be given, got nothing"),
        ({"brokers": "h"}, "sources[0].kafka.topic must be given, got nothing"),
        ({"brokers": "h:0"}, "brokers must be host:port, or several of them with commas between"),
        ({"brokers": "h:1,"}, "brokers must be host:port"),
        ({"brokers": "kafka://h"}, "brokers must be host:port"),
        ({"topic": "a b"}, "topic must be the name of a topic: 1 to 249 of letters"),
        ({"topic": ".."}, "topic must be the name of a topic"),
        ({"start": "now"}, "kafka.start must be one of earliest, latest, got \"now\""),
        ({"until": "now"}, "kafka.until must be one of end, got \"now\""),
        ({"on_lost": "skip"}, "kafka.on_lost must be one of continue, stop, got \"skip\""),
        ({"group": "x"}, "`sources[0].kafka.group` is not a known key"),
        ({"security_protocol": "tls"}, "security_protocol must be one of plaintext, ssl"),
        ({"security_protocol": "sasl_ssl"}, "password_env must be given with `security_protocol"),
        ({"username": "ana"}, "kafka.username must be left out where `security_protocol` is"),
        ({"ca_file": "x"}, "kafka.ca_file must be left out where `security_protocol` is without"),
        ({"password_env": "geheim!"}, "got something else, not shown here"),
        ({"options": {"group.id": "x"}}, "`sources[0].kafka.options.group.id` is not a property"),
        ({"options": {"enable.auto.commit": True}}, "could break that each message counts once"),
        ({"options": {"isolation.level": "read_uncommitted"}}, "is not a property that can be set"),
        ({"options": {"ssl.key.password": "geheim"}}, "it is unknown or secret"),
        ({"options": {"sasl.password": "geheim"}}, "must be left out in favour of `password_env`"),
        ({"options": {"auto.offset.reset": "latest"}}, "in favour of `start` and `on_lost`"),
        ({"options": {"compression.type": "gzip"}}, "is not a property that can be set here"),
        ({"options": {"client.id": None}}, "must be text, a number or a boolean, got null"),
    ],
)  # fmt: skip
def test_error_of_a_topic(tmp_path, kafka, text):
    usual = (
        {} if "given, got nothing" in text and "_" not in text else {"brokers": "h", "topic": "t"}
    )
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, sources=source(**{**usual, **kafka}))
    assert text in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("produce", "text"),
    [
        ({"relation": "events"}, "produce[0].relation must be one of alerts, anomaly_records"),
        ({"min_score": 5}, "produce[0].min_score must go with `relation: anomaly_records` only"),
        ({"severities": ["bad"]}, "produce[0].severities[0] must be one of warning, critical"),
        ({"kafka": {}}, "produce[0].kafka.brokers must be given, got nothing"),
        (
            {"kafka": {"brokers": "h", "options": {"fetch.min.bytes": 1}}},
            "is not a property that can be set here",
        ),
        ({"kafka": {"brokers": "h", "topic": "t"}}, "`produce[0].kafka.topic` is not a known key"),
    ],
)
def test_error_of_what_is_produced(tmp_path, produce, text):
    usual = {"name": "a", "kafka": {"brokers": "h"}, "topic": "t", "relation": "alerts"}
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, produce=[usual | produce])
    assert text in str(caught.value)


def test_error_a_password_that_is_not_there(monkeypatch):
    connection = KafkaConnection("h:1", "sasl_plaintext", "PLAIN", "ana", "KAFKA_PASSWORD")
    for value in (None, ""):
        monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
        if value is not None:
            monkeypatch.setenv("KAFKA_PASSWORD", value)
        with pytest.raises(
            ConfigurationError, match="variable that is set and not empty, got KAFKA"
        ):
            check_connection(connection, "kafka")
    monkeypatch.setenv("KAFKA_PASSWORD", "geheim")
    check_connection(connection, "kafka")


def test_error_a_value_that_the_client_does_not_take():
    pytest.importorskip("confluent_kafka")
    connection = KafkaConnection("h:1", options=(("socket.timeout.ms", "soon"),))
    with pytest.raises(ConfigurationError, match=r"got: .*socket.timeout.ms"):
        consumer_of(connection, print)


def test_error_the_client_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bellwether\[kafka\]'"):
        check_connection(KafkaConnection("h:1"), "kafka")
