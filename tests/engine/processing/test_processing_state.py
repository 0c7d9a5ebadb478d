"""What runs and ingests add to the hours: the contract's rules on processing, one by one.

The laws in `test_processing_state_laws` compare everything with plain Python; here each rule that a
reader of `processing_metrics` relies on is told by a small example, with the id it has there.
"""

import pytest
from processing_state import (
    HOUR_MS,
    RUN_TIMES,
    Stage,
    agree,
    choice,
    expected,
    hour_of,
    ingest,
    raw_rows,
    run,
    utc,
)

from engine.decode import canonical
from engine.processing.hours import choice_of
from engine.processing.processing import backfill, drop_happenings
from engine.processing.processing_views import METRIC_COLUMNS

PARSE = choice("job-types", "parse")


@pytest.fixture
def stage():
    return Stage()


def amounts(stage, column, number=PARSE):
    return {key[2]: row for key, row in stage.metrics().items() if key[1::2] == (number, column)}


def test_contract_SCi_01_which_base_columns_each_type_has(stage):
    full = dict.fromkeys(RUN_TIMES, 1.5)
    sizes = {"file_size": 10, "transfer_time": 0.5, "ingest_time": 2}
    stage.take([run(1, error_category="DATA", **full), ingest(1, **sizes)])
    found = {}
    for catalogue, _, _, column in stage.metrics():
        found.setdefault(catalogue, set()).add(column)
    assert found == {name: set(columns) for name, columns in METRIC_COLUMNS.items()}
    counted = {
        name: sum(1 if column.endswith("_count") else 4 for column in columns)
        for name, columns in METRIC_COLUMNS.items()
    }
    assert counted == {"job-types": 31, "ingests": 17, "errors": 1}


def test_contract_SCi_02_rows_are_per_choice_and_truncated_utc_hour(stage):
    stage.take(
        [
            run(1, 5, 0),
            run(2, 5, 59),
            run(3, 6, 0, version="2"),
            run(4, timestamp="2026-11-21T10:59:59.999+01:00"),
            run(5, timestamp="1969-12-31T23:00:00Z"),
        ]
    )
    found = {
        (number, hour): row[0]
        for (_, number, hour, name), row in stage.metrics().items()
        if name == "total_count"
    }
    assert found == {
        (PARSE, utc(1970, 1, 1, 5)): 2,
        (choice("job-types", "parse", "2"), utc(1970, 1, 1, 6)): 1,
        (PARSE, utc(2026, 11, 21, 9)): 1,
        (PARSE, utc(1969, 12, 31, 23)): 1,
    }


def test_contract_SCi_03_a_repeated_or_corrected_set_replaces_itself(stage):
    day = [run(n, n % 24, queue_time=n / 7) for n in range(50)]
    stage.take(day)
    before = stage.metrics()
    stage.take(day)
    stage.reopen()
    stage.take(day[::-1])
    assert stage.metrics() == before
    later = [event | {"timestamp": event["timestamp"] + 1, "queue_time": 2.0} for event in day]
    stage.take(later)
    stage.take(day)
    agree(stage.metrics(), expected(later))
    assert stage.rows("SELECT count(*) FROM runs") == [(50,)]


def test_contract_SCi_11_a_minimum_of_zero_is_kept(stage):
    stage.take([run(1, queue_time=0), run(2, queue_time=4.0), run(3)])
    stage.take([run(4, 1, queue_time=0.0)])
    assert amounts(stage, "queue_time") == {
        hour_of(0): (2, 4.0, 0.0, 4.0),
        hour_of(HOUR_MS): (1, 0.0, 0.0, 0.0),
    }
    assert amounts(stage, "pre_time") == {}


def test_contract_SCi_12_a_maximum_below_zero_is_kept(stage):
    # The event's own rules refuse negative amounts; nothing behind them relies on it.
    events = [run(1, queue_time=-3.0), run(2, queue_time=-1.5)]
    for event in events:
        stage.take_rows(raw_rows([event]), 1)
    assert amounts(stage, "queue_time") == {hour_of(0): (2, -4.5, -3.0, -1.5)}


def test_contract_SCi_13_times_count_in_the_hour_of_their_run_alone(stage):
    stage.take([run(n, n, job_time=float(n + 1)) for n in range(24)])
    assert amounts(stage, "job_time") == {
        hour_of(n * HOUR_MS): (1, n + 1.0, n + 1.0, n + 1.0) for n in range(24)
    }


def test_law_trap_8_a_count_of_zero_stands_where_the_hour_has_events(stage):
    stage.take([run(1, status="RUNNING")])
    assert amounts(stage, "total_count") == {hour_of(0): (1, 1.0, None, None)}
    assert amounts(stage, "failed_count") == {hour_of(0): (0, 0.0, None, None)}
    assert amounts(stage, "error_data_count") == {hour_of(0): (0, 0.0, None, None)}


def test_golden_statuses_and_categories_compare_without_case(stage):
    words = ("Completed", "FAILED", "canceled", "Cancelled", "queued")
    stage.take([run(n, status=word) for n, word in enumerate(words)])
    stage.take([run(9, status="failed", error_category=word) for word in ("Data",)])
    stage.take([run(8, error_category="DATA"), run(7, error_category="Network")])
    found = {name: amounts(stage, name)[hour_of(0)][0] for name in METRIC_COLUMNS["job-types"][:7]}
    assert list(found.values()) == [3, 2, 2, 8, 0, 2, 0]
    errors = {row[2] for row in stage.choices() if row[0] == "errors"}
    assert errors == {"Data", "DATA", "Network"}


@pytest.mark.parametrize(
    ("name", "version"),
    [("parse", None), ("parse", "1.0"), ("a:1", "b"), ("a", "1:b"), ("ä\u0000😀'\"", "é")],
)
def test_oracle_choice_ids_follow_from_the_names(stage, name, version):
    stage.take(
        [run(1, job_type=name, version=version, error_category=name), ingest(1, strike=name)]
    )
    named = [("job-types", name, version), ("errors", name, None), ("ingests", name, None)]
    assert stage.choices() == {(one[0], choice(*one), *one[1:]) for one in named}
    assert [choice_of(*one) for one in named] == [choice(*one) for one in named]


@pytest.mark.parametrize("number", [0, 7, 2**53 + 1, 2**64, 10**255 + 1])
def test_golden_integer_ids_are_their_digits(stage, number):
    stage.take([run(1, id=number, version=number), ingest(1, id=number, strike=number)])
    stage.take([run(1, id=str(number), version=number), ingest(1, id=number, strike=str(number))])
    assert stage.rows("SELECT event_id, version FROM runs") == [(str(number), str(number))]
    assert stage.rows("SELECT event_id, strike FROM ingests") == [(str(number), str(number))]


def test_law_versions_beyond_64_bits_break_ties_that_canonical_json_cannot():
    rivals = [run(1, version=10**30 + n) for n in (5, 9, 2)]
    for first in range(3):
        here = Stage()
        here.take(rivals[first:])
        here.take(rivals[:first])
        assert here.rows("SELECT version FROM runs") == [(str(10**30 + 9),)]


def test_golden_escaped_names_and_numbers_in_other_spellings_are_read(stage):
    line = (
        r'{"type": "run", "id": "r", "job\u005ftype": "a\"\\\n", "Status": "x",'
        r' "status": "completed", "timestamp": 0, "queue_time": 12345678901234567890123,'
        r' "pre_time": 1e-400, "job_time": -0.0, "post_time": 2E1, "version": null}'
    )
    stage.take([line])
    assert stage.rows("SELECT job_type, version, status, queue_time, post_time FROM runs") == [
        ('a"\\\n', None, "completed", 12345678901234567890123.0, 20.0)
    ]


def test_golden_one_id_of_a_run_and_an_ingest_are_two_events(stage):
    stage.take([run(1, id="x"), ingest(1, id="x")])
    stage.take([ingest(1, id="x"), run(1, id="x")])
    assert stage.rows("SELECT count(*) FROM runs") == stage.rows("SELECT count(*) FROM ingests")
    agree(stage.metrics(), expected([run(1, id="x"), ingest(1, id="x")]))


def test_golden_a_choice_without_events_in_force_vanishes_with_its_hours(stage):
    stage.take([run(1, version="1", error_category="DATA"), run(2, version="2")])
    stage.take([run(1, 0, 1, version="2")])
    assert {(row[0], row[3]) for row in stage.choices()} == {("job-types", "2")}
    agree(stage.metrics(), expected([run(1, 0, 1, version="2"), run(2, version="2")]))
    stage.take([run(1, 0, 2, version="1")])
    assert {row[3] for row in stage.choices()} == {"1", "2"}
    stage.take([run(1, 1, version="1")])  # its only event moves to another hour
    assert {row[3] for row in stage.choices()} == {"1", "2"}


def test_law_deltas_merge_into_one_row_a_choice_and_hour():
    events = [run(n, n % 5, queue_time=n / 3) for n in range(100)]
    counts = []
    for merge_rows in (0, 25, 10**6):
        here = Stage(merge_rows)
        for at in range(0, 100, 10):
            here.take(events[at : at + 10])
        agree(here.metrics(), expected(events))
        counts.append(here.rows("SELECT count(*) FROM run_hours")[0][0])
    assert counts == [5, 25, 50]


def test_oracle_backfill_equals_what_blocks_made(stage):
    events = [run(n, n % 7, queue_time=n / 3, error_category="DATA") for n in range(60)]
    events += [run(n, n % 3, 1, job_time=0.1) for n in range(0, 60, 4)]
    events += [ingest(n, n % 4, file_size=n) for n in range(30)] * 2
    events += [ingest(n, n % 4, file_size=n + 1) for n in range(30)]
    stage.take(events, count=False)
    stage.take(events[::-1], count=False)
    backfill(stage.cursor, canonical)
    agree(stage.metrics(), expected(events))
    live = Stage()
    live.take(events)
    assert stage.choices() == live.choices()
    # What was filled in goes on as if it had been there always.
    stage.reopen()
    stage.take([run(0, 9, queue_time=1.0)])
    agree(stage.metrics(), expected([*events, run(0, 9, queue_time=1.0)]))


def test_law_dropped_lines_leave_their_hours(stage):
    old = [run(n, n % 3, queue_time=n / 3, error_category="DATA") for n in range(30)]
    new = [run(n, n % 3, 30, queue_time=n / 7) for n in range(30, 60)]
    stage.take([*old, ingest(1, file_size=3)])
    stage.take([run(0, 0, 5, queue_time=8.0)])
    stage.take(new)
    before = stage.metrics()
    stage.cursor.execute("BEGIN")
    drop_happenings(stage.cursor, 0, 31)
    stage.cursor.execute("COMMIT")
    agree(stage.metrics(), before)
    assert stage.rows("SELECT count(*) FROM runs") == [(31,)]
    assert stage.rows("SELECT count(*) FROM ingests") == [(0,)]
    assert stage.rows("SELECT count(*) FROM processing_retired") == [(0,)]
    # Corrections of what is left: their hours are computed anew, and still hold what was dropped.
    fixed = [event | {"timestamp": event["timestamp"] + HOUR_MS} for event in new[:9]]
    stage.take(fixed)
    events = [*old, ingest(1, file_size=3), run(0, 0, 5, queue_time=8.0), *new, *fixed]
    agree(stage.metrics(), expected(events))
    assert len(stage.choices()) == 3


def test_law_dropped_lines_that_were_replaced_stay_replaced(stage):
    stage.take([run(1, queue_time=1.0)])
    stage.take([run(1, 0, 1, queue_time=2.0)])
    stage.cursor.execute("BEGIN")
    drop_happenings(stage.cursor, 0, 1)
    stage.cursor.execute("COMMIT")
    stage.take([run(1, 1, queue_time=3.0)])
    agree(stage.metrics(), expected([run(1, 1, queue_time=3.0)]))
    assert stage.rows("SELECT queue_time FROM runs") == [(3.0,)]
