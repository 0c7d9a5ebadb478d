"""The corpus through every door of the real program: each line is reported, and none is fatal.

A file, standard input and `/events`, with rules, anomaly jobs and a reference set over what the
lines say; and an archive that is cut off, and one that is a bomb. Afterwards every relation can be
read, and nothing that a line said reaches a terminal raw.
"""

import gzip
import json
import os
import pty
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import duckdb
import pytest
from commands import PUBLIC, bellwether, running, stopped
from hostile_corpus import CORPUS, stream

CONFIG = """
time: {max_future: 1h}
models:
  - {id: m, classes: [A, B]}
anomaly_jobs:
  - job_id: odd
    model: m
    bucket_span: 1d
    detectors:
      - {function: low_count}
      - {function: mean, field_name: score, partition_field_name: city}
      - {function: rare, by_field_name: note}
    influencers: [city, note]
alert_rules:
  - {model: m, metric: accuracyRateMulticlass, bound: lower, threshold: 0.9, severity: critical,
     lookback_period: 5, name: fell}
"""
ROOT = Path(__file__).resolve().parents[2]
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")
SIZE = re.compile(r"(?<=1048576 bytes, )got \d+")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(CONFIG)
    return path


def check(data, lines=CORPUS):
    """Every line has become what its entry says; every relation can be read to its end."""
    with duckdb.connect(str(data / "bellwether.duckdb")) as store:
        taken, refused = store.execute(
            "SELECT sum(events)::INT, sum(rejects)::INT FROM progress"
        ).fetchone()
        assert (taken, refused) == (
            sum(each.taken for each in lines),
            sum(not each.taken for each in lines),
        )
        told = store.execute("SELECT field, reason FROM rejects ORDER BY position").fetchall()
        # How much of a line that is far too long was ever held depends on the door.
        told = [(field, SIZE.sub("got more", reason)) for field, reason in told]
        refused = [(e.field, SIZE.sub("got more", e.reason)) for e in lines if not e.taken]
        assert told == refused
        for name in PUBLIC:
            store.execute(f"SELECT * FROM {name}").fetchall()


def test_golden_from_a_file(config, tmp_path):
    source, data = tmp_path / "odd.ndjson", tmp_path / "data"
    source.write_bytes(stream(CORPUS))
    ended = bellwether("run", config, "--source", source, "--data", data)
    told = ended.stderr.decode()
    assert ended.returncode == 0, told
    assert not RAW.search(told.replace("\n", ""))
    check(data)
    _look_at_it(data)


def _look_at_it(data):
    """Nothing of the lines reaches a terminal as more than letters."""
    asked = "SELECT DISTINCT model_id, prediction, job_id, batch_id, properties FROM events"
    for form in ("table", "csv"):
        shown = _on_terminal("sql", asked, "--data", data, "--format", form)
        assert len(shown) > 10_000
        # Rows end as rows of CSV do; a table has the colours of the program's own.
        plain = COLOUR.sub("", shown) if form == "table" else shown
        plain = plain.replace("\r\n", "").replace("\n", "").replace("\r", "")
        found = {each for each in RAW.findall(plain) if each < "\u0100" or form == "table"}
        assert not found, (form, found)


def _on_terminal(*words):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flows", *map(str, words)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed: Linux says EIO
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()


def test_golden_from_standard_input(config, tmp_path):
    data = tmp_path / "data"
    ended = bellwether("run", config, "--source", "-", "--data", data, stdin=stream(CORPUS))
    assert ended.returncode == 0, ended.stderr.decode()
    check(data)


def test_golden_over_http(config, tmp_path):
    data = tmp_path / "data"
    # As many lines a post as fit, the largest alone: 16 MiB with its newline.
    large = [each for each in CORPUS if len(each.data) > 1 << 21]
    small = [each for each in CORPUS if len(each.data) <= 1 << 21]
    posts = [small[:-8], *([each] for each in large), small[-8:]]
    with running("serve", config, "--data", data, "--port", 0) as process:
        port = _port(process)
        for lines in posts:
            receipt = _posted(port, stream(lines))
            assert receipt["lines"] == len(lines)
            assert receipt["rejected_count"] == sum(not each.taken for each in lines)
            refused = [i + 1 for i, each in enumerate(lines) if not each.taken]
            listed = [each["line"] for each in receipt["rejected"]]
            assert listed == refused[: len(listed)]
        stopped(process, within_s=10.0)
    check(data, [each for lines in posts for each in lines])


def _port(process):
    for line in process.stderr:
        found = re.search(rb"http://[^/\s]*:(\d+)", line)
        if found:
            return int(found[1])
    message = "the server never said where it serves"
    raise AssertionError(message)


def _posted(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/events", body)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_fault_an_archive_that_is_cut_off(tmp_path):
    source, data = tmp_path / "odd.ndjson.gz", tmp_path / "data"
    good = b"".join(
        b'{"model_id":"m","id":%d,"timestamp":1700000000000}\n' % i for i in range(5000)
    )
    source.write_bytes(gzip.compress(good)[:-4000])
    ended = bellwether("run", "--source", source, "--data", data)
    assert ended.returncode == 2, ended.stderr.decode()
    assert "it ends too early" in ended.stderr.decode()
    with duckdb.connect(str(data / "bellwether.duckdb")) as store:  # what came before was kept
        (taken,) = store.execute("SELECT sum(events)::INT FROM progress").fetchone()
        assert 100 < taken < 5000
        assert store.execute("SELECT count(*) FROM rejects").fetchone() == (0,)


def test_law_a_bomb_costs_no_memory(tmp_path):
    # 60 MB of one line and 8 MB of blank lines in 80 kB, in the memory that good lines need.
    source, data = tmp_path / "bomb.ndjson.gz", tmp_path / "data"
    with gzip.open(source, "wb", compresslevel=6) as file:
        for _ in range(60):
            file.write(b"[" * (1 << 20))
        for _ in range(8):
            file.write(b"\n" * (1 << 20))
    assert _peak_bytes(source, data) < 450e6
    with duckdb.connect(str(data / "bellwether.duckdb")) as store:
        told = store.execute("SELECT sum(rejects)::INT FROM progress").fetchone()
        assert told == (1,)


_PEAK = """
import pathlib, sys
from benchmarks.process import bellwether, measure
print(measure(bellwether(*map(pathlib.Path, sys.argv[1:]))).peak_bytes)"""


def _peak_bytes(source, data):
    """Measure from a small process: a child's peak begins at its parent's, and tests grow large."""
    command = [sys.executable, "-c", _PEAK, str(source), str(data)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
