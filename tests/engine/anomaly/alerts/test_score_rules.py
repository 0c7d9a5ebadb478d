"""What rules on scores leave to be read: their definition and versions, the words of an alert.

The message is all that somebody has who is woken up by it; a rule that was changed must not be
taken for the one that gave an older alert.
"""

from dataclasses import replace

import pytest
from harness import fresh_store
from score_runs import SECOND_US, SPAN_S, bucket_of, job_of, opened, rule_of, settings_of

from engine.config import ModelSettings, RuleSettings, Settings
from engine.errors import ConfigurationError
from engine.rules.definition import rules_of
from engine.rules.log import declare_rules

NOON_S = 1_767_614_400  # 2026-01-05 12:00:00

INFLUENCERS = [
    ("fields.shop", "7", 60.04),
    ("fields.city", "Rome", 92.4),
    ("fields.city", "Oslo", 0.0),
    ("fields.shop", "8", 60.04),
    ("fields.city", "Bonn", 12.0),
]
RECORDS = [
    (1, "7", 12.25, 3.5, 80.0),
    (0, "Oslo", 0.0, 41.2, 93.06),
    (0, "Rome", 3.0, 40.0, 93.06),
]


def message_of(rule, *buckets):
    store = fresh_store()
    opened(store, settings_of(rule)).evaluate(buckets, None, 1)
    return store.execute("SELECT message FROM alerts ORDER BY triggered_time DESC").fetchall()[0][0]


def test_golden_the_message_of_a_bucket():
    bucket = bucket_of(NOON_S, 91.58505459594764, influencers=INFLUENCERS, records=RECORDS)
    assert message_of(rule_of(name="Sales are odd"), bucket) == (
        "Sales are odd: the bucket score of anomaly job sales was 91.5851 from 2026-01-05 12:00:00"
        " to 2026-01-05 12:05:00 UTC, at or above its threshold 75: low_count of fields.city Oslo"
        " was 0, typically 41.2 (record score 93.1); influencers fields.city Rome (92.4),"
        " fields.shop 7 (60.0), fields.shop 8 (60.0)"
    )


def test_golden_the_message_of_one_of_many_buckets():
    loud = bucket_of(NOON_S, 20.0, records=[(1, None, float("nan"), float("nan"), 88.0)])
    calm = bucket_of(NOON_S + SPAN_S, 30.0, interim=True, closed_us=0)
    rule = rule_of(result_type="record", buckets=2, include_interim=True, threshold=80.5)
    assert message_of(rule, loud, replace(calm, closed_us=(NOON_S + 400) * SECOND_US)) == (
        "Odd: the greatest record score of anomaly job sales was 88 from 2026-01-05 12:00:00 to"
        " 2026-01-05 12:10:00 UTC so far (interim), at or above its threshold 80.5 in the bucket of"
        " 2026-01-05 12:00:00: mean(fields.price) of fields.shop (none) had no value (record score"
        " 88.0)"
    )


SHOPS = "fields.shop 7 (60.0), fields.shop 8 (60.0)"


@pytest.mark.parametrize(
    ("kind", "field", "record", "influencers"),
    [
        (
            *("record", "fields.price"),
            "mean(fields.price) of fields.shop 7 was 12.25, typically 3.5 (record score 80.0)",
            f"fields.city Rome (92.4), {SHOPS}",
        ),
        (
            *("influencer", "fields.shop"),
            "low_count of fields.city Oslo was 0, typically 41.2 (record score 93.1)",
            SHOPS,
        ),
    ],
)
def test_golden_the_message_keeps_to_the_field_of_the_rule(kind, field, record, influencers):
    rule = rule_of(result_type=kind, field=field, threshold=50.0)
    ends = f"threshold 50: {record}; influencers {influencers}"
    bucket = bucket_of(NOON_S, 91.0, influencers=INFLUENCERS, records=RECORDS)
    assert message_of(rule, bucket).endswith(ends)


def test_golden_the_message_of_a_bucket_without_results():
    assert message_of(rule_of(), bucket_of(NOON_S, 80.0)).endswith("75: no record stands out")


def test_golden_rules_and_their_metrics_are_in_the_public_relations():
    store = fresh_store()
    rules = (
        rule_of(name=None, buckets=3, wait_us=60 * SECOND_US),
        rule_of(name=None, severity="critical", threshold=90.0),
        rule_of(name=None, anomaly_job="stock", result_type="influencer", field="fields.shop"),
    )
    opened(store, settings_of(*rules))
    found = store.execute(
        "SELECT name, model_id, metric_name, metric_type, bound, threshold, severity,"
        " lookback_period, subsequent_alert_wait_time, is_default FROM alert_rules ORDER BY name"
    ).fetchall()
    metric = ("anomaly_score(sales, bucket)", "model_anomaly_metric", "upper")
    other = ("anomaly_score(stock, influencer, fields.shop)", "model_anomaly_metric", "upper")
    assert found == [
        ("sales bucket score", "shop", *metric, 75.0, "warning", 15.0, 1.0, False),
        ("sales bucket score 2", "shop", *metric, 90.0, "critical", 5.0, 0.0, False),
        ("stock influencer score", "stock", *other, 75.0, "warning", 5.0, 0.0, False),
    ]
    metrics = store.execute(
        "SELECT name, function, endpoint FROM metrics WHERE model_id = 'shop'"
    ).fetchall()
    assert metrics == [("anomaly_score(sales, bucket)", "anomalyScore", "anomaly")]


def versions(store):
    return store.execute(
        "SELECT name, rule_version, in_force, epoch_us(from_time) FROM rules_log ORDER BY ALL"
    ).fetchall()


def test_golden_a_changed_rule_is_a_new_version_that_begins_anew():
    store, rule = fresh_store(), rule_of(wait_us=10 * SPAN_S * SECOND_US)
    opened(store, settings_of(rule), None).evaluate([bucket_of(0, 80.0)], None, 1)
    opened(store, settings_of(rule), 5)
    assert versions(store) == [("Odd", 1, True, None)]
    rules = opened(store, settings_of(replace(rule, buckets=2)), 9)
    assert versions(store) == [("Odd", 1, False, None), ("Odd", 2, True, 9)]
    assert len(rules.evaluate([bucket_of(SPAN_S, 80.0)], None, 2)) == 1  # it has not waited yet
    opened(store, settings_of(), 9)
    assert [row[2] for row in versions(store)] == [False, False]
    assert store.execute("SELECT count(*) FROM metrics").fetchall() == [(0,)]


def test_golden_rules_on_metrics_and_rules_on_scores_leave_each_other_alone():
    store, settings = fresh_store(), settings_of(rule_of())
    other = Settings(
        models=(ModelSettings("shop"),),
        alert_rules=(RuleSettings("shop", "count", "upper", 9.0, "warning", name="Odd"),),
    )
    for _ in range(2):
        declare_rules(store, rules_of(other), None, whole=True)  # what every opening does first
        rules = opened(store, settings)
    assert versions(store) == [("Odd", 1, True, 0), ("Odd", 1, True, None)]
    assert store.execute("SELECT count(DISTINCT rule_id) FROM rules_log").fetchall() == [(2,)]
    assert len(rules.evaluate([bucket_of(0, 80.0)], None, 1)) == 1


def test_golden_interim_results_are_asked_for_where_a_rule_looks_at_them():
    early = rule_of(include_interim=True)
    store = fresh_store()
    assert opened(store, settings_of(early)).looks("sales")
    assert not opened(store, settings_of(early)).looks("stock")
    assert not opened(store, settings_of(replace(early, enabled=False))).looks("sales")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            rule_of(anomaly_job="sails"),
            r"anomaly_rules\[0\]\.anomaly_job must be the id of an anomaly job, got sails",
        ),
        (
            rule_of(result_type="model"),
            r"anomaly_rules\[0\]\.result_type must be one of bucket, influencer, record, got model",
        ),
    ],
)
def test_error_a_rule_on_what_there_is_not(rule, text):
    with pytest.raises(ConfigurationError, match=f"^{text}$"):
        opened(fresh_store(), settings_of(rule))


def test_error_names_that_look_like_something_else_stay_text():
    name = "x', 1); DROP TABLE alerts_log; --\0{}"
    store = fresh_store()
    settings = replace(
        settings_of(rule_of(anomaly_job=name, name=name)), anomaly_jobs=(job_of(name),)
    )
    rules = opened(store, settings)
    alerts = rules.evaluate([bucket_of(0, 80.0, job_id=name)], None, 1)
    assert alerts.to_pylist()[0]["model_id"] == name
    assert len(opened(store, settings).evaluate([bucket_of(0, 80.0, job_id=name)], None, 1)) == 0
