"""The tool of the kill tests can fail: it tells one changed cell, one lost row, and where it hit.

A comparison that never finds anything, or a blow that never falls, would leave those tests green
for ever.
"""

import shutil
import subprocess
import sys

import duckdb
import pytest
from commands import done, encoded, prediction, vote
from crash_compare import NOT_COMPARED, PUBLIC, compared, differences
from crash_writes import Blow, counted, library, watched

LINES = encoded([*(prediction(n) for n in range(40)), *(vote(n, "a") for n in range(30))]) + b"no\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    data = tmp_path_factory.mktemp("store") / "data"
    done("run", "--data", data, stdin=LINES)
    return data


@pytest.fixture
def copy(store, tmp_path):
    return shutil.copytree(store, tmp_path / "copy")


def changed(data, sql):
    with duckdb.connect(str(data / "bellwether.duckdb")) as connection:
        (rows,) = connection.execute(sql).fetchone()
    assert rows, "the change must change something"


def names_of(found):
    return {each.split(":")[0].split(";")[0] for each in found}


def test_oracle_a_copy_differs_nowhere(store, copy):
    assert differences(copy, store) == []


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("UPDATE events_kept SET score = 0.5 WHERE event_id = 'e7'", "events"),
        ("UPDATE events_kept SET prediction = NULL WHERE event_id = 'e7'", "events"),
        ("UPDATE events_kept SET seq = seq + 1 WHERE event_id = 'e39'", "events"),
        ("UPDATE votes_log SET label = 'b' WHERE event_id = 'e3'", "votes"),
        ("UPDATE partitions SET position = position + 1", "progress"),
        ("UPDATE cell_panes SET count = count + 1 WHERE pane_s % 120 = 0", "confusion_matrix"),
        ("UPDATE minute_marks SET first_seq = first_seq + 1", "minute_marks"),
        ("DELETE FROM rejects_log", "rejects"),
        ("DELETE FROM events_kept WHERE event_id = 'e0'", "events"),
        ("DELETE FROM outcomes WHERE event_seq = 0", "outcomes"),
        ("INSERT INTO rejects_log FROM rejects_log", "rejects"),
        ("INSERT INTO votes_log FROM votes_log WHERE event_id = 'e3'", "votes"),
    ],
)
def test_error_one_cell_or_row_is_told(store, copy, sql, where):
    changed(copy, sql)
    assert where in compared(store)
    assert where in names_of(differences(copy, store, (where,)))


@pytest.mark.parametrize("table", ["events_stored", "votes_log", "outcomes", "total_panes"])
def test_error_an_empty_table_is_told(store, copy, table):
    changed(copy, f"DELETE FROM {'events_kept' if table == 'events_stored' else table}")
    assert table in compared(store)
    assert table in names_of(differences(copy, store, (table,)))


def test_oracle_the_clock_and_last_digits_of_sums_differ_nowhere(store, copy):
    changed(copy, "UPDATE events_kept SET received_time = received_time + INTERVAL 1 DAY")
    changed(copy, "UPDATE rejects_log SET received_time = received_time + INTERVAL 1 DAY")
    changed(copy, "UPDATE partitions SET updated_time = updated_time + INTERVAL 1 DAY")
    assert differences(copy, store) == []


def test_oracle_every_public_relation_is_compared(store):
    assert set(PUBLIC) - set(compared(store)) == set(NOT_COMPARED)


# ---- the chosen write ---------------------------------------------------------------------------

WRITER = """
import os, sys
folder = sys.argv[1]
file = os.open(folder + "/bellwether.duckdb.wal", os.O_WRONLY | os.O_CREAT)
beside = os.open(folder + "/../beside", os.O_WRONLY | os.O_CREAT)
for n in range(5):
    os.write(beside, b"x")
    os.write(file, b"0123456789")
    os.fdatasync(file)
os.pwrite(file, b"ABCD", 0)
os.ftruncate(file, 20)
os.replace(folder + "/bellwether.duckdb.wal", folder + "/moved")
os.unlink(folder + "/moved")
"""


@pytest.fixture
def written(tmp_path):
    """Run the writer under a blow; gives its exit code and what was counted."""
    if library() is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path / "data"
    folder.mkdir()

    def run(blow):
        environment = watched(folder, tmp_path / "told", blow)
        ended = subprocess.run([sys.executable, "-c", WRITER, folder], env=environment, check=False)
        return ended.returncode, counted(tmp_path / "told"), folder / "bellwether.duckdb.wal"

    return run


def test_oracle_all_calls_are_counted_and_let_through(written):
    code, told, file = written(Blow())
    assert (code, told.hit, file.exists()) == (0, None, False)
    assert {kind: count for kind, count in told.counts.items() if count} == {
        ("wal", "write"): 6,
        ("wal", "sync"): 5,
        ("wal", "cut"): 1,
        ("other", "rename"): 1,
        ("other", "remove"): 1,
    }
    assert told.of(Blow(("wal",), ("write", "sync"))) == 11


@pytest.mark.parametrize(
    ("blow", "content"),
    [
        (Blow(number=1), b"0123456789"),
        (Blow(number=1, torn=True), b"01234"),
        (Blow(("wal",), ("write",), 3), b"0123456789" * 3),
        (Blow(("wal",), ("write",), 3, torn=True), b"0123456789" * 2 + b"01234"),
        (Blow(("wal",), ("sync",), 2), b"0123456789" * 2),
        (Blow(("wal",), ("write",), 6), b"ABCD456789" + b"0123456789" * 4),
        (Blow(("wal",), ("write",), 6, torn=True), b"AB23456789" + b"0123456789" * 4),
        (Blow(("wal",), ("cut",), 1), b"ABCD456789" + b"0123456789"),
    ],
    ids=str,
)
def test_oracle_the_chosen_write_is_the_last(written, blow, content):
    code, told, file = written(blow)
    assert code == -9
    assert told.hit.endswith(str(file))
    assert file.read_bytes() == content
