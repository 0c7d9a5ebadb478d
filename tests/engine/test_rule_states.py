"""States of watchers against a twin that goes from boundary to boundary, and what alerts say.

The engine works through quiet watchers as columns and passes stretches where nothing changes in one
step. The twin evaluates each boundary by itself, with the rules as they are written.
"""

import math
from uuid import UUID, uuid3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import RuleSettings, Settings
from engine.metrics import METRIC_NAMESPACE
from engine.rules.alerting import alert_ids
from engine.rules.changes import Observed, Seen, observed
from engine.rules.definition import rules_of
from engine.rules.panel import Versioned, Watcher
from engine.rules.states import NONE, STATES, Following, Traits, advance
from engine.rules.words import messages

LOOKBACK_S, STEP_S = 4, 2
NAN = math.nan


def with_resolve(rule):
    """Let some rules end on the near side of the threshold 1: the settings refuse the far side."""
    near = 0.0 if rule["upper"] else 2.0
    return rule | {"resolve": near if rule.pop("resolves") else NAN}


rules = st.fixed_dictionaries(
    {
        "upper": st.booleans(),
        "resolves": st.booleans(),
        "wait_us": st.sampled_from((0, 3_000_000, 7_500_000)),
        "hold_us": st.sampled_from((0, 1, 4_000_000)),
        "alert_no_data": st.booleans(),
        "min_samples": st.sampled_from((0, 2)),
        "min_coverage": st.sampled_from((0.0, 0.5)),
        "first_event_us": st.sampled_from((-10_000_000, 5_000_000)),
        "start_s": st.sampled_from((2, 6)),
    }
).map(with_resolve)
contents = st.tuples(
    st.sampled_from((NAN, 0.0, 1.0, 2.0, 3.0)), st.integers(0, 3), st.sampled_from((NAN, 0.2, 0.9))
)
changes = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 15), contents), max_size=20)
jumps = st.lists(st.integers(0, 11), min_size=1, max_size=5)


class Twin:
    """One watcher, boundary by boundary."""

    def __init__(self, rule):
        self.rule = rule
        self.since = self.last = self.suppressed = None
        self.raised = False
        self.told = None
        self.evaluations, self.alerts = [], []

    def at(self, time_s, value, samples, coverage):
        rule = self.rule
        if (time_s - LOOKBACK_S) * 1_000_000 < rule["first_event_us"]:
            return self.end(time_s, value, samples, "warm_up")
        few = samples < rule["min_samples"] or coverage < rule["min_coverage"]
        if few or math.isnan(value):
            if not rule["alert_no_data"]:
                return self.end(time_s, value, samples, "no_data")
            return self.violate(time_s, NAN, samples)
        limit = 1.0
        if self.raised and not math.isnan(rule["resolve"]):
            limit = rule["resolve"]
        if not (value > limit if rule["upper"] else value < limit):
            return self.end(time_s, value, samples, "ok")
        return self.violate(time_s, value, samples)

    def end(self, time_s, value, samples, state):
        self.since, self.raised = None, False
        self.tell(time_s, value, samples, state)

    def violate(self, time_s, value, samples):
        if self.since is None:
            self.since = time_s
        held = (time_s - self.since) * 1_000_000 >= self.rule["hold_us"]
        self.raised = self.raised or held
        free = self.last is None or (time_s - self.last) * 1_000_000 >= self.rule["wait_us"]
        if held and free:
            self.tell(time_s, value, samples, "firing")
            self.alerts.append((time_s, repr(value), samples, self.suppressed))
            self.last, self.suppressed = time_s, None
            return
        if self.suppressed is None:
            self.suppressed = time_s
        self.tell(time_s, value, samples, "suppressed")

    def tell(self, time_s, value, samples, state):
        if (repr(value), samples, state) != self.told:
            self.told = (repr(value), samples, state)
            self.evaluations.append((time_s, *self.told, self.since))


def columns_of(made):
    flags, wholes = {"upper", "alert_no_data"}, {"resolve", "min_coverage"}
    kinds = {
        name: np.bool_ if name in flags else np.float64 if name in wholes else np.int64
        for name in made[0]
    }
    return Traits(
        STEP_S,
        LOOKBACK_S,
        **{name: np.array([rule[name] for rule in made], kind) for name, kind in kinds.items()},
    )


def beginning(size):
    def none():
        return np.full(size, NONE)

    return Following(
        *(np.full(size, NAN), np.zeros(size, np.int64), np.full(size, NAN), np.full(size, 1.0)),
        *(none(), none(), np.zeros(size, np.bool_), none(), none()),
        *(np.full(size, NAN), np.full(size, -1)),
    )


def rows_of(seen, following, made, done_s, until_s):
    """Give the rows of a span of boundaries, and where each watcher starts."""
    parts = [
        (who, time_s, content)
        for (who, time_s), content in sorted(seen.items())
        if done_s < time_s <= until_s and time_s >= made[who]["start_s"]
    ]
    watcher, times = (np.array([part[i] for part in parts], np.int64) for i in (0, 1))
    columns = [np.array([part[2][i] for part in parts]) for i in (0, 1, 2)]
    samples = columns[1].astype(np.int64)
    told = [Seen(watcher, times, columns[0].astype(float), samples, columns[2].astype(float))]
    warm = [
        -(-(rule["first_event_us"] // 1_000_000 + LOOKBACK_S) // STEP_S) * STEP_S for rule in made
    ]
    for marks in ([rule["start_s"] for rule in made], warm):
        now = [
            who
            for who, rule in enumerate(made)
            if done_s < marks[who] <= until_s and marks[who] >= rule["start_s"]
        ]
        told.append(Seen(np.array(now, np.int64), np.array([marks[who] for who in now], np.int64)))
    before = Observed(
        np.arange(len(made)),
        np.zeros(0, np.int64),
        *(following.value, following.samples, following.coverage, following.threshold),
    )
    return observed(told, before)


@given(st.lists(rules, min_size=3, max_size=3), changes, jumps)
def test_oracle_states_are_those_of_every_single_boundary(made, changed, spans):
    traits, following = columns_of(made), beginning(3)
    seen = {(who, place * STEP_S): content for who, place, content in changed}
    twins = [Twin(rule) for rule in made]
    standing = [(NAN, 0, NAN)] * 3
    have = [[] for _ in made], [[] for _ in made]
    done_s = 0
    for span in spans:
        until_s = done_s + span * STEP_S
        rows = rows_of(seen, following, made, done_s, until_s)
        evaluations, alerts = advance(traits, following, rows, done_s, until_s)
        collect(have, evaluations, alerts)
        for time_s in range(done_s + STEP_S, until_s + 1, STEP_S):
            for who, twin in enumerate(twins):
                if time_s >= made[who]["start_s"]:
                    standing[who] = seen.get((who, time_s), standing[who])
                    twin.at(time_s, *standing[who])
        done_s = until_s
    for who, twin in enumerate(twins):
        assert sorted(have[0][who], key=lambda row: row[0]) == twin.evaluations
        assert have[1][who] == twin.alerts


def collect(have, evaluations, alerts):
    def rows(found, names):
        parts = zip(*(getattr(found, name) for name in names), strict=True)
        return [row for part in parts for row in zip(*(c.tolist() for c in part), strict=True)]

    names = ("watcher", "time_s", "value", "samples", "state", "since_s")
    for who, time_s, value, samples, state, since in rows(evaluations, names):
        row = (time_s, repr(value), samples, STATES[state], None if since == NONE else since)
        have[0][who].append(row)
    for who, time_s, value, samples, silent in rows(
        alerts, ("watcher", "time_s", "value", "samples", "suppressed_s")
    ):
        have[1][who].append((time_s, repr(value), samples, None if silent == NONE else silent))


# ---- what alerts say -------------------------------------------------------------------------


def watcher_of(group, **more):
    told = RuleSettings("m", "avg(score)", "upper", 0.5, "warning", group_by=more.get("by"))
    rule = rules_of(Settings(alert_rules=(told,)))[0]
    return Watcher(Versioned(rule, more.get("version", 1)), 0, group, 0)


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=4),
    st.lists(st.integers(-(10**11), 10**11), min_size=1, max_size=8),
)
def test_oracle_alert_ids_are_version_3_uuids(groups, times):
    watchers = [watcher_of(group, version=place + 1) for place, group in enumerate(groups)]
    place = np.arange(len(times)) % len(groups)
    have = alert_ids(watchers, place, np.array(times))
    for number, time_s, found in zip(place.tolist(), times, have, strict=True):
        each, group = watchers[number], groups[number]
        told = f"alert\0{each.rule.rule.rule_id}\0{each.rule.version}\0{time_s}"
        want = uuid3(METRIC_NAMESPACE, told + ("" if group is None else f"\0{group}"))
        assert UUID(found) == want
        assert found == str(want)


@pytest.mark.parametrize(
    ("group", "told", "want"),
    [
        (None, (0.75, 1_234, 0.5), " was 0.75 {span} (1,234 events), above its threshold 0.5"),
        (None, (0.75, 1, 0.5), " was 0.75 {span} (1 event), above its threshold 0.5"),
        (None, (NAN, 0, 0.5), " has no value {span} (0 events)"),
        ("B", (2.0, 2, 0.5), " for city B was 2 {span} (2 events), above its threshold 0.5"),
    ],
)
def test_golden_messages(group, told, want):
    rule = watcher_of(group, by=None if group is None else "city").rule.rule
    window = np.array([0]), np.array([90_061])
    columns = tuple(np.array([each]) for each in told)
    found = messages([(rule, group)], np.array([0]), window, columns)
    span = "from 1970-01-01 00:00:00 to 1970-01-02 01:01:01 UTC"
    head = f"{rule.name}: avg(score) of model m"
    assert found == [head + want.format(span=span)]
