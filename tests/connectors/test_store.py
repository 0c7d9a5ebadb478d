"""The data folder: one owner, whole transactions, and what happens to a file that is not ours."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from connectors.folderlock import LOCK_NAME
from connectors.store import CATALOG, FILE_NAME, Store
from engine.errors import EndingError, StoreError
from engine.relations import VIEWS
from engine.rows import SCHEMA_VERSION, TABLES
from engine.seen import loaded, store_filter
from flows.__main__ import main


def count(store, table="settings"):
    return store.cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_golden_a_new_folder_has_every_table_and_view(tmp_path):
    with Store(tmp_path / "deep" / "data") as store:
        names = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
        assert {name for (name,) in store.cursor.execute(names).fetchall()} == set(TABLES)
        for name in VIEWS:
            assert store.cursor.execute(f'SELECT * FROM "{name}"').fetchall() == []
        assert store.setting("schema_version") == str(SCHEMA_VERSION)
        assert store.setting("nothing") is None
    assert sorted(path.name for path in (tmp_path / "deep" / "data").iterdir()) == [
        FILE_NAME,
        LOCK_NAME,
    ]


def test_golden_a_transaction_is_all_or_nothing(tmp_path):
    with Store(tmp_path) as store:
        store.begin()
        store.remember("kept", "1")
        store.commit()
        store.begin()
        store.remember("kept", "2")
        store.remember("more", "2")
        reader = store.readers().cursor()
        sql = "SELECT value FROM settings WHERE name IN ('kept', 'more')"
        assert reader.execute(sql).fetchall() == [("1",)]
        store.rollback()
        store.begin()
        store.remember("lost", "3")
    with Store(tmp_path) as store:
        assert [store.setting(name) for name in ("kept", "more", "lost")] == ["1", None, None]


def test_fault_a_kill_keeps_what_was_committed_and_nothing_else(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from connectors.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "store.begin(); store.remember('kept', '1'); store.commit()\n"
        "store.begin(); store.remember('lost', '1'); os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -9
    with Store(tmp_path) as store:
        assert (store.setting("kept"), store.setting("lost")) == ("1", None)


def test_error_a_locked_folder_names_its_owner(tmp_path):
    with Store(tmp_path) as store:
        store.announce("/tmp/somewhere.sock")
        facts = json.loads((tmp_path / LOCK_NAME).read_text())
        assert (facts["pid"], facts["socket"]) == (os.getpid(), "/tmp/somewhere.sock")
        with pytest.raises(StoreError) as caught:
            Store(tmp_path)
        assert str(caught.value) == (
            f"data folder {tmp_path} must be free, got locked by process {os.getpid()} on"
            f" {facts['host']}"
        )
        store.remember("still", "here")  # the second start has not disturbed the first
        assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600
    with Store(tmp_path) as again:
        assert again.setting("still") == "here"
    assert (tmp_path / LOCK_NAME).read_bytes() == b""


def test_contract_a_start_waits_for_those_who_only_read(tmp_path):
    with Store(tmp_path) as store:
        store.remember("kept", "1")
    reader = os.open(tmp_path / LOCK_NAME, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    threading.Timer(0.3, os.close, [reader]).start()
    began = time.monotonic()
    with Store(tmp_path) as store:
        assert store.setting("kept") == "1"
    assert time.monotonic() - began >= 0.3


def test_contract_a_start_that_waits_heeds_a_stop(tmp_path):
    Store(tmp_path / "data").close()
    reader = os.open(tmp_path / "data" / LOCK_NAME, os.O_RDWR)
    fcntl.flock(reader, fcntl.LOCK_SH)
    stop = threading.Event()
    stopping = threading.Timer(0.2, stop.set)
    stopping.start()
    with pytest.raises(EndingError, match=r"stopped before data folder .* was free of readers"):
        Store(tmp_path / "data", stopped=stop.is_set)
    assert stop.is_set()
    os.close(reader)
    with Store(tmp_path / "data", stopped=stop.is_set):
        pass  # a folder that is free is taken all the same


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\0", b'{"socket": 7}', b"null"])
def test_fault_any_rest_in_a_lock_file_does_no_harm(tmp_path, content):
    (tmp_path / LOCK_NAME).write_bytes(content)
    with Store(tmp_path) as store:
        assert count(store) > 0


def test_fault_a_socket_that_is_not_ours_is_left_alone(tmp_path):
    other = tmp_path / "precious"
    other.mkdir()
    (other / "sql.sock").write_text("")
    (tmp_path / LOCK_NAME).write_text(json.dumps({"socket": str(other / "sql.sock")}))
    Store(tmp_path).close()
    assert (other / "sql.sock").exists()


def set_version(folder, value):
    Store(folder).close()
    with duckdb.connect(str(folder / FILE_NAME)) as connection:
        sql = "UPDATE settings SET value = ? WHERE name = 'schema_version'"
        connection.execute(sql, [value])


def refused(folder, capsys):
    """What `bellwether run` says; it must leave the folder free."""
    (folder / "none.ndjson").touch()
    words = ["run", "--data", str(folder), "--source", str(folder / "none.ndjson")]
    code = main(words)
    told = capsys.readouterr().err
    assert code == 1, told
    assert told.startswith("bellwether: ")
    assert told.count("\n") == 1
    assert (folder / LOCK_NAME).read_bytes() == b""
    return told


def test_error_a_newer_schema_is_refused(tmp_path, capsys):
    set_version(tmp_path, str(SCHEMA_VERSION + 1))
    told = refused(tmp_path, capsys)
    assert f"must have a schema version up to {SCHEMA_VERSION}, got {SCHEMA_VERSION + 1}" in told
    assert "newer Bellwether" in told


@pytest.mark.parametrize("value", ["0", "-1", "", "garbage", "1.5", "²"])
def test_error_a_schema_version_that_never_was_is_refused(tmp_path, capsys, value):
    set_version(tmp_path, value)
    assert "schema version" in refused(tmp_path, capsys)


def test_error_a_file_without_its_schema_version_is_refused(tmp_path, capsys):
    Store(tmp_path).close()
    with duckdb.connect(str(tmp_path / FILE_NAME)) as connection:
        connection.execute("DELETE FROM settings WHERE name = 'schema_version'")
    assert "schema version" in refused(tmp_path, capsys)


@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped", "folder"])
def test_error_a_damaged_file_is_refused(tmp_path, capsys, damage):
    path = tmp_path / FILE_NAME
    Store(tmp_path).close()
    whole = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "garbage":
        path.write_bytes(b"not a database" * 1000)
    elif damage == "cut":
        path.write_bytes(whole[:5000])
    else:
        flipped = bytes(byte ^ 255 for byte in whole[4200:8192])
        path.write_bytes(whole[:4200] + flipped + whole[8192:])
    told = refused(tmp_path, capsys)
    if damage == "folder":
        assert f"{path} cannot be opened: " in told
    else:
        assert f"{path} is damaged: " in told
        assert f"bellwether repair --data {tmp_path}" in told


def test_error_a_damaged_log_is_refused_and_kept(tmp_path, capsys):
    code = (
        "import os, sys; from pathlib import Path; from connectors.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for n in range(50): store.begin(); store.remember(f'n{n}', 'x' * 100); store.commit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    log = tmp_path / f"{FILE_NAME}.wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    told = refused(tmp_path, capsys)
    assert "is damaged: " in told
    assert "Corrupt WAL file" in told
    assert log.read_bytes() == content


@pytest.mark.parametrize("table", ["events_log", "settings", "something"])
def test_error_somebody_elses_database_is_refused_untouched(tmp_path, capsys, table):
    with duckdb.connect(str(tmp_path / FILE_NAME)) as connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS one")
    assert f"{tmp_path / FILE_NAME} must be written by Bellwether" in refused(tmp_path, capsys)
    with duckdb.connect(str(tmp_path / FILE_NAME)) as connection:
        assert connection.execute(f"FROM {table}").fetchall() == [(1,)]
        assert len(connection.execute("SHOW TABLES").fetchall()) == 1


def test_error_a_folder_that_cannot_be_made_is_told(tmp_path, capsys):
    (tmp_path / "file").touch()
    code = main(["run", "--data", str(tmp_path / "file" / "data"), "--source", __file__])
    assert code == 1
    assert "data folder" in (told := capsys.readouterr().err)
    assert "cannot be used: Not a directory" in told
    assert main(["run", "--data", "/proc/nothing/here", "--source", __file__]) == 1
    assert "cannot be used: " in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_error_a_read_only_folder_is_told(tmp_path, capsys):
    tmp_path.chmod(0o500)
    code = main(["run", "--data", str(tmp_path), "--source", __file__])
    tmp_path.chmod(0o700)
    assert code == 1
    assert "cannot be used: Permission denied" in capsys.readouterr().err


def test_fault_another_hash_of_duckdb_renews_the_keys(tmp_path):
    with Store(tmp_path) as store:
        columns = "seq, key, model_id, event_id, voter, property, label, vote_time"
        row = "0, 99, 'm', 'e', '', '', 'x', TIMESTAMP '2023-01-01'"
        store.cursor.execute(f"INSERT INTO votes_log ({columns}) VALUES ({row})")
        store.remember("hash_probe", "of another version")
    with Store(tmp_path) as store:
        sql = "SELECT key = hash('m', 'e'), key FROM votes_log"
        right, key = store.cursor.execute(sql).fetchone()
        assert right
        assert key != 99


def test_law_a_checkpoint_takes_nothing_from_readers(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        store.begin()
        store.remember("x", "1")
        store.commit()
        reader = store.cursor.cursor()
        reader.execute(f"USE {CATALOG}")
        reader.execute("BEGIN")
        sql = "SELECT value FROM settings WHERE name = 'x'"
        assert reader.execute(sql).fetchall() == [("1",)]
        store.begin()
        store.remember("x", "2")
        store.commit()
        store.checkpoint()
        assert reader.execute(sql).fetchall() == [("1",)]
        reader.execute("COMMIT")
        assert store.checkpoint()
        assert reader.execute(sql).fetchall() == [("2",)]
        assert store.setting("x") == "2"


def test_law_filters_that_no_memory_could_hold_are_stored_all_the_same(tmp_path):
    words = bytes(range(256)) * (6_291_456 // 256)
    with Store(tmp_path, memory_bytes=120_000_000) as store:
        for segment in range(24):
            store.begin()
            store_filter(store.cursor, segment, words)
            store.commit()
            assert store.checkpoint()
        seen, unstored = loaded(store.cursor)
        assert unstored == 24
        assert all(seen.words(segment) == words for segment in range(24))


def test_law_lines_that_the_usual_memory_could_not_hold_are_stored_all_the_same(tmp_path):
    line = "x" * 500_000
    for _ in range(2):  # a new start knows of those that are there
        with Store(tmp_path, memory_bytes=320_000_000) as store:
            for _ in range(8):
                store.begin()
                store.note_lines(200, 200 * len(line))
                store.cursor.execute(
                    "INSERT INTO rejects_log SELECT 0, i, 'epoch'::TIMESTAMP, 'r', NULL, ? || i"
                    " FROM range(200) AS t(i)",
                    [line],
                )
                store.commit()
            assert store.checkpoint()
            sql = "SELECT min(length(raw)) FROM rejects_log"
            assert store.cursor.execute(sql).fetchone()[0] > len(line)
    with Store(tmp_path) as store:
        assert count(store, "rejects_log") == 3_200
