"""Alerts and anomaly records leave for topics: all of them, under keys that never change.

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

from alert_runs import burst, configuration, rule
from commands import COMMAND, START_MS, encoded, eventually, owned, prediction, rows
from kafka_cluster import kafka_cluster

from engine.produce import record_key
from flows.run import run, run_session
from flows.session import Session
from flows.settings import load

KILLS = int(os.environ.get("BELLWETHER_KILLS", "2"))


@pytest.fixture(scope="module")
def kafka():
    with kafka_cluster() as cluster:
        yield cluster


def way(kafka, topic, relation="alerts", **more):
    brokers = {"brokers": kafka.brokers}
    return {"name": relation, "kafka": brokers, "topic": topic, "relation": relation, **more}


def ran(path):
    assert run(load(str(path))) == 0


def produced(kafka, topic):
    """Key and value of each message; a repeat must be the same in both."""
    found = {}
    for key, value in kafka.messages(topic):
        assert found.setdefault(key, value) == value
    return {key.decode(): json.loads(value) for key, value in found.items()}


def test_golden_alerts_are_produced_under_their_ids(kafka, tmp_path):
    kafka.create("alerts")
    (tmp_path / "events.ndjson").write_bytes(burst())
    rules = [rule(), rule(name="less", severity="warning", threshold=20)]
    told = [way(kafka, "alerts", severities=["critical"])]
    path = configuration(tmp_path, alert_rules=rules, produce=told)
    ran(path)
    stored = rows(
        tmp_path / "data",
        "SELECT alert_id, model_id, severity, metric_value, triggered_time, message FROM alerts"
        " WHERE severity = 'critical' ORDER BY alert_id",
    )
    assert len(stored) == 3
    found = produced(kafka, "alerts")
    assert sorted(found) == [row[0] for row in stored]
    for alert_id, model, severity, value, triggered, message in stored:
        one = found[alert_id]
        assert (one["model_id"], one["severity"], one["metric_value"]) == (model, severity, value)
        assert one["triggered_time"] == f"{triggered:%Y-%m-%dT%H:%M:%SZ}"
        assert one["message"] == message
        assert "status" not in one
    assert rows(tmp_path / "data", "FROM produce_queue") == []
    ran(path)
    assert kafka.watermarks("alerts") == (0, 3)


def spiked(hours=12):
    """Ten events a minute, and two hundred in one of the last."""
    for minute in range(hours * 60):
        for n in range(200 if minute == hours * 60 - 30 else 10):
            at = START_MS + 60_000 * minute + 300 * n
            yield {"model_id": "m", "id": f"{minute}-{n}", "timestamp": at, "prediction": "a"}


def test_golden_anomaly_records_are_produced_once_their_bucket_is_closed(kafka, tmp_path):
    kafka.create("records")
    events = encoded(spiked())
    half = events.index(b"\n", len(events) // 2) + 1
    file = tmp_path / "events.ndjson"
    file.write_bytes(events[:half])
    job = {"job_id": "j", "model": "m", "bucket_span": "1m", "detectors": [{"function": "count"}]}
    usual = {"alert_rules": [], "anomaly_jobs": [job]}
    ran(configuration(tmp_path, **usual))  # what is there before is not produced
    file.write_bytes(events)
    told = [way(kafka, "records", "anomaly_records", min_score=20)]
    ran(configuration(tmp_path, **usual, produce=told))
    columns = "job_id, timestamp, detector_index, function, function_description, actual"
    stored = rows(
        tmp_path / "data",
        f"SELECT {columns} FROM anomaly_records WHERE initial_record_score >= 20"
        " AND NOT is_interim ORDER BY timestamp",
    )
    assert stored
    found = produced(kafka, "records")
    names = columns.split(", ")
    by_key = {record_key(dict(zip(names, row, strict=True))): row for row in stored}
    assert found.keys() == by_key.keys()
    for key, row in by_key.items():
        assert found[key]["actual"] == row[-1]
        assert found[key]["timestamp"] == f"{row[1]:%Y-%m-%dT%H:%M:%SZ}"
        assert found[key]["initial_record_score"] >= 20
        assert isinstance(found[key]["explanation"], dict | None)


def test_fault_killed_runs_produce_every_alert(kafka, tmp_path):
    kafka.create("killed")
    minutes = 400
    lines = burst(minutes, busy=range(2, minutes, 3))
    (tmp_path / "events.ndjson").write_bytes(lines)
    kafka.create("lines")
    kafka.produce_lines("lines", lines.splitlines(keepends=True))
    source = {"brokers": kafka.brokers, "topic": "lines", "until": "end"}
    path = configuration(
        tmp_path, sources=[{"name": "s", "kafka": source}], produce=[way(kafka, "killed")]
    )
    chance, hits = random.Random(4), 0
    for _ in range(KILLS):
        process = subprocess.Popen([*COMMAND, "run", path], stderr=subprocess.DEVNULL)
        eventually(lambda: owned(tmp_path / "data"))
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    ran(path)
    assert hits, "no run was still going when it was killed"
    stored = {row[0] for row in rows(tmp_path / "data", "SELECT alert_id FROM alerts")}
    assert len(stored) > 100
    assert set(produced(kafka, "killed")) == stored


def test_fault_what_no_broker_takes_waits_for_the_next_run(kafka, tmp_path, caplog):
    kafka.create("waits")
    (tmp_path / "events.ndjson").write_bytes(burst())
    path = configuration(tmp_path, produce=[way(kafka, "waits")])
    session = Session(load(str(path)))
    thread = threading.Thread(target=run_session, args=(session, contextlib.nullcontext))
    kafka.down()
    try:
        thread.start()
        eventually(lambda: "produce alerts: the brokers" in caplog.text)
        session.stop.set()  # else the end of the input would wait for the brokers
        thread.join(10)
        assert not thread.is_alive()
    finally:
        kafka.up()
    assert rows(tmp_path / "data", "SELECT count(*) FROM produce_queue") == [(3,)]
    ran(path)
    assert len(produced(kafka, "waits")) == 3
    assert rows(tmp_path / "data", "SELECT count(*) FROM produce_queue") == [(0,)]


def test_golden_entries_that_are_declared_no_more_are_forgotten_aloud(kafka, tmp_path, caplog):
    (tmp_path / "events.ndjson").write_bytes(encoded(prediction(n) for n in range(3)))
    ran(configuration(tmp_path, produce=[way(kafka, "none")]))
    assert rows(tmp_path / "data", "SELECT way, job_id FROM produce_marks") == [("alerts", "")]
    ran(configuration(tmp_path))
    assert rows(tmp_path / "data", "FROM produce_marks") == []
    assert caplog.text == ""
