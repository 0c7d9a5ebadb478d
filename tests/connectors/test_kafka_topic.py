"""A topic gives every message once, whole, under its offset, whatever the cluster does meanwhile.

librdkafka's own mock cluster, in a process of its own, is the other side: a real protocol over TCP.
"""

import logging
import time

import pytest

pytest.importorskip("confluent_kafka")

from kafka_cluster import CODECS, kafka_cluster
from kafka_reading import reading, settings_of

from connectors.lines import KEPT_BYTES, LINES_MAX
from engine.errors import SourceError
from engine.kafka_settings import KafkaConnection, KafkaSettings


@pytest.fixture(scope="module")
def kafka():
    with kafka_cluster() as cluster:
        yield cluster


def test_golden_every_codec_and_kind_of_message(kafka):
    kafka.create("kinds")
    for codec in CODECS:
        kafka.produce("kinds", [b"one", None, b"", b"two\nthree\n", b"four\r\n"], codec=codec)
    with reading(kafka, "kinds", until="end") as read:
        read.to_end()
        five = [(0, b"one"), (3, b"two"), (3, b"three"), (4, b"four\r")]
        assert read.lines() == [(5 * n + at, line) for n in range(5) for at, line in five]
        assert read.counts() == (25, 5, 5, 0)
        assert read.known["kinds/0"][0] == 25
        assert read.told() == []


def test_golden_large_messages_are_whole_or_are_told_of(kafka):
    kafka.create("large")
    line, many = b"x" * 3_000_000, b"{}\n" * (LINES_MAX + 5)
    values = [b"a" * 200_000, line, many, b"last"]
    kafka.produce("large", values, codec="lz4")
    with reading(kafka, "large", until="end") as read:
        read.to_end(limit=100_000)
        lines = read.lines()
        assert lines[0] == (0, values[0])
        assert lines[1] == (1, line[:KEPT_BYTES])  # over every limit of a line
        assert [each for each in lines if each[0] == 2] == [(2, b"{}")] * LINES_MAX
        assert lines[-1] == (3, b"last")
        ((place, reason),) = read.told()
        assert place == 2
        assert reason == (
            f"message must have at most {LINES_MAX} lines, got {LINES_MAX + 5}: the rest is left"
            " out"
        )


@pytest.mark.parametrize("limit", [300, 3_000])
def test_law_blocks_of_a_bounded_topic_follow_from_its_messages_alone(kafka, limit):
    topic = f"cuts-{limit}"
    kafka.create(topic, 2)
    values = [b"%d" % n * (n % 90) + b"\n" * (n % 3) for n in range(800)]
    kafka.produce(topic, values, lambda n: n % 2)
    with reading(kafka, topic, until="end") as read:
        read.to_end(limit)
        whole = {n: [b.data for b in read.blocks if b.partition == n] for n in read.known}
        lines = read.lines()
    known, blocks = {}, []
    while True:  # a start for every twenty polls
        with reading(kafka, topic, known, until="end") as read:
            for _ in range(20):
                read.poll(limit)
            blocks += read.blocks
            if all(each.finished for each in read.partitions):
                break
    cut = {name: [b.data for b in blocks if b.partition == name] for name in known}
    assert {n: [d for d in datas if d] for n, datas in cut.items()} == {
        n: [d for d in datas if d] for n, datas in whole.items()
    }
    assert all(len(data) <= limit + 100 for datas in whole.values() for data in datas)
    assert len(lines) == sum(
        value.removesuffix(b"\n").count(b"\n") + 1 for value in values if value
    )


def test_golden_a_live_topic_goes_on_where_it_was(kafka):
    kafka.create("live", 2)
    kafka.produce_lines("live", [b"%d" % n for n in range(10)], 2)
    with reading(kafka, "live") as read:
        read.until_lines(10)
        known = read.known
        kafka.produce_lines("live", [b"later"])
        assert read.until_lines(11) < 2.0
        assert not any(each.finished for each in read.partitions)
    kafka.produce_lines("live", [b"x", b"y"], 2)
    with reading(kafka, "live", known) as read:
        read.until_lines(2)
        assert sorted(read.lines()) == [(5, b"y"), (6, b"x")]


def test_golden_latest_holds_for_the_first_start_alone(kafka):
    kafka.create("latest", 2)
    kafka.produce_lines("latest", [b"before"] * 4, 2)
    known = {}
    with reading(kafka, "latest", known, start="latest") as read:
        read.until(lambda read: len(read.known) == 2)
        assert read.lines() == []
    kafka.produce_lines("latest", [b"while nobody read"], 1)
    with reading(kafka, "latest", known, start="latest") as read:
        read.until_lines(1)
        assert read.lines() == [(2, b"while nobody read")]


def test_golden_a_topic_that_is_made_later_is_picked_up(kafka, caplog):
    with reading(kafka, "later") as read:
        assert read.partitions == []
        kafka.create("later", 3)
        kafka.produce_lines("later", [b"a", b"b", b"c"], 3)
        assert read.until_lines(3) < 6.0
        assert [each.name for each in read.partitions] == ["later/0", "later/1", "later/2"]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "source live: there is no topic later; waiting until there is one"
    ]


# ---- what is lost ----------------------------------------------------------------------------


def test_fault_messages_that_are_gone_are_told_of(kafka):
    kafka.create("gone")
    kafka.produce("gone", [b"%d" % n for n in range(100)])
    with reading(kafka, "gone") as read:
        read.until_lines(100, limit=50)
        known = {"gone/0": (20, read.known["gone/0"][1])}
    kafka.delete_before("gone", 0, 50)
    with reading(kafka, "gone", dict(known)) as read:
        read.until_lines(50)
        assert read.lines()[0] == (50, b"50")
        assert read.told() == [
            (
                20,
                (
                    'topic "gone", partition 0 begins at offset 50, but was read up to 20 only:'
                    " 30 offsets from 20 to 49 are missing"
                ),
            )
        ]
        assert read.counts() == (50, 0, 0, 30)
        known = read.known
    with reading(kafka, "gone", known, until="end") as read:  # it is told once
        read.to_end()
        assert read.blocks == []


def test_fault_a_run_stops_where_messages_are_gone_if_it_is_told_to(kafka):
    kafka.create("stops")
    kafka.produce("stops", [b"%d" % n for n in range(10)])
    with reading(kafka, "stops", until="end") as read:
        read.to_end()
        known = {"stops/0": (3, read.known["stops/0"][1])}
    kafka.delete_before("stops", 0, 5)
    told = r"2 offsets from 3 to 4 are missing; with `on_lost: continue` a run goes on without them"
    with pytest.raises(SourceError, match=told), reading(kafka, "stops", known, on_lost="stop"):
        pass


def test_fault_a_topic_that_is_created_anew_while_it_is_read(kafka):
    kafka.create("anew")
    with reading(kafka, "anew") as read:
        kafka.produce("anew", [b"%d" % n for n in range(3)])
        read.until_lines(3)
        kafka.recreate("anew", 3)  # two partitions more
        kafka.produce("anew", [b"new-%d" % n for n in range(2)])
        kafka.produce("anew", [b"first of its partition"], 2)
        read.until_lines(6)
        # The offsets of the new topic are counted on from the report behind the old one's.
        old, new = [(n, b"%d" % n) for n in range(3)], [(4 + n, b"new-%d" % n) for n in range(2)]
        assert read.lines("anew/0") == [*old, *new]
        assert read.lines("anew/2") == [(0, b"first of its partition")]
        assert [each.name for each in read.partitions] == ["anew/0", "anew/1", "anew/2"]
        assert [place for place, _ in read.told()] == [3]
        assert "partition 0 was created anew" in read.told()[0][1]
        known = dict(read.known)
    with reading(kafka, "anew", known) as read:
        kafka.produce("anew", [b"newer"])
        read.until_lines(1)
        assert read.lines() == [(6, b"newer")]
        assert read.told() == []
    known |= {"anew/0": (3, known["anew/0"][1])}
    with reading(kafka, "anew", known, until="end") as read:
        read.to_end()  # as if nothing of the new topic had been committed
        assert len(read.told()) == 1
        assert [at for at, _ in read.lines()] == [4, 5, 6]


def test_fault_a_topic_that_was_created_anew_and_is_longer_than_before(kafka):
    kafka.create("longer")
    kafka.produce("longer", [b"%d" % n for n in range(3)])
    with reading(kafka, "longer", until="end") as read:
        read.to_end()
        known = read.known
    kafka.recreate("longer")
    kafka.produce("longer", [b"new-%d" % n for n in range(9)])
    with reading(kafka, "longer", known, until="end") as read:
        read.to_end()
        assert read.lines() == [(4 + n, b"new-%d" % n) for n in range(9)]
        assert len(read.told()) == 1


def test_fault_a_topic_that_ends_before_what_was_read(kafka):
    """Brokers of before version 2.8 do not tell that the topic is another one."""
    kafka.create("shorter")
    kafka.produce("shorter", [b"%d" % n for n in range(3)])
    known = {"shorter/0": (500, '{"eras": [[null, 0]]}')}
    with reading(kafka, "shorter", known, until="end") as read:
        read.to_end()
        assert read.lines() == [(501 + n, b"%d" % n) for n in range(3)]
        ((place, reason),) = read.told()
        assert (place, "ends at offset 3, but was read up to 500" in reason) == (500, True)


# ---- brokers ---------------------------------------------------------------------------------


def test_fault_brokers_down_and_back(kafka, caplog):
    kafka.create("outage", 2)
    kafka.produce_lines("outage", [b"a", b"b"], 2)
    with reading(kafka, "outage") as read:
        read.until_lines(2)
        kafka.down()
        time.sleep(0.5)
        read.poll()
        kafka.up()
        kafka.produce_lines("outage", [b"c", b"d"], 2)
        assert read.until_lines(4) < 5.0
        read.until(lambda _: len(_warnings(caplog)) == 2)
    assert "cannot be reached" in _warnings(caplog)[0]
    assert "the brokers are back after" in _warnings(caplog)[1]


def test_fault_brokers_that_freeze_for_a_while(kafka):
    kafka.create("frozen")
    kafka.produce("frozen", [b"a"])
    with reading(kafka, "frozen") as read:
        read.until_lines(1)
        kafka.freeze()
        time.sleep(1.0)
        assert read.poll() == []
        kafka.thaw()
        kafka.produce("frozen", [b"b"])
        assert read.until_lines(2) < 5.0


def test_fault_a_start_without_brokers(kafka, caplog):
    kafka.create("start")
    kafka.produce("start", [b"a"])
    kafka.down()
    try:
        with reading(kafka, "start", {"start/0": (0, None)}, wait_s=0.5) as read:
            assert [each.name for each in read.partitions] == ["start/0"]  # the store knows it
            assert "cannot be reached" in _warnings(caplog)[0]
            kafka.up()
            assert read.until_lines(1) < 5.0
    finally:
        kafka.up()


def test_error_nobody_answers_a_topic_that_is_to_be_read_to_its_end():
    settings = KafkaSettings(KafkaConnection("127.0.0.1:9"), "t", until="end")
    told = r"kafka.brokers must answer within 1 s, got none of 127.0.0.1:9 \(.*refused"
    with pytest.raises(SourceError, match=told), reading(None, "t", settings=settings, wait_s=1.0):
        pass


def test_error_a_topic_to_be_read_to_its_end_must_be_there(kafka):
    settings = settings_of(kafka, "nowhere", until="end")
    told = "kafka.topic must be there, got nowhere"
    with pytest.raises(SourceError, match=told), reading(None, "t", settings=settings, wait_s=1.0):
        pass


def _warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def _held(read):
    lanes = list(read.topic.reading.lanes.values())  # a thread adds to them
    return sum(lane.shelf.memory for lane in lanes)


def test_law_a_run_that_takes_nothing_holds_little(kafka):
    kafka.create("full", 4)
    values = [bytes([33 + n % 90]) * 8_000 for n in range(10_000)]
    kafka.produce_lines("full", values, 4)
    with reading(kafka, "full") as read:
        until_s = time.monotonic() + 30.0
        while _held(read) < 33_000_000 and time.monotonic() < until_s:
            time.sleep(0.01)
        time.sleep(0.5)  # for what would come on top
        assert 33_000_000 < _held(read) < 45_000_000  # of 80 MB
        read.until_lines(10_000, limit=1 << 24)
        assert sorted(line for _, line in read.lines()) == sorted(values)
