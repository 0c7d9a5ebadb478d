"""Time that jumps far: only so many empty buckets are written; which ones, follows from the rows.

A year without rows is half a million buckets of a minute. A job closes the first of them, so that
silence can be unusual, and leaves the others out until there are rows again.
"""

import itertools
from dataclasses import replace
from datetime import timedelta

import decoding
import pytest
from anomaly_runs import (
    again,
    detected,
    difference,
    lines_of,
    opened,
    relation,
    results,
    settings_with,
    visits,
)

from engine.anomaly.operations import reset
from engine.batch import Block
from engine.config import (
    AnomalyJobSettings,
    AnomalyRuleSettings,
    DetectorSettings,
    Limits,
    TimeSettings,
)

JOB = AnomalyJobSettings(
    "shop",
    (
        DetectorSettings("count"),
        DetectorSettings("mean", "price", partition_field_name="city"),
        DetectorSettings("rare", by_field_name="city"),
    ),
    model="shop",
    bucket_span_s=60,
    influencers=("city",),
    frequency_s=30,
    latency_us=90_000_000,
)
RULES = (
    AnomalyRuleSettings("shop", name="Odd", threshold=10.0, include_interim=True),
    AnomalyRuleSettings("shop", name="Thrice", threshold=10.0, buckets=3),
)
MINUTE, YEAR_MINUTES, MOST = timedelta(minutes=1), 365 * 24 * 60, 30


def settings(job=JOB, *, rules=(), most=MOST):
    return settings_with(
        job,
        anomaly_rules=rules,
        limits=Limits(anomaly_empty_buckets=most),
        time=TimeSettings(allowed_lateness_us=0),
    )


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


def moved(events, minutes, name):
    return [
        {**e, "id": name + e["id"], "timestamp": e["timestamp"] + minutes * 60_000} for e in events
    ]


@pytest.fixture(scope="module")
def events():
    """A hundred minutes, twelve more after three years, and one visit a year after them."""
    first = visits(3, 100)
    second = moved(visits(4, 12), 3 * YEAR_MINUTES, "b")
    return [*first, *second, *moved(second[-1:], YEAR_MINUTES, "c")]


def beside(events):
    """Put rows of another model into the gaps, so that time passes there in many steps."""
    number = 0
    for event, after in itertools.zip_longest(events, events[1:]):
        yield event
        gap = after["timestamp"] - event["timestamp"] if after else 0
        if gap > 3_600_000:
            near = [n * 147_000 for n in range(1, MOST // 2)]
            far = [gap * n // 5 for n in range(1, 5)]
            for at in (*near, *far, gap - 100_000, gap - 30_000):
                number += 1
                yield {
                    "model_id": "other",
                    "id": f"o{number}",
                    "timestamp": event["timestamp"] + at,
                    "prediction": "x",
                }


def notes(store):
    return relation(store, "anomaly_annotations", "event LIKE 'empty_buckets%'")


@pytest.mark.parametrize("job", [JOB, replace(JOB, clock="records"), replace(JOB, latency_us=0)])
def test_law_neither_cuts_nor_restarts_in_the_gap_matter(decoder, events, job):
    told = settings(job, rules=RULES)
    lines = lines_of(beside(events))
    plain = detected(decoder, lines, told)
    kinds = ("alerts", "evaluations", "anomaly_model_plot", "anomaly_job_stats")
    # Lines are numbered by the watermark, which a clock of the rows does not follow.
    apart = (
        "bucket_processing_ms",
        "created",
        *(["to_position"] if job.clock == "records" else []),
    )
    for cuts, reopen in (([300, 29, 3, 60], 0.0), ([400, 40, 15], 0.5)):
        other = detected(decoder, lines, told, itertools.cycle(cuts), reopen=reopen, seed=len(cuts))
        assert difference(results(other), results(plain)) is None
        assert notes(other) == notes(plain)
        for kind in kinds:
            one, two = (
                [
                    {k: v for k, v in row.items() if not k.startswith(apart)}
                    for row in relation(store, kind)
                ]
                for store in (other, plain)
            )
            assert one == two, kind
    assert relation(plain, "alerts")


def test_law_that_time_passed_in_between_does_not_matter(decoder, events):
    one = detected(decoder, lines_of(events), settings())
    other = detected(decoder, lines_of(beside(events)), settings())
    assert difference(results(one), results(other)) is None
    assert notes(one) == notes(other)


def test_contract_so_many_empty_buckets_are_written_and_the_rest_is_told_of(decoder, events):
    store = detected(decoder, lines_of(events), settings())
    found = relation(store, "anomaly_buckets", "NOT is_interim")
    starts = sorted(row["timestamp"] for row in found)
    steps = [(b - a) // MINUTE for a, b in itertools.pairwise(starts)]
    (jump,) = [place for place, step in enumerate(steps) if step > 1]
    last = max(
        row["timestamp"]
        for row in relation(store, "anomaly_buckets", "NOT is_interim AND event_count > 0")
        if row["timestamp"] <= starts[jump]
    )
    assert starts[jump] == last + MOST * MINUTE
    assert {step for place, step in enumerate(steps) if place != jump} == {1}
    pauses = [n for n in notes(store) if n["event"] == "empty_buckets_paused"]
    gone = [n for n in notes(store) if n["event"] == "empty_buckets_left_out"]
    begin, end = starts[jump] + MINUTE, starts[jump + 1]
    assert [(n["timestamp"], n["end_timestamp"]) for n in gone] == [(begin, end)]
    once_more = starts[-1] + MINUTE
    assert sorted(n["timestamp"] for n in pauses) == [begin, once_more]
    (stats,) = relation(store, "anomaly_job_stats")
    assert stats["bucket_count"] == len(starts)


def test_contract_ELi_26_the_silence_itself_is_unusual(decoder, events):
    store = detected(decoder, lines_of(events), settings())
    low = relation(store, "anomaly_records", "function = 'count' AND actual = 0")
    assert low
    assert max(row["record_score"] for row in low) > 10


def test_law_a_job_over_stored_events_leaves_out_the_same(decoder, events):
    lines = lines_of(events)
    live = detected(decoder, lines, settings())
    store = detected(decoder, lines, settings_with(time=TimeSettings(allowed_lateness_us=0)))
    again(settings(), store)
    closed = "NOT is_interim"
    for name in ("anomaly_buckets", "anomaly_records", "anomaly_influencers"):
        assert relation(store, name, closed) == relation(live, name, closed)
    assert notes(store) == notes(live)


def test_contract_a_job_that_begins_before_its_rows_leaves_out_what_is_empty(decoder, events):
    first = events[0]["timestamp"] // 60_000 * 60
    store = detected(decoder, lines_of(events[:1]), settings())
    store.execute("BEGIN")
    reset(store, "shop", first + 3_600)
    store.execute("COMMIT")
    later = [event for event in events if event["timestamp"] > 1_000 * (first + 90_000)]
    shifted = [{**e, "id": "z" + e["id"]} for e in later]
    store.execute("BEGIN")
    monitor = opened(store, settings())
    monitor.take(decoder.decode(Block("s", "p", 10_000, b"".join(lines_of(shifted)), 0)))
    monitor.save()
    store.execute("COMMIT")
    rows = relation(store, "anomaly_buckets", "NOT is_interim")
    early = [row for row in rows if row["timestamp"].year < 2026]
    assert [row["event_count"] for row in early] == [0] * MOST
    assert len([n for n in notes(store) if n["event"] == "empty_buckets_left_out"]) == 1


def test_contract_a_history_then_an_event_of_now(decoder):
    """With the bound as it is by default, more than is written in one piece."""
    history = visits(5, 60, start_s=1_690_000_000)
    now = {**history[-1], "id": "now", "timestamp": 1_790_000_000_000}
    job = replace(JOB, detectors=JOB.detectors[1:], latency_us=0)
    plain = detected(decoder, lines_of([*history, now]), settings(job, most=5_000))
    buckets = relation(plain, "anomaly_buckets", "NOT is_interim")
    assert Limits().anomaly_empty_buckets == 5_000
    assert len(buckets) == 60 + 5_000
    assert [n["event"] for n in notes(plain)] == ["empty_buckets_paused"]
