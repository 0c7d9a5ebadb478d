"""Laws of the anomaly jobs of a file: any good one is read as it is written, and any odd one in full or not at all."""

# ruff: noqa: E501 - what a job may say is one line

from hypothesis import given
from hypothesis import strategies as st
from settings_files import job, tried, yaml_of

from engine.config import AnomalyJobSettings, DetectorSettings
from flows.settings import load

DAY_S = 86_400

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
ids = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,9}[a-z0-9])?", fullmatch=True)
detectors = st.builds(
    lambda function, field, split: {"function": function, "field_name": field, "partition_field_name": split},
    st.sampled_from(["sum", "median", "min", "varp", "distinct_count"]),
    names.map(lambda name: f"features.{name}"),
    names.map(lambda name: f"labels.{name}"),
)  # fmt: skip
jobs = st.fixed_dictionaries(
    {
        "job_id": ids,
        "type": st.sampled_from(["label", "metric", "run", "ingest", "model"]),
        "detectors": st.lists(detectors, min_size=1, max_size=4, unique_by=lambda each: tuple(each.values())),
    },
    optional={
        "model": names,
        "bucket_span": st.integers(1, 7 * DAY_S),
        "influencers": st.lists(names, max_size=3, unique=True),
        "latency": st.integers(0, DAY_S),
        "normalizer": st.sampled_from(["standard", "elastic"]),
        "results_retention_days": st.integers(1, 36_500),
        "model_memory_limit": st.integers(1, 4096),
        "description": names,
        "groups": st.lists(names, max_size=3, unique=True),
        "enabled": st.booleans(),
    },
)  # fmt: skip


@given(told=jobs, nested=st.booleans())
def test_law_a_good_job_is_read_as_it_is_written(told, nested, tmp_path_factory):
    written = dict(told)
    if nested:
        inside = ("bucket_span", "detectors", "influencers", "latency")
        written["analysis_config"] = {name: written.pop(name) for name in inside if name in written}
    path = tmp_path_factory.mktemp("job") / "config.yaml"
    path.write_text(yaml_of({"anomaly_jobs": [written]}))
    (found,) = load(str(path)).anomaly_jobs
    expected = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    expected["detectors"] = tuple(DetectorSettings(**each) for each in told["detectors"])
    for name, key, unit in (
        ("bucket_span", "bucket_span_s", 1),
        ("latency", "latency_us", 10**6),
        ("results_retention_days", "results_retention_us", DAY_S * 10**6),
        ("model_memory_limit", "memory_limit_bytes", 1 << 20),
    ):
        if name in expected:
            expected[key] = expected.pop(name) * unit
    assert found == AnomalyJobSettings(**expected)


ODD = ["0", "-1", "1e999", "5m", "true", "null", "''", "[]", "{}", "[a, b]", "[{a: 1}]", '"a\\nb"']
ODD += ["[{function: mean, field_name: correct}]", "{bucket_span: 1m}", "label", "run", None]
KEYS = ["job_id", "model", "type", "bucket_span", "detectors", "influencers", "filter", "latency"]
KEYS += ["frequency", "time_basis", "normalizer", "renormalization_window_days", "groups"]
KEYS += ["model_memory_limit", "results_retention_days", "model_snapshot_retention_days"]
KEYS += ["background_persist_interval", "description", "enabled", "analysis_config"]


@given(told=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD), max_size=6))
def test_law_whatever_a_job_says_it_is_read_or_refused_line_by_line(told, tmp_path_factory):
    found, refused = tried(tmp_path_factory.mktemp("odd"), job(**told))
    if found is None:
        assert all("config.yaml:1: " in line for line in refused.split("\n"))
    else:
        assert found.anomaly_jobs[0].detectors
