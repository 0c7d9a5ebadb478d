"""The life of anomaly jobs over HTTP: made, told of, changed, opened, closed, deleted, and kept.

What the document's clients write into a job must come back as it was written, what cannot be here
must be refused with its reason, and nothing of it may be lost by a restart.
"""

import json

import pytest
from anomaly_store import JOB
from elastic_runs import CONFIG, ROOT, change, error_of
from serving import serving, user

BODY = {
    "description": "requests of hosts",
    "groups": ["web", "night"],
    "analysis_config": {
        "bucket_span": "10m",
        "latency": "30s",
        "detectors": [
            {"function": "mean", "field_name": "took", "partition_field_name": "host"},
            {"detector_description": "rare words", "function": "rare", "by_field_name": "word"},
        ],
        "influencers": ["host", "word"],
    },
    "analysis_limits": {"model_memory_limit": "64mb"},
    "data_description": {"time_field": "@timestamp", "time_format": "yyyy-MM-dd HH:mm:ssX"},
    "background_persist_interval": "2h",
    "model_snapshot_retention_days": 5,
    "daily_model_snapshot_retention_after_days": 2,
    "renormalization_window_days": 14,
    "results_retention_days": 90,
    "custom_settings": {"made_by": "a test", "nested": {"deep": [1, 2]}},
    "allow_lazy_open": False,
}
SMALL = {"analysis_config": {"detectors": [{"function": "count"}]}, "data_description": {}}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    narrow = user("narrow", "editor", key="key-of-somebody-narrow", models=(JOB, "planes"))
    with serving(tmp_path_factory.mktemp("run"), CONFIG, users=[narrow]) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture(scope="module")
def narrow(served):
    with served.http("nobody", headers={"X-Api-Key": "key-of-somebody-narrow"}) as client:
        yield client


def made(http, job_id, body=SMALL):
    response = http.put(f"{ROOT}/{job_id}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def whole(http):
    """A job with everything; each job more makes every change slower."""
    return made(http, "whole", BODY)


@pytest.fixture(scope="module")
def small(http):
    """A job with nothing but what it needs."""
    return made(http, "small")


def one(http, job_id):
    told = http.get(f"{ROOT}/{job_id}").json()
    assert told["count"] == 1
    return told["jobs"][0]


def state(http, job_id):
    return http.get(f"{ROOT}/{job_id}/_stats").json()["jobs"][0]["state"]


# ---- made ------------------------------------------------------------------------------------


def test_contract_ELi_15_a_job_comes_back_as_it_was_written(http, whole):
    assert whole == one(http, "whole")
    told = json.loads(json.dumps(whole))
    assert told["job_type"] == "anomaly_detector"
    assert told["create_time"] > 1_700_000_000_000
    detectors = told["analysis_config"].pop("detectors")
    analysis = dict(BODY["analysis_config"])
    assert told["analysis_config"] == {k: v for k, v in analysis.items() if k != "detectors"}
    assert [each.pop("detector_index") for each in detectors] == [0, 1]
    assert detectors[0].pop("detector_description") == "mean(took) partitionfield=host"
    assert detectors == analysis["detectors"]
    for name in set(BODY) - {"analysis_config"}:
        assert told[name] == BODY[name], name


def test_law_a_job_can_be_made_anew_of_what_is_told_of_it(http, whole):
    told = http.get(f"{ROOT}/whole?exclude_generated=true").json()["jobs"][0]
    assert not {"create_time", "job_type"} & set(told)
    del told["job_id"]
    again = made(http, "again", told)
    assert whole | {name: again[name] for name in ("job_id", "create_time")} == again


def test_contract_ELi_16_functions_by_every_name_that_there_is(http):
    detectors = [
        {"function": "low_count"},
        {"function": "high_mean", "field_name": "a", "by_field_name": "b"},
        {"function": "rare", "by_field_name": "b", "over_field_name": "c"},
        {"function": "time_of_week", "by_field_name": "b"},
        {"function": "dc", "field_name": "a"},
    ]
    told = made(http, "functions", {**SMALL, "analysis_config": {"detectors": detectors}})
    found = [each["function"] for each in told["analysis_config"]["detectors"]]
    assert found == ["low_count", "high_mean", "rare", "time_of_week", "distinct_count"]
    for function in ("lat_long", "info_content", "nonsense"):
        detector = {"function": function, "field_name": "a"}
        body = {**SMALL, "analysis_config": {"detectors": [detector]}}
        assert function in error_of(http.put(f"{ROOT}/refused", json=body), 400)


def test_contract_ELi_17_custom_rules_with_scope_and_conditions(http):
    rule = {
        "actions": ["skip_result", "skip_model_update"],
        "scope": {"host": {"values": ["a", "b"], "filter_type": "exclude"}},
        "conditions": [{"applies_to": "actual", "operator": "lt", "value": 10.0}],
    }
    detector = {"function": "mean", "field_name": "took", "by_field_name": "host"}
    body = {"detectors": [{**detector, "custom_rules": [rule]}]}
    told = made(http, "ruled", {**SMALL, "analysis_config": body})
    assert told["analysis_config"]["detectors"][0]["custom_rules"] == [rule]
    body = {"detectors": [{**detector, "custom_rules": [{"actions": ["skip_result"]}]}]}
    bad = http.put(f"{ROOT}/refused", json={**SMALL, "analysis_config": body})
    assert "must have a `scope` or `conditions`" in error_of(bad, 400)


def test_contract_ELi_13_latency_stands_in_the_analysis(whole, small):
    assert whole["analysis_config"]["latency"] == "30s"
    assert "latency" not in small["analysis_config"]


def test_contract_ELi_19_snapshots_are_kept_for_ten_days_unless_told(http, small):
    assert small["background_persist_interval"] == "3h"
    assert small["model_snapshot_retention_days"] == 10
    assert small["daily_model_snapshot_retention_after_days"] == 1
    body = {**SMALL, "daily_model_snapshot_retention_after_days": 20}
    assert "at most" in error_of(http.put(f"{ROOT}/refused", json=body), 400)


def test_contract_ELi_18_calendars_of_the_file_and_none_over_rest(http):
    error_of(http.put("/_ml/calendars/holidays", json={}), 404, "resource_not_found_exception")


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"unknown": 1}, "x_content_parse_exception", "unknown field [unknown]"),
        ({"model": "m"}, "x_content_parse_exception", "unknown field [model]"),
        ({"analysis_config": None}, "x_content_parse_exception", "`analysis_config` must be"),
        ({"analysis_config": []}, "x_content_parse_exception", "must be an object"),
        ({"job_id": "other"}, "illegal_argument_exception", "`job_id` must be"),
        ({"allow_lazy_open": True}, "illegal_argument_exception", "`allow_lazy_open` must be"),
        ({"datafeed_config": {}}, "illegal_argument_exception", "events come from"),
        ({"results_index_name": "x"}, "illegal_argument_exception", "not supported"),
        ({"model_plot_config": {"terms": "a"}}, "x_content_parse_exception", "[terms]"),
        ({"custom_settings": {"bellwether": {"x": 1}}}, "x_content_parse_exception", "[x]"),
        ({"groups": ["flights"]}, "illegal_argument_exception", "different names"),
        ({"data_description": {"time_format": "h:mm a"}}, "illegal_argument_exception", "epoch"),
        ({"data_description": {"format": "xcontent"}}, "illegal_argument_exception", "JSON"),
        (
            {"analysis_config": {"detectors": [{"function": "count", "detector_index": 1}]}},
            "illegal_argument_exception",
            "its place",
        ),
        (
            {"analysis_config": {"detectors": [{"function": "mean"}]}},
            "illegal_argument_exception",
            "field_name must be given",
        ),
    ],
    ids=str,
)
def test_error_what_cannot_be_is_refused_with_its_reason(http, change, kind, reason):
    found = error_of(http.put(f"{ROOT}/refused", json={**SMALL, **change}), 400, kind)
    assert reason in found
    error_of(http.get(f"{ROOT}/refused"), 404)


@pytest.mark.parametrize("body", [b"[1]", b"{", b"nothing", b'{"a":"\\ud800"}', b"", b"[" * 9000])
def test_error_a_body_that_is_no_object(http, body):
    error_of(http.put(f"{ROOT}/refused", content=body), 400, "x_content_parse_exception")


@pytest.mark.parametrize("job_id", ["UPPER", "-a", "a" * 300, "ü", "a%00b"])
def test_error_an_id_that_cannot_be(http, job_id):
    error_of(http.put(f"{ROOT}/{job_id}", json=SMALL), 400, "illegal_argument_exception")


def test_error_a_job_cannot_be_made_twice(http, small):
    again = http.put(f"{ROOT}/{small['job_id']}", json=SMALL)
    error_of(again, 400, "resource_already_exists_exception")
    error_of(http.put(f"{ROOT}/air", json=SMALL), 400)  # a group has that name


# ---- asked -----------------------------------------------------------------------------------


def test_contract_ELi_15_jobs_by_ids_groups_and_patterns(http):
    made(http, "pat-one", {**SMALL, "groups": ["pattern"]})
    made(http, "pat-two", {**SMALL, "groups": ["pattern"]})

    def found(expression):
        response = http.get(f"{ROOT}/{expression}")
        assert response.status_code == 200, response.text
        assert response.json()["count"] == len(response.json()["jobs"])
        return [each["job_id"] for each in response.json()["jobs"]]

    assert found("pat-*") == found("pattern") == found("patt*") == ["pat-one", "pat-two"]
    assert found("pat-two,air") == ["flights", "many", "pat-two"]
    assert set(found("_all")) == set(found("*")) >= {"pat-one", JOB, "others"}
    assert [each["job_id"] for each in http.get(ROOT).json()["jobs"]] == found("_all")
    assert found("nothing-*") == []
    error_of(http.get(f"{ROOT}/nothing-*?allow_no_match=false"), 404)
    assert "with id 'nothing'" in error_of(http.get(f"{ROOT}/pat-one,nothing"), 404)
    stats = http.get(f"{ROOT}/pattern/_stats").json()["jobs"]
    assert [each["job_id"] for each in stats] == ["pat-one", "pat-two"]
    assert http.get(f"{ROOT}/_stats").json()["count"] == http.get(ROOT).json()["count"]


def test_contract_ELi_22_counters_begin_at_nothing(http, small):
    (told,) = http.get(f"{ROOT}/{small['job_id']}/_stats").json()["jobs"]
    assert told["state"] == "closed"
    counts = told["data_counts"]
    for name in ("processed", "input"):
        assert counts[f"{name}_record_count"] == 0
    for name in ("out_of_order_timestamp", "missing_field", "bucket", "empty_bucket"):
        assert counts[f"{name}_count"] == 0
    assert told["timing_stats"]["bucket_count"] == 0


def test_contract_what_a_key_may_not_see_is_not_there(small, narrow):
    seen = [each["job_id"] for each in narrow.get(ROOT).json()["jobs"]]
    assert seen == [JOB]
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/_stats", None),
        ("DELETE", "", None),
        ("POST", "/_open", None),
        ("POST", "/_close", None),
        ("POST", "/_flush", None),
        ("POST", "/_update", {"description": "x"}),
        ("POST", "/_data", {"time": 1}),
    ):
        for job_id in (small["job_id"], "absent"):
            answer = narrow.request(method, f"{ROOT}/{job_id}{path}", json=body)
            assert error_of(answer, 404) == f"No known job with id '{job_id}'"
    for job_id in (small["job_id"], "absent"):
        error_of(narrow.put(f"{ROOT}/{job_id}", json=SMALL), 403, "security_exception")


def test_contract_a_viewer_may_not_change_anything(served):
    with served.http("viewer") as viewer:
        assert viewer.get(f"{ROOT}/{JOB}").status_code == 200
        for method, path, body in (
            ("PUT", "/viewed", SMALL),
            ("DELETE", f"/{JOB}", None),
            ("POST", f"/{JOB}/_close", None),
            ("POST", f"/{JOB}/_data", {"time": 1}),
        ):
            answer = viewer.request(method, ROOT + path, json=body)
            error_of(answer, 403, "security_exception")


# ---- opened, closed, changed, deleted --------------------------------------------------------


def test_contract_a_job_is_made_closed_and_one_of_the_file_is_open(http, small):
    door = small["job_id"]
    assert (state(http, door), state(http, JOB)) == ("closed", "opened")
    assert http.post(f"{ROOT}/{door}/_open", json={"timeout": "35m"}).json()["opened"] is True
    assert state(http, door) == "opened"
    error_of(http.post(f"{ROOT}/{door}/_open"), 409, "status_exception")
    assert http.post(f"{ROOT}/{door}/_close?force=true").json() == {"closed": True}
    assert http.post(f"{ROOT}/{door}/_close").json() == {"closed": True}
    assert state(http, door) == "closed"
    error_of(http.post(f"{ROOT}/{door}/_flush"), 409, "status_exception")
    error_of(http.post(f"{ROOT}/absent/_open"), 404)
    assert http.post(f"{ROOT}/absent-*/_close").json() == {"closed": True}
    error_of(http.post(f"{ROOT}/absent-*/_close", json={"allow_no_match": False}), 404)


def test_contract_a_time_far_ahead_of_the_clock_is_an_invalid_date(http):
    told = [{"time": 4_102_444_800}, {"time": 1_767_225_600}]
    counts = http.post(f"{ROOT}/{JOB}/_data", json=told).json()
    assert (counts["invalid_date_count"], counts["processed_record_count"]) == (1, 1)
    assert counts["rejected_record_count"] == 0


def test_contract_an_update_changes_what_it_names_and_nothing_else(http):
    before = made(http, "changed", BODY)
    body = {
        "description": "other words",
        "groups": None,
        "results_retention_days": None,
        "custom_settings": {"made_by": "somebody else"},
        "analysis_limits": {"model_memory_limit": "128mb"},
        "detectors": [{"detector_index": 1, "description": "words that are rare"}],
    }
    told = http.post(f"{ROOT}/changed/_update", json=body).json()
    assert told == one(http, "changed")
    expected = {k: v for k, v in before.items() if k not in ("groups", "results_retention_days")}
    expected |= {k: body[k] for k in ("description", "custom_settings", "analysis_limits")}
    detectors = expected["analysis_config"]["detectors"]
    detectors[1] = {**detectors[1], "detector_description": "words that are rare"}
    assert told == expected
    for bad in ({"analysis_config": {}}, {"bucket_span": "1h"}, {"job_id": "x"}):
        error_of(http.post(f"{ROOT}/changed/_update", json=bad), 400, "x_content_parse_exception")
    for bad in (
        {"detectors": [{"detector_index": 2}]},
        {"custom_settings": {"bellwether": {"model": "other"}}},
        {"results_retention_days": "long"},
    ):
        error_of(http.post(f"{ROOT}/changed/_update", json=bad), 400)
    assert one(http, "changed") == expected


def test_contract_an_open_job_is_deleted_only_by_force(served, http):
    made(http, "gone")
    http.post(f"{ROOT}/gone/_open")
    error_of(http.delete(f"{ROOT}/gone"), 409, "status_exception")
    error_of(http.delete(f"{ROOT}/gone?wait_for_completion=false"), 400)
    assert http.delete(f"{ROOT}/gone?force=true").json() == {"acknowledged": True}
    error_of(http.get(f"{ROOT}/gone"), 404)
    error_of(http.get(f"{ROOT}/gone/results/buckets"), 404)
    error_of(http.delete(f"{ROOT}/gone"), 404)
    made(http, "gone")
    assert state(http, "gone") == "closed"
    assert change(served, "SELECT state FROM anomaly_job_states WHERE job_id = 'gone'") == [
        ("closed",)
    ]


# ---- the form of answers ---------------------------------------------------------------------


def test_contract_every_answer_names_the_product_and_its_type(http):
    for version in (8, 9):
        accept = f"application/vnd.elasticsearch+json; compatible-with={version}"
        told = http.get(f"{ROOT}/{JOB}", headers={"Accept": accept})
        assert told.headers["content-type"].replace("; ", ";") == accept.replace("; ", ";")
        assert told.headers["x-elastic-product"] == "Elasticsearch"
        error = http.get(f"{ROOT}/absent", headers={"Accept": accept})
        assert error.headers["x-elastic-product"] == "Elasticsearch"
        number = http.get("/", headers={"Accept": accept}).json()["version"]["number"]
        assert number.startswith(f"{version}.")
    plain = http.get(f"{ROOT}/{JOB}")
    assert plain.headers["content-type"] == "application/json"
    assert plain.headers["x-elastic-product"] == "Elasticsearch"
    assert http.head("/").status_code == 200


def test_contract_parts_of_an_answer(http):
    told = http.get(f"{ROOT}/{JOB}?filter_path=jobs.job_id,count&pretty").text
    assert told == '{\n  "count": 1,\n  "jobs": [\n    {\n      "job_id": "flights"\n    }\n  ]\n}'
    left = http.get(f"{ROOT}/{JOB}?filter_path=-jobs").json()
    assert left == {"count": 1}
    for query in ("human=true", "error_trace", "pretty=perhaps", "unknown=1", "human&human"):
        error_of(http.get(f"{ROOT}/{JOB}?{query}"), 400, "illegal_argument_exception")


# ---- kept ------------------------------------------------------------------------------------


def test_law_jobs_and_their_doors_outlive_a_restart(tmp_path):
    with serving(tmp_path, CONFIG) as first, first.http("editor") as http:
        told = made(http, "kept", BODY)
        http.post(f"{ROOT}/kept/_open")
        http.post(f"{ROOT}/{JOB}/_close")
        http.delete(f"{ROOT}/others?force=true")
    with serving(tmp_path, CONFIG) as second, second.http("editor") as http:
        assert one(http, "kept") == told
        assert (state(http, "kept"), state(http, JOB)) == ("opened", "closed")
        error_of(http.get(f"{ROOT}/others"), 404)
