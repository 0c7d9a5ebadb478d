"""Thousands of connections that ask for nothing: whoever asks is answered, and the run goes on.

`BELLWETHER_CONNECTIONS` sets how many (10000 to see the promise; as many as the machine permits).
"""

import http.client
import os
import resource
import socket
import subprocess
import time
from pathlib import Path

import pytest
from commands import COMMAND, encoded, prediction
from fastapi import FastAPI

from connectors.rest.server import Server

CONNECTIONS = int(os.environ.get("BELLWETHER_CONNECTIONS", "2000"))
HALF = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture
def files():
    """Let this process have files enough for its ends of the connections; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 500 if hard == resource.RLIM_INFINITY else min(CONNECTIONS + 500, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield max(soft, wanted) - 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(port, path="/health", method="GET", body=None):
    """Ask on a connection of its own; gives status and seconds."""
    began_s = time.monotonic()
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    asking.request(method, path, body)
    with asking.getresponse() as answer:
        answer.read()
    asking.close()
    return answer.status, time.monotonic() - began_s


def memory_kb(pid):
    with Path(f"/proc/{pid}/status").open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_fault_idle_connections_keep_nobody_out(tmp_path, files):
    count = min(CONNECTIONS, files)
    words = [*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    idle = []
    try:
        while not (line := process.stderr.readline().decode()).startswith("serving http://"):
            assert line, "it has ended"
        port = int(line.rsplit(":", 1)[1])
        assert ask(port)[0] == 200
        before_kb = memory_kb(process.pid)
        for number in range(count):
            idle.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            if number % 2:
                idle[-1].sendall(HALF)  # the others say nothing at all
        asked = [ask(port) for _ in range(20)]
        posted = ask(port, "/events", "POST", encoded(prediction(n) for n in range(100)))
        grown_mb = (memory_kb(process.pid) - before_kb) / 1024
        took_s = max(took for _, took in asked)
        print(f"{count} connections: {grown_mb:.0f} MB more, {took_s:.2f} s at most")  # noqa: T201
        assert {status for status, _ in asked} == {200}
        assert posted[0] == 202
        assert took_s < 10
        assert grown_mb < 200
    finally:
        for each in idle:
            each.close()
        process.terminate()
        assert process.wait(30) == 0
        process.stderr.close()


@pytest.fixture
def small():
    """A server of at most 20 connections, which is held up at /slow."""
    app = FastAPI()

    @app.get("/health")
    def health():
        return {}

    @app.get("/slow")
    def slow():
        time.sleep(1.0)
        return {}

    server = Server(app, "127.0.0.1", 0, connections_max=20)
    server.start()
    yield server
    server.close()


def connected(server, said=b""):
    made = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    made.sendall(said)
    return made


def is_closed(connection):
    connection.settimeout(0.2)
    try:
        return connection.recv(100) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_golden_the_connection_that_is_idle_for_longest_makes_room(small):
    idle = [connected(small) for _ in range(20)]
    time.sleep(0.3)
    idle[0].sendall(HALF)  # heard of a moment ago
    time.sleep(0.2)
    assert ask(small.port)[0] == 200
    assert is_closed(idle[1])
    assert not is_closed(idle[0])
    assert not is_closed(idle[2])
    for each in idle:
        each.close()


def test_golden_who_is_being_answered_stays_and_the_newcomer_goes(small):
    busy = [connected(small, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(20)]
    time.sleep(0.3)
    newcomer = connected(small, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_closed(newcomer)
    for each in busy:
        each.settimeout(10)
        assert each.recv(100).startswith(b"HTTP/1.1 200 ")
        each.close()
    newcomer.close()
    time.sleep(0.2)
    assert ask(small.port)[0] == 200
