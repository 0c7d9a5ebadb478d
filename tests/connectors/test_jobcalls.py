"""What the calls about a job tell while its model's metrics are not there yet, or are old."""

import json
from dataclasses import replace
from itertools import repeat

import pytest
from decoding import decoder
from harness import encoded, run

from connectors.calls import answered
from connectors.jobcalls import calls_about_jobs, latest_now, stored_rules
from engine.errors import NotFoundError, QueryError
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import model_metrics

START_MS = 1_000_000  # the harness receives everything in 1970
RULES = JobRules()


def events():
    """Ten decisions of a job, half of them with a label, two changed after the deployment."""
    base = {"model_id": "m", "job_id": "j"}

    def decided(n):
        decision = {"timestamp": START_MS + n, "prediction": "ab"[n % 2], "bucket_id": n}
        return {**base, "id": f"e{n}", **decision}

    def said(n, label, at_ms):
        voted = {"timestamp": at_ms, "label": label, "by": "ana"}
        return {"type": "label", "model_id": "m", "id": f"e{n}", **voted}

    found = [decided(n) for n in range(10)]
    found += [said(n, "a", START_MS + 100) for n in range(5)]
    found += [said(n, "c", START_MS + 900) for n in range(2)]
    deployed = {"type": "model", "status": "deployed", **base, "timestamp": START_MS + 500}
    return [*found, deployed]


@pytest.fixture(scope="module")
def store():
    with run(decoder(), encoded(events()), repeat(100)) as connection:
        yield connection


def asked(store, latest, name="job_and_latest_model", **arguments):
    calls = calls_about_jobs(lambda _: RULES, latest)
    return json.loads(answered(store, calls, name, {"job_id": "j", **arguments}, 20))


def knowing(store, *, recomputing, **changes):
    """What is last known of the model, with something else in it."""
    known = model_metrics(store.cursor(), "j", RULES, 1_000)
    base = {name: value for name, value in changes.items() if name == "deployed_us"}
    known = replace(known, knowledge=replace(known.knowledge, **base))
    return lambda *_: (known, recomputing)


def unknown(*_):
    return None, True


def absent(*_):
    msg = "Job or model not found"
    raise NotFoundError(msg)


def test_golden_what_is_known_now(store):
    found = asked(store, latest_now(lambda _: RULES, lambda: 1_000_000))
    job, model = found["job_metrics"], found["model_metrics"]
    assert model["last_recomputed_timestamp"] == "1970-01-01T00:00:01Z"
    assert (model["events_in_kb"], job["total_events_in_knowledge_base"]) == (5, 5)
    changed = job["changed_consensus_after_training"]
    assert (changed["total_events"], changed["top_events_ids"]) == (2, ["e0", "e1"])
    assert found["total_events"] == job["total_events"] == 10


def test_contract_ACi_24_before_anything_was_computed_model_and_knowledge_are_null(store):
    found = asked(store, unknown)
    job = found["job_metrics"]
    assert (found["model_metrics"], found["is_recomputing_metrics"]) == (None, True)
    assert (found["model_id"], job["total_events"]) == ("m", 10)
    assert job["total_events_in_knowledge_base"] is None
    assert job["changed_consensus_after_training"]["total_events"] is None
    assert found["total_events_in_knowledge_base"] is None
    alone = asked(store, unknown, "job")
    assert (alone["total_events"], alone["total_events_in_knowledge_base"]) == (10, None)
    assert asked(store, unknown, "model") is None


def test_contract_AC_56_61_old_metrics_are_told_with_the_knowledge_they_have(store):
    found = asked(store, knowing(store, recomputing=True, deployed_us=7))
    job, model = found["job_metrics"], found["model_metrics"]
    assert model["is_recomputing_metrics"]
    assert model["events_in_kb"] == job["total_events_in_knowledge_base"] == 5
    assert job["changed_consensus_after_training"]["total_events"] is None
    same = asked(store, knowing(store, recomputing=True))["job_metrics"]
    assert same["changed_consensus_after_training"]["total_events"] == 2


def test_a_job_without_an_active_model_is_told_alone(store):
    found = asked(store, absent, "job")
    assert (found["total_events"], found["is_recomputing_metrics"]) == (10, False)
    with pytest.raises(NotFoundError):
        asked(store, absent)
    with pytest.raises(NotFoundError):
        asked(store, absent, "job", job_id="x'; DROP")


def test_contract_AC_08_the_timeout_reaches_the_wait(store):
    waits = []

    def latest(_, job_id, timeout_s):
        waits.append((job_id, timeout_s))
        return None, True

    asked(store, latest)
    asked(store, latest, timeout_s=None)
    asked(store, latest, "model", timeout_s=3)
    assert waits == [("j", 120), ("j", 120), ("j", 3)]


@pytest.mark.parametrize("timeout_s", [-1, 3_571, 1.5, "1", True])
def test_error_of_the_timeout(store, timeout_s):
    with pytest.raises(QueryError, match="`timeout_s` must be a whole number from 0 to 3570"):
        asked(store, unknown, timeout_s=timeout_s)


def test_golden_rules_of_a_file_are_those_of_its_last_run(store):
    assert stored_rules(store) == JobRules()
    told = {"administrators": ["root"], "label_horizon_us": 5, "limits": [1, 2, 3]}
    store.execute("INSERT INTO settings VALUES ('deciding', ?)", [json.dumps(told)])
    assert stored_rules(store) == JobRules(("root",), 5, 3)
