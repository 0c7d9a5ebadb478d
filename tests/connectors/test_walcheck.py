"""The look at a log: a torn end is none of our business, what DuckDB passes over is told.

Real logs, cut and damaged everywhere. That each entry is walked to is seen from the commits found;
that nothing is passed over, from what DuckDB itself makes of the same log.
"""

import random
import subprocess
import sys

import duckdb
import pytest

from connectors.damage import wal_of
from connectors.inspecting import look
from connectors.store import FILE_NAME
from connectors.walcheck import look_at_log

COMMITS = 30
CODE = (
    "import os, sys; from pathlib import Path; from connectors.store import Store\n"
    "store = Store(Path(sys.argv[1])); store.checkpoint()\n"
    "run = store.cursor.execute\n"
    "for n in range(int(sys.argv[2])):\n"
    "    store.begin(); store.remember('at', str(n + 1))\n"
    "    run('INSERT INTO events_retired SELECT ? * 100 + i FROM range(100) t(i)', [n])\n"
    "    store.commit()\n"
    "os.kill(os.getpid(), 9)\n"
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    words = [sys.executable, "-c", CODE, str(folder), str(COMMITS)]
    subprocess.run(words, check=False, timeout=60)
    return folder / FILE_NAME


@pytest.fixture
def log(killed, tmp_path):
    """A copy of the log beside a copy of the file; gives the file's path and the log's content."""
    path = tmp_path / FILE_NAME
    path.write_bytes(killed.read_bytes())
    content = wal_of(killed).read_bytes()
    wal_of(path).write_bytes(content)
    return path, content


def replayed(path):
    """How many commits DuckDB finds; None where it refuses."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute("SELECT value FROM settings WHERE name = 'at'").fetchall()
            (count,) = connection.execute("SELECT count(*) FROM events_retired").fetchone()
    except duckdb.Error:
        return None
    at = int(rows[0][0]) if rows else 0
    assert count == 100 * at
    return at


def test_oracle_all_commits_are_found(log):
    path, content = log
    found = look_at_log(wal_of(path))
    assert found.fault is None
    assert len(found.commits) == COMMITS
    assert found.commits[-1] == len(content)


def test_law_a_log_cut_anywhere_has_no_fault_and_opens_with_the_commits_before(log):
    path, content = log
    chance = random.Random(4)
    ends = look_at_log(wal_of(path)).commits
    for at in [0, 1, 38, 60, ends[3], ends[3] + 1, *chance.sample(range(len(content)), 6)]:
        wal_of(path).write_bytes(content[:at])
        found = look_at_log(wal_of(path))
        assert found.fault is None
        assert len(found.commits) == sum(end <= at for end in ends) == replayed(path)


def test_fault_no_flipped_bit_is_passed_over(log):
    path, content = log
    chance = random.Random(8)
    first = look_at_log(wal_of(path)).commits[0]
    heads = [at + place for at in look_at_log(wal_of(path)).commits[:4] for place in (0, 3, 7)]
    for at in [*range(0, 64, 3), *heads, first - 20, *chance.sample(range(len(content)), 10)]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << chance.randrange(8)
        wal_of(path).write_bytes(damaged)
        assert look(path, whole=False).fault is not None or replayed(path) == COMMITS, at


@pytest.mark.parametrize("content", [b"garbage" * 999, b"\0" * 5000], ids=["garbage", "zeros"])
def test_fault_a_log_that_is_none_is_told(log, content):
    path, _ = log
    wal_of(path).write_bytes(content)
    assert replayed(path) == 0  # DuckDB says nothing
    assert look_at_log(wal_of(path)).fault == "its log does not begin as one"


def test_a_log_of_another_version_is_left_to_duckdb(log):
    path, content = log
    wal_of(path).write_bytes(content.replace(b"d\0be\0\x02", b"d\0be\0\x03", 1))
    assert look_at_log(wal_of(path)).fault is None


def test_no_log_has_no_fault(tmp_path):
    assert look_at_log(tmp_path / "absent.wal").fault is None
