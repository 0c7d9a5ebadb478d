"""Rules while there is no watermark yet, as not every input has begun: nothing is evaluated twice
or from the year dot, and a restart in between loses nothing of the windows.
"""

import json

import pytest
from commands import START_MS, START_US, encoded, prediction
from decoding import decoder
from harness import fresh_store

from engine.batch import Block
from engine.config import MetricSettings, ModelSettings, RuleSettings, Settings
from engine.decode import canonical
from engine.monitor import Monitor

MINUTES = 12
QUERY = json.dumps({"select": [{"function": "count"}]})
SETTINGS = Settings(
    models=(ModelSettings("m", drift_alerts=False),),
    metrics=(MetricSettings("m", "events", QUERY),),
    alert_rules=(
        RuleSettings("m", "events", "upper", 3, "warning", name="many", lookback_s=120),
        RuleSettings(
            *("m", "accuracyRateMulticlass", "lower", 0.5, "critical"),
            name="no data",
            on_no_data="alert",
        ),
        RuleSettings(
            *("m", "events", "upper", 1, "warning"),
            name="by city",
            group_by="features.city",
        ),
    ),
)


def lines(part):
    """Events of one of two inputs, each over the whole time."""
    return encoded(
        prediction(second, features={"city": ("Oslo", "Rome")[second // 20 % 2]})
        for second in range(5 + 10 * part, 60 * MINUTES, 20)
    )


def opened(store):
    monitor = Monitor(store, SETTINGS, 60, canonical)
    monitor.watch()
    for name in ("a", "b"):
        monitor.open_partition("s", name, 0, live=False)
    return monitor


def watched(parts, *, reopened):
    """Take blocks of the inputs; before each one of them the monitor is made anew, or never."""
    store, decode, positions = fresh_store(), decoder(), {}
    monitor = opened(store)
    for name, data in parts:
        if reopened:
            monitor = opened(store)
        store.execute("BEGIN")
        block = Block("s", name, positions.get(name, 0), data, 2 * START_US)
        monitor.take(decode.decode(block))
        monitor.save()
        store.execute("COMMIT")
        positions[name] = positions.get(name, 0) + len(data)
    rule = "JOIN (SELECT rule_id, name FROM rules_log) USING (rule_id)"
    evaluations = store.execute(
        f"SELECT name, group_value, epoch_us(window_end), value, sample_count, state"
        f" FROM evaluations_log {rule} ORDER BY ALL"
    ).fetchall()
    alerts = store.execute(
        "SELECT rule_name, group_value, epoch_us(window_end), metric_value, sample_count"
        " FROM alerts_log ORDER BY ALL"
    ).fetchall()
    return evaluations, alerts


@pytest.fixture(scope="module")
def parts():
    first, second = lines(0), lines(1)
    half = first.index(b"\n", len(first) // 2) + 1
    return [("a", first[:half]), ("b", second), ("a", first[half:])]


@pytest.fixture(scope="module")
def straight(parts):
    return watched(parts, reopened=False)


def test_golden_nothing_is_evaluated_before_the_first_event(straight):
    evaluations, alerts = straight
    assert min(row[2] for row in evaluations) == START_US + 60 * 10**6
    assert {row[0] for row in alerts} == {"many", "no data", "by city"}
    quarter = START_MS * 1000 + 5 * 10**6 + 300 * 10**6  # warm for a lookback
    assert min(row[2] for row in alerts if row[0] == "no data") >= quarter


def test_law_a_restart_without_a_watermark_changes_nothing(parts, straight):
    assert watched(parts, reopened=True) == straight
