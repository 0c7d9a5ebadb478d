"""Detectors and their custom rules: every function has its needs, and no rule is left without an object."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, job, settings_of

from engine.anomaly.functions import FUNCTIONS, REFUSED
from engine.config import CustomRule, DetectorSettings, RuleCondition, RuleScope

METRICS = "metrics: [{model: m, name: own, query: {select: [{function: count}]}}, {model: n, name: other, query: {select: [{function: count}]}}]\n"
FILTERS = (
    "filters: [{filter_id: safe, items: [a, 1, 1.5, true]}, {filter_id: none-such, items: [b]}]\n"
)


def detector(**told):
    """Write a file of one job with one detector."""
    fields = {"function": "mean", "field_name": "age"} | told
    written = ", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    return job(detectors=f"[{{{written}}}]") + METRICS + FILTERS


def one(tmp_path, **told):
    (found,) = settings_of(tmp_path, detector(**told)).anomaly_jobs
    return found.detectors[0]


def test_contract_ELi_15_detectors_are_read(tmp_path):
    found = one(
        tmp_path,
        by_field_name="'features.a b'",
        over_field_name="city",
        partition_field_name="labels.x",
        use_null="true",
        exclude_frequent="all",
        detector_description='"words\\nand lines"',
        filter="[{property: age, comparator: gt, value: 1.0}]",
    )
    assert found == DetectorSettings(
        "mean",
        "age",
        "features.a b",
        "city",
        "labels.x",
        use_null=True,
        exclude_frequent="all",
        filter='[{"comparator":"gt","property":"age","value":1.0}]',
        description="words\nand lines",
    )
    assert one(tmp_path, exclude_frequent="none").exclude_frequent is None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_contract_ELi_16_every_function_can_be_declared_with_what_it_needs(tmp_path, name):
    function = FUNCTIONS[name]
    told = {"function": name, "field_name": "age" if function.needs_field else None}
    told |= {f"{each}_field_name": each + each for each in function.needs}
    found = one(tmp_path, **told)
    assert (found.function, found.by_field_name) == (function.name, told.get("by_field_name"))
    assert FUNCTIONS[found.function] == function  # other names are the same function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_every_function_is_refused_without_what_it_needs(tmp_path, name):
    function = FUNCTIONS[name]
    needed = [f"{each}_field_name" for each in function.needs]
    needed += ["field_name"] if function.needs_field else []
    found = faults(tmp_path, detector(function=name, field_name=None)) if needed else []
    rule = f"must be given, as {function.name} needs it, got nothing"
    assert found == [f"1: anomaly_jobs[0].detectors[0].{each} {rule}" for each in needed]
    if not function.needs_field:
        told = {f"{each}_field_name": each + each for each in function.needs}
        (fault,) = faults(tmp_path, detector(function=name, **told))
        assert fault.endswith(
            f'.field_name must be left out, as {function.name} has no field, got "age"'
        )


@pytest.mark.parametrize("name", REFUSED)
def test_error_functions_that_do_not_exist_here_say_why(tmp_path, name):
    (fault,) = faults(tmp_path, detector(function=name))
    assert (
        fault
        == f"1: anomaly_jobs[0].detectors[0].function: `{name}` is not supported: {REFUSED[name]}"
    )


NAMES = "must be text of 1 to 256 characters"
SPLIT = "must be the name of a property, and none of by, count, over"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"function": None}, ".function must be given, got nothing"),
        ({"function": "maen"}, '.function must be a detector function, got "maen"; did you mean "mean"?'),
        ({"function": "Mean"}, '.function must be a detector function, got "Mean"; did you mean "mean"?'),
        ({"function": "[]"}, None),
        ({"field": "x"}, None),
        ({"detector_index": 0}, None),
        ({"field_name": "''"}, f'.field_name {NAMES}, got ""'),
        ({"by_field_name": "over"}, f'.by_field_name {SPLIT}, got "over"'),
        ({"over_field_name": "count"}, f'.over_field_name {SPLIT}, got "count"'),
        ({"partition_field_name": "by"}, f'.partition_field_name {SPLIT}, got "by"'),
        ({"by_field_name": "a", "over_field_name": "a"}, '.over_field_name must be unlike `by_field_name`, got "a"'),
        ({"by_field_name": "a", "partition_field_name": "a"}, '.partition_field_name must be unlike `by_field_name`, got "a"'),
        ({"use_null": 1}, ".use_null must be true or false, got 1"),
        ({"exclude_frequent": "some"}, '.exclude_frequent must be one of all, none, by, over, got "some"'),
        ({"exclude_frequent": "all"}, '.exclude_frequent must be given together with `by_field_name` or `over_field_name`, got "all"'),
        ({"exclude_frequent": "by", "over_field_name": "a"}, '.exclude_frequent must be given together with `by_field_name`, got "by"'),
        ({"exclude_frequent": "over", "by_field_name": "a"}, '.exclude_frequent must be given together with `over_field_name`, got "over"'),
        ({"filter": "[{property: a, comparator: over, value: 1}]"}, None),
        # fields that are metrics
        ({"field_name": "PSI(features.age)"}, '.field_name must be a property or a metric that is not one of drift, which has rules of its own, got "PSI(features.age)"'),
        ({"field_name": "f1"}, '.field_name must be one that needs no positive class, while model m declares neither `positive` nor two `classes`, got "f1"'),
        ({"function": "sum", "field_name": "own"}, '.field_name must be a property, as sum cannot be taken of the metric "own" (mean and metric can); a feature of that name is "features.own", got "own"'),
        ({"function": "max", "field_name": "accuracy"}, '.field_name must be a property, as max cannot be taken of the metric "accuracy" (mean and metric can); a feature of that name is "features.accuracy", got "accuracy"'),
        # custom rules
        ({"custom_rules": "{}"}, ".custom_rules must be a list, got a mapping"),
        ({"custom_rules": "[{}]"}, ".custom_rules[0] must have a `scope` or `conditions`, got neither"),
        ({"custom_rules": "[{scope: {}, conditions: []}]"}, ".custom_rules[0] must have a `scope` or `conditions`, got neither"),
        ({"custom_rules": "[{actions: []}]"}, ".custom_rules[0].actions must be a list of skip_result and skip_model_update, got a list of 0"),
        ({"custom_rules": "[{actions: [skip]}]"}, '.custom_rules[0].actions[0] must be one of skip_result, skip_model_update, got "skip"'),
        ({"custom_rules": "[{actions: [force_time_shift]}]"}, ".custom_rules[0].actions[0]: `force_time_shift` is not supported: the time of a series is that of its events, and is never shifted"),
        ({"custom_rules": "[{conditions: [{applies_to: actual, operator: gt}]}]"}, ".custom_rules[0].conditions[0].value must be given, got nothing"),
        ({"custom_rules": "[{conditions: [{applies_to: size, operator: gt, value: 1}]}]"}, '.custom_rules[0].conditions[0].applies_to must be one of actual, typical, diff_from_typical, time, got "size"'),
        ({"custom_rules": "[{conditions: [{applies_to: time, operator: '>', value: 1}]}]"}, '.custom_rules[0].conditions[0].operator must be one of gt, gte, lt, lte, got ">"'),
        ({"custom_rules": "[{conditions: [{applies_to: time, operator: gt, value: .inf}]}]"}, '.custom_rules[0].conditions[0].value must be a finite number, got ".inf"'),
        ({"custom_rules": "[{scope: {city: {values: [a]}}}]"}, '.custom_rules[0].scope must be of a field that splits its detector (it has none), got "city"'),
        ({"by_field_name": "city", "custom_rules": "[{scope: {City: {values: [a]}}}]"}, '.custom_rules[0].scope must be of a field that splits its detector ("city"), got "City"; did you mean "city"?'),
        ({"by_field_name": "city", "custom_rules": "[{scope: {city: {}}}]"}, ".custom_rules[0].scope.city must have either `filter_id` or `values`, got nothing"),
        ({"by_field_name": "city", "custom_rules": "[{scope: {city: {filter_id: safe, values: [a]}}}]"}, ".custom_rules[0].scope.city must have either `filter_id` or `values`, got both"),
        ({"by_field_name": "city", "custom_rules": "[{scope: {city: {filter_id: save}}}]"}, '.custom_rules[0].scope.city.filter_id must be the `filter_id` of one of `filters`, got "save"; did you mean "safe"?'),
        ({"by_field_name": "city", "custom_rules": "[{scope: {city: {values: [a], filter_type: only}}}]"}, '.custom_rules[0].scope.city.filter_type must be one of include, exclude, got "only"'),
        ({"by_field_name": "city", "custom_rules": "[{scope: {city: {values: []}}}]"}, ".custom_rules[0].scope.city.values must be a list of one value or more, got a list of 0"),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, told, fault):
    found = faults(tmp_path, detector(**told))
    assert len(found) == 1
    assert found[0].startswith(
        ("1: anomaly_jobs[0].detectors[0].", "1: `anomaly_jobs[0].detectors[0].")
    )
    if fault is not None:
        assert found == [f"1: anomaly_jobs[0].detectors[0]{fault}"]


@pytest.mark.parametrize("function", ["mean", "low_mean", "high_mean", "metric", "avg"])
def test_golden_a_field_may_be_a_metric_of_the_model(tmp_path, function):
    for field in ("own", "accuracyRateMulticlass", "avg(features.age)", "correct", "squared_error"):
        assert one(tmp_path, function=function, field_name=field).field_name == field


def test_golden_only_predictions_have_metrics(tmp_path):
    """A job over another type reads fields of these names, and a metric of another model is none."""
    for name in ("other", "features.accuracy"):
        assert one(tmp_path, function="sum", field_name=name).field_name == name
    told = job(
        type="run",
        detectors="[{function: sum, field_name: accuracy}, {function: sum, field_name: own}]",
    )
    (found,) = settings_of(tmp_path, told + METRICS).anomaly_jobs
    assert [each.field_name for each in found.detectors] == ["accuracy", "own"]


def test_golden_a_metric_of_a_positive_class_that_is_declared(tmp_path):
    content = detector(field_name="f1") + "models: [{id: m, classes: [A, B]}]"
    assert settings_of(tmp_path, content).anomaly_jobs[0].detectors[0].field_name == "f1"


def test_contract_ELi_17_custom_rules_are_read(tmp_path):
    rules = """[
      {scope: {city: {filter_id: safe}, kind: {values: [x, 2.0], filter_type: exclude}}},
      {actions: [skip_model_update, skip_result],
       conditions: [{applies_to: diff_from_typical, operator: lte, value: 1e1}, {applies_to: time, operator: gte, value: 0}]}]"""
    found = one(tmp_path, by_field_name="city", partition_field_name="kind", custom_rules=rules)
    assert found.custom_rules == (
        CustomRule(
            scope=(
                RuleScope("city", ("a", "1", "1.5", "true")),
                RuleScope("kind", ("x", "2"), include=False),
            )
        ),
        CustomRule(
            ("skip_model_update", "skip_result"),
            conditions=(
                RuleCondition("diff_from_typical", "lte", 10.0),
                RuleCondition("time", "gte", 0.0),
            ),
        ),
    )


def test_error_equal_detectors_whatever_they_are_called(tmp_path):
    content = """\
anomaly_jobs:
- job_id: j
  model: m
  detectors:
    - {function: mean, field_name: age}
    - {function: count}
    - {function: avg, field_name: age, exclude_frequent: none,
       detector_description: another}
    - {function: mean, field_name: age, use_null: true}
"""
    told = "must be unlike the other detectors of the job, got the same as"
    place = "anomaly_jobs[0].detectors"
    assert faults(tmp_path, content) == [f"7: {place}[2] {told} {place}[0]"]


def test_error_a_filter_with_faults_is_told_once(tmp_path):
    told = {"by_field_name": "city", "custom_rules": "[{scope: {city: {filter_id: safe}}}]"}
    content = detector(**told).replace("items: [a, 1, 1.5, true]", "items: []")
    assert faults(tmp_path, content) == [
        "3: filters[0].items must be a list of one item or more, got a list of 0"
    ]


@pytest.mark.parametrize(
    "query",
    [
        *("null", "{select: []}", "{select: [{property: a}]}", "{select: [{property: '*'}]}"),
        *("{select: [{function: count}, {function: count, alias: b}]}", "{properties: []}"),
    ],
)
def test_error_a_metric_with_faults_is_told_once(tmp_path, query):
    content = f"metrics: [{{model: m, name: bad, query: {query}}}]\n"
    content += job(detectors="[{function: mean, field_name: bad}]")
    (found,) = faults(tmp_path, content)
    assert "metrics[0].query" in found
