"""Kill -9 while jobs, steps and runs are counted: every answer is that of a calm run.

The stream has several models of one job with late, corrected and disputed labels, deployments in
between, step metrics that are overwritten, runs and ingests that are repeated and corrected, and
rules over steps. `BELLWETHER_KILLS` sets the number of kills (50 at night).
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest
from commands import (
    COMMAND,
    assert_equal,
    assert_same,
    bellwether,
    done,
    encoded,
    eventually,
    owned,
    relations,
)
from feeding import Feeder

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
EVENTS, SEED, LIFE_S = max(4_000, min(40_000, 1_200 * KILLS)), 7, 2.0
START_MS = 1_780_000_000_000
NAMES = (
    *("events", "step_metrics", "runs", "ingests"),
    *("alerts", "evaluations", "alert_rules"),
)
RULES = [
    {
        "step_metric": "loss",
        "experiment": "tuning",
        "steps": 4,
        "bound": "upper",
        "threshold": 0.9,
        "severity": "warning",
        "subsequent_alert_wait_steps": 2,
    },
    {
        "step_metric": "loss",
        "job": "train-1",
        "function": "stddev",
        "steps": 8,
        "min_steps": 3,
        "bound": "upper",
        "threshold": 0.55,
        "severity": "critical",
    },
]
QUESTIONS = [
    ("job", "soc"),
    ("job", "soc", "--filter", "features.city is Oslo", "--filter", "score gte 0.25"),
    ("job", "soc", "--from", "2026-05-28T20:40:00", "--to", "2026-05-28T22:07:13.5"),
    ("steps", "train-1"),
    ("steps", "train-2", "loss", "--page-length", "1000"),
    ("steps", "--experiment", "tuning"),
    ("plot", "job-types", "--page-size", "100"),
    ("plot", "ingests", "--column", "file_size_avg", "--column", "errored_count"),
    ("plot", "errors"),
]
SUMS = "processing_metrics"  # of floats: to 1e-9, however the stream was cut
WALL_CLOCK = ("last_recomputed_timestamp",)


def decided(chance, n, at):
    """A prediction, and what is said of some earlier one."""
    event = {
        "model_id": f"triage-{chance.randrange(3)}",
        "id": f"e{n}",
        "job_id": "soc",
        "timestamp": at,
        "prediction": chance.choice(["Drop", "Investigate", "Escalate"]),
        "score": chance.randrange(9) / 8,
        "features": {"city": chance.choice(["Oslo", "Rome", "Bonn"]), "size": chance.randrange(5)},
    }
    if chance.random() < 0.2:
        event["label"] = chance.choice(["Drop", "Investigate", "Escalate"])
    if chance.random() < 0.3:
        event["bucket_id"] = f"b{chance.randrange(40)}"
    yield event
    if chance.random() < 0.05:  # told anew, and otherwise
        yield {**event, "timestamp": at + 1, "prediction": "Drop"}
    for _ in range(chance.choice([0, 0, 1, 2])):
        yield {
            "type": "label",
            "model_id": event["model_id"],
            "id": f"e{chance.randrange(max(0, n - 900), n + 1)}",
            "timestamp": at + chance.randrange(5_000),
            "label": chance.choice(["Drop", "Investigate", "Escalate"]),
            "by": chance.choice(["ana", "bob", "eve", "root"]),
        }


def logged(chance, n, at):
    """Values of step metrics: NaN among them, steps out of order, steps told again."""
    value = chance.choice([chance.random(), chance.random(), 2.0, "nan", "inf", 0])
    yield {
        "type": "metric",
        "job_id": f"train-{n % 3}",
        "experiment_id": "tuning",
        "name": chance.choice(["loss", "accuracy"]),
        "value": value,
        "step": max(0, n // 3 - chance.choice([0, 0, 0, 1, 7])),
        "timestamp": at,
    }


def processed(chance, n, at):
    """Runs and ingests; some are told again, in another hour or with another end."""
    run = {
        "type": "run",
        "id": f"r{n}",
        "job_type": chance.choice(["parse", "tile"]),
        "version": chance.choice(["1.0", "1.1"]),
        "status": chance.choice(["completed", "failed", "canceled"]),
        "timestamp": at,
        **{f"{name}_time": round(chance.random() * 90, 2) for name in ("queue", "job", "run")},
    }
    if run["status"] == "failed":
        run["error_category"] = chance.choice(["system", "data", "algorithm"])
    yield run
    yield {
        "type": "ingest",
        "id": f"i{n}",
        "strike": chance.choice(["north", "south"]),
        "status": chance.choice(["ingested", "errored", "deferred", "duplicate"]),
        "timestamp": at + 3,
        "file_size": chance.randrange(10**9),
        "transfer_time": 0,
    }
    if chance.random() < 0.2:
        yield {**run, "timestamp": at + chance.randrange(7_200_000), "status": "completed"}


def stream(count, seed):
    chance = random.Random(seed)
    for n in range(count):
        at = START_MS + n * 1_500
        yield from decided(chance, n, at)
        if n % 2:
            yield from logged(chance, n, at)
        if n % 4 == 0:
            yield from processed(chance, n, at)
        if n % (count // 5) == count // 10:
            yield {
                "type": "model",
                "model_id": f"triage-{chance.randrange(3)}",
                "job_id": "soc",
                "status": "deployed",
                "timestamp": at,
            }


@pytest.fixture(scope="module")
def lines():
    return [encoded([event]) for event in stream(EVENTS, SEED)]


def configured(folder):
    path = folder / "config.yaml"
    told = {
        "data": str(folder / "data"),
        "sources": [{"name": "file", "files": str(folder / "events.ndjson")}],
        "models": [{"id": f"triage-{n}", "minutes_per_event": 2.5 + n} for n in range(3)],
        "alert_rules": RULES,
        "users": [{"username": "root", "role": "administrator"}],
    }
    path.write_text(json.dumps(told))
    return path


def answers(data):
    """Ask all questions of a folder that nobody owns."""
    found = {}
    for words in QUESTIONS:
        ended = bellwether("metrics", *words, "--data", data, "--format", "json")
        assert ended.returncode == 0, (words, ended.stderr.decode())
        found[words] = without_clock(json.loads(ended.stdout))
    return found


def without_clock(value):
    if isinstance(value, dict):
        return {key: without_clock(v) for key, v in value.items() if key not in WALL_CLOCK}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


def spelled(data, names=NAMES):
    """Relations with their rows as text: a NaN is no NaN to Python."""
    return {name: list(map(repr, rows)) for name, rows in relations(data, names).items()}


@pytest.fixture(scope="module")
def calm(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    (folder / "events.ndjson").write_bytes(b"".join(lines))
    done("run", configured(folder), timeout=300)
    data = folder / "data"
    return spelled(data), relations(data, [SUMS]), answers(data)


def test_fault_metrics_of_jobs_steps_and_processing_survive_kills(lines, calm, tmp_path):
    expected, sums, told = calm
    assert all(expected.values()), "every relation has rows"
    data, path = tmp_path / "data", configured(tmp_path)
    feeder = Feeder(tmp_path / "events.ndjson", lines, span_s=1.2 * KILLS * LIFE_S)
    feeder.path.touch()
    feeder.start()
    chance, hits = random.Random(SEED), 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*COMMAND, "run", str(path), "--follow"], stderr=subprocess.DEVNULL
        )
        eventually(lambda p=process: (owned(data) or {}).get("pid") == p.pid, within_s=60)
        time.sleep(chance.uniform(0, LIFE_S))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    feeder.finish()
    assert hits, "no run was still going when it was killed"
    done("run", path, timeout=300)
    assert_equal(spelled(data), expected)
    assert_same(relations(data, [SUMS]), sums)
    assert_alike(answers(data), told)


def test_fault_order_and_repeats_change_no_answer(lines, calm, tmp_path):
    """What is a function of the distinct events alone: the stream shuffled, and piped twice."""
    expected, sums, told = calm
    shuffled = [*lines, *lines[: len(lines) // 3]]
    random.Random(3).shuffle(shuffled)
    (tmp_path / "events.ndjson").write_bytes(b"".join(shuffled))
    done("run", configured(tmp_path), timeout=300)
    for name, rows in spelled(tmp_path / "data", ("step_metrics", "runs", "ingests")).items():
        assert rows == expected[name], name
    assert_same(relations(tmp_path / "data", [SUMS]), sums)
    assert_alike(answers(tmp_path / "data"), told)


def assert_alike(found, told):
    for words in QUESTIONS:
        assert close(found[words], told[words]), words


def close(one, other):
    """Say whether two answers agree: sums of floats to 1e-9, all else exactly."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and abs(one - other) <= 1e-9 * abs(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other
