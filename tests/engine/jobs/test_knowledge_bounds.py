"""The knowledge base where its bounds bite: names of features that were not told, and more changed
events than are listed. Neither may change an answer."""

import itertools
import json
import random

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_streams import FILTERS, RULES, START_MS, filter_objects, stored, stream
from naive_job_answers import bucket_of

from engine.jobs.deployments import active_model
from engine.jobs.event_buckets import plain_names, with_buckets
from engine.jobs.feature_names import feature_names
from engine.jobs.job_metrics import job_metrics
from engine.jobs.knowledge import knowledge_of
from engine.jobs.questions import parse_question

EASY = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
VALUES = [0, 1, 1.0, -0.0, 2**53, 2**53 + 1, 1e-7, 1e300, 12.5, 10**20, "1", "", 'a"b\\', "é,:null"]
VALUES += [True, False, None, "true", "null"]
NAMES = ["a", "A", "b", 'q"', "é", "x.y", "o/p", "it's", "\n", "c"]


@pytest.mark.parametrize("told", [[], ["a"], NAMES, [*NAMES, "more"]])
def test_oracle_buckets_are_those_of_the_canonical_features_whatever_names_are_told(told):
    chance = random.Random(7)
    events = [
        {"features": {n: chance.choice(VALUES) for n in chance.sample(NAMES, chance.randrange(6))}}
        for _ in range(1500)
    ]
    events += [{}, {"features": {}}, {"features": {"a": None}}]
    events += [{"bucket_id": "x", "features": {"a": 1}}]
    with duckdb.connect() as cursor:
        cursor.execute("CREATE TABLE rows (nth INT, bucket_id VARCHAR, raw VARCHAR)")
        lines = [(n, e.get("bucket_id"), text(e)) for n, e in enumerate(events)]
        cursor.executemany("INSERT INTO rows VALUES (?, ?, ?)", lines)
        rows = with_buckets("SELECT * FROM rows", plain_names(told))
        found = cursor.execute(f"SELECT bucket FROM ({rows}) ORDER BY nth").fetchall()
    assert [bucket for (bucket,) in found] == [bucket_of(event) for event in events]


def text(event):
    """JSON with room between its parts, and whole numbers of any size."""
    return json.dumps(event, ensure_ascii=bool(len(str(event)) % 2))


def test_golden_names_come_from_samples_and_none_where_every_event_has_its_bucket():
    event = {"model_id": "m", "job_id": "j", "prediction": "a"}
    lines = [event | {"id": n, "timestamp": START_MS + n, "bucket_id": 1} for n in range(5)]
    cursor = stored(lines, itertools.repeat(2))
    assert feature_names(cursor, "e.job_id = $job", {"job": "j"}) is None
    lines += [event | {"id": "f", "timestamp": START_MS, "features": {"b": 1, "a": "x", "B": 2}}]
    cursor = stored(lines, itertools.repeat(2))
    assert feature_names(cursor, "e.job_id = $job", {"job": "j"}) == ("B", "a")
    assert feature_names(cursor, "e.job_id = $job", {"job": "k"}) is None


@EASY
@given(st.integers(0, 2**32), st.integers(10, 60))
def test_law_more_changed_events_than_are_listed_leave_every_answer_as_it_is(seed, size):
    chance = random.Random(seed)
    cursor = stored(stream(chance, size), iter(lambda: chance.randrange(1, 9), 0))
    active = active_model(cursor, "soc")
    if active is None:
        return
    whole, part = (knowledge_of(cursor, "soc", active, RULES, most) for most in (10_000, 1))
    assert part.changed_total == whole.changed_total == len(whole.changed)
    assert (part.events, part.buckets) == (whole.events, whole.buckets)
    for _ in range(4):
        filters = chance.sample(FILTERS, chance.choice([0, 1, 2]))
        start = f"2025-01-01T{chance.randrange(24):02d}:30:00Z"
        arguments = {"job_id": "soc", "filters": filter_objects(filters), "top": 1}
        arguments |= {} if chance.random() < 0.5 else {"start_datetime": start}
        question = parse_question(arguments)
        found = [job_metrics(cursor, question, RULES, base) for base in (whole, part)]
        assert found[0] == found[1]
