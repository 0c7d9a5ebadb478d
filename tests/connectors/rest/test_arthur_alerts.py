"""Alerts over HTTP: what they say, how they are listed, and their life after they were given.

`test_contract_…` names the item of the contract; the figures are counted from the events, which are
six a minute for ten minutes.
"""

from itertools import pairwise
from uuid import UUID

import pytest
from arthur_served import CONFIG, START_MS, USERS, as_ana, named, predictions
from serving import serving

from engine.metrics import metric_id

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("alerts"), CONFIG, users=USERS) as found:
        with found.http("editor") as http:
            body = {
                "metric_id": str(metric_id("nightly", "count")),
                "bound": "upper",
                "threshold": 2,
            }
            rule = body | {"severity": "warning", "name": "large batch"}
            assert http.post("/models/nightly/alert_rules", json=rule).status_code == 200
        found.post_events(predictions("hidden", 20) + predictions("triage", 61))
        found.post_events(predictions("nightly", 4, batch_id="b1"))
        done = {"type": "model", "model_id": "nightly", "batch_id": "b1", "status": "complete"}
        found.post_events([done | {"timestamp": START_MS + 10 * MINUTE_MS}])
        found.post_events(predictions("triage", 1, first=100))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


def listed(http, **parameters):
    answer = http.get("/api/v3/alerts", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def rule_named(http, name, model="triage"):
    rules = http.get(f"/models/{model}/alert_rules").json()["data"]
    return next(each for each in rules if each["name"] == name)


def test_contract_AR_18_the_bound_tells_the_direction(http):
    many = listed(http, alert_rule_id=rule_named(http, "many")["id"])
    assert many
    assert all(each["metric_value"] > 3 for each in many)
    body = {"metric_id": named(http, "triage", "count"), "bound": "lower", "threshold": 3}
    rule = http.post("/models/triage/alert_rules", json=body | {"severity": "warning"}).json()
    assert listed(http, alert_rule_id=rule["id"]) == []


def test_contract_AR_16_a_metric_that_keeps_crossing_waits(http):
    """Six a minute is above five in every minute; three minutes lie between two alerts."""
    found = listed(http, alert_rule_id=rule_named(http, "too many")["id"], sort="timestamp")
    minutes = [int(each["timestamp"][14:16]) for each in found]
    assert len(minutes) >= 3
    assert all(later - earlier >= 3 for earlier, later in pairwise(minutes))


def test_contract_ARx_6_evaluated_always_and_suppressed_inside_the_wait(served, http):
    rule_id = rule_named(http, "too many")["id"]
    states = served.sql(
        "SELECT state, count(*) FROM evaluations WHERE rule_id = ? GROUP BY ALL", rule_id
    )
    assert dict(states)["suppressed"] >= 1
    found = listed(http, alert_rule_id=rule_id, sort="timestamp")
    assert found[0]["suppressed_since"] is None
    assert found[1]["suppressed_since"] is not None


def test_contract_ARi_01_bounds_are_strict(http):
    assert min(each["metric_value"] for each in listed(http, model_id="triage")) > 3


def test_contract_ARi_02_what_an_alert_says(http):
    rule = rule_named(http, "too many")
    (alert,) = listed(http, alert_rule_id=rule["id"], page_size=1, sort="timestamp")
    assert UUID(alert["id"])
    assert alert["timestamp"] == alert["window_end"]
    assert alert["window_start"] < alert["window_end"]
    assert alert["window_end"].endswith("Z")
    assert alert["metric_value"] == alert["sample_count"] == 6
    assert "too many" in alert["message"]
    assert (alert["model_id"], alert["status"], alert["batch_id"]) == ("triage", "new", None)
    assert alert["severity"] == "critical"
    told = alert["alert_rule"]
    names = ("id", "name", "bound", "threshold", "severity", "metric_id", "metric_name")
    more = ("lookback_period", "subsequent_alert_wait_time", "metric_query", "metric_type")
    assert {each: told[each] for each in names + more} == {
        each: rule[each] for each in names + more
    }
    assert http.get(f"/api/v3/alerts/{alert['id']}").json() == alert


def test_contract_ARi_02_a_batch_alert_says_its_batch(http):
    (alert,) = listed(http, model_id="nightly")
    assert (alert["batch_id"], alert["metric_value"]) == ("b1", 4)
    assert listed(http, batch_id="b1") == [alert]
    assert listed(http, batch_id="b2") == []


def test_contract_ARi_02_the_rule_is_told_as_it_was(http):
    rule = rule_named(http, "many")
    before = listed(http, alert_rule_id=rule["id"])
    path = f"/models/triage/alert_rules/{rule['id']}"
    assert http.patch(path, json={"threshold": 1000}).status_code == 200
    assert listed(http, alert_rule_id=rule["id"]) == before
    assert {each["alert_rule"]["threshold"] for each in before} == {3}


def test_contract_ARi_03_new_then_acknowledged_then_resolved(http):
    alert = listed(http, model_id="triage", status="new")[0]
    path = f"/api/v3/alerts/{alert['id']}"
    for status in ("acknowledged", "acknowledged", "resolved", "resolved"):
        answer = http.patch(path, json={"status": status})
        assert answer.status_code == 200
        assert answer.json() == alert | {"status": status}
    assert http.patch(path, json={"status": "acknowledged"}).status_code == 409
    assert http.get(path).json()["status"] == "resolved"
    assert [each["id"] for each in listed(http, status="resolved")] == [alert["id"]]


def test_contract_ARi_03_a_new_one_may_be_resolved_at_once(http):
    alert = listed(http, model_id="triage", status="new")[0]
    answer = http.patch(f"/alerts/{alert['id']}/", json={"status": "resolved"})
    assert answer.json()["status"] == "resolved"


@pytest.mark.parametrize(
    "body", [{}, {"status": "new"}, {"status": 1}, {"status": None}, {"status": "resolved", "a": 1}]
)
def test_error_ARi_03_there_is_no_other_status(http, body):
    alert = listed(http, status="new")[0]
    answer = http.patch(f"/api/v3/alerts/{alert['id']}", json=body)
    assert answer.status_code == 400
    assert http.get(f"/api/v3/alerts/{alert['id']}").json()["status"] == "new"


def test_contract_ARi_03_all_alerts_of_a_rule_at_once(http):
    rule_id = rule_named(http, "too many")["id"]
    path = f"/api/v3/models/triage/alert_rules/{rule_id}/bulk_alerts"
    count = len(listed(http, alert_rule_id=rule_id, status="new"))
    answer = http.patch(path, json={"status": "acknowledged"})
    assert answer.json() == {"updated_alerts": count}
    assert http.patch(path, json={"status": "acknowledged"}).json() == {"updated_alerts": 0}
    told = http.get("/models/triage/alert_rules", params={"include_alert_metadata": True}).json()
    rule = next(each for each in told["data"] if each["id"] == rule_id)
    assert rule["alert_counts"]["acknowledged"] == count
    assert rule["last_metric_value"] == 6
    assert rule["last_triggered"].endswith("Z")


def test_contract_ARi_04_the_list_comes_in_pages_of_500(http):
    everything = http.get("/api/v3/alerts").json()
    assert everything["page_size"] == 500
    assert everything["total_count"] == len(everything["data"])
    times = [each["timestamp"] for each in everything["data"]]
    assert times == sorted(times, reverse=True)
    pages = [
        http.get("/api/v3/alerts", params={"page_size": 3, "page": page}).json()
        for page in range(1, -(-len(times) // 3) + 1)
    ]
    assert [each for page in pages for each in page["data"]] == everything["data"]
    assert {page["total_pages"] for page in pages} == {len(pages)}


def test_contract_ARi_04_by_model(http):
    for model in ("triage", "hidden", "nightly"):
        assert {each["model_id"] for each in listed(http, model_id=model)} == {model}
    both = listed(http, model_id=["hidden", "nightly"])
    assert {each["model_id"] for each in both} == {"hidden", "nightly"}
    assert listed(http, model_id="nowhere") == []


def test_contract_ARi_04_by_time(http):
    times = sorted({each["timestamp"] for each in listed(http, model_id="triage")})
    early, late = times[1], times[-2]
    found = listed(http, model_id="triage", start_time=early, end_time=late)
    assert {each["timestamp"] for each in found} == set(times[1:-1])
    for wrong in ("yesterday", "", "2025-13-01"):
        assert http.get("/alerts", params={"start_time": wrong}).status_code == 400


def test_contract_ARi_04_by_severity_and_status(http):
    found = listed(http, severity="critical", sort="-metric_value")
    assert {each["alert_rule"]["name"] for each in found} == {"too many"}
    for wrong in ({"severity": "x"}, {"status": "x"}, {"sort": "x"}, {"page": 0}, {"colour": 1}):
        assert http.get("/alerts", params=wrong).status_code == 400


def test_law_alerts_of_hidden_models_are_not_there(served, http):
    hidden = listed(http, model_id="hidden")[0]
    with as_ana(served) as ana:
        everything = ana.get("/alerts").json()
        assert {each["model_id"] for each in everything["data"]} == {"nightly", "triage"}
        assert everything["total_count"] == len(everything["data"])
        assert ana.get("/alerts", params={"model_id": "hidden"}).json()["total_count"] == 0
        path = f"/alerts/{hidden['id']}"
        answers = [ana.get(path), ana.patch(path, json={"status": "resolved"})]
        assert [each.status_code for each in answers] == [404, 404]
        unknown = ana.get(f"/alerts/{UUID(int=7)}").json()["error"]
        assert answers[0].json()["error"] == unknown.replace(str(UUID(int=7)), hidden["id"])
    assert http.get(path).json()["status"] == "new"


def test_error_a_viewer_reads_but_resolves_nothing(served):
    with served.http("viewer") as viewer:
        alert = listed(viewer)[0]
        path = f"/alerts/{alert['id']}"
        assert viewer.patch(path, json={"status": "resolved"}).status_code == 403
        assert viewer.get(path).json() == alert
        assert viewer.get("/alerts/nothing").status_code == 404
