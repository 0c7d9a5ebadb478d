"""The values in force: typed rows against JSON read in Python, and every law of the step tables.

The oracle takes the events one by one in plain Python; the laws say that neither order, nor
repeats, nor cutting, nor the time of a merge changes what a query answers.
"""

import json
import math

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_lines import (
    RECEIVED_US,
    held,
    metric,
    naive_held,
    naive_latest,
    shown,
    step_store,
    take,
)

from engine.steps.experiments import experiment_metrics
from engine.steps.step_queries import latest_of_jobs
from engine.steps.step_tables import STEP_TABLES
from engine.steps.steps import backfill

VALUES = (0.0, -0.0, 1, -1.5, 2**53 + 1, 10**30, 5e-324, "nan", "inf", "-inf")
STEPS = (None, 0, 1, 2, 2**53 + 1, 2**63 - 1)


def events(timed):
    times = st.integers(0, 3)
    return st.lists(
        st.fixed_dictionaries(
            {
                "type": st.just("metric"),
                "job_id": st.sampled_from((1, "1", "b\u00e9\n")),
                "name": st.sampled_from(("loss", "a b")),
                "value": st.sampled_from(VALUES),
                "step": st.sampled_from(STEPS),
                "timestamp": times if timed else times | st.none(),
                "experiment_id": st.sampled_from((None, "x", "y", 7)),
                "posted": st.just(None) if timed else st.sampled_from((None, True)),
            }
        ),
        max_size=10,
    )


def cut(data, count):
    """Draw a cutting of so many lines into three blocks, or fewer."""
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, count)] * 2)))
    return [part for part in (first, second - first, count - second) if part] or [1]


def answers(store):
    """Give everything that can be asked, as text."""
    table = latest_of_jobs(store)
    latest = {
        (row["job_id"], row["name"]): (row["step"], row["value"]) for row in table.to_pylist()
    }
    pages = [repr(experiment_metrics(store, name, 0, 1000)) for name in ("x", 7)]
    return shown(held(store)), shown(latest), pages


@settings(max_examples=30, deadline=None)
@given(events(timed=False), st.data())
def test_oracle_values_in_force_and_latest_ones(given_events, data):
    store = step_store()
    take(store, given_events, cut(data, len(given_events)), data.draw(st.sampled_from((0, 2, 99))))
    latest = {
        (row["job_id"], row["name"]): (row["step"], row["value"])
        for row in latest_of_jobs(store).to_pylist()
    }
    assert shown(held(store)) == shown(naive_held(given_events))
    assert shown(latest) == shown(naive_latest(given_events))


@settings(max_examples=10, deadline=None)
@given(events(timed=True), st.data())
def test_law_order_repeats_and_cutting_change_nothing(given_events, data):
    straight, mixed = step_store(), step_store()
    take(straight, given_events)
    repeated = given_events + data.draw(
        st.lists(st.sampled_from(given_events), max_size=4) if given_events else st.just([])
    )
    lines = data.draw(st.permutations(repeated))
    take(mixed, lines, cut(data, len(lines)), data.draw(st.sampled_from((0, 3, 99))))
    assert answers(mixed) == answers(straight)


@settings(max_examples=10, deadline=None)
@given(events(timed=False), st.data())
def test_law_migration_fills_what_live_blocks_did(given_events, data):
    live, later = step_store(), step_store()
    take(live, given_events, cut(data, len(given_events)), data.draw(st.sampled_from((0, 3, 99))))
    take(later, given_events)
    for name in STEP_TABLES:
        later.execute(f"DELETE FROM {name}")
    backfill(later)
    assert answers(later) == answers(live)
    log = "SELECT * FROM step_log"
    assert repr(later.execute(log).fetchall()) == repr(live.execute(log).fetchall())


def test_oracle_typed_rows_against_json_read_in_python():
    raw = [
        '{"type":"metric","job_id":"a\\u0000\\ud83d\\ude00","name":"n\\u00e9\\n\\"","value":1E5}',
        (
            '{"type":"metric","job_id":12345678901234567890123,"name":"x","value":0.1000000000000000055,'
            '"experiment_id":98765432109876543210987}'
        ),
        (
            '{"type":"metric","job_id":"j","n\\u0061me":"x","value":123456789012345678901234567890,'
            '"step":9223372036854775807,"timestamp":17.0005,"extra":{"step":3,"name":"no"}}'
        ),
        '{"type":"metric","job_id":-0,"name":"x","value":1e-320,"experiment_id":-0,"Step":4}',
        (
            '{"type":"metric","job_id":"j","name":"y","value":"-inf","step":null,"timestamp":null,'
            '"experiment_id":null}'
        ),
    ]
    store = step_store()
    take(store, raw)
    said = [json.loads(line) for line in raw]
    expected = [
        (
            str(event["job_id"]),
            event["name"],
            event.get("step") or 0,
            float(event["value"]),
            None if event.get("experiment_id") is None else str(event["experiment_id"]),
            event.get("timestamp") is None,
        )
        for event in said
    ]
    rows = store.execute(
        "SELECT job_id, name, step, value, experiment_id, received, epoch_us(time) FROM step_log"
    ).fetchall()
    assert [row[:6] for row in rows] == expected
    assert [row[6] for row in rows] == [RECEIVED_US, RECEIVED_US, 17_000, RECEIVED_US, RECEIVED_US]


def test_golden_the_temporary_table_holds_the_lines_of_the_block_in_order():
    store = step_store()
    run = {"type": "run", "id": "r", "job_type": "t", "status": "completed", "timestamp": 1}
    take(store, [run, metric("j", "b", 2, step=1), run, metric("j", "a", 1, timestamp=5)])
    rows = store.execute("SELECT * EXCLUDE (time) FROM t_steps").fetchall()
    assert rows == [(1, "j", "b", 1, 2.0, None, True, 1), (3, "j", "a", 0, 1.0, None, False, 0)]


def test_golden_a_block_without_metrics_leaves_everything_as_it_is():
    store = step_store()
    take(store, [{"type": "ingest", "id": "i", "strike": "s", "status": "x", "timestamp": 1}])
    assert store.execute("SELECT count(*) FROM step_log").fetchall() == [(0,)]


def test_law_merging_leaves_one_row_a_metric_and_counts_on_after_a_restart():
    store = step_store()
    for turn in range(6):
        take(store, [metric(f"j{n}", "m", n, step=turn) for n in range(10)], [5, 5], least_rows=12)
    rows, merged = store.execute(
        "SELECT count(*), count(*) FILTER (block_seq < 0) FROM step_latest"
    ).fetchall()[0]
    assert merged == 10
    assert rows <= 10 + 12
    assert latest_of_jobs(store)["step"].to_pylist() == [5] * 10


def test_golden_later_receipt_wins_over_any_time_and_so_does_what_was_posted():
    store = step_store()
    ms = RECEIVED_US // 1000
    lines = [
        metric("j", "a", 1),
        metric("j", "a", 2),  # the same receipt: the later line
        metric("j", "b", 1),
        metric("j", "b", 2, timestamp=ms + 1),
        metric("j", "c", 1),
        metric("j", "c", 9, timestamp=ms),
        metric("j", "d", 9, timestamp=ms),
        metric("j", "d", 8, timestamp=5, posted=True),
        metric("j", "d", 7, timestamp=5, posted=True),
        metric("j", "d", 9, timestamp=ms, posted=False),
    ]
    take(store, lines)
    assert {key[1]: row[0] for key, row in held(store).items()} == {
        "a": 2.0,
        "b": 1.0,
        "c": 1.0,
        "d": 7.0,
    }


@pytest.mark.parametrize("first", [float("nan"), 1.0])
def test_golden_of_equal_times_the_greatest_value_holds_and_nan_is_the_greatest(first):
    other = 1.0 if math.isnan(first) else float("nan")
    store = step_store()
    told = [str(value) if math.isnan(value) else value for value in (first, other)]
    take(store, [metric("j", "a", value, timestamp=1) for value in told])
    ((value, _, _),) = held(store).values()
    assert math.isnan(value)


@pytest.mark.parametrize("view", ["step_metrics", "_step_latest"])
def test_law_a_filter_on_job_and_name_reaches_the_table(view):
    store = step_store()
    take(store, [metric(f"j{n}", "n", n) for n in range(50)])
    (row,) = store.execute(
        f"EXPLAIN SELECT * FROM {view} WHERE job_id = 'j7' AND name = 'n'"
    ).fetchall()
    scan = row[1][row[1].index("Table:") :]
    assert "job_id = 'j7'" in scan[scan.index("Filters:") :]


@pytest.mark.parametrize("asked", [None, [], [1], ["1", 2, "nobody", 2]])
def test_oracle_latest_of_the_jobs_asked_for_also_by_a_cursor_that_only_reads(tmp_path, asked):
    lines = [metric(job, name, job, step=job) for job in (2, 1, 10) for name in "ba"]
    store = step_store()
    take(store, lines)
    path = str(tmp_path / "copy.duckdb")
    store.execute(f"ATTACH '{path}' AS copy; COPY FROM DATABASE memory TO copy; DETACH copy")
    with duckdb.connect(path, read_only=True) as reader:
        table = latest_of_jobs(reader, asked)
        left = "SELECT count(*) FROM duckdb_views() WHERE view_name = 'b_asked_jobs'"
        assert reader.execute(left).fetchall() == [(0,)]
    wanted = {"1", "10", "2"} if asked is None else {str(job) for job in asked}
    expected = [(str(job), name, job, float(job)) for job in (1, 10, 2) for name in "ab"]
    assert [tuple(row.values())[:4] for row in table.to_pylist()] == [
        row for row in expected if row[0] in wanted
    ]
    assert table.column_names == ["job_id", "name", "step", "value", "timestamp"]
