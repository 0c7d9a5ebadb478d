"""The models of a job and the active one, from `model` events, declarations and predictions."""

import itertools

import naive_jobs
import pytest
from decision_runs import DECLARED, JOBS, START_MS, all_events, come, decoder, taken
from harness import encoded, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import ModelSettings, Settings
from engine.jobs.declared import declare_models
from engine.jobs.deployments import (
    ActiveModel,
    active_model,
    backfill_deployments,
    in_job_sql,
    job_models,
    mapped_models,
)

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def reader():
    return decoder()


def models_of(connection, job):
    return job_models(connection, job).models


def prediction(model, hour, **more):
    at = START_MS + hour * HOUR_MS
    return {"model_id": model, "id": f"{model}{hour}", "timestamp": at, "job_id": "j"} | more


def deployment(model, hour, status="deployed", **more):
    at = START_MS + hour * HOUR_MS
    return {"type": "model", "model_id": model, "status": status, "timestamp": at} | more


def stored(reader, *events, **told):
    return run(reader, encoded(events), itertools.repeat(3), Settings(**told))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(all_events, st.integers(0, 1 << 30), st.integers(4, 12), st.integers(0, 4))
def test_law_models_and_active_model_depend_on_the_distinct_events_alone(
    reader, events, seed, cut, repeats
):
    connection = taken(reader, come(events, seed, repeats), seed, cut)
    for job in JOBS:
        assert models_of(connection, job) == naive_jobs.members(events, DECLARED, job)
        found, told = active_model(connection, job), naive_jobs.active(events, DECLARED, job)
        expected = told and ActiveModel(told[0], None if told[1] is None else told[1] * 1000)
        assert found == expected
    check_jobs(connection, events)


def check_jobs(connection, events):
    """Ask in both ways which job each prediction belongs to."""
    job = naive_jobs.job_of(events, DECLARED)
    expected = sorted(
        (model, time, job(model, own) or "") for model, own, time, *_ in naive_jobs.decided(events)
    )
    for each in JOBS:
        inside, values = in_job_sql("e", each, mapped_models(connection, each))
        rows = connection.execute(
            f"SELECT model_id, epoch_ms(event_time) FROM events e WHERE {inside}", values
        ).fetchall()
        assert sorted(rows) == [row[:2] for row in expected if row[2] == each]


def test_law_deployments_counted_again_from_the_stored_lines_are_the_same(reader):
    told = [deployment("m", 1), deployment("n", 2, 'a "b" \\ é\n', job_id=7)]
    connection = stored(reader, *told, prediction("m", 3), told[0])
    before = connection.execute("FROM deployments_log ORDER BY seq").fetchall()
    assert [row[3] for row in before] == ["deployed", 'a "b" \\ é\n', "deployed"]
    assert before[1][2] == "7"
    backfill_deployments(connection)
    assert connection.execute("FROM deployments_log ORDER BY seq").fetchall() == before


def test_golden_the_last_status_of_each_model_counts(reader):
    connection = stored(
        reader,
        prediction("a", 0),
        prediction("b", 5),
        deployment("a", 1, job_id="j"),
        deployment("b", 2, "DEPLOYED"),
        deployment("b", 3, "retired"),
    )
    assert active_model(connection, "j") == ActiveModel("a", (START_MS + HOUR_MS) * 1000)
    assert models_of(connection, "j") == ("a", "b")


def test_golden_a_batch_that_is_complete_deploys_nothing_and_takes_nothing_out_of_service(reader):
    told = deployment("m1", 2, "complete", batch_id="b1")
    connection = stored(reader, deployment("m1", 1, job_id="j"), told)
    deployed_us = (START_MS + HOUR_MS) * 1_000
    assert active_model(connection, "j") == ActiveModel("m1", deployed_us)
    backfill_deployments(connection)
    assert active_model(connection, "j") == ActiveModel("m1", deployed_us)


def test_golden_with_nothing_deployed_any_more_no_model_is_active(reader):
    connection = stored(reader, prediction("a", 0), deployment("a", 1, "retired"))
    assert active_model(connection, "j") is None
    assert models_of(connection, "j") == ("a",)


def test_golden_without_model_events_the_one_with_the_latest_prediction_is_active(reader):
    """To the microsecond: the last hour has three of them."""
    connection = stored(
        reader,
        prediction("z", 0),
        prediction("a", 3),
        prediction("c", 3, timestamp=START_MS + 3 * HOUR_MS + 1),
        prediction("b", 3, timestamp=START_MS + 3 * HOUR_MS + 1),
        prediction("x", 9, job_id="other"),
    )
    assert active_model(connection, "j") == ActiveModel("c", None)
    connection.execute("DELETE FROM events_kept")  # as retention does
    assert active_model(connection, "j") == ActiveModel("c", None)


def test_golden_a_prediction_that_moved_away_leaves_no_trace(reader):
    """The last one of the job was replaced by one of another job and hour."""
    moved = prediction("b", 9)
    connection = stored(
        reader,
        prediction("a", 0),
        moved,
        moved | {"timestamp": START_MS + 10 * HOUR_MS, "job_id": "k"},
    )
    assert active_model(connection, "j") == ActiveModel("a", None)
    assert models_of(connection, "j") == ("a",)
    assert models_of(connection, "k") == ("b",)


def test_golden_unknown_jobs_have_no_models(reader):
    connection = stored(reader, prediction("a", 0))
    assert active_model(connection, "?") is None
    assert models_of(connection, "?") == ()


def test_golden_declarations_are_those_of_the_session(reader):
    first = ModelSettings("a", job="j", minutes_per_event=2.5)
    connection = stored(reader, prediction("a", 0, job_id=None), models=(first,))
    assert models_of(connection, "j") == ("a",)
    second = ModelSettings("b", minutes_by_label=(("X", 1.0), ('"', 2.0)))
    declare_models(connection, Settings(models=(second,)))
    rows = connection.execute("FROM model_settings").fetchall()
    assert rows == [("b", None, None, '{"X":1.0,"\\"":2.0}', None)]
    assert models_of(connection, "j") == ()
