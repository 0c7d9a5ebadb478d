"""Alert rules over HTTP: one test for each item of the contract that is about making or using them.

`test_contract_…` names the item; `test_error_…` says what is refused, and how.
"""

from uuid import UUID

import pytest
from arthur_served import CONFIG, USERS, named, predictions
from serving import serving

from engine.metrics import metric_id


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("rules"), CONFIG, users=USERS) as found:
        found.post_events(predictions("triage", 60) + predictions("hidden", 4))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture(scope="module")
def count_id(http):
    return named(http, "triage", "count")


@pytest.fixture
def rule_of(http, count_id):
    """Make a rule; gives the answer."""

    def make(model="triage", **more):
        body = {"metric_id": count_id, "bound": "upper", "threshold": 1e6, "severity": "warning"}
        given = {name: value for name, value in (body | more).items() if value != "left out"}
        return http.post(f"/api/v3/models/{model}/alert_rules", json=given)

    return make


@pytest.fixture(scope="module")
def path(http, count_id):
    """Make a rule that is changed again and again; gives its path."""
    body = {"metric_id": count_id, "bound": "upper", "threshold": 1e6, "severity": "warning"}
    made = http.post("/models/triage/alert_rules", json=body).json()
    return f"/models/triage/alert_rules/{made['id']}"


def listed(http, model="triage", **parameters):
    answer = http.get(f"/models/{model}/alert_rules", params={"page_size": 500, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_contract_AR_01_rules_hang_on_a_models_metrics(http, rule_of):
    rule = rule_of(name="of triage").json()
    assert rule["id"] in {each["id"] for each in listed(http)}
    assert rule["id"] not in {each["id"] for each in listed(http, "hidden")}
    assert http.get(f"/models/hidden/alert_rules/{rule['id']}").status_code == 404


def test_contract_AR_03_the_endpoint(http):
    for prefix in ("", "/api/v3", "/api/v4"):
        assert http.get(f"{prefix}/models/triage/alert_rules/").status_code == 200
    assert http.get("/models/nowhere/alert_rules").status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("left out", 400), (None, 400), ("count", 400), (7, 400), (str(UUID(int=7)), 404)],
)
def test_contract_AR_04_the_metric_is_needed(rule_of, wanted, status):
    answer = rule_of(metric_id=wanted)
    assert answer.status_code == status
    assert "metric_id" in answer.json()["error"]


def test_contract_AR_04_a_default_metric_of_a_property_goes_by_its_id(http, rule_of):
    for name in ("avg(features.age)", "accuracyRate"):
        wanted = named(http, "triage", name)
        rule = rule_of(metric_id=wanted.upper()).json()
        assert (rule["metric_id"], rule["metric_name"]) == (wanted, name)


def test_contract_AR_05_a_name_is_made_up_or_kept(http, rule_of):
    accuracy = named(http, "triage", "accuracyRate")
    names = [rule_of(metric_id=accuracy, bound="lower").json()["name"] for _ in range(2)]
    assert names == ["Accuracy Rate lower bound", "Accuracy Rate lower bound 2"]
    rules = [rule_of(name="twice there").json() for _ in range(2)]
    assert [each["name"] for each in rules] == ["twice there"] * 2
    assert rules[0]["id"] != rules[1]["id"]
    for wrong in ("", "two\nlines", 7):
        assert rule_of(name=wrong).status_code == 400


def refused(rule_of, field, values):
    for value in values:
        answer = rule_of(**{field: value})
        assert answer.status_code == 400, (field, value)
        assert field in answer.json()["error"]


def test_contract_AR_06_a_bound_is_upper_or_lower(rule_of):
    refused(rule_of, "bound", ["left out", None, "above", 1])
    for bound in ("upper", "lower"):
        assert rule_of(bound=bound).json()["bound"] == bound


def test_contract_AR_07_a_threshold_is_a_number(rule_of):
    refused(rule_of, "threshold", ["left out", None, "high", True, [1], "dynamic"])
    for number in (1, -2.5):
        assert rule_of(threshold=number).json()["threshold"] == number


def test_contract_AR_08_a_severity_is_warning_or_critical(rule_of):
    refused(rule_of, "severity", ["left out", None, "info", 1])
    for severity in ("warning", "critical"):
        assert rule_of(severity=severity).json()["severity"] == severity


def test_contract_AR_09_lookback_is_minutes_5_unless_told(rule_of):
    assert rule_of().json()["lookback_period"] == 5
    for minutes in (1, 0.5):
        assert rule_of(lookback_period=minutes).json()["lookback_period"] == minutes
    refused(rule_of, "lookback_period", [0, -1, "5", True, 1e300])


def test_contract_AR_09_batch_models_have_none(rule_of):
    answer = rule_of("nightly", metric_id=str(metric_id("nightly", "count")), lookback_period=5)
    assert answer.status_code == 400
    assert rule_of("nightly", metric_id=str(metric_id("nightly", "count"))).status_code == 200


def test_contract_AR_10_wait_is_minutes_0_unless_told(rule_of):
    assert rule_of().json()["subsequent_alert_wait_time"] == 0
    for minutes in (10, 1.5):
        told = rule_of(subsequent_alert_wait_time=minutes).json()
        assert told["subsequent_alert_wait_time"] == minutes
    refused(rule_of, "subsequent_alert_wait_time", [-1, "0", True])


def test_contract_AR_11_the_sdk_makes_one(rule_of, count_id):
    answer = rule_of(metric_parameters={}, enabled=True, lookback_period=3)
    assert answer.status_code == 200
    rule = answer.json()
    assert UUID(rule["id"])
    assert (rule["metric_id"], rule["metric_name"]) == (count_id, "count")


def test_contract_AR_12_the_list_comes_in_pages(http, rule_of):
    rule_of()
    everything = listed(http)
    first = http.get("/models/triage/alert_rules?page_size=2&page=1").json()
    assert list(first) == ["data", "page", "page_size", "total_pages", "total_count"]
    assert (first["page"], first["page_size"]) == (1, 2)
    assert first["total_count"] == len(everything)
    assert first["total_pages"] == -(-len(everything) // 2)
    second = http.get("/models/triage/alert_rules?page_size=2&page=2").json()
    assert first["data"] + second["data"] == everything[:4]
    assert http.get("/models/triage/alert_rules").json()["page_size"] == 20
    for wrong in ("page=0", "page_size=0", "page=x", "page_size=5000", "colour=red"):
        assert http.get(f"/models/triage/alert_rules?{wrong}").status_code == 400


def test_contract_AR_12_sorted_and_filtered(http, rule_of):
    rule_of(severity="critical", name="zz"), rule_of(severity="critical", name="aa")
    names = [each["name"] for each in listed(http, severity="critical", sort="-name")]
    assert names == sorted(names, reverse=True)
    assert {"aa", "zz", "too many"} <= set(names)
    assert "many" not in names


def test_contract_AR_13_the_sdk_lists_them(http, rule_of):
    rule = rule_of(name="for the SDK").json()
    found = listed(http)
    assert rule in found
    for each in found:
        assert isinstance(each["metric_query"], dict)
        assert each["metric_type"]
        assert each["metric_name"]
        assert isinstance(each["is_default"], bool)


def test_contract_AR_14_one_rule_is_changed_by_its_id(http, rule_of):
    rule, other = rule_of().json(), rule_of().json()
    path = f"/models/triage/alert_rules/{rule['id']}"
    answer = http.patch(path, json={"threshold": 17})
    assert answer.status_code == 200
    assert answer.json()["threshold"] == 17
    after = {each["id"]: each for each in listed(http)}
    assert after[rule["id"]]["threshold"] == 17
    assert after[other["id"]] == other
    for wrong in ("nothing", str(UUID(int=7))):
        assert http.patch(f"/models/triage/alert_rules/{wrong}", json={}).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bound", "lower"),
        ("threshold", 3.5),
        ("severity", "critical"),
        ("name", "another name"),
        ("lookback_period", 7),
        ("subsequent_alert_wait_time", 9.5),
        ("enabled", False),
    ],
)
def test_contract_AR_15_every_field_can_be_changed_alone(http, path, field, value):
    before = http.get(path).json()
    after = http.patch(path, json={field: value}).json()
    changed = {key for key in before if before[key] != after[key]}
    assert changed - {"last_updated_at", "last_updated_by"} == {field}
    assert after[field] == value
    assert http.get(path).json() == after


def test_contract_AR_15_all_at_once_and_none_at_all(http, path):
    told = {"bound": "upper", "threshold": 2, "severity": "warning", "name": "all at once"}
    told |= {"lookback_period": 2, "subsequent_alert_wait_time": 3, "enabled": True}
    after = http.patch(path, json=told).json()
    assert {name: after[name] for name in told} == told
    assert http.patch(path, json={}).json() == after


@pytest.mark.parametrize(
    "told",
    [{"bound": "x"}, {"threshold": "x"}, {"severity": 1}, {"lookback_period": 0}, {"name": ""}],
)
def test_error_AR_15_a_wrong_value_changes_nothing(http, path, told):
    before = http.get(path).json()
    answer = http.patch(path, json={"severity": "critical"} | told)
    assert answer.status_code == 400
    assert next(iter(told)) in answer.json()["error"]
    assert http.get(path).json() == before


def test_contract_AR_15_the_metric_stays(http, path, count_id):
    answer = http.patch(path, json={"metric_id": count_id, "threshold": 4})
    assert answer.json()["threshold"] == 4
    for wrong in (
        {"metric_id": named(http, "triage", "f1")},
        {"filters": [{"property": "age"}]},
        {"colour": "red"},
    ):
        assert http.patch(path, json=wrong).status_code == 400
    # The SDK sends back all of a rule that it was given.
    rule = http.get(path).json()
    names = ("bound", "threshold", "metric_id", "severity", "name", "lookback_period", "enabled")
    more = ("subsequent_alert_wait_time", "metric_name", "metric_parameters", "filters")
    again = {name: rule[name] for name in (*names, *more)}
    after = http.patch(path, json=again).json()
    assert {name: after[name] for name in again} == again


def test_contract_AR_17_enabled_unless_told(http, rule_of, path):
    assert rule_of().json()["enabled"] is True
    assert rule_of(enabled=False).json()["enabled"] is False
    for enabled in (False, True):
        assert http.patch(path, json={"enabled": enabled}).json()["enabled"] is enabled
    for wrong in (1, "yes"):
        assert http.patch(path, json={"enabled": wrong}).status_code == 400


def test_contract_ARi_05_later_fields_may_be_there_if_they_are_empty(rule_of):
    rule = rule_of(metric_parameters={}, filters=[]).json()
    assert (rule["metric_parameters"], rule["filters"]) == ({}, [])
    assert rule_of(metric_parameters={"threshold": 0.5}).status_code == 400
    assert rule_of(filters=[{"property": "age"}]).status_code == 400


def test_contract_ARi_06_two_severities_are_two_rules(rule_of, count_id):
    rules = [
        rule_of(severity=severity, threshold=threshold).json()
        for severity, threshold in (("warning", 10), ("critical", 20))
    ]
    assert {each["metric_id"] for each in rules} == {count_id}
    assert len({each["id"] for each in rules}) == 2


def test_contract_ARx_5_a_wait_may_be_configured_for_all(tmp_path):
    text = "time: {subsequent_alert_wait_time: 1440}\nmodels: [{id: triage}]\n"
    with serving(tmp_path, text) as found, found.http() as http:
        body = {"metric_id": str(metric_id("triage", "count")), "bound": "upper", "threshold": 1}
        path = "/models/triage/alert_rules"
        rule = http.post(path, json=body | {"severity": "warning"}).json()
        assert rule["subsequent_alert_wait_time"] == 1440
        told = body | {"severity": "warning", "subsequent_alert_wait_time": 0}
        assert http.post(path, json=told).json()["subsequent_alert_wait_time"] == 0
