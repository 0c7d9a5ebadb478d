"""Each item of the Arcanna contract over HTTP, and its document's example field for field."""

import json
import re
import time
from datetime import datetime

import httpx
import job_document
import pytest
from arcanna_serving import BOTH, JOB, MODEL, RECOMPUTE, arcanna, asked, client, filters
from serving import KEYS

DAY = {"start_datetime": "2025-01-01T00:00:00Z", "end_datetime": "2025-01-02T00:00:00Z"}
ESCALATE = filters(("arcanna.result_label", "is", "Escalate"))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with arcanna(tmp_path_factory.mktemp("arcanna")) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with client(served) as found:
        yield found


@pytest.fixture(scope="module")
def document(http):
    return asked(http, job_id=1234, **DAY)


def pruned(found, wanted):
    """Only the keys of the document, in its order, floats to 12 digits."""
    if isinstance(wanted, dict):
        return {key: pruned(found[key], value) for key, value in wanted.items()}
    return round(found, 12) if isinstance(found, float) else found


def test_golden_the_documents_example_field_for_field(document):
    found = pruned(document, job_document.DOCUMENT)
    recomputed = found["model_metrics"].pop("last_recomputed_timestamp")
    wanted = json.loads(json.dumps(job_document.DOCUMENT))
    assert wanted["model_metrics"].pop("last_recomputed_timestamp") == "2025-01-15T10:30:00Z"
    assert json.dumps(found) == json.dumps(wanted)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", recomputed)


def test_golden_the_documents_four_requests_as_curl_sends_them(served):
    range_ = "&start_datetime=2025-01-01T00:00:00Z&end_datetime=2025-01-02T00:00:00Z"
    headers = {"X-Arcanna-Api-Key": KEYS["viewer"], "Content-Type": "application/json"}
    body = '{"filters": [{"field": "arcanna.result_label", "operator": "is", "value": "Escalate"}]}'
    totals = []
    for query, content in [("", "{}"), (range_, "{}"), ("&timeout_s=300", "{}"), ("", body)]:
        url = f"{served.url}{BOTH}?job_id=1234{query}"
        answer = httpx.post(url, headers=headers, content=content, timeout=30)
        assert answer.status_code == 200
        totals.append(answer.json()["job_metrics"]["total_events"])
    assert totals == [5276, 5276, 5276, 37]


def test_golden_the_flat_fields_of_newer_clients_are_there_too(document):
    assert document["active_model_metrics"] == document["model_metrics"]
    for name, value in document["job_metrics"].items():
        assert document[name] == value


def test_contract_AC_01_one_call_gives_both(document):
    assert document["job_metrics"]["total_events"] == 5276
    assert document["model_metrics"]["model_id"] == job_document.MODEL


def test_contract_AC_02_the_call_stores_the_models_metrics(served, http):
    asked(http, job_id="soc")
    served.post_events([{"model_id": "small", "id": "later", "timestamp": "2025-01-01T10:00:00Z"}])
    served.post_events([{"model_id": "small", "id": "last", "timestamp": "2025-01-01T10:00:00Z"}])
    (stored,) = served.sql("SELECT model_id FROM model_metrics_log WHERE job_id = 'soc'")
    assert stored == ("small",)


def test_contract_AC_03_the_key_is_in_the_header(served):
    with client(served, "key-of-nobody-0123456789") as stranger:
        answer = stranger.post(BOTH, params={"job_id": 1234}, json={})
    assert (answer.status_code, list(answer.json())) == (401, ["error"])
    bare = httpx.post(f"{served.url}{BOTH}?job_id=1234", json={})
    assert (bare.status_code, bare.json()["error"]) == (401, "an API key must be given")


@pytest.mark.parametrize("content", [b"{}", b"", b" \n", b"null", b'{"filters": null}'])
def test_contract_AC_04_an_empty_body_is_valid(http, content):
    answer = http.post(BOTH, params={"job_id": 1234}, content=content)
    assert answer.json()["total_events"] == 5276


def test_contract_AC_05_a_job_is_a_number_or_a_text(http):
    assert asked(http, job_id=1234)["job_id"] == 1234
    assert asked(http, job_id="soc")["job_id"] == "soc"
    missing = http.post(BOTH, json={})
    assert (missing.status_code, missing.json()["detail"][0]["loc"]) == (422, ["query", "job_id"])


def test_contract_AC_06_the_start_is_inclusive(http):
    assert asked(http, job_id="soc", start_datetime="2025-01-01T09:00:00Z")["total_events"] >= 1
    found = asked(http, job_id="soc", start_datetime="2025-01-01T02:00:00+01:00", **end(2))
    assert (found["total_events"], found["start_time"]) == (1, "2025-01-01T01:00:00Z")


def end(hour):
    return {"end_datetime": f"2025-01-01T{hour:02}:00:00Z"}


def test_contract_AC_07_the_end_is_not_inclusive(http):
    assert asked(http, job_id="soc", **end(4))["total_events"] == 4
    assert asked(http, job_id="soc", end_datetime="2025-01-01")["total_events"] == 0


def test_contract_AC_08_the_wait_is_a_number_of_seconds(http):
    for timeout_s in (0, 1, 120, 3570):
        assert asked(http, job_id="soc", timeout_s=timeout_s)["job_metrics"]["total_events"] >= 10
    for timeout_s in ("-1", "3571", "1.5", "soon", "9" * 400):
        answer = http.post(BOTH, params={"job_id": "soc", "timeout_s": timeout_s}, json={})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", "timeout_s"]


def test_contract_AC_09_filters_are_a_list_that_may_be_empty(http):
    assert asked(http, body={"filters": []}, job_id=1234)["total_events"] == 5276
    assert asked(http, body=ESCALATE, job_id=1234)["total_events"] == 37


def test_contract_AC_10_a_filter_has_the_path_of_a_field(http):
    found = asked(http, body=filters(("features.city", "is", "Bern")), job_id="soc")
    assert found["total_events"] == 5


def test_contract_AC_11_a_filter_has_a_named_operator(http):
    counts = [
        asked(http, body=filters(each), job_id="soc", **end(10))["total_events"]
        for each in [
            ("prediction", "is not", "a"),
            ("features.city", "contains", "er"),
            ("score", "gt", 0.7),
            ("score", "lt", 0.2),
            ("label", "exists"),
        ]
    ]
    assert counts == [5, 5, 2, 2, 5]


def test_contract_AC_12_a_filter_has_a_value_of_any_scalar_kind(http):
    for value, count in [("0.3", 1), (0.3, 1), (True, 0)]:
        found = asked(http, body=filters(("score", "is", value)), job_id="soc", **end(10))
        assert found["total_events"] == count


def test_contract_AC_13_range_wait_and_filters_together(http):
    more = {"start_datetime": "2025-01-01T02:00:00Z", **end(8), "timeout_s": 5}
    body = filters(("prediction", "is", "a"))
    assert asked(http, body=body, job_id="soc", **more)["total_events"] == 3


def test_contract_AC_14_the_job_is_echoed(document):
    assert document["job_id"] == 1234


def test_contract_AC_15_the_model_is_the_active_one(document):
    assert document["model_id"] == job_document.MODEL


def test_contract_AC_16_job_metrics_have_the_documents_keys(document):
    assert set(job_document.DOCUMENT["job_metrics"]) <= set(document["job_metrics"])


def test_contract_AC_17_model_metrics_have_the_documents_keys(document):
    assert set(job_document.DOCUMENT["model_metrics"]) <= set(document["model_metrics"])


def test_contract_AC_31_32_the_period_that_was_used(document, http):
    told = [document["job_metrics"][name] for name in ("start_time", "end_time")]
    assert told == list(DAY.values())
    whole = asked(http, job_id="soc", **end(10))["job_metrics"]
    assert (whole["start_time"], whole["end_time"]) == (
        "2025-01-01T00:00:00Z",
        "2025-01-01T10:00:00Z",
    )


def test_contract_AC_33_minutes_saved_are_a_number(document):
    assert document["job_metrics"]["time_saved_minutes"] == pytest.approx(1250.5)


def test_contract_AC_34_35_the_models_of_the_job(document):
    assert document["job_metrics"]["active_model_id"] == job_document.MODEL
    assert document["job_metrics"]["all_model_ids"] == [job_document.MODEL]


def test_contract_AC_36_events_of_the_job_in_the_range(http):
    assert asked(http, job_id="soc", **end(10))["job_metrics"]["total_events"] == 10


def test_contract_AC_54_a_job_that_is_not_there(http):
    answer = http.post(BOTH, params={"job_id": "nowhere"}, json={})
    assert (answer.status_code, answer.json()) == (404, {"error": "Job or model not found"})


def test_contract_AC_55_57_the_refresh_is_part_of_the_request(served, http):
    before = asked(http, job_id="soc")["model_metrics"]
    more = {"model_id": "small", "id": "fresh", "timestamp": "2025-01-01T11:00:00Z"}
    served.post_events([{**more, "prediction": "a"}])
    after = asked(http, job_id="soc")["model_metrics"]
    assert after["total_events"] == before["total_events"] + 1
    assert not after["is_recomputing_metrics"]
    then = datetime.fromisoformat(after["last_recomputed_timestamp"])
    assert abs(time.time() - then.timestamp()) < 60  # noqa: TID251 - the wall clock is told


def test_contract_AC_58_the_siblings(served, http):
    job = asked(http, JOB, job_id=1234)
    assert (job["total_events"], job["total_events_in_knowledge_base"]) == (5276, 2516)
    assert "model_metrics" not in job
    model = http.get(MODEL, params={"job_id": 1234, "model_id": job_document.MODEL}).json()
    assert (model["model_id"], model["events_in_kb"]) == (job_document.MODEL, 2516)
    assert http.get(MODEL, params={"job_id": 1234}).json()["events_in_kb"] == 2516
    with client(served, KEYS["editor"]) as editor:
        query = {"job_id": 1234, "model_id": job_document.MODEL}
        assert editor.post(RECOMPUTE, params=query).status_code == 200


QUESTIONS = [
    ({"job_id": 1234}, None),
    ({"job_id": 1234, **DAY}, ESCALATE),
    ({"job_id": "soc"}, None),
    ({"job_id": "soc", **end(5)}, filters(("prediction", "is", "b"))),
]


@pytest.fixture(scope="module", params=range(len(QUESTIONS)))
def any_answer(request, http):
    query, body = QUESTIONS[request.param]
    return asked(http, body=body, **query)


def sections(answer):
    return [answer["job_metrics"], answer["model_metrics"], answer]


def test_contract_AC_59_a_matrix_adds_up_to_the_events_decided(any_answer):
    for part in sections(any_answer):
        assert sum(map(sum, part["confusion_matrix"])) == part["total_events"]


def test_contract_AC_60_four_counts_add_up_for_every_decision(any_answer):
    names = ("true_positives", "true_negatives", "false_positives", "false_negatives")
    for part in sections(any_answer):
        total = sum(map(sum, part["confusion_matrix"]))
        for each in part["metrics_per_decision"].values():
            assert sum(each[name] for name in names) == total


def test_contract_AC_61_events_of_the_knowledge_base_add_up(any_answer):
    model = any_answer["model_metrics"]
    alerts = sum(each["alerts_count"] for each in model["kb_count_per_decision"].values())
    assert alerts == model["events_in_kb"]
    assert alerts == any_answer["job_metrics"]["total_events_in_knowledge_base"]


def test_contract_AC_62_buckets_of_the_knowledge_base_add_up(any_answer):
    model = any_answer["model_metrics"]
    buckets = sum(each["buckets_count"] for each in model["kb_count_per_decision"].values())
    assert buckets == model["buckets_in_kb"]


def test_contract_AC_63_one_active_model(any_answer):
    told = {any_answer["model_id"], any_answer["job_metrics"]["active_model_id"]}
    assert told == {any_answer["model_metrics"]["model_id"]}
