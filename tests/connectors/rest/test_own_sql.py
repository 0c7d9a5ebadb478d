"""`/sql`: the three forms, the limits, what is refused, and that slow statements starve nobody."""

import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyarrow as pa
import pytest
from serving import KEYS, serving, user

from connectors.rest.own.sql import STATEMENTS

LITTLE_KEY = "key-of-somebody-who-sees-little"
SLOW = "SELECT count(*) FROM range(100000000000) a"
KINDS = """
SELECT 1 AS a, 2 AS a, 'nan'::DOUBLE AS n, '-inf'::DOUBLE AS i, NULL AS z, 'é"' AS t,
    TIMESTAMP '2025-01-01 12:00:00.5' AS at, DATE '2025-01-01' AS d,
    170141183460469231731687303715884105727::HUGEINT AS h,
    1.5::DECIMAL(9, 2) AS m, '\\x00\\xff'::BLOB AS b, [1, 2] AS l, {'k': 'nan'::FLOAT} AS s,
    MAP {'x': 1} AS p, INTERVAL 1 DAY AS v, uuid '00000000-0000-0000-0000-000000000001' AS u
"""
TOLD = [
    *(1, 2, "nan", "-inf", None, 'é"', "2025-01-01T12:00:00.500000Z", "2025-01-01"),
    *("170141183460469231731687303715884105727", 1.5, "00ff", [1, 2], {"k": "nan"}, {"x": 1}),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    little = user("little", "administrator", key=LITTLE_KEY, models=("m",))
    with serving(tmp_path_factory.mktemp("sql"), users=(little,)) as found:
        event = {"model_id": "m", "timestamp": "2025-01-01", "prediction": "a"}
        found.post_events([{**event, "id": n} for n in range(5)])
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer", timeout=30) as found:
        yield found


def ask(http, sql, **more):
    answer = http.post("/sql", json={"sql": sql, **more})
    assert answer.status_code == 200, answer.text
    return answer


def test_golden_json_has_columns_and_rows(http):
    answer = ask(http, "SELECT event_id, event_time FROM events ORDER BY event_id LIMIT 1")
    assert answer.json() == {
        "columns": [
            {"name": "event_id", "type": "string"},
            {"name": "event_time", "type": "timestamp[us]"},
        ],
        "rows": [["0", "2025-01-01T00:00:00.000000Z"]],
        "row_count": 1,
        "truncated": False,
    }
    assert answer.headers["X-Bellwether-Truncated"] == "false"


def test_golden_every_kind_of_value(http):
    found = ask(http, KINDS).json()
    assert found["rows"][0][: len(TOLD)] == TOLD
    assert [each["name"] for each in found["columns"]][:2] == ["a", "a_1"]


def test_golden_csv(http):
    text = ask(http, KINDS, format="csv").text
    head, row = text.splitlines()
    assert head.startswith("a,a_1,n,i,z,t,at")
    assert row.startswith('1,2,nan,-inf,,"é""",2025-01-01T12:00:00.500000Z,2025-01-01,1701411')
    answer = http.get("/sql", params={"q": "SELECT NULL a"}, headers={"Accept": "text/csv"})
    assert (answer.text, answer.headers["Content-Type"]) == (
        'a\r\n""\r\n',
        "text/csv; charset=utf-8",
    )


def test_golden_arrow(http):
    media = "application/vnd.apache.arrow.stream"
    answer = http.get("/sql", params={"q": KINDS}, headers={"Accept": media})
    assert answer.headers["Content-Type"] == media
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    assert table.num_rows == 1
    assert table.column("l").to_pylist() == [[1, 2]]
    many = ask(http, "SELECT * FROM range(20000)", format="arrow", limit_rows=15_000)
    assert pa.ipc.open_stream(io.BytesIO(many.content)).read_all().num_rows == 15_000
    assert many.headers["X-Bellwether-Truncated"] == "true"


def test_golden_the_three_ways_to_ask(http):
    sql = "SELECT 42 AS answer"
    assert ask(http, sql).json()["rows"] == [[42]]
    plain = http.post("/sql", content=sql, headers={"Content-Type": "text/plain"})
    assert plain.json()["rows"] == [[42]]
    assert http.get("/sql", params={"q": sql}).json()["rows"] == [[42]]


@pytest.mark.parametrize(("rows", "cut"), [(1, True), (8192, True), (9999, True), (10_000, False)])
def test_golden_the_limit_of_rows_says_whether_it_cuts(http, rows, cut):
    found = ask(http, "SELECT * FROM range(10000)", limit_rows=rows)
    told = found.json()
    assert (told["row_count"], len(told["rows"]), told["truncated"]) == (rows, rows, cut)
    assert found.headers["X-Bellwether-Truncated"] == str(cut).lower()


def test_golden_ten_thousand_rows_are_the_default(http):
    found = ask(http, "SELECT * FROM range(10001)").json()
    assert (found["row_count"], found["truncated"]) == (10_000, True)
    assert ask(http, "SELECT 1 WHERE false").json()["rows"] == []


def test_golden_a_large_answer_goes_through_a_file(http):
    found = ask(http, "SELECT repeat('x', 1000) AS t FROM range(20000)", limit_rows=20_000)
    assert len(found.content) > 20_000_000
    assert json.loads(found.content)["row_count"] == 20_000


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "must be one statement, got 2"),
        ("DROP TABLE events_log", "must only read"),
        ("INSERT INTO settings VALUES ('a', 'b')", "must only read"),
        ("SET threads = 1", "must only read"),
        ("ATTACH '/tmp/x'", "must only read"),
        ("COPY events TO '/tmp/x'", "must only read"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT * FROM nowhere", "does not exist"),
        ("SELECT error('mine')", "mine"),
        ("", "`sql` must be"),
        ("SELECT '\0'", "character NUL"),
        (5, "`sql` must be"),
        (None, "`sql` must be"),
    ],
)
def test_error_a_statement_that_breaks_a_rule(http, sql, said):
    answer = http.post("/sql", json={"sql": sql})
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("limit_rows", value) for value in (0, 1_000_001, 1.5, True, "x", [1], 10**400)],
        *[("limit_seconds", value) for value in (0, -1, 301, "nan", "x", {})],
        *[("format", value) for value in ("xml", 1, "")],
    ],
)
def test_error_a_limit_that_breaks_a_rule(http, name, value):
    body = json.dumps({"sql": "SELECT 1", name: value})
    answer = http.post("/sql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert name in answer.text or "JSON" in answer.text


def test_error_bodies_that_are_none(http):
    for content, media, status in [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"sql": "SELECT 1", "more": 1}', "application/json", 400),
        (b"\xff", "text/plain", 400),
        (b"SELECT 1", "text/html", 415),
    ]:
        answer = http.post("/sql", content=content, headers={"Content-Type": media})
        assert answer.status_code == status
    answer = http.get("/sql", params={"q": "SELECT 1"}, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert http.get("/sql").status_code == 400


def test_error_who_does_not_see_everything_may_not_ask(served):
    with served.http("nobody", headers={"X-Api-Key": LITTLE_KEY}) as little:
        assert little.get("/sql", params={"q": "SELECT 1"}).status_code == 403
    with served.http("nobody") as nobody:
        assert nobody.get("/sql", params={"q": "SELECT 1"}).status_code == 401


def test_error_time_is_up(http):
    began = time.monotonic()
    answer = http.post("/sql", json={"sql": SLOW, "limit_seconds": 0.5})
    assert answer.status_code == 400
    assert answer.json()["error"] == "the query must be done within 0.5 s, and was stopped"
    assert time.monotonic() - began < 5


def test_error_an_answer_that_is_too_large(http):
    sql = "SELECT repeat('x', 1000000) AS t FROM range(1000)"
    answer = http.post("/sql", json={"sql": sql, "format": "csv"})
    assert answer.status_code == 400
    assert "ask for less of it" in answer.json()["error"]


def test_law_slow_statements_starve_no_other_reads(served, http):
    def slow(_):
        with served.http("viewer", timeout=30) as own:
            return own.post("/sql", json={"sql": SLOW, "limit_seconds": 2}).status_code

    with ThreadPoolExecutor(2 * STATEMENTS) as pool:
        running = [pool.submit(slow, n) for n in range(2 * STATEMENTS)]
        time.sleep(0.3)
        took = []
        for _ in range(5):
            began = time.monotonic()
            assert http.get("/metrics").status_code == 200
            assert http.get("/ready").status_code == 200
            took.append(time.monotonic() - began)
        assert [each.result() for each in running] == [400] * (2 * STATEMENTS)
    assert sorted(took)[2] < 1.5


def test_law_a_client_that_goes_or_takes_nothing_holds_no_statement(served, http):
    host, port = served.url.removeprefix("http://").split(":")
    body = json.dumps({"sql": SLOW, "limit_seconds": 60}).encode()
    large = json.dumps({"sql": "SELECT repeat('x', 1000) FROM range(10000)"}).encode()
    opened = []
    for content in [*[body] * STATEMENTS, *[large] * STATEMENTS]:
        one = socket.create_connection((host, int(port)))
        head = f"POST /sql HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {KEYS['viewer']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        one.sendall(head.encode() + content)
        opened.append(one)
    time.sleep(0.3)
    for one in opened[:STATEMENTS]:
        one.close()
    began = time.monotonic()
    assert ask(http, "SELECT 1").json()["rows"] == [[1]]
    assert time.monotonic() - began < 10
    for one in opened:
        one.close()


def test_golden_without_keys_the_loopback_may_ask(tmp_path):
    with serving(tmp_path, keys=False) as served:
        assert httpx.get(f"{served.url}/sql?q=SELECT 1").json()["rows"] == [[1]]
        foreign = {"Origin": "https://example.org"}
        assert httpx.get(f"{served.url}/sql?q=SELECT 1", headers=foreign).status_code == 403
