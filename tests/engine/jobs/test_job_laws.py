"""Answers about random jobs against plain Python over the distinct events.

Whatever the order of arrival, the repeats and the cuts: every figure of the job and of its model is
that of the naive twin, under any filter and range, and AC-59 to AC-63 hold for every answer.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from job_streams import FILTERS, RULES, START_MS, filter_objects, naive, stored, stream

from engine.errors import NotFoundError
from engine.jobs.answers import job_and_latest_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.model_metrics import ModelMetrics, model_metrics
from engine.jobs.questions import parse_question

EASY = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
MINUTE_MS = 60_000


def iso(ms):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()


def equal(found, wanted):
    """Compare JSON, floats to 1e-9; Counters without zeros."""
    assert found.keys() >= wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, dict):
            equal(found[key], value)
        elif value is None or isinstance(value, list | str):
            assert found[key] == value, key
        else:
            assert found[key] == pytest.approx(float(value), rel=1e-9), key


def check_laws(answer):
    """AC-59 to AC-63."""
    job, model = answer["job_metrics"], answer["model_metrics"]
    for block in (job, model, *(each["labelled_metrics"] for each in (job, model) if each)):
        if block is None:
            continue
        total = sum(map(sum, block["confusion_matrix"]))
        for each in block["metrics_per_decision"].values():
            counts = ("true_positives", "true_negatives", "false_positives", "false_negatives")
            assert sum(each[name] for name in counts) == total
        assert list(block["metrics_per_decision"]) == block["labels"]
    assert sum(map(sum, job["confusion_matrix"])) == job["total_events"]
    assert answer["model_id"] == job["active_model_id"]
    if model is not None:
        assert model["model_id"] == answer["model_id"]
        counts = model["kb_count_per_decision"].values()
        assert sum(each["alerts_count"] for each in counts) == model["events_in_kb"]
        assert sum(each["buckets_count"] for each in counts) == model["buckets_in_kb"]
        assert job["total_events_in_knowledge_base"] == model["events_in_kb"]


def asked(cursor, arguments):
    question = parse_question(arguments)
    try:
        model = model_metrics(cursor, question.job_id, RULES, 1)
    except NotFoundError:
        model = None
    base = None if model is None else model.knowledge
    job = job_metrics(cursor, question, RULES, base)
    assert job == job_metrics(cursor, question, RULES)
    return job_and_latest_model(question, job, model, recomputing=False)


def check_job(twin, answer, rows, start, end):
    job = answer["job_metrics"]
    equal(job, twin.decided(rows))
    assert job["changed_consensus_after_training"] == twin.changed(rows)
    assert job["all_model_ids"] == twin.models
    assert job["active_model_id"] == twin.active
    assert job["total_events_in_knowledge_base"] == len(twin.base())
    times = [row["time"] for row in rows]
    assert parse(job["start_time"]) == (start if start is not None else min(times, default=None))
    assert parse(job["end_time"]) == (end if end is not None else max(times, default=None))


def parse(text):
    if text is None:
        return None
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def check_model(twin, model):
    rows = [row for row in twin.rows if row["model_id"] == twin.active]
    equal(model, twin.decided(rows, [twin.active]))
    events, buckets = twin.counts()
    told = model["kb_count_per_decision"]
    assert {k: v["alerts_count"] for k, v in told.items() if v["alerts_count"]} == events
    assert {k: v["buckets_count"] for k, v in told.items() if v["buckets_count"]} == buckets


@EASY
@example(11, 3, "soc")  # a model with declared classes that is known by its deployment alone
@example(864, 4, "soc")  # one without events or minutes, in a job that has both
@given(st.integers(0, 2**32), st.integers(0, 50), st.sampled_from(["soc", 12]))
def test_law_answers_are_those_of_the_distinct_events(seed, size, job):
    chance = random.Random(seed)
    events = stream(chance, size)
    twin = naive(events, str(job))
    twin.classes = declared = ("Escalate", "Drop") if "m1" in twin.models else ()
    lines = [event for event in events for _ in range(chance.choice([1, 1, 2]))]
    chance.shuffle(lines)
    cursor = stored(lines, iter(lambda: chance.randrange(1, 9), 0))
    if not twin.models:
        with pytest.raises(NotFoundError, match="Job or model not found"):
            job_metrics(cursor, parse_question({"job_id": job}), RULES)
        return
    for _ in range(3):
        bounds = [START_MS + chance.randrange(-90, 300) * MINUTE_MS + 30_000 for _ in range(2)]
        start, end = (chance.choice([None, each]) for each in sorted(bounds))
        if start is not None and start == end:
            end = None
        filters = chance.sample(FILTERS, chance.choice([0, 0, 1, 1, 2]))
        arguments = {"job_id": job, "filters": filter_objects(filters)}
        arguments |= {} if start is None else {"start_datetime": iso(start)}
        arguments |= {} if end is None else {"end_datetime": iso(end)}
        answer = asked(cursor, arguments)
        check_laws(answer)
        check_job(twin, answer, twin.selection(start, end, filters), start, end)
    if twin.active is not None:
        twin.classes = declared if twin.active == "m1" else ()
        check_model(twin, asked(cursor, {"job_id": job})["model_metrics"])
        model = model_metrics(cursor, str(job), RULES, 5)
        again = ModelMetrics.from_json(model.to_json())
        assert again.decided == model.decided
        assert again.to_json() == model.to_json()
        assert again.knowledge.changed.equals(model.knowledge.changed)
