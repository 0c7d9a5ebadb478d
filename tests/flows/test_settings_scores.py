"""Alert rules on scores: they stand among the rules on metrics, and watch only what their job has."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, job, settings_of

from engine.config import AnomalyRuleSettings

JOB = job(
    influencers="[city]", detectors="[{function: mean, field_name: score, by_field_name: kind}]"
)
ORDINARY = "{model: m, metric: accuracy, bound: lower, threshold: 0.5, severity: warning}"


def rule(**told):
    """Write a file of a job and one rule on its scores."""
    written = ", ".join(f"{key}: {value}" for key, value in ({"anomaly_job": "j"} | told).items())
    return f"alert_rules: [{{{written}}}]\n" + JOB


def rules(*entries):
    return "alert_rules:\n" + "".join(f"- {entry}\n" for entry in entries) + JOB


def test_contract_ELi_21_rules_on_scores_are_read(tmp_path):
    content = rules(
        "{anomaly_job: j}",
        ORDINARY,
        "{anomaly_job: j, result_type: influencer, field: city, threshold: 50, bound: upper, severity: critical,"
        " name: 'a b', buckets: 12, include_interim: true, subsequent_alert_wait_time: 0.5, enabled: false}",
        "{anomaly_job: j, result_type: record, field: kind, threshold: 0}",
    )
    found = settings_of(tmp_path, content + "time: {subsequent_alert_wait_time: 2}")
    assert [each.metric for each in found.alert_rules] == ["accuracy"]
    assert found.anomaly_rules == (
        AnomalyRuleSettings("j", name="j bucket score", wait_us=120_000_000),
        AnomalyRuleSettings(
            "j", "influencer", 50.0, "critical", "a b", 12,
            include_interim=True, field="city", wait_us=30_000_000, enabled=False,
        ),
        AnomalyRuleSettings(
            "j", "record", 0.0, name="j record score", field="kind", wait_us=120_000_000
        ),
    )  # fmt: skip


def test_golden_defaults(tmp_path):
    (found,) = settings_of(tmp_path, rule()).anomaly_rules
    assert found == AnomalyRuleSettings("j", name="j bucket score")
    assert (found.threshold, found.severity, found.buckets) == (75.0, "warning", 1)


def test_golden_names_that_are_made_up_are_unlike_all_others(tmp_path):
    entries = ["{anomaly_job: j}"] * 3
    entries.insert(1, "{anomaly_job: j, name: j bucket score 2}")
    found = settings_of(tmp_path, rules(*entries)).anomaly_rules
    assert [each.name for each in found] == [
        "j bucket score",
        "j bucket score 2",
        "j bucket score 3",
        "j bucket score 4",
    ]


ONLY = "it is of rules on metrics, and this one is on the scores of an anomaly job"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"anomaly_job": "jj"}, '.anomaly_job must be one of `anomaly_jobs`, got "jj"; did you mean "j"?'),
        ({"anomaly_job": "null"}, ".anomaly_job must be 1 to 256 of a to z, 0 to 9, _ and -, with a letter or digit at both ends, got null"),
        ({"result_type": "all"}, '.result_type must be one of bucket, influencer, record, got "all"'),
        ({"bound": "lower"}, '.bound must be one of upper, got "lower"'),
        ({"threshold": 101}, ".threshold must be a number from 0 to 100, got 101"),
        ({"threshold": "dynamic"}, '.threshold must be a number from 0 to 100, got "dynamic"'),
        ({"severity": "major"}, '.severity must be one of warning, critical, got "major"'),
        ({"name": "''"}, '.name must be text of 1 to 256 characters, got ""'),
        ({"name": r'"a\nBcc: x"'}, r'.name must be text without control characters, got "a\nBcc: x"'),
        ({"buckets": 0}, ".buckets must be a whole number from 1 to 1000, got 0"),
        ({"buckets": 1001}, ".buckets must be a whole number from 1 to 1000, got 1001"),
        ({"include_interim": "no"}, '.include_interim must be true or false, got "no"'),
        ({"subsequent_alert_wait_time": "1h"}, '.subsequent_alert_wait_time must be minutes, a number from 0, such as 60, got "1h"'),
        ({"enabled": 1}, ".enabled must be true or false, got 1"),
        ({"field": "city"}, '.field must be left out for bucket scores, which are over all fields, got "city"'),
        ({"field": "City", "result_type": "influencer"}, '.field must be a field of the influencers of the job "j" ("city"), got "City"; did you mean "city"?'),
        ({"field": "city", "result_type": "record"}, '.field must be a field of the records of the job "j" ("score", "kind"), got "city"'),
        *(({name: 1}, name) for name in ("model", "metric", "metric_id", "lookback_period", "for", "group_by", "on_no_data")),
        ({"bucket": 1}, '`alert_rules[0].bucket` is not a known key; did you mean "buckets"?'),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, told, fault):
    (found,) = faults(tmp_path, rule(**told))
    if fault.startswith("."):
        assert found == f"1: alert_rules[0]{fault}"
    elif fault.startswith("`"):
        assert found == f"1: {fault}"
    else:
        assert found == f"1: `alert_rules[0].{fault}` is not supported: {ONLY}"


def test_error_a_rule_that_could_never_fire(tmp_path):
    content = "alert_rules: [{anomaly_job: j, result_type: influencer}]\n" + job()
    told = 'must be bucket or record, as the job "j" has no influencers, got "influencer"'
    assert faults(tmp_path, content) == [f"1: alert_rules[0].result_type {told}"]
    content = "alert_rules: [{anomaly_job: j, result_type: record, field: a}]\n" + job()
    told = 'must be a field of the records of the job "j" (none), got "a"'
    assert faults(tmp_path, content) == [f"1: alert_rules[0].field {told}"]


def test_error_names_are_there_once_for_a_job(tmp_path):
    content = rules("{anomaly_job: j, name: a}", ORDINARY, "{anomaly_job: j,\n   name: a}")
    told = 'must be there once for the job "j", got "a" again'
    assert faults(tmp_path, content) == [f"5: alert_rules[2].name {told}"]


def test_error_rules_on_metrics_keep_their_places_among_the_others(tmp_path):
    """What is checked after reading finds the entry, too."""
    positive = "{model: m, metric: f1, bound: lower, threshold: 0.5, severity: warning}"
    (found,) = faults(tmp_path, rules("{anomaly_job: j}", ORDINARY, positive))
    assert found.startswith("4: alert_rules[2].metric must be one that needs no positive class")
    long = ORDINARY.replace("{", "{lookback_period: 144000, ")
    content = rules("{anomaly_job: j}", long) + "retention: {events: 31d}\n"
    (found,) = faults(tmp_path, content)
    assert "must be at least alert_rules[1].lookback_period=8640000 s" in found


def test_error_an_entry_that_is_neither_kind_says_so_once(tmp_path):
    assert faults(tmp_path, "alert_rules: {}\n") == ["1: alert_rules must be a list, got a mapping"]
    assert faults(tmp_path, "alert_rules: [a]\n") == [
        '1: alert_rules[0] must be a mapping of keys to values, got "a"'
    ]
    (found, *_) = faults(tmp_path, "alert_rules: [{anomaly_jb: j}]\n")
    assert found == '1: `alert_rules[0].anomaly_jb` is not a known key; did you mean "anomaly_job"?'
