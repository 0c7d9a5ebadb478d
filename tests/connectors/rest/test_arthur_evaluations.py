"""When rules are evaluated, over what, and what comes of it: alerts over HTTP, reckoned by hand.

The contract leaves open how often a rolling window is looked at, by which clock, and what an empty
or a young one means. The rules are made over HTTP before the first event; what they should have
seen is counted from the events, window by window.
"""

import math
import random

import pytest
from serving import serving

from engine.metrics import metric_id

START_S = 1_700_000_040  # a whole minute
VISITS_MINUTES, END_MINUTE = 30, 80
CONFIG = """
time: {allowed_lateness: 0s, max_future: null}
models:
  - {id: visits}
  - {id: slow, classes: ["no", "yes"], positive: "yes"}
  - {id: clock}
metrics:
  - {model: visits, name: Mean Score,
     query: {select: [{function: avg, parameters: {property: score}}]}}
"""


def visits():
    """Half an hour of visits at random times, then none."""
    chance = random.Random(20)
    seconds = sorted(chance.sample(range(1, VISITS_MINUTES * 60), 90))
    for number, second in enumerate([0, *seconds]):
        yield {
            "model_id": "visits",
            "id": number,
            "timestamp": (START_S + second) * 1_000,
            "prediction": "a",
            "score": chance.randrange(8) / 8,
            "features": {"city": "Łódź" if second % 3 else "Bern"},
        }


def slow():
    """Predictions of ten minutes; their labels come an hour later, and the second half is wrong."""
    for number in range(60):
        at_ms = (START_S + number * 10) * 1_000
        event = {"model_id": "slow", "id": number, "timestamp": at_ms}
        yield {**event, "prediction": "yes"}
        label = "yes" if number < 30 else "no"
        yield {**event, "type": "label", "label": label, "timestamp": at_ms + 3_600_000}


VISITS = list(visits())
LAST = {"model_id": "clock", "id": 1, "timestamp": (START_S + END_MINUTE * 60) * 1_000}
EVENTS = sorted([*VISITS, *slow(), LAST], key=lambda event: event["timestamp"])


def windows(lookback_s, events=VISITS, until_s=END_MINUTE * 60):
    """Every boundary, in seconds from the start, with the events of its window."""
    step_s = math.gcd(60, lookback_s)
    for end_s in range(step_s, until_s + 1, step_s):
        start_ms, end_ms = ((START_S + each) * 1_000 for each in (end_s - lookback_s, end_s))
        yield end_s, [event for event in events if start_ms <= event["timestamp"] < end_ms]


RULES = {
    "crowd": ("visits", "count", "upper", 4, {"lookback_period": 1.5}),
    "nobody": ("visits", "count", "lower", 1, {"lookback_period": 5}),
    "any score": ("visits", "Mean Score", "lower", 2, {"lookback_period": 5}),
    "a city's crowd": (
        *("visits", "count", "upper", 4),
        {"lookback_period": 2, "group_by": "features.city"},
    ),
    "by label": ("slow", "accuracyRate", "lower", 0.5, {"lookback_period": 5}),
    "by event": (
        *("slow", "accuracyRate", "lower", 0.5),
        {"lookback_period": 5, "time_basis": "event"},
    ),
}


def made(http, name):
    model, metric, bound, threshold, more = RULES[name]
    body = {"name": name, "metric_id": str(metric_id(model, metric)), "bound": bound}
    body |= {"threshold": threshold, "severity": "warning", **more}
    answer = http.post(f"/api/v3/models/{model}/alert_rules", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("evaluations"), CONFIG) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture(scope="module")
def rules(served, http):
    """The rules' ids by name; all events are in, in two posts cut anywhere."""
    ids = {name: made(http, name) for name in RULES}
    served.post_events(EVENTS[:77])
    served.post_events(EVENTS[77:])
    return ids


@pytest.fixture(scope="module")
def alerts(http, rules):
    """The alerts of a rule in order of time: seconds from the start, and the alert."""

    def listed(name):
        parameters = {"alert_rule_id": rules[name], "sort": "timestamp", "page_size": 500}
        answer = http.get("/api/v3/alerts", params=parameters)
        assert answer.status_code == 200, answer.text
        return [(seconds(each["timestamp"]), each) for each in answer.json()["data"]]

    return listed


def seconds(text):
    day, _, clock = text.partition("T")
    assert day == "2023-11-14"
    assert clock.endswith("Z")
    hour, minute, second = clock[:-1].split(":")
    return int(hour) * 3_600 + int(minute) * 60 + float(second) - (22 * 3_600 + 14 * 60)


@pytest.fixture(scope="module")
def states(http, rules):
    """The rows of `evaluations` of a rule: seconds from the start, value, samples and state."""

    def asked(name):
        sql = (
            "SELECT epoch(window_end)::BIGINT, value, sample_count, state FROM evaluations"
            f" WHERE rule_id = '{rules[name]}' ORDER BY ALL"
        )
        answer = http.post("/sql", json={"sql": sql})
        assert answer.status_code == 200, answer.text
        return [(row[0] - START_S, *row[1:]) for row in answer.json()["rows"]]

    return asked


def test_contract_ARi_20_at_every_boundary_of_the_rolling_window(alerts):
    """A lookback of 90 s rolls by 30 s: as events come in, and as they go out."""
    expected = [
        (end_s, len(inside)) for end_s, inside in windows(90) if end_s >= 90 and len(inside) > 4
    ]
    found = [(at_s, alert["metric_value"]) for at_s, alert in alerts("crowd")]
    assert found == expected
    assert {at_s % 60 for at_s, _ in found} == {0, 30}
    for _, alert in alerts("crowd"):
        assert seconds(alert["window_end"]) - seconds(alert["window_start"]) == 90


def test_contract_ARi_21_labels_that_come_late_count_when_they_come(alerts, states):
    """Accuracy of the last five minutes is of what was labelled in them, not predicted in them."""
    found = [(at_s / 60, alert["metric_value"]) for at_s, alert in alerts("by label")]
    # From minute 60 to 70 there are six labels a minute; they are wrong from minute 65 on.
    expected = [(65 + late, max(1 - late / 5, 0)) for late in range(1, 10)]
    wanted = [(minute, pytest.approx(value)) for minute, value in expected if value < 0.5]
    assert found == wanted
    assert all(alert["sample_count"] <= 30 for _, alert in alerts("by label"))
    assert alerts("by event") == []
    assert {state for *_, state in states("by event")} == {"warm_up", "no_data"}


def test_contract_ARi_22_an_empty_window_counts_0_and_averages_nothing(alerts, states):
    empty = [end_s for end_s, inside in windows(300) if end_s >= 300 and not inside]
    assert len(empty) > 40
    found = alerts("nobody")
    assert [at_s for at_s, _ in found] == empty
    assert {(alert["metric_value"], alert["sample_count"]) for _, alert in found} == {(0, 0)}
    scored = alerts("any score")
    assert [at_s for at_s, _ in scored] == [
        end_s for end_s, inside in windows(300) if end_s >= 300 and inside
    ]
    assert states("any score")[-1] == (empty[0], None, 0, "no_data")


def test_contract_ARi_23_a_window_that_began_before_the_first_event_is_warm_up(alerts, states):
    for name in ("any score", "nobody", "a city's crowd"):
        lookback_s = 60 * RULES[name][4]["lookback_period"]
        assert all(at_s >= lookback_s for at_s, _ in alerts(name))
    warm = [end_s for end_s, *_, state in states("any score") if state == "warm_up"]
    assert warm == [60, 120, 180, 240]
    assert alerts("any score")[0][0] == 300


def test_contract_ARi_24_a_dimension_is_kept_on_the_alert(alerts):
    """Every city has a state of its own, and its alerts say which."""
    found = [(at_s, each["group_value"], each["metric_value"]) for at_s, each in
             alerts("a city's crowd")]  # fmt: skip
    expected = []
    for city in ("Bern", "Łódź"):
        own = [event for event in VISITS if event["features"]["city"] == city]
        expected += [
            (end_s, city, len(inside))
            for end_s, inside in windows(120, own)
            if end_s >= 120 and len(inside) > 4
        ]
    assert sorted(found) == sorted(expected)
    assert "Łódź" in {city for _, city, _ in found}
    assert all(alert["group_value"] is None for _, alert in alerts("crowd"))


def test_contract_ARi_24_no_rule_is_made_of_sql_or_told_by_webhook(http, rules):
    path = "/api/v3/models/visits/alert_rules"
    body = {"metric_id": str(metric_id("visits", "count")), "bound": "upper", "threshold": 1}
    body |= {"severity": "warning"}
    for more in ({"sql": "SELECT 1"}, {"interval": "5 minutes"}, {"filters": [{}]}):
        answer = http.post(path, json=body | more)
        assert answer.status_code == 400
        assert next(iter(more)) in answer.json()["error"]
    listed = http.get(path, params={"page_size": 500}).json()["data"]
    made_here = {each["id"] for each in listed} - set(rules.values())
    assert made_here == set()


def test_contract_ARi_25_a_rule_that_changes_is_a_new_version(served, http, rules, alerts, states):
    before, versions = alerts("nobody"), sql_versions(http, rules["nobody"])
    assert versions == [(1,)]
    answer = http.patch(
        f"/api/v3/models/visits/alert_rules/{rules['nobody']}", json={"threshold": 2}
    )
    assert (answer.status_code, answer.json()["threshold"]) == (200, 2)
    served.post_events(
        [LAST | {"id": 2, "timestamp": LAST["timestamp"] + 180_000}]  # three minutes later
    )
    after = alerts("nobody")
    assert after[: len(before)] == before
    assert [at_s / 60 for at_s, _ in after[len(before) :]] == [81, 82, 83]
    told = [alert["alert_rule"]["threshold"] for _, alert in after]
    assert told == [1] * len(before) + [2] * 3
    assert sql_versions(http, rules["nobody"]) == [(1,), (2,)]
    assert states("nobody")[-1][1:] == (0, 0, "firing")


def sql_versions(http, rule_id):
    sql = f"SELECT DISTINCT rule_version FROM evaluations WHERE rule_id = '{rule_id}' ORDER BY 1"
    return [tuple(row) for row in http.post("/sql", json={"sql": sql}).json()["rows"]]
