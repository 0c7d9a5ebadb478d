"""Custom rules and calendars: against a walk over every series, at bucket edges, and faults.

A rule that holds for one series too many hides an anomaly, and one too few wakes somebody up.
"""

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.skipping import Skips
from engine.anomaly.values import Judgement, Keys
from engine.config import (
    AnomalyJobSettings,
    CalendarEvent,
    CalendarSettings,
    CustomRule,
    DetectorSettings,
    RuleCondition,
    RuleScope,
)
from engine.errors import ConfigurationError

SPAN_S = 300
NAN = float("nan")
BY, OVER, PARTITION = "fields.city", "fields.user", "fields.shop"
NAMES = [None, "", "Rome", "Oslo", "Bonn"]
COMPARED = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def job_of(*rules: CustomRule, split: bool = True) -> AnomalyJobSettings:
    fields: dict[str, Any] = {}
    if split:
        fields = {"by_field_name": BY, "over_field_name": OVER, "partition_field_name": PARTITION}
    detectors = DetectorSettings("count"), DetectorSettings("mean", custom_rules=rules, **fields)
    return AnomalyJobSettings("sales", detectors)


def names_of(*values: str | None) -> Any:
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found


def judged(series: list[int], actual: list[float], typical: list[float]) -> Judgement:
    size = len(series)
    other = np.zeros(size)
    return Judgement(
        np.array(series, np.int64),
        *(other, other, other),
        np.array(actual, np.float64),
        np.array(typical, np.float64),
        *(other, other, other),
        np.zeros(size, np.int64),
        np.zeros(size, np.bool_),
    )


def naive(rule: CustomRule, names: dict[str, str | None], numbers: dict[str, float]) -> bool:
    """Say whether a rule holds for one series."""
    for scope in rule.scope:
        among = any(names[scope.field] == value for value in scope.values)
        if among != scope.include:
            return False
    numbers = {**numbers, "diff_from_typical": abs(numbers["actual"] - numbers["typical"])}
    return all(COMPARED[c.operator](numbers[c.applies_to], c.value) for c in rule.conditions)


SCOPES = st.builds(
    RuleScope,
    st.sampled_from([BY, OVER, PARTITION]),
    st.lists(st.sampled_from(["", "Rome", "Oslo", "Lima"]), max_size=3).map(tuple),
    st.booleans(),
)
CONDITIONS = st.builds(
    RuleCondition,
    st.sampled_from(["actual", "typical", "diff_from_typical", "time"]),
    st.sampled_from(sorted(COMPARED)),
    st.sampled_from([-1.0, 0.0, 1.0, 2.0, 600.0]),
)
ACTIONS = st.sampled_from(
    [("skip_result",), ("skip_model_update",), ("skip_result", "skip_model_update")]
)
RULES = st.builds(
    CustomRule,
    ACTIONS,
    st.lists(SCOPES, max_size=2).map(tuple),
    st.lists(CONDITIONS, max_size=2).map(tuple),
).filter(lambda rule: bool(rule.scope or rule.conditions))
SERIES = st.tuples(*[st.sampled_from(NAMES)] * 3)
NUMBER = st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0, NAN])


@given(
    rules=st.lists(RULES, max_size=3),
    series=st.lists(st.tuples(SERIES, NUMBER, NUMBER, st.booleans()), max_size=8),
    start_s=st.sampled_from([0, 600, 900]),
)
@settings(max_examples=150, deadline=None)
def test_oracle_rules_hold_where_a_walk_over_the_series_says_so(
    rules: list[CustomRule], series: list[tuple[Any, float, float, bool]], start_s: int
) -> None:
    keys = Keys(*(names_of(*(each[0][kind] for each in series)) for kind in range(3)))
    told = [number for number, each in enumerate(series) if each[3]]
    judgement = judged(told, [series[n][1] for n in told], [series[n][2] for n in told])
    result, update = Skips.of(job_of(*rules), ()).apply(1, judgement, keys, start_s)
    for action, found in (("skip_result", result), ("skip_model_update", update)):
        assert found.tolist() == [
            any(
                action in rule.actions
                and naive(
                    rule,
                    dict(zip((BY, OVER, PARTITION), series[n][0], strict=True)),
                    {"actual": series[n][1], "typical": series[n][2], "time": start_s},
                )
                for rule in rules
            )
            for n in told
        ]


def test_contract_ELi_17_scope_and_conditions_must_all_hold() -> None:
    rule = CustomRule(
        scope=(RuleScope(BY, ("Rome", "Oslo")),),
        conditions=(RuleCondition("actual", "lt", 10.0), RuleCondition("typical", "gte", 5.0)),
    )
    keys = Keys(names_of("Rome", "Oslo", "Bonn", "Rome"), names_of(*[None] * 4), names_of(*"abcd"))
    judgement = judged([0, 1, 2, 3], [9.0, 9.0, 9.0, 10.0], [5.0, 4.9, 5.0, 5.0])
    result, update = Skips.of(job_of(rule), ()).apply(1, judgement, keys, 0)
    assert result.tolist() == [True, False, False, False]
    assert update.tolist() == [False] * 4  # skip_result is the default action
    other, _ = Skips.of(job_of(rule), ()).apply(0, judgement, keys, 0)
    assert other.tolist() == [False] * 4  # of another detector


def test_contract_ELi_18_an_event_holds_for_every_bucket_that_it_overlaps() -> None:
    def calendar(*events: CalendarEvent, job_ids: tuple[str, ...] = ()) -> CalendarSettings:
        return CalendarSettings("holidays", events, job_ids)

    second = 1_000_000
    fair = CalendarEvent("fair", 600 * second - 1, 900 * second)
    strike = CalendarEvent("strike", 700 * second, 700 * second + 1)
    skips = Skips.of(
        job_of(),
        (
            calendar(strike, job_ids=("sales", "stock")),
            calendar(fair),
            calendar(fair, job_ids=("sales",)),
            calendar(CalendarEvent("else", 0, 9_000 * second), job_ids=("stock",)),
        ),
    )
    found = [skips.scheduled(start, SPAN_S) for start in range(0, 1_500, SPAN_S)]
    assert found == [(), ("fair",), ("fair", "strike"), (), ()]


def test_error_nothing_judged() -> None:
    rule = CustomRule(scope=(RuleScope(BY, ("Rome",)),))
    none = names_of()
    keys = Keys(none, none, none)
    result, update = Skips.of(job_of(rule), ()).apply(1, judged([], [], []), keys, 0)
    assert (len(result), len(update)) == (0, 0)


AT = r"anomaly_jobs\[sales\]\.detectors\[1\]\.custom_rules\[0\]"


@pytest.mark.parametrize(
    ("rule", "split", "text"),
    [
        (CustomRule(), True, rf"{AT} must have a scope or a condition, got neither"),
        (
            CustomRule(scope=(RuleScope("fields.town", ("Rome",)),)),
            True,
            rf"{AT}\.scope\[0\]\.field must be one of {BY}, {OVER}, {PARTITION}, got fields.town",
        ),
        (
            CustomRule(scope=(RuleScope(BY, ("Rome",)),)),
            False,
            rf"{AT}\.scope\[0\]\.field must be left out, as there is no split, got {BY}",
        ),
        (
            CustomRule(("forget",), conditions=(RuleCondition("actual", "gt", 1.0),)),
            True,
            rf"{AT}\.actions must be one of skip_result, skip_model_update, got forget",
        ),
        (
            CustomRule(conditions=(RuleCondition("score", "gt", 1.0),)),
            True,
            rf"{AT}\.conditions\[0\]\.applies_to must be one of actual, .*, got score",
        ),
        (
            CustomRule(conditions=(RuleCondition("actual", "eq", 1.0),)),
            True,
            rf"{AT}\.conditions\[0\]\.operator must be one of gt, gte, lt, lte, got eq",
        ),
    ],
)
def test_error_a_rule_that_cannot_hold(rule: CustomRule, *, split: bool, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{text}$"):
        Skips.of(job_of(rule, split=split), ())
