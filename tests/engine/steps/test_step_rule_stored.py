"""What rules on step metrics leave to be read: definitions, versions, words, and who is told.

The message is all that somebody has who is woken up by it; a rule that was changed must not be
taken for the one that gave an older alert.
"""

from dataclasses import replace

import pytest
from harness import fresh_store
from score_runs import bucket_of, job_of
from score_runs import rule_of as score_rule_of
from step_rule_runs import NOON_US, Line, fed, opened, rows_of, rule_of, settings_of

from engine.anomaly.alerts.alerts import ScoreRules
from engine.config import ModelSettings, NotificationSettings, RuleSettings, Settings
from engine.errors import ConfigurationError
from engine.outbox import enqueue
from engine.rules.definition import rules_of
from engine.rules.log import declare_rules


def taken(store, settings, *values, job_id="t1", experiment_id=None):
    lines = [
        Line(job_id, "loss", 10 * step, value, NOON_US + step, experiment_id)
        for step, value in enumerate(values)
    ]
    return fed(store, opened(store, settings), rows_of(lines))


def message_of(rule, *values, **more):
    store = fresh_store()
    taken(store, settings_of(rule), *values, **more)
    return store.execute("SELECT message FROM alerts ORDER BY step DESC").fetchall()[0][0]


def test_golden_the_message_of_a_window():
    rule = rule_of(name="Loss is back", steps=3, threshold=1.25)
    assert message_of(rule, 1.0, 2.0, 3.00001) == (
        "Loss is back: avg of loss of job t1 was 2 over 3 steps, 0 to 20, above its threshold 1.25"
    )


def test_golden_the_message_of_one_step():
    rule = rule_of(name="r", experiment="e1", bound="lower", threshold=-1.0)
    assert message_of(rule, float("-inf"), experiment_id="e1") == (
        "r: loss of job t1 of experiment e1 was -inf at step 0, below its threshold -1"
    )


def test_golden_rules_and_their_metrics_are_in_the_public_relations():
    store = fresh_store()
    rules = (
        rule_of(steps=5, resolve_threshold=1.0),
        rule_of(steps=5, severity="critical", bound="lower", min_steps=2),
        rule_of(experiment="e1", function="max"),
    )
    opened(store, settings_of(*rules), 5)
    found = store.execute(
        "SELECT name, model_id, metric_name, metric_type, bound, threshold, severity, time_basis,"
        " resolve_threshold, min_sample_count, group_by, epoch_us(from_time) FROM alert_rules"
        " ORDER BY rule_version, model_id DESC, bound DESC"
    ).fetchall()
    job, of_all = "step_metric(loss, avg of 5, job)", "step_metric(loss, max of 1, experiment)"
    kind = "model_step_metric"
    upper, lower = ("upper", 2.0, "warning", "step"), ("lower", 2.0, "critical", "step")
    assert found == [
        ("Avg loss upper bound", "t1", job, kind, *upper, 1.0, 5, None, 5),
        ("Avg loss lower bound", "t1", job, kind, *lower, None, 2, None, 5),
        ("Max loss upper bound", "e1", of_all, kind, *upper, None, 1, "job_id", 5),
    ]
    metrics = store.execute(
        "SELECT name, function, property, endpoint FROM metrics WHERE model_id = 'e1'"
    ).fetchall()
    assert metrics == [(of_all, "max", "loss", "steps")]


def versions(store):
    return store.execute(
        "SELECT name, rule_version, in_force, epoch_us(from_time) FROM rules_log ORDER BY ALL"
    ).fetchall()


def test_golden_a_changed_rule_is_a_new_version_that_begins_anew():
    store, rule = fresh_store(), rule_of(name="r", wait_steps=100)
    rows = rows_of(Line("t1", "loss", step, 9.0) for step in range(3))
    assert len(fed(store, opened(store, settings_of(rule)), rows[:1])) == 1
    assert len(fed(store, opened(store, settings_of(rule), 5), rows[1:2])) == 0  # it waits
    assert versions(store) == [("r", 1, True, None)]
    rules = opened(store, settings_of(replace(rule, threshold=3.0)), 9)
    assert versions(store) == [("r", 1, False, None), ("r", 2, True, 9)]
    assert len(fed(store, rules, rows[2:])) == 1  # it has not waited yet
    opened(store, settings_of(), 9)
    assert [row[2] for row in versions(store)] == [False, False]
    assert store.execute("SELECT count(*) FROM metrics").fetchall() == [(0,)]
    alerts = store.execute("SELECT count(DISTINCT alert_id) FROM alerts").fetchall()
    assert alerts == [(2,)]


def test_golden_rules_of_all_kinds_leave_each_other_alone():
    store = fresh_store()
    settings = Settings(
        models=(ModelSettings("t1"),),
        alert_rules=(RuleSettings("t1", "count", "upper", 9.0, "warning", name="r"),),
        anomaly_jobs=(job_of("sales", "t1"),),
        anomaly_rules=(score_rule_of(name="r"),),
        step_rules=(rule_of(name="r"), rule_of(name="r", experiment="t1")),
    )
    for _ in range(2):
        declare_rules(store, rules_of(settings), None, whole=True)
        scores = ScoreRules(store, settings)
        scores.declare(None)
        steps = opened(store, settings)
        scores.declare(None)
    assert [row[1:3] for row in versions(store)] == [(1, True)] * 4
    assert store.execute("SELECT count(DISTINCT rule_id) FROM alert_rules").fetchall() == [(4,)]
    assert len(scores.evaluate([bucket_of(0, 90.0)], None, 1)) == 1
    lines = [Line("t1", "loss", 0, 9.0, experiment_id="t1")]
    assert len(fed(store, steps, rows_of(lines))) == 2


@pytest.mark.parametrize(
    ("rule", "model"), [(rule_of(name="r"), "t1"), (rule_of(experiment="e1"), "e1")]
)
def test_golden_mail_is_configured_for_the_job_or_the_experiment(rule, model):
    store = fresh_store()
    alerts = taken(store, settings_of(rule), 1.0, 5.0, experiment_id="e1")
    assert [each["model_id"] for each in alerts] == [model]
    table = store.sql("SELECT alert_id, model_id FROM alerts_log").to_arrow_table()
    assert table.to_pylist() == alerts
    assert enqueue(store, (NotificationSettings("ana", model, "ana@example.org"),), table, 0) == 1


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"experiment": "e", "job": "t1"}, "must be on either a job or an experiment"),
        ({"job": None}, "must be on either a job or an experiment, got job=None"),
        ({"function": "mean"}, "function must be one of avg, min, max, sum, median, stddev, last"),
    ],
)
def test_error_rules_that_cannot_be_followed(told, fault):
    with pytest.raises(ConfigurationError, match=fault):
        opened(fresh_store(), settings_of(rule_of(**told)))
