"""What is refused, in which words, and what a key may not see."""

import httpx
import job_document
import pytest
from arcanna_serving import BOTH, HIDDEN_KEY, JOB, MODEL, RECOMPUTE, SCOPES, arcanna, client
from serving import KEYS, ROLES

READ, ALL = ["read:job_metrics"], ["read:job_metrics", "execute:recompute_model_metrics"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with arcanna(tmp_path_factory.mktemp("arcanna")) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with client(served) as found:
        yield found


@pytest.mark.parametrize("role", ROLES)
def test_golden_scopes_are_a_bare_array_by_role(served, role):
    with client(served, KEYS[role]) as found:
        assert found.get(SCOPES).json() == (READ if role == "viewer" else ALL)


def test_golden_health_needs_no_key(served):
    for path in ("/api/v2/health", "/api/v2/health/"):
        answer = httpx.get(served.url + path)
        assert answer.json() == {"status": "OK", "reason": "", "reason_details": ""}


@pytest.mark.parametrize(
    ("content", "loc", "said"),
    [
        (b"{", ["body"], "must be JSON"),
        (b"[]", ["body"], "must be an object"),
        (b'{"filter": []}', ["body"], "no key but `filters`"),
        (b'{"job_id": 1}', ["body"], "no key but `filters`"),
        (b'{"filters": {}}', ["body", "filters"], "a list of filters"),
        (b'{"filters": [1]}', ["body", "filters", 0], "must be an object"),
        (b'{"filters": [{"field": "a"}]}', ["body", "filters", 0, "operator"], "is missing"),
        (
            b'{"filters": [{"field": "a", "operator": "like", "value": 1}]}',
            ["body", "filters", 0, "operator"],
            "must be one of",
        ),
        (
            b'{"filters": [{"field": "", "operator": "is", "value": 1}]}',
            ["body", "filters", 0, "field"],
            "a text of 1 to",
        ),
        (b"[" * 5000, ["body"], "must be JSON"),
        (b"\xff", ["body"], "must be JSON"),
    ],
)
def test_error_a_body_that_breaks_a_rule_is_422_with_its_place(http, content, loc, said):
    answer = http.post(BOTH, params={"job_id": 1234}, content=content)
    assert answer.status_code == 422
    told = answer.json()["detail"][0]
    assert (told["loc"], set(told)) == (loc, {"loc", "msg", "type"})
    assert said in told["msg"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_datetime", "yesterday"),
        ("end_datetime", "2025-13-01"),
        ("end_datetime", "\0"),
        ("job_id", "x" * 257),
        ("timeout_s", "1e3"),
        ("top", "0"),
    ],
)
def test_error_a_parameter_that_breaks_a_rule_is_422_with_its_name(http, name, value):
    answer = http.post(JOB, params={"job_id": 1234, name: value}, json={})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", name]


def test_error_all_faults_are_told_at_once(http):
    query = {"start_datetime": "soon", "timeout_s": "x"}
    answer = http.post(BOTH, params=query, json={"filters": 1})
    places = [tuple(each["loc"]) for each in answer.json()["detail"]]
    assert places == [
        ("query", "job_id"),
        ("query", "start_datetime"),
        ("body", "filters"),
        ("query", "timeout_s"),
    ]


def test_error_a_range_that_ends_before_it_begins(http):
    query = {"job_id": 1, "start_datetime": "2025-01-02", "end_datetime": "2025-01-01"}
    assert (
        http.post(BOTH, params=query, json={})
        .json()["detail"][0]["msg"]
        .startswith("`end_datetime` must be later than `start_datetime`")
    )


def test_a_zone_whose_plus_was_lost_on_the_way_is_read(served):
    headers = {"X-Arcanna-Api-Key": KEYS["viewer"]}
    url = f"{served.url}{BOTH}?job_id=soc&start_datetime=2025-01-01T02:00:00+01:00"
    answer = httpx.post(url, headers=headers, json={}, timeout=30)
    assert answer.json()["start_time"] == "2025-01-01T01:00:00Z"


@pytest.mark.parametrize("job_id", ["01", "+1", "-0", "9" * 200, "1.0", "'; DROP", "a/b", "ü"])
def test_error_strange_ids_are_not_there(http, job_id):
    answer = http.post(BOTH, params={"job_id": job_id}, json={})
    assert (answer.status_code, answer.json()) == (404, {"error": "Job or model not found"})


def test_error_a_viewer_may_not_request_a_recompute(http):
    query = {"job_id": 1234, "model_id": job_document.MODEL}
    answer = http.post(RECOMPUTE, params=query)
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "the user must be editor or more, got viewer"},
    )


def test_error_what_is_hidden_answers_like_what_is_not_there(served):
    with client(served, HIDDEN_KEY) as http:
        for job in (1234, 5678):
            for path in (BOTH, JOB):
                answer = http.post(path, params={"job_id": job}, json={})
                assert answer.status_code == 404
                assert answer.json() == {"error": "Job or model not found"}
            found = http.post(RECOMPUTE, params={"job_id": job, "model_id": job_document.MODEL})
            details = f"Model '{job_document.MODEL}' not found for job '{job}'"
            assert found.json() == {"error": "Model not found", "details": details}
        assert http.post(BOTH, params={"job_id": "soc"}, json={}).status_code == 200


def test_error_a_job_with_a_hidden_model_is_hidden_whole(served):
    event = {"model_id": "secret", "job_id": "mixed", "id": 1, "timestamp": "2025-01-01"}
    served.post_events([event, {**event, "model_id": "small"}])
    with client(served, HIDDEN_KEY) as http:
        assert http.post(BOTH, params={"job_id": "mixed"}, json={}).status_code == 404


def test_error_an_earlier_model_is_told_as_last_known_and_not_recomputed(served):
    told = {"type": "model", "status": "deployed", "job_id": "two"}
    event = {"job_id": "two", "id": 1, "prediction": "x"}
    with client(served, KEYS["editor"]) as http:
        for name, day in (("first", "2025-01-01"), ("second", "2025-01-02")):
            deployed = {**told, "model_id": name, "timestamp": day}
            served.post_events([deployed, {**event, "model_id": name, "timestamp": day}])
            assert http.post(BOTH, params={"job_id": "two"}, json={}).json()["model_id"] == name
            served.post_events([{**event, "model_id": name, "timestamp": day}])  # a commit
        found = http.get(MODEL, params={"job_id": "two", "model_id": "first"}).json()
        assert (found["model_id"], found["is_recomputing_metrics"]) == ("first", False)
        answer = http.post(RECOMPUTE, params={"job_id": "two", "model_id": "first"})
        assert answer.json()["details"] == "Model 'first' is not the active one of job 'two'"
        assert http.get(MODEL, params={"job_id": "two", "model_id": "third"}).status_code == 404


def test_error_what_there_is_not_is_told_in_the_contracts_words(http):
    answer = http.get("/api/v2/metrics/everything")
    assert answer.json() == {"error": "there is nothing at /api/v2/metrics/everything"}
    assert http.get(BOTH).status_code == 405
