"""Alert rules against an interpreter that reads line by line and knows no panes and no blocks.

The same traces and rules go through the engine, cut at random, killed and opened again in between,
and through `naive_rules`: alerts and evaluations must be the same, values to 1e-9.
"""

import itertools
import json
import math
import random

import duckdb
import pytest
from harness import encoded, fresh_store
from naive_rules import interpret
from rule_traces import ADMINISTRATORS, declared, random_rules, trace

from engine.batch import Block
from engine.config import MetricSettings, Settings
from engine.decode import Decoder, canonical
from engine.monitor import Monitor


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


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


def watched(decoder, lines, settings, cuts, *, reopen=0.0, seed=0):
    """Run lines through a monitor; now and then it is thrown away and a new one goes on."""
    connection, chance = fresh_store(), random.Random(seed)
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


@pytest.mark.parametrize(
    ("seed", "lines", "most", "reopen"),
    [(1, 1_000, 40, 0.2), (2, 2_000, 2_000, 0.0), (3, 10_000, 900, 0.0), (4, 3_000, 150, 0.3)],
)
def test_oracle_alerts_are_those_of_the_interpreter(seed, lines, most, reopen, decoder):
    events, rules = trace(seed, lines), random_rules(seed, 30)
    models = declared()
    connection = watched(
        decoder,
        encoded(events),
        settings_of(rules, models),
        cuts_of(seed, most),
        reopen=reopen,
        seed=seed,
    )
    alerts, evaluations = interpret(
        events,
        [(rule.settings, rule.metric) for rule in rules],
        models=models,
        administrators=ADMINISTRATORS,
    )
    have_alerts, have_evaluations = found(connection)
    assert len(have_evaluations) > 100
    assert len(have_alerts) > 20
    difference = first_difference(have_evaluations, ordered(evaluations))
    assert difference is None, difference
    difference = first_difference(have_alerts, ordered(alerts))
    assert difference is None, difference
