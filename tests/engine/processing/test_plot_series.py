"""The engine's own series as catalogues, against a brute force over the public relations.

One stream with labels, corrections, a reference set, rules and an anomaly job is run once; every
column of every series is then computed from the rows of its relation in plain Python.
"""

import json
import math
from datetime import timedelta
from itertools import repeat

import decoding
import pytest
from anomaly_runs import detected, labels_for, lines_of, visits

from engine.config import (
    AnomalyJobSettings,
    DetectorSettings,
    ModelSettings,
    RuleSettings,
    Settings,
    TimeSettings,
)
from engine.instants import iso_us
from engine.processing.catalogues import details
from engine.processing.plot import PlotQuestion, plot_data
from engine.processing.series import SERIES
from engine.steps.step_views import STEP_VIEWS

NOW_US = iso_us("2030-01-01")
SETTINGS = Settings(
    time=TimeSettings(drift_lookback_s=1_200),
    models=(ModelSettings(id="shop", classes=("buy", "leave"), positive="buy"),),
    alert_rules=(
        RuleSettings("shop", "count", "upper", 5.0, "critical", name="busy", lookback_s=60),
        RuleSettings("shop", "count", "lower", 11.0, "warning", name="calm", lookback_s=120),
        RuleSettings("shop", "count", "upper", 1e9, "warning", name="never", lookback_s=60),
    ),
    anomaly_jobs=(
        AnomalyJobSettings(
            "watch",
            (DetectorSettings("count"), DetectorSettings("mean", "price")),
            model="shop",
            bucket_span_s=60,
        ),
        AnomalyJobSettings("slow", (DetectorSettings("count"),), model="shop", bucket_span_s=1_800),
    ),
)


@pytest.fixture(scope="module")
def store():
    events = visits(7, 110, cities=("Oslo",))
    reference = [{**event, "type": "reference"} for event in visits(8, 20)]
    later = sorted([*events, *labels_for(events, 7)], key=lambda event: event["timestamp"])
    decoder = decoding.decoder(max_future_us=None)
    found = detected(decoder, lines_of([*reference, *later]), SETTINGS, repeat(300))
    for view, select in STEP_VIEWS.items():
        found.execute(f'CREATE OR REPLACE VIEW "{view}" AS {select}')
    for seq in range(60):
        value = (1.5, -2.0, 0.0, math.nan, math.inf)[seq % 5]
        found.execute(
            "INSERT INTO step_log VALUES (?, ?, ?, ?, ?, NULL, make_timestamp(?), false)",
            [seq, str(seq % 2), "loss" if seq % 3 else "auc", seq, value, 10**15 + seq * 10**9],
        )
    return found


def rows_of(store, relation, where="true"):
    found = store.execute(f"SELECT * FROM {relation} WHERE {where}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def assert_same(store, name, rows, time, formulas):
    """Compare all columns of a catalogue, over all choices and for every second one.

    `formulas` give by column what rows of one hour come to, or None.
    """
    fields = SERIES[name].source.fields
    choices = details(store, name).choices
    assert len({choice["id"] for choice in choices}) == len(choices)
    assert list(formulas) == [one.name for one in SERIES[name].catalogue.columns]
    ids = tuple(choice["id"] for choice in choices)
    keys = {tuple(choice[field] for field in fields): choice["id"] for choice in choices}
    for asked in ((), ids[::2]):
        hours = {}
        for row in rows:
            key = keys[tuple(row[field] for field in fields)]
            if not asked or key in asked:
                hour = row[time].replace(minute=0, second=0, microsecond=0)
                hours.setdefault((hour, key if asked else None), []).append(row)
        question = PlotQuestion(catalogue=name, now_us=NOW_US, choice_ids=asked)
        for series in plot_data(store, question).series:
            expected = [(*key, formulas[series.column.name](hours[key])) for key in sorted(hours)]
            expected = [point for point in expected if point[2] is not None]
            told = repeat(None) if series.choice_ids is None else series.choice_ids.tolist()
            found = list(zip(series.times.tolist(), told, series.values.tolist(), strict=False))
            assert [point[:2] for point in found] == [point[:2] for point in expected]
            assert [point[2] for point in found] == pytest.approx(
                [p[2] for p in expected], rel=1e-9
            )


def total(field, where=lambda _: True):
    return lambda rows: sum(row[field] for row in rows if where(row))


def some(field, function):
    def compute(rows):
        values = [row[field] for row in rows if row[field] is not None]
        return function(values) if values else None

    return compute


def weighted(rows):
    told = [(row["value"], row["sample_count"]) for row in rows if row["value"] is not None]
    weight = sum(count for _, count in told)
    return math.fsum(value * count for value, count in told) / weight if weight else None


WINDOWS = {
    "value_avg": weighted,
    "value_min": some("value", min),
    "value_max": some("value", max),
    "sample_count": total("sample_count"),
}


def test_oracle_confusion_by_event_time_and_by_label_time(store):
    rows = rows_of(store, "confusion_matrix")
    assert {row["time_basis"] for row in rows} == {"event", "label"}
    formulas = {
        f"{basis}_time_count": total("count", lambda row, basis=basis: row["time_basis"] == basis)
        for basis in ("event", "label")
    }
    assert_same(store, "confusion", rows, "pane_start", formulas)


def test_oracle_metric_values_weighted_by_samples(store):
    rows = rows_of(store, "metric_values", "NOT is_interim")
    assert {row["metric_name"] for row in rows} > {"count", "accuracyRate", "avg(features.price)"}
    assert_same(store, "metric-values", rows, "window_end", WINDOWS)


def test_oracle_drift_weighted_by_samples(store):
    rows = rows_of(store, "drift_values", "NOT is_interim")
    assert {row["property"] for row in rows} == {"features.city", "features.price"}
    assert_same(store, "drift", rows, "window_end", WINDOWS)


def test_oracle_alerts_by_rule_and_severity(store):
    rows = [{**row, "name": row["rule_name"]} for row in rows_of(store, "alerts")]
    assert {row["severity"] for row in rows} == {"critical", "warning"}
    formulas = {
        "total_count": len,
        "critical_count": lambda rows: sum(row["severity"] == "critical" for row in rows),
        "warning_count": lambda rows: sum(row["severity"] == "warning" for row in rows),
    }
    assert_same(store, "alerts", rows, "triggered_time", formulas)
    assert "never" in {choice["name"] for choice in details(store, "alerts").choices}


def test_oracle_anomaly_scores_of_closed_buckets(store):
    rows = [{**row, "bucket": 1} for row in rows_of(store, "anomaly_buckets", "NOT is_interim")]
    assert {row["job_id"] for row in rows} == {"watch", "slow"}
    records = rows_of(store, "anomaly_records", "NOT is_interim")
    found = [(one["job_id"], one["timestamp"]) for one in records]
    for row in rows:
        row["records"] = found.count((row["job_id"], row["timestamp"]))
    assert sum(row["records"] for row in rows) == len(records) > 0
    formulas = {
        "anomaly_score_avg": some("anomaly_score", lambda values: math.fsum(values) / len(values)),
        "anomaly_score_max": some("anomaly_score", max),
        "event_count": total("event_count"),
        "bucket_count": total("bucket"),
        "record_count": total("records"),
    }
    assert_same(store, "anomaly-scores", rows, "timestamp", formulas)


def test_oracle_step_metrics_of_which_only_finite_values_are_drawn(store):
    rows = rows_of(store, "step_metrics")
    for row in rows:
        row["value"] = row["value"] if math.isfinite(row["value"]) else None
    formulas = {
        "value_avg": some("value", lambda values: math.fsum(values) / len(values)),
        "value_min": some("value", min),
        "value_max": some("value", max),
        "step_count": len,
    }
    assert_same(store, "step-metrics", rows, "timestamp", formulas)


def test_golden_a_range_cuts_every_series_at_its_hours(store):
    for name in SERIES:
        question = PlotQuestion(catalogue=name, now_us=NOW_US)
        (whole, *_) = plot_data(store, question).series
        first = whole.times[min(1, len(whole.times) - 1)].item()
        ended = first + timedelta(minutes=59)
        question = PlotQuestion(
            catalogue=name, now_us=NOW_US, started=first.isoformat(), ended=ended.isoformat()
        )
        (cut, *_) = plot_data(store, question).series
        place = whole.times.tolist().index(first)
        assert (cut.times.tolist(), cut.values[0]) == ([first], whole.values[place])
        assert json.dumps(cut.to_json())
