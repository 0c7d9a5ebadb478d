"""The marks of minutes against a search of all lines: where the lines behind a window begin.

`from_position` of an alert is read from them, for ever. It must not depend on how the lines were
cut into blocks, on restarts in between, or on what has been dropped from memory.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rule_tables import RULE_TABLES
from engine.rules.marks import Marks
from engine.watermark import NEVER

MINUTE_US = 60_000_000

moments = st.one_of(
    st.just(NEVER),
    st.integers(-3 * MINUTE_US, 9 * MINUTE_US),
    st.builds(lambda n, us: n * MINUTE_US + us, st.integers(-3, 9), st.sampled_from((-1, 0))),
)
blocks = st.lists(
    st.tuples(
        st.lists(moments, max_size=6),
        st.sampled_from(("go on", "load again", "open anew")),
        st.integers(-240, 600),  # s: from where on marks are loaded
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def cursor():
    return duckdb.connect(config={"threads": 1})


def emptied(cursor):
    cursor.execute(f"CREATE OR REPLACE TABLE minute_marks ({RULE_TABLES['minute_marks']})")
    return Marks(cursor)


def naive(times_us, time_s):
    """Give the first line with an event time in the minute of a time, or behind that minute."""
    begin_us = time_s // 60 * MINUTE_US
    return next(n for n, us in enumerate(times_us) if us != NEVER and us >= begin_us)


def stored(cursor):
    return cursor.sql("SELECT minute_s, first_seq FROM minute_marks ORDER BY ALL").fetchall()


def table_of(times_us):
    """Give the rows that the store must have: each minute that the greatest time entered."""
    rows, greatest = [], NEVER
    for line, us in enumerate(times_us):
        if us != NEVER and (greatest == NEVER or us // MINUTE_US > greatest // MINUTE_US):
            rows.append((us // MINUTE_US * 60, line))
        greatest = max(greatest, us)
    return rows


@given(blocks)
def test_law_first_lines_are_those_of_a_search(cursor, made):
    marks, known, since_s = emptied(cursor), [], -600
    for times_us, what, load_s in made:
        marks.note(np.array(times_us, np.int64), len(known))
        known += times_us
        if what != "go on":
            marks = Marks(cursor) if what == "open anew" else marks
            marks.load(load_s)
            since_s = load_s
        if max(known, default=NEVER) == NEVER:
            continue
        last_s = max(known) // MINUTE_US * 60  # it can be asked for whatever was loaded
        minutes = [*range(-(-since_s // 60) * 60, last_s, 60), last_s]
        asked = [minute_s + s for minute_s in minutes for s in (0, 31, 59)]
        have = marks.first_lines(np.array(asked, np.int64)).tolist()
        assert have == [naive(known, time_s) for time_s in asked]
    assert stored(cursor) == table_of(known)


@given(
    st.integers(0, 1 << 32),
    st.integers(1, 5_000),  # lines so far
    st.integers(0, 7_200),  # s: how far back windows reach
    st.booleans(),
)
def test_law_forgetting_changes_no_later_answer(cursor, seed, cut, span_s, again):
    chance = np.random.default_rng(seed)
    times_us = np.cumsum(chance.integers(-MINUTE_US, 3 * MINUTE_US, 5_000))
    times_us[chance.random(5_000) < 0.1] = NEVER
    times_us[0] = 0
    marks = emptied(cursor)
    marks.note(times_us[:cut], 0)
    before_s = int(times_us[:cut].max()) // 1_000_000 - span_s
    marks.forget(before_s)
    if again:
        marks.load(before_s // 60 * 60)
    marks.note(times_us[cut:], cut)
    last_s = int(times_us.max()) // 1_000_000
    asked = [before_s, last_s, *chance.integers(before_s, last_s, 20, endpoint=True).tolist()]
    have = marks.first_lines(np.array(asked, np.int64)).tolist()
    assert have == [naive(times_us.tolist(), time_s) for time_s in asked]


def test_law_memory_holds_no_more_than_what_is_asked_for(cursor):
    marks, day = emptied(cursor), 1_440
    for minute in range(0, 5 * day, 60):
        block = np.arange(minute, minute + 60, dtype=np.int64)
        marks.note(block * MINUTE_US, minute)
        marks.forget((minute - 60) * 60)
        assert marks.first_lines(np.array([(minute - 60) * 60])) == [max(0, minute - 60)]
    assert len(stored(cursor)) == 5 * day  # the store keeps them all
    dropped = marks.first_lines(np.array([0])).tolist()[0]
    assert 5 * day - 2_200 < dropped < 5 * day - 60
    marks.load(0)
    assert marks.first_lines(np.array([0])) == [0]


def test_golden_alerts_on_empty_windows_have_no_first_line(cursor):
    marks = emptied(cursor)
    marks.note(np.array([NEVER, 30_000_000, 90_000_000, 61_000_000]), 7)
    starts = pa.array([0, 60_000_000, 60_000_000], pa.timestamp("us"))
    alerts = pa.table(
        {
            "window_start": starts,
            "from_position": pa.nulls(3, pa.int64()),
            "sample_count": pa.array([2, 0, 1]),
        }
    )
    placed = marks.placed(alerts)
    assert placed.schema == alerts.schema
    assert placed["from_position"].to_pylist() == [8, None, 9]
    assert placed.drop_columns("from_position").equals(alerts.drop_columns("from_position"))
