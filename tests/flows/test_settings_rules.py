"""Alert rules: minutes become whole seconds, every rule gets a name and a metric that exists, and every fault its place."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_files import faults, settings_of, tried

from engine.config import DYNAMIC, RuleSettings
from engine.metrics import metric_id
from engine.rule_names import rule_name
from engine.rules.definition import rule_id_of

GOOD = """\
alert_rules:
  - {model: triage, metric: accuracyRateMulticlass, bound: lower, threshold: 0.9, severity: critical,
     lookback_period: 5, subsequent_alert_wait_time: 0, time_basis: label, name: "accuracy fell"}
  - {model: triage, metric_id: own, bound: upper, threshold: 0, severity: warning}
  - model: triage
    metric: PSI(features.age)
    bound: upper
    threshold: dynamic
    severity: warning
    lookback_period: 1440.5
    subsequent_alert_wait_time: 0.5
    enabled: false
    on_no_data: alert
    for: 2.5
    min_sample_count: 30
    min_label_coverage: 0.25
  - {model: quiet, metric: count, bound: lower, threshold: 1e0, severity: critical, resolve_threshold: 3}
  - {model: quiet, metric: avg(score), bound: upper, threshold: 0.5, severity: warning, group_by: city, group_limit: 7}
  - {model: batches, metric: f1, bound: lower, threshold: 0.5, severity: critical}
metrics:
  - {model: triage, name: own, query: {select: [{function: count}]}}
models:
  - {id: batches, kind: batch, positive: spam}
time: {subsequent_alert_wait_time: 10}
"""


def rule(**told):
    """Write a file of one rule: a good one, but for what is told."""
    fields = {"model": "m", "metric": "accuracy", "bound": "lower", "threshold": "0.5"}
    fields |= {"severity": "warning"} | told
    written = ", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    return f"alert_rules: [{{{written}}}]\n"


def test_contract_AR_04_to_10_and_17_rules_are_read(tmp_path):
    assert settings_of(tmp_path, GOOD).alert_rules == (
        RuleSettings(
            "triage",
            "accuracyRateMulticlass",
            "lower",
            0.9,
            "critical",
            name="accuracy fell",
            lookback_s=300,
            wait_us=0,
            time_basis="label",
        ),
        RuleSettings(
            "triage", "own", "upper", 0.0, "warning", name="Own upper bound", wait_us=600_000_000
        ),
        RuleSettings(
            "triage",
            "PSI(features.age)",
            "upper",
            DYNAMIC,
            "warning",
            name="PSI features.age upper bound",
            lookback_s=86_430,
            wait_us=30_000_000,
            hold_us=150_000_000,
            enabled=False,
            on_no_data="alert",
            min_sample_count=30,
            min_label_coverage=0.25,
        ),
        RuleSettings(
            "quiet",
            "count",
            "lower",
            1.0,
            "critical",
            name="Count lower bound",
            wait_us=600_000_000,
            resolve_threshold=3.0,
        ),
        RuleSettings(
            "quiet",
            "avg(score)",
            "upper",
            0.5,
            "warning",
            name="Avg score upper bound",
            wait_us=600_000_000,
            group_by="city",
            group_limit=7,
        ),
        RuleSettings("batches", "f1", "lower", 0.5, "critical", name="F1 lower bound"),
    )


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [("5", 300), ("0.5", 30), ("1e-9", 1), ("0.025", 2), ("0.09", 5), ("7.77", 466), ("144000", 8_640_000)],
)  # fmt: skip
def test_contract_AR_09_lookbacks_are_whole_seconds(tmp_path, minutes, seconds):
    (found,) = settings_of(tmp_path, rule(lookback_period=minutes)).alert_rules
    assert found.lookback_s == seconds


def test_contract_AR_04_a_metric_goes_by_its_id_too(tmp_path):
    own = "metrics: [{model: m, name: own, query: {select: [{function: count}]}}]"
    for name in ("own", "macroOvrAccuracy"):
        told = str(metric_id("m", name)).upper()
        content = rule(metric=None, metric_id=f"'{told}'") + own
        assert settings_of(tmp_path, content).alert_rules[0].metric == name


def test_contract_ARx_2_the_misspelt_name_is_that_of_the_metric(tmp_path):
    (found,) = settings_of(
        tmp_path, rule(metric="falsePostiveRate") + "models: [{id: m, positive: spam}]"
    ).alert_rules
    assert (found.metric, found.name) == ("falsePositiveRate", "False Positive Rate lower bound")


def test_contract_AR_05_names_that_are_made_up_are_unlike_all_others(tmp_path):
    one = "{model: %s, metric: accuracy, bound: lower, threshold: 0, severity: warning%s}"
    entries = [
        one % ("m", ""),
        one % ("m", ""),
        one % ("n", ""),
        one % ("m", ", name: Accuracy lower bound 2"),
        one % ("m", ""),
    ]
    found = settings_of(tmp_path, "alert_rules:\n" + "".join(f"- {entry}\n" for entry in entries))
    assert [one.name for one in found.alert_rules] == [
        "Accuracy lower bound",
        "Accuracy lower bound 3",
        "Accuracy lower bound",
        "Accuracy lower bound 2",
        "Accuracy lower bound 4",
    ]


def test_error_a_drift_rule_has_no_groups(tmp_path):
    content = rule(metric="PSI(features.age)", bound="upper", group_by="city")
    rest = "left out for a drift metric: filter the target in a metric of your own"
    assert faults(tmp_path, content) == [f'1: alert_rules[0].group_by must be {rest}, got "city"']


def test_error_a_metric_of_a_positive_class_needs_one_declared(tmp_path):
    """What is learned on the way would change the meaning of the rule between two lines."""
    told = "one that needs no positive class, while model m declares neither `positive` nor two"
    for metric in ("f1", "auc"):
        fault = f'1: alert_rules[0].metric must be {told} `classes`, got "{metric}"'
        assert faults(tmp_path, rule(metric=metric)) == [fault]
        settings_of(tmp_path, rule(metric=metric) + "models: [{id: m, classes: [A, B]}]")


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracyRate", "Accuracy Rate lower bound"),
        ("rSquared", "R Squared lower bound"),
        ("f1Multiclass", "F1 Multiclass lower bound"),
        ("KLDivergence(features.x y)", "KL Divergence features.x y lower bound"),
        ("NLPDataDrift", "NLP Data Drift lower bound"),
        ("avg(a(b))", "Avg a(b) lower bound"),
        ("TPR 30-50", "TPR 30-50 lower bound"),
        ("größe", "größe lower bound"),
        ("a()", "a() lower bound"),
    ],
)
def test_golden_rule_names(metric, name):
    assert rule_name(metric, "lower", ()) == name
    assert rule_name(metric, "lower", {name, f"{name} 3"}) == f"{name} 2"


MINUTES = "must be minutes, a number from 0, such as 60"
LOOKBACK = "must be minutes, a number above 0 and at most 144000 (100 days), such as 5 or 0.5"
THRESHOLD = "must be a number, or dynamic for a drift metric"
METRIC = 'must be a default metric, or one that `metrics` has for the model "m"'
ID = "6b0f3a52-0000-3000-8000-000000000000"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"model": None}, "model must be given, got nothing"),
        ({"bound": None}, "bound must be given, got nothing"),
        ({"threshold": None}, "threshold must be given, got nothing"),
        ({"severity": None}, "severity must be given, got nothing"),
        ({"bound": "above"}, 'bound must be one of upper, lower, got "above"'),
        ({"severity": "info"}, 'severity must be one of warning, critical, got "info"'),
        ({"threshold": "high"}, f'threshold {THRESHOLD}, got "high"'),
        ({"threshold": "true"}, f"threshold {THRESHOLD}, got true"),
        ({"threshold": "null"}, f"threshold {THRESHOLD}, got null"),
        ({"threshold": '"0.9"'}, f'threshold {THRESHOLD}, got "0.9"'),
        ({"threshold": ".nan"}, f'threshold {THRESHOLD}, got ".nan"'),
        ({"threshold": ".inf"}, f'threshold {THRESHOLD}, got ".inf"'),
        ({"threshold": "1e400"}, "threshold must be a finite number, got 1e400"),
        ({"threshold": "[1]"}, f"threshold {THRESHOLD}, got a list of 1"),
        ({"threshold": "dynamic", "bound": "upper"}, 'threshold must be a number, as "accuracy" is no drift metric, got "dynamic"'),
        ({"name": "''"}, 'name must be text of 1 to 256 characters, got ""'),
        ({"name": '"a\\r\\nBcc: x"'}, 'name must be text without control characters, got "a\\r\\nBcc: x"'),
        ({"lookback_period": 0}, f"lookback_period {LOOKBACK}, got 0"),
        ({"lookback_period": -1}, f"lookback_period {LOOKBACK}, got -1"),
        ({"lookback_period": 144001}, f"lookback_period {LOOKBACK}, got 144001"),
        ({"lookback_period": "5m"}, f'lookback_period {LOOKBACK}, got "5m"'),
        ({"lookback_period": "true"}, f"lookback_period {LOOKBACK}, got true"),
        ({"subsequent_alert_wait_time": -0.5}, f"subsequent_alert_wait_time {MINUTES}, got -0.5"),
        ({"subsequent_alert_wait_time": "1e999"}, f"subsequent_alert_wait_time {MINUTES}, got 1e999"),
        ({"for": "true"}, f"for {MINUTES}, got true"),
        ({"time_basis": "ingest"}, 'time_basis must be one of event, label, got "ingest"'),
        ({"enabled": "yes"}, 'enabled must be true or false, got "yes"'),
        ({"on_no_data": "fire"}, 'on_no_data must be one of ignore, alert, got "fire"'),
        ({"min_sample_count": 1.5}, "min_sample_count must be a whole number from 0 to 1000000000000, got 1.5"),
        ({"min_label_coverage": 50}, "min_label_coverage must be a number from 0 to 1, got 50"),
        ({"group_by": "c", "group_limit": 0}, "group_limit must be a whole number from 1 to 10000, got 0"),
        ({"group_limit": 5}, "group_limit must be given together with `group_by`, got 5"),
        ({"resolve_threshold": 0.4}, "resolve_threshold must be at least the threshold 0.5 of the lower bound, got 0.4"),
        ({"bound": "upper", "resolve_threshold": 0.6}, "resolve_threshold must be at most the threshold 0.5 of the upper bound, got 0.6"),
        ({"resolve_threshold": "true"}, "resolve_threshold must be a finite number, got true"),
        ({"metric": "acuracy"}, f'metric {METRIC}, got "acuracy"; did you mean "accuracy"?'),
        ({"metric": "F1"}, f'metric {METRIC}, got "F1"; did you mean "f1"?'),
        ({"metric": "PSI"}, f'metric {METRIC}, got "PSI"; it goes by a property, as in "PSI(features.age)"'),
        ({"metric": "PSY(features.age)"}, f'metric {METRIC}, got "PSY(features.age)"; did you mean "PSI(features.age)"?'),
        ({"metric": "zzz"}, f'metric {METRIC}, got "zzz"'),
        ({"metric": "''"}, 'metric must be text of 1 to 256 characters, got ""'),
        ({"metric": ID}, f'metric must be the id of a metric that the file or the catalogue has for the model "m" (one of a property goes by its name, such as "avg(features.age)"), got "{ID}"'),
        ({"metric_id": ID}, None),
        ({"metric": None}, None),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, told, fault):
    (found,) = faults(tmp_path, rule(**told))
    if fault is None:
        got = "both" if "metric_id" in told else "nothing"
        assert found == f"1: alert_rules[0] must have either `metric` or `metric_id`, got {got}"
    else:
        assert found == f"1: alert_rules[0].{fault}"


def test_error_dynamic_thresholds_are_upper_ones_alone(tmp_path):
    told = {"metric": "PSI(features.age)", "threshold": "dynamic", "resolve_threshold": 1}
    assert faults(tmp_path, rule(**told)) == [
        '1: alert_rules[0].bound must be upper with `threshold: dynamic`, got "lower"',
        "1: alert_rules[0].resolve_threshold must be left out with `threshold: dynamic`, got 1",
    ]


WRONG = """\
models:
  - {id: batches, kind: batch}
metrics:
  - {model: n, name: own, query: {select: [{function: nothing}]}}
alert_rules:
  - {model: batches, metric: f1, bound: lower, threshold: 0.5, severity: critical,
     lookback_period: 5,
     subsequent_alert_wait_time: 0}
  - {model: m, metric: own, bound: lower, threshold: 0.5, severity: critical, name: a}
  - {model: n, metric: own, bound: lower, threshold: 0.5, severity: critical, name: a}
  - {model: n, metric: f1, bound: lower, threshold: 0.5, severity: critical,
     name: a}
  - {model: n, metric: f1, bound: lower, thresold: 0.5, severity: critical}
"""


def test_error_all_faults_are_told_at_once_and_none_follows_from_another(tmp_path):
    streaming = 'must be left out, as it is for streaming models only and "batches" is batch'
    found = faults(tmp_path, WRONG)
    assert found[0].startswith("4: `metrics[0].query.select[0].function` ")
    assert found[1:] == [
        f"7: alert_rules[0].lookback_period {streaming}, got 5",
        f"8: alert_rules[0].subsequent_alert_wait_time {streaming}, got 0",
        f'9: alert_rules[1].metric {METRIC}, got "own"; it is one of the model "n"',
        '12: alert_rules[3].name must be there once for the model "n", got "a" again',
        '13: `alert_rules[4].thresold` is not a known key; did you mean "threshold"?',
        "13: alert_rules[4].threshold must be given, got nothing",
    ]


def test_error_what_one_evaluation_of_a_batch_has_no_use_for(tmp_path):
    written = """\
models:
  - {id: batches, kind: batch}
alert_rules:
  - {model: batches, metric: f1, bound: lower, threshold: 0.5, severity: critical,
     for: 5,
     resolve_threshold: 0.6,
     group_by: features.city,
     group_limit: 7}
"""
    streaming = 'must be left out, as it is for streaming models only and "batches" is batch'
    assert faults(tmp_path, written) == [
        f"5: alert_rules[0].for {streaming}, got 5",
        f"6: alert_rules[0].resolve_threshold {streaming}, got 0.6",
        f'7: alert_rules[0].group_by {streaming}, got "features.city"',
    ]


ODD = ["0", "-1", "1e999", "5m", "true", "null", "''", "[]", "{}", "[a, b]", "{a: 1}", "dynamic"]
ODD += ["upper", '"a\\nb"', None]
KEYS = ["model", "metric", "metric_id", "name", "bound", "threshold", "severity", "lookback_period"]
KEYS += ["subsequent_alert_wait_time", "time_basis", "enabled", "on_no_data", "resolve_threshold"]
KEYS += ["for", "min_sample_count", "min_label_coverage", "group_by", "group_limit"]


@given(told=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD), max_size=6))
def test_law_whatever_a_rule_says_it_is_read_or_refused_line_by_line(told, tmp_path_factory):
    found, refused = tried(tmp_path_factory.mktemp("odd"), rule(**told))
    if found is None:
        assert all("config.yaml:1: " in line for line in refused.split("\n"))
    else:
        assert found.alert_rules[0].name
        dynamic = told.get("threshold") == "dynamic"
        assert (found.alert_rules[0].threshold is DYNAMIC) == dynamic


EXAMPLE = """\
data: ./data
sources:
  - {name: alerts, files: "events/*.ndjson.gz", mapping: {timestamp: '$."@timestamp"', prediction: "$.arcanna.result_label"}}
  - {name: piped, stdin: true}
time: {allowed_lateness: 10s, idle_timeout: 30s, max_future: 1h, label_horizon: 30d}
models:
  - id: triage
    job: soc
    classes: [Drop, Investigate, Escalate]     # learned when absent; order of the matrix
    positive: Escalate                         # for binary metrics; its probability is a property:
    positive_property: p_escalate
    reference: {files: "reference.ndjson"}
    kind: streaming                            # or batch: one window per batch_id
metrics:
  - model: triage
    name: TPR 30-50
    query: {select: [{function: truePositiveRate, parameters: {threshold: 0.5, ground_truth_property: escalated, predicted_property: p_escalate}}],
            filter: [{property: age, comparator: gte, value: 30}, {property: age, comparator: lt, value: 50}]}
alert_rules:
  - {model: triage, metric: accuracyRateMulticlass, bound: lower, threshold: 0.9, severity: critical,
     lookback_period: 5, subsequent_alert_wait_time: 0, time_basis: label, name: "accuracy fell"}
notifications:
  smtp: {host: 127.0.0.1, port: 2525, from: bellwether@example.org}
  configurations: [{user: ana, model: triage, type: email, destination: ana@example.org}]
users: [{username: ana, email: ana@example.org, role: administrator}]
retention: {events: 90d}                       # for ever when absent
limits: {models: 10000, series: 2000000, classes: 1000, line_bytes: 1048576}
"""


def test_golden_the_example_of_the_design_is_read(tmp_path):
    found = settings_of(tmp_path, EXAMPLE)
    (told,) = found.alert_rules
    assert (told.name, told.lookback_s, told.time_basis) == ("accuracy fell", 300, "label")
    assert found.metrics[0].name == "TPR 30-50"
    assert found.notifications[0].destination == found.users[0].email == "ana@example.org"
    assert found.models[0].reference == ("reference.ndjson",)


def test_golden_a_rule_may_say_its_id(tmp_path):
    own = "5A0C1B7E-6D0F-4F0B-9A55-0F6D7C0B9E21"
    rule = "model: m, metric: count, bound: upper, threshold: 1, severity: warning"
    told = settings_of(tmp_path, f"alert_rules: [{{{rule}, rule_id: {own}}}, {{{rule}}}]")
    assert [each.rule_id for each in told.alert_rules] == [own.lower(), None]
    assert str(rule_id_of(told.alert_rules[0], "any")) == own.lower()


def test_error_two_rules_have_one_id(tmp_path):
    rule = "model: m, metric: count, bound: upper, threshold: 1, severity: warning"
    taken = str(rule_id_of(RuleSettings("m", "count", "upper", 1.0, "warning"), "x"))
    written = f"""\
alert_rules:
  - {{{rule}, rule_id: {taken}}}
  - {{{rule}, name: x}}
  - {{{rule}, rule_id: 00000000-0000-0000-0000-00000000000A}}
  - {{{rule}, rule_id: 00000000-0000-0000-0000-00000000000a}}
  - {{{rule}, rule_id: none}}
"""
    assert faults(tmp_path, written) == [
        f'2: alert_rules[0].rule_id must be unlike the id of alert_rules[1], got "{taken}"',
        '5: alert_rules[3].rule_id must be unlike the id of alert_rules[2], got "00000000-0000-0000-0000-00000000000a"',
        '6: alert_rules[4].rule_id must be a UUID such as 5a0c1b7e-6d0f-4f0b-9a55-0f6d7c0b9e21, got "none"',
    ]
