"""Alert rules item by item of the contract, on streams small enough to reckon by hand.

A prediction every ten seconds from second 0 on; a boundary is passed once the watermark, ten
seconds behind the newest event, has reached it.
"""

import json
from itertools import repeat

import duckdb
import pytest
from harness import encoded
from rule_runs import watched

from engine.config import MetricSettings, ModelSettings, RuleSettings, Settings
from engine.decode import Decoder
from engine.rules.definition import rules_of

START_MS = 1_700_000_040_000  # a whole minute


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def stream(seconds, score=lambda _: 0.5, **more):
    return [
        {
            "model_id": "m",
            "id": f"e{second}",
            "timestamp": START_MS + second * 1000,
            "prediction": "A",
            "score": score(second),
            **more,
        }
        for second in seconds
    ]


def rule(metric="avg(score)", bound="upper", threshold=0.6, **more):
    told = {"severity": "warning", "name": "r", "lookback_s": 60, **more}
    return RuleSettings("m", metric, bound, threshold, **told)


def run(decoder, events, *rules, metrics=(), models=(), cut=7):
    settings = Settings(alert_rules=rules, metrics=metrics, models=models)
    return watched(decoder, encoded(events), settings, repeat(cut))


def minutes(connection, columns="window_end", where="true"):
    """When alerts came, in minutes from the start."""
    return [
        (us - START_MS * 1000) // 60_000_000
        for (us,) in connection.execute(
            f"SELECT epoch_us({columns}) FROM alerts WHERE {where} ORDER BY 1"
        ).fetchall()
    ]


def states(connection):
    rows = connection.execute(
        "SELECT epoch_us(window_end), state FROM evaluations ORDER BY 1"
    ).fetchall()
    return [((us - START_MS * 1000) // 60_000_000, state) for us, state in rows]


def high(*which):
    """Scores of 0.9 in these minutes, else of 0.5."""
    return lambda second: 0.9 if second // 60 in which else 0.5


def test_contract_AR_18_fires_when_the_value_crosses_the_threshold(decoder):
    connection = run(decoder, stream(range(0, 360, 10), high(2)), rule())
    assert minutes(connection) == [3]


@pytest.mark.parametrize(("bound", "fires"), [("upper", [1, 2, 3]), ("lower", [])])
def test_contract_AR_06_bound_is_the_side(decoder, bound, fires):
    connection = run(decoder, stream(range(0, 200, 10)), rule(bound=bound, threshold=0.4))
    assert minutes(connection) == fires


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_contract_AR_07_the_threshold_itself_is_no_violation(decoder, bound):
    """ARi-01: strict; and ten times 0.1 is a mean of 0.1, not of 0.09999999999999999."""
    events = stream(range(0, 200, 10), lambda _: 0.1)
    assert minutes(run(decoder, events, rule(bound=bound, threshold=0.1))) == []


def test_contract_AR_08_the_severity_is_carried_by_the_alert(decoder):
    connection = run(decoder, stream(range(0, 140, 10), high(1)), rule(severity="critical"))
    assert connection.execute("SELECT severity FROM alerts").fetchall() == [("critical",)]


def test_contract_AR_09_lookback_defaults_to_5_minutes(decoder):
    settings = Settings(alert_rules=(rule(lookback_s=None),))
    assert rules_of(settings)[0].lookback_s == 300
    events = stream(range(0, 700, 10), high(5))
    connection = run(decoder, events, rule(lookback_s=None, threshold=0.57))
    assert minutes(connection) == [6, 7, 8, 9, 10]  # 0.5 + 0.4 / 5 as long as minute 5 is in


def test_contract_AR_10_wait_after_the_last_alert(decoder):
    events = stream(range(0, 800, 10), lambda _: 0.9)
    assert minutes(run(decoder, events, rule())) == list(range(1, 14))  # default 0
    waiting = run(decoder, events, rule(wait_us=300_000_000))
    assert minutes(waiting) == [1, 6, 11]
    assert minutes(waiting, "suppressed_since", "suppressed_since IS NOT NULL") == [2, 7]


def test_contract_ARx_6_suppressed_evaluations_are_kept_and_recovery_does_not_reset_the_wait(
    decoder,
):
    connection = run(decoder, stream(range(0, 800, 10), high(2, 4, 9)), rule(wait_us=300_000_000))
    assert minutes(connection) == [3, 10]
    assert (5, "suppressed") in states(connection)
    assert (4, "ok") in states(connection)


def test_contract_AR_17_a_disabled_rule_sees_nothing(decoder):
    connection = run(decoder, stream(range(0, 200, 10), high(1)), rule(enabled=False))
    assert states(connection) == []
    assert minutes(connection) == []


def test_contract_ARi_22_an_empty_window_counts_0_and_averages_nothing(decoder):
    events = [*stream(range(0, 70, 10)), *stream([400])]
    counted = run(decoder, events, rule("count", "lower", 1))
    assert minutes(counted) == [3, 4, 5, 6]
    averaged = run(decoder, events, rule(bound="lower", threshold=1))
    assert minutes(averaged) == [1, 2]
    assert (3, "no_data") in states(averaged)


def test_contract_ARi_23_a_window_that_began_before_the_first_event_is_warm_up(decoder):
    events = stream(range(30, 400, 10), lambda _: 0.9)
    connection = run(decoder, events, rule(lookback_s=180))
    assert minutes(connection) == [4, 5, 6]
    assert states(connection)[0] == (1, "warm_up")


def test_contract_AR_64_fewer_than_one_inference_from_boston(decoder):
    query = {
        "select": [{"function": "count", "alias": "count"}],
        "filter": [{"property": "city", "comparator": "eq", "value": "Boston"}],
    }
    events = [
        {**event, "features": {"city": "Boston" if place < 10 else "Oslo"}}
        for place, event in enumerate(stream(range(0, 300, 10)))
    ]
    metric = MetricSettings("m", "Boston Inference Count", json.dumps(query))
    connection = run(decoder, events, rule("Boston Inference Count", "lower", 1), metrics=(metric,))
    assert minutes(connection) == [3, 4]


def test_golden_no_data_may_alert(decoder):
    events = [*stream(range(0, 70, 10)), *stream([400])]
    connection = run(decoder, events, rule(on_no_data="alert"))
    assert minutes(connection) == [3, 4, 5, 6]
    values = connection.execute("SELECT DISTINCT metric_value FROM alerts").fetchall()
    assert values == [(None,)]


def test_golden_for_wants_the_violation_to_last(decoder):
    connection = run(
        decoder, stream(range(0, 700, 10), high(2, 5, 6, 7)), rule(hold_us=120_000_000)
    )
    assert minutes(connection) == [8]
    assert (3, "suppressed") in states(connection)


def test_golden_resolve_threshold_keeps_a_rule_firing(decoder):
    def score(second):
        return {1: 0.9, 2: 0.55, 3: 0.45, 4: 0.55}.get(second // 60, 0.4)

    connection = run(decoder, stream(range(0, 420, 10), score), rule(resolve_threshold=0.5))
    assert minutes(connection) == [2, 3]


def test_golden_an_alert_can_be_computed_again(decoder):
    """Its window, counts and positions are enough."""
    connection = run(decoder, stream(range(0, 200, 10), high(1)), rule())
    first, last, value, samples, start, end = connection.execute(
        "SELECT from_position, to_position, metric_value, sample_count, window_start, window_end"
        " FROM alerts"
    ).fetchall()[0]
    again = connection.execute(
        "SELECT avg(score), count(*), min(seq) FROM events WHERE seq BETWEEN ? AND ?"
        " AND event_time >= ? AND event_time < ?",
        [first, last, start, end],
    ).fetchall()[0]
    assert again == (value, samples, first)
    assert last == 12  # the line of second 130 passed minute 2


def test_golden_the_message_says_what_happened(decoder):
    connection = run(
        decoder, stream(range(0, 140, 10), high(1)), rule(name='a "b"; DROP TABLE alerts_log --')
    )
    message = (
        'a "b"; DROP TABLE alerts_log --: avg(score) of model m was 0.9 from 2023-11-14'
        " 22:15:00 to 2023-11-14 22:16:00 UTC (6 events), above its threshold 0.6"
    )
    assert connection.execute("SELECT message FROM alerts").fetchall() == [(message,)]


def test_golden_a_group_has_a_state_of_its_own(decoder):
    events = [
        {**event, "features": {"city": "Boston" if place % 2 else "Łódź"}}
        for place, event in enumerate(stream(range(0, 260, 10), high(2)))
    ]
    for event in events:
        if event["features"]["city"] == "Łódź":
            event["score"] = 0.5
    connection = run(decoder, events, rule(group_by="features.city"))
    assert connection.execute("SELECT group_value FROM alerts").fetchall() == [("Boston",)]


def test_golden_a_batch_model_needs_no_lookback():
    settings = Settings(models=(ModelSettings("m", kind="batch"),), alert_rules=(rule(),))
    assert rules_of(settings)[0].name == "r"
