"""A rule that is new, or changed, begins with its whole past lookback (item 5 of the contract).

The law: from the boundary at which it begins, it sees what it would have seen had it been there
from the start.
"""

import itertools
from bisect import bisect_right
from dataclasses import replace

import duckdb
import pytest
from harness import encoded
from rule_runs import cuts_of, settings_of, watched
from rule_traces import declared, random_rules, trace

from engine.decode import Decoder
from engine.retention import drop_old_evaluations


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def seen(connection):
    """By rule and group: the boundaries with a new value or number of samples, and these."""
    rows = connection.execute(
        "SELECT name, group_value, epoch_us(window_end), value, sample_count, rule_version"
        " FROM evaluations_log JOIN rules_log USING (rule_id, rule_version) ORDER BY ALL"
    ).fetchall()
    found = {}
    for key, part in itertools.groupby(rows, key=lambda row: row[:2]):
        found[key] = [row[2:] for row in part]
    return found


def at(rows, time_us):
    """What held at a boundary."""
    place = bisect_right([row[0] for row in rows], time_us)
    return rows[place - 1][1:3]


def near(one, other):
    return one == other or abs(one - other) <= 1e-12 * abs(other)


@pytest.mark.parametrize("seed", [11, 12])
def test_law_a_new_rule_sees_what_it_would_have_seen_from_the_start(seed, decoder):
    lines = encoded(trace(seed, 1_500))
    rules = random_rules(seed, 25)
    whole = settings_of(rules, declared())
    nothing = replace(whole, alert_rules=())
    calm = seen(watched(decoder, lines, whole, cuts_of(seed, 300)))
    half = len(lines) // 2
    connection = watched(decoder, lines[:half], nothing, cuts_of(seed, 300))
    late = seen(watched(decoder, lines[half:], whole, cuts_of(seed, 300), store=connection))
    compared = 0
    for key, rows in late.items():
        for time_us, value, samples, _ in rows:
            before_value, before_samples = at(calm[key], time_us)
            assert samples == before_samples, (key, time_us)
            assert value is before_value is None or near(value, before_value), (key, time_us)
            compared += 1
    assert compared > 100


def test_law_a_changed_rule_is_a_new_version_with_its_past(decoder):
    lines = encoded(trace(13, 1_000))
    rules = random_rules(13, 12)
    before = settings_of(rules, declared())
    after = replace(
        before, alert_rules=tuple(replace(rule, severity="critical") for rule in before.alert_rules)
    )
    calm = seen(watched(decoder, lines, before, cuts_of(1, 200)))
    connection = watched(decoder, lines[:500], before, cuts_of(1, 200))
    changed = seen(watched(decoder, lines[500:], after, cuts_of(1, 200), store=connection))
    again = [(key, row) for key, rows in changed.items() for row in rows if row[3] == 2]
    assert len(again) > 20
    for key, (time_us, _, samples, _) in again:
        assert samples == at(calm[key], time_us)[1], (key, time_us)


def test_golden_a_rule_that_is_left_out_is_in_force_no_more(decoder):
    lines = encoded(trace(13, 300))
    whole = settings_of(random_rules(13, 3), declared())
    connection = watched(decoder, lines[:200], whole, cuts_of(1, 100))
    fewer = replace(whole, alert_rules=whole.alert_rules[:1])
    watched(decoder, lines[200:], fewer, cuts_of(1, 100), store=connection)
    names = connection.execute("SELECT name FROM alert_rules ORDER BY name").fetchall()
    assert names == [(whole.alert_rules[0].name,)]


def test_law_dropping_old_evaluations_changes_no_later_alert(decoder):
    """Where each rule stands is kept, so a run that goes on gives the same alerts."""
    lines = encoded(trace(14, 1_200))
    settings = settings_of(random_rules(14, 25), declared())
    told = []
    for dropping in (False, True):
        connection = watched(decoder, lines[:800], settings, cuts_of(2, 200))
        before = connection.execute("SELECT count(*) FROM evaluations_log").fetchall()[0][0]
        if dropping:
            drop_old_evaluations(connection, 2_000_000_000_000_000)
            left = connection.execute("SELECT count(*) FROM evaluations_log").fetchall()[0][0]
            assert left < before / 2
        watched(decoder, lines[800:], settings, cuts_of(2, 200), store=connection)
        told.append(connection.execute("SELECT * FROM alerts_log ORDER BY alert_id").fetchall())
    assert len(told[0]) > 20
    assert told[0] == told[1]
