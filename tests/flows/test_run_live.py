"""Streams that never end: queryable while they run, stopped at once, one owner a folder."""

import json
import signal
import threading
import time
from pathlib import Path

from commands import (
    ask,
    bellwether,
    done,
    encoded,
    eventually,
    one,
    owned,
    prediction,
    relations,
    running,
    stopped,
)

QUICK_S = 2.0


def counted(data, at_least):
    def enough():
        found = ask(data, "select count(*)::int as n from events")[0]["n"]
        return found if found >= at_least else None

    return enough


def test_golden_ten_lines_a_second_are_queryable_at_once(tmp_path):
    data = tmp_path / "data"
    with running("run", "--data", data) as process:
        eventually(lambda: owned(data))
        sent = {}

        def feed():
            for number in range(20):
                process.stdin.write(encoded([prediction(number)]))
                process.stdin.flush()
                sent[f"e{number}"] = time.monotonic()
                time.sleep(0.1)

        feeder = threading.Thread(target=feed)
        feeder.start()
        delays, seen = [], set()
        while len(seen) < 20:
            asked = time.monotonic()
            ids = {row["event_id"] for row in ask(data, "select event_id from events")}
            now = time.monotonic()
            # An id was there at the latest when the answer came; an unseen one is still late.
            late = [asked - at for name, at in list(sent.items()) if name not in ids]
            assert max(late, default=0) < QUICK_S
            delays += [now - sent[name] for name in ids - seen]
            seen |= ids
        feeder.join()
        assert max(delays) < QUICK_S
        process.stdin.close()
        assert process.wait(10) == 0
        told = process.stderr.read().decode()
        assert told.startswith("20 lines in ")
        assert told.count("\n") == 1
    assert one(data, "select count(*) from events") == (20,)


def test_golden_followed_files_grow_and_rotate(tmp_path):
    data, log = tmp_path / "data", tmp_path / "events.log"
    log.write_bytes(encoded(prediction(n) for n in range(3)))
    with running("run", "--source", log, "--follow", "--data", data) as process:
        eventually(lambda: owned(data))
        eventually(counted(data, 3), QUICK_S)
        with log.open("ab") as more:
            more.write(encoded([prediction(3)]) + b'{"model_id": "m", "id": "torn", ')
        eventually(counted(data, 4), QUICK_S)
        with log.open("ab") as more:
            more.write(encoded([prediction(4)])[len('{"model_id": "m", "id": "e4", ') :])
        eventually(counted(data, 5), QUICK_S)
        log.rename(tmp_path / "events.log.1")
        log.write_bytes(encoded([prediction(5)]))
        eventually(counted(data, 6), QUICK_S + 1.5)  # the old file may still be written to for 1 s
        with log.open("ab") as more:
            more.write(encoded([prediction(6), {"bad": 1}]))
        eventually(counted(data, 7), QUICK_S)
        told = stopped(process)
    assert told.startswith("8 lines in ")
    names = one(data, "select list(event_id order by event_id) from events")[0]
    assert names == ["e0", "e1", "e2", "e3", "e5", "e6", "torn"]
    assert one(data, "select count(*), min(field) from rejects")[0] == 1
    # What is said at the stop is where the next run goes on.
    with log.open("ab") as more:
        more.write(encoded([prediction(7)]))
    with running("run", "--source", log, "--follow", "--data", data) as process:
        eventually(lambda: owned(data))
        eventually(counted(data, 8), QUICK_S)
        assert stopped(process).startswith("1 line in ")


def test_fault_two_owners_and_a_killed_one(tmp_path):
    data = tmp_path / "data"
    with running("run", "--data", data) as first:
        facts, _ = eventually(lambda: owned(data))
        assert facts["pid"] == first.pid
        began = time.monotonic()
        second = bellwether("run", "--data", data, stdin=encoded([prediction(1)]))
        assert time.monotonic() - began < 5
        assert second.returncode == 1
        told = second.stderr.decode()
        assert told.startswith(f"bellwether: data folder {data} must be free, got locked by")
        assert f"process {first.pid} on " in told
        assert told.count("\n") == 1
        assert ask(data, "select count(*)::int as n from events") == [{"n": 0}]  # untouched
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    socket = Path(facts["socket"])
    assert socket.exists()
    assert ask(data, "select count(*)::int as n from events") == [{"n": 0}]
    done("run", "--data", data, stdin=encoded([prediction(1)]))
    assert not socket.parent.exists()
    assert one(data, "select count(*) from events") == (1,)


def test_golden_a_large_file_stopped_early_and_resumed(tmp_path):
    source = tmp_path / "events.ndjson"
    source.write_bytes(
        b"".join(
            json.dumps({**prediction(n), "label": "abc"[n % 3], "score": n % 7 / 7}).encode()
            + b"\n"
            for n in range(500_000)
        )
    )
    data = tmp_path / "data"
    with running("run", "--source", source, "--data", data) as process:
        eventually(lambda: owned(data))
        time.sleep(0.3)
        told = stopped(process)
    first = int(told.split(" ")[0].replace(",", ""))
    second = int(done("run", "--source", source, "--data", data).split(" ")[0].replace(",", ""))
    assert first < 500_000
    assert first + second == 500_000
    calm = tmp_path / "calm"
    done("run", "--source", source, "--data", calm)
    names = ("confusion_matrix", "models", "progress")
    assert relations(data, names) == relations(calm, names)
