"""Kill -9 at random moments while anomaly jobs run: the same rows and scores, to the last digit.

Jobs of all kinds over predictions, late labels and runs, with alert rules on their scores, and
lines that keep coming while the command is killed and started again. `BELLWETHER_KILLS` sets the
number of kills (50 at night).
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest
from anomaly_runs import RELATIONS, labels_for, visits
from commands import (
    COMMAND,
    ask,
    assert_equal,
    done,
    encoded,
    eventually,
    one,
    owned,
    relations,
)
from feeding import Feeder

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
BUCKETS, SEED, LIFE_S = max(300, min(2_000, 60 * KILLS)), 5, 3.0
NAMES = (
    *RELATIONS,
    *("anomaly_model_plot", "anomaly_job_stats", "alerts", "evaluations"),
)  # snapshots, and their annotations, are taken at commits
CLOCKS = tuple(f"bucket_processing_ms_{name}" for name in ("min", "max", "mean", "ewma"))
JOBS = [
    {
        "job_id": "visits",
        "model": "shop",
        "bucket_span": "1m",
        "frequency": "30s",
        "detectors": [
            {"function": "count"},
            {"function": "metric", "field_name": "price"},
            {"function": "median", "field_name": "price", "partition_field_name": "city"},
            {"function": "rare", "by_field_name": "city"},
        ],
        "influencers": ["city", "prediction"],
    },
    {
        "job_id": "crowd",
        "model": "shop",
        "bucket_span": "2m",
        "latency": "30s",
        "detectors": [
            {"function": "high_count", "over_field_name": "city"},
            {"function": "time_of_day", "by_field_name": "prediction"},
        ],
        "influencers": ["city"],
    },
    {
        "job_id": "quality",
        "model": "shop",
        "bucket_span": "5m",
        "detectors": [
            {"function": "high_mean", "field_name": "error"},
            {"function": "low_mean", "field_name": "accuracyRateMulticlass"},
        ],
        "influencers": ["prediction"],
    },
    {
        "job_id": "runs",
        "type": "run",
        "bucket_span": "3m",
        "detectors": [{"function": "mean", "field_name": "run_time", "by_field_name": "status"}],
    },
]
RULES = [
    {"anomaly_job": "visits", "threshold": 20, "severity": "critical"},
    {
        "anomaly_job": "visits",
        "result_type": "record",
        "threshold": 30,
        "severity": "warning",
        "include_interim": True,
        "subsequent_alert_wait_time": 3,
    },
    {"anomaly_job": "quality", "threshold": 10, "severity": "warning", "buckets": 3},
]


def runs_of(events):
    for n, event in enumerate(events[::5]):
        yield {
            "type": "run",
            "id": f"r{n}",
            "job_type": "train",
            "status": ("done", "failed")[n % 7 == 0],
            "timestamp": event["timestamp"] + 5,
            "run_time": 10 + n % 4 + 40 * (n % 500 > 480),
        }


@pytest.fixture(scope="module")
def lines():
    events = visits(SEED, BUCKETS)
    whole = [*events, *labels_for(events, SEED, delay_s=400), *runs_of(events)]
    whole.sort(key=lambda event: event["timestamp"])
    late = random.Random(SEED).sample(whole, len(whole) // 50)
    return [encoded([event]) for event in [*whole[:-300], *late, *whole[-300:]]]


def configured(folder):
    path = folder / "config.yaml"
    told = {
        "data": str(folder / "data"),
        "sources": [{"name": "file", "files": str(folder / "events.ndjson")}],
        "models": [{"id": "shop"}],
        "anomaly_jobs": JOBS,
        "alert_rules": RULES,
    }
    path.write_text(json.dumps(told))
    return path


@pytest.fixture(scope="module")
def calm(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    (folder / "events.ndjson").write_bytes(b"".join(lines))
    done("run", configured(folder), timeout=300)
    return relations(folder / "data", NAMES, without=CLOCKS)


def started(process, data):
    """Wait until a run owns its data folder."""
    eventually(lambda: (owned(data) or {}).get("pid") == process.pid, within_s=60)


def closed(data, more_than):
    """Wait until a run has closed more buckets than so many; gives how many."""
    sql = "select count(*) as n from anomaly_buckets where not is_interim"

    def more():
        count = ask(data, sql)[0]["n"]
        return count if count > more_than else None

    return eventually(more, within_s=60)[0]


def kill_again_and_again(path, data, chance):
    """Start the command and kill it, `KILLS` times; gives how many it met.

    Every other time it has closed a bucket before.
    """
    hits = before = 0
    for number in range(KILLS):
        process = subprocess.Popen(
            [*COMMAND, "run", str(path), "--follow"], stderr=subprocess.DEVNULL
        )
        started(process, data)
        before = closed(data, before) if number % 2 else before
        time.sleep(chance.uniform(0, LIFE_S))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    return hits


def test_fault_anomaly_results_survive_kills(lines, calm, tmp_path):
    assert len(calm["anomaly_buckets"]) > 1.5 * BUCKETS
    assert calm["anomaly_records"]
    assert calm["alerts"]
    data, path = tmp_path / "data", configured(tmp_path)
    feeder = Feeder(tmp_path / "events.ndjson", lines, span_s=1.5 * KILLS * LIFE_S)
    feeder.path.touch()
    feeder.start()
    hits = kill_again_and_again(path, data, random.Random(SEED))
    feeder.finish()
    assert hits, "no run was still going when it was killed"
    assert one(data, "select count(*) from anomaly_buckets where not is_interim")[0]
    done("run", path, timeout=300)
    assert_equal(relations(data, NAMES, without=CLOCKS), calm)
