"""A run that is told to end, or is held still, at any moment: it ends at once, or simply goes on.

`BELLWETHER_STOPS` sets how often a run at full speed is stopped (20 to see the distribution, on a
machine that does nothing else), `BELLWETHER_STOP_S` how long one is held still (60 for the minute).
"""

import http.client
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from pathlib import Path

import duckdb
import pytest
from commands import (
    COMMAND,
    assert_equal,
    bellwether,
    digests,
    encoded,
    eventually,
    owned,
    prediction,
    relations,
    rows,
)

from benchmarks.workload import Workload, write
from engine.errors import EndingError
from flows.breakable import breakable

STOPS = int(os.environ.get("BELLWETHER_STOPS", "2"))
STOP_S = float(os.environ.get("BELLWETHER_STOP_S", "1.5"))
LINES = 1_000_000 if STOPS > 2 else 60_000
RULE = """
alert_rules:
  - {model: m, metric: count, bound: upper, threshold: 1, severity: warning, lookback_period: 5}
"""


# ---- told to end ------------------------------------------------------------------------------


def test_fault_stopped_at_full_speed_it_ends_at_once(tmp_path):
    source = tmp_path / "events.ndjson"
    write(Workload(lines=LINES), source)
    words = [*COMMAND, "run", "--source", str(source), "--data"]
    chance, took_s = random.Random(9), []
    for number in range(STOPS):
        data = tmp_path / f"data{number}"
        with subprocess.Popen([*words, str(data)], stderr=subprocess.PIPE) as process:
            eventually(lambda data=data: owned(data), 60.0)
            time.sleep(chance.uniform(0.2, 3.0 if STOPS > 2 else 0.4))
            began_s = time.monotonic()
            process.send_signal([signal.SIGTERM, signal.SIGINT, signal.SIGHUP][number % 3])
            assert process.wait(30) == 0, process.stderr.read()
            took_s.append(time.monotonic() - began_s)
    print([round(each, 2) for each in sorted(took_s)])  # noqa: T201 - for whoever measures
    # Others may have the machine: a second is what it takes alone.
    assert statistics.median(took_s) < (1.0 if STOPS > 2 else 5.0)
    # What was committed is whole, and the next run goes on behind it.
    assert bellwether("run", "--source", source, "--data", data, timeout=300).returncode == 0
    assert digests(data, names=["events"])["events"][0] == Workload(lines=LINES).predictions


@pytest.mark.parametrize("after_s", [0.25, 0.5, 1.0], ids=["words", "modules", "store"])
def test_fault_stopped_before_it_has_begun(tmp_path, after_s):
    (tmp_path / "a.ndjson").write_bytes(encoded([prediction(1)]))
    words = ["run", "--source", str(tmp_path / "a.ndjson"), "--follow", "--data"]
    with subprocess.Popen(
        [*COMMAND, *words, str(tmp_path / "data")], stderr=subprocess.PIPE
    ) as process:
        eventually(lambda: handled(process.pid), 30.0)
        time.sleep(after_s - 0.25)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        told = process.stderr.read().decode()
        assert "nothing was read" in told or "line in " in told or "lines in " in told
        assert told.count("\n") == 1


def handled(pid):
    """Whether the process has put its own handler of SIGTERM in place."""
    with Path(f"/proc/{pid}/status").open() as file:
        caught = next(line for line in file if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_fault_long_work_is_broken_off_and_rolled_back():
    with duckdb.connect(config={"threads": 1}) as cursor:
        stop = threading.Event()
        cursor.execute("CREATE TABLE found (i UBIGINT)")
        cursor.execute("BEGIN")
        threading.Timer(0.2, stop.set).start()
        began_s = time.monotonic()
        told = "was stopped before this was done"
        with pytest.raises(EndingError, match=told), breakable(cursor, stop):
            cursor.execute(
                "INSERT INTO found SELECT hash(i) h FROM range(9999999999) t(i) ORDER BY h"
            )
        assert time.monotonic() - began_s < 5
        cursor.execute("ROLLBACK")
        assert cursor.execute("SELECT count(*) FROM found").fetchone() == (0,)
        with pytest.raises(EndingError), breakable(cursor, stop):
            pytest.fail("it must not begin")


def test_error_a_fault_within_stays_what_it_is():
    stop = threading.Event()
    with (
        duckdb.connect() as cursor,
        pytest.raises(duckdb.BinderException),
        breakable(cursor, stop),
    ):
        cursor.execute("SELECT nothing")


# ---- held still -------------------------------------------------------------------------------


def live_run(folder, stop_s):
    """Two files that grow; the second half while the process is held still, if it is."""
    folder.mkdir()
    logs = [folder / "a.log", folder / "b.log"]
    for log in logs:
        log.touch()
    (folder / "c.yaml").write_text(RULE)
    words = ["serve", folder / "c.yaml", "--source", folder / "*.log", "--follow", "--port", "0"]
    process = subprocess.Popen(
        [*COMMAND, *map(str, words), "--data", str(folder / "data")], stderr=subprocess.PIPE
    )
    try:
        while not (line := process.stderr.readline().decode()).startswith("serving http://"):
            assert line, "it has ended"
        asking = http.client.HTTPConnection("127.0.0.1", int(line.rsplit(":", 1)[1]), timeout=90)
        append(logs, range(40))
        eventually(lambda: counted(asking) == 40, 30.0)
        if stop_s:
            process.send_signal(signal.SIGSTOP)
            append(logs, range(40, 200))
            threading.Timer(stop_s, process.send_signal, [signal.SIGCONT]).start()
            assert counted(asking) >= 40  # it waits, and is answered
        else:
            append(logs, range(40, 200))
        eventually(lambda: counted(asking) == 200, 30.0)
        asking.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    return folder / "data"


def append(logs, numbers):
    for nth, log in enumerate(logs):
        with log.open("ab") as more:
            more.write(encoded(prediction(n) for n in numbers if n % 2 == nth))


def counted(asking):
    headers = {"Content-Type": "text/plain"}
    asking.request("POST", "/sql", "select count(*) as n from events", headers)
    with asking.getresponse() as answer:
        told = answer.read().decode()
    assert answer.status == 200, told
    return int("".join(filter(str.isdigit, told.partition("rows")[2].partition("]")[0])))


def test_fault_held_still_it_goes_on_to_the_same_tables(tmp_path):
    calm = live_run(tmp_path / "calm", 0)
    held = live_run(tmp_path / "held", STOP_S)
    names = ("events", "confusion_matrix", "metric_values")
    without = ("seq", "position")
    assert_equal(relations(held, names, without), relations(calm, names, without))
    watermark = "select epoch_us(watermark), epoch_us(last_event) from clock"
    assert rows(held, watermark) == rows(calm, watermark)
