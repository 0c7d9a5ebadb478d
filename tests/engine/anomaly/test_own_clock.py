"""Jobs with a clock of their own: what they find depends on their own rows, and on nothing else.

What is posted to a job may be long past while other streams are of today. Whatever those do, and
however the lines are cut or the run is cut short, its buckets close when its own rows say so.
"""

import itertools
from dataclasses import replace

import decoding
import pytest
from anomaly_runs import detected, difference, lines_of, relation, results, settings_with, visits

from engine.config import AnomalyJobSettings, DetectorSettings, TimeSettings

JOB = AnomalyJobSettings(
    "own",
    (DetectorSettings("count"), DetectorSettings("mean", "price", partition_field_name="city")),
    model="shop",
    bucket_span_s=60,
    influencers=("city",),
    frequency_s=20,
    clock="records",
)
MINUTE = 60_000


def settings(job=JOB):
    return settings_with(job, time=TimeSettings(allowed_lateness_us=0))


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


@pytest.fixture(scope="module")
def events():
    """Two hours, every twentieth row 90 s late."""
    found = visits(9, 120)
    late = [event | {"timestamp": event["timestamp"] + 90_000} for event in found[::20]]
    apart = [event for place, event in enumerate(found) if place % 20]
    order = sorted([*apart, *late], key=lambda event: event["timestamp"])
    back = {event["id"]: event for event in found}
    return [back[event["id"]] for event in order]


@pytest.fixture(scope="module")
def plain(decoder, events):
    return detected(decoder, lines_of(events), settings())


def ahead(events):
    """Put a stream of today between the rows: the watermark is far ahead from the first line on."""
    for place, event in enumerate(events):
        at = 1_800_000_000_000 + place * 7_000
        yield {"model_id": "today", "id": str(place), "timestamp": at, "prediction": "x"}
        yield event


def test_law_other_streams_do_not_matter(decoder, events, plain):
    told = detected(decoder, lines_of(ahead(events)), settings())
    assert difference(results(told, "job_id = 'own'"), results(plain)) is None
    assert len(relation(told, "anomaly_buckets")) > 100


def test_law_neither_cuts_nor_new_starts_matter(decoder, events, plain):
    cuts = itertools.cycle([150, 31, 1, 400])
    told = detected(decoder, lines_of(ahead(events)), settings(), cuts, reopen=0.4)
    assert difference(results(told), results(plain)) is None


def test_oracle_a_clock_of_its_own_is_a_watermark_of_its_own(decoder, events, plain):
    told = detected(decoder, lines_of(events), settings(replace(JOB, clock="watermark")))
    assert difference(results(told), results(plain)) is None
    late = [row["late_event_count"] for row in relation(plain, "anomaly_buckets")]
    assert sum(late) > 0


def test_contract_ELi_13_latency_lets_late_rows_count(decoder, events):
    patient = settings(replace(JOB, latency_us=120_000_000))
    told = detected(decoder, lines_of(ahead(events)), patient)
    assert {row["late_event_count"] for row in relation(told, "anomaly_buckets")} == {0}


def test_contract_a_bucket_stays_open_until_a_later_row(decoder, events):
    last = events[-1]["timestamp"] // MINUTE * MINUTE
    end = {**events[-1], "id": "end", "timestamp": last + 5 * MINUTE}
    told = detected(decoder, lines_of(ahead([*events, end])), settings())
    found = {row["timestamp"]: row for row in relation(told, "anomaly_buckets")}
    closed = [found[start] for start in sorted(found) if not found[start]["is_interim"]]
    assert closed[-5]["event_count"] > 0
    assert [row["event_count"] for row in closed[-4:]] == [0] * 4
    newest = [row for row in found.values() if row["is_interim"]]
    assert all(row["timestamp"] > closed[-1]["timestamp"] for row in newest)
