"""Values of buckets are those of a naive twin that goes through the rows with fractions.

Nothing of them may depend on how the stream was cut, on what was taken back, or on what came late.
"""

import itertools
import math
import random

import numpy as np
import pytest
from anomaly_gathering import (
    US,
    Feeder,
    bucket_of,
    class_text,
    counts_at_all,
    detector,
    field,
    job_of,
    netted,
    random_events,
    series_rows,
    value_of,
)

DETECTORS = (
    detector("count"),
    detector("non_zero_count", by_field_name="city"),
    detector("mean", field_name="x", by_field_name="city", partition_field_name="shop"),
    detector("sum", field_name="x", over_field_name="user", use_null=True),
    detector("varp", field_name="x"),
    detector("median", field_name="x", by_field_name="shop"),
    detector("metric", field_name="x", partition_field_name="city"),
    detector("distinct_count", field_name="user", by_field_name="shop"),
    detector("rare", by_field_name="user"),
    detector("freq_rare", by_field_name="city", over_field_name="user"),
    detector("time_of_day", by_field_name="shop"),
    detector("time_of_week"),
    detector("mean", field_name="correct", by_field_name="city"),
)
INFLUENCERS = ("user", "city")


def fed(job, rows, seed, *, peeking=False):
    """Give rows in random blocks; close what is due after each."""
    rng = random.Random(seed)
    feeder, place, seen = Feeder(job), 0, []
    while place < len(rows):
        size = rng.choice([1, 3, 10, 40, 200])
        block = rows[place : place + size]
        place += size
        feeder.take(block)
        seen += block
        watermark_us = block[-1]["arrival_us"]
        feeder.close_until(watermark_us)
        if peeking and feeder.next_s is not None:
            check_peek(feeder, seen, watermark_us)
    last = max(bucket_of(row, job) for row in rows if counts_at_all(row, job))
    feeder.close_until((last + job.span_s) * US + job.latency_us)
    return feeder


def check(measured, rows, job, known=None):
    """Compare a bucket with the twin's; `known`: names that series may have."""
    assert measured.event_count == len(rows)
    for told, values in zip(job.detectors, measured.values, strict=True):
        expected = series_rows(rows, told.settings)
        for base, have in zip(told.bases, values, strict=True):
            keys = have.keys
            names = [(keys.by[i], keys.over[i], keys.partition[i]) for i in have.series]
            wanted = set(expected) if known is None else set(expected) & known[told.index]
            assert set(names) == wanted
            assert (np.diff(have.series) > 0).all()
            assert have.gap is (not rows)
            for name, value, count in zip(names, have.value, have.count, strict=True):
                assert count == len(expected[name])
                equal(base, value, value_of(base, told, job, expected[name]))


def equal(base, value, expected):
    if base.startswith("time_of"):
        period = 86_400 if base == "time_of_day" else 604_800
        away = abs(value - expected) % period
        assert min(away, period - away) < 1e-3
    else:
        assert value == expected


def names_of(feeder):
    return [set(registry.names) for registry in feeder.gathering.registries.each]


def check_peek(feeder, seen, watermark_us):
    job = feeder.job
    frequency_us = job.frequency_s * US
    before_us = watermark_us // frequency_us * frequency_us
    start_s = feeder.next_s
    if before_us <= start_s * US:
        return
    before = names_of(feeder)
    found = feeder.gathering.peek(start_s, before_us)
    check(found, netted(seen, job, before_us).get(start_s, []), job, before)
    assert names_of(feeder) == before


@pytest.mark.parametrize("seed", range(4))
def test_oracle_values_of_every_function_equal_a_naive_twin(seed):
    told = DETECTORS if seed % 3 == 0 else DETECTORS[:-1]
    job = job_of(*told, bucket_span_s=300, influencers=INFLUENCERS, latency_us=90 * US)
    assert job.time_basis == ("label" if seed % 3 == 0 else "event")
    rows = random_events(seed, 500, 300)
    expected = netted(rows, job)
    feeder = fed(job, rows, seed, peeking=seed % 2 == 0)
    assert len(feeder.measured) > 15
    for start_s, measured in feeder.measured.items():
        check(measured, expected.get(start_s, []), job)


def test_oracle_the_label_basis_counts_labelled_rows_at_the_later_time():
    told = (detector("mean", field_name="error", by_field_name="shop"), detector("count"))
    job = job_of(*told, bucket_span_s=120, influencers=("city",))
    assert job.time_basis == "label"
    rows = random_events(11, 500, 120)
    expected = netted(rows, job)
    for start_s, measured in fed(job, rows, 5).measured.items():
        check(measured, expected.get(start_s, []), job)


@pytest.mark.parametrize("seed", range(2))
def test_law_cuts_change_nothing_to_the_last_bit(seed):
    job = job_of(*DETECTORS, bucket_span_s=300, influencers=INFLUENCERS, latency_us=90 * US)
    rows = random_events(seed + 50, 400, 300)
    one, other = fed(job, rows, 1), fed(job, rows, 2)
    assert one.late == other.late
    assert one.gathering.to_json() == other.gathering.to_json()
    for start_s, first in one.measured.items():
        second = other.measured[start_s]
        for have, want in zip(first.values, second.values, strict=True):
            for mine, yours in zip(have, want, strict=True):
                assert mine.series.tolist() == yours.series.tolist()
                assert mine.value.tobytes() == yours.value.tobytes()
        for told, name in itertools.product(job.detectors, INFLUENCERS):
            mine = first.contributions(told.index, told.bases[-1], name)
            yours = second.contributions(told.index, told.bases[-1], name)
            assert mine.amount.tobytes() == yours.amount.tobytes()
            assert mine.entity.tolist() == yours.entity.tolist()


@pytest.mark.parametrize("seed", range(2))
def test_oracle_entities_taken_out_equal_a_naive_twin(seed):
    told = DETECTORS if seed == 0 else DETECTORS[:-1]
    job = job_of(*told, bucket_span_s=600, influencers=INFLUENCERS, latency_us=90 * US)
    rows = random_events(seed + 20, 300, 600)
    expected = netted(rows, job)
    for start_s, measured in fed(job, rows, seed).measured.items():
        content = expected.get(start_s, [])
        for told, name in itertools.product(job.detectors, INFLUENCERS):
            for place in range(len(told.bases)):
                check_entities(job, measured, (told, place), name, content)


def check_entities(job, measured, which, name, content):
    told, base = which[0], which[0].bases[which[1]]
    values = measured.values[told.index][which[1]]
    by_series = series_rows(content, told.settings)
    keys = values.keys
    name_of = {int(i): (keys.by[i], keys.over[i], keys.partition[i]) for i in values.series}
    parts = {}
    for number, series in name_of.items():
        for row in by_series[series]:
            entity = class_text(field(row, name))
            if entity is not None:
                parts.setdefault((number, entity), []).append(row)
    found = measured.contributions(told.index, base, name)
    assert list(zip(found.series.tolist(), found.entity.tolist(), strict=True)) == sorted(parts)
    for key, amount, count in zip(sorted(parts), found.amount, found.count, strict=True):
        assert count == len(parts[key])
        wanted = value_of("sum", told, job, parts[key]) if base == "sum" else float(count)
        assert amount == wanted
    asked = values.series[::-1].copy()
    removed = measured.without(told.index, base, asked, name)
    assert len(removed.place) == len(parts)
    for place, entity, value, count in zip(
        removed.place, removed.entity, removed.value, removed.count, strict=True
    ):
        rows = [
            row
            for row in by_series[name_of[int(asked[place])]]
            if class_text(field(row, name)) != entity
        ]
        assert count == len(rows)
        if rows:
            equal(base, value, value_of(base, told, job, rows))
        elif told.function.zero:
            assert value == 0.0
        else:
            assert math.isnan(value)


def test_law_late_rows_are_told_and_leave_the_values_alone():
    job = job_of(detector("count"), bucket_span_s=60)
    rows = random_events(3, 400, 60)
    feeder = fed(job, rows, 9)
    late = {}
    for row in rows:
        start_s = bucket_of(row, job)
        if row["arrival_us"] >= (start_s + 60) * US:
            late[start_s] = late.get(start_s, 0) + row["weight"]
    assert feeder.late == late
    assert sum(map(abs, late.values())) > 20


def test_law_numbers_go_by_text_and_end_at_the_limit():
    job = job_of(detector("count", by_field_name="user"), bucket_span_s=60)
    rows = random_events(8, 300, 60)
    whole = fed(job, rows, 1).gathering.registries
    feeder = Feeder(job, limit=2)
    feeder.take(rows)
    first_s = feeder.gathering.first_s
    named = sorted({class_text(field(r, "user")) for r in netted(rows, job)[first_s]} - {None})
    found = feeder.gathering.close(first_s)
    have = [name[0] for name in feeder.gathering.registries.each[0].names]
    assert have == named[:2]
    assert len(found.values[0][0].series) == len(have)
    assert len(whole.each[0]) == 5
    assert feeder.gathering.registries.names_beyond == max(len(named) - 2, 0)


def test_law_registries_go_on_where_they_were_stored():
    job = job_of(*DETECTORS, bucket_span_s=300, influencers=INFLUENCERS)
    rows = random_events(77, 300, 300)
    whole = fed(job, rows, 1)
    half = sorted(whole.measured)[len(whole.measured) // 2]
    first, second = Feeder(job), Feeder(job)
    first.take(rows)
    while first.gathering.first_s < half:
        first.gathering.close(first.gathering.first_s)
    second.gathering.load(first.gathering.to_json())
    second.gathering.begin(half)
    second.take(rows)
    for start_s in sorted(whole.measured):
        if start_s < half:
            continue
        have, want = second.gathering.close(start_s), whole.measured[start_s]
        for mine, yours in zip(have.values, want.values, strict=True):
            assert mine[0].series.tolist() == yours[0].series.tolist()
            assert mine[0].value.tobytes() == yours[0].value.tobytes()
