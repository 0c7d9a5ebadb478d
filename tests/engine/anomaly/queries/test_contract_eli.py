"""What get-buckets implies and does not say: rare high scores, explanations, feeding, times.

A score that is high every day is read by nobody, one that is not explained is not believed; and a
client that steps through time by [start, end) must see every bucket once.
"""

import itertools
import random
from datetime import UTC

import decoding
import numpy as np
import pytest
from anomaly_runs import (
    detected,
    difference,
    lines_of,
    relation,
    results,
    settings_with,
    visits,
)
from anomaly_store import JOB, SPAN_S, START_S, bucket, store

from engine.anomaly.definition import default_frequency_s
from engine.anomaly.queries.bucket_parameters import parameters_of, record_parameters_of
from engine.anomaly.queries.bucket_query import buckets
from engine.anomaly.queries.record_answers import records
from engine.anomaly.scores.normalizer import NORMALIZERS, History
from engine.anomaly.scores.raw_score import probability, raw_score, significance
from engine.config import AnomalyJobSettings, DetectorSettings, TimeSettings
from engine.errors import QueryError

SHOP = "shop-watch"
MINUTE = 60_000


# ---- high scores are rare --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("standard", 0.08), ("elastic", 0.01)])
def test_contract_ELi_05_high_scores_are_rare_however_small_probabilities_are(name, most):
    high, by_probability = zip(
        *(noise(NORMALIZERS[name], scale) for scale in (2, 3, 6)), strict=True
    )
    assert high[0] > 0.0
    assert max(high) < most
    # Probabilities alone would have called a quarter of all hours high.
    assert by_probability[-1] > 0.25


def noise(normalizer, scale):
    """Score 2,000 hours of a model whose ln p are too small by a factor; give what is high."""
    raw = raw_score(probability(-scale * np.random.default_rng(5).exponential(size=2_000)))
    history, scope, scores = History(), np.array([0]), []
    for hour in range(len(raw)):
        now = raw[hour : hour + 1]
        history, _ = normalizer.update(history, hour * 3_600, 3_600, now, scope)
        scores.extend(normalizer.score(history, now, scope)[0].tolist())
    return [(np.array(each)[500:] >= 75.0).mean() for each in (scores, significance(raw))]


# ---- explanations ----------------------------------------------------------------------------


def shop(*detectors, **more):
    told = {"model": "shop", "bucket_span_s": 60, "influencers": ("city",), "frequency_s": 20}
    return AnomalyJobSettings(SHOP, detectors, **(told | more))


def on_time(*jobs):
    return settings_with(*jobs, time=TimeSettings(allowed_lateness_us=0))


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


@pytest.fixture(scope="module")
def explained(decoder):
    """Give the records of hours of visits, and what explains each; the last minute is still open.

    `drift` is a feature about 0, which is now and then far from it.
    """
    events, chance = visits(3, 300), random.Random(3)
    for place, event in enumerate(events):
        event["features"]["drift"] = chance.gauss(5.0 if place % 500 > 490 else 0.0, 0.2)
    start = events[-1]["timestamp"] // MINUTE * MINUTE + MINUTE
    crowd = [dict(events[-1], id=f"c{i}", timestamp=start + 10_000 + i) for i in range(60)]
    end = dict(events[-1], id="end", timestamp=start + 45_000)
    job = shop(
        DetectorSettings("count"),
        DetectorSettings("mean", "price", partition_field_name="city"),
        DetectorSettings("mean", "drift"),
    )
    connection = detected(decoder, lines_of([*events, *crowd, end]), on_time(job))
    found = records(connection, SHOP, record_parameters_of({"size": 10_000}))["records"]
    return [(record, record["anomaly_score_explanation"]) for record in found]


def test_contract_ELi_08_a_score_is_explained_by_one_bucket_and_by_several(explained):
    assert {told["caused_by"] for _, told in explained} == {"the bucket alone", "several buckets"}
    for record, told in explained:
        single, multi = told["single_bucket_probability"], told["multi_bucket_probability"]
        assert 0.0 < single <= 1.0
        assert 0.0 < multi <= 1.0
        assert (record["multi_bucket_impact"] > 0) == (told["caused_by"] == "several buckets")
        if abs(record["multi_bucket_impact"]) > 1.0:
            assert (record["multi_bucket_impact"] > 0) == (multi < single)


def test_contract_ELi_08_characteristics_say_how_long_and_how_far(explained):
    assert {told["anomaly_type"] for _, told in explained} == {"spike", "dip"}
    assert max(told["anomaly_length"] for _, told in explained) > 1
    assert min(told["anomaly_length"] for _, told in explained) == 1
    for record, told in explained:
        (actual,), (typical,) = record["actual"], record["typical"]
        assert told["typical_value"] == typical
        assert told["anomaly_type"] == ("spike" if actual > typical else "dip")
        assert told["lower_confidence_bound"] <= typical <= told["upper_confidence_bound"]


def test_contract_ELi_08_reductions_for_high_variance_and_incomplete_buckets(explained):
    for record, told in explained:
        band = told["upper_confidence_bound"] - told["lower_confidence_bound"]
        assert told["high_variance_penalty"] == (band > abs(told["typical_value"]))
        assert told["incomplete_bucket_penalty"] == record["is_interim"]
    for name in ("high_variance_penalty", "incomplete_bucket_penalty"):
        assert {told[name] for _, told in explained} == {True, False}


# ---- how a job is fed ------------------------------------------------------------------------


def test_contract_ELi_14_how_often_a_job_looks_follows_from_its_span(decoder):
    assert [default_frequency_s(span_s) for span_s in (60, 300, 3_600)] == [60, 150, 600]
    for span_s, frequency_s in ((300, 150), (86_400, 3_600)):
        job = shop(DetectorSettings("count"), bucket_span_s=span_s, frequency_s=None)
        connection = detected(decoder, lines_of(visits(1, 2)), on_time(job))
        (told,) = relation(connection, "anomaly_jobs")
        assert told["frequency"].total_seconds() == frequency_s


def test_contract_ELi_14_late_data_is_annotated_and_repairs_no_score(decoder):
    events, job = visits(4, 60), shop(DetectorSettings("count"), DetectorSettings("sum", "price"))
    late = [dict(event, id=f"late{place}") for place, event in enumerate(events[100:140])]
    plain = detected(decoder, lines_of(events), on_time(job))
    told = detected(decoder, lines_of([*events, *late]), on_time(job))
    starts = {event["timestamp"] // MINUTE * MINUTE for event in late}
    notes = relation(told, "anomaly_annotations", "event = 'delayed_data'")
    for note in notes:
        length = note["end_timestamp"] - note["timestamp"]
        assert length.total_seconds() == 60
        assert note["annotation"]
    utc = [note["timestamp"].replace(tzinfo=UTC).timestamp() * 1_000 for note in notes]
    assert {int(at) for at in utc} == starts
    assert relation(plain, "anomaly_annotations", "event = 'delayed_data'") == []
    assert difference(scores_of(told), scores_of(plain)) is None
    assert total(told) == total(plain) + len(late)


def scores_of(connection):
    """Give all results but what late rows restate."""
    restated = {"event_count", "late_event_count", "actual"}
    return {
        name: [{k: v for k, v in row.items() if k not in restated} for row in rows]
        for name, rows in results(connection).items()
    }


def total(connection):
    return sum(row["event_count"] for row in relation(connection, "anomaly_buckets"))


# ---- times -----------------------------------------------------------------------------------

STARTS = [1_000 * (START_S + place * SPAN_S) for place in range(7)]


@pytest.fixture(scope="module")
def seven():
    return store(*(bucket(place) for place in range(7)))[0]


def starts(cursor, **told):
    found = buckets(cursor, JOB, parameters_of(told))["buckets"]
    return [each["timestamp"] for each in found]


def test_contract_ELi_24_start_is_included_and_end_is_not(seven):
    assert starts(seven, start=STARTS[2], end=STARTS[4]) == STARTS[2:4]
    assert starts(seven, start=STARTS[2], end=STARTS[2]) == []
    # So consecutive requests neither leave a bucket out nor give one twice.
    edges = (STARTS[0], STARTS[1], STARTS[3], STARTS[6] + 1)
    steps = [starts(seven, start=a, end=b) for a, b in itertools.pairwise(edges)]
    assert [each for step in steps for each in step] == STARTS


@pytest.mark.parametrize(
    "form",
    [
        *(STARTS[3], str(STARTS[3]), float(STARTS[3])),
        *("2023-11-14T22:30:00Z", "2023-11-14T22:30:00.000Z", "2023-11-14 22:30"),
        *("2023-11-14T23:30:00+01:00", "2023-11-14T22:30:00"),
    ],
    ids=repr,
)
def test_contract_ELi_25_epoch_milliseconds_and_iso_8601(seven, form):
    assert starts(seven, start=form) == STARTS[3:]
    assert starts(seven, end=form) == STARTS[:3]
    (found,) = buckets(seven, JOB, parameters_of({}), form)["buckets"]
    assert found["timestamp"] == STARTS[3]


@pytest.mark.parametrize(
    "form", ["", "14.11.2023", "2023-13-01", "1.5", 1e20, [STARTS[3]]], ids=str
)
def test_contract_ELi_25_nothing_else_is_a_time(seven, form):
    rule = "must be epoch milliseconds or an ISO 8601 time, got"
    with pytest.raises(QueryError, match=f"`start` {rule}"):
        parameters_of({"start": form})
    with pytest.raises(QueryError, match=f"`timestamp` {rule}"):
        buckets(seven, JOB, parameters_of({}), form)
