"""`bellwether run` on a topic: the tables are those of a file, whatever is killed or restarted.

`BELLWETHER_KILLS` sets the number of kills.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

pytest.importorskip("confluent_kafka")

from commands import (
    COMMAND,
    ask,
    assert_equal,
    assert_same,
    encoded,
    eventually,
    owned,
    prediction,
    relations,
    rows,
    running,
    stopped,
    vote,
)
from kafka_cluster import kafka_cluster

from engine.errors import SourceError
from flows.pace import COMMIT_EVERY_S
from flows.run import run, run_session
from flows.session import Session
from flows.settings import load

KILLS = int(os.environ.get("BELLWETHER_KILLS", "2"))


@pytest.fixture(scope="module")
def kafka():
    with kafka_cluster() as cluster:
        yield cluster


def configuration(folder, source, name="run", **sections):
    """Write a configuration with one source; gives its path."""
    path = folder / f"{name}.yaml"
    told = {"data": str(folder / name), "sources": [{"name": "live", **source}], **sections}
    path.write_text(json.dumps(told))
    return path


@contextlib.contextmanager
def live(path):
    """Run for ever, in this process; gives what asks the store."""
    session = Session(load(str(path)))
    thread = threading.Thread(target=run_session, args=(session, contextlib.nullcontext))
    thread.start()

    eventually(lambda: hasattr(session, "server") or not thread.is_alive())

    def ask(sql):
        cursor = session.readers().cursor()
        try:
            return cursor.execute(sql).fetchall()
        finally:
            cursor.close()

    try:
        yield ask
    finally:
        began = time.monotonic()
        session.stop.set()
        thread.join(30)
        took_s = time.monotonic() - began
        assert not thread.is_alive()
        assert session.fault is None
        assert took_s < 5.0


def ran(path):
    """Run to the end of the input, in this process."""
    assert run(load(str(path))) == 0


def topic(kafka, name, **more):
    return {"kafka": {"brokers": kafka.brokers, "topic": name, **more}}


def events(count, seed=7):
    """Predictions of two models, late labels, repeats and lines that are refused."""
    chance = random.Random(seed)
    for n in range(count):
        yield prediction(n, model_id=f"m{n % 2}", score=0.5, features={"x": chance.random()})
        if n % 3 == 0:
            late = chance.randrange(n + 1)
            yield vote(late, chance.choice("ab"), model_id=f"m{late % 2}", by=chance.choice("cd"))
        if n % 50 == 0:
            yield {"model_id": "m0", "id": f"e{n}", "timestamp": "never"}


def values_of(lines, seed=3):
    """Messages of one line, of several, with and without a newline, and some of nothing."""
    chance, at = random.Random(seed), 0
    while at < len(lines):
        count = chance.choice([1, 1, 1, 2, 5])
        value = b"".join(lines[at : at + count])
        yield value if chance.random() < 0.5 else value.removesuffix(b"\n")
        if chance.random() < 0.05:
            yield chance.choice([None, b""])
        at += count


WITHOUT = ("source", "partition", "position", "from_position", "to_position")


def test_golden_a_topic_gives_the_tables_of_a_file_cell_for_cell(kafka, tmp_path):
    lines = [encoded([event]) for event in events(800)] + [b"\xff\x00\n", b"\n"]
    values = list(values_of(lines))
    kafka.create("same")
    kafka.produce("same", values, codec="zstd")
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"".join(lines))
    sections = {"alert_rules": [
        {"model": "m1", "metric": "count", "bound": "upper", "threshold": 1, "severity": "warning",
         "lookback_period": 1}]}  # fmt: skip
    of_file = configuration(tmp_path, {"files": str(file)}, "file", **sections)
    of_topic = configuration(tmp_path, topic(kafka, "same", until="end"), "topic", **sections)
    ran(of_file)
    ran(of_topic)
    names = [name for name in relations(tmp_path / "file") if name != "topics"]
    found = [relations(tmp_path / name, names, WITHOUT) for name in ("topic", "file")]
    assert len(found[0]["alerts"]) > 5
    assert_equal(*found)
    nothing = [value for value in values if not value]
    ((*_, messages, tombstones, empty, missing),) = rows(tmp_path / "topic", "FROM topics")
    assert messages == len(values)
    assert (tombstones, empty) == (nothing.count(None), nothing.count(b""))
    assert missing == 0
    refused = rows(tmp_path / "topic", "SELECT position, raw FROM rejects ORDER BY position")
    assert refused
    for position, raw in refused[:-1]:
        assert raw.encode() in values[position]


def test_fault_killed_runs_on_a_topic_end_equal(kafka, tmp_path):
    lines = [encoded([event]) for event in events(4_000)]
    kafka.create("killed", 3)
    kafka.produce("killed", list(values_of(lines)), lambda n: n % 3, codec="lz4")
    source = topic(kafka, "killed", until="end")
    calm = configuration(tmp_path, source, "calm")
    ran(calm)
    path = configuration(tmp_path, source, "killed")
    chance, hits = random.Random(5), 0
    for _ in range(KILLS):
        process = subprocess.Popen([*COMMAND, "run", path], stderr=subprocess.DEVNULL)
        eventually(lambda: owned(tmp_path / "killed"))
        time.sleep(chance.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    ran(path)
    assert hits, "no run was still going when it was killed"
    assert_equal(relations(tmp_path / "killed"), relations(tmp_path / "calm"))


def test_fault_a_live_run_that_is_killed_goes_on_where_it_was(kafka, tmp_path):
    """One partition: the order of its lines alone decides, so the tables are the file's."""
    kafka.create("cut")
    lines = [encoded([event]) for event in events(1_500)]
    path = configuration(tmp_path, topic(kafka, "cut"), "live")
    chance = random.Random(9)
    for part in range(KILLS):
        with running("run", path) as process:
            low, high = (len(lines) * each // KILLS for each in (part, part + 1))
            for at in range(low, high, 200):
                kafka.produce("cut", lines[at : min(high, at + 200)])
                time.sleep(chance.uniform(0, 0.1))
            eventually(lambda: owned(tmp_path / "live"))
            time.sleep(chance.uniform(0.2, 1.0))
            process.send_signal(signal.SIGKILL)
    with live(path) as ask:
        eventually(lambda: ask("SELECT position FROM progress") == [(len(lines),)])
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"".join(lines))
    ran(configuration(tmp_path, {"files": str(file)}, "file"))
    names = [name for name in relations(tmp_path / "file") if name not in {"topics", "progress"}]
    found = [relations(tmp_path / name, names, WITHOUT) for name in ("live", "file")]
    assert_same(*found)  # the cuts into blocks were others: sums of floats may differ


def test_golden_a_slow_live_topic_is_seen_within_the_commit_interval(kafka, tmp_path):
    kafka.create("slow", 2)
    path = configuration(tmp_path, topic(kafka, "slow"))
    with live(path) as ask:
        took = []
        for n in range(8):
            kafka.produce("slow", [encoded([prediction(n)])], n % 2)
            wanted = [(n + 1,)]
            took.append(eventually(lambda: ask("SELECT count(*) FROM events") == wanted)[1])  # noqa: B023 - asked at once
        assert sorted(took)[4] < 2 * COMMIT_EVERY_S


def test_golden_an_idle_partition_holds_nobody_back(kafka, tmp_path):
    kafka.create("idle", 2)
    kafka.produce("idle", [encoded([prediction(n)]) for n in range(100)], 0)
    closed = "SELECT count(*) > 0 FROM metric_values WHERE NOT is_interim"
    path = configuration(tmp_path, topic(kafka, "idle"), "waits", time={"idle_timeout": "1h"})
    with live(path) as ask:
        eventually(lambda: ask("SELECT count(*) FROM events") == [(100,)])
        time.sleep(1.0)
        assert ask(closed) == [(False,)]
    path = configuration(tmp_path, topic(kafka, "idle"), "idle", time={"idle_timeout": "1s"})
    with live(path) as ask:
        eventually(lambda: ask(closed) == [(True,)])


def test_fault_brokers_that_go_and_come_back_end_no_run(kafka, tmp_path, caplog):
    kafka.create("back")
    kafka.produce("back", [encoded([prediction(0)])])
    count = "SELECT count(*) FROM events"
    with live(configuration(tmp_path, topic(kafka, "back"))) as ask:
        eventually(lambda: ask(count) == [(1,)])
        kafka.down()
        eventually(lambda: "cannot be reached" in caplog.text)
        kafka.up()
        kafka.produce("back", [encoded([prediction(1)])])
        _, took_s = eventually(lambda: ask(count) == [(2,)])
        assert took_s < 5.0
        eventually(lambda: "the brokers are back after" in caplog.text)


def test_golden_the_command_reads_a_topic_until_it_is_stopped(kafka, tmp_path):
    kafka.create("told")
    kafka.produce("told", [encoded([prediction(n)]) for n in range(5)])
    words = ["--source", f"kafka://{kafka.brokers}/told", "--data", tmp_path / "data"]
    with running("run", *words) as process:
        eventually(lambda: owned(tmp_path / "data"))
        eventually(lambda: ask(tmp_path / "data", "SELECT count(*) AS n FROM events")[0]["n"] == 5)
        told = stopped(process)
    assert "5 events" in told


def test_error_messages_that_are_gone_stop_a_run_that_is_told_so(kafka, tmp_path):
    kafka.create("gone")
    kafka.produce("gone", [encoded([prediction(n)]) for n in range(10)])
    ran(configuration(tmp_path, topic(kafka, "gone", until="end"), "gone"))
    kafka.produce("gone", [encoded([prediction(n)]) for n in range(10, 20)])
    kafka.delete_before("gone", 0, 15)
    stop = configuration(tmp_path, topic(kafka, "gone", until="end", on_lost="stop"), "gone")
    told = "5 offsets from 10 to 14 are missing; with `on_lost: continue`"
    with pytest.raises(SourceError, match=told):
        ran(stop)
    ran(configuration(tmp_path, topic(kafka, "gone", until="end"), "gone"))
    ((position, reason),) = rows(tmp_path / "gone", "SELECT position, reason FROM rejects")
    assert position == 10
    assert "5 offsets from 10 to 14 are missing" in reason
    assert rows(tmp_path / "gone", "SELECT count(*) FROM events") == [(15,)]
    assert rows(tmp_path / "gone", "SELECT messages, missing FROM topics") == [(15, 5)]


def test_fault_a_run_that_waits_for_its_brokers_can_be_stopped(tmp_path):
    source = {"kafka": {"brokers": "127.0.0.1:9", "topic": "t", "until": "end"}}
    session = Session(load(str(configuration(tmp_path, source))))
    thread = threading.Thread(target=run_session, args=(session, contextlib.nullcontext))
    thread.start()
    eventually(lambda: any(each.name == "kafka-live" for each in threading.enumerate()))
    began = time.monotonic()
    session.stop.set()
    thread.join(20)
    assert time.monotonic() - began < 3.0  # of 15 that it would have waited
    eventually(lambda: not any(each.name == "kafka-live" for each in threading.enumerate()))
