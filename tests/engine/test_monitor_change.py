"""Changes between two blocks: a run that is changed goes on as one that is started anew would.

The oracle is a restart with the changed settings at the same line: everything that rules, anomaly
jobs and step rules leave behind must be the same, of what changed and of all else.
"""

import random
from dataclasses import replace
from uuid import UUID

import duckdb
import pytest
from harness import encoded, fresh_store
from rule_runs import cuts_of, settings_of
from rule_traces import declared, random_rules, trace

from engine.batch import Block
from engine.config import (
    AnomalyJobSettings,
    AnomalyRuleSettings,
    DetectorSettings,
    MetricSettings,
    RuleSettings,
    Settings,
    StepRuleSettings,
)
from engine.decode import Decoder, canonical
from engine.monitor import Monitor
from engine.rules.definition import rule_id_of

TABLES = (
    *("rules_log", "metrics_log", "evaluations_log", "alerts_log", "rule_groups", "minute_marks"),
    *("bin_panes", "bin_definitions", "drift_metrics", "binnings", "batches_done"),
    *("anomaly_buckets", "anomaly_records", "anomaly_influencers", "anomaly_jobs"),
)
CLOCKED = {"processing_time_ms", "block_seq"}  # the clock's; where a delta was written


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def opened(connection, settings):
    monitor = Monitor(connection, settings, 1, canonical)
    monitor.watch()
    monitor.open_partition("s", "p", 0, live=True)
    return monitor


def gone_on(decoder, lines, stages, cuts, *, restart):
    """Run lines through a monitor; at each line of `stages` its settings hold from then on."""
    connection, monitor, at, position = fresh_store(), None, 0, 0
    given = []
    for start, settings in stages:
        stop = min([s for s, _ in stages if s > start], default=len(lines))
        connection.execute("BEGIN")
        if monitor is None or restart:
            monitor = opened(connection, settings)
        else:
            monitor.change(settings)
        monitor.save()
        connection.execute("COMMIT")
        while at < stop:
            connection.execute("BEGIN")
            count = min(next(cuts), stop - at)
            data = b"".join(lines[at : at + count])
            monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
            monitor.save()
            given += monitor.take_alerts().to_pylist()
            connection.execute("COMMIT")
            at, position = at + count, position + len(data)
    return connection, given


def left_behind(connection):
    found = {}
    for name in TABLES:
        rows = connection.execute(f"SELECT * FROM {name}")
        columns = [column[0] for column in rows.description]
        kept = [place for place, column in enumerate(columns) if column not in CLOCKED]
        found[name] = sorted((tuple(row[p] for p in kept) for row in rows.fetchall()), key=repr)
    return found


def assert_alike(decoder, lines, stages, seed):
    changed, given = gone_on(decoder, lines, stages, cuts_of(seed, 400), restart=False)
    anew, told = gone_on(decoder, lines, stages, cuts_of(seed, 400), restart=True)
    found, expected = left_behind(changed), left_behind(anew)
    for name in TABLES:
        differing = [
            pair for pair in zip(found[name], expected[name], strict=False) if pair[0] != pair[1]
        ]
        assert (len(found[name]), differing[:1]) == (len(expected[name]), []), name
    assert sorted(map(repr, given)) == sorted(map(repr, told))
    return found


JOB = AnomalyJobSettings(
    "visits",
    (
        DetectorSettings("count", partition_field_name="features.city"),
        DetectorSettings("mean", "features.age"),
    ),
    model="m0",
    bucket_span_s=60,
    influencers=("features.city",),
)
LABELS = AnomalyJobSettings("labels", (DetectorSettings("count"),), type="label", bucket_span_s=120)
MEAN = AnomalyJobSettings("mean", (DetectorSettings("mean", "own"),), model="m1", bucket_span_s=60)
OWN = MetricSettings(
    "m1", "own", '{"select": [{"function": "avg", "parameters": {"property": "prediction"}}]}'
)
SCORES = (AnomalyRuleSettings("visits", threshold=1.0, name="scores"),)
STEPS = (StepRuleSettings("loss", "upper", 0.6, "warning", job="train", name="loss", steps=2),)


def beside(settings):
    """Add what is no rule on a metric of a model."""
    return replace(
        settings,
        anomaly_jobs=(JOB, LABELS),
        anomaly_rules=SCORES,
        step_rules=STEPS,
        models=tuple(replace(model, drift_alerts=True) for model in settings.models),
    )


def edited(settings, chance):
    """Change, take away, disable, rename and add some rules."""
    rules = []
    for rule in settings.alert_rules:
        how = chance.random()
        if how < 0.1:
            continue
        if how < 0.25:
            changed = replace(rule, threshold=rule.threshold * 1.1, resolve_threshold=None)
            rules.append(changed)
        elif how < 0.35:
            rules.append(replace(rule, enabled=not rule.enabled))
        elif how < 0.5:
            own = str(rule_id_of(rule, rule.name))
            rules.append(replace(rule, name=f"{rule.name} again", rule_id=own))
        else:
            rules.append(rule)
    return replace(settings, alert_rules=tuple(rules))


def references(seed, rows=40):
    """Give rows of a reference set for the first model, to be compared with from the start."""
    of_model = [line for line in trace(seed, 300, 1) if "prediction" in line][:rows]
    return [row | {"type": "reference", "id": f"ref{n}"} for n, row in enumerate(of_model)]


def test_law_a_change_is_as_a_restart_with_the_same_settings(decoder):
    seed, chance = 21, random.Random(21)
    lines = encoded([*references(seed), *trace(seed, 500)])
    whole = beside(settings_of(random_rules(seed, 12), declared()))
    first = replace(whole, alert_rules=whole.alert_rules[:7], metrics=whole.metrics[:7])
    second = edited(whole, chance)
    third = replace(
        edited(second, chance),
        metrics=(*whole.metrics, OWN),
        anomaly_jobs=(replace(JOB, influencers=()), MEAN),
    )
    fourth = edited(third, chance)
    stages = [(0, first), (chance.randrange(100, 200), second)]
    stages += [(chance.randrange(250, 330), third), (chance.randrange(380, 450), fourth)]
    found = assert_alike(decoder, lines, stages, seed)
    assert len(found["alerts_log"]) > 10
    assert {row[0] for row in found["anomaly_buckets"]} == {"visits", "labels", "mean"}
    assert len(found["drift_metrics"]) > 0


def test_law_rules_that_are_not_changed_see_what_they_saw_without_the_change(decoder):
    lines = encoded(trace(23, 600))
    calm = settings_of(random_rules(23, 16), declared())
    kept, gone = calm.alert_rules[:10], calm.alert_rules[10:]
    after = replace(calm, alert_rules=(*kept, *(replace(r, severity="critical") for r in gone[:3])))
    first, _ = gone_on(decoder, lines, [(0, calm)], cuts_of(1, 400), restart=False)
    second, _ = gone_on(decoder, lines, [(0, calm), (300, after)], cuts_of(1, 400), restart=False)
    ids = {str(rule_id_of(rule, rule.name)) for rule in kept}
    for name in ("evaluations_log", "alerts_log"):
        select = f"SELECT * FROM {name} ORDER BY ALL"
        rows = [
            [row for row in each.execute(select).fetchall() if ids & set(map(str, row[:2]))]
            for each in (first, second)
        ]
        assert rows[0] == rows[1]
        assert rows[0]


def test_law_what_the_engine_does_not_depend_on_reopens_nothing():
    settings = beside(settings_of(random_rules(24, 4), declared()))
    connection = fresh_store()
    connection.execute("BEGIN")
    monitor = opened(connection, settings)
    connection.execute("DELETE FROM rules_log")  # would be written again
    monitor.change(replace(settings, users=(), notifications=(), data="elsewhere"))
    assert connection.execute("SELECT count(*) FROM rules_log").fetchone() == (0,)
    monitor.change(replace(settings, alert_rules=settings.alert_rules[:2]))
    assert connection.execute("SELECT count(*) FROM rules_log").fetchone() > (2,)


def test_law_a_rule_with_an_id_of_its_own_keeps_it_and_its_version_when_renamed(decoder):
    lines = encoded(trace(25, 300))
    (rule, *rest) = settings_of(random_rules(25, 3), declared(1)).alert_rules
    base = settings_of(random_rules(25, 3), declared(1))
    rule = replace(rule, rule_id="5a0c1b7e-6d0f-4f0b-9a55-0f6d7c0b9e21", enabled=True)
    stages = [(0, replace(base, alert_rules=(rule, *rest)))]
    stages.append((150, replace(base, alert_rules=(replace(rule, name="renamed"), *rest))))
    connection, _ = gone_on(decoder, lines, stages, cuts_of(2, 100), restart=False)
    found = connection.execute(
        "SELECT rule_version, name, in_force FROM rules_log WHERE rule_id = ?", [rule.rule_id]
    ).fetchall()
    assert found == [(1, "renamed", True)]
    assert rule_id_of(rule, "x") == UUID(rule.rule_id)


def test_law_two_rules_of_one_name_live_side_by_side_when_one_has_its_own_id(decoder):
    lines = encoded(trace(26, 200))
    base = settings_of(random_rules(26, 2), declared(1))
    rule = replace(base.alert_rules[0], enabled=True, group_by=None, min_label_coverage=0.0)
    other = replace(
        rule, rule_id="00000000-0000-4000-8000-000000000001", bound="upper", threshold=-1e9
    )
    both = replace(base, alert_rules=(rule, other))
    connection, _ = gone_on(decoder, lines, [(0, both)], cuts_of(2, 100), restart=False)
    rows = connection.execute(
        "SELECT count(DISTINCT rule_id), count(DISTINCT name) FROM evaluations_log"
        " JOIN rules_log USING (rule_id)"
    ).fetchone()
    assert rows == (2, 1)


def test_law_a_default_rule_of_drift_is_replaced_by_one_with_its_id(decoder):
    lines = encoded([*references(27), *trace(27, 100, 1)])
    base = Settings(models=declared(1))
    connection, _ = gone_on(decoder, lines, [(0, base)], cuts_of(3, 100), restart=False)
    rows = (
        "SELECT rule_id, name, metric_id FROM rules_log WHERE is_default AND in_force ORDER BY ALL"
    )
    before = connection.execute(rows).fetchall()
    rule_id, name, _ = before[0]
    (metric,) = connection.execute(
        "SELECT m.name FROM metrics_log m JOIN rules_log USING (metric_id) WHERE rule_id = ?",
        [rule_id],
    ).fetchone()
    mine = RuleSettings("m0", metric, "upper", 0.5, "critical", name=name, rule_id=rule_id)
    again = RuleSettings(
        "m0", metric, "upper", 0.5, "critical", name=name, rule_id=str(UUID(int=1))
    )
    connection.execute("BEGIN")
    monitor = opened(connection, replace(base, alert_rules=(mine, again)))
    monitor.save()
    after = connection.execute(rows).fetchall()
    assert after == [row for row in before if row[0] != rule_id]
    (force,) = connection.execute(
        "SELECT count(*) FROM rules_log WHERE rule_id = ? AND in_force AND NOT is_default",
        [rule_id],
    ).fetchone()
    assert force == 1
