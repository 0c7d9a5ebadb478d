"""Reads a topic as the dataflow does, without the dataflow: blocks, lines and their positions."""

import contextlib
import time
from dataclasses import dataclass, field

import numpy as np

from connectors.kafka.topic import Topic
from engine.kafka_settings import KafkaConnection, KafkaSettings

__all__ = ["Read", "lines_of", "reading", "settings_of"]


def settings_of(kafka, topic, **more):
    """Settings of a topic of the test's cluster; `options` is a dict."""
    options = tuple(more.pop("options", {}).items())
    return KafkaSettings(KafkaConnection(kafka.brokers, options=options), topic, **more)


def lines_of(block):
    """(position, line) of each line of a block."""
    lines = block.data.split(b"\n")[:-1]
    offsets = np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1]
    return list(zip(block.positions(offsets).tolist(), lines, strict=True)) if lines else []


@dataclass
class Read:
    """What a source gave; `known` is what a store would have of it."""

    topic: Topic
    partitions: list
    known: dict
    blocks: list = field(default_factory=list)

    def poll(self, limit=1 << 20):
        """Poll every partition once; gives the new blocks."""
        new = []
        self.partitions += self.topic.discover(0)
        for partition in self.partitions:
            block = partition.poll(1, limit)
            if block is not None:
                self.known[partition.name] = (block.end, partition.state)
                new.append(block)
        self.blocks += new
        return new

    def until(self, condition, within_s=15.0, limit=1 << 20):
        """Poll until a condition on this holds."""
        began = time.monotonic()
        while not condition(self):
            assert time.monotonic() - began < within_s, self.lines()
            if not self.poll(limit):
                time.sleep(0.01)
        return time.monotonic() - began

    def until_lines(self, count, **more):
        """Poll until so many lines are there."""
        return self.until(lambda read: len(read.lines()) >= count, **more)

    def to_end(self, limit=1 << 20):
        """Poll until all partitions are finished."""
        self.until(lambda read: all(each.finished for each in read.partitions), limit=limit)

    def lines(self, name=None):
        """(position, line) of all lines of a partition, or of all."""
        mine = [block for block in self.blocks if name in {None, block.partition}]
        return [line for block in mine for line in lines_of(block)]

    def told(self):
        """(position, reason) of all that the source reported."""
        return [(each.position, each.reason) for block in self.blocks for each in block.told]

    def counts(self):
        """Messages, tombstones, empty ones, missing offsets."""
        names = ("count", "tombstones", "empty", "missing")
        return tuple(sum(getattr(b.messages, name) for b in self.blocks) for name in names)


@contextlib.contextmanager
def reading(kafka, topic, known=None, *, settings=None, wait_s=None, **more):
    """Open a topic of the test's cluster at the positions that are known."""
    known = {} if known is None else known
    told = settings or settings_of(kafka, topic, **more)
    source = Topic("live", told, known.get, tuple(known), wait_s)
    try:
        yield Read(source, source.start(), known)
    finally:
        source.close()
