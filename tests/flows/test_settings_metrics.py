"""Metrics of one's own: the file's YAML becomes canonical JSON, and faults in a query find their line."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_files import faults, settings_of, tried

from engine.config import MetricSettings, ModelSettings
from engine.rules.definition import metric_of, own_metrics
from flows.settings import summary

GOOD = """\
models:
  - {id: triage, classes: [Drop, Escalate], positive: Escalate, positive_property: p_escalate}
metrics:
  - model: triage
    name: TPR 30-50
    query:
      select: [{function: truePositiveRate, parameters: {threshold: 0.5, ground_truth_property: escalated, predicted_property: p_escalate}}]
      filter: [{property: age, comparator: gte, value: 30}, {property: age, comparator: lt, value: 5.0e1}]
  - model: triage
    name: "Robert'); DROP TABLE metrics; -- ü"
    endpoint: /models/{model_id}/inference/query
    query: {select: [{function: count, alias: null}], filter: [{property: "ci'ty", comparator: in, value: ["1", no, 2]}]}
  - model: triage
    name: PSI Data Drift Reference Set in Boston
    query:
      properties: [temperature]
      num_bins: 20
      base: {source: reference}
      target: {source: inference, filter: [{property: city, comparator: eq, value: Boston}]}
  - {model: not declared, name: TPR 30-50, query: {select: [{function: count}]}}
"""


def test_contract_AR_37_to_39_metrics_are_kept_as_canonical_json(tmp_path):
    found = settings_of(tmp_path, GOOD).metrics
    assert [(one.model, one.name, one.endpoint) for one in found] == [
        ("triage", "TPR 30-50", "query"),
        ("triage", "Robert'); DROP TABLE metrics; -- ü", "query"),
        ("triage", "PSI Data Drift Reference Set in Boston", "data_drift"),
        ("not declared", "TPR 30-50", "query"),
    ]
    assert found[0].query == (
        '{"filter":[{"comparator":"gte","property":"age","value":30},'
        '{"comparator":"lt","property":"age","value":50.0}],'
        '"select":[{"function":"truePositiveRate","parameters":{"ground_truth_property":"escalated",'
        '"predicted_property":"p_escalate","threshold":0.5}}]}'
    )
    assert json.loads(found[1].query) == {
        "select": [{"function": "count", "alias": None}],
        "filter": [{"property": "ci'ty", "comparator": "in", "value": ["1", "no", 2]}],
    }
    assert found[3] == MetricSettings(
        "not declared", "TPR 30-50", '{"select":[{"function":"count"}]}'
    )


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("query", "query"),
        ("data_drift", "data_drift"),
        ('"/models/{model_id}/inference/query"', "query"),
        ("/models/7f3c/inferences/query", "query"),
        ("…/inference/query", "query"),
        ('"/models/{model_id}/inference/data_drift"', "data_drift"),
        ("/api/v3/models/x/inferences/data_drift/", "data_drift"),
        ("inferences/query/data_drift", "data_drift"),
    ],
)
def test_contract_ARx_1_both_spellings_of_the_endpoint(tmp_path, endpoint, kind):
    query = "select: [{function: count}]" if kind == "query" else "properties: [a]"
    content = f"metrics: [{{model: m, name: x, endpoint: {endpoint}, query: {{{query}}}}}]"
    assert settings_of(tmp_path, content).metrics[0].endpoint == kind


def test_contract_AR_45_a_bare_name_leaves_the_type_open(tmp_path):
    query = "{select: [{function: avg, parameters: {property: class_a}}]}"
    told = f"model: m, query: {query}"
    text = f"metrics: [{{name: a, {told}}}, {{name: b, type: model_output_metric, {told}}}]"
    settings = settings_of(tmp_path, text)
    assert [each.type for each in settings.metrics] == [None, "model_output_metric"]
    own, model = own_metrics(settings), ModelSettings("m")
    types = [metric_of(own, model, name).type for name in ("a", "b")]
    assert types == ["model_input_data_metric", "model_output_metric"]


def test_golden_summary_counts_what_is_declared(tmp_path):
    assert summary(settings_of(tmp_path, GOOD)).endswith("windows of 300 s every 60 s; 4 metrics")
    rule = "alert_rules: [{model: triage, metric: TPR 30-50, bound: lower, threshold: 0, severity: warning}]"
    assert summary(settings_of(tmp_path, GOOD + rule)).endswith("; 4 metrics and 1 alert rule")


COUNT = "query: {select: [{function: count}]}"
NAMES = "must be text of 1 to 256 characters"
ENDPOINT = "must be query, data_drift or a path such as /models/{model_id}/inference/query"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("metrics: {}", "1: metrics must be a list, got a mapping"),
        ("metrics: [a]", '1: metrics[0] must be a mapping of keys to values, got "a"'),
        (f"metrics: [{{name: a, {COUNT}}}]", "1: metrics[0].model must be given, got nothing"),
        (f"metrics: [{{model: a, {COUNT}}}]", "1: metrics[0].name must be given, got nothing"),
        ("metrics: [{model: a, name: b}]", "1: metrics[0].query must be given, got nothing"),
        (f"metrics: [{{model: a, name: '', {COUNT}}}]", f'1: metrics[0].name {NAMES}, got ""'),
        (f'metrics: [{{model: a, name: "b\\n", {COUNT}}}]', '1: metrics[0].name must be text without control characters, got "b\\n"'),
        (
            f"metrics: [{{model: a, name: accuracyRate, {COUNT}}}]",
            '1: metrics[0].name must be a name of its own, not that of a default metric, got "accuracyRate"',
        ),
        (
            f"metrics: [{{model: a, name: max(features.age), {COUNT}}}]",
            '1: metrics[0].name must be a name of its own, not that of a default metric, got "max(features.age)"',
        ),
        (
            f"metrics: [{{model: a, name: PSI(features.age), {COUNT}}}]",
            '1: metrics[0].name must be a name of its own, not that of a default metric, got "PSI(features.age)"',
        ),
        (
            f"metrics:\n- {{model: a, name: b, {COUNT}}}\n- {{model: c, name: b, {COUNT}}}\n- {{model: a, name: b, {COUNT}}}",
            '4: metrics[2].name must be there once for the model "a", got "b" again',
        ),
        (f"metrics: [{{model: a, name: b, colour: x, {COUNT}}}]", "1: `metrics[0].colour` is not a known key: the keys are model, name, query, endpoint, type"),
        (f"metrics: [{{model: a, name: b, type: x, {COUNT}}}]", '1: metrics[0].type must be one of model_output_metric, model_input_data_metric, got "x"'),
        ("metrics: [{model: a, name: b, type: model_output_metric, query: {select: [{function: f1}]}}]", '1: metrics[0].type must be left out, as the query is a model_performance_metric, got "model_output_metric"'),
        (f"metrics: [{{model: a, name: b, endpoint: drift, {COUNT}}}]", f'1: metrics[0].endpoint {ENDPOINT}, got "drift"'),
        (f"metrics: [{{model: a, name: b, endpoint: /models/x/query, {COUNT}}}]", f'1: metrics[0].endpoint {ENDPOINT}, got "/models/x/query"'),
        ("metrics: [{model: a, name: b, query: 'select count(*)'}]", '1: metrics[0].query must be a mapping such as {select: [{function: count}]}, got "select count(*)"'),
        (
            "metrics:\n- model: a\n  name: b\n  query:\n    select: [{function: count}]\n    filter: [{property: c, comparator: gt, value: 1e400}]",
            "6: metrics[0].query.filter[0].value must be a finite number, got 1e400",
        ),
        (
            "metrics:\n- model: a\n  name: b\n  query:\n    select: [{function: count}]\n    select: []",
            "6: `metrics[0].query.select` must be there once: it is in line 5 already",
        ),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, content, fault):
    assert faults(tmp_path, content) == [fault]


WRONG = """\
metrics:
  - {model: a, name: fine, query: {select: [{function: count}]}}
  - model: a
    name: two faults
    query:
      select:
        - function: count
      filter:
        - {property: city, comparator: eq, value: Boston}
        - property: age
          comparator: between
          value: 3
      limit: -1
  - model: a
    name: drift
    endpoint: data_drift
    query:
      properties: [age]
      num_bins: one
"""


def test_error_all_faults_of_queries_are_told_at_their_lines(tmp_path):
    found = faults(tmp_path, WRONG)
    assert [fault.split("`")[:2] for fault in found] == [
        ["11: ", "metrics[1].query.filter[1].comparator"],
        ["13: ", "metrics[1].query.limit"],
        ["19: ", "metrics[2].query.num_bins"],
    ]
    assert found[0].startswith(
        "11: `metrics[1].query.filter[1].comparator` must be one of eq, ne, "
    )
    assert found[0].endswith('got "between"')


@pytest.mark.parametrize(
    ("query", "kind", "about"),
    [
        ("{select: [{property: age}]}", "streaming", "aggregat"),
        ("{select: [{function: count}, {function: avg, parameters: {property: age}}]}", "streaming", "one value"),
        ("{select: [{function: count}], group_by: [{property: city}]}", "streaming", "one value"),
        ("{select: [{function: count}], filter: [{property: inference_timestamp, comparator: gt, value: 0}]}", "streaming", "inference_timestamp"),
        ("{select: [{function: count}], filter: [{property: batch_id, comparator: eq, value: x}]}", "batch", "batch_id"),
        ("{properties: [age, city]}", "streaming", "one value"),
    ],
)  # fmt: skip
def test_contract_AR_32_to_35_what_is_no_metric_is_refused(tmp_path, query, kind, about):
    content = (
        f"metrics:\n- model: m\n  name: n\n  query: {query}\nmodels: [{{id: m, kind: {kind}}}]"
    )
    found = faults(tmp_path, content)
    assert found
    for fault in found:
        assert fault.startswith(("4: `metrics[0].query", "4: metrics[0].query"))
    assert any(about in fault for fault in found), found


WORDS = [
    "select",
    "filter",
    "properties",
    "function",
    "parameters",
    "property",
    "count",
    "avg",
    "a\nb",
    "'; --",
]
words = st.sampled_from(WORDS)
finite = st.floats(allow_nan=False, allow_infinity=False)
junk = st.recursive(
    words
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(
    query=st.dictionaries(words, junk, max_size=4),
    endpoint=st.sampled_from(["query", "data_drift"]),
)
def test_law_whatever_a_query_says_it_is_kept_as_it_is_or_refused_line_by_line(
    query, endpoint, tmp_path_factory
):
    told = f"endpoint: {endpoint}, query: {json.dumps(query)}"
    content = f'metrics: [{{model: "m\\n", name: n, {told}}}]'
    found, refused = tried(tmp_path_factory.mktemp("odd"), content)
    if found is None:
        assert all("config.yaml:1: " in line for line in refused.split("\n"))
    else:
        assert json.loads(found.metrics[0].query) == query


@given(value=words | st.booleans() | st.integers(-(2**63), 2**63) | finite)
def test_law_values_arrive_as_they_were_written(value, tmp_path_factory):
    condition = {"property": "x", "comparator": "eq", "value": value}
    query = {"select": [{"function": "count"}], "filter": [condition]}
    content = f"metrics: [{{model: m, name: n, query: {json.dumps(query)}}}]"
    (found,) = settings_of(tmp_path_factory.mktemp("odd"), content).metrics
    kept = json.loads(found.query)["filter"][0]["value"]
    assert (kept, type(kept)) == (value, type(value))
