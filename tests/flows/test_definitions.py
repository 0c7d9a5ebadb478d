"""Definitions of entries: what is in force, written as the file has it, is read as the same again.

The law holds for all five kinds, whatever way of writing the file chose. Single definitions that
come over REST are read by the readers of the file: faults are theirs, without a line.
"""

# ruff: noqa: E501 - what a definition may say is one line

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_files import settings_of

from engine.config import RuleSettings, Settings, TimeSettings, UserSettings
from engine.errors import QueryError
from flows.definitions import definition_of
from flows.entries import Known, read_entry
from flows.inforce import InForce
from flows.valuenodes import node_of
from flows.yamlnodes import scalar

RICH = """
time: {subsequent_alert_wait_time: 2.5, lookback: 90s}
models:
  - {id: m, classes: [a, b, "007"], positive: b, threshold: 0.3}
  - {id: nightly, kind: batch, positive: x}
metrics:
  - {model: m, name: mine, query: {select: [{function: truePositiveRate}], filter: [{property: age, comparator: gte, value: 1.50}]}}
  - {model: m, name: "true", query: {select: [{function: count}]}, endpoint: query}
  - {model: m, name: moved, query: {properties: [features.age], num_bins: 7, metric: PSI, base: {source: reference}, target: {source: inference}}}
alert_rules:
  - {model: m, metric: mine, bound: lower, threshold: 1e-3, severity: critical}
  - {model: m, metric: "avg(features.age)", name: "007", bound: upper, threshold: -0.0, severity: warning, lookback_period: 0.5, subsequent_alert_wait_time: 0, for: 1.25, time_basis: label, enabled: false, on_no_data: alert, resolve_threshold: -1, min_sample_count: 3, min_label_coverage: 0.25, group_by: features.city, group_limit: 7}
  - {model: m, metric: moved, bound: upper, threshold: dynamic, severity: warning, rule_id: 5A0C1B7E-6D0F-4F0B-9A55-0F6D7C0B9E21}
  - {model: nightly, metric: accuracyRate, bound: upper, threshold: 12345678901234567890, severity: warning, name: "a: b #c"}
anomaly_jobs:
  - job_id: rich
    model: m
    bucket_span: 15m
    detectors:
      - {function: high_non_zero_count, by_field_name: "features.a b", partition_field_name: city, use_null: true, exclude_frequent: by, detector_description: "Ä"}
      - {function: metric, field_name: mine}
      - function: mean
        field_name: features.age
        partition_field_name: city
        filter: [{property: age, comparator: lt, value: 9}]
        custom_rules:
          - {scope: {city: {filter_id: towns, filter_type: exclude}}, conditions: [{applies_to: actual, operator: lt, value: 10}]}
          - {actions: [skip_model_update, skip_result], conditions: [{applies_to: time, operator: gte, value: 1.7e9}]}
    influencers: [city, "yes"]
    filter: [{property: city, comparator: in, value: [a, "1", 1]}]
    latency: 1m
    frequency: 300
    time_basis: label
    normalizer: elastic
    renormalization_window_days: 0.123
    results_retention_days: 90.5
    model_snapshot_retention_days: 0.5
    background_persist_interval: 2h
    model_memory_limit: 1500000b
    description: "two\\nlines"
    groups: [g, "1"]
    enabled: false
  - {job_id: plain, type: run, detectors: [{function: count}], model_snapshot_retention_days: 3, daily_model_snapshot_retention_after_days: 2}
filters: [{filter_id: towns, items: [Rome, 1, true]}]
users:
  - {username: "007", email: ana@example.org, role: administrator, api_key_env: ANA_KEY, models: [m, "1"], jobs: []}
  - {username: bo, api_key_sha256: AB00000000000000000000000000000000000000000000000000000000000000}
notifications:
  smtp: {host: h, port: 25, from: a@b.c}
  configurations:
    - {user: "007", model: m, type: email, destination: ana@example.org, enabled: false}
    - {user: "007", model: any, type: email, destination: ana@example.org}
"""


def again(found):
    """Give every entry as it is and as it is read from its definition, by JSON and back."""
    for kind, own in found.entries.items():
        for entry_id, entry in own.items():
            definition = json.loads(json.dumps(found.definition(kind, entry_id)))
            yield kind, entry, read_entry(kind, definition, found.known)


def test_law_what_is_read_of_a_definition_is_the_entry(tmp_path):
    found = InForce.of(settings_of(tmp_path, RICH))
    pairs = list(again(found))
    assert len(pairs) == 13
    for _, entry, read in pairs:
        assert repr(read) == repr(entry)  # -0.0 too


def test_golden_defaults_are_left_out(tmp_path):
    found = InForce.of(settings_of(tmp_path, RICH))
    definitions = {
        kind: [found.definition(kind, entry_id) for entry_id in own]
        for kind, own in found.entries.items()
    }
    assert definitions["user"][1] == {"username": "bo", "api_key_sha256": "ab" + "0" * 62}
    assert definitions["notification"][1] == {
        "user": "007",
        "model": "any",
        "type": "email",
        "destination": "ana@example.org",
    }
    assert definitions["anomaly_job"][1] == {
        "job_id": "plain",
        "type": "run",
        "bucket_span": 300,
        "detectors": [{"function": "count"}],
        "model_snapshot_retention_days": 3,
        "daily_model_snapshot_retention_after_days": 2,
    }
    assert definitions["alert_rule"][0] == {
        "model": "m",
        "metric": "mine",
        "name": "Mine lower bound",
        "bound": "lower",
        "threshold": 0.001,
        "severity": "critical",
    }
    assert found.definition("metric", "unknown") is None


KNOWN = Known(Settings(time=TimeSettings(alert_wait_us=1_000_000)))
minutes = st.integers(0, 36_500 * 24 * 60 * 60_000_000)
finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20)
rules = st.builds(
    RuleSettings,
    model=words,
    metric=st.sampled_from(["avg(features.x)", "count", "rmse"]),
    bound=st.sampled_from(["upper", "lower"]),
    threshold=finite,
    severity=st.sampled_from(["warning", "critical"]),
    name=words,
    lookback_s=st.none() | st.integers(1, 100 * 86_400),
    wait_us=minutes,
    hold_us=minutes,
    time_basis=st.none() | st.sampled_from(["event", "label"]),
    enabled=st.booleans(),
    on_no_data=st.sampled_from(["ignore", "alert"]),
    min_sample_count=st.integers(0, 10**12),
    min_label_coverage=st.floats(0, 1),
    group_by=st.none() | st.just("features.city"),
    rule_id=st.none() | st.uuids().map(str),
)


@given(rules)
def test_law_any_rule_is_read_from_its_definition(rule):
    definition = definition_of("alert_rule", rule, KNOWN.settings)
    assert read_entry("alert_rule", json.loads(json.dumps(definition)), KNOWN) == rule


@given(st.none() | st.booleans() | st.text() | st.integers(-(10**30), 10**30) | finite)
def test_law_a_value_is_what_it_is_in_a_file(value):
    found = scalar(node_of(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        assert found is value or found == value
    else:
        assert float(found) == float(value)


RULE = {"model": "m", "metric": "count", "bound": "upper", "threshold": 1, "severity": "warning"}


@pytest.mark.parametrize(
    ("kind", "definition", "text"),
    [
        ("alert_rule", [], "the alert rule must be a mapping of keys to values, got a list of 0"),
        ("alert_rule", "x", "the alert rule must be a mapping of keys to values, got \"x\""),
        ("alert_rule", RULE | {"threshold": "1"}, "threshold must be a number, or dynamic for a drift metric, got \"1\""),
        ("alert_rule", RULE | {"enabled": "false"}, "enabled must be true or false, got \"false\""),
        ("alert_rule", RULE | {"metric": "counts"}, "metric must be a default metric, or one that `metrics` has for the model \"m\", got \"counts\"; did you mean \"count\"?"),
        ("alert_rule", RULE | {"rule_id": "x"}, "rule_id must be a UUID such as 5a0c1b7e-6d0f-4f0b-9a55-0f6d7c0b9e21, got \"x\""),
        ("alert_rule", RULE | {"metric": "auc"}, "metric must be one that needs no positive class, while model m declares neither `positive` nor two `classes`, got \"auc\""),
        ("alert_rule", RULE | {"treshold": 1}, "`treshold` is not a known key; did you mean \"threshold\"?"),
        ("alert_rule", {"anomaly_job": "j"}, "the alert rule must be a rule on a metric of a model; those on scores and on steps are for the file"),
        ("user", {"username": "a", "api_key_sha256": "hunter2"}, "api_key_sha256 must be the SHA-256 of a key, 64 hexadecimal digits, never the key itself, got something else, not shown here"),
        ("user", {"username": "a\0"}, "username must be text of 1 to 256 characters, got \"a\\u0000\""),
        ("anomaly_job", {"job_id": "j", "model": "m", "detectors": []}, "detectors must be a list of one detector or more, got a list of 0"),
        ("metric", {"model": "m", "name": "x", "query": {"select": [{"function": "cout"}]}}, "`query.select[0].function` must be a known function, got \"cout\"; did you mean \"count\"?"),
        ("user", {"username": float("nan")}, "the definition must have values of JSON with finite numbers, got nan"),
        ("user", {"username": 10**5000}, "the definition must have values of JSON with finite numbers, got a larger one"),
        ("user", {"username": "\ud800"}, "the definition must have text of whole characters, got half a pair of surrogates"),
        ("user", {1: "a"}, "the definition must have keys of text, got int"),
        ("user", {"username": b"a"}, "the definition must have values of JSON with finite numbers, got b'a'"),
    ],
)  # fmt: skip
def test_error_a_definition_is_refused_as_it_would_be_in_the_file(kind, definition, text):
    with pytest.raises(QueryError) as caught:
        read_entry(kind, definition, KNOWN)
    assert str(caught.value).split("\n")[0].startswith(text)


def test_error_a_definition_that_is_too_deep_is_refused():
    deep = []
    for _ in range(2_000):
        deep = [deep]
    with pytest.raises(QueryError, match="at most 40 levels"):
        read_entry("user", {"username": deep}, KNOWN)


def test_error_a_window_that_the_store_does_not_keep_is_refused():
    known = Known(Settings(retention_us=(("events", 60_000_000),)))
    assert read_entry("alert_rule", RULE | {"lookback_period": 1}, known).lookback_s == 60
    with pytest.raises(QueryError, match="lookback_period must be at most retention"):
        read_entry("alert_rule", RULE | {"lookback_period": 2}, known)


def test_golden_a_user_of_json_is_read():
    told = {"username": "eva", "role": "editor", "models": ["a"], "jobs": None}
    with pytest.raises(QueryError, match="jobs must be a list of ids of jobs"):
        read_entry("user", told, KNOWN)
    assert read_entry("user", told | {"jobs": []}, KNOWN) == UserSettings(
        "eva", None, "editor", None, None, ("a",), ()
    )
