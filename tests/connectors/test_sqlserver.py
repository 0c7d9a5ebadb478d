"""The socket: who may ask, what a bad client can do (nothing), and that the writer goes on."""

import json
import os
import socket
import stat
import struct
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connectors.sqlquery import DATABASE_CONFIG
from connectors.sqlserver import CLIENTS, SqlServer, remove_stale
from connectors.sqlwire import receive_json


@pytest.fixture
def connection(tmp_path):
    connection = duckdb.connect(str(tmp_path / "bellwether.duckdb"), config=DATABASE_CONFIG)
    connection.execute("CREATE TABLE t AS SELECT range i, range % 7 k FROM range(1000)")
    yield connection
    connection.close()


@pytest.fixture
def server(connection):
    server = SqlServer(connection, silence_s=0.5)
    server.start()
    yield server
    server.close()


def call(server):
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(10)
    caller.connect(server.path)
    return caller


def frame(body):
    return struct.pack(">I", len(body)) + body


def ask(server, sql, **more):
    """Ask the plain way, without the client; give header, bytes of the answer, trailer."""
    with call(server) as caller:
        caller.sendall(frame(json.dumps({"sql": sql, **more}).encode()))
        header = receive_json(caller)
        if "error" in header:
            return header, b"", None
        body = b""
        with caller.makefile("rb") as file:
            while length := struct.unpack(">I", file.read(4))[0]:
                body += file.read(length)
            (length,) = struct.unpack(">I", file.read(4))
            return header, body, json.loads(file.read(length))


def test_an_answer_is_a_header_a_stream_and_a_trailer(server):
    header, body, trailer = ask(server, "SELECT i FROM t ORDER BY i")
    assert (header, trailer) == ({}, {"rows": 1000})
    assert pa.ipc.open_stream(body).read_all()["i"].to_pylist() == list(range(1000))


def test_only_the_owner_can_reach_the_socket(server):
    path = Path(server.path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.parent.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    ("request_bytes", "text"),
    [
        (frame(b"not json"), "must be one frame of JSON"),
        (frame(b"[1]"), "must be a JSON object, got list"),
        (frame(b"[" * 100_000), "must be one frame of JSON"),
        (frame(b"\xff\xfe"), "must be one frame of JSON"),
        (frame(b"{}"), "`sql` must be text, got NoneType"),
        (frame(b'{"sql": 1}'), "`sql` must be text, got int"),
        (frame(b'{"sql": "select 1", "limit_seconds": "x"}'), "`limit_seconds` must be a number"),
        (frame(b'{"sql": "select 1", "limit_seconds": 0}'), "must be above 0"),
        (frame(b'{"sql": "select 1", "limit_seconds": NaN}'), "must be above 0"),
        (struct.pack(">I", (1 << 20) + 1), "must be at most 1048576 bytes, got 1048577"),
        (b"GET / HTTP/1.1\r\n\r\n", "must be at most 1048576 bytes"),
    ],
)
def test_error_bad_requests_are_answered_and_closed(server, request_bytes, text):
    with call(server) as caller:
        caller.sendall(request_bytes)
        assert text in receive_json(caller)["error"]
        with suppress(ConnectionResetError):  # closed as well, with words of ours unread
            assert caller.recv(1) == b""
    assert ask(server, "SELECT 1")[2] == {"rows": 1}


@pytest.mark.parametrize("start", [b"", b"\0", frame(b'{"sql": "select 1"}')[:-1]])
def test_fault_a_client_that_says_nothing_more_is_dropped(server, start):
    with call(server) as caller:
        caller.sendall(start)
        assert caller.recv(1) == b""


def test_fault_a_client_that_drips_is_dropped(server):
    started = time.monotonic()
    with call(server) as caller, suppress(BrokenPipeError):
        for byte in frame(b'{"sql": "' + b" " * 100):
            caller.sendall(bytes([byte]))
            time.sleep(0.05)
    assert 0.4 < time.monotonic() - started < 3


def test_fault_clients_that_hang_up_leave_nothing_running(server):
    for _ in range(2 * CLIENTS):
        with call(server) as caller:
            caller.sendall(frame(b'{"sql": "SELECT pg_sleep(20)"}'))
    started = time.monotonic()
    assert ask(server, "SELECT 1")[2] == {"rows": 1}
    assert time.monotonic() - started < 5


def test_fault_a_client_that_takes_nothing_is_dropped(server, connection):
    with call(server) as caller:
        caller.sendall(frame(b'{"sql": "FROM range(100000000)", "limit_seconds": 0.3}'))
        time.sleep(1)
        connection.execute("FORCE CHECKPOINT")  # would raise while a snapshot is held


def test_more_clients_than_places_are_all_answered(server):
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(ask(server, "SELECT pg_sleep(0.05), count(*) FROM t")[2])
        )
        for _ in range(3 * CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"rows": 1}] * (3 * CLIENTS)


def test_error_a_late_fault_is_in_the_trailer(server):
    sql = "SELECT if(i = 4000000, error('late'), i) FROM range(5000000) r(i)"
    header, _, trailer = ask(server, sql)
    assert header == {}
    assert trailer == {"error": "Invalid Input Error: late"}


def test_law_readers_see_whole_commits_while_the_writer_goes_on(server, connection):
    """Each commit adds rows that sum to zero; a reader that sees part of one sees another sum."""
    connection.execute("CREATE TABLE balance (amount BIGINT)")
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            body = ask(server, "SELECT count(*) n, coalesce(sum(amount), 0) s FROM balance")[1]
            (row,) = pa.ipc.open_stream(body).read_all().to_pylist()
            seen.append((row["n"], int(row["s"])))
            ask(server, "FROM force_checkpoint()")
            ask(server, "FROM checkpoint()")

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(60):
            connection.execute("BEGIN")
            connection.execute("INSERT INTO balance SELECT range FROM range(?)", [100 + turn])
            connection.execute("INSERT INTO balance SELECT -range FROM range(?)", [100 + turn])
            connection.execute("COMMIT")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(seen) > 10
    assert {amount for _, amount in seen} == {0}
    whole = {0}
    for turn in range(60):
        whole.add(max(whole) + 2 * (100 + turn))
    assert {count for count, _ in seen} <= whole
    assert connection.execute("SELECT count(*) FROM balance").fetchall() == [(max(whole),)]


def test_close_is_quick_and_removes_the_socket(connection):
    server = SqlServer(connection)
    server.start()
    with ExitStack() as stack:
        callers = [stack.enter_context(call(server)) for _ in range(4)]
        callers[0].sendall(frame(b'{"sql": "SELECT pg_sleep(20)"}'))
        callers[1].sendall(frame(b'{"sql": "FROM range(100000000000)"}'))
        callers[2].sendall(frame(b"{"))
        time.sleep(0.2)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 1
    assert not Path(server.path).parent.exists()
    connection.execute("INSERT INTO t VALUES (1, 1)")


def test_a_deep_temporary_folder_does_not_exceed_the_address(connection, tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    server = SqlServer(connection)
    try:
        server.start()
        assert ask(server, "SELECT 1")[2] == {"rows": 1}
        assert list(deep.iterdir()) == []
    finally:
        server.close()


def test_a_stale_socket_is_removed_and_nothing_else(connection, tmp_path):
    server = SqlServer(connection)
    other = tmp_path / "sql.sock"
    other.touch()
    remove_stale(str(other))
    assert other.exists()
    remove_stale(server.path)
    assert not Path(server.path).parent.exists()
    server.close()
