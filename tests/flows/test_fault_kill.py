"""Kill -9 at random moments: after the last restart every relation is what one calm run gives.

`BELLWETHER_KILLS` sets the number of kills (50 at night). With `BELLWETHER_KILL_FILE` the stream is
that file instead of a made one.
"""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
import zstandard

from engine.relations import VIEWS

KILLS = int(os.environ.get("BELLWETHER_KILLS", "6"))
COMMAND = [sys.executable, "-m", "flows", "run"]
CLOCK = {"received_time", "updated_time", "processing_time_ms", "sent_time", "attempts"}
START_MS = 1_700_000_000_000


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
def sources(tmp_path_factory):
    given = os.environ.get("BELLWETHER_KILL_FILE")
    if given:
        return [given]
    folder = tmp_path_factory.mktemp("stream")
    lines = [json.dumps(event).encode() + b"\n" for event in made_lines(30_000, 11)]
    parts = [b"".join(lines[nth::3]) for nth in range(3)]
    (folder / "a.ndjson").write_bytes(parts[0])
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(parts[1], 1))
    (folder / "c.ndjson.zst").write_bytes(zstandard.compress(parts[2]))
    return sorted(map(str, folder.iterdir()))


def configuration(folder: Path, sources) -> Path:
    path = folder / "config.yaml"
    files = "\n".join(f"      - {json.dumps(source)}" for source in sources)
    path.write_text(
        f"data: {json.dumps(str(folder / 'data'))}\n"
        f"sources:\n  - name: stream\n    files:\n{files}\n"
        "users:\n  - {username: eve, role: administrator}\n"
    )
    return path


def run(path):
    done = subprocess.run([*COMMAND, str(path)], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()


def relations(folder):
    """Every public relation without the clock's own columns, sorted."""
    with duckdb.connect(str(folder / "data" / "bellwether.duckdb"), read_only=True) as connection:
        found = {}
        for name in VIEWS:
            columns = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
            kept = ", ".join(f'"{column}"' for column in columns if column not in CLOCK)
            # A hash of the row stands for it where there are millions of them.
            rows = connection.execute(
                f"SELECT coalesce(md5(t::VARCHAR)[:12], '') FROM (SELECT {kept} FROM \"{name}\") t"
                if name == "metric_values" and "BELLWETHER_KILL_FILE" in os.environ
                else f'SELECT {kept} FROM "{name}"'
            ).fetchall()
            found[name] = sorted(map(repr, rows))
        return found


@pytest.fixture(scope="module")
def calm(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    path = configuration(folder, sources)
    began = time.monotonic()
    run(path)
    return relations(folder), time.monotonic() - began


def assert_equal(found, expected):
    """Compare without the runner's own diff, which takes minutes on large relations."""
    for name, rows in expected.items():
        apart = sorted(set(found[name]) ^ set(rows))[:4]
        assert not apart, f"{name}: {apart}"
        assert len(found[name]) == len(rows), name


def test_fault_killed_runs_end_equal(sources, calm, tmp_path):
    expected, calm_s = calm
    assert sum(map(len, expected.values())) > 10_000
    path = configuration(tmp_path, sources)
    chance = random.Random(5)
    hits = 0
    for _ in range(KILLS):
        process = subprocess.Popen([*COMMAND, str(path)], stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 0.3 + 0.5 * calm_s))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    run(path)
    assert hits, "no run was still going when it was killed"
    found = relations(tmp_path)
    assert_equal(found, expected)


def test_fault_a_stopped_run_goes_on(sources, calm, tmp_path):
    expected, calm_s = calm
    path = configuration(tmp_path, sources)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen([*COMMAND, str(path)], stderr=subprocess.DEVNULL)
        time.sleep(0.3 * calm_s)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    run(path)
    assert_equal(relations(tmp_path), expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fault_a_signal_after_the_last_commit_changes_nothing(tmp_path, number):
    (tmp_path / "a.ndjson").write_bytes(
        b'{"model_id": "m", "id": "1", "timestamp": 1700000000000}\n'
    )
    words = [*COMMAND, "--source", str(tmp_path / "a.ndjson"), "--data", str(tmp_path / "data")]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        assert b"1 event" in process.stderr.readline()  # the summary
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.001)
    assert process.returncode == 0
