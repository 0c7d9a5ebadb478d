"""Rolling windows against naive twins that keep every amount and add up each window anew.

A window that drifts by one is silent: it shifts an alert by a minute. So amounts come in random
order and in random parts, boundaries are passed in jumps, and columns are hostile: late, taken
back, before 1970, ages apart.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.query.plan import Amounts, Component, Plan
from engine.rules.extract import extraction_of
from engine.rules.multisets import Entries, Multisets
from engine.rules.reader import Frame, Read, by_value, read_rows
from engine.rules.rowset import RowColumns
from engine.rules.windows import Deltas, Windows

LOOKBACK_S = 4

amounts = st.tuples(
    st.integers(0, 3),  # series
    st.integers(0, 12),  # pane
    st.integers(0, 6),  # boundaries that it comes too late
    st.sampled_from((-2, -1, 1, 3)),  # count, or weight
    st.integers(-5, 5),  # sum, or value
)
blocks = st.lists(
    st.tuples(st.lists(amounts, max_size=6), st.integers(0, 5)), min_size=1, max_size=6
)


def spread(rows, now_s):
    """Give series, enter, leave, count and sum as columns: no amount enters in the past."""
    made = []
    for series, pane, late, count, total in rows:
        enter = max(pane + 1 + late, now_s + 1)
        made.append((series, enter, pane + 1 + LOOKBACK_S, count, total))
    return np.array(made, np.int64).reshape(-1, 5).T


def walked(blocks_, add, advance):
    """Pass all blocks; gives the amounts so far with each block's span of boundaries."""
    now_s, known = 0, []
    for rows, jump in blocks_:
        columns = spread(rows, now_s)
        add(columns)
        known += columns.T.tolist()
        until_s = now_s + jump
        yield known, now_s, until_s, advance(until_s)
        now_s = until_s


def inside(known, series, time_s):
    return [row for row in known if row[0] == series and row[1] <= time_s < row[2]]


def changed(known, series, time_s):
    return any(row[0] == series and row[1] < row[2] and time_s in {row[1], row[2]} for row in known)


@given(blocks)
def test_law_windows_are_the_sums_of_what_is_inside(made):
    windows = Windows(1, 1)
    windows.grow(4)

    def add(columns):
        whole = columns[:3]
        windows.add(Deltas(*whole, columns[3][:, None], columns[4].astype(object)[:, None]))

    for known, now_s, until_s, moves in walked(made, add, windows.advance):
        want = [
            (series, time_s, sum(r[3] for r in rows), sum(r[4] for r in rows))
            for series in range(4)
            for time_s in range(now_s + 1, until_s + 1)
            if changed(known, series, time_s)
            for rows in [inside(known, series, time_s)]
        ]
        columns = (moves.series, moves.time_s, moves.counts[:, 0], moves.sums[:, 0])
        assert list(zip(*(column.tolist() for column in columns), strict=True)) == want
        counts, sums = windows.current(np.arange(4))
        rows = [inside(known, series, until_s) for series in range(4)]
        assert counts[:, 0].tolist() == [sum(r[3] for r in each) for each in rows]
        assert sums[:, 0].tolist() == [sum(r[4] for r in each) for each in rows]


@given(blocks)
def test_law_multisets_hold_what_is_inside_and_not_taken_back(made):
    windows = Multisets()

    def add(columns):
        values, pane = columns[4].astype(np.float64), columns[2] - 1 - LOOKBACK_S
        windows.add(Entries(*columns[:3], pane, values, columns[3]))

    for known, now_s, until_s, moves in walked(made, add, windows.advance):
        want = {}
        for series in range(4):
            for time_s in range(now_s + 1, until_s + 1):
                if changed(known, series, time_s):
                    content = want[series, time_s] = {}
                    for row in inside(known, series, time_s):
                        key = (row[2] - 1 - LOOKBACK_S, row[4])
                        content[key] = content.get(key, 0) + row[3]
        have = {}
        for move in moves:
            content = have[move.series, move.time_s] = {}
            told = move.content
            for pane, entry, weight in zip(told.panes, told.entries, told.weights, strict=True):
                assert weight > 0
                content[pane, entry] = content.get((pane, entry), 0) + weight
        assert list(have) == sorted(want)
        for key, content in want.items():
            assert have[key] == {k: weight for k, weight in content.items() if weight > 0}


def test_law_many_small_additions_cost_no_window_an_amount():
    chance = np.random.default_rng(5)
    windows, total = Windows(1, 0), 0
    windows.grow(1)
    for _ in range(3_000):
        enter = int(chance.integers(1, 500))
        column = np.array([enter], np.int64)
        counts = np.ones((1, 1), np.int64)
        blank = np.zeros((1, 0), object)
        windows.add(Deltas(column * 0, column, column + 1_000, counts, blank))
        total += enter <= 250
    assert windows.advance(250).counts[-1, 0] == total
    assert not len(windows.advance(250).series)
    assert windows.advance(500).counts[-1, 0] == 3_000
    assert windows.advance(2_000).counts[-1, 0] == 0
    assert not len(windows.advance(10_000).series)


# ---- what is read of rows --------------------------------------------------------------------


def test_golden_parameters_are_named_after_their_values():
    sql, used = by_value("r.\"n:$p0_\" > $p0_ AND r.x = '$p1_' OR $p2_", {"p0_": 1, "p2_": 1.0})
    assert len(used) == 2
    assert sorted(map(repr, used.values())) == ["1", "1.0"]
    assert sql.startswith('r."n:$p0_" > $v')
    assert "'$p1_'" in sql
    assert by_value("$a", {"a": "1"})[0] != by_value("$b", {"b": 1})[0]
    assert by_value("$a", {"a": 0.5})[0] == by_value("$b", {"b": 0.5})[0]


HOSTILE_US = {
    "empty": [],
    "one": [0],
    "before 1970": [-1, -60_000_000, -60_000_001, 59_999_999],
    "ages apart": [-62_135_596_800_000_000, 253_402_300_799_000_000, 5],
    "constant": [90_000_000] * 5,
}


@pytest.mark.parametrize("name", HOSTILE_US)
@pytest.mark.parametrize("step_s", [1, 60, 7])
def test_oracle_rows_are_numbered_by_model_pane_and_arrival(name, step_s):
    moments = HOSTILE_US[name] * 3
    size = len(moments)
    chance = np.random.default_rng(3)
    model_no, arrival = chance.integers(0, 3, size), np.array(moments, np.int64)
    arrival = np.maximum(arrival[::-1], arrival)
    rows = pa.table(
        {
            "model_no": pa.array(model_no, pa.int64()),
            "weight": pa.array(np.ones(size), pa.int64()),
            "arrival_us": pa.array(arrival, pa.int64()),
        }
    )
    read = Read(rows, {"m": pa.chunked_array([pa.array(moments, pa.int64())])})
    framed = read.framed(Frame("m", None, None, step_s))
    step_us = step_s * 1_000_000
    seen = {}
    for place in range(size):
        pane = moments[place] // step_us
        enter = max(pane, int(arrival[place]) // step_us) + 1
        assert framed.pane_s[place] == pane * step_s
        assert framed.enter_s[place] == enter * step_s
        key = (int(model_no[place]), pane, enter)
        number = seen.setdefault(key, int(framed.number[place]))
        assert number == framed.number[place]
    assert sorted(seen.values()) == list(range(len(framed.first)))
    for number, first in enumerate(framed.first.tolist()):
        same = np.flatnonzero(framed.number == number)
        assert first in same


def test_oracle_amounts_are_weighted_sums_of_the_rows_that_count(decoder_cursor):
    columns = RowColumns()
    score = columns.number("score")
    parts = (
        Component("all", "count", "true"),
        Component("high", "count", f"{score} > $p0_"),
        Component("sum", "sum", score),
    )
    plan = Plan("avg", f"{score} < $p1_", {"p0_": 0.5, "p1_": 9.0}, parts, of_amounts=_nothing)
    extraction = extraction_of(plan, columns, "event", 60, None)
    rows = pa.table(
        {
            "model_no": pa.array([0, 0, 0, 1, 2]),
            "weight": pa.array([1, -1, 1, 1, 1]),
            "arrival_us": pa.array([0, 0, 0, 0, 0]),
            "changed": pa.array([True, True, True, True, True]),
            "event_time": pa.array([0, 0, 0, 0, 0], pa.timestamp("us")),
            "score": pa.array([1.0, 0.25, None, 10.0, 1.0]),
        }
    )
    decoder_cursor.register("w_rows", rows)
    read = read_rows(decoder_cursor, rows, extraction.wanted)
    amount = extraction.amounts(read, np.array([True, True, False]))
    assert amount.model_no.tolist() == [0]
    assert (amount.pane_s.tolist(), amount.enter_s.tolist()) == ([0], [60])
    assert amount.counts.tolist() == [[0, 1]]  # the NULL is no number below 9
    assert amount.sums.tolist() == [[3 << 1072]]  # 1 - 0.25, in units of 2^-1074


@pytest.fixture
def decoder_cursor():
    return duckdb.connect(config={"threads": 1})


def _nothing(amounts_: Amounts) -> object:
    return amounts_
