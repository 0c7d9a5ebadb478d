"""Alert rules over HTTP in the long run: removed, renamed, changed at once, hidden; and of drift.

`test_law_…` and `test_error_…` say what holds for every rule; `test_contract_…` names the item: the
default rules of drift (AR-50, AR-51).
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from arthur_served import CONFIG, USERS, as_ana, named, predictions
from serving import serving

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("rules"), CONFIG, users=USERS) as found:
        reference = [
            each | {"type": "reference", "id": f"r{each['id']}"}
            for each in predictions("drifting", 200)
        ]
        found.post_events(reference)
        found.post_events(predictions("triage", 6) + predictions("hidden", 4))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture(scope="module")
def body(http):
    """What a rule of triage is made of."""
    count_id = named(http, "triage", "count")
    return {"metric_id": count_id, "bound": "upper", "threshold": 1e6, "severity": "warning"}


@pytest.fixture
def path(http, body):
    """Make a rule; gives its path."""
    made = http.post("/models/triage/alert_rules", json=body).json()
    return f"/models/triage/alert_rules/{made['id']}"


def listed(http, model="triage", **parameters):
    answer = http.get(f"/models/{model}/alert_rules", params={"page_size": 500, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_law_a_removed_rule_is_gone(http, path):
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404
    assert http.delete(path).status_code == 404


def test_law_a_rule_of_the_file_can_be_changed_and_keeps_its_id(http):
    (before,) = [each for each in listed(http, "hidden") if each["name"] == "any"]
    path = f"/models/hidden/alert_rules/{before['id']}"
    after = http.patch(path, json={"threshold": 9}).json()
    assert (after["id"], after["name"], after["threshold"]) == (before["id"], "any", 9)
    renamed = http.patch(path, json={"name": "all"}).json()
    assert (renamed["id"], renamed["name"], renamed["threshold"]) == (before["id"], "all", 9)


def test_law_two_patches_at_once_both_apply(http, path):
    told = [{"threshold": 5}, {"severity": "critical"}, {"bound": "lower"}, {"enabled": False}]
    with ThreadPoolExecutor(len(told)) as pool:
        answers = list(pool.map(lambda each: http.patch(path, json=each).status_code, told))
    assert answers == [200] * len(told)
    after = http.get(path).json()
    assert {**after, **told[0], **told[1], **told[2], **told[3]} == after


def test_law_the_typed_client_hears_201_for_a_change(http, path):
    typed = {"User-Agent": "arthur-client/0.13.0 (system=Linux)"}
    assert http.patch(path, json={"threshold": 5}, headers=typed).status_code == 201
    assert http.delete(path, headers=typed).status_code == 201


def test_error_a_viewer_changes_nothing_and_hidden_models_are_not_there(served, http, body):
    rule_id = listed(http)[0]["id"]
    with served.http("viewer") as viewer:
        assert viewer.post("/models/triage/alert_rules", json=body).status_code == 403
        assert viewer.patch(f"/models/triage/alert_rules/{rule_id}", json={}).status_code == 403
        assert viewer.get(f"/models/triage/alert_rules/{rule_id}").status_code == 200
    with as_ana(served) as ana:
        own = listed(http, "hidden")[0]["id"]
        for path in ("/models/hidden/alert_rules", f"/models/hidden/alert_rules/{own}"):
            assert ana.get(path).status_code == 404
        assert ana.post("/models/hidden/alert_rules", json=body).status_code == 404


def test_law_what_is_made_outlives_a_restart(tmp_path):
    with serving(tmp_path, CONFIG) as found, found.http() as http:
        found.post_events(predictions("triage", 10))
        body = {"metric_id": named(http, "triage", "count"), "bound": "upper", "threshold": 7}
        rule = http.post("/models/triage/alert_rules", json=body | {"severity": "warning"}).json()
        path = f"/models/triage/alert_rules/{rule['id']}"
        rule = http.patch(path, json={"name": "kept", "lookback_period": 2}).json()
    with serving(tmp_path, CONFIG) as found, found.http() as http:
        assert http.get(path).json() == rule


# ---- default rules of drift ------------------------------------------------------------------


def test_contract_AR_50_drift_rules_come_with_reference_and_inferences(served, http):
    path = "/models/drifting/alert_rules"
    assert http.get(path).json()["data"] == []  # there is a reference alone
    served.post_events(predictions("drifting", 100))
    rules = {each["metric_name"]: each for each in listed(http, "drifting")}
    features = ("age", "city", "temperature", "vip")
    assert set(rules) == {f"PSI(features.{each})" for each in features}
    assert {each["is_default"] for each in rules.values()} == {True}
    assert {each["metric_type"] for each in rules.values()} == {"model_data_drift_metric"}


def test_contract_AR_51_their_thresholds_are_dynamic(served, http):
    rules = {each["metric_name"]: each for each in listed(http, "drifting")}
    assert all(each["dynamic_threshold"] for each in rules.values())
    thresholds = {name: each["threshold"] for name, each in rules.items()}
    assert all(0 < threshold < 100 for threshold in thresholds.values())
    assert len(set(thresholds.values())) == len(thresholds)  # each feature has its own
    query = {
        "properties": ["age"],
        "num_bins": 10,
        "base": {"source": "reference"},
        "target": {"source": "reference"},
        "metric": "Thresholds",
    }
    (told,) = http.post("/models/drifting/inferences/data_drift", json=query).json()["query_result"]
    assert thresholds["PSI(features.age)"] == told["age"]
    # Once a window has come near it, it is the one of such windows.
    served.post_events(predictions("drifting", 300, first=1000, every_ms=5 * MINUTE_MS))
    after = {each["metric_name"]: each["threshold"] for each in listed(http, "drifting")}
    assert after["PSI(features.age)"] > thresholds["PSI(features.age)"]
    sizes = served.sql("SELECT max(threshold) FROM drift_thresholds")
    assert after["PSI(features.age)"] <= sizes[0][0]


def test_law_a_default_rule_is_changed_under_its_own_id(http):
    (before,) = listed(http, "drifting", page_size=1)
    path = f"/models/drifting/alert_rules/{before['id']}"
    same = {"threshold": before["threshold"], "severity": "critical"}
    after = http.patch(path, json=same).json()
    kept = ("id", "name", "metric_id", "lookback_period", "subsequent_alert_wait_time", "bound")
    assert {each: after[each] for each in kept} == {each: before[each] for each in kept}
    assert after["severity"] == "critical"
    assert after["dynamic_threshold"]  # what only repeats what was shown
    assert http.patch(path, json={"threshold": 0.25}).json()["threshold"] == 0.25
    rules = listed(http, "drifting")
    assert len(rules) == 4
    assert len({each["metric_id"] for each in rules}) == 4
    other = next(each for each in rules if each["is_default"])
    assert http.delete(f"/models/drifting/alert_rules/{other['id']}").status_code == 409
    assert http.patch(f"/models/drifting/alert_rules/{other['id']}", json={"enabled": False})
