"""Alert rules on step metrics: against an interpreter that goes line by line.

An alert that is missed, or comes again after a restart, is what somebody is woken up by. So every
evaluation and alert is computed a second time, from all lines so far, with lines out of order,
steps written anew, values that are no numbers, and blocks and restarts at any place.
"""

import math
from functools import partial

import numpy as np
import pytest
from harness import fresh_store
from naive_step_rules import interpreted
from step_rule_runs import (
    ALERTS,
    EVALUATIONS,
    NOON_US,
    SECOND_US,
    Line,
    fed,
    opened,
    rows_of,
    rule_of,
    settings_of,
    trace,
    watched,
)

from engine.retention import drop_old_evaluations

RULES = (
    rule_of(name="one"),
    rule_of(name="five", steps=5, threshold=2.4),
    rule_of(name="few", steps=5, min_steps=2, bound="lower", severity="critical"),
    rule_of(name="waits", wait_steps=3, threshold=1.5),
    rule_of(name="waits long", steps=2, min_steps=1, wait_steps=7, threshold=0.5),
    rule_of(name="resolves", steps=3, threshold=2.6, resolve_threshold=1.9, wait_steps=2),
    rule_of(name="all", experiment="e1", steps=3, function="sum", threshold=7.0),
    rule_of(name="all wait", experiment="e1", steps=2, wait_steps=4, bound="lower", threshold=2.5),
    rule_of(name="other", experiment="e2", step_metric="acc", function="last", steps=2),
    rule_of(name="low", function="min", steps=4, threshold=1.2, min_steps=3),
    rule_of(name="high", function="max", steps=9, bound="lower", threshold=3.0, min_steps=1),
    rule_of(name="middle", function="median", steps=6, job="t2", threshold=1.9),
    rule_of(name="spread", step_metric="acc", function="stddev", steps=7, min_steps=1, threshold=1),
    rule_of(name="off", enabled=False),
)


def assert_equal(found, wanted):
    """Rows are equal, but for the roundings of a standard deviation."""
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        near = {"spread": partial(pytest.approx, rel=1e-12)}.get(one[0], lambda cell: cell)
        assert one == tuple(
            near(c) if isinstance(c, float) and math.isfinite(c) else c for c in other
        )


def left(store):
    return store.execute(EVALUATIONS).fetchall(), store.execute(ALERTS).fetchall()


@pytest.mark.parametrize("seed", range(4))
def test_oracle_alerts_and_evaluations_equal_an_interpreter(seed):
    rng = np.random.default_rng(seed)
    rows, store = trace(rng, 500), fresh_store()
    sizes = iter(lambda: int(rng.choice([1, 2, 7, 40, 200])), 0)
    given = watched(
        store,
        settings_of(*RULES),
        rows,
        sizes,
        reopened=lambda: rng.random() < 0.2,
        torn=lambda: rng.random() < 0.2,
    )
    evaluations, alerts = interpreted(RULES, rows)
    assert_equal(left(store)[0], evaluations)
    assert_equal(left(store)[1], alerts)
    assert len(alerts) > 100
    assert {row[7] for row in evaluations} == {"ok", "firing", "suppressed", "no_data", "warm_up"}
    told = store.execute(
        "SELECT alert_id, model_id FROM alerts_log ORDER BY to_position"
    ).fetchall()
    assert sorted((each["alert_id"], each["model_id"]) for each in given) == sorted(told)
    assert len({alert for alert, _ in told}) == len(told)


def test_contract_DIi_11_a_window_over_the_last_steps():
    """The mean of the last three steps, whatever their times, as they stand at each line."""
    rule, store = rule_of(name="r", steps=3, threshold=4.0), fresh_store()
    told = [(0, 9.0), (10, 1.0), (20, 2.0), (10, 4.0), (30, 5.0), (15, 99.0), (31, 8.0), (31, 0.0)]
    rows = rows_of(Line("t1", "loss", step, value, NOON_US) for step, value in told)
    watched(store, settings_of(rule), rows, iter([2] * 9))
    found = [(row[2], row[5], row[6], row[7]) for row in left(store)[0]]
    assert found == [
        (0, 9.0, 1, "warm_up"),
        (10, 5.0, 2, "warm_up"),
        (20, 4.0, 3, "ok"),  # at the threshold, not above it
        (30, 11 / 3, 3, "ok"),  # of 4, 2 and 5: step 10 was written anew; alone that says nothing
        (31, 5.0, 3, "firing"),  # of 2, 5 and 8: step 15 came too late to be among the last three
    ]
    assert [(row[2], row[9], row[10]) for row in left(store)[1]] == [(31, 2, 6)]


def test_golden_times_are_those_of_the_first_and_the_last_step():
    rule, store = rule_of(name="r", steps=2, min_steps=1), fresh_store()
    lines = [Line("t1", "loss", 0, 1.0, NOON_US), Line("t1", "loss", 1, 9.0, NOON_US - SECOND_US)]
    watched(store, settings_of(rule), rows_of(lines), iter([2]))
    ((*_, start, end, triggered, _, first, last),) = [row[:11] for row in left(store)[1]]
    assert (start, end, triggered) == (NOON_US, NOON_US - SECOND_US, NOON_US - SECOND_US)
    assert (first, last) == (0, 1)


def test_golden_steps_of_one_time_are_told_apart():
    rule, store = rule_of(name="r", wait_steps=2), fresh_store()
    lines = [Line("t1", "loss", step, 3.0 + step, NOON_US) for step in range(5)]
    watched(store, settings_of(rule), rows_of(lines), iter([1] * 9), reopened=lambda: True)
    assert [row[2::5] for row in left(store)[0]] == [
        (step, "suppressed" if step % 2 else "firing") for step in range(5)
    ]
    alerts = store.execute("SELECT DISTINCT alert_id FROM alerts").fetchall()
    assert len(alerts) == 3


def test_golden_a_job_is_watched_from_the_line_on_that_names_the_experiment():
    rule = rule_of(name="r", experiment="e1", steps=2, function="sum", threshold=0.0)
    lines = [
        Line("t1", "loss", 0, 1.0),
        Line("t1", "loss", 1, 2.0),
        Line("t1", "acc", 0, 9.0, experiment_id="e1"),  # by any metric
        Line("t1", "loss", 2, 3.0),  # which need not name it again
        Line("t2", "loss", 0, 1.0),
        Line("t2", "loss", 1, 1.0, experiment_id="e2"),
    ]
    for sizes in ([6], [1] * 6, [3, 3]):
        store = fresh_store()
        watched(store, settings_of(rule), rows_of(lines), iter(sizes))
        assert [row[1:8] for row in left(store)[0]] == [
            ("t1", 2, NOON_US + SECOND_US, NOON_US + 3 * SECOND_US, 5.0, 2, "firing")
        ]


def test_golden_a_rule_begins_behind_its_declaration_with_the_steps_before_in_its_window():
    store = fresh_store()
    rows = rows_of(Line("t1", "loss", step, 3.0 + step) for step in range(6))
    store.execute("BEGIN")
    fed(store, opened(store, settings_of()), rows[:4])
    assert left(store) == ([], [])
    rules = opened(store, settings_of(rule_of(name="r", steps=3)))
    assert len(fed(store, rules, rows[4:])) == 2
    assert [(row[2], row[5], row[6]) for row in left(store)[0]] == [(4, 6.0, 3), (5, 7.0, 3)]


def test_fault_where_rules_stand_survives_retention():
    """Evaluations are dropped; what follows is the same, up to the lines of the alerts."""
    rng = np.random.default_rng(9)
    rows, (whole, thinned) = trace(rng, 300), (fresh_store(), fresh_store())
    watched(whole, settings_of(*RULES), rows, iter([50] * 9))

    def dropped():
        drop_old_evaluations(thinned, NOON_US * 2)
        return True

    watched(thinned, settings_of(*RULES), rows, iter([50] * 9), reopened=dropped)
    assert left(thinned)[1] == left(whole)[1]
    assert len(left(thinned)[0]) < len(left(whole)[0]) / 2


def test_golden_nothing_is_evaluated_without_rules_or_lines_of_theirs():
    store, lines = fresh_store(), [Line("t9", "loss", 0, 9.0), Line("t1", "acc", 0, 9.0)]
    for settings in (settings_of(), settings_of(rule_of(name="r"), rule_of(experiment="e1"))):
        watched(store, settings, rows_of(lines), iter([2]))
        assert left(store) == ([], [])
