"""The document's own example, through the engine: 5,276 events, and the answer it prints."""

import itertools
import json

import pytest
from decoding import decoder
from harness import encoded, run

from engine.config import ModelSettings, Settings
from engine.jobs.answers import job_and_latest_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import model_metrics
from engine.jobs.questions import parse_question

MODEL = "generic-1-1234-model-1747385873.hdf5"
START_MS = 1_735_689_600_000
MINUTE_MS = 60_000
DECIDED = {"Drop": (4490, 2066, 10), "Investigate": (749, 429, 5), "Escalate": (37, 21, 4)}
SETTINGS = Settings(
    models=(ModelSettings(MODEL, classes=tuple(DECIDED), minutes_per_event=1250.5 / 5276),)
)
RULES = JobRules.of(SETTINGS)
ARGUMENTS = {
    "job_id": 1234,
    "start_datetime": "2025-01-01T00:00:00Z",
    "end_datetime": "2025-01-02T00:00:00Z",
}


def perfect(label):
    events = DECIDED[label][0]
    counts = (events, 5276 - events, 0, 0)
    names = ("true_positives", "true_negatives", "false_positives", "false_negatives")
    rates = dict.fromkeys(("precision", "recall", "f1_score"), 1.0)
    return rates | dict(zip(names, counts, strict=True))


BLOCK = {
    "confusion_matrix": [[4490, 0, 0], [0, 749, 0], [0, 0, 37]],
    **dict.fromkeys(
        ("overall_accuracy", "overall_f1_score", "overall_recall", "overall_precision"), 1.0
    ),
    "metrics_per_decision": {label: perfect(label) for label in DECIDED},
}
DOCUMENT = {
    "job_id": 1234,
    "model_id": MODEL,
    "job_metrics": {
        **BLOCK,
        "start_time": "2025-01-01T00:00:00Z",
        "end_time": "2025-01-02T00:00:00Z",
        "time_saved_minutes": 1250.5,
        "active_model_id": MODEL,
        "all_model_ids": [MODEL],
        "total_events": 5276,
        "total_events_in_knowledge_base": 2516,
        "total_events_with_consensus": 5,
        "changed_consensus_after_training": {
            "total_events": 0,
            "top_events_ids": [],
            "top_buckets_ids": [],
        },
    },
    "model_metrics": {
        **BLOCK,
        "model_id": MODEL,
        "is_recomputing_metrics": False,
        "last_recomputed_timestamp": "2025-01-15T10:30:00Z",
        "kb_count_per_decision": {
            label: {"alerts_count": alerts, "buckets_count": buckets}
            for label, (_, alerts, buckets) in DECIDED.items()
        },
        "buckets_in_kb": 19,
        "events_in_kb": 2516,
    },
}


def stream():
    """A day: first what was learned from, labelled, then the deployment, then the other events."""
    known, later = [], []
    for label, (events, alerts, buckets) in DECIDED.items():
        for n in range(events):
            event = {"model_id": MODEL, "id": f"{label}-{n}", "job_id": 1234, "prediction": label}
            if n < alerts:
                event |= {"label": label, "bucket_id": f"{label}-{n % buckets}"}
            (known if n < alerts else later).append(event)
    at = itertools.count(START_MS, 10_000)
    lines = [event | {"timestamp": next(at)} for event in known]
    lines.append(
        {"type": "model", "model_id": MODEL, "status": "deployed", "timestamp": next(at)}
        | {"job_id": 1234}
    )
    lines += [event | {"timestamp": next(at)} for event in later]
    lines += [
        {"type": "label", "model_id": MODEL, "id": event["id"], "label": event["prediction"]}
        | {"timestamp": next(at), "by": "ana"}
        for event in later[:5]
    ]
    return lines


@pytest.fixture(scope="module")
def cursor():
    lines = encoded(stream())
    return run(decoder(max_future_us=None), lines, itertools.repeat(1500), SETTINGS).cursor()


def answer(cursor, **more):
    question = parse_question(ARGUMENTS | more)
    model = model_metrics(cursor, question.job_id, RULES, 1_736_937_000_000_000)
    job = job_metrics(cursor, question, RULES, model.knowledge)
    return job_and_latest_model(question, job, model, recomputing=False)


def pruned(found, wanted):
    """Only the keys of the document, in its order, floats to 12 digits."""
    if isinstance(wanted, dict):
        return {key: pruned(found[key], value) for key, value in wanted.items()}
    return round(found, 12) if isinstance(found, float) else found


def test_golden_the_documents_example_is_answered_to_the_letter(cursor):
    found = pruned(answer(cursor), DOCUMENT)
    assert json.dumps(found) == json.dumps(DOCUMENT)


def test_golden_the_documents_filter_leaves_one_decision(cursor):
    entry = {"field": "arcanna.result_label", "operator": "is", "value": "Escalate"}
    found = answer(cursor, filters=[entry])
    job = found["job_metrics"]
    assert job["confusion_matrix"] == [[0, 0, 0], [0, 0, 0], [0, 0, 37]]
    assert job["metrics_per_decision"]["Drop"]["precision"] is None
    assert job["total_events_in_knowledge_base"] == 2516
    assert found["model_metrics"]["confusion_matrix"] == BLOCK["confusion_matrix"]


def test_golden_what_the_answer_adds_says_what_the_matrix_rests_on(cursor):
    job = answer(cursor)["job_metrics"]
    assert job["labels"] == list(DECIDED)
    assert job["axes"] == {"rows": "truth", "cols": "prediction"}
    assert job["labelled_events"] == 2521
    assert job["labelled_metrics"]["confusion_matrix"] == [
        [2071, 0, 0],
        [0, 429, 0],
        [0, 0, 21],
    ]
    assert job["events_per_label_source"] == {"none": 2755, "prediction": 2516, "votes": 5}
    assert job["minutes_per_event"][MODEL]["event"] == pytest.approx(1250.5 / 5276)
