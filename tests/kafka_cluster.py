"""A Kafka cluster for tests: librdkafka's own mock cluster in a process of its own, over real TCP.

    with kafka_cluster() as kafka:
        kafka.create("events", partitions=3)
        kafka.produce("events", [b'{"model_id": ...}', None, b"a\nb\n"], partition=0, codec="zstd")
        configuration = {"brokers": kafka.brokers, "topic": "events"}

The process outlives whoever reads from it, so a killed run can be started again against it. Limits
of the mock: a partition keeps its last 5 MB (as sent: compressed) and 100,000 message sets, nothing
is kept on disk, and there are no aborted transactions.
"""

import contextlib
import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition

__all__ = ["CODECS", "KafkaCluster", "kafka_cluster"]

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class KafkaCluster:
    """A mock cluster that runs; `brokers` is what a client is told."""

    def __init__(self, process, brokers):
        self.process, self.brokers = process, brokers
        self._producers = {}

    # ---- the cluster ------------------------------------------------------------------------

    def create(self, topic, partitions=1):
        """Make a topic."""
        self._command("create", topic, partitions)

    def delete(self, topic):
        """Delete a topic with all that it has; it can be created anew."""
        self._producers.clear()  # they would ask for it, and so make it anew
        self._command("delete", topic)

    def recreate(self, topic, partitions=1):
        """Delete a topic and create it anew, empty and with another topic id, in one go."""
        self._producers.clear()
        self._command("recreate", topic, partitions)

    def delete_before(self, topic, partition, offset):
        """Forget the messages before an offset, as retention does."""
        self._command("delete_before", topic, partition, offset)

    def down(self):
        """Take the brokers down: connections break, nobody listens."""
        self._command("down")

    def up(self):
        """Take them up again, at the same ports, with all that they had."""
        self._command("up")

    def freeze(self):
        """Stop the process: connections stay open, and nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def _command(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{words}: {answer}"

    # ---- what is in it ----------------------------------------------------------------------

    def produce(self, topic, values, partition=0, codec="none", keys=None, **options):
        """Send messages and wait until all are there.

        Parameters
        ----------
        values : iterable of bytes or None
            One message each; None is a tombstone.
        partition : int or callable
            Number of the partition, or a function of a message's index that gives it.
        codec : str
            One of `CODECS`.
        """
        producer = self._producer(codec, **options)
        faults = []

        def told(fault, _message):
            if fault is not None:
                faults.append(fault)

        for n, (value, key) in enumerate(zip(values, keys or itertools.repeat(None))):  # noqa: B905
            number = partition(n) if callable(partition) else partition
            while True:
                try:
                    producer.produce(topic, value, key, number, on_delivery=told)
                    break
                except BufferError:
                    producer.poll(0.05)
        assert producer.flush(60) == 0, "not all messages were taken"
        assert not faults, faults[0]

    def produce_lines(self, topic, lines, partitions=1, codec="zstd"):
        """Send one message per line, in turn over the partitions."""
        self.produce(topic, lines, lambda n: n % partitions, codec)

    def _producer(self, codec, **options):
        key = (codec, *sorted(options.items()))
        if key not in self._producers:
            self._producers[key] = Producer(
                {
                    "bootstrap.servers": self.brokers,
                    "compression.codec": codec,
                    "linger.ms": 5,
                    "log_level": 0,
                    "message.max.bytes": 50_000_000,
                    "queue.buffering.max.messages": 1_000_000,
                    "topic.metadata.refresh.interval.ms": 500,
                    **options,
                }
            )
        return self._producers[key]

    def watermarks(self, topic, partition=0):
        """First offset that is there, and the one behind the last."""
        with _consumer(self.brokers) as consumer:
            return consumer.get_watermark_offsets(
                TopicPartition(topic, partition), 10, cached=False
            )

    def messages(self, topic, partitions=1):
        """Give (key, value) of all messages, in the order of partition and offset."""
        found = []
        with _consumer(self.brokers) as consumer:
            for number in range(partitions):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
                consumer.assign([TopicPartition(topic, number, low)])
                until_s = time.monotonic() + 20
                while low < high:
                    assert time.monotonic() < until_s, f"offset {low} of {high} never came"
                    for message in consumer.consume(1000, 0.2):
                        assert message.error() is None, message.error()
                        found.append((message.key(), message.value()))
                        low = message.offset() + 1
        return found

    def close(self):
        """End the process."""
        self._producers.clear()
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def _consumer(brokers):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "log_level": 0})
    try:
        yield consumer
    finally:
        consumer.close()


@contextlib.contextmanager
def kafka_cluster(brokers=1):
    """Start a cluster of so many brokers."""
    words = [sys.executable, str(Path(__file__).resolve()), str(brokers)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    cluster = KafkaCluster(process, process.stdout.readline().strip())
    try:
        assert cluster.brokers, "the mock cluster did not start"
        yield cluster
    finally:
        cluster.close()


# ---- the process -----------------------------------------------------------------------------


def _library():
    """The librdkafka of the wheel: its mock cluster has no other door than C."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    (found,) = folder.glob("librdkafka*.so*")
    library = ctypes.CDLL(str(found))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library.rd_kafka_conf_new.restype = pointer
    library.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_new.argtypes = [number, pointer, text, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, number]
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_set_controller_id.argtypes = [pointer, number]
    library.rd_kafka_mock_set_controller_id.restype = None
    library.rd_kafka_mock_topic_create.argtypes = [pointer, text, number, number]
    library.rd_kafka_mock_topic_delete.argtypes = [pointer, text]
    offset = ctypes.c_int64
    library.rd_kafka_mock_partition_delete_records.argtypes = [pointer, text, number, offset]
    library.rd_kafka_mock_broker_set_down.argtypes = [pointer, number]
    library.rd_kafka_mock_broker_set_up.argtypes = [pointer, number]
    return library


def _serve(count):
    library = _library()
    conf = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(conf, b"log_level", b"0", None, 0)  # of a client that never connects
    client = library.rd_kafka_new(0, conf, None, 0)
    cluster = library.rd_kafka_mock_cluster_new(client, count)
    library.rd_kafka_mock_set_controller_id(cluster, 1)
    ids = range(1, count + 1)

    def create(topic, partitions):
        return library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1)

    def delete(topic):
        return library.rd_kafka_mock_topic_delete(cluster, topic.encode())

    commands = {
        "create": create,
        "delete": delete,
        "recreate": lambda topic, partitions: delete(topic) or create(topic, partitions),
        "delete_before": lambda topic, partition, at: (
            library.rd_kafka_mock_partition_delete_records(cluster, topic.encode(), partition, at)
        ),
        "down": lambda: max(library.rd_kafka_mock_broker_set_down(cluster, each) for each in ids),
        "up": lambda: max(library.rd_kafka_mock_broker_set_up(cluster, each) for each in ids),
    }
    _say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        name, *words = json.loads(line)
        code = commands[name](*words)
        _say("ok" if code == 0 else f"error {code}")


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
