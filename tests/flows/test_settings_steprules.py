"""Alert rules on step metrics: they stand among the other rules, and each fault is told."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, job, settings_of

from engine.config import StepRuleSettings
from flows.settings import summary

ORDINARY = "{model: m, metric: accuracy, bound: lower, threshold: 0.5, severity: warning}"
GOOD = {"step_metric": "loss", "job": "j", "bound": "upper", "threshold": 2, "severity": "warning"}


def written(**told):
    fields = {key: value for key, value in (GOOD | told).items() if value is not None}
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"


def rules(*entries):
    return "alert_rules:\n" + "".join(f"- {entry}\n" for entry in entries)


def test_contract_DIi_11_rules_on_step_metrics_are_read(tmp_path):
    content = rules(
        written(),
        ORDINARY,
        "{anomaly_job: j}",
        written(
            job=None, experiment="e 1", steps=5, function="median", bound="lower", threshold=-0.5,
            severity="critical", name="a b", min_steps=3, subsequent_alert_wait_steps=10,
            resolve_threshold=0, enabled="false",
        ),
        written(job=7),
    )  # fmt: skip
    found = settings_of(tmp_path, content + job())
    assert [each.metric for each in found.alert_rules] == ["accuracy"]
    assert len(found.anomaly_rules) == 1
    assert found.step_rules == (
        StepRuleSettings("loss", "upper", 2.0, "warning", "j", name="Avg loss upper bound"),
        StepRuleSettings(
            "loss",
            "lower",
            -0.5,
            "critical",
            None,
            "e 1",
            5,
            "median",
            "a b",
            3,
            10,
            0.0,
            enabled=False,
        ),
        StepRuleSettings("loss", "upper", 2.0, "warning", "7", name="Avg loss upper bound"),
    )
    assert "5 alert rules" in summary(found)


def test_golden_defaults(tmp_path):
    (found,) = settings_of(tmp_path, rules(written())).step_rules
    assert (found.steps, found.function, found.min_steps, found.wait_steps) == (1, "avg", None, 0)
    assert (found.resolve_threshold, found.enabled) == (None, True)


def test_golden_names_that_are_made_up_are_unlike_all_others(tmp_path):
    entries = [written(), written(name="Avg loss upper bound 2"), written(), written(job="k")]
    found = settings_of(tmp_path, rules(*entries)).step_rules
    names = [each.name.removeprefix("Avg loss upper bound") for each in found]
    assert names == ["", " 2", " 3", ""]


ONLY = "it is of rules on metrics of models, and this one is on a step metric"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"step_metric": "''"}, '.step_metric must be text of 1 to 256 characters, got ""'),
        ({"step_metric": "null"}, ".step_metric must be text of 1 to 256 characters, got null"),
        ({"step_metric": r'"a\nb"'}, r'.step_metric must be text without control characters, got "a\nb"'),
        ({"job": "[a]"}, ".job must be text of 1 to 256 characters, got a list of 1"),
        ({"job": None, "experiment": "''"}, '.experiment must be text of 1 to 256 characters, got ""'),
        ({"experiment": "e"}, " must have either `job` or `experiment`, got both"),
        ({"job": None}, " must have either `job` or `experiment`, got nothing"),
        ({"steps": 0}, ".steps must be a whole number from 1 to 100000, got 0"),
        ({"steps": 100001}, ".steps must be a whole number from 1 to 100000, got 100001"),
        ({"steps": "2.5"}, ".steps must be a whole number from 1 to 100000, got 2.5"),
        ({"function": "mean"}, '.function must be one of avg, min, max, sum, median, stddev, last, got "mean"'),
        ({"function": "stddev"}, ".steps must be at least 2 with the function stddev, got 1"),
        ({"bound": "both"}, '.bound must be one of upper, lower, got "both"'),
        ({"threshold": "dynamic"}, '.threshold must be a finite number, got "dynamic"'),
        ({"threshold": "1e999"}, ".threshold must be a finite number, got 1e999"),
        ({"severity": "major"}, '.severity must be one of warning, critical, got "major"'),
        ({"name": "''"}, '.name must be text of 1 to 256 characters, got ""'),
        ({"name": r'"a\nBcc: x"'}, r'.name must be text without control characters, got "a\nBcc: x"'),
        ({"steps": 3, "min_steps": 0}, ".min_steps must be a whole number from 1 to 100000, got 0"),
        ({"steps": 3, "min_steps": 4}, ".min_steps must be at most `steps`, 3, got 4"),
        ({"min_steps": 2}, ".min_steps must be at most `steps`, 1, got 2"),
        ({"subsequent_alert_wait_steps": -1}, ".subsequent_alert_wait_steps must be a whole number from 0 to 1000000000000, got -1"),
        ({"resolve_threshold": "x"}, '.resolve_threshold must be a finite number, got "x"'),
        ({"resolve_threshold": 3}, ".resolve_threshold must be at most the threshold 2 of the upper bound, got 3"),
        ({"bound": "lower", "resolve_threshold": 1}, ".resolve_threshold must be at least the threshold 2 of the lower bound, got 1"),
        ({"enabled": 1}, ".enabled must be true or false, got 1"),
        *(({key: None}, f".{key} must be given, got nothing") for key in ("bound", "threshold", "severity")),
        *(({name: 1}, name) for name in ("model", "metric", "metric_id", "lookback_period", "for", "subsequent_alert_wait_time", "on_no_data", "time_basis", "min_sample_count", "min_label_coverage", "group_by", "group_limit")),
        ({"step": 1}, '`alert_rules[0].step` is not a known key; did you mean "steps"?'),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, told, fault):
    (found,) = faults(tmp_path, rules(written(**told)))
    if fault.startswith(("`", ".", " ")):
        assert found == f"2: {'' if fault.startswith('`') else 'alert_rules[0]'}{fault}"
    else:
        assert found == f"2: `alert_rules[0].{fault}` is not supported: {ONLY}"


def test_error_names_are_there_once_for_a_job_and_for_an_experiment(tmp_path):
    one = written(name="a")
    content = rules(one, written(name="a", job="k"), written(name="a", job=None, experiment="j"))
    assert len(settings_of(tmp_path, content).step_rules) == 3
    told = 'must be there once for the job "j", got "a" again'
    assert faults(tmp_path, rules(one, ORDINARY, one)) == [f"4: alert_rules[2].name {told}"]


def test_error_an_entry_is_of_one_kind(tmp_path):
    (found,) = faults(tmp_path, rules("{anomaly_job: j, step_metric: loss}") + job())
    assert found.startswith("2: `alert_rules[0].step_metric` is not a known key")
    (found, *_) = faults(tmp_path, rules("{step_metrik: loss}"))
    told = '`alert_rules[0].step_metrik` is not a known key; did you mean "step_metric"?'
    assert found == f"2: {told}"


def test_error_rules_on_metrics_keep_their_places_among_the_others(tmp_path):
    positive = "{model: m, metric: f1, bound: lower, threshold: 0.5, severity: warning}"
    (found,) = faults(tmp_path, rules(written(), ORDINARY, positive))
    assert found.startswith("4: alert_rules[2].metric must be one that needs no positive class")
