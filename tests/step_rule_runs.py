"""Metric events line by line, run through the rules on step metrics, and what came of it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.config import Settings, StepRuleSettings
from engine.steps.step_rules import StepRules

NOON_US = 1_700_000_000_000_000
SECOND_US = 1_000_000

EVALUATIONS = """
SELECT r.name, group_value, step, epoch_us(window_start), epoch_us(window_end), value,
    sample_count, state, epoch_us(since)
FROM evaluations JOIN rules_log r USING (rule_id, rule_version)
ORDER BY r.name, group_value, step
"""
ALERTS = """
SELECT rule_name, group_value, step, metric_value, sample_count, epoch_us(window_start),
    epoch_us(window_end), epoch_us(triggered_time), epoch_us(suppressed_since), from_position,
    to_position, model_id, severity, bound, threshold, status
FROM alerts_log ORDER BY rule_name, group_value, step
"""
_TYPES = {
    "seq": pa.int64(),
    "job_id": pa.string(),
    "name": pa.string(),
    "step": pa.int64(),
    "value": pa.float64(),
    "experiment_id": pa.string(),
    "time": pa.timestamp("us"),
    "received": pa.bool_(),
    "line": pa.int64(),
}


@dataclass(frozen=True)
class Line:
    """A metric event; `time_us` None: that of its receipt, one second after the line before."""

    job_id: str
    name: str
    step: int
    value: float
    time_us: int | None = None
    experiment_id: str | None = None


def row_of(seq, line):
    received = line.time_us is None
    return {
        "seq": seq,
        "job_id": line.job_id,
        "name": line.name,
        "step": line.step,
        "value": line.value,
        "experiment_id": line.experiment_id,
        "time": NOON_US + seq * SECOND_US if received else line.time_us,
        "received": received,
        "line": seq if received else 0,
    }


def rows_of(lines):
    return [row_of(seq, line) for seq, line in enumerate(lines)]


def rule_of(**told):
    scope = {} if "experiment" in told else {"job": "t1"}
    fixed = {"step_metric": "loss", "bound": "upper", "threshold": 2.0, "severity": "warning"}
    return StepRuleSettings(**(fixed | scope | told))


def settings_of(*rules, **more):
    return Settings(step_rules=tuple(rules), **more)


def opened(store, settings, watermark_us=None):
    rules = StepRules(store, settings)
    rules.declare(watermark_us)
    return rules


def fed(store, rules, rows):
    """Take rows of lines as one block; gives the alerts told of."""
    block = pa.Table.from_pylist(rows, pa.schema(_TYPES))
    store.register("lines", block)
    store.execute("CREATE OR REPLACE TEMP TABLE t_steps AS FROM lines")
    store.unregister("lines")
    store.execute("INSERT INTO step_log SELECT * EXCLUDE (line) FROM t_steps")
    return rules.take(rows[0]["seq"]).to_pylist()


def watched(store, settings, rows, sizes, *, reopened=lambda: False, torn=lambda: False):
    """Run lines block by block; now and then the rules are made anew, or a block is torn."""
    rules, given, at = None, [], 0
    for size in sizes:
        block = rows[at : at + size]
        at += size
        if not block:
            break
        if torn() and rules is not None:
            store.execute("BEGIN")
            fed(store, rules, block)
            store.execute("ROLLBACK")
            rules = None
        store.execute("BEGIN")
        if rules is None or reopened():
            rules = opened(store, settings)
        given += fed(store, rules, block)
        store.execute("COMMIT")
    return given


def trace(rng, count):
    """Lines of some jobs: steps out of order and again, values that are no numbers, equal times."""
    at, lines = {}, []
    for _ in range(count):
        job, name = f"t{rng.integers(1, 5)}", str(rng.choice(["loss", "loss", "acc"]))
        top = at.get((job, name), -1)
        kind = rng.random()
        step = top + int(rng.integers(1, 4))
        if kind < 0.25 and top >= 0:
            step = max(0, top - int(rng.integers(0, 6)))
        at[job, name] = max(top, step)
        value = float(rng.normal(2.0, 1.0))  # of acc no two windows are alike
        if name == "loss":
            value = float(rng.choice([1.0, 2.0, 3.0, value]))
        if rng.random() < 0.04:
            value = float(rng.choice([np.nan, np.inf, -np.inf]))
        time_us = NOON_US + int(rng.integers(0, 20)) * SECOND_US if rng.random() < 0.5 else None
        experiment = str(rng.choice(["e1", "e2"])) if rng.random() < 0.15 else None
        lines.append(Line(job, name, step, value, time_us, experiment))
    repeats = rng.integers(0, count, count // 10)
    for place in repeats.tolist():
        lines.insert(int(rng.integers(place, len(lines) + 1)), lines[place])
    return rows_of(lines)
