"""Metrics over HTTP: what is refused and how, and what holds for every one of them."""

import pytest
from arthur_served import CONFIG, USERS, as_ana, named, predictions
from serving import serving

QUERY_PATH = "/models/{model_id}/inference/query"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("metrics"), CONFIG, users=USERS) as found:
        found.post_events(predictions("triage", 20))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


def made_of(name, function, **parameters):
    item = {"function": function} | ({"parameters": parameters} if parameters else {})
    return {"name": name, "query": {"select": [item]}, "endpoint": QUERY_PATH}


def post(http, body, model="triage"):
    return http.post(f"/api/v4/models/{model}/metrics", json=body)


def listed(http, **filters):
    answer = http.get("/api/v4/models/triage/metrics", params={"page_size": 200, **filters})
    assert answer.status_code == 200, answer.text
    return answer.json()["metrics"]


def test_error_a_name_is_taken_once(http):
    made = post(http, made_of("once", "count")).json()
    assert post(http, made_of("once", "avg", property="age")).status_code == 409
    assert [each["query"] for each in listed(http, metric_name="once")] == [made["query"]]


def test_law_a_metric_can_be_given_another_query_and_be_removed(http):
    first = post(http, made_of("to change", "count")).json()
    path = f"/api/v4/models/triage/metrics/{first['id']}"
    changed = http.put(path, json=made_of("to change", "avg", property="age"))
    assert (changed.status_code, changed.json()["type"]) == (200, "model_input_data_metric")
    assert http.put(path, json=made_of("another name", "count")).status_code == 400
    rule = {"metric_id": first["id"], "bound": "upper", "threshold": 1, "severity": "warning"}
    rule_id = http.post("/models/triage/alert_rules", json=rule).json()["id"]
    assert http.delete(path).status_code == 409
    assert http.delete(f"/models/triage/alert_rules/{rule_id}").status_code == 204
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404


def test_error_a_default_metric_stays(http):
    path = f"/api/v4/models/triage/metrics/{named(http, 'triage', 'f1')}"
    assert http.delete(path).status_code == 409
    assert http.put(path, json=made_of("f1", "count")).status_code == 409


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'"\xff"', b"null", b'{"name": "x", "query": {"a": 1e999}}', b"[" * 5000],
)
def test_error_bodies_that_are_none(http, data):
    answer = http.post("/api/v4/models/triage/metrics", content=data)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    "more",
    [{"unknown": 1}, {"parameters": [{"name": "p"}]}, {"endpoint": "/elsewhere"}, {"endpoint": 7}],
)
def test_error_fields_that_are_off(http, more):
    answer = post(http, made_of("off", "count") | more)
    assert answer.status_code == 400
    assert next(iter(more)) in answer.json()["error"]


def test_error_queries_nested_without_end(http):
    nested = {"property": "age"}
    for _ in range(200):
        nested = {"nested_function": {"function": "abs", "parameters": {"property": nested}}}
    query = {"select": [{"function": "avg", "parameters": nested}]}
    answer = post(http, {"name": "deep", "query": query, "endpoint": QUERY_PATH})
    assert answer.status_code == 400


def test_error_a_viewer_makes_none_and_others_models_are_not_there(served):
    with served.http("viewer") as viewer:
        assert post(viewer, made_of("x", "count")).status_code == 403
        assert viewer.get("/models/triage/metrics").status_code == 200
    with as_ana(served) as ana:
        for answer in (
            ana.get("/models/hidden/metrics"),
            post(ana, made_of("x", "count"), "hidden"),
        ):
            assert answer.status_code == 404


def test_golden_the_typed_client_hears_its_own_word_for_input_data(http):
    parameters = {"metric_name": "avg(features.age)", "expand": "type"}
    answer = http.get(
        "/api/v4/models/triage/metrics",
        params=parameters,
        headers={"User-Agent": "arthur-client/0.13.0 (system=Linux)"},
    )
    assert answer.json()["metrics"][0]["type"] == "model_data_bound_metric"
    found = listed(http, type="model_data_bound_metric", expand="type")
    assert {each["type"] for each in found} == {"model_input_data_metric"}
