"""What the run tells of itself: health, what is in force, what was changed, counters and values."""

import time
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from second_server import second_server
from serving import KEYS, serving, user

from connectors.rest.own.health import SILENCE_S
from engine.changes import Edit

LITTLE_KEY = "key-of-somebody-who-sees-little"
LITTLE = user("little", "editor", key=LITTLE_KEY, models=("other",))
MINUTE_MS = 60_000
CONFIG = """
models: [{id: triage}, {id: other}]
metrics:
  - {model: triage, name: mine, query: {select: [{function: count}]}}
alert_rules:
  - {model: triage, metric: mine, name: "too \\"many\\"", bound: upper, threshold: 2,
     severity: warning}
  - {model: other, metric: accuracyRateMulticlass, bound: lower, threshold: 0.5, severity: critical}
anomaly_jobs: [{job_id: few, model: triage, detectors: [{function: low_count}]}]
notifications:
  smtp: {host: 127.0.0.1, port: 1, from: bellwether@example.org}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("run"), CONFIG, users=(LITTLE,)) as found:
        event = {"model_id": "triage", "prediction": "a", "label": "a"}
        found.post_events(
            [{**event, "id": n, "timestamp": 1_735_689_600_000 + n * MINUTE_MS} for n in range(30)]
        )
        found.session.intake.post(b"broken\n", by="test").result(30)
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("administrator", timeout=30) as found:
        yield found


def little(served):
    return served.http("nobody", headers={"X-Api-Key": LITTLE_KEY})


# ---- health ----------------------------------------------------------------------------------


def test_golden_health_and_readiness_need_no_key(served):
    for path in ("/health", "/ready"):
        answer = httpx.get(served.url + path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("fault", "committed_s", "status"),
    [(ValueError("secret"), 0.0, "failed"), (None, SILENCE_S + 1, "stalled")],
)
def test_error_a_run_that_does_not_go_on_is_503(served, fault, committed_s, status):
    state = SimpleNamespace(fault=fault, committed_s=committed_s)
    with second_server(served, state=state) as url:
        for path in ("/health", "/ready"):
            answer = httpx.get(url + path)
            assert (answer.status_code, answer.json()) == (503, {"status": status})
        told = samples(httpx.get(f"{url}/metrics", headers={"X-Api-Key": KEYS["viewer"]}).text)
        assert told["bellwether_up", ()] == (0.0 if fault else 1.0)
        assert told["bellwether_last_commit_age_seconds", ()] == committed_s


def test_error_a_store_that_does_not_answer_in_time_is_busy(served):
    def cursor():
        time.sleep(6)
        return served.session.readers().cursor()

    with second_server(served, cursors=SimpleNamespace(cursor=cursor)) as url:
        assert httpx.get(f"{url}/health").status_code == 200
        answer = httpx.get(f"{url}/ready", timeout=20)
        assert (answer.status_code, answer.json()) == (503, {"status": "busy"})


# ---- what is in force ------------------------------------------------------------------------


def by_name(entries, name="name"):
    return {entry["definition"][name]: entry for entry in entries}


def test_golden_what_the_file_says_is_told_by_id(served, http):
    told = http.get("/config").json()
    assert [model["id"] for model in told["models"]] == ["triage", "other"]
    rule = by_name(told["alert_rules"])['too "many"']
    assert (rule["declared_by"], rule["definition"]["threshold"]) == ("file", 2)
    known = served.sql("SELECT name FROM alert_rules WHERE rule_id = ?", rule["id"])
    assert known == [('too "many"',)]
    (metric,) = told["metrics"]
    (stored,) = served.sql("SELECT metric_id FROM metrics WHERE name = 'mine'")
    assert metric["id"] == str(stored[0])
    assert told["anomaly_jobs"][0]["id"] == "few"
    assert told["limits"]["classes"] == 1000


def test_golden_no_secret_is_told(http, served):
    told = http.get("/config")
    users = by_name(told.json()["users"], "username")
    assert users["viewer"]["definition"]["has_key"]
    assert "api_key" not in told.text
    assert "sha256" not in told.text
    with served.http("editor") as editor:
        assert list(by_name(editor.get("/config").json()["users"], "username")) == ["editor"]


def test_golden_a_change_is_told_apart_and_logged(served, http):
    rule = {"model": "other", "metric": "accuracyRateMulticlass", "name": "new", "bound": "lower"}
    rule |= {"threshold": 0.25, "severity": "warning"}
    rule_id = "2c1a9a4e-5d0e-4c3c-9d43-f1a1a6a3c111"
    edit = Edit("alert_rule", rule_id, {**rule, "rule_id": rule_id})
    served.session.gate.submit("editor", lambda writing: writing.edit(edit)).result(30)
    told = by_name(http.get("/config").json()["alert_rules"])["new"]
    assert (told["id"], told["declared_by"]) == (rule_id, "rest")
    log = http.get("/changes").json()
    (change,) = [each for each in log["changes"] if each["id"] == rule_id]
    assert (change["kind"], change["made_by"]) == ("alert_rule", "editor")
    assert change["definition"]["threshold"] == 0.25
    assert change["from_time"] == "2025-01-01T00:28:50Z"  # the watermark
    assert log["next_after"] is None
    assert http.get("/changes", params={"after": change["seq"]}).json()["changes"] == []


def test_golden_the_log_comes_in_pages(served, http):
    def disabled(rule_id, *, flag):
        def work(writing):
            found = writing.configured.definition("alert_rule", rule_id)
            writing.edit(Edit("alert_rule", rule_id, {**found, "enabled": flag}))

        return work

    rules = by_name(http.get("/config").json()["alert_rules"], "model")
    rule_id = rules["other"]["id"]
    for flag in (False, True):
        served.session.gate.submit("editor", disabled(rule_id, flag=flag)).result(30)
    after, seen = 0, []
    while after is not None:
        page = http.get("/changes", params={"limit": 1, "after": after}).json()
        seen += [each["seq"] for each in page["changes"]]
        assert len(page["changes"]) <= 1
        after = page["next_after"]
    assert seen == sorted(set(seen))
    assert len(seen) >= 2
    assert http.get("/changes", params={"kind": "user"}).json()["changes"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("after", "-1"), ("after", "x"), ("after", "9" * 30), ("limit", "0"), ("kind", "rule")],
)
def test_error_a_page_that_breaks_a_rule(http, name, value):
    answer = http.get("/changes", params={name: value})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [name])


def test_error_who_sees_little_is_told_little(served):
    with little(served) as http:
        told = http.get("/config").json()
        assert [model["id"] for model in told["models"]] == ["other"]
        models = {entry["definition"]["model"] for entry in told["alert_rules"]}
        assert (models, told["metrics"], told["anomaly_jobs"]) == ({"other"}, [], [])
        assert list(by_name(told["users"], "username")) == ["little"]
        assert http.get("/changes").status_code == 403
        assert http.get("/metrics").status_code == 403
    with served.http("viewer") as viewer:
        assert viewer.get("/config").status_code == 403


# ---- /metrics --------------------------------------------------------------------------------


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_golden_counters_of_the_run(served):
    with served.http("viewer") as http:
        answer = http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    told = samples(answer.text)
    rest = (("partition", "http"), ("source", "rest"))
    names = ("lines_total", "events_total", "rejects_total")
    assert [told[f"bellwether_{name}", rest] for name in names] == [31, 30, 1]
    assert told["bellwether_up", ()] == 1
    assert told["bellwether_watermark_timestamp_seconds", rest] == 1_735_689_600 + 29 * 60 - 10
    assert told["bellwether_watermark_lag_seconds", ()] > 86_400
    assert told["bellwether_last_commit_age_seconds", ()] < 60


def test_golden_the_value_of_every_rule(served, http):
    told = samples(http.get("/metrics").text)
    rule_id, metric = served.sql(
        "SELECT rule_id, metric_name FROM alert_rules WHERE name = 'too \"many\"'"
    )[0]
    labels = {"rule_id": rule_id, "rule_name": 'too "many"', "model_id": "triage"}
    labels |= {"metric": metric, "group": ""}
    newest = served.sql(
        "SELECT value, state FROM evaluations WHERE rule_id = ? ORDER BY window_end DESC", rule_id
    )[0]
    key = tuple(sorted(labels.items()))
    assert told["bellwether_rule_value", key] == newest[0] == 5.0
    state = tuple(sorted({**labels, "state": newest[1]}.items()))
    assert told["bellwether_rule_state", state] == 1.0
    assert told["bellwether_rule_sample_count", key] == 5.0


def test_golden_alerts_and_buckets_are_counted(served, http):
    told = samples(http.get("/metrics").text)
    for severity, status, count in served.sql(
        "SELECT severity, status, count(*) FROM alerts GROUP BY ALL"
    ):
        labels = (("severity", severity), ("status", status))
        assert told["bellwether_alerts", labels] == count
    buckets = served.sql("SELECT count(*) FROM anomaly_buckets WHERE job_id = 'few'")[0][0]
    assert told["bellwether_anomaly_buckets", (("job_id", "few"),)] == buckets > 0
