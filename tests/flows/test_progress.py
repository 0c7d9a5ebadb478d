"""The live line and the summary, with the clock moved by hand and a terminal of our own."""

import io

import pytest
from rich.console import Console

from flows.progress import Progress, duration_text

NOW_S = 1_800_000_000.0


def terminal(*, is_terminal):
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=200, color_system=None)


def drawn(console):
    return console.file.getvalue()


def totals(now_s, lines, *, newest_us=None, consumed_bytes=0, rejects=0):
    return {
        "lines": lines,
        "events": lines // 2,
        "votes": lines - lines // 2,
        "rejects": rejects,
        "newest_us": newest_us,
        "consumed_bytes": consumed_bytes,
        "now_s": now_s,
    }


def test_golden_live_line():
    console = terminal(is_terminal=True)
    progress = Progress(console, 1_000_000, live=False, started_s=NOW_S)
    newest_us = int((NOW_S - 2) * 1e6)
    progress.update(**totals(NOW_S + 2, 80_000, newest_us=newest_us, consumed_bytes=0, rejects=1))
    progress.update(
        **totals(NOW_S + 4, 100_000, newest_us=newest_us, consumed_bytes=250_000, rejects=1_234)
    )
    assert "40,000 events, 40,000 votes · 40,000 lines/s · lag 4.0 s · 1 reject · 0 %" in drawn(
        console
    )
    assert (
        "50,000 events, 50,000 votes · 10,000 lines/s · lag 6.0 s · 1,234 rejects · 25 %, 6.0 s"
        " left" in drawn(console)
    )
    progress.finish(
        lines=1, events=1, votes=0, rejects=0, repeats=0, watermark=None, data="d", now_s=NOW_S + 5
    )


def test_the_rate_is_that_of_the_last_ten_seconds():
    console = terminal(is_terminal=True)
    progress = Progress(console, None, live=True, started_s=NOW_S)
    for second in range(31):
        progress.update(**totals(NOW_S + second, min(second, 10) * 100))
    assert "· 100 lines/s ·" in drawn(console)
    assert drawn(console).rstrip().rsplit("events", 1)[1].count("· 0 lines/s ·") == 1


@pytest.mark.parametrize(
    ("age_s", "live", "shown"),
    [(3_600, False, True), (86_401, False, False), (86_401, True, True), (-5, True, True)],
)
def test_lag_is_shown_for_live_sources_and_recent_events(age_s, live, shown):
    console = terminal(is_terminal=True)
    progress = Progress(console, None, live=live)
    progress.update(**totals(NOW_S, 1, newest_us=int((NOW_S - age_s) * 1e6)))
    assert ("lag" in drawn(console)) is shown


def test_a_pipe_sees_nothing_but_the_summary():
    console = terminal(is_terminal=False)
    progress = Progress(console, 10, live=True)
    for second in range(3):
        progress.update(**totals(NOW_S + second, second, consumed_bytes=second))
    summary = progress.finish(
        lines=2, events=1, votes=1, rejects=0, repeats=0, watermark=None, data="d", now_s=NOW_S + 3
    )
    assert drawn(console) == ""
    assert summary.startswith("2 lines in 3.0 s")


def test_it_draws_at_most_ten_times_a_second():
    console = terminal(is_terminal=True)
    progress = Progress(console, None, live=False)
    for turn in range(1_000):
        progress.update(**totals(NOW_S + turn / 1_000, turn))
    assert drawn(console).count("lines/s") <= 12


def test_golden_summary():
    progress = Progress(terminal(is_terminal=False), None, live=False, started_s=NOW_S)
    summary = progress.finish(
        lines=74_209,
        events=45_312,
        votes=28_897,
        rejects=0,
        repeats=3,
        watermark="1998-12-07 22:23:04Z",
        data="./data",
        now_s=NOW_S + 1.9,
    )
    assert summary == (
        "74,209 lines in 1.9 s (39,000/s): 45,312 events, 28,897 votes, 0 rejects, 3 repeats;"
        " watermark 1998-12-07 22:23:04Z; data ./data"
    )


def test_golden_alerts_are_told_where_there_are_rules():
    console = terminal(is_terminal=True)
    progress = Progress(console, None, live=False, started_s=NOW_S)
    progress.update(**totals(NOW_S + 2, 10), alerts=0)
    progress.update(**totals(NOW_S + 4, 20), alerts=1_234)
    assert "· 0 rejects · 0 alerts" in drawn(console)
    assert "· 0 rejects · 1,234 alerts" in drawn(console)
    summary = progress.finish(
        lines=20,
        events=9,
        votes=9,
        rejects=2,
        repeats=0,
        alerts=1,
        unsent=2,
        watermark=None,
        data="x",
        now_s=NOW_S + 5,
    )
    assert summary == (
        "20 lines in 5.0 s (4/s): 9 events, 9 votes, 2 rejects, 0 repeats, 1 alert; no watermark"
        " yet; data x; 2 notifications still to be sent"
    )


def test_golden_summary_of_nothing_at_all():
    progress = Progress(terminal(is_terminal=False), None, live=False)
    summary = progress.finish(
        lines=0, events=0, votes=0, rejects=1, repeats=1, watermark=None, data="x", now_s=NOW_S
    )
    assert summary == (
        "0 lines in 0.0 s: 0 events, 0 votes, 1 reject, 1 repeat; no watermark yet; data x"
    )


def test_a_clock_that_is_set_back_does_no_harm():
    progress = Progress(terminal(is_terminal=True), 100, live=True, started_s=NOW_S)
    progress.update(**totals(NOW_S + 5, 10, newest_us=int(NOW_S * 1e6), consumed_bytes=5))
    progress.update(**totals(NOW_S - 500, 20, newest_us=int(NOW_S * 1e6), consumed_bytes=10))
    summary = progress.finish(
        lines=20, events=9, votes=9, rejects=2, repeats=0, watermark=None, data="x", now_s=NOW_S - 1
    )
    assert summary.startswith("20 lines in 0.0 s: ")


def test_golden_durations():
    said = [duration_text(seconds) for seconds in (0, 9.94, 9.96, 59.6, 3_599.4, 86_399, 90_000)]
    assert said == ["0.0 s", "9.9 s", "10 s", "1 min 0 s", "59 min 59 s", "23 h 59 min", "1 d 1 h"]
