"""Alert rules against an interpreter that reads line by line and knows no panes and no blocks.

The same traces and rules go through the engine, cut at random, killed and opened again in between,
and through `naive_rules`: alerts and evaluations must be the same, values to 1e-9.
"""

import duckdb
import pytest
from harness import encoded
from naive_rules import interpret
from rule_runs import cuts_of, first_difference, found, ordered, settings_of, watched
from rule_traces import ADMINISTRATORS, declared, random_rules, trace

from engine.decode import Decoder


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


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


def test_law_alerts_are_the_same_to_the_last_column_however_the_lines_are_cut(decoder):
    events, rules = trace(6, 900), random_rules(6, 25)
    told = []
    for most, reopen in ((900, 0.0), (70, 0.3)):
        connection = watched(
            decoder,
            encoded(events),
            settings_of(rules, declared()),
            cuts_of(3, most),
            reopen=reopen,
            seed=3,
        )
        told.append(connection.execute("SELECT * FROM alerts_log ORDER BY alert_id").fetchall())
    assert len(told[0]) > 20
    difference = first_difference(told[1], told[0])
    assert difference is None, difference
