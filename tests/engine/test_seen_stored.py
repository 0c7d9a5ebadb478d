"""Stored filters stand for the keys behind them: asked or made anew, before a restart or after."""

import numpy as np
import pytest
from harness import fresh_store

from engine import seen as seen_room
from engine.seen import SEGMENT_BITS, Seen, drop, fill, load, loaded, save

FULL = 1 << SEGMENT_BITS


@pytest.fixture
def store():
    """Three segments of a few events each; the last one is still being written to."""
    connection = fresh_store()
    connection.execute(
        "INSERT INTO events_kept (seq, key, model_id, event_id, event_time, received_time,"
        " partition_id, position, line) SELECT s * 1048576 + n, hash(s, n), 'm', n::VARCHAR,"
        " make_timestamp(0), make_timestamp(0), 0, n, '{}' FROM range(3) t(s), range(500) r(n)"
    )
    connection.execute(
        "INSERT INTO votes_log VALUES (1048576 + 700, 77, 'm', 'v', '', '', 'A', NULL,"
        " make_timestamp(0))"
    )
    return connection


def keys_in(connection):
    return np.array([k for (k,) in connection.execute("SELECT key FROM events_log").fetchall()])


def stored_segments(connection):
    sql = "SELECT DISTINCT segment FROM seen_filters ORDER BY 1"
    return [segment for (segment,) in connection.execute(sql).fetchall()]


def test_oracle_stored_filters_answer_as_the_keys_do(store):
    made = Seen()
    fill(made, store)
    assert save(made, store, 0, 2 * FULL + 500) == 2
    assert stored_segments(store) == [0, 1]
    read = Seen()
    assert load(read, store) == 2
    asked = np.concatenate((keys_in(store), [np.uint64(77)], np.arange(20_000, dtype=np.uint64)))
    for some in (asked.astype(np.uint64), asked[-5:].astype(np.uint64)):
        expected, found = made.ask(some), read.ask(some)
        assert found.segments == expected.segments
        assert (found.flags == expected.flags).all()


def test_law_what_is_stored_is_not_read_again(store):
    made = Seen()
    fill(made, store)
    save(made, store, 0, 2 * FULL + 500)
    store.execute(f"UPDATE events_kept SET key = 5 WHERE seq < {FULL}")
    read = Seen()
    load(read, store)
    assert not read.ask(np.array([5], np.uint64)).flags.any()


def test_law_a_segment_is_stored_once_when_it_is_full(store):
    made = Seen()
    fill(made, store)
    assert save(made, store, 0, FULL - 1) == 0
    assert save(made, store, 0, FULL) == 1
    assert save(made, store, 1, FULL + 9) == 1
    assert stored_segments(store) == [0]
    twice = "SELECT count(*) - count(DISTINCT (segment, part)) FROM seen_filters"
    assert store.execute(twice).fetchall() == [(0,)]


def test_law_a_dropped_segment_stays_forgotten(store):
    made = Seen()
    fill(made, store)
    save(made, store, 0, 2 * FULL + 500)
    drop(made, store, 1)
    read = Seen()
    assert load(read, store) == 2
    key = store.execute(f"SELECT key FROM events_log WHERE seq = {FULL}").fetchone()
    asked = np.array(key, np.uint64)
    assert not made.ask(asked).flags.any()
    assert not read.ask(asked).flags.any()
    assert seen_room.SEEN_TABLES.keys() == {"seen_filters"}


def test_law_the_order_of_the_stored_pieces_does_not_matter(store):
    made = Seen()
    fill(made, store)
    save(made, store, 0, 2 * FULL + 500)
    store.execute("CREATE TABLE mixed AS FROM seen_filters ORDER BY hash(segment, part)")
    store.execute("DELETE FROM seen_filters")
    store.execute("INSERT INTO seen_filters FROM mixed")
    read, beside = loaded(store, store.cursor())
    assert beside == 2
    assert all(read.words(segment) == made.words(segment) for segment in (0, 1))
