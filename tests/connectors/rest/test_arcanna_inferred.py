"""What the contract leaves open and others' sources tell, over HTTP."""

import json

import job_document
import pytest
from arcanna_serving import BOTH, RECOMPUTE, arcanna, asked, client, filters
from serving import KEYS

WHOLE = {"end_datetime": "2025-01-01T10:00:00Z"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with arcanna(tmp_path_factory.mktemp("arcanna")) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with client(served) as found:
        yield found


def count(http, *each):
    return asked(http, body=filters(*each), job_id="soc", **WHOLE)["total_events"]


def test_contract_ACi_05_minutes_are_saved_by_correct_decisions(http):
    found = asked(http, job_id="soc", **WHOLE)["job_metrics"]
    correct = sum(row[place] for place, row in enumerate(found["confusion_matrix"]))
    assert found["time_saved_minutes"] == 2.5 * correct


def test_contract_ACi_10_ten_ids_unless_another_number_is_asked_for(served, http):
    base = {"model_id": "many", "job_id": "changed"}
    known = [
        {**base, "id": f"k{n:03}", "timestamp": "2025-01-01", "prediction": "a", "bucket_id": n}
        for n in range(30)
    ]

    def votes(label, hour):
        said = {"type": "label", "label": label, "by": "ana", "timestamp": f"2025-01-01T{hour}:00Z"}
        return [{**said, "model_id": "many", "id": each["id"]} for each in known]

    deployed = {"type": "model", "status": "deployed", **base, "timestamp": "2025-01-01T12:00Z"}
    served.post_events([*known, *votes("a", "10"), deployed, *votes("b", "14")])
    for more, listed in [({}, 10), ({"top": 3}, 3), ({"top": 100}, 30)]:
        found = asked(http, job_id="changed", **more)["changed_consensus_after_training"]
        assert found["total_events"] == 30
        assert len(found["top_events_ids"]) == listed
        assert len(found["top_buckets_ids"]) == listed
    answer = http.post(BOTH, params={"job_id": "changed", "top": "1001"}, json={})
    assert answer.json()["detail"][0]["loc"] == ["query", "top"]


def test_contract_ACi_13_without_a_range_it_is_all_time(http):
    found = asked(http, job_id=1234)["job_metrics"]
    assert found["total_events"] == 5276


def test_contract_ACi_14_filters_must_all_hold(http):
    one, other = ("prediction", "is", "a"), ("features.city", "is", "Biel")
    assert (count(http, one), count(http, other), count(http, one, other)) == (5, 5, 2)


@pytest.mark.parametrize(
    ("operator", "value", "events"),
    [
        ("is", "Bern", 5),
        ("is not", "Bern", 5),
        ("is one of", ["Bern", "Biel", "Basel"], 10),
        ("is not one of", ["Biel"], 5),
        ("starts with", "Be", 5),
        ("not starts with", "Be", 5),
        ("contains", "ie", 5),
        ("not contains", "ie", 5),
        ("lt", "Biel", 5),
        ("lte", "Biel", 10),
        ("gt", "Bern", 5),
        ("gte", "Bern", 10),
    ],
)
def test_contract_ACi_15_the_operators_with_a_value(http, operator, value, events):
    assert count(http, ("features.city", operator, value)) == events


def test_contract_ACi_15_the_operators_without_a_value(http):
    assert count(http, ("features.city", "exists")) == 10
    assert count(http, ("features.city", "not exists")) == 0
    answer = http.post(
        BOTH, params={"job_id": "soc"}, json=filters(("features.city", "exists", "Bern"))
    )
    assert answer.json()["detail"][0]["loc"] == ["body", "filters", 0, "value"]


def test_contract_ACi_16_the_range_is_of_event_time(http):
    # All of it was received today.
    assert asked(http, job_id="soc", end_datetime="2025-01-02")["total_events"] == 10
    assert asked(http, job_id="soc", start_datetime="2025-01-02")["total_events"] == 0


def test_contract_ACi_19_rows_are_the_truth_and_columns_what_was_decided(http):
    found = asked(http, job_id="soc", **WHOLE)["job_metrics"]
    assert found["axes"] == {"rows": "truth", "cols": "prediction"}
    assert found["labels"] == list(found["metrics_per_decision"])
    a, b = found["labels"].index("a"), found["labels"].index("b")
    matrix = found["labelled_metrics"]["confusion_matrix"]
    assert (matrix[a][b], matrix[b][a]) == (2, 0)  # e1 and e3 are `a`, and were decided `b`


def test_contract_ACi_21_a_recompute_is_requested_and_told(served):
    query = {"job_id": 1234, "model_id": job_document.MODEL}
    with client(served, KEYS["editor"]) as editor:
        told = editor.post(RECOMPUTE, params=query).json()
        assert set(told) == {"message", "job_id", "model_id", "status", "requested_at"}
        assert (told["job_id"], told["model_id"]) == (1234, job_document.MODEL)
        assert told["status"] in {"queued", "in_progress", "completed"}
        asked(editor, job_id=1234)  # waits for it
        again = editor.get(RECOMPUTE, params=query).json()
        assert again["status"] == "completed"
        assert again["requested_at"] >= told["requested_at"]


@pytest.mark.parametrize("model", ["nothing", "small"])
def test_contract_ACi_21_a_model_that_is_not_there_is_told_with_details(served, model):
    with client(served, KEYS["editor"]) as editor:
        answer = editor.post(RECOMPUTE, params={"job_id": 1234, "model_id": model})
    details = f"Model '{model}' not found for job '1234'"
    assert answer.status_code == 404
    assert answer.json() == {"error": "Model not found", "details": details}


def test_contract_ACi_21_a_missing_parameter_is_a_list(served):
    with client(served, KEYS["editor"]) as editor:
        answer = editor.post(RECOMPUTE, params={"job_id": 1234})
    assert answer.status_code == 422
    (told,) = json.loads(answer.text)["detail"]
    assert (told["loc"], told["type"]) == (["query", "model_id"], "missing")
