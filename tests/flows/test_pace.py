"""When to commit, by a clock that is set by hand."""

import pytest

from flows.pace import COMMIT_EVERY_S, Pace

MB = 1 << 20


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def take(pace, clock, size, took_s):
    """Take a block as a run does; gives whether a commit came before it."""
    before = pace.late(size)
    if before:
        commit(pace, clock, 0.1)
        pace.begin()
    began_s = clock.now_s
    clock.now_s += took_s
    pace.taken(size, began_s)
    return before


def commit(pace, clock, took_s):
    began_s = clock.now_s
    clock.now_s += took_s
    pace.committed(began_s)


def started(clock):
    """Give the pace of a run with one commit behind it, 10 ms a megabyte, and a transaction."""
    pace = Pace(clock)
    pace.begin()
    take(pace, clock, 8 * MB, 0.08)
    commit(pace, clock, 0.1)
    pace.begin()
    return pace


def test_the_first_commit_comes_at_once(clock):
    pace = Pace(clock)
    assert not pace.due(waited=False)
    pace.begin()
    assert pace.due(waited=False)
    commit(pace, clock, 0.1)
    assert not pace.due(waited=False)


def test_the_next_ones_come_by_the_clock(clock):
    pace = started(clock)
    clock.now_s += COMMIT_EVERY_S - 0.01
    assert not pace.due(waited=False)
    clock.now_s += 0.02
    assert pace.due(waited=False)
    pace.end()
    assert not pace.due(waited=False)


def test_somebody_who_waits_gets_it_early_but_not_all_of_the_time(clock):
    pace = started(clock)
    assert not pace.due(waited=True)
    clock.now_s += 0.31  # three times what the last one took
    assert pace.due(waited=True)
    assert not pace.due(waited=False)


def test_a_block_that_would_end_too_late_waits_for_a_commit(clock):
    pace = started(clock)
    assert not take(pace, clock, 16 * MB, 0.16)
    assert not take(pace, clock, 16 * MB, 0.16)
    assert not pace.due(waited=False)
    assert take(pace, clock, 64 * MB, 0.64)
    assert pace.due(waited=False)


def test_nothing_is_late_where_nothing_was_taken_since_the_commit(clock):
    pace = started(clock)
    pace.end()
    assert not pace.late(1 << 30)


def test_small_blocks_tell_little_of_large_ones(clock):
    pace = started(clock)
    assert not take(pace, clock, 100, 0.02)  # what any block takes
    assert not take(pace, clock, 16 * MB, 0.16)
