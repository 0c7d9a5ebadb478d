"""Anomaly jobs through the engine, from lines to relations: the laws that hold for any stream.

However the stream is cut, and whenever the engine is thrown away and opened anew, the relations are
equal to the last digit; a job that runs over stored events says what it said live.
"""

import itertools
import random
from datetime import UTC

import decoding
import pytest
from anomaly_runs import (
    again,
    detected,
    difference,
    labels_for,
    lines_of,
    relation,
    results,
    settings_with,
    visits,
)

from engine.anomaly.operations import forecast, reset, rewind
from engine.config import (
    AnomalyJobSettings,
    CalendarEvent,
    CalendarSettings,
    CustomRule,
    DetectorSettings,
    Limits,
    RuleCondition,
    RuleScope,
    TimeSettings,
)

SPAN_S = 60


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


def job(*detectors, job_id="shop-watch", **more):
    told = {"model": "shop", "bucket_span_s": SPAN_S, "influencers": ("city",)} | more
    return AnomalyJobSettings(job_id, detectors, **told)


ALL = job(
    DetectorSettings("count"),
    DetectorSettings("mean", "price", partition_field_name="city"),
    DetectorSettings("metric", "price"),
    DetectorSettings("rare", by_field_name="city"),
    DetectorSettings("high_count", over_field_name="city"),
    DetectorSettings("mean", "error"),
    influencers=("city", "prediction"),
    time_basis="event",
    frequency_s=20,
)


def cuts(seed, most):
    chance = random.Random(seed)
    return iter(lambda: chance.randint(1, most), None)


def stream(seed, buckets):
    events = visits(seed, buckets)
    events += list(labels_for(events, seed))
    late = random.Random(seed).sample(events, len(events) // 50)
    events.sort(key=lambda event: event["timestamp"])
    # Some lines come again, some come late.
    return lines_of([*events[:-200], *late, *events[-200:]])


def test_law_cutting_and_reopening_change_nothing(decoder):
    lines = stream(1, 90)
    settings = settings_with(ALL)
    whole = results(detected(decoder, lines, settings))
    assert len(whole["anomaly_buckets"]) >= 89
    assert whole["anomaly_records"]
    for seed, most, reopen in ((1, 400, 0.0), (2, 60, 0.2), (3, 900, 0.5)):
        found = results(
            detected(decoder, lines, settings, cuts(seed, most), reopen=reopen, seed=seed)
        )
        assert difference(found, whole) is None


def test_law_a_job_over_stored_events_says_what_it_said_live(decoder):
    events = visits(2, 80)
    settings = settings_with(job(DetectorSettings("count"), DetectorSettings("mean", "price")))
    live = detected(decoder, lines_of(events), settings, cuts(5, 300))
    before = results(live)
    later = again(settings, detected(decoder, lines_of(events), settings_with()))
    assert difference(results(later), before) is None
    live.execute("BEGIN")
    reset(live, "shop-watch")
    live.execute("COMMIT")
    assert relation(live, "anomaly_buckets") == []
    assert difference(results(again(settings, live)), before) is None


def test_law_a_job_that_is_rewound_goes_on_as_before(decoder):
    events = visits(3, 80)
    settings = settings_with(
        job(DetectorSettings("count"), DetectorSettings("mean", "price"), snapshot_s=600)
    )
    connection = detected(decoder, lines_of(events), settings, cuts(7, 40))
    before = results(connection)
    snapshots = relation(connection, "anomaly_snapshots")
    assert len(snapshots) > 3
    connection.execute("BEGIN")
    start_s = rewind(connection, "shop-watch", events[len(events) // 2]["timestamp"] // 1_000)
    connection.execute("COMMIT")
    assert start_s < events[len(events) // 2]["timestamp"] // 1_000
    assert len(relation(connection, "anomaly_buckets")) < len(before["anomaly_buckets"])
    assert difference(results(again(settings, connection)), before) is None


def test_contract_ELi_13_late_rows_restate_counts_and_are_told_of(decoder):
    events = visits(4, 40)
    late = dict(events[100], id="late", timestamp=events[100]["timestamp"])
    settings = settings_with(job(DetectorSettings("count")))
    plain = detected(decoder, lines_of(events), settings)
    told = detected(decoder, lines_of([*events, late]), settings)
    start = late["timestamp"] // 60_000 * 60
    where = f"epoch(timestamp) = {start}"
    (before,), (after,) = (relation(c, "anomaly_buckets", where) for c in (plain, told))
    assert after["event_count"] == before["event_count"] + 1
    assert after["late_event_count"] == 1
    assert after["anomaly_score"] == before["anomaly_score"]
    (stats,) = relation(told, "anomaly_job_stats")
    assert stats["out_of_order_timestamp_count"] == 1
    (note,) = relation(told, "anomaly_annotations", "event = 'delayed_data'")
    assert note["timestamp"] == after["timestamp"]


def test_contract_ELi_13_late_rows_restate_the_actual_value_of_records_and_no_score(decoder):
    events = visits(9, 200)
    settings = settings_with(job(DetectorSettings("max", "price"), DetectorSettings("count")))
    plain = detected(decoder, lines_of(events), settings)
    record = relation(plain, "anomaly_records", "function = 'max'")[0]
    at_ms = int(record["timestamp"].replace(tzinfo=UTC).timestamp()) * 1_000 + 7
    late = [
        dict(events[0], id=f"late{n}", timestamp=at_ms, features={"city": "Rome", "price": price})
        for n, price in enumerate((record["actual"] + 5.0, 0.0))
    ]
    # In a block of their own and together with what closes the bucket.
    for cuts_ in (None, iter([len(events), 1, 1])):
        told = detected(decoder, lines_of([*events, *late]), settings, cuts_)
        (after,) = [
            row
            for row in relation(told, "anomaly_records", "function = 'max'")
            if row["timestamp"] == record["timestamp"]
        ]
        assert after == record | {"actual": record["actual"] + 5.0}


def test_contract_ELi_22_missing_fields_are_told_from_series_without_room(decoder):
    events = visits(12, 30)
    bare = [dict(e, id=f"b{n}", features={"city": "Oslo"}) for n, e in enumerate(events[::10])]
    told = job(DetectorSettings("mean", "price", partition_field_name="city"))
    settings = settings_with(told, limits=Limits(anomaly_series=1))
    end = dict(events[-1], id="end", timestamp=events[-1]["timestamp"] + 600_000)
    lines = sorted([*events, *bare], key=lambda event: event["timestamp"])
    (stats,) = relation(detected(decoder, lines_of([*lines, end]), settings), "anomaly_job_stats")
    assert stats["missing_field_count"] == len(bare)
    assert stats["unmodelled_entity_count"] == 2
    assert stats["memory_status"] == "hard_limit"


def test_contract_ELi_13_latency_waits_for_late_rows(decoder):
    events = visits(4, 40)
    late = dict(events[-1], id="late", timestamp=events[-1]["timestamp"] - 120_000)
    for latency_s, expected in ((0, 1), (300, 0)):
        settings = settings_with(
            job(DetectorSettings("count"), latency_us=latency_s * 1_000_000),
            time=TimeSettings(allowed_lateness_us=0),
        )
        end = dict(events[-1], id="end", timestamp=events[-1]["timestamp"] + 3_600_000)
        found = detected(decoder, lines_of([*events, late, end]), settings)
        (stats,) = relation(found, "anomaly_job_stats")
        assert stats["out_of_order_timestamp_count"] == expected


def test_contract_ELi_26_empty_buckets_have_rows_and_EL_33_a_count_of_zero(decoder):
    events = [e for e in visits(5, 60) if not 30 <= (e["timestamp"] // 60_000) % 60 < 33]
    settings = settings_with(job(DetectorSettings("low_count")))
    buckets = relation(detected(decoder, lines_of(events), settings), "anomaly_buckets")
    starts = [bucket["timestamp"] for bucket in buckets]
    assert [b - a for a, b in itertools.pairwise(sorted(starts))] == [starts[1] - starts[0]] * (
        len(starts) - 1
    )
    assert any(bucket["event_count"] == 0 for bucket in buckets)


def test_contract_EL_40_an_event_at_the_start_of_a_bucket_is_in_it(decoder):
    start = 1_700_000_040_000
    events = [
        {"model_id": "shop", "id": f"e{i}", "timestamp": start + at}
        for i, at in enumerate((-1, 0, 59_999, 60_000, 300_000))
    ]
    settings = settings_with(job(DetectorSettings("count"), influencers=()))
    buckets = relation(detected(decoder, lines_of(events), settings), "anomaly_buckets")
    counts = {int(b["timestamp"].timestamp()): b["event_count"] for b in buckets}
    assert list(counts.values())[:3] == [1, 2, 1]


def test_contract_ELi_12_interim_rows_are_replaced_when_the_bucket_closes(decoder):
    events = visits(6, 30)
    settings = settings_with(
        job(DetectorSettings("count"), frequency_s=20), time=TimeSettings(allowed_lateness_us=0)
    )
    lines = lines_of(events)
    for upto in range(200, len(lines), 37):
        buckets = relation(detected(decoder, lines[:upto], settings), "anomaly_buckets")
        interim = [bucket for bucket in buckets if bucket["is_interim"]]
        assert len(interim) <= 1
        if interim:
            assert interim[0]["timestamp"] == max(b["timestamp"] for b in buckets)


def test_contract_ELi_18_a_scheduled_event_has_score_0_and_teaches_nothing(decoder):
    events = visits(7, 120)
    start_us = events[0]["timestamp"] * 1_000
    calendar = CalendarSettings(
        "party", (CalendarEvent("party", start_us + 84 * 60_000_000, start_us + 90 * 60_000_000),)
    )
    told = job(DetectorSettings("count"))
    calm = relation(
        detected(decoder, lines_of(events), settings_with(told, calendars=(calendar,))),
        "anomaly_buckets",
    )
    named = [bucket for bucket in calm if bucket["scheduled_events"] == ["party"]]
    assert len(named) == 7
    assert {bucket["anomaly_score"] for bucket in named} == {0.0}


def test_contract_ELi_17_custom_rules_take_results_out(decoder):
    events = visits(8, 120)
    detector = DetectorSettings("mean", "price", partition_field_name="city")
    plain = detected(decoder, lines_of(events), settings_with(job(detector)))
    high = "actual > 12"
    assert relation(plain, "anomaly_records", high)
    rules = (
        CustomRule(
            scope=(RuleScope("city", ("Oslo", "Rome", "Bonn")),),
            conditions=(RuleCondition("actual", "gt", 12.0),),
        ),
    )
    muted = DetectorSettings("mean", "price", partition_field_name="city", custom_rules=rules)
    found = detected(decoder, lines_of(events), settings_with(job(muted)))
    assert relation(found, "anomaly_records", high) == []


def test_contract_ELi_09_the_city_that_falls_silent_is_the_influencer(decoder):
    events = visits(9, 400)
    settings = settings_with(job(DetectorSettings("low_count")))
    found = detected(decoder, lines_of(events), settings)
    start, end = events[0]["timestamp"], events[-1]["timestamp"]
    silent = [start + (end - start) * share / 1_000 for share in (700, 735)]
    where = f"epoch_ms(timestamp) BETWEEN {int(silent[0])} AND {int(silent[1])}"
    influencers = relation(found, "anomaly_influencers", where)
    assert "Rome" in {each["influencer_field_value"] for each in influencers}


def test_contract_ELi_20_a_forecast_gives_what_is_expected(decoder):
    events = visits(10, 120)
    settings = settings_with(job(DetectorSettings("count")))
    connection = detected(decoder, lines_of(events), settings)
    until_s = events[-1]["timestamp"] // 1_000 + 3_600
    table = forecast(connection, settings, "shop-watch", until_s)
    typical = table["typical"].to_pylist()
    assert 55 <= len(typical) <= 62
    assert all(8 < value < 18 for value in typical)
    assert all(
        low < value < high
        for low, value, high in zip(
            table["lower"].to_pylist(), typical, table["upper"].to_pylist(), strict=True
        )
    )


def test_law_an_entity_that_comes_up_in_an_open_bucket_is_left_to_its_end(decoder):
    events = visits(11, 60)
    last = (events[-1]["timestamp"] // 60_000 + 1) * 60_000
    events += [
        {
            "model_id": "shop",
            "id": f"n{i}",
            "timestamp": last + i,
            "features": {"city": "Lima", "price": 99.0},
        }
        for i in range(200)
    ]
    told = job(DetectorSettings("count"), DetectorSettings("max", "price"), frequency_s=1)
    settings = settings_with(told, time=TimeSettings(allowed_lateness_us=0))
    end = dict(events[-1], id="end", timestamp=last + 2_500)
    found = detected(decoder, lines_of([*events, end]), settings)
    interim = relation(found, "anomaly_records", "is_interim")
    assert {record["function"] for record in interim} == {"count", "max"}
    assert relation(found, "anomaly_influencers", "influencer_field_value = 'Lima'") == []
