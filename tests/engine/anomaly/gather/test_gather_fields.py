"""Fields of gathering: our own, metrics of the model, filters; and what is kept of the past."""

import json
import math
import random

import numpy as np
import pytest
from anomaly_gathering import (
    US,
    Feeder,
    class_text,
    detector,
    field,
    job_of,
    netted,
    number,
    random_events,
    series_rows,
    value_of,
)

from engine.anomaly.functions import FUNCTIONS
from engine.anomaly.gather.coding import Book
from engine.config import MetricSettings
from engine.errors import QueryError


def fullest(job, rows):
    """Give the fullest bucket, and its rows by the twin."""
    feeder, content = Feeder(job), netted(rows, job)
    feeder.take(rows)
    start_s = max(content, key=lambda each: len(content[each]))
    return feeder.gathering.close(start_s), content[start_s]


def by_name(values):
    keys = values.keys
    return {
        (keys.by[i], keys.over[i], keys.partition[i]): value
        for i, value in zip(values.series, values.value, strict=True)
    }


def metric(function, **parameters):
    query = {"select": [{"function": function, "parameters": parameters}]}
    return MetricSettings("m", "own", json.dumps(query))


METRICS = {
    "rate": (
        metric("rate", property="label", comparator="eq", value="yes"),
        lambda rows: sum(row["label"] == "yes" for row in rows) / len(rows),
    ),
    "accuracyRate": (
        metric("accuracyRate"),
        lambda rows: sum(row["label"] == row["prediction"] for row in rows) / len(rows),
    ),
    "quantile": (
        metric("quantile", property="score", q=0.25),
        lambda rows: float(np.quantile([row["score"] for row in rows], 0.25)),
    ),
}


@pytest.mark.parametrize("name", METRICS)
def test_oracle_a_metric_of_the_model_is_measured_by_series(name):
    own, twin = METRICS[name]
    job = job_of(
        detector("mean", field_name="own", by_field_name="shop"),
        own=(own,), bucket_span_s=3600, influencers=("user",), time_basis="label",
    )  # fmt: skip
    measured, rows = fullest(job, random_events(3, 300, 3600))
    told = detector("mean", by_field_name="shop")
    expected = series_rows(rows, told)
    values = measured.values[0][0]
    have = by_name(values)
    assert have.keys() == expected.keys()
    for key, value in have.items():
        assert value == pytest.approx(twin(expected[key]), rel=1e-15)
    removed = measured.without(0, "mean", values.series, "user")
    assert len(removed.place) > 5
    for place, entity, value in zip(removed.place, removed.entity, removed.value, strict=True):
        number_ = values.series[place]
        key = values.keys.by[number_], None, None
        left = [row for row in expected[key] if class_text(field(row, "user")) != entity]
        wanted = twin(left) if left else math.nan
        assert value == pytest.approx(wanted, rel=1e-15, nan_ok=True)


def test_oracle_a_default_metric_is_a_field():
    job = job_of(detector("mean", field_name="avg(features.x)"), bucket_span_s=3600)
    measured, rows = fullest(job, random_events(5, 200, 3600))
    values = [x for row in rows if (x := number(field(row, "x"))) is not None]
    found = measured.values[0][0]
    assert found.value[0] == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
    assert found.count[0] == len(rows)


def test_oracle_errors_are_of_label_and_prediction():
    rng = random.Random(2)
    rows = []
    for row in random_events(6, 200, 3600):
        label, guess = rng.gauss(0, 5), rng.gauss(0, 5)
        numbers = {"label_number": label, "prediction_number": guess}
        rows.append(
            {**row, **numbers, "weight": 1, "label": str(label), "label_time": row["event_time"]}
        )
    own = ("absolute_error", "squared_error", "error")
    job = job_of(*(detector("max", field_name=name) for name in own), bucket_span_s=3600)
    measured, content = fullest(job, rows)
    lost = [abs(row["label_number"] - row["prediction_number"]) for row in content]
    assert [each[0].value[0] for each in measured.values] == [
        max(lost), max(x * x for x in lost), 1.0
    ]  # fmt: skip


def test_oracle_filters_of_job_and_detector_choose_rows():
    filters = [
        json.dumps([{"property": "features.shop", "comparator": "eq", "value": "a"}]),
        json.dumps([{"property": "score", "comparator": "gt", "value": 0.5}]),
    ]
    job = job_of(
        detector("count"), detector("count", filter=filters[1]),
        filter=filters[0], bucket_span_s=3600,
    )  # fmt: skip
    measured, rows = fullest(job, random_events(9, 300, 3600))
    rows = [row for row in rows if field(row, "shop") == "a"]
    assert measured.event_count == len(rows)
    assert measured.values[0][0].value.tolist() == [len(rows)]
    assert measured.values[1][0].value.tolist() == [sum(row["score"] > 0.5 for row in rows)]


def one_row(seq, time_us, weight=1, **features):
    return {
        "seq": seq, "weight": weight, "arrival_us": time_us, "event_time": time_us,
        "model_id": "m", "event_id": str(seq), "raw": json.dumps({"features": features}),
    }  # fmt: skip


def test_contract_EL_40_an_event_at_the_start_of_a_bucket_belongs_to_it():
    feeder = Feeder(job_of(detector("count"), bucket_span_s=60))
    feeder.take([one_row(0, 0), one_row(1, 60 * US - 1), one_row(2, 60 * US)])
    assert feeder.gathering.close(0).event_count == 2
    assert feeder.gathering.close(60).event_count == 1


def test_contract_ELi_26_a_bucket_without_rows_is_measured_and_is_a_gap():
    feeder = Feeder(job_of(detector("count"), detector("mean", field_name="x"), bucket_span_s=60))
    feeder.take([one_row(0, 0, x=1), one_row(1, 150 * US, x=2)])
    feeder.close_until(200 * US)
    empty = feeder.measured[60]
    assert empty.event_count == 0
    assert [each[0].gap for each in empty.values] == [True, True]
    assert [len(each[0].series) for each in empty.values] == [0, 0]
    assert not feeder.measured[0].values[0][0].gap


def test_contract_ELi_13_late_rows_are_told_and_do_not_count():
    feeder = Feeder(job_of(detector("count"), bucket_span_s=60, latency_us=5 * US))
    on_time = {**one_row(0, 10 * US), "arrival_us": 65 * US - 1}
    late = {**one_row(1, 11 * US), "arrival_us": 65 * US}
    feeder.take([on_time, late])
    assert feeder.late == {0: 1}
    assert feeder.gathering.close(0).event_count == 1


def test_contract_ELi_23_entities_beyond_the_limit_are_counted_not_modelled():
    feeder = Feeder(job_of(detector("count", by_field_name="city"), bucket_span_s=60), limit=2)
    cities = ["d", "c", "b", "a", "d", "d"]
    feeder.take([one_row(i, i * US, city=city) for i, city in enumerate(cities)])
    measured = feeder.gathering.close(0)
    assert by_name(measured.values[0][0]) == {("a", None, None): 1.0, ("b", None, None): 1.0}
    assert feeder.gathering.registries.names_beyond == 2
    assert feeder.gathering.registries.rows_beyond == 4
    assert measured.event_count == 6


def test_law_a_row_taken_back_before_its_bucket_began_leaves_nothing():
    feeder = Feeder(job_of(detector("mean", field_name="x"), bucket_span_s=60))
    back = {**one_row(0, US, -1, x=3), "arrival_us": 50 * US}
    feeder.take([one_row(0, US, x=3), back, one_row(1, 120 * US, x=1)])
    assert feeder.gathering.first_s == 120


def test_law_an_open_vocabulary_is_forgotten_with_its_buckets():
    job = job_of(
        detector("distinct_count", field_name="user", by_field_name="shop"),
        detector("rare", by_field_name="user"),
        bucket_span_s=60, influencers=("user",),
    )  # fmt: skip
    feeder, seq = Feeder(job, limit=5), 0
    for start_s in range(0, 600, 60):
        rows = []
        for _ in range(4000):
            rows.append(one_row(seq, start_s * US + seq % 1000, user=f"u{seq}", shop="s"))
            seq += 1
        feeder.take(rows)
        feeder.close_until((start_s + 59) * US)
    first, second = feeder.gathering._pending
    assert max(len(first._texts), len(first._entities["user"]), len(second.names)) < 22_000
    last = feeder.gathering.close(540)
    assert last.values[0][0].value.tolist() == [4000.0]
    assert len(last.contributions(0, "distinct_count", "user").entity) == 4000
    assert set(last.contributions(0, "distinct_count", "user").entity) == {
        f"u{n}" for n in range(36_000, 40_000)
    }
    assert abs(feeder.gathering.registries.names_beyond - 39_995) < 4000


def test_law_a_book_forgets_what_is_not_in_use_once_it_is_full():
    book = Book()
    things = [f"t{n}" for n in range(20_000)]
    assert book.codes(things[:3]).tolist() == [0, 1, 2]
    assert not book.full
    book.codes(things)
    assert book.full
    assert book.keep(np.arange(15_000)) is None
    new = book.keep(np.array([2, 7]))
    assert (new[2], new[7], new[3], len(new)) == (0, 1, -1, 20_000)
    assert book.codes(["t7", "t2", "new"]).tolist() == [1, 0, 2]


def test_error_a_field_that_there_cannot_be_is_told_with_its_place():
    job = job_of(detector("mean", field_name="x", by_field_name=""))
    with pytest.raises(QueryError, match=r"anomaly_jobs\.j\.detectors\[0\]\.by_field_name"):
        Feeder(job)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_contract_ELi_16_every_function_measures_what_it_says(name):
    function = FUNCTIONS[name]
    told = detector(
        name,
        field_name="x" if function.needs_field else None,
        by_field_name="shop",
        over_field_name="city" if "over" in function.needs else None,
    )
    job = job_of(told, bucket_span_s=3600)
    measured, rows = fullest(job, random_events(12, 200, 3600))
    expected = series_rows(rows, told)
    for base, values in zip(job.detectors[0].bases, measured.values[0], strict=True):
        have = by_name(values)
        assert have.keys() == expected.keys()
        for key, value in have.items():
            wanted = value_of(base, job.detectors[0], job, expected[key])
            assert value == pytest.approx(wanted, rel=0, abs=1e-3 if "time" in name else 0)
