"""The document's own example, through the engine: 5,276 events, and the answer it prints."""

import itertools
import json

import pytest
from decoding import decoder
from harness import encoded, run
from job_document import ARGUMENTS, BLOCK, DECIDED, DOCUMENT, MODEL, stream

from engine.config import ModelSettings, Settings
from engine.jobs.answers import job_and_latest_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import model_metrics
from engine.jobs.questions import parse_question

SETTINGS = Settings(
    models=(ModelSettings(MODEL, classes=tuple(DECIDED), minutes_per_event=1250.5 / 5276),)
)
RULES = JobRules.of(SETTINGS)


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
