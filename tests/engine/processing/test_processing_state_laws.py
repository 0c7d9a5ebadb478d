"""The law of processing metrics: whatever the order, they equal plain Python over distinct events.

Random events of few ids, so that most are corrected, repeated or tied; in random order and blocks,
with the state made anew between them, and merges forced.
"""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processing_state import AMOUNTS, HOUR_MS, Stage, agree, expected, expected_choices, in_force

TIMES = st.sampled_from([-1, 0, 1, HOUR_MS - 1, HOUR_MS, -HOUR_MS, 1_700_000_000_000, 60_000])
NUMBERS = st.sampled_from([None, 0, 0.0, 0.1, 0.3, 7, 1e6, 2**60, 1e-9, 12.5])
WORDS = ["completed", "FAILED", "Canceled", "cancelled", "ingested", "DEFERRED", "errored", "x"]
RUNS = st.fixed_dictionaries(
    {
        "type": st.just("run"),
        "id": st.sampled_from(["a", "b", 1, "1", "c"]),
        "job_type": st.sampled_from(["parse", "Parse", "p:1"]),
        "version": st.sampled_from([None, "1", 1, "1.0"]),
        "status": st.sampled_from(WORDS),
        "error_category": st.sampled_from([None, "DATA", "data", "System", "algorithm", "odd"]),
        "timestamp": TIMES,
    }
    | dict.fromkeys(AMOUNTS["run"], NUMBERS)
)
INGESTS = st.fixed_dictionaries(
    {
        "type": st.just("ingest"),
        "id": st.sampled_from(["a", "b", "c", 2]),
        "strike": st.sampled_from(["north", 5, "5", "süd"]),
        "status": st.sampled_from([*WORDS, "Duplicate"]),
        "timestamp": TIMES,
    }
    | dict.fromkeys(AMOUNTS["ingest"], NUMBERS)
)
OTHERS = st.just({"type": "metric", "job_id": "j", "name": "loss", "value": 1, "timestamp": 0})


def spelled(event, dice):
    """Write an event with its keys in any order: the same event to everybody."""
    names = list(event)
    dice.shuffle(names)
    return json.dumps({name: event[name] for name in names})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(RUNS, INGESTS, OTHERS), max_size=25),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 3, 8192]),
)
def test_law_hours_are_a_function_of_the_distinct_events(events, dice, merge_rows):
    counted = [event for event in events if event["type"] != "metric"]
    lines = [spelled(event, dice) for event in events]
    lines += [spelled(dice.choice(events), dice) for _ in range(len(events) // 3)]
    dice.shuffle(lines)
    stage = Stage(merge_rows)
    while lines:
        size = dice.choice([1, 2, 5, 20])
        stage.take(lines[:size])
        lines = lines[size:]
        if dice.random() < 0.3:
            stage.reopen()
    agree(stage.metrics(), expected(counted))
    assert stage.choices() == expected_choices(counted)


@pytest.mark.parametrize("seed", [1, 2])
def test_oracle_thousands_of_events_with_corrections_of_every_field(seed):
    dice = random.Random(seed)
    events = [_random_run(dice, dice.randrange(900)) for _ in range(2400)]
    events += [dict(event) for event in dice.sample(events, 300)]
    for event in dice.sample(events, 600):  # one field of an event that is there, at the same time
        name = dice.choice(["job_type", "status", "error_category", "queue_time", "version"])
        events.append(event | {name: _random_run(dice, 0)[name]})
    dice.shuffle(events)
    stage = Stage(merge_rows=50)
    at = 0
    while at < len(events):
        size = dice.choice([1, 30, 400])
        stage.take(events[at : at + size])
        at += size
        if dice.random() < 0.2:
            stage.reopen()
    agree(stage.metrics(), expected(events))
    assert stage.choices() == expected_choices(events)
    found = stage.rows("SELECT event_id, job_type, version, status, queue_time FROM runs")
    fields = ("id", "job_type", "version", "status", "queue_time")
    wanted = [tuple(event[name] for name in fields) for event in in_force(events)]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def _random_run(dice, number):
    return {
        "type": "run",
        "id": f"r{number}",
        "job_type": f"job {dice.randrange(4)}",
        "version": dice.choice([None, "1", "2"]),
        "status": dice.choice(["COMPLETED", "FAILED", "CANCELED", "RUNNING"]),
        "error_category": dice.choice([None, None, "DATA", "SYSTEM", "Other"]),
        "timestamp": dice.randrange(0, 40) * HOUR_MS // 4,
        "queue_time": dice.choice([None, 0.0, dice.random() * 1e3]),
        "job_time": dice.random(),
    }
