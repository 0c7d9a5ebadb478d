"""Alert rules on anomaly scores: against a walk over all looks, cut, resumed, and told of.

An alert that is missed, or comes again after a restart, is what somebody is woken up by. So every
alert and evaluation is computed a second time, without memory, from all looks at once.
"""

import numpy as np
import pytest
from harness import fresh_store
from score_runs import (
    SECOND_US,
    SPAN_S,
    bucket_of,
    left,
    opened,
    rule_of,
    settings_of,
    timeline,
    watched,
)

from engine.config import NotificationSettings
from engine.outbox import enqueue

RULES = (
    rule_of(name="plain"),
    rule_of(name="three", buckets=3, threshold=80.0),
    rule_of(name="waits", wait_us=2 * SPAN_S * SECOND_US),
    rule_of(name="open", include_interim=True),
    rule_of(name="open waits", include_interim=True, wait_us=SPAN_S * SECOND_US + 1, buckets=2),
    rule_of(name="record", result_type="record", buckets=2),
    rule_of(name="shops", result_type="record", field="fields.shop", include_interim=True),
    rule_of(name="city", result_type="influencer", field="fields.city", wait_us=SECOND_US),
    rule_of(name="any", result_type="influencer", include_interim=True, threshold=0.0),
    rule_of(name="off", enabled=False),
    rule_of(name="plain", anomaly_job="stock", buckets=5, threshold=89.5),
)


def scores_of(rule, rows):
    """The scores of a bucket that a rule is on."""
    if rule.result_type == "bucket":
        return [rows.score]
    if rule.result_type == "influencer":
        told = zip(rows.influencers.field_name, rows.influencers.score, strict=True)
        return [score for name, score in told if rule.field in {None, name}]
    index = {"fields.city": 0, "fields.shop": 1, None: None}[rule.field]
    told = zip(rows.records.detector_index, rows.records.score, strict=True)
    return [score for place, score in told if index in {None, place}]


def walked(rule, looks):
    """Evaluations and alerts of a rule, from everything that it may look at."""
    seen, table, alerts = {}, {}, []
    for look in looks:
        rows, at_us = look.rows, look.closed_us
        if rows.job_id != rule.anomaly_job or (rows.is_interim and not rule.include_interim):
            continue
        end = rows.start_s + SPAN_S
        seen[end] = scores_of(rule, rows)
        ends = [end - n * SPAN_S for n in reversed(range(rule.buckets))]
        ends = [each for each in ends if each in seen]
        scores = [score for each in ends for score in seen[each]]
        value, count = max(scores, default=0.0), sum(s >= rule.threshold for s in scores)
        closed = {e: row for e, row in table.items() if not row["interim"]}
        waited = not alerts or at_us - alerts[-1]["at_us"] >= rule.wait_us
        if count and waited and end not in {each["end"] for each in alerts}:
            told = max((each["end"] for each in alerts), default=0)
            hushed = [e for e, r in closed.items() if r["state"] == "suppressed" and e > told]
            window = ends[0] - SPAN_S, end
            alerts.append({"end": end, "at_us": at_us, "told": (value, count), "window": window})
            alerts[-1]["since"] = min(hushed, default=None)
        state = "ok"
        if count:
            state = "firing" if end in {each["end"] for each in alerts} else "suppressed"
        since = end
        for before in sorted(closed, reverse=True):
            if closed[before]["state"] == "ok":
                break
            since = before
        table[end] = {
            "interim": rows.is_interim,
            "state": state,
            "row": (ends[0] - SPAN_S, value, count, state, since if count else None),
        }
    return table, alerts


def told_of(table):
    """Rows that differ from the one before, and all of open buckets."""
    found, before = [], None
    for end, each in sorted(table.items()):
        row = each["row"][1:4]
        if each["interim"] or row != before:
            found.append((end, *each["row"]))
        before = row
    return found


EVALUATIONS = """
SELECT epoch_us(window_end) // 1000000, epoch_us(window_start) // 1000000, value, sample_count,
    state, epoch_us(since) // 1000000
FROM evaluations_log JOIN rules_log r USING (rule_id, rule_version)
WHERE r.name = $name AND r.metric_id = $metric ORDER BY window_end
"""
ALERTS = """
SELECT epoch_us(window_end) // 1000000, epoch_us(triggered_time), metric_value, sample_count,
    epoch_us(window_start) // 1000000, epoch_us(suppressed_since) // 1000000, to_position
FROM alerts_log WHERE rule_name = $name AND metric_id = $metric
ORDER BY triggered_time, window_end
"""


def lines_of(rng, looks):
    """Watermarks after each line, so that every look is passed by some line."""
    last_us = looks[-1].closed_us
    times = rng.integers(0, last_us, 200) // SECOND_US * SECOND_US
    return np.sort(np.append(times, [last_us] * 3))


@pytest.mark.parametrize(
    ("seed", "latency_s", "frequency_s"), [(1, 0, 150), (2, 450, 100), (3, 90, 300), (4, 700, 200)]
)
def test_oracle_alerts_and_evaluations_equal_a_walk_over_all_looks(seed, latency_s, frequency_s):
    rng = np.random.default_rng(seed)
    looks = timeline(rng, 30, latency_s=latency_s, frequency_s=frequency_s)
    arrival_us, store = lines_of(rng, looks), fresh_store()
    settings = settings_of(*RULES)
    watched(
        store, settings, looks, arrival_us, [10] * 20 + [3], reopened=lambda: rng.random() < 0.3
    )
    compared = 0
    for rule, (metric,) in zip(
        RULES,
        store.execute("SELECT metric_id FROM rules_log ORDER BY rowid").fetchall(),
        strict=True,
    ):
        asked = {"name": rule.name, "metric": metric}
        table, alerts = walked(rule, looks if rule.enabled else [])
        assert store.execute(EVALUATIONS, asked).fetchall() == told_of(table)
        wanted = [
            (
                *(each["end"], each["at_us"], *each["told"], each["window"][0], each["since"]),
                int(np.count_nonzero(arrival_us < each["at_us"])) - 1,
            )
            for each in alerts
        ]
        assert store.execute(ALERTS, asked).fetchall() == wanted
        compared += len(wanted)
    assert compared > 60


@pytest.mark.parametrize("seed", range(2))
def test_law_restarts_and_cutting_change_nothing(seed):
    rng = np.random.default_rng(seed)
    looks = timeline(rng, 12, latency_s=400, frequency_s=150)
    arrival_us, settings = lines_of(rng, looks), settings_of(*RULES)
    straight, cut = fresh_store(), fresh_store()
    first = watched(straight, settings, looks, arrival_us, [203], reopened=lambda: False)
    cuts = rng.multinomial(203, np.ones(40) / 40)
    again = watched(
        cut,
        settings,
        looks,
        arrival_us,
        cuts[cuts > 0].tolist(),
        reopened=lambda: rng.random() < 0.5,
    )
    assert left(straight) == left(cut)
    assert first == again
    assert len({each["alert_id"] for each in first}) == len(first)


def states(store):
    return store.execute(
        "SELECT epoch_us(window_end) // 1000000, value, state FROM evaluations ORDER BY window_end"
    ).fetchall()


def test_contract_ELi_21_a_rule_fires_at_75_waits_and_recovers():
    store, settings = fresh_store(), settings_of(rule_of(wait_us=2 * SPAN_S * SECOND_US))
    rules = opened(store, settings)
    for number, score in enumerate([74.9, 75.0, 80.0, 80.0, 10.0, 10.0, 99.0]):
        rules.evaluate([bucket_of(number * SPAN_S, score)], None, number)
    assert states(store) == [
        (300, 74.9, "ok"),
        (600, 75.0, "firing"),
        (900, 80.0, "suppressed"),
        (1200, 80.0, "firing"),
        (1500, 10.0, "ok"),
        (2100, 99.0, "firing"),
    ]
    alerts = store.execute(
        "SELECT model_id, severity, bound, threshold, metric_value, sample_count,"
        " epoch(window_start), epoch(triggered_time), epoch(suppressed_since) FROM alerts"
        " ORDER BY triggered_time"
    ).fetchall()
    same = ("shop", "warning", "upper", 75.0)
    assert alerts == [
        (*same, 75.0, 1, 300.0, 600.0, None),
        (*same, 80.0, 1, 900.0, 1200.0, 900.0),
        (*same, 99.0, 1, 1800.0, 2100.0, None),
    ]


def test_contract_ELi_21_interim_results_count_only_where_a_rule_says_so():
    store = fresh_store()
    settings = settings_of(rule_of(), rule_of(name="Early", include_interim=True))
    rules = opened(store, settings)
    half_us = 150 * SECOND_US
    rules.evaluate([bucket_of(0, 90.0, closed_us=half_us, interim=True)], None, 1)
    rules = opened(store, settings)
    rules.evaluate([bucket_of(0, 20.0)], None, 2)  # it was not that odd in the end
    alerts = store.execute("SELECT rule_name, epoch_us(triggered_time) FROM alerts").fetchall()
    assert alerts == [("Early", half_us)]
    assert states(store) == [(300, 20.0, "ok")] * 2


@pytest.mark.parametrize(("job", "model"), [("sales", "shop"), ("stock", "stock")])
def test_contract_ELi_21_who_is_told_of_a_model_or_a_job_gets_its_alerts(job, model):
    store = fresh_store()
    rules = opened(store, settings_of(rule_of(anomaly_job=job)))
    alerts = rules.evaluate([bucket_of(0, 90.0, job_id=job)], None, 1)
    told = NotificationSettings("ana", model, "ana@example.org")
    assert enqueue(store, (told,), alerts, 0) == 1


def test_golden_a_job_that_runs_anew_gives_no_alert_again():
    store, settings = fresh_store(), settings_of(rule_of())
    buckets = [bucket_of(n * SPAN_S, 80.0) for n in range(4)]
    rules = opened(store, settings)
    assert len(rules.evaluate(buckets, None, 1)) == 4
    before = left(store)
    again = opened(store, settings)
    for each in (rules, again):
        assert len(each.evaluate(buckets[1:], None, 9)) == 0
    assert left(store) == before
    assert len(again.evaluate([bucket_of(4 * SPAN_S, 80.0)], None, 10)) == 1


def test_golden_looks_that_no_window_asks_for_are_gone():
    store = fresh_store()
    rules = opened(store, settings_of(rule_of(buckets=3), rule_of(name="one")))
    for number in range(9):
        rules.evaluate([bucket_of(number * SPAN_S, 80.0)], None, number)
    ends = store.execute(
        "SELECT epoch(bucket_end)::BIGINT // 300 FROM score_looks ORDER BY ALL"
    ).fetchall()
    assert ends == [(8,), (9,), (9,)]


def test_error_nothing_to_look_at():
    store = fresh_store()
    nobody = opened(store, settings_of())
    assert len(nobody.evaluate([bucket_of(0, 99.0)], None, 1)) == 0
    rules = opened(store, settings_of(rule_of()))
    found = rules.evaluate([], None, 1)
    assert (len(found), found.column_names) == (0, ["alert_id", "model_id"])
    rules.evaluate([bucket_of(0, 99.0, job_id="unheard of")], None, 1)
    assert left(store) == {"alerts_log": [], "evaluations_log": [], "score_looks": []}
