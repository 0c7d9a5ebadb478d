"""`POST /events`: what is taken, in which packing, exactly once, and what is refused how."""

import gzip
import json
import tracemalloc
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import httpx
import pytest
import zstandard
from second_server import second_server
from serving import KEYS, serving, user

from connectors.intake import Intake
from engine.errors import EndingError

LITTLE_KEY = "key-of-somebody-who-sees-little"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    little = user("little", "editor", key=LITTLE_KEY, models=("m",))
    with serving(tmp_path_factory.mktemp("events"), users=(little,)) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor", timeout=30) as found:
        yield found


def lines(model, count=3):
    events = [
        {
            "model_id": model,
            "id": n,
            "timestamp": f"2025-01-01T00:{n % 60:02}:00Z",
            "prediction": "a",
        }
        for n in range(count)
    ]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def stored(served, model):
    return served.sql("SELECT count(*) FROM events WHERE model_id = ?", model)[0][0]


PACKED = {
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "x-gzip": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_golden_lines_are_durable_when_they_are_answered(served, http, encoding):
    answer = http.post(
        "/events",
        content=PACKED[encoding](lines(encoding)),
        headers={"Content-Type": "application/x-ndjson", "Content-Encoding": encoding},
    )
    assert answer.status_code == 202
    assert answer.json() == {"lines": 3, "accepted": 3, "rejected_count": 0, "rejected": []}
    assert stored(served, encoding) == 3


def test_golden_zstd_of_several_frames_and_of_a_stream(served, http):
    frames = b"".join(map(zstandard.ZstdCompressor().compress, (lines("fa"), lines("fb"))))
    streamed = zstandard.ZstdCompressor().compressobj()
    unsized = streamed.compress(lines("fc", 5000)) + streamed.flush()
    for body, count in ((frames, 6), (unsized, 5000)):
        answer = http.post("/events", content=body, headers={"Content-Encoding": "zstd"})
        assert answer.json()["accepted"] == count
    assert [stored(served, model) for model in ("fa", "fb", "fc")] == [3, 3, 5000]


def test_golden_rejected_lines_are_told_by_number(http):
    body = b"\n" + lines("mixed", 1) + b'{"model_id": "mixed"}\n\n' + b"\xff\n" + lines("mixed", 2)
    told = http.post("/events", content=body).json()
    assert (told["lines"], told["accepted"], told["rejected_count"]) == (5, 3, 2)
    assert [(each["line"], each["field"]) for each in told["rejected"]] == [(3, "id"), (5, None)]
    assert "must be valid UTF-8" in told["rejected"][1]["reason"]


def test_golden_nothing_is_taken_in_order(http):
    for body in (b"", b"\n", b" \r\n\n"):
        answer = http.post("/events", content=body)
        assert (answer.status_code, answer.json()["lines"]) == (202, 0)


def test_golden_a_key_makes_a_retry_safe(http):
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    body = lines("once", 2) + b"{}\n"
    first = http.post("/events", content=body, headers=headers)
    again = http.post("/events", content=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = http.post("/events", content=lines("twice"), headers=headers)
    assert other.status_code == 409
    assert "must go with the same lines" in other.json()["error"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_error_a_key_that_is_none(http, key):
    answer = http.post("/events", content=b"", headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"][:17]) == (400, "`Idempotency-Key`")


BROKEN = [
    ("gzip", b"no gzip"),
    ("gzip", gzip.compress(lines("x"))[:-9]),
    ("gzip", gzip.compress(lines("x")) + b"more"),
    ("zstd", b"no zstd"),
    ("zstd", zstandard.ZstdCompressor().compress(lines("x"))[:-3]),
    ("gzip", zlib.compress(lines("x"))),
]


@pytest.mark.parametrize(("encoding", "body"), BROKEN, ids=range(len(BROKEN)))
def test_error_what_cannot_be_unpacked(http, encoding, body):
    answer = http.post("/events", content=body, headers={"Content-Encoding": encoding})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": f"the body must be whole {encoding}, got what cannot be unpacked"
    }


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_error_another_packing(http, encoding):
    answer = http.post("/events", content=b"", headers={"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert "zstd" in answer.headers["Accept-Encoding"]


@pytest.mark.parametrize("media", ["text/html", "multipart/form-data; boundary=x", "image/png"])
def test_error_another_kind_of_body(http, media):
    answer = http.post("/events", content=b"{}", headers={"Content-Type": media})
    assert answer.status_code == 415


def test_error_too_much(http):
    large = b"a" * ((16 << 20) + 1)
    assert http.post("/events", content=large).status_code == 413
    for encoding in ("gzip", "zstd"):
        packed = PACKED[encoding](large)
        answer = http.post("/events", content=packed, headers={"Content-Encoding": encoding})
        assert answer.status_code == 413
        assert answer.json()["error"].startswith("the body must be at most 16777216 bytes")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_error_a_bomb_takes_little_memory(http, encoding):
    bomb = PACKED[encoding](bytes(200 << 20))
    tracemalloc.start()
    answer = http.post("/events", content=bomb, headers={"Content-Encoding": encoding})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 64 << 20


def test_error_who_may_not(served):
    with served.http("viewer") as viewer:
        assert viewer.post("/events", content=b"").status_code == 403
    with served.http("nobody", headers={"X-Api-Key": LITTLE_KEY}) as little:
        answer = little.post("/events", content=lines("m"))
        assert (answer.status_code, stored(served, "m")) == (403, 0)
    with served.http("nobody") as nobody:
        assert nobody.post("/events", content=lines("m")).status_code == 401


def test_error_a_full_queue_says_when_to_come_again(served):
    intake = Intake(served.session.readers())  # which nobody takes from
    headers = {"X-Api-Key": KEYS["editor"]}
    body = b"x" * (16 << 20)
    with second_server(served, intake=intake) as url, ThreadPoolExecutor(5) as pool:

        def post(_):
            return httpx.post(f"{url}/events", content=body, headers=headers, timeout=60)

        posted = [pool.submit(post, n) for n in range(5)]
        full, _ = wait(posted, return_when=FIRST_COMPLETED)
        intake.failed(EndingError("the run is stopping"))
        for answer in (each.result() for each in full):
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) >= 1
            told = {"error": "too many lines wait to be taken: nothing of this was"}
            assert answer.json() == told
        # Three fit with the newlines that they get; the fifth is turned away, or comes too late.
        codes = sorted(each.result().status_code for each in posted)
        assert codes in ([429, 429, 503, 503, 503], [429, 503, 503, 503, 503])
