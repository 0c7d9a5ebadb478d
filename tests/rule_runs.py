"""Runs lines and alert rules through the engine, and compares what came out."""

import itertools
import json
import math
import random
from dataclasses import replace

from harness import fresh_store
from rule_traces import ADMINISTRATORS

from engine.batch import Block
from engine.config import MetricSettings, Settings
from engine.decode import canonical
from engine.monitor import Monitor


def settings_of(rules, models):
    return Settings(
        # The interpreter knows no default rules of drift.
        models=tuple(replace(model, drift_alerts=False) for model in models),
        metrics=tuple(
            MetricSettings(rule.settings.model, rule.settings.metric, json.dumps(rule.query))
            for rule in rules
        ),
        alert_rules=tuple(rule.settings for rule in rules),
        administrators=ADMINISTRATORS,
    )


def watched(decoder, lines, settings, cuts, *, reopen=0.0, seed=0, store=None):
    """Run lines through a monitor; now and then it is thrown away and a new one goes on."""
    connection, chance = store or fresh_store(), random.Random(seed)
    monitor, at, position = None, 0, 0
    while at < len(lines):
        connection.execute("BEGIN")
        if monitor is None or chance.random() < reopen:
            monitor = Monitor(connection, settings, 1, canonical)
            monitor.watch()
            monitor.open_partition("s", "p", 0, live=True)
        count = next(cuts)
        data = b"".join(lines[at : at + count])
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        connection.execute("COMMIT")
        at, position = at + count, position + len(data)
    return connection


def found(connection):
    alerts = connection.execute(
        "SELECT rule_name, group_value, epoch_us(window_start), epoch_us(window_end), metric_value,"
        " sample_count, epoch_us(suppressed_since) FROM alerts_log"
    ).fetchall()
    evaluations = connection.execute(
        "SELECT name, group_value, epoch_us(window_end), value, sample_count, state"
        " FROM evaluations_log JOIN rules_log USING (rule_id, rule_version)"
    ).fetchall()
    return ordered(alerts), ordered(evaluations)


def ordered(rows):
    return sorted(
        (tuple(row) for row in rows), key=lambda row: (row[0], row[1] or "", row[2], row[3] or 0)
    )


def agree(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def first_difference(have, want):
    """Say where two lists of rows differ, in one short line; None if nowhere."""
    for place, (one, other) in enumerate(itertools.zip_longest(have, want)):
        if one is None or other is None or not all(map(agree, one, other)):
            return f"row {place} of {len(have)} and {len(want)}: engine {one}, interpreter {other}"
    return None


def cuts_of(seed, most):
    chance = random.Random(seed)
    return (chance.randint(1, most) for _ in itertools.count())
