"""Decisions counted block by block are those of the distinct events, however they came.

Late labels, several voters, corrections, repeats, replaced predictions, changed jobs and numbers
that are no class all take counts back; a delta that was lost or taken twice would stay for ever.
"""

import random

import naive_jobs
import pytest
from decision_runs import (
    SETTINGS,
    START_MS,
    by_brute_force,
    come,
    counted,
    decoder,
    predictions_and_labels,
    taken,
)
from harness import encoded, fresh_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.batch import Block
from engine.config import Limits, ModelSettings, Settings
from engine.decode import canonical
from engine.jobs.days import MERGED
from engine.jobs.decisions import backfill_decisions, merge_decisions
from engine.monitor import Monitor


@pytest.fixture(scope="module")
def reader():
    return decoder()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(predictions_and_labels, st.integers(0, 1 << 30), st.integers(4, 12), st.integers(0, 4))
def test_law_decisions_depend_on_the_distinct_events_alone(reader, events, seed, cut, repeats):
    connection = taken(reader, come(events, seed, repeats), seed, cut)
    assert counted(connection) == naive_jobs.decisions(events, ("root",))
    assert counted(connection) == by_brute_force(connection)
    backfill_decisions(connection)  # what a migration does
    assert counted(connection) == naive_jobs.decisions(events, ("root",))


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(predictions_and_labels, st.integers(0, 1 << 30), st.integers(3, 6))
def test_law_merging_whenever_it_comes_changes_no_sum(reader, events, seed, cut):
    """Each block is followed by a merge or not, some by a new monitor, as after a kill."""
    choose, connection = random.Random(seed), fresh_store()
    monitor = Monitor(connection, SETTINGS, 60, canonical)
    lines, at, position = encoded(come(events, seed, 2)), 0, 0
    while at < len(lines):
        data = b"".join(lines[at : at + cut])
        monitor.take(reader.decode(Block("s", "p", position, data, 0)))
        at, position = at + cut, position + len(data)
        if choose.random() < 0.5:
            merge_decisions(connection)
        if choose.random() < 0.3:
            monitor = Monitor(connection, SETTINGS, 60, canonical)
    expected = naive_jobs.decisions(events, ("root",))
    assert counted(connection) == expected
    merge_decisions(connection)
    rows = connection.execute("SELECT count, block_seq FROM decision_panes").fetchall()
    assert sorted(rows) == sorted((count, MERGED) for count in expected.values())


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(predictions_and_labels, st.integers(0, 1 << 30))
def test_law_a_recount_with_other_administrators_is_as_if_they_had_always_been(
    reader, events, seed
):
    connection = taken(reader, come(events, seed), seed, 6)
    told = Settings(administrators=("ana",), models=(ModelSettings("m", job="k"),))
    Monitor(connection, told, 60, canonical).recount()
    assert counted(connection) == naive_jobs.decisions(events, ("ana",))


def test_law_large_blocks_count_as_small_ones_do(reader):
    """Many models, classes and hours: combinations are counted by sorting, then in an array."""
    draw = random.Random(5)
    events = [
        {
            "model_id": f"m{draw.randrange(40)}",
            "id": n,
            "timestamp": START_MS + draw.randrange(-(10**13), 10**12, 1000),
            "prediction": draw.choice(["X", 1, 1.25, f"c{draw.randrange(300)}"]),
            "label": draw.choice(["X", 2, 0.5, None, f"c{draw.randrange(300)}"]),
            "job_id": draw.choice([None, "j", f"j{draw.randrange(50)}"]),
        }
        for n in range(1200)
    ]
    expected = naive_jobs.decisions(events, ())
    assert counted(taken(reader, events, 1, 300)) == expected
    assert counted(taken(reader, events, 1, 5000)) == expected
    few = [event | {"timestamp": START_MS, "job_id": None, "model_id": "m"} for event in events]
    assert counted(taken(reader, few, 1, 5000)) == naive_jobs.decisions(few, ())


def test_golden_a_prediction_replaced_where_nobody_voted(reader):
    """No outcome exists at all: the difference must not be taken for nothing."""
    first = {"model_id": "m", "id": "c", "timestamp": START_MS, "job_id": "k"}
    events = [first, first | {"timestamp": START_MS + 1, "prediction": 0}]
    again = first | {"id": "b"}
    connection = taken(reader, [again, *events, again], 2, 1)
    assert counted(connection) == naive_jobs.decisions([*events, again])


def test_golden_models_and_classes_beyond_a_limit_keep_their_names(reader):
    """Panes of metrics rename them; jobs need the real model, and cut classes when asked."""
    told = Settings(limits=Limits(models=1, classes=1))
    events = [
        {"model_id": m, "id": m, "timestamp": START_MS, "prediction": m, "label": m} for m in "abc"
    ]
    assert counted(taken(reader, events, 1, 9, told)) == naive_jobs.decisions(events)
