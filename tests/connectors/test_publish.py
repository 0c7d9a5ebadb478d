"""The published copy: whatever the writer does meanwhile, it is the state of one commit, whole.

The copy is raw: that it may be rests on what DuckDB promises about blocks between two checkpoints,
and on a look at the header. So writers of every kind go on while it is made, and each copy is
compared with what the store said at its commit. `BELLWETHER_COPIES` sets how many (300 at night).
"""

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from connectors.damage import PUBLISHED_NAME
from connectors.publish import NEW_NAME, copy_file, header_of, publish
from connectors.store import FILE_NAME, Store
from engine.relations import VIEWS

COPIES = int(os.environ.get("BELLWETHER_COPIES", "4"))
SMALL = 1 << 18
TABLES = ("facts", "keyed", "counters", "settings")


def told(cursor):
    """Every row of every table, as sums that depend on each of them."""
    found = []
    for table in TABLES:
        sql = f"SELECT count(*), sum(hash(t)), min(t::VARCHAR), max(t::VARCHAR) FROM {table} t"
        found.append(cursor.execute(sql).fetchone())
    return found


class Writer:
    """Commits of every kind: large and small appends, upserts, updates, deletes, new tables."""

    def __init__(self, store, seed):
        self.store, self.chance, self.next = store, random.Random(seed), 0
        store.begin()
        for sql in (
            "CREATE TABLE facts (seq BIGINT, text VARCHAR USING COMPRESSION zstd, x DOUBLE)",
            "CREATE TABLE keyed (k BIGINT PRIMARY KEY, v BIGINT)",
            "CREATE TABLE counters AS SELECT i AS k, 0 AS v FROM range(2000) t(i)",
        ):
            store.cursor.execute(sql)
        store.commit()

    def commit(self):
        chance, run = self.chance, self.store.cursor.execute
        self.store.begin()
        count = chance.choice((1, 50, 2_000, 26_000))
        run(
            "INSERT INTO facts SELECT ? + i, md5((? + i)::VARCHAR) || repeat('x', i % 40), i / 7"
            " FROM range(?) t(i)",
            [self.next, self.next, count],
        )
        self.next += count
        run(
            "INSERT OR REPLACE INTO keyed SELECT (i * ?) % 20000, ? FROM range(200) t(i)",
            [chance.randrange(1, 99), self.next],
        )
        run("UPDATE counters SET v = v + 1 WHERE k % 11 = ?", [chance.randrange(11)])
        if chance.random() < 0.3:
            run("DELETE FROM facts WHERE seq < ?", [self.next - 60_000])
        if chance.random() < 0.2:
            run("CREATE OR REPLACE TABLE keyed_copy AS SELECT * FROM keyed")
        if chance.random() < 0.2:
            run("CREATE OR REPLACE TABLE facts AS SELECT * FROM facts")
        self.store.remember("at", str(self.next))
        self.store.commit()


def slowly():
    time.sleep(0.003)  # so that commits fall between two chunks
    return False


def copied_beside(store, write):
    """Publish in a thread while `write` goes on; give the copy, and how often it was called."""
    source, made, times = store.hold_still(), [], 0
    assert source is not None
    expected = told(store.cursor)
    thread = threading.Thread(
        target=lambda: made.append(publish(store.folder, source, slowly, chunk_bytes=SMALL))
    )
    thread.start()
    while thread.is_alive() or times < 3:
        write()
        times += 1
    thread.join()
    store.move_on()
    return made[0], expected, times


def test_law_each_copy_is_one_commit_whatever_is_written_meanwhile(tmp_path):
    with Store(tmp_path) as store:
        writer = Writer(store, 3)
        beside = 0
        for _ in range(COPIES):
            for _ in range(writer.chance.randrange(3)):
                writer.commit()
            copy, expected, times = copied_beside(store, writer.commit)
            assert copy is not None
            beside += times
            with duckdb.connect(str(tmp_path / PUBLISHED_NAME), read_only=True) as other:
                assert told(other) == expected
        assert beside > 3 * COPIES
    with duckdb.connect(str(tmp_path / FILE_NAME), read_only=True) as store_itself:
        (at,) = store_itself.execute("SELECT value FROM settings WHERE name = 'at'").fetchone()
    assert int(at) == writer.next  # nothing was lost in the store for it


def test_law_a_checkpoint_beneath_a_copy_is_seen(tmp_path):
    with Store(tmp_path) as store:
        writer = Writer(store, 5)
        writer.commit()
        source = store.hold_still()
        publish(tmp_path, source, lambda: False)
        last = (tmp_path / PUBLISHED_NAME).read_bytes()

        def checkpointed():
            store.move_on()
            writer.commit()
            assert store.checkpoint()
            return False

        assert publish(tmp_path, source, checkpointed) is None
        assert (tmp_path / PUBLISHED_NAME).read_bytes() == last
        assert not (tmp_path / NEW_NAME).exists()


def test_no_checkpoint_happens_while_the_file_is_held_still(tmp_path):
    with Store(tmp_path) as store:
        writer = Writer(store, 7)
        source = store.hold_still()
        header = header_of(source)
        store.cursor.execute("SET checkpoint_threshold = '2GB'")
        for _ in range(20):
            writer.commit()
            assert not store.checkpoint()
        assert header_of(source) == header
        store.move_on()
        assert store.checkpoint()
        assert header_of(source) != header


def test_every_view_answers_in_a_plain_duckdb(tmp_path):
    with Store(tmp_path) as store:
        assert publish(tmp_path, store.hold_still(), lambda: False) is not None
        code = (
            "import duckdb, sys, json\n"
            "c = duckdb.connect(sys.argv[1], read_only=True,"
            " config={'autoload_known_extensions': 'false'})\n"
            "for name in json.loads(sys.argv[2]): c.execute(f'SELECT * FROM \"{name}\"').fetchall()"
        )
        words = [sys.executable, "-c", code, str(tmp_path / PUBLISHED_NAME)]
        subprocess.run([*words, json.dumps(list(VIEWS))], check=True, timeout=60)


def test_fault_the_owners_lock_on_the_file_outlives_a_copy(tmp_path):
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    with Store(tmp_path) as store:
        for _ in range(2):
            assert publish(tmp_path, store.hold_still(), lambda: False) is not None
            store.move_on()
        words = [sys.executable, "-c", code, str(tmp_path / FILE_NAME)]
        other = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert b"Could not set lock on file" in other.stderr


def test_readers_of_the_last_copy_keep_it(tmp_path):
    with Store(tmp_path) as store:
        writer = Writer(store, 9)
        source = store.hold_still()
        publish(tmp_path, source, lambda: False)
        expected = told(store.cursor)
        path = tmp_path / PUBLISHED_NAME
        assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
        with duckdb.connect(str(path), read_only=True) as reader:
            store.move_on()
            writer.commit()
            publish(tmp_path, store.hold_still(), lambda: False)
            assert told(reader) == expected
        with duckdb.connect(str(path), read_only=True) as reader:
            assert told(reader) == told(store.cursor) != expected


def test_what_somebody_wrote_into_the_last_copy_is_not_taken_for_the_next(tmp_path):
    with Store(tmp_path) as store:
        publish(tmp_path, store.hold_still(), lambda: False)
        path = tmp_path / PUBLISHED_NAME
        path.chmod(0o644)
        code = (
            "import duckdb, os, sys; c = duckdb.connect(sys.argv[1])\n"
            "c.execute('CREATE TABLE mine (i INTEGER)'); os._exit(0)"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
        assert (tmp_path / f"{PUBLISHED_NAME}.wal").exists()
        publish(tmp_path, store.hold_still() or store._descriptor, lambda: False)
        with duckdb.connect(str(path), read_only=True) as reader:
            (found,) = reader.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'"
            ).fetchone()
        assert found == 0


def test_a_stop_gives_up_and_leaves_the_last_copy(tmp_path):
    with Store(tmp_path) as store:
        publish(tmp_path, store.hold_still(), lambda: False)
        last = (tmp_path / PUBLISHED_NAME).stat()
        asked = iter([False, False, True, True])
        assert publish(tmp_path, store._descriptor, lambda: next(asked), chunk_bytes=SMALL) is None
        now = (tmp_path / PUBLISHED_NAME).stat()
        assert (now.st_ino, now.st_mtime_ns) == (last.st_ino, last.st_mtime_ns)
        assert not (tmp_path / NEW_NAME).exists()


def test_an_unfinished_copy_of_an_earlier_run_is_removed(tmp_path):
    (tmp_path / NEW_NAME).write_bytes(b"half of a copy")
    with Store(tmp_path):
        assert not (tmp_path / NEW_NAME).exists()


def test_oracle_a_copied_file_is_equal_byte_for_byte(tmp_path):
    content = random.Random(1).randbytes((1 << 20) + 17)
    (tmp_path / "from").write_bytes(content)
    with (tmp_path / "from").open("rb") as source, (tmp_path / "to").open("wb") as target:
        assert copy_file(source.fileno(), target.fileno(), len(content), chunk_bytes=SMALL)
    assert (tmp_path / "to").read_bytes() == content


def test_error_a_source_that_is_too_short_is_told(tmp_path):
    (tmp_path / "from").write_bytes(b"short")
    with (
        (tmp_path / "from").open("rb") as source,
        (tmp_path / "to").open("wb") as target,
        pytest.raises(OSError, match="ended at byte 5"),
    ):
        copy_file(source.fileno(), target.fileno(), 10)
