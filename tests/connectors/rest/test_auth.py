"""Who is let in: every way to present a key, roles, sessions, wrong keys, and no keys at all.

The server is a real one; what depends on time is asked of `Users` with a hand-moved clock.
"""

import base64
import hashlib
import json
import socket
import time

import httpx
import pytest
from serving import KEYS, serving
from starlette.requests import Request

from connectors.rest.auth import COOKIE, Users, digest_of
from connectors.rest.faults import Fault
from connectors.rest.limits import BODY_BYTES_MAX, HEAD_BYTES_MAX
from engine.config import UserSettings

KEY = KEYS["viewer"]
RULES = "/api/v3/users/me"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("auth")) as made:
        yield made


@pytest.fixture(scope="module")
def unkeyed(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("open"), keys=False) as made:
        yield made


def basic(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Arcanna-Api-Key": KEY},
        {"X-Api-Key": KEY},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"ApiKey {KEY}"},
        {"Authorization": f"ApiKey {basic('id:' + KEY)}"},
        {"Authorization": f"Token {KEY}"},
        {"Authorization": f"Basic {basic('viewer:' + KEY)}"},
    ],
)
def test_every_way_to_present_a_key(served, headers):
    assert httpx.get(served.url + RULES, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "must be given"),
        ({"Authorization": ""}, "must be given"),
        ({"X-Api-Key": KEY + "x"}, "known one"),
        ({"Authorization": f"Basic {basic('editor:' + KEY)}"}, "known one"),
        ({"Authorization": "Basic ?"}, "known one"),
        ({"Cookie": f"{COOKIE}=abc"}, "must be given"),
    ],
)
def test_error_no_key_and_wrong_keys(headers, told):
    users = Users(lambda: (member("viewer", KEY),), {}, loopback=False)
    with pytest.raises(Fault, match=told) as found:
        users.caller(request(headers))
    assert found.value.status == 401
    assert "WWW-Authenticate" in found.value.headers


def member(role, key, **more):
    return UserSettings(role, None, role, None, digest_of(key), **more)


def request(headers, address="10.0.0.1"):
    told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": told, "client": (address, 1)})


def test_digests_are_sha256():
    assert digest_of("a") == hashlib.sha256(b"a").hexdigest()


def test_keys_from_the_environment_count_too():
    users = Users(
        lambda: (UserSettings("ana", role="editor"),), {"ana": digest_of(KEY)}, loopback=False
    )
    caller = users.caller(request({"X-Api-Key": KEY}))
    assert (caller.username, caller.role) == ("ana", "editor")


def test_error_too_many_wrong_keys_from_one_address():
    now = [0.0]
    users = Users(lambda: (member("viewer", KEY),), {}, loopback=False, clock_s=lambda: now[0])
    for _ in range(10):
        with pytest.raises(Fault, match="known one"):
            users.caller(request({"X-Api-Key": "wrong"}))
    with pytest.raises(Fault, match="too many") as found:
        users.caller(request({"X-Api-Key": KEY}))
    assert found.value.status == 429
    assert found.value.headers == {"Retry-After": "60"}
    with pytest.raises(Fault, match="too many"):
        users.log_in(request({}), "viewer", KEY)
    assert users.caller(request({"X-Api-Key": KEY}, "10.0.0.2")).role == "viewer"
    now[0] = 61.0
    assert users.caller(request({"X-Api-Key": KEY})).role == "viewer"


def test_sessions_end_with_time_with_the_log_out_and_with_their_user():
    now, members = [0.0], [member("viewer", KEY)]
    users = Users(lambda: tuple(members), {}, loopback=False, clock_s=lambda: now[0])
    assert users.log_in(request({}), "viewer", "wrong") is None
    assert users.log_in(request({}), "editor", KEY) is None
    cookies = [{"Cookie": f"{COOKIE}={users.log_in(request({}), 'viewer', KEY)}"} for _ in range(2)]
    for cookie in cookies:
        assert users.caller(request(cookie)).username == "viewer"
    users.log_out(request(cookies[0]))
    with pytest.raises(Fault):
        users.caller(request(cookies[0]))
    gone = members.pop()
    with pytest.raises(Fault):
        users.caller(request(cookies[1]))
    members.append(gone)
    now[0] = 13 * 3_600.0
    with pytest.raises(Fault):
        users.caller(request(cookies[1]))


# ---- no key is configured --------------------------------------------------------------------


def test_without_keys_this_machine_may_do_anything(unkeyed):
    told = httpx.get(unkeyed.url + RULES)
    assert told.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "[::"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
def test_error_without_keys_foreign_pages_get_nothing(unkeyed, headers):
    told = httpx.post(unkeyed.url + "/events", content=b"{}", headers=headers)
    assert told.status_code == 403


def test_error_the_last_key_taken_away_opens_nothing_beyond_this_machine():
    users = Users(lambda: (UserSettings("ana"),), {}, loopback=False)
    with pytest.raises(Fault) as found:
        users.caller(request({"Host": "localhost"}))
    assert found.value.status == 401


# ---- limits ----------------------------------------------------------------------------------


def test_error_a_body_that_is_too_large(served):
    headers = {"X-Api-Key": KEYS["editor"]}
    told = httpx.post(served.url + "/events", content=b" " * (BODY_BYTES_MAX + 1), headers=headers)
    assert told.status_code == 413
    assert "16777216 bytes" in json.dumps(told.json())


def test_error_a_head_that_is_too_large(served):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as made:
        made.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * HEAD_BYTES_MAX)
        time.sleep(0.05)
        made.sendall(b"x" * 100)
        assert made.recv(100).startswith(b"HTTP/1.1 400 ")


def test_slow_clients_hold_nobody_up(served):
    host, port = served.url.removeprefix("http://").split(":")
    slow = []
    for _ in range(300):
        made = socket.create_connection((host, int(port)))
        made.sendall(b"POST /events HTTP/1.1\r\nContent-Length: 100\r\nHost: x\r\n\r\n{")
        slow.append(made)
    time.sleep(0.2)
    assert served.http("viewer").get("/health").status_code == 200
    for made in slow:
        made.close()


def test_answers_are_not_to_be_guessed_at_or_kept(served):
    told = served.http("viewer").get(RULES)
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["cache-control"] == "no-store"
