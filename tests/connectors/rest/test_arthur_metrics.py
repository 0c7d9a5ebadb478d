"""Metrics over HTTP: one test for each item of the contract that is about making or listing them.

`test_contract_…` names the item.
"""

import copy

import pytest
from arthur_served import CONFIG, USERS, predictions
from serving import serving

QUERY_PATH = "/models/{model_id}/inference/query"
DRIFT_PATH = "/models/{model_id}/inference/data_drift"
BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]
AGES = [
    {"property": "age", "comparator": "gte", "value": 30},
    {"property": "age", "comparator": "lt", "value": 50},
]


def made_of(name, function, filters=(), **parameters):
    item = {"function": function} | ({"parameters": parameters} if parameters else {})
    return {
        "name": name,
        "query": {"select": [item], "filter": list(filters)},
        "endpoint": QUERY_PATH,
    }


TRUTH = {"ground_truth_property": "class_a_ground_truth", "predicted_property": "class_a"}
DRIFT = {
    "name": "PSI Data Drift Reference Set in Boston",
    "query": {
        "properties": ["temperature"],
        "num_bins": 20,
        "base": {"source": "reference"},
        "target": {"source": "inference", "filter": BOSTON},
    },
    "endpoint": DRIFT_PATH,
}
EXAMPLES = {
    "avg pred for Boston for class_a less.50": "model_output_metric",
    "Boston Inference Count": "model_output_metric",
    "RMSE when temp > 32": "model_performance_metric",
    "PSI Data Drift Reference Set in Boston": "model_data_drift_metric",
    "True Positive Rate for 30-50 yr olds": "model_performance_metric",
    "Accuracy Rate for 30-50 yr olds": "model_performance_metric",
}


def examples():
    """The document's metrics, its swapped truth put right (ARx-3)."""
    average = made_of("avg pred for Boston for class_a less.50", "avg", BOSTON, property="class_a")
    average["query"]["select"][0]["alias"] = "avg"
    count = made_of("Boston Inference Count", "count", BOSTON)
    warm = [{"property": "temperature", "comparator": "gte", "value": 32}]
    return [
        average,
        count,
        made_of("RMSE when temp > 32", "rmse", warm, **TRUTH),
        DRIFT,
        made_of(
            "True Positive Rate for 30-50 yr olds",
            "truePositiveRate",
            AGES,
            threshold=0.5,
            ground_truth_property="ground_truth_a",
            predicted_property="class_a",
        ),
        made_of(
            "Accuracy Rate for 30-50 yr olds",
            "accuracyRate",
            AGES,
            threshold=0.5,
            ground_truth_property="ground_truth_a",
            predicted_property="class_a",
        ),
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("metrics"), CONFIG, users=USERS) as found:
        reference = [
            each | {"type": "reference", "id": f"r{each['id']}"}
            for each in predictions("triage", 100)
        ]
        found.post_events(reference)
        found.post_events(predictions("triage", 200))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture(scope="module")
def made(http):
    """Make the document's examples; gives their ids by name."""
    answers = {each["name"]: post(http, each) for each in examples()}
    for answer in answers.values():
        assert answer.status_code == 201, answer.text
    return {name: answer.json()["id"] for name, answer in answers.items()}


def post(http, body, model="triage", prefix="/api/v4"):
    return http.post(f"{prefix}/models/{model}/metrics", json=body)


def listed(http, **filters):
    answer = http.get("/api/v4/models/triage/metrics", params={"page_size": 200, **filters})
    assert answer.status_code == 200, answer.text
    return answer.json()["metrics"]


def test_contract_AR_02_every_model_has_default_metrics(http):
    names = {each["name"] for each in listed(http, default="true")}
    assert {"count", "accuracyRate", "f1", "avg(features.age)", "PSI(features.age)"} <= names


def test_contract_AR_30_a_metric_comes_before_its_alert(http):
    body = {"metric_id": "", "bound": "upper", "threshold": 1, "severity": "warning"}
    nobody = "5b9a6f5a-3c55-3d8f-8d37-111111111111"
    answer = http.post("/models/triage/alert_rules", json=body | {"metric_id": nobody})
    assert answer.status_code == 404
    own = post(http, made_of("for an alert", "count")).json()["id"]
    answer = http.post("/models/triage/alert_rules", json=body | {"metric_id": own})
    assert answer.status_code == 200
    assert answer.json()["metric_id"] == own


def test_contract_AR_31_the_endpoint_hangs_on_the_model(http):
    assert http.get("/models/triage/metrics").status_code == 200
    assert http.get("/models/nowhere/metrics").status_code == 404
    assert post(http, made_of("x", "count"), "nowhere").status_code == 404


def test_contract_AR_32_a_metric_aggregates(http):
    query = {"select": [{"property": "age"}]}
    answer = post(http, {"name": "rows", "query": query, "endpoint": QUERY_PATH})
    assert answer.status_code == 400
    assert "aggregate" in answer.json()["error"]


@pytest.mark.parametrize(
    "query",
    [
        {"select": [{"function": "count"}, {"function": "avg", "parameters": {"property": "age"}}]},
        {"select": [{"function": "count"}], "group_by": [{"property": "city"}]},
    ],
)
def test_contract_AR_33_a_metric_has_one_value(http, query):
    answer = post(http, {"name": "several", "query": query, "endpoint": QUERY_PATH})
    assert answer.status_code == 400
    assert "one value" in answer.json()["error"]


def test_contract_AR_34_the_window_is_not_a_filter(http):
    times = [{"property": "inference_timestamp", "comparator": "gte", "value": "2025-01-01"}]
    answer = post(http, made_of("timed", "count", times))
    assert answer.status_code == 400
    assert "inference_timestamp" in answer.json()["error"]
    batches = [{"property": "batch_id", "comparator": "eq", "value": "b1"}]
    assert post(http, made_of("batched", "count", batches), "nightly").status_code == 400
    assert post(http, made_of("batched", "count", batches)).status_code == 201


@pytest.mark.parametrize(
    "query",
    [{}, {"select": []}, {"select": [{"function": "median"}]}, [], "count", None, {"a": [1] * 50}],
)
def test_contract_AR_35_what_is_no_metric_is_refused(http, query):
    answer = post(http, {"name": "off", "query": query, "endpoint": QUERY_PATH})
    assert answer.status_code == 400
    assert "query" in answer.json()["error"]
    assert not listed(http, metric_name="off")


def test_contract_AR_36_what_a_dry_run_takes_can_be_saved(http):
    body = made_of("tried first", "avg", BOSTON, property="age")
    tried = http.post("/models/triage/inferences/query", json=body["query"])
    assert tried.status_code == 200
    assert post(http, body).status_code == 201


@pytest.mark.parametrize("name", [None, "", 7, "two\nlines", "count", "avg(features.age)"])
def test_contract_AR_37_a_name_is_one_line_of_its_own(http, name):
    answer = post(http, made_of(name, "count"))
    assert answer.status_code == 400
    assert "name" in answer.json()["error"]


def test_contract_AR_38_the_query_is_kept_as_it_was(http, made):
    for told in examples():
        metric = http.get(f"/api/v4/models/triage/metrics/{made[told['name']]}").json()
        query = copy.deepcopy(metric["query"])
        if told is DRIFT:
            assert query.pop("metric") == "PSI"  # it says so itself
        assert query == told["query"]


def test_contract_AR_39_the_endpoint_tells_the_class(http, made):
    found = {each["id"]: each for each in listed(http)}
    for told in examples():
        kind = "data_drift" if told is DRIFT else "query"
        assert found[made[told["name"]]]["endpoint"] == f"/models/triage/inference/{kind}"
    wrong = {**DRIFT, "name": "wrong class", "endpoint": QUERY_PATH}
    assert post(http, wrong).status_code == 400
    other = {**DRIFT, "name": "of another", "endpoint": "/api/v3/models/nightly/inferences/query"}
    assert post(http, other).status_code == 400


def test_contract_AR_40_the_sdk_makes_one(http):
    body = {
        "name": "as the SDK",
        "query": {"select": [{"function": "max", "parameters": {"property": "age"}}]},
        "endpoint": "/api/v3/models/triage/inferences/query",
        "parameters": [],
        "type": "model_input_data_metric",
    }
    answer = post(http, body)
    assert answer.status_code == 201
    assert answer.json()["type"] == "model_input_data_metric"
    drift = {**DRIFT, "name": "drift as the SDK", "parameters": []}
    drift["endpoint"] = "/api/v3/models/triage/inferences/query/data_drift"
    assert post(http, drift).json()["type"] == "model_data_drift_metric"


def test_contract_AR_41_one_metric_by_its_id(http, made):
    metric_id = made["Boston Inference Count"]
    metric = http.get(f"/models/triage/metrics/{metric_id.upper()}").json()
    assert metric == {
        "id": metric_id,
        "model_id": "triage",
        "name": "Boston Inference Count",
        "query": examples()[1]["query"],
        "endpoint": "/models/triage/inference/query",
        "is_default": False,
        "attribute": None,
        "parameters": [],
        "type": "model_output_metric",
    }
    for wrong in ("nothing", "5b9a6f5a-3c55-3d8f-8d37-111111111111"):
        assert http.get(f"/models/triage/metrics/{wrong}").status_code == 404


def test_contract_AR_42_the_list_comes_in_pages(http, made):
    everything = listed(http)
    first = http.get("/models/triage/metrics/", params={"page_size": 7}).json()
    assert list(first) == ["metrics", "page", "page_size", "total_pages", "total_count"]
    assert first["total_count"] == len(everything)
    found = []
    for page in range(1, first["total_pages"] + 1):
        found += http.get("/models/triage/metrics/", params={"page_size": 7, "page": page}).json()[
            "metrics"
        ]
    assert [each["id"] for each in found] == [each["id"] for each in everything]
    assert set(made.values()) <= {each["id"] for each in found}
    beyond = http.get("/models/triage/metrics", params={"page_size": 7, "page": 99}).json()
    assert (beyond["metrics"], beyond["total_count"]) == ([], len(everything))


def test_contract_AR_43_expand_gives_the_type(http, made):
    assert all("type" not in each for each in listed(http))
    types = {each["name"]: each["type"] for each in listed(http, expand="type")}
    assert {name: types[name] for name in made} == EXAMPLES
    assert http.get("/models/triage/metrics", params={"expand": "all"}).status_code == 400


def test_contract_AR_44_default_leaves_the_custom_ones_out(http, made):
    found = listed(http, default="true")
    assert found
    assert all(each["is_default"] for each in found)
    ids = {each["id"] for each in listed(http, default="false")}
    assert set(made.values()) < ids


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("model_output_metric", "count"),
        ("model_input_data_metric", "avg(features.age)"),
        ("model_performance_metric", "f1"),
        ("model_data_drift_metric", "PSI(features.age)"),
    ],
)
def test_contract_AR_45_a_filter_by_type(http, kind, name):
    found = listed(http, type=kind, expand="type")
    assert name in {each["name"] for each in found}
    assert {each["type"] for each in found} == {kind}


def test_contract_AR_45_a_type_that_there_is_not(http):
    assert http.get("/models/triage/metrics", params={"type": "other"}).status_code == 400
    for wrong in ("other", "model_performance_metric", 7):
        body = {**made_of("typed", "count"), "type": wrong}
        assert post(http, body).status_code == 400
    assert not listed(http, metric_name="typed")


def test_contract_AR_46_a_filter_by_name(http, made):
    (found,) = listed(http, metric_name="Boston Inference Count")
    assert found["id"] == made["Boston Inference Count"]
    assert listed(http, metric_name="boston") == []


def test_contract_AR_47_a_filter_by_attribute(http):
    for attribute in ("age", "features.age"):
        found = listed(http, attribute_name=attribute, default="true")
        names = {each["name"] for each in found}
        assert {"avg(features.age)", "max(features.age)", "PSI(features.age)"} <= names
        assert {each["attribute"] for each in found} == {"features.age"}


def test_contract_AR_48_the_sdk_pages_through_all_of_them(http, made):
    page = total = 1
    found = []
    while page <= total:
        parameters = {"expand": "type", "page": str(page)}
        answer = http.get("/api/v4/models/triage/metrics", params=parameters).json()
        found += answer["metrics"]
        page, total = answer["page"] + 1, answer["total_pages"]
    assert len(found) == answer["total_count"]
    assert set(made.values()) <= {each["id"] for each in found}


def test_contract_AR_49_default_metrics_are_there_for_what_a_model_has(http):
    found = {each["name"]: each for each in listed(http, default="true")}
    for feature in ("age", "temperature"):
        for function in ("avg", "min", "max", "PSI", "KLDivergence", "HypothesisTest"):
            assert f"{function}(features.{feature})" in found
    assert "PSI(features.city)" in found
    assert "avg(features.city)" not in found
    assert "rmse" not in found  # there are no numbers to compare


def test_contract_ARx_1_both_spellings_of_the_endpoint(http):
    for number, word in enumerate(("inference", "inferences")):
        body = made_of(f"spelling {number}", "count")
        answer = post(http, body | {"endpoint": f"/models/triage/{word}/query"})
        assert answer.status_code == 201


def test_contract_ARx_2_the_misspelt_rate_is_an_alias(http):
    answer = post(http, made_of("misspelt", "falsePostiveRate"))
    assert answer.status_code == 201, answer.text
    body = {"metric_id": answer.json()["id"], "bound": "upper", "threshold": 1}
    rule = http.post("/models/triage/alert_rules", json=body | {"severity": "warning"})
    assert rule.status_code == 200


def test_contract_ARx_3_a_swapped_truth_is_told(http):
    swapped = {"ground_truth_property": "class_a", "predicted_property": "ground_truth_a"}
    answer = post(http, made_of("swapped", "truePositiveRate", AGES, threshold=0.5, **swapped))
    assert answer.status_code == 400
    assert "swapped" in answer.json()["error"]
    assert not listed(http, metric_name="swapped")


def test_contract_ARx_4_names_mean_nothing(http, made):
    metric = http.get(f"/models/triage/metrics/{made['RMSE when temp > 32']}").json()
    assert metric["query"]["filter"][0]["comparator"] == "gte"
