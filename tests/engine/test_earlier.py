"""Stored predictions by key: what lies in memory and what does not together are all of them."""

import duckdb
import pyarrow as pa
import pytest

from engine.earlier import LISTED, Earlier
from engine.rows import make_tables
from engine.seen import SEGMENT_BITS, Seen

KEY = 7


@pytest.fixture
def store():
    cursor = duckdb.connect(config={"threads": 1})
    make_tables(cursor)
    return cursor


def keep(store, seen, rows):
    """Store (line, id) of one model and one key; gives them as a block does."""
    for seq, name in rows:
        store.execute(
            "INSERT INTO events_kept (seq, key, model_id, event_id, event_time, received_time,"
            " partition_id, position, prediction) VALUES"
            " ($seq, $key, 'm', $name, '2024-01-01', '2024-01-01', 0, $seq, 'X')",
            {"seq": seq, "key": KEY, "name": name},
        )
        seen.add(seq >> SEGMENT_BITS, pa.array([KEY], pa.uint64()).to_numpy())
    chosen = ", ".join(str(seq) for seq, _ in rows)
    return store.sql(
        f"SELECT {LISTED}, true AS counted, true AS fresh FROM events_kept"
        f" WHERE seq IN ({chosen}) ORDER BY seq"
    ).to_arrow_table()


def asked(*names):
    columns = {"key": pa.array([KEY] * len(names), pa.uint64())}
    columns |= {
        "model_id": pa.array(["m"] * len(names), pa.string()),
        "event_id": pa.array(names, pa.string()),
    }
    return pa.table(columns)


def fetched(store, earlier, *names):
    earlier.fetch(pa.table({"key": pa.array([KEY], pa.uint64())}), asked(), asked(*names))
    return store.execute("SELECT seq, event_id, prediction, score FROM t_old").fetchall()


def started(store, seen, line):
    store.execute("DELETE FROM clock")
    store.execute(f"INSERT INTO clock VALUES (NULL, NULL, {line}, 1, 0, 0)")
    return Earlier(store, seen)


def test_what_was_stored_before_the_start_is_found_in_the_store(store):
    seen = Seen()
    keep(store, seen, [(3, "a")])
    earlier = started(store, seen, 10)
    assert fetched(store, earlier, "a") == [(3, "a", "X", None)]


def test_another_id_with_the_same_key_does_not_hide_an_older_row(store):
    seen = Seen()
    keep(store, seen, [(3, "a")])
    earlier = started(store, seen, 10)
    earlier.add(keep(store, seen, [(12, "b")]), None)
    assert fetched(store, earlier, "b") == [(12, "b", "X", None)]
    both = [(3, "a", "X", None), (12, "b", "X", None)]
    assert fetched(store, earlier, "a") == both
    assert fetched(store, earlier, "b", "a") == both


def test_what_was_replaced_is_left_out_wherever_it_lies(store):
    seen = Seen()
    keep(store, seen, [(3, "a")])
    earlier = started(store, seen, 10)
    earlier.add(keep(store, seen, [(12, "b"), (13, "c")]), None)
    store.execute("INSERT INTO events_retired VALUES (3), (12)")
    store.execute("CREATE OR REPLACE TEMP TABLE t_replaced AS SELECT 12::BIGINT AS seq")
    earlier.replace()
    assert fetched(store, earlier, "a", "b", "c") == [(13, "c", "X", None)]


def test_what_retention_dropped_is_found_no_more(store):
    seen, segment = Seen(), 1 << SEGMENT_BITS
    earlier = started(store, seen, 10)
    earlier.add(keep(store, seen, [(segment - 1, "a"), (segment, "b")]), None)
    assert [row[0] for row in fetched(store, earlier, "a", "b")] == [segment - 1, segment]
    store.execute(f"DELETE FROM events_kept WHERE seq < {segment}")
    seen.drop(0)
    earlier.drop(0)
    assert [row[0] for row in fetched(store, earlier, "a", "b")] == [segment]


def test_lines_that_did_not_count_are_not_held(store):
    seen = Seen()
    earlier = started(store, seen, 10)
    rows = keep(store, seen, [(12, "a"), (13, "a")])
    counted = rows.set_column(rows.schema.get_field_index("counted"), "counted", [[False, True]])
    earlier.add(counted, None)
    assert fetched(store, earlier, "a") == [(13, "a", "X", None)]
