"""A clock that is set, forwards and back, while a run goes on: nothing waits for it to be right.

What goes by the wall clock is the rule on timestamps of the future (`time.max_future`), when a
silent input is given up, and when mails are due; all else goes by a steady clock.
"""

import itertools
import subprocess
import time

import pytest
from commands import COMMAND, ask, encoded, eventually, owned, prediction, stopped
from shifted_clock import shifted_clock

from engine.watermark import Mark, Watermarks
from flows.looking import Looking

HOUR_S = 3600
RULE = """
time: {idle_timeout: 1s}
alert_rules:
  - {model: m, metric: count, bound: upper, threshold: 100, severity: warning}
"""


@pytest.mark.parametrize("shift_s", [-6 * HOUR_S, 6 * HOUR_S], ids=["back", "forward"])
def test_fault_a_clock_that_is_set_stops_nothing(tmp_path, shift_s):
    clock = shifted_clock(tmp_path)
    data, log = tmp_path / "data", tmp_path / "events.log"
    (tmp_path / "c.yaml").write_text(RULE)
    log.write_bytes(encoded([prediction(0)]))
    words = ["run", tmp_path / "c.yaml", "--source", log, "--follow", "--data", data]
    numbers = itertools.count(1)

    def append():
        """Add a line, and say how long it took to be there."""
        number = next(numbers)
        began = time.monotonic()
        with log.open("ab") as more:
            more.write(encoded([prediction(number)]))
        eventually(lambda: counted(data) == number + 1, 20.0)
        return time.monotonic() - began

    with subprocess.Popen(
        [*COMMAND, *map(str, words)], stderr=subprocess.PIPE, env=clock.environment()
    ) as process:
        try:
            eventually(lambda: owned(data), 30.0)
            before_s = append()
            clock.set(shift_s)
            assert append() < 5 + 5 * before_s
            clock.set(0)
            assert append() < 5 + 5 * before_s
            # The input is silent: that, too, is told by time alone.
            final = "select count(*)::int as n from evaluations"
            eventually(lambda: ask(data, final)[0]["n"] >= 0, 20.0)
            assert ask(data, "select count(*)::int as n from rejects") == [{"n": 0}]
            told = stopped(process, within_s=20)
        finally:
            process.kill()
    assert told.startswith("4 lines in ")


def counted(data):
    return ask(data, "select count(*)::int as n from events")[0]["n"]


def test_fault_a_clock_that_is_set_gives_no_partition_up():
    """Silence of half a second, with an hour of clock in it, is no silence of an hour."""
    for shift_us in (-HOUR_S * 1_000_000, HOUR_S * 1_000_000):
        now_us = time.time_ns() // 1000
        marks = Watermarks(0)
        marks.marks[0] = Mark(5, heard_us=now_us)
        marks.marks[1] = Mark(9, heard_us=now_us + 5 * HOUR_S * 1_000_000)  # before it was set
        looking = Looking(now_us)
        time.sleep(0.05)
        now_us += 50_000 + shift_us
        assert not marks.rest(now_us, 30_000_000, looking.look(now_us))
        # From there on it counts again, of both.
        for waited_us in (1_000_000, 29_000_000):
            assert not marks.rest(now_us + waited_us, 30_000_000, looking.since_us)
        assert marks.rest(now_us + 30_000_001, 30_000_000, looking.since_us)
        assert marks.overall_us == 9


def test_golden_silence_counts_while_somebody_listens():
    looking = Looking(1_000_000)
    first = looking.since_us
    time.sleep(0.02)
    assert looking.look(1_000_000 + 20_000) == first
    time.sleep(0.02)
    assert looking.look(9_000_000) == 9_000_000  # the clock was set
    assert looking.look(9_000_000) == 9_000_000
