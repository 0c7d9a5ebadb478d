"""Rules of batch models against an interpreter that reads line by line, and their edges by hand.

The same traces, with batches that overlap, grow late, are declared complete or fall silent, go
through the engine, cut at random and opened again in between, and through `naive_batches`.
"""

import json
import math
import random
from dataclasses import replace

import duckdb
import pytest
from harness import encoded, fresh_store
from naive_batches import interpret_batches
from rule_runs import first_difference
from rule_traces import ADMINISTRATORS, declared, random_rules, trace

from engine.batch import Block
from engine.config import DYNAMIC, MetricSettings, ModelSettings, RuleSettings, Settings
from engine.decode import Decoder, canonical
from engine.monitor import Monitor

START_MS = 1_700_000_040_000  # a whole minute


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


# ---- against the interpreter -----------------------------------------------------------------


def in_batches(events, seed):
    """Give most predictions a batch, and declare some batches complete, early or late."""
    chance, found = random.Random(f"batches {seed}"), []
    span_ms = chance.choice((60_000, 150_000, 400_000))
    for event in events:
        told = dict(event)
        if event.get("type", "prediction") == "prediction":
            number = event["timestamp"] // span_ms - (chance.random() < 0.1)
            late = chance.randrange(8) if chance.random() < 0.02 else 0
            batch = chance.choice((f"b{number - late}", "Łódź '" + str(number), number))
            if chance.random() < 0.95:
                told["batch_id"] = batch
            if chance.random() < 0.02:
                found.append(told)
                told = {"type": "model", "model_id": event["model_id"], "batch_id": batch}
                told["timestamp"] = event["timestamp"]
                words = ("complete", "completed", "Closed", "uploaded", "uploading", "failed")
                told["status"] = chance.choice(words)
        found.append(told)
    return found


def batch_rules(seed, count):
    plain = {"lookback_s": None, "wait_us": 0, "hold_us": 0}
    plain |= {"resolve_threshold": None, "group_by": None}
    return [
        rule._replace(settings=replace(rule.settings, **plain))
        for rule in random_rules(seed, count)
    ]


def settings_of(rules, models):
    return Settings(
        models=models,
        metrics=tuple(
            MetricSettings(rule.settings.model, rule.settings.metric, json.dumps(rule.query))
            for rule in rules
        ),
        alert_rules=tuple(rule.settings for rule in rules),
        administrators=ADMINISTRATORS,
    )


class Run:
    """A monitor over a store; it may be thrown away and opened again with other settings."""

    def __init__(self, decoder, settings):
        self.connection, self.decoder, self.position = fresh_store(), decoder, 0
        self.open(settings)

    def open(self, settings):
        self.connection.execute("BEGIN")
        self.monitor = Monitor(self.connection, settings, 1, canonical)
        self.monitor.watch()
        self.monitor.open_partition("s", "p", 0, live=True)
        self.connection.execute("COMMIT")

    def take(self, *events):
        data = b"".join(encoded(events))
        self.connection.execute("BEGIN")
        counts = self.monitor.take(self.decoder.decode(Block("s", "p", self.position, data, 0)))
        self.connection.execute("COMMIT")
        self.position += len(data)
        return counts

    def alerts(self):
        return ordered(
            self.connection.execute(
                "SELECT rule_name, batch_id, epoch_us(window_start), epoch_us(window_end),"
                " metric_value, sample_count FROM alerts"
            ).fetchall()
        )

    def evaluations(self):
        return ordered(
            self.connection.execute(
                "SELECT name, group_value, epoch_us(window_start), epoch_us(window_end), value,"
                " sample_count, state FROM evaluations_log JOIN rules_log"
                " USING (rule_id, rule_version)"
            ).fetchall()
        )


def ordered(rows):
    return sorted((tuple(row) for row in rows), key=lambda row: (row[0], row[1] or "", row[3]))


@pytest.mark.parametrize(
    ("seed", "lines", "most", "reopen"),
    [(1, 600, 60, 0.2), (2, 1_500, 2_000, 0.0), (3, 2_000, 600, 0.3), (6, 300, 15, 0.1)],
)
def test_oracle_batches_are_judged_as_the_interpreter_does(seed, lines, most, reopen, decoder):
    events, rules = in_batches(trace(seed, lines), seed), batch_rules(seed, 18)
    lookbacks = random.Random(seed).choices((None, 60, 150, 600), k=3)
    models = tuple(
        replace(model, kind="batch", lookback_s=lookback_s, drift_alerts=False)
        for model, lookback_s in zip(declared(), lookbacks, strict=True)
    )
    settings, chance, at = settings_of(rules, models), random.Random(seed), 0
    run = Run(decoder, settings)
    while at < len(events):
        if chance.random() < reopen:
            run.open(settings)
        count = chance.randint(1, most)
        run.take(*events[at : at + count])
        at += count
    alerts, evaluations = interpret_batches(
        events,
        [(rule.settings, rule.metric) for rule in rules],
        models,
        administrators=ADMINISTRATORS,
    )
    assert len({batch for _, batch, *_ in evaluations}) > 5
    assert len(alerts) > 5
    difference = first_difference(run.evaluations(), ordered(evaluations))
    assert difference is None, difference
    difference = first_difference(run.alerts(), ordered(alerts))
    assert difference is None, difference


# ---- by hand ---------------------------------------------------------------------------------


def row(second, number, batch="a", **more):
    told = {"model_id": "m", "id": f"e{number}", "timestamp": START_MS + round(1000 * second)}
    return told | ({} if batch is None else {"batch_id": batch}) | more


def complete(second, batch="a", status="complete"):
    told = {"type": "model", "model_id": "m", "batch_id": batch, "status": status}
    return told | {"timestamp": START_MS + 1000 * second}


def clock(second):
    """Let time pass: a line of another model that moves the watermark to a second."""
    return {"model_id": "other", "id": f"t{second}", "timestamp": START_MS + 1000 * (second + 10)}


def rule(metric="count", bound="upper", threshold=1.0, **more):
    return RuleSettings("m", metric, bound, threshold, "critical", more.pop("name", "r"), **more)


def batch_settings(*rules, **more):
    return Settings(models=(ModelSettings("m", kind="batch", **more),), alert_rules=rules)


def seen(run):
    """Give (batch, first second, second of the boundary, value, state) of each evaluation."""
    start_us = 1000 * START_MS
    return [
        (batch, (low - start_us) // 10**6, (high - start_us) // 10**6, value, state)
        for _, batch, low, high, value, _, state in run.evaluations()
    ]


def test_contract_AR_16_a_declared_batch_is_judged_at_the_next_boundary_and_never_again(decoder):
    run = Run(decoder, batch_settings(rule()))
    run.take(clock(1), row(1.5, 0), row(-7200, 1), row(3, 2, None), complete(5), row(6, 3))
    assert seen(run) == []
    counts = run.take(clock(61), row(7, 4))
    assert counts.alerts == 1
    assert seen(run) == [("a", -7200, 60, 3.0, "firing")]
    run.take(complete(62), row(63, 5), clock(1000))
    run.open(batch_settings(rule()))
    run.take(row(1001, 6), complete(1002), clock(2000))
    assert seen(run) == [("a", -7200, 60, 3.0, "firing")]


def test_contract_ARi_02_the_alert_of_a_batch_names_it_and_its_lines(decoder):
    run = Run(decoder, batch_settings(rule(metric="count", name="many")))
    run.take(clock(1), row(1, 0, None), row(2, 1), row(3, 2), complete(5), clock(61), row(8, 3))
    alert = run.connection.execute(
        "SELECT batch_id, group_value, metric_value, sample_count, threshold, from_position,"
        " to_position, suppressed_since, message FROM alerts_log"
    ).fetchall()
    told = "many: count of model m was 2 in batch a (2 events from 2023-11-14 22:14:02 UTC on),"
    assert alert == [("a", None, 2.0, 2, 1.0, 2, 4, None, f"{told} above its threshold 1")]


def test_golden_a_quiet_batch_is_complete_a_lookback_after_its_latest_event(decoder):
    run = Run(decoder, batch_settings(rule(), lookback_s=100))
    run.take(clock(1), row(20, 0), row(20.5, 1), row(10, 2))  # 120.5 s: not yet at 120
    run.take(clock(130))
    assert seen(run) == []
    run.take(row(80, 3), row(81, 4, "b"))  # late, but before the boundary
    run.take(clock(179))
    assert seen(run) == []
    run.take(clock(200))
    assert seen(run) == [("a", 10, 180, 4.0, "firing")]
    run.take(clock(250))
    assert seen(run)[1:] == [("b", 81, 240, 1.0, "ok")]


def test_golden_events_that_are_sent_again_leave_the_batch_that_they_were_in(decoder):
    run = Run(decoder, batch_settings(rule(), rule("min(features.x)", name="s")))
    x = {"features": {"x": 1}}
    run.take(clock(1), row(2, 0, **x), row(3, 1, "b", **x), row(30, 2, "b", features={"x": 5}))
    run.take(clock(61), row(40, 0, "b", features={"x": 7}), row(41, 1, "b", features={"x": 6}))
    run.take(clock(1000))
    assert seen(run) == [("b", 30, 360, 3.0, "firing"), ("b", 30, 360, 5.0, "firing")]


def test_golden_a_batch_declared_without_rows_has_no_events(decoder):
    rules = rule(bound="lower"), rule("avg(features.x)", name="s", on_no_data="alert")
    run = Run(decoder, batch_settings(*rules, rule("avg(features.x)", name="t")))
    run.take(clock(1), complete(2, 7, "UPLOADED"), complete(3, "c", "failed"), complete(4, None))
    run.open(batch_settings(*rules, rule("avg(features.x)", name="t")))
    run.take(clock(61), row(5, 0, 7))
    run.take(clock(1000))
    expected = [("7", 60, 60, 0.0, "firing"), ("7", 60, 60, None, "firing")]
    assert seen(run) == [*expected, ("7", 60, 60, None, "no_data")]


def test_golden_a_new_rule_sees_whole_batches_that_complete_after_it(decoder):
    run = Run(decoder, batch_settings(rule()))
    run.take(clock(1), row(2, 0), row(3, 1, "b"), complete(4))
    run.take(clock(61), row(62, 2, "b"))
    old, new = rule(), rule(threshold=0.0, name="new")
    run.open(batch_settings(old, new))
    run.take(row(63, 3, "b"), complete(64, "b"), clock(121))
    assert [(name, *each[:1], *each[3:]) for name, *each in run.evaluations()] == [
        ("new", "b", 3.0, 3, "firing"),
        ("r", "a", 1.0, 1, "ok"),
        ("r", "b", 3.0, 3, "firing"),
    ]


def test_golden_a_model_that_turns_batch_has_no_batches_to_catch_up_on(decoder):
    streaming = Settings(models=(ModelSettings("m"),), alert_rules=(rule(),))
    run = Run(decoder, streaming)
    run.take(clock(1), row(2, 0), row(500, 1, "b"), row(3, 2, "c"), complete(4, "c"), clock(510))
    before = seen(run)
    run.open(batch_settings(rule()))
    run.take(clock(900))
    assert seen(run) == [*before, ("b", 500, 840, 1.0, "ok")]


# ---- drift -----------------------------------------------------------------------------------


def features(chance, count, shift):
    sides = ("x", "x", "y", "z") if shift else ("x", "y", "z")
    return [{"n": chance.gauss(shift, 1), "c": chance.choice(sides)} for _ in range(count)]


def psi(reference, target):
    """Write the measure out, with the smoothing that `engine.drift` states."""
    names = {*reference, *target}
    size, total = len(target), 0.0
    for name in names:
        expected = reference.count(name) * size / len(reference)
        p, q = (x + 0.5 for x in (expected, target.count(name)))
        p, q = (x / (size + len(names) / 2) for x in (p, q))
        total += (q - p) * math.log(q / p)
    return total


def test_oracle_drift_is_measured_batch_by_batch(decoder):
    from scipy.stats import ks_2samp  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    chance = random.Random(1)
    base = features(chance, 400, 0)
    fixed = rule("PSI(features.c)", threshold=9.0), rule("HypothesisTest(features.n)", name="s")
    run = Run(decoder, batch_settings(*fixed, drift_lookback_s=3600))
    run.take(
        *(row(at, f"r{at}", None, type="reference", features=f) for at, f in enumerate(base)),
    )
    batches = {"same": features(chance, 150, 0), "other": features(chance, 150, 2)}
    lines = [
        row(at % 50, f"{name}{at}", name, features=told)
        for name, rows in batches.items()
        for at, told in enumerate(rows)
    ]
    chance.shuffle(lines)
    run.take(clock(1), *lines[:130])
    run.open(batch_settings(*fixed, drift_lookback_s=3600))
    run.take(*lines[130:], complete(55, "same"), complete(55, "other"), clock(61))
    values = {
        (name, batch): (*rest, state) for name, batch, _, _, *rest, state in run.evaluations()
    }
    for batch, rows in batches.items():
        expected = psi([f["c"] for f in base], [f["c"] for f in rows])
        value, samples, _ = values["r", batch]
        assert (value, samples) == (pytest.approx(expected, rel=1e-12), 150)
        test = ks_2samp([f["n"] for f in base], [f["n"] for f in rows], method="asymp")
        assert values["s", batch][0] == pytest.approx(-math.log10(test.pvalue), rel=1e-9)
    default = {key: state for (key, batch), (*_, state) in values.items() if batch == "same"}
    assert set(default.values()) - {"firing"} == {"ok"}
    psi_rules = [name for name in default if name.startswith("PSI")]
    assert [values[name, "same"][2] for name in psi_rules] == ["ok", "ok"]
    assert values["PSI features.n upper bound", "other"][2] == "firing"


def test_golden_an_alert_of_drift_in_a_batch_tells_the_threshold_computed_for_it(decoder):
    chance = random.Random(2)
    run = Run(decoder, batch_settings(rule("PSI(features.n)", threshold=DYNAMIC)))
    base = enumerate(features(chance, 400, 0))
    run.take(*(row(at, f"r{at}", None, type="reference", features=f) for at, f in base))
    rows = enumerate(features(chance, 100, 3))
    run.take(clock(1), *(row(at % 50, at, features=told) for at, told in rows), complete(55))
    run.take(clock(61))
    found = run.connection.execute(
        "SELECT a.metric_value > a.threshold, a.threshold = d.threshold, a.message LIKE"
        " '%above its dynamic threshold%' FROM alerts_log a, drift_thresholds d"
        " WHERE a.rule_name = 'r' AND d.metric_id = a.metric_id AND 100 BETWEEN sample_low"
        " AND sample_high"
    ).fetchall()
    assert found == [(True, True, True)]


def test_golden_nothing_is_judged_before_all_partitions_have_begun(decoder):
    run = Run(decoder, batch_settings(rule(), lookback_s=100))
    run.monitor.open_partition("s", "q", 0, live=True)
    run.take(row(1, 0), row(2, 1), complete(3), row(-500, 2, "old"), clock(100))
    assert seen(run) == []
    for second in (20, 200):
        data = b"".join(encoded([clock(second)]))
        run.monitor.take(run.decoder.decode(Block("s", "q", second, data, 0)))
    assert seen(run) == [("a", 1, 60, 2.0, "firing"), ("old", -500, 60, 1.0, "ok")]
