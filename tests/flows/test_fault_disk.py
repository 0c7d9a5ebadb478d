"""A disk that is full: one clear message, code 1, nothing lost, and the next start goes on.

A real file system of a chosen size (`small_disk`) where namespaces are allowed; elsewhere a limit
on the size of each file, which DuckDB meets at the same places with another reason.
"""

import os
import subprocess

import pytest
from commands import (
    COMMAND,
    assert_equal,
    bellwether,
    encoded,
    eventually,
    prediction,
    relations,
    vote,
)
from small_disk import limited, small_disk

LINES = 6_000
# All of them with `BELLWETHER_DISKS` set.
SIZES = ["64k", "400k", "1m", "2m"] if "BELLWETHER_DISKS" in os.environ else ["64k", "1m"]
LIMITS = [100_000, 500_000, 1_000_000] if "BELLWETHER_DISKS" in os.environ else [500_000]
# Half a gigabyte to be sorted: more than a reader may have in memory.
LARGE = (
    "select max(p) from (select repeat(md5(range::varchar), 20) p, hash(range) h"
    " from range(600000) order by h limit 599999)"
)
SAFE = "what was committed is safe, and a new start goes on from there"


def stream():
    """Predictions with features, of which the compressed store takes some MB; and late labels."""
    for n in range(LINES):
        features = {f"x{k}": (n * 7919 * (k + 1)) % 100_003 / 7 for k in range(6)}
        yield prediction(n, features=features, score=n % 97 / 97, note="words " * (n % 9))
        if n % 3 == 0:
            yield vote(n // 2, "ab"[n % 2], prediction(n)["timestamp"])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "events.ndjson"
    path.write_bytes(encoded(stream()))
    return path


@pytest.fixture(scope="module")
def calm(source, tmp_path_factory):
    data = tmp_path_factory.mktemp("calm") / "data"
    ended = bellwether("run", "--source", source, "--data", data)
    assert ended.returncode == 0, ended.stderr
    return relations(data)


def assert_full(ended, reason="No space left on device"):
    told = ended.stderr if isinstance(ended.stderr, str) else ended.stderr.decode()
    assert ended.returncode == 1, told
    assert f"could not be written: {reason}. Please make room there" in told
    assert SAFE in told
    assert told.count("\n") == 1, told


# From the first tables to the middle of the stream: the file, its log, the checkpoint at the end.
@pytest.mark.parametrize("size", SIZES)
def test_fault_a_full_disk_ends_the_run_and_nothing_is_lost(tmp_path, source, calm, size):
    (tmp_path / "disk").mkdir()
    data = tmp_path / "disk" / "data"
    with small_disk(tmp_path / "disk", size) as disk:
        assert_full(disk.run("run", "--source", source, "--data", data))
        assert_full(disk.run("run", "--source", source, "--data", data))  # full still: no harm
        disk.resize("200m")
        ended = disk.run("run", "--source", source, "--data", data)
        assert ended.returncode == 0, ended.stderr
        disk.copy(data, tmp_path / "seen")
    assert_equal(relations(tmp_path / "seen"), calm)


@pytest.mark.parametrize("file_bytes", LIMITS)
def test_fault_a_file_that_may_not_grow_ends_the_run(tmp_path, source, calm, file_bytes):
    words = [*COMMAND, "run", "--source", str(source), "--data", str(tmp_path / "data")]
    ended = subprocess.run(
        words, capture_output=True, check=False, timeout=120, preexec_fn=limited(file_bytes)
    )
    assert_full(ended, "File too large")
    again = subprocess.run(words, capture_output=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert_equal(relations(tmp_path / "data"), calm)


def test_fault_a_query_that_fills_the_disk_fails_alone(tmp_path):
    (tmp_path / "disk").mkdir()
    data = tmp_path / "disk" / "data"
    with small_disk(tmp_path / "disk", "8m") as disk:
        words = disk.bellwether("run", "--data", data)
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdin.write(encoded([prediction(1)]))
            process.stdin.flush()
            eventually(lambda: disk.run("sql", "select 1", "--data", data).returncode == 0)
            ended = disk.run("sql", LARGE, "--data", data)
            assert ended.returncode == 2, ended.stderr
            assert "the query needs more memory" in ended.stderr
            assert ended.stderr.count("\n") == 1
            process.stdin.write(encoded([prediction(2)]))
            process.stdin.close()
            assert process.wait(30) == 0, process.stderr.read()
            assert process.stderr.read().startswith(b"2 lines in ")
