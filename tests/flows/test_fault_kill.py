"""Killed or stopped at random moments: after the last start every relation is as of one calm run.

Many lines through three files at once; `test_fault_equivalence` has all types of events, and the
other sources. `BELLWETHER_KILLS` sets the number of kills (50 at night).
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest
from commands import COMMAND, one
from crash_attack import Attack, calm_run, through
from crash_compare import differences
from crash_sources import Files

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
START_MS, SEED = 1_700_000_000_000, 5
SECTIONS = {"users": [{"username": "eve", "role": "administrator"}]}


def made_lines(count, seed):
    """Predictions of three models with late, repeated and corrected labels, and some bad lines."""
    chance = random.Random(seed)
    for n in range(count):
        at = START_MS + n * 700
        model = f"model-{chance.randrange(3)}"
        event = {
            "model_id": model,
            "id": f"e{n}",
            "timestamp": at,
            "prediction": chance.choice(["low", "mid", "high"]),
            "score": round(chance.random(), 3),
            "features": {"x": chance.gauss(0, 1), "y": chance.choice([1.5, "odd", None, 2])},
        }
        if chance.random() < 0.3:
            event["label"] = chance.choice(["low", "mid", "high"])
        if chance.random() < 0.02:
            event["prediction"], event["label"] = chance.random(), chance.random()
        yield event
        for _ in range(chance.choice([0, 0, 1, 2])):
            late = chance.randrange(max(0, n - 4000), n + 1)
            yield {
                "type": "label",
                "model_id": model,
                "id": f"e{late}",
                "timestamp": at + chance.randrange(5000),
                "label": chance.choice(["low", "mid", "high", 0.25]),
                "by": chance.choice(["ana", "bob", "eve"]),
            }
        if chance.random() < 0.01:
            yield {"model_id": model, "id": f"e{n}", "timestamp": "never"}


@pytest.fixture(scope="module")
def made():
    lines = [json.dumps(event).encode() + b"\n" for event in made_lines(30_000, 11)]
    return lambda folder: Files(folder, lines, lambda _: SECTIONS)


@pytest.fixture(scope="module")
def calm(made, tmp_path_factory):
    return calm_run(made(tmp_path_factory.mktemp("calm") / "store"))


def test_fault_killed_runs_end_equal(made, calm, tmp_path):
    assert one(calm.data, "SELECT count(*) FROM events")[0] > 10_000
    figures = Attack(made, calm, tmp_path, seed=SEED).run(KILLS)
    assert not figures.found, "\n".join(figures.found)
    assert figures.kills.total() > 0, "no run was still going when it was killed"


def test_fault_a_stopped_run_goes_on(made, calm, tmp_path):
    source = made(tmp_path / "stopped")
    for number in (signal.SIGTERM, signal.SIGINT):
        process = source.start()
        time.sleep(0.3 * calm.took_s)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    through(source, source.start())
    assert differences(source.data, calm.data) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fault_a_signal_after_the_last_commit_changes_nothing(tmp_path, number):
    (tmp_path / "a.ndjson").write_bytes(
        b'{"model_id": "m", "id": "1", "timestamp": 1700000000000}\n'
    )
    words = [
        *COMMAND,
        "run",
        "--source",
        str(tmp_path / "a.ndjson"),
        "--data",
        str(tmp_path / "data"),
    ]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        assert b"1 event" in process.stderr.readline()  # the summary
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.001)
    assert process.returncode == 0
