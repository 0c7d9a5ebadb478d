"""The real stream of the first issue: the stated matrix, whichever way the lines come."""

import gzip
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import COMMAND, ask, digests, done

FILE = Path(__file__).parents[3] / "shared" / "data" / "electricity-events.ndjson.gz"
MATRIX = [
    {"label": "DOWN", "prediction": "DOWN", "count": 21408},
    {"label": "DOWN", "prediction": "UP", "count": 4667},
    {"label": "UP", "prediction": "DOWN", "count": 5442},
    {"label": "UP", "prediction": "UP", "count": 13795},
]
ACCURACY = 0.776902365819209

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the electricity file is not there")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    data = tmp_path_factory.mktemp("calm")
    began = time.monotonic()
    summary = done("run", "--source", FILE, "--data", data)
    return data, summary, time.monotonic() - began


def lawful(data):
    return digests(data, without=("seq", "position"), names=("events", "votes", "confusion_matrix"))


def assert_stated(data):
    matrix = ask(
        data,
        "select label, prediction, sum(count)::int as count from confusion_matrix"
        " where time_basis = 'event' group by all order by all",
    )
    assert matrix == MATRIX
    right = sum(row["count"] for row in matrix if row["label"] == row["prediction"])
    assert right / sum(row["count"] for row in matrix) == ACCURACY
    stored = ask(data, "select avg(correct::int) as accuracy from events where label is not null")
    assert stored == [{"accuracy": ACCURACY}]
    by_label = ask(
        data, "select sum(count)::int n from confusion_matrix where time_basis = 'label'"
    )
    assert by_label == [{"n": 45312}]


def test_golden_from_the_file(calm):
    data, summary, _ = calm
    assert_stated(data)
    assert summary.startswith("74,209 lines in ")
    assert "45,312 events, 28,666 votes, 0 rejects, 231 repeats" in summary


def test_golden_a_second_run_reads_nothing(calm):
    data, _, _ = calm
    before = digests(data)
    summary = done("run", "--source", FILE, "--data", data)
    assert summary.startswith("0 lines in ")
    assert digests(data) == before


def test_golden_from_a_pipe_twice(calm, tmp_path):
    data = tmp_path / "data"
    shell = f"zcat {FILE} | {sys.executable} -m flows run --data ./data"
    ended = subprocess.run(["/bin/sh", "-c", shell], cwd=tmp_path, capture_output=True, check=True)
    assert ended.stdout == b""
    assert ended.stderr.count(b"\n") == 1
    assert_stated(data)
    once = digests(data)
    assert lawful(data) == lawful(calm[0])
    summary = done("run", "--data", data, stdin=gzip.decompress(FILE.read_bytes()))
    assert "0 events, 28,897 votes" in summary or "0 events, 28,666 votes" in summary
    twice = digests(data)
    assert once.pop("progress") != twice.pop("progress")
    assert twice == once


def test_golden_with_the_lines_in_any_order(calm, tmp_path):
    lines = gzip.decompress(FILE.read_bytes()).splitlines(keepends=True)
    random.Random(3).shuffle(lines)
    for part in range(2):
        (tmp_path / f"{part}.ndjson").write_bytes(b"".join(lines[part::2]))
    data = tmp_path / "data"
    done("run", "--source", f"{tmp_path}/*.ndjson", "--data", data)
    assert_stated(data)
    assert lawful(data) == lawful(calm[0])


def test_golden_stopped_and_resumed(calm, tmp_path):
    expected, _, took_s = calm
    data = tmp_path / "data"
    words = [*COMMAND, "run", "--source", str(FILE), "--data", str(data)]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        time.sleep(0.6 * took_s)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 2
        process.stderr.read()
    done("run", "--source", FILE, "--data", data)
    assert_stated(data)
    assert digests(data) == digests(expected)
