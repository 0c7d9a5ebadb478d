"""A store beneath which the disk or the memory gives out: what was committed stays, with a reason.

The store itself, without a run: a full disk at a checkpoint, which leaves DuckDB of no more use;
readers that take the writer's memory; and the words of each fault.
"""

import errno
import threading

import duckdb
import pytest
from small_disk import small_disk

from connectors.pressure import Pressure
from connectors.sqlquery import answering
from connectors.store import Store
from connectors.storefaults import store_fault
from engine.errors import QueryError, StoreError

FILL = """
import os, sys
from pathlib import Path
from connectors.store import Store
from connectors.storefaults import store_fault
store = Store(Path(sys.argv[1]))
store.cursor.execute("CREATE TABLE filler (i BIGINT, t VARCHAR)")
for n in range(40):
    store.begin()
    store.cursor.execute(
        "INSERT INTO filler SELECT i, md5(i::VARCHAR) FROM (SELECT range + ? i FROM range(1000))",
        [n * 1000],
    )
    store.commit()
try:
    store.checkpoint()
except Exception as fault:
    print(store_fault(fault, store.folder))
store.close()
"""
COUNT = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).sql('select count(*) from filler'))"
HUNGRY = "SELECT length(string_agg(md5(range::VARCHAR), '')) FROM range(40000000)"


def test_fault_a_full_disk_at_a_checkpoint_loses_nothing(tmp_path):
    data = tmp_path / "data"
    with small_disk(tmp_path, "3500k") as disk:
        ended = disk.python("-c", FILL, data)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(f"{data}/bellwether.duckdb could not be written: No space")
        ended = disk.python("-c", COUNT, data / "bellwether.duckdb")
        assert "40000" in ended.stdout, ended.stderr


class Beside:
    """Cursors for readers who together may have so much memory beside the writer."""

    def __init__(self, store, bytes_max):
        self.cursor = store.readers().cursor
        self.pressed = Pressure(self, bytes_max).high


def test_fault_readers_that_want_all_memory_go_before_the_writer_does(tmp_path):
    with Store(tmp_path, 200_000_000) as store:
        cursors, told = Beside(store, 100_000_000), []

        def ask():
            try:
                with answering(cursors, HUNGRY) as answer:
                    told.append(sum(batch.num_rows for batch in answer.batches))
            except QueryError as fault:
                told.append(str(fault))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for each in asking:
            each.start()
        store.cursor.execute("CREATE TABLE rows (i BIGINT)")
        while any(each.is_alive() for each in asking):
            store.begin()
            store.cursor.execute("INSERT INTO rows SELECT hash(range) % 1000 FROM range(20000)")
            store.commit()
        assert len(told) == 3
        assert all("more memory than is left beside the run" in each for each in told), told


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (OSError(errno.ENOSPC, "x", "/a/lock"), "/a/lock could not be written: No space left"),
        (OSError(errno.EROFS, "x"), "/data could not be written: Read-only file system"),
        (
            duckdb.TransactionException(
                "TransactionContext Error: Failed to commit: Could not write file"
                ' "/a/b.wal": No space left on device'
            ),
            "/a/b.wal could not be written: No space left on device. Please make room there: what",
        ),
        (
            duckdb.IOException("IO Error: Checkpoint failed: Could not sync: Input/output error"),
            "/data could not be written: Input/output error. Please mend that: what was",
        ),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: could not allocate 1 KiB\nadvice"),
            "needs more memory than it may take: Out of Memory Error: could not allocate 1 KiB; wh",
        ),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: full.\n'max_temp_directory_size'"),
            "/data has no room for temporary files: Out of Memory Error: full. Please make room",
        ),
    ],
    ids=["lock", "read-only", "commit", "checkpoint", "memory", "temporary"],
)
def test_golden_faults_of_the_machine_in_one_line(tmp_path, fault, text):
    told = store_fault(fault, tmp_path.__class__("/data"))
    assert text in str(told)
    assert str(told).endswith("what was committed is safe, and a new start goes on from there")
    assert "\n" not in str(told)


def test_error_faults_of_ours_stay_what_they_are(tmp_path):
    for fault in (duckdb.BinderException("no"), ValueError("no"), FileNotFoundError(2, "no")):
        assert store_fault(fault, tmp_path) is None
    ours = StoreError("full")
    assert store_fault(ours, tmp_path) is ours
