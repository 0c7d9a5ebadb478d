"""Asking the owner and asking the file give the same; and who holds the lock decides which."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from connectors.sqlclient import DATABASE_NAME, LOCK_NAME, query
from connectors.sqlquery import DATABASE_CONFIG
from connectors.sqlserver import SqlServer
from engine.errors import BellwetherError, ConfigurationError, QueryError, StoreError

SCHEMA = """
    CREATE TABLE t AS SELECT range i, range % 3 k, 'ä' || range s,
        TIMESTAMP '1998-12-07 22:23:04' + range * INTERVAL 1 MINUTE event_time,
        if(range % 5 = 0, NULL, range / 7) x
    FROM range(30000)"""

QUERIES = [
    "SELECT * FROM t ORDER BY i",
    "SELECT k, sum(i), avg(x), count(*) FROM t GROUP BY ALL ORDER BY k",
    "SELECT 1 a, 2 a, NULL n, 'inf'::DOUBLE d, [1, 2] l, {'a': 1} o, MAP {'k': 1} m",
    "SELECT 'a'::ENUM('a', 'b') e, INTERVAL 1 DAY v, '\\xAA'::BLOB b, DATE '2020-01-01' d",
    "SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00' z, TIMESTAMP 'infinity' i",
    "FROM t WHERE false",
    "DESCRIBE t",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "SELEC",
    "",
    "SELECT 1; SELECT 2",
    "SELECT nothing FROM t",
    "FROM nowhere",
    "SELECT error('boom')",
    "SELECT if(i = 900000, error('late'), i) FROM range(1000000) r(i)",
    "SELECT pg_sleep(20)",
    "INSERT INTO t SELECT * FROM t",
    "WITH a AS (DELETE FROM t RETURNING *) FROM a",
    "FROM 'x.csv'",
    "FROM duckdb_secrets()",
    "FROM force_checkpoint()",
    "SET threads = 1",
]


@pytest.fixture
def data(tmp_path):
    with duckdb.connect(str(tmp_path / DATABASE_NAME), config=DATABASE_CONFIG) as connection:
        connection.execute(SCHEMA)
    (tmp_path / LOCK_NAME).touch()
    return tmp_path


class Owner:
    """Holds the lock and answers, as a store does."""

    def __init__(self, data):
        self.lock = os.open(data / LOCK_NAME, os.O_RDWR)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.connection = duckdb.connect(str(data / DATABASE_NAME), config=DATABASE_CONFIG)
        self.server = SqlServer(self.connection)

    def announce(self):
        self.server.start()
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "socket": self.server.path}
        os.pwrite(self.lock, json.dumps(facts).encode() + b"\n", 0)

    def close(self):
        self.server.close()
        self.connection.close()
        os.close(self.lock)


@pytest.fixture
def owner(data):
    owner = Owner(data)
    owner.announce()
    yield owner
    owner.close()


def outcome(data, sql):
    try:
        return query(str(data), sql, 0.5)
    except BellwetherError as error:
        return type(error).__name__, str(error)


def test_oracle_owner_and_file_cannot_be_told_apart(data):
    from_file = [outcome(data, sql) for sql in QUERIES]
    owner = Owner(data)
    owner.announce()
    try:
        from_owner = [outcome(data, sql) for sql in QUERIES]
    finally:
        owner.close()
    for sql, one, other in zip(QUERIES, from_file, from_owner, strict=True):
        assert type(one) is type(other), sql
        assert one == other if isinstance(one, tuple) else one.equals(other), sql
    assert from_file[0].num_rows == 30_000
    faults = [one for one in from_file if isinstance(one, tuple)]
    assert [kind for kind, _ in faults] == ["QueryError"] * 14


def test_the_owner_shows_what_is_committed_and_no_more(data, owner):
    owner.connection.execute("BEGIN")
    owner.connection.execute("DELETE FROM t")
    assert query(str(data), "SELECT count(*) n FROM t")["n"].to_pylist() == [30_000]
    owner.connection.execute("COMMIT")
    assert query(str(data), "SELECT count(*) n FROM t")["n"].to_pylist() == [0]


def test_a_starting_owner_is_waited_for(data):
    owner = Owner(data)
    os.pwrite(owner.lock, b'{"pid": 1, "socket": "/nowhere/sql.sock"}\n', 0)
    starting = threading.Timer(0.5, owner.announce)
    starting.start()
    try:
        assert query(str(data), "SELECT count(*) n FROM t")["n"].to_pylist() == [30_000]
    finally:
        starting.join()
        owner.close()


def test_an_owner_that_ends_hands_over_to_the_file(data):
    owner = Owner(data)
    owner.announce()
    ending = threading.Timer(0.5, owner.close)
    ending.start()
    started = time.monotonic()
    sql = "SELECT count(*) n, (SELECT pg_sleep(1.5)) FROM t"
    assert query(str(data), sql)["n"].to_pylist() == [30_000]
    assert time.monotonic() - started > 1.5  # asked again, of the file
    ending.join()


def test_error_an_owner_that_does_not_answer_is_named(data):
    lock = os.open(data / LOCK_NAME, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.pwrite(lock, b'{"pid": 4711, "host": "elsewhere.example", "socket": "/x/sql.sock"}', 0)
    try:
        with pytest.raises(StoreError, match=r"process 4711 on elsewhere\.example: ask there"):
            query(str(data), "SELECT 1")
    finally:
        os.close(lock)


def test_a_reader_of_the_file_holds_the_lock_shared(data):
    lock = os.open(data / LOCK_NAME, os.O_RDWR)
    reading = threading.Thread(target=outcome, args=(data, "SELECT pg_sleep(20)"))
    reading.start()
    time.sleep(0.3)
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.flock(lock, fcntl.LOCK_UN)
    reading.join()
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)


CRASH = """
import os, signal, sys
import duckdb
from connectors.sqlquery import DATABASE_CONFIG
connection = duckdb.connect(sys.argv[1], config=DATABASE_CONFIG)
connection.execute("INSERT INTO t (i) VALUES (-1), (-2)")
connection.execute("BEGIN")
connection.execute("INSERT INTO t (i) VALUES (-3)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_fault_what_a_killed_owner_committed_is_read_and_its_log_is_left(data):
    killed = subprocess.run([sys.executable, "-c", CRASH, str(data / DATABASE_NAME)], check=False)
    assert killed.returncode == -signal.SIGKILL
    log = data / f"{DATABASE_NAME}.wal"
    before = log.read_bytes()
    assert before
    rows = query(str(data), "SELECT i FROM t WHERE i < 0 ORDER BY i")["i"].to_pylist()
    assert rows == [-2, -1]
    assert log.read_bytes() == before


def test_error_a_damaged_file_is_told(data):
    (data / DATABASE_NAME).write_bytes(b"rubbish" * 5000)
    with pytest.raises(StoreError, match=r"is damaged: .*not a valid DuckDB database file"):
        query(str(data), "SELECT 1")


def test_error_no_folder_and_no_file(tmp_path):
    with pytest.raises(ConfigurationError, match="where there is none"):
        query(str(tmp_path / "nowhere"), "SELECT 1")
    with pytest.raises(ConfigurationError, match=r"holds no bellwether\.duckdb"):
        query(str(tmp_path), "SELECT 1")
    (tmp_path / LOCK_NAME).touch()
    with pytest.raises(ConfigurationError, match=r"holds no bellwether\.duckdb yet"):
        query(str(tmp_path), "SELECT 1")


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), 4000])
def test_error_time_limit_is_the_same_both_ways(data, limit_s):
    with pytest.raises(QueryError) as from_file:
        query(str(data), "SELECT 1", limit_s)
    owner = Owner(data)
    owner.announce()
    try:
        with pytest.raises(QueryError) as from_owner:
            query(str(data), "SELECT 1", limit_s)
    finally:
        owner.close()
    assert str(from_file.value) == str(from_owner.value)
