"""What jobs leave open is found out by the contract's rules, and what decides results is told."""

import json

import pytest
from anomaly_gathering import MODEL, detector, job_of

from engine.anomaly.definition import default_frequency_s, jobs_of
from engine.config import AnomalyJobSettings, MetricSettings, Settings
from engine.errors import QueryError

DRIFT = json.dumps(
    {
        "properties": ["features.x"], "num_bins": 10, "metric": "PSI",
        "base": {"source": "reference"}, "target": {"source": "inference"},
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("span_s", "frequency_s"),
    [(1, 1), (120, 120), (121, 60), (300, 150), (1200, 600), (1201, 600), (43_200, 600),
     (43_201, 3600), (86_400, 3600)],
)  # fmt: skip
def test_contract_ELi_12_interim_results_come_at_a_frequency_by_the_span(span_s, frequency_s):
    assert default_frequency_s(span_s) == frequency_s
    assert job_of(detector("count"), bucket_span_s=span_s).frequency_s == frequency_s
    assert job_of(detector("count"), bucket_span_s=span_s, frequency_s=7).frequency_s == 7


def test_contract_ELi_04_scores_are_renormalised_over_the_longer_of_30_days_and_100_spans():
    assert job_of(detector("count")).renormalization_window_s == 30 * 86_400
    day = job_of(detector("count"), bucket_span_s=86_400)
    assert day.renormalization_window_s == 100 * 86_400
    assert job_of(detector("count"), renormalization_window_s=5).renormalization_window_s == 5


@pytest.mark.parametrize(
    ("told", "basis", "truths"),
    [
        (detector("count"), "event", ()),
        (detector("mean", field_name="features.x"), "event", ()),
        (detector("mean", field_name="correct"), "label", ("label",)),
        (detector("mean", field_name="squared_error"), "label", ("label",)),
        (detector("count", by_field_name="label"), "label", ("label",)),
        (detector("rare", by_field_name="labels.fraud"), "label", ("fraud",)),
        (detector("mean", field_name="accuracyRate"), "label", ("label",)),
        (detector("mean", field_name="avg(features.x)"), "event", ()),
        (
            detector(
                "count",
                filter=json.dumps([{"property": "label", "comparator": "eq", "value": "yes"}]),
            ),
            "label",
            ("label",),
        ),
    ],
)
def test_law_the_time_basis_is_label_where_a_detector_reads_labels(told, basis, truths):
    job = job_of(told)
    assert (job.time_basis, job.truths) == (basis, truths)
    assert job_of(told, time_basis="event").time_basis == "event"


def test_law_influencers_read_labels_but_do_not_move_rows():
    job = job_of(detector("count"), influencers=("label",))
    assert (job.time_basis, job.reads_labels) == ("event", True)
    assert not job_of(detector("count"), influencers=("city",)).reads_labels


def test_contract_ELi_15_detectors_know_their_fields_and_influencers():
    told = detector("mean", field_name="x", by_field_name="city", partition_field_name="shop")
    job = job_of(told, detector("count"), influencers=("city", "user", "shop"))
    first, second = job.detectors
    assert first.key_fields == ("city", None, "shop")
    assert (first.split, second.split) == (True, False)
    assert first.influencers == ("city", "shop")
    assert first.bases == ("mean",)


def test_law_a_metric_of_the_model_has_one_value():
    job = job_of(detector("metric", field_name="accuracyRate"))
    assert job.detectors[0].bases == ("mean",)
    assert job.detectors[0].metric is not None
    assert job_of(detector("metric", field_name="x")).detectors[0].bases == ("mean", "min", "max")


def test_law_the_definition_tells_what_decides_results_and_nothing_else():
    plain = job_of(detector("count")).definition
    assert (
        job_of(detector("count", description="d"), description="e", groups=("g",)).definition
        == plain
    )
    assert job_of(detector("count"), results_retention_us=5).definition == plain
    for other in (
        job_of(detector("high_count")),
        job_of(detector("count"), bucket_span_s=301),
        job_of(detector("count"), latency_us=1),
        job_of(detector("count"), influencers=("city",)),
        job_of(detector("count"), normalizer="elastic"),
    ):
        assert other.definition != plain
    query = {"select": [{"function": "count"}]}
    more = {"select": [{"function": "avg", "parameters": {"property": "features.x"}}]}
    told = [
        job_of(
            detector("mean", field_name="own"), own=(MetricSettings("m", "own", json.dumps(each)),)
        ).definition
        for each in (query, more)
    ]
    assert told[0] != told[1]


def test_law_disabled_jobs_are_left_out():
    told = AnomalyJobSettings("off", (detector("count"),), model="m", enabled=False)
    assert jobs_of(Settings(models=(MODEL,), anomaly_jobs=(told,))) == ()


def test_error_a_drift_metric_is_no_field():
    with pytest.raises(QueryError, match=r'must be a property or a metric that is no drift.*"own"'):
        job_of(
            detector("mean", field_name="own"),
            own=(MetricSettings("m", "own", DRIFT, "data_drift"),),
        )


def test_error_a_filter_is_told_with_its_place():
    with pytest.raises(QueryError, match=r"anomaly_jobs\.j\.detectors\[0\]\.filter\[0\]"):
        job_of(detector("count", filter='[{"property": "x", "comparator": "is"}]'))
