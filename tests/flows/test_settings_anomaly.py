"""Anomaly jobs: Elastic's keys and ours become settings, what we lack is refused with its reason, and every fault has its place."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import json

import pytest
from settings_files import faults, job, settings_of, yaml_of

from engine.config import AnomalyJobSettings, DetectorSettings
from flows.settings import summary

DAY_S = 86_400
GOOD = """\
anomaly_jobs:
  - job_id: low_request-rate
    model: triage
    description: |
      two
      lines
    groups: [soc, "two words"]
    bucket_span: 15m
    detectors: [{function: low_count}, {function: mean, field_name: score, partition_field_name: city, filter: []}]
    influencers: [city, features.age]
    filter: [{property: words, comparator: gt, value: 5}, {comparator: NotNull, property: city}]
    latency: 90s
    frequency: 60
    time_basis: label
    normalizer: elastic
    renormalization_window_days: 0.5
    model_memory_limit: 16mb
    results_retention_days: 90
    model_snapshot_retention_days: 20
    daily_model_snapshot_retention_after_days: 2
    background_persist_interval: 4h
    enabled: false
  - {job_id: "7", type: run, detectors: [{function: max, field_name: job_time}]}
  - {job_id: a, type: metric, model: m, detectors: [{function: metric, field_name: value}], model_snapshot_retention_days: 0}
"""


def one(tmp_path, content):
    (found,) = settings_of(tmp_path, content).anomaly_jobs
    return found


def test_golden_jobs_are_read(tmp_path):
    assert settings_of(tmp_path, GOOD).anomaly_jobs == (
        AnomalyJobSettings(
            "low_request-rate",
            (
                DetectorSettings("low_count"),
                DetectorSettings("mean", field_name="score", partition_field_name="city"),
            ),
            model="triage",
            bucket_span_s=900,
            influencers=("city", "features.age"),
            filter='[{"comparator":"gt","property":"words","value":5},{"comparator":"NotNull","property":"city"}]',
            latency_us=90_000_000,
            frequency_s=60,
            time_basis="label",
            normalizer="elastic",
            renormalization_window_s=DAY_S // 2,
            memory_limit_bytes=16 << 20,
            results_retention_us=90 * DAY_S * 10**6,
            snapshot_s=4 * 3_600,
            snapshot_retention_s=20 * DAY_S,
            daily_snapshot_after_s=2 * DAY_S,
            description="two\nlines\n",
            groups=("soc", "two words"),
            enabled=False,
        ),
        AnomalyJobSettings("7", (DetectorSettings("max", field_name="job_time"),), type="run"),
        AnomalyJobSettings(
            "a",
            (DetectorSettings("metric", field_name="value"),),
            model="m",
            type="metric",
            snapshot_retention_s=0,
            daily_snapshot_after_s=0,
        ),
    )


def test_contract_ELi_11_to_13_and_19_defaults(tmp_path):
    found = one(tmp_path, job())
    assert (found.bucket_span_s, found.latency_us, found.frequency_s) == (300, 0, None)
    kept = (found.snapshot_s, found.snapshot_retention_s, found.daily_snapshot_after_s)
    assert kept == (3 * 3_600, 10 * DAY_S, DAY_S)
    assert (found.normalizer, found.renormalization_window_s) == ("standard", None)


def test_contract_ELi_15_a_job_of_elastic_can_be_pasted(tmp_path):
    elastic = """\
anomaly_jobs:
- {"job_id": "j", "model": "m", "description": "by hand",
   "analysis_config": {"bucket_span": "1h", "latency": "60s", "influencers": ["clientip"],
     "detectors": [{"detector_description": "sum of bytes", "function": "sum", "field_name": "bytes", "over_field_name": "clientip"}]},
   "analysis_limits": {"model_memory_limit": "1GB"}, "background_persist_interval": "1h"}
"""
    plain = job(
        description="by hand",
        bucket_span="1h",
        latency="60s",
        influencers="[clientip]",
        detectors="[{detector_description: sum of bytes, function: sum, field_name: bytes, over_field_name: clientip}]",
        model_memory_limit="1gb",
        background_persist_interval="3600",
    )
    assert one(tmp_path, elastic) == one(tmp_path, plain)


@pytest.mark.parametrize(
    ("written", "size"),
    [("16mb", 16 << 20), ("1gb", 1 << 30), ("2G", 2 << 30), ("1048576b", 1 << 20), ("2048kb", 2 << 20), ("1tb", 1 << 40), ("11", 11 << 20)],
)  # fmt: skip
def test_contract_ELi_23_memory_limits_are_written_as_elastic_does(tmp_path, written, size):
    assert one(tmp_path, job(model_memory_limit=written)).memory_limit_bytes == size


def test_golden_summary_counts_jobs(tmp_path):
    assert summary(settings_of(tmp_path, job())).endswith("s every 60 s; 1 anomaly job")
    more = "metrics: [{model: m, name: x, query: {select: [{function: count}]}}]\nalert_rules: [{anomaly_job: j}]\n"
    told = summary(settings_of(tmp_path, job() + more))
    assert told.endswith("; 1 metric, 1 alert rule and 1 anomaly job")


DAYS = "must be days, a number above 0 and at most 36500, such as 30"
DAYS_0 = "must be days, a number from 0 to 36500, such as 30"
IDS = "must be 1 to 256 of a to z, 0 to 9, _ and -, with a letter or digit at both ends"
WINDOW = 'must be whole seconds from 1 to 7 d, such as 300 or "5m"'
MEMORY = 'must be at least 1 MiB, such as "16mb", "1gb" or a number of MiB'
TYPES = (
    "must be one of label, metric, run, ingest, model, or left out for the predictions of a model"
)
NAMES = "must be text of 1 to 256 characters"
PERSIST = 'must be a duration of at least 1h in whole seconds, such as "3h"'
LATENCY = 'must be a duration of whole seconds from 0, such as "10s" or "5m"'
FILTER = "must be a list such as [{property: city, comparator: eq, value: Boston}]"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"job_id": None}, ".job_id must be given, got nothing"),
        ({"detectors": None}, ".detectors must be given, got nothing"),
        ({"model": None}, " must have a `model`, a `type` or both, got neither"),
        *(({"job_id": each}, f'.job_id {IDS}, got "{each}"') for each in ("Upper", "_a", "a-", "é", "a/b", "a b")),
        ({"job_id": "''"}, f'.job_id {IDS}, got ""'),
        ({"job_id": "null"}, f".job_id {IDS}, got null"),
        ({"job_id": "true"}, f".job_id {IDS}, got true"),
        ({"job_id": "a" * 257}, f'.job_id {IDS}, got "{"a" * 78}…'),
        ({"model": "''"}, f'.model {NAMES}, got ""'),
        ({"type": "prediction"}, f'.type {TYPES}, got "prediction"'),
        ({"bucket_span": 0}, f".bucket_span {WINDOW}, got 0"),
        ({"bucket_span": "8d"}, f'.bucket_span {WINDOW}, got "8d"'),
        ({"bucket_span": "1500ms"}, f'.bucket_span {WINDOW}, got "1500ms"'),
        ({"detectors": "[]"}, ".detectors must be a list of one detector or more, got a list of 0"),
        ({"detectors": "{}"}, ".detectors must be a list of one detector or more, got a mapping"),
        ({"influencers": "city"}, '.influencers must be a list of names, got "city"'),
        ({"influencers": "[city, '']"}, f'.influencers[1] {NAMES}, got ""'),
        ({"influencers": "[city, city]"}, '.influencers[1] must be there once, got "city" again'),
        ({"filter": "{}"}, f".filter {FILTER}, got a mapping"),
        ({"latency": -1}, f".latency {LATENCY}, got -1"),
        ({"latency": "soon"}, f'.latency {LATENCY}, got "soon"'),
        ({"frequency": "1.5s"}, f'.frequency {WINDOW}, got "1.5s"'),
        ({"frequency": "10m"}, '.frequency must be at most the bucket span of 300 s, got "10m"'),
        ({"bucket_span": "1m", "frequency": 61}, ".frequency must be at most the bucket span of 60 s, got 61"),
        ({"time_basis": "ingest"}, '.time_basis must be one of event, label, got "ingest"'),
        ({"time_basis": "label", "type": "label"}, '.time_basis must be event, or left out, as only predictions have labels that count, got "label"'),
        ({"normalizer": "none"}, '.normalizer must be one of standard, elastic, got "none"'),
        ({"renormalization_window_days": 0}, f".renormalization_window_days {DAYS}, got 0"),
        ({"renormalization_window_days": "30d"}, f'.renormalization_window_days {DAYS}, got "30d"'),
        ({"results_retention_days": 36501}, f".results_retention_days {DAYS}, got 36501"),
        ({"model_snapshot_retention_days": -1}, f".model_snapshot_retention_days {DAYS_0}, got -1"),
        ({"daily_model_snapshot_retention_after_days": 11}, ".daily_model_snapshot_retention_after_days must be at most model_snapshot_retention_days=10, got 11"),
        ({"background_persist_interval": "59m"}, f'.background_persist_interval {PERSIST}, got "59m"'),
        *(({"model_memory_limit": each}, f'.model_memory_limit {MEMORY}, got "{each}"') for each in ("1023kb", "1.5gb", "much", "9000000tb")),
        *(({"model_memory_limit": each}, f".model_memory_limit {MEMORY}, got {each}") for each in ("0", "1.5", "-1", "1e999999999", "true")),
        ({"groups": "[a, a]"}, '.groups[1] must be there once, got "a" again'),
        ({"groups": r'["a\nb"]'}, r'.groups[0] must be text without control characters, got "a\nb"'),
        ({"enabled": "yes"}, '.enabled must be true or false, got "yes"'),
        ({"description": "[a]"}, ".description must be text of 1 to 4,096 characters, got a list of 1"),
        ({"analysis_limits": "{model_memory_limit: x}"}, f'.analysis_limits.model_memory_limit {MEMORY}, got "x"'),
        ({"analysis_config": "[]"}, ".analysis_config must be a mapping of keys to values, got a list of 0"),
        ({"analysis_config": "{bucket_span: 0}"}, f".analysis_config.bucket_span {WINDOW}, got 0"),
        ({"detectors": None, "analysis_config": "{detectors: [{function: rare}]}"}, ".analysis_config.detectors[0].by_field_name must be given, as rare needs it, got nothing"),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, told, fault):
    assert faults(tmp_path, job(**told)) == [f"1: anomaly_jobs[0]{fault}"]


@pytest.mark.parametrize(
    ("told", "key", "reason"),
    [
        *(({name: "{}"}, name, "") for name in ("datafeed_config", "model_plot_config", "allow_lazy_open", "results_index_name", "job_version", "model_prune_window")),
        ({"analysis_config": "{categorization_field_name: message}"}, "analysis_config.categorization_field_name", "texts are not put into categories"),
        ({"analysis_config": "{per_partition_categorization: {}}"}, "analysis_config.per_partition_categorization", "texts are not put into categories"),
        ({"analysis_config": "{multivariate_by_fields: true}"}, "analysis_config.multivariate_by_fields", "every series is judged by its own history"),
        ({"summary_count_field_name": "n"}, "summary_count_field_name", "every event counts once, and events that are sums of others are not known as such"),
        ({"analysis_limits": "{categorization_examples_limit: 4}"}, "analysis_limits.categorization_examples_limit", "texts are not put into categories"),
    ],
)  # fmt: skip
def test_error_what_elastic_has_and_we_do_not_is_refused_with_the_reason(
    tmp_path, told, key, reason
):
    (found,) = faults(tmp_path, job(**told))
    head, _, rest = found.partition(" is not supported: ")
    assert head == f"1: `anomaly_jobs[0].{key}`"
    assert len(rest) > 10
    assert rest.endswith(reason)


WRONG = """\
anomaly_jobs:
  - job_id: j
    model: m
    bucket_spam: 5m
    bucket_span: 5m
    detectors: [{function: count}]
    analysis_config:
      bucket_span: 1h
      detectors: [{function: sum}]
      detector: x
  - {job_id: j, model: m,
     detectors: [{function: count}]}
  - a
calendars: [{calendar_id: c, job_ids: [j], events: [{description: x, start_time: 0, end_time: 1}]}]
alert_rules: [{anomaly_job: j}]
"""


def test_error_all_faults_are_told_at_once_and_none_follows_from_another(tmp_path):
    twice = "must be there once: it is in line"
    assert faults(tmp_path, WRONG) == [
        '4: `anomaly_jobs[0].bucket_spam` is not a known key; did you mean "bucket_span"?',
        f"8: `anomaly_jobs[0].analysis_config.bucket_span` {twice} 5 already, as `anomaly_jobs[0].bucket_span`",
        f"9: `anomaly_jobs[0].analysis_config.detectors` {twice} 6 already, as `anomaly_jobs[0].detectors`",
        '10: `anomaly_jobs[0].analysis_config.detector` is not a known key; did you mean "detectors"?',
        '11: anomaly_jobs[1].job_id must be there once, got "j" again',
        '13: anomaly_jobs[2] must be a mapping of keys to values, got "a"',
    ]


def test_error_a_filter_is_told_line_by_line(tmp_path):
    content = """\
anomaly_jobs:
- job_id: j
  model: m
  detectors: [{function: count}]
  filter:
    - {property: a, comparator: gt, value: 1}
    - {property: a,
       comparator: more, value: 1}
    - {function: avg, parameters: {property: a}, comparator: gt, value: 1}
    - {property: inference_timestamp, comparator: gt, value: "2026-01-01"}
    - {property: a, comparator: gt, value: 1e400}
"""
    found = faults(tmp_path, content)
    assert found == ["11: anomaly_jobs[0].filter[4].value must be a finite number, got 1e400"]
    found = faults(tmp_path, content.replace("1e400", "1e4"))
    assert [line.split(" ")[:3] for line in found] == [
        ["8:", "`anomaly_jobs[0].filter[1].comparator`", "must"],
        ["9:", "`anomaly_jobs[0].filter[2].function`", "must"],
    ]
    timed = "- {property: inference_timestamp, comparator: gt, value: '2026-01-01'}"
    (fault,) = faults(tmp_path, job(filter=f"[{timed[2:]}]"))
    told = "must not filter on time: every row is in the bucket of its time"
    assert fault == f"1: `anomaly_jobs[0].filter[0]` {told}"


HOSTILE = "Robert'); DROP TABLE anomaly_jobs; --\n\u2028${HOME} `x` ü \U0001f600"


def test_golden_hostile_names_are_only_data(tmp_path):
    told = {
        "job_id": "j",
        "model": HOSTILE,
        "influencers": [HOSTILE],
        "description": HOSTILE,
        "detectors": [
            {"function": "rare", "by_field_name": HOSTILE, "custom_rules": [{"scope": {HOSTILE: {"values": [HOSTILE]}}}]}
        ],
        "filter": [{"property": HOSTILE, "comparator": "eq", "value": HOSTILE}],
    }  # fmt: skip
    found = one(tmp_path, yaml_of({"anomaly_jobs": [told]}))
    (detector,) = found.detectors
    assert found.model == found.description == found.influencers[0] == HOSTILE
    assert detector.by_field_name == detector.custom_rules[0].scope[0].field == HOSTILE
    assert detector.custom_rules[0].scope[0].values == (HOSTILE,)
    assert json.loads(found.filter)[0]["value"] == HOSTILE


def test_error_hostile_names_do_not_break_the_lines_of_faults(tmp_path):
    told = {"job_id": HOSTILE, "model": "m", HOSTILE: 1, "detectors": [{"function": HOSTILE}]}
    found = faults(
        tmp_path, yaml_of({"anomaly_jobs": [told], "alert_rules": [{"anomaly_job": HOSTILE}]})
    )
    assert len(found) == 4  # fmt: skip
    assert all(line.startswith("1: ") and line.isprintable() for line in found)


def test_golden_how_posted_records_tell_their_time(tmp_path):
    plain = one(tmp_path, job())
    assert (plain.time_field, plain.time_format, plain.clock) == ("time", "epoch", "watermark")
    described = '{time_field: "@timestamp", time_format: "yyyy-MM-dd HH:mm:ssX"}'
    noted = "{made_by: me, n: [1, 2.5, null]}"
    found = one(tmp_path, job(data_description=described, custom_settings=noted, clock="records"))
    assert (found.time_field, found.time_format) == ("@timestamp", "yyyy-MM-dd HH:mm:ssX")
    assert json.loads(found.custom_settings) == {"made_by": "me", "n": [1, 2.5, None]}
    assert found.clock == "records"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"data_description": "{time_format: 'h:mm'}"}, ".data_description.time_format must be epoch"),
        ({"custom_settings": "[1]"}, ".custom_settings must be a mapping of keys to values"),
        ({"clock": "sundial"}, ".clock must be one of watermark, records"),
        ({"clock": "records", "time_basis": "label"}, ".clock must be watermark, or left out"),
    ],
    ids=str,
)  # fmt: skip
def test_error_of_what_is_posted(tmp_path, told, fault):
    (found,) = faults(tmp_path, job(**told))
    assert found.startswith(f"1: anomaly_jobs[0]{fault}"), found
