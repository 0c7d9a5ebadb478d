"""Calls: one commit seen whole, the same from owner and file, stopped in time, told in kind."""

import fcntl
import json
import os
import socket
import threading
import time

import duckdb
import pytest

from connectors.calls import answered, in_parallel
from connectors.sqlclient import DATABASE_NAME, LOCK_NAME, call
from connectors.sqlquery import DATABASE_CONFIG, reading
from connectors.sqlserver import SqlServer
from connectors.sqlwire import receive_json, send_json
from engine.errors import BellwetherError, NotFoundError, QueryError, StoreError

SCHEMA = """
    CREATE TABLE t AS SELECT range i FROM range(100000);
    CREATE TABLE clock AS SELECT 1 AS next_seq, 1 AS next_outcome"""
SLOW = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
WIDE = 40_000_000  # bytes of an answer: more than two frames


def counted(asking, arguments):
    return asking.cursor.execute("SELECT count(*) FROM t").fetchone()[0] + arguments["more"]


def echoed(_, arguments):
    return dict(arguments)


def missing(_, arguments):
    msg = f"`job_id` must be known, got {arguments['job']}"
    raise NotFoundError(msg)


def slow(asking, _):
    return asking.cursor.execute(SLOW).fetchall()


def patient(asking, _):
    while not asking.stopped():
        time.sleep(0.01)
    return "stopped"


def faulty(_, arguments):
    return arguments["what is not there"]


def wide(*_):
    return "ä" * (WIDE // 2)


def writing(asking, _):
    return asking.cursor.execute("INSERT INTO t VALUES (1)").fetchall()


def parallel(asking, arguments):
    statements = [("SELECT $n AS n, count(*) c FROM t", {"n": n}) for n in range(arguments["n"])]
    return [table.to_pylist()[0] for table in asking.run(statements)]


CALLS = {
    each.__name__: each
    for each in (counted, echoed, missing, slow, patient, faulty, wide, writing, parallel)
}


@pytest.fixture
def data(tmp_path):
    with duckdb.connect(str(tmp_path / DATABASE_NAME), config=DATABASE_CONFIG) as connection:
        connection.execute(SCHEMA)
    (tmp_path / LOCK_NAME).touch()
    return tmp_path


class Owner:
    """Holds the lock and answers calls, as a session does."""

    def __init__(self, data):
        self.lock = os.open(data / LOCK_NAME, os.O_RDWR)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        config = {**DATABASE_CONFIG, "threads": 1}
        self.connection = duckdb.connect(str(data / DATABASE_NAME), config=config)
        self.server = SqlServer(self.connection, calls=CALLS)
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
    yield owner
    owner.close()


def asked(owner, request):
    """Send a request the plain way; give the first frame, and the rest as bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(20)
        caller.connect(owner.server.path)
        send_json(caller, request)
        head = receive_json(caller)
        body, frames = b"", 0
        with caller.makefile("rb") as file:
            while (length := int.from_bytes(file.read(4), "big")) > 0:
                body, frames = body + file.read(length), frames + 1
        return head, body, frames


# ---- the owner -------------------------------------------------------------------------------


def test_golden_an_answer_is_a_head_and_json_up_to_an_empty_frame(owner):
    head, body, frames = asked(owner, {"call": "echoed", "arguments": {"a": ["ä", 1, None]}})
    assert (head, frames) == ({}, 1)
    assert json.loads(body) == {"answer": {"a": ["ä", 1, None]}}


def test_an_answer_larger_than_a_frame_comes_in_several(data, owner):
    assert call(str(data), "wide", {}) == "ä" * (WIDE // 2)
    _, body, frames = asked(owner, {"call": "wide"})
    assert frames > 1
    assert len(body) == WIDE + len(b'{"answer":""}')


def test_a_call_sees_what_is_committed_and_no_more(data, owner):
    owner.connection.execute("BEGIN")
    owner.connection.execute("DELETE FROM t")
    assert call(str(data), "counted", {"more": 1}) == 100_001
    owner.connection.execute("COMMIT")
    assert call(str(data), "counted", {"more": 1}) == 1


@pytest.mark.parametrize(
    ("request_of", "text"),
    [
        ({"call": "no"}, "`call` must be one of counted, echoed, faulty,"),
        ({"call": 1}, "`call` must be text, got int"),
        ({"call": "echoed", "arguments": [1]}, "`arguments` must be an object, got list"),
        ({"call": "echoed", "limit_seconds": 0}, "`limit_seconds` must be above 0"),
        ({"call": "echoed", "limit_seconds": "1"}, "`limit_seconds` must be a number, got str"),
        ({"call": "writing"}, "the statement must only read"),
        ({"neither": 1}, "`sql` must be text, got NoneType"),
    ],
)
def test_error_a_bad_request_is_told_as_the_askers_fault(owner, request_of, text):
    head, body, _ = asked(owner, request_of)
    assert text in head["error"]
    assert head["kind"] == "query"
    assert body == b""
    assert owner.connection.execute("SELECT count(*) FROM t").fetchone() == (100_000,)


def test_error_what_there_is_not_is_told_in_kind(data, owner):
    with pytest.raises(NotFoundError, match=r"^`job_id` must be known, got x'; DROP$"):
        call(str(data), "missing", {"job": "x'; DROP"})
    assert asked(owner, {"call": "missing", "arguments": {"job": "x"}})[0]["kind"] == "not_found"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("owner")
def test_error_a_fault_of_the_owner_is_told_as_one_and_it_goes_on(data):
    with pytest.raises(StoreError, match="the running owner failed: KeyError: 'what is not there'"):
        call(str(data), "faulty", {})
    assert call(str(data), "counted", {"more": 0}) == 100_000


@pytest.mark.parametrize("name", ["slow", "patient"])
def test_error_a_call_ends_with_its_time(data, owner, name):
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"must be done within 0\.3 s, and was stopped"):
        call(str(data), name, {}, 0.3)
    assert time.monotonic() - started < 2
    assert owner.connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("name", ["slow", "patient"])
def test_fault_a_vanished_client_stops_its_call(owner, name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(owner.server.path)
        send_json(caller, {"call": name, "limit_seconds": 600})
        time.sleep(0.3)
        assert len(owner.server._clients) == 1
    deadline_s = time.monotonic() + 5
    while owner.server._clients and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not owner.server._clients


@pytest.mark.parametrize("name", ["slow", "patient"])
def test_an_owner_that_ends_stops_its_calls_within_a_second(data, name):
    owner = Owner(data)
    outcome = []
    asking = threading.Thread(target=lambda: outcome.append(told(data, name)))
    asking.start()
    time.sleep(0.3)
    started = time.monotonic()
    owner.close()
    assert time.monotonic() - started < 1
    asking.join()
    kind, text = outcome[0]  # asked again, of the file, which is no store of ours
    assert (kind, "tables of something else" in text) == (StoreError, True)


def told(data, name):
    try:
        return call(str(data), name, {}, 5)
    except BellwetherError as error:
        return type(error), str(error)


@pytest.mark.usefixtures("owner")
def test_error_arguments_too_long_for_a_request_are_told(data):
    with pytest.raises(QueryError, match="`arguments` must be at most 1048576 bytes"):
        call(str(data), "echoed", {"a": "x" * (1 << 20)})
    fitting = "ä" * 160_000  # six bytes each on the way
    assert call(str(data), "echoed", {"a": fitting}) == {"a": fitting}


# ---- the functions' means --------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_oracle_statements_in_parallel_give_the_same_in_order(threads, count):
    with duckdb.connect(config={**DATABASE_CONFIG, "threads": threads}) as connection:
        connection.execute(SCHEMA)
        found = json.loads(answered(connection, CALLS, "parallel", {"n": count}, 20))
    assert found == [{"n": n, "c": 100_000} for n in range(count)]


def test_statements_in_parallel_really_run_beside_each_other(owner):
    sleeping = [("SELECT pg_sleep(0.4) AS s", {})] * 4
    with reading(owner.connection, 20) as ours:
        started = time.monotonic()
        in_parallel(ours, sleeping)
        took_s = time.monotonic() - started
    assert 0.75 < took_s < 1.4


def test_law_statements_in_parallel_see_one_commit_while_a_writer_writes(owner):
    stop = threading.Event()
    writer = owner.connection.cursor()

    def write():
        while not stop.is_set():
            writer.execute("BEGIN")
            writer.execute("INSERT INTO t VALUES (1)")
            writer.execute("UPDATE clock SET next_seq = next_seq + 1")
            writer.execute("COMMIT")

    writing_thread = threading.Thread(target=write)
    writing_thread.start()
    try:
        for _ in range(30):
            with reading(owner.connection, 20) as ours:
                tables = in_parallel(ours, [("SELECT count(*) n FROM t", {})] * 4)
                assert len({table["n"][0].as_py() for table in tables}) == 1
    finally:
        stop.set()
        writing_thread.join()


def test_error_one_of_several_statements_fails_and_all_end(owner):
    statements = [("SELECT 1", {}), ("SELECT error('boom')", {}), *[("SELECT 2", {})] * 5]
    with (
        reading(owner.connection, 20) as ours,
        pytest.raises(QueryError, match="boom"),
        ours.faults_named(),
    ):
        in_parallel(ours, statements)
    assert not [each for each in threading.enumerate() if each.name.startswith("call")]
    with reading(owner.connection, 20) as ours:
        assert in_parallel(ours, [("SELECT 3 AS n", {})])[0].to_pylist() == [{"n": 3}]


def test_error_time_stops_both_cursors(owner):
    started = time.monotonic()
    with (
        pytest.raises(QueryError, match="must be done within"),
        reading(owner.connection, 0.3) as ours,
        ours.faults_named(),
    ):
        in_parallel(ours, [(SLOW, {})] * 3)
    assert time.monotonic() - started < 2
