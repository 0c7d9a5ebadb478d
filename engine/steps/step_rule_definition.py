"""Alert rules on step metrics as they are followed: their metric, id, name and definition.

They are rules as those of `engine.rules`, with a version for every definition that they had. In
place of a model stands the job or the experiment that they are on, so that somebody may be told of
their alerts. Source: contracts.md DIi-11.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final
from uuid import uuid3

from engine.config import RuleSettings, Settings, StepRuleSettings
from engine.errors import ConfigurationError
from engine.metrics import METRIC_NAMESPACE, metric_id
from engine.query.tree import Query
from engine.rule_names import rule_name
from engine.rules.definition import Metric, Rule
from engine.steps.step_rule_windows import FUNCTIONS

__all__ = ["ENDPOINT", "StepRule", "least_steps", "scope_of", "step_rules_of"]

ENDPOINT: Final = "steps"
"""Endpoint of the metrics."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """One rule: as it was declared, and as a rule of the store."""

    settings: StepRuleSettings
    rule: Rule


def scope_of(told: StepRuleSettings) -> tuple[str, str]:
    """Give what a rule is on: ``job`` or ``experiment``, and its id."""
    return ("job", told.job) if told.job is not None else ("experiment", str(told.experiment))


def least_steps(told: StepRuleSettings) -> int:
    """Give how many steps a window must have."""
    return told.steps if told.min_steps is None else told.min_steps


def step_rules_of(settings: Settings) -> list[StepRule]:
    """Give the rules on step metrics that the settings declare, in their order.

    Raises
    ------
    ConfigurationError
        A rule is on a job and an experiment, or on neither, or has a function that there is not.
    """
    for place, each in enumerate(settings.step_rules):
        at = f"step_rules[{place}]"
        if (each.job is None) == (each.experiment is None):
            got = f"job={each.job} and experiment={each.experiment}"
            msg = f"{at} must be on either a job or an experiment, got {got}"
            raise ConfigurationError(msg)
        if each.function not in FUNCTIONS:
            msg = f"{at}.function must be one of {', '.join(FUNCTIONS)}, got {each.function}"
            raise ConfigurationError(msg)
    return [_rule(each) for each in _named(settings.step_rules)]


def _named(rules: tuple[StepRuleSettings, ...]) -> list[StepRuleSettings]:
    """Name the rules that were given no name, unlike all others of their job or experiment."""
    taken: dict[tuple[str, str], set[str]] = {}
    for each in rules:
        names = taken.setdefault(scope_of(each), set())
        names |= set() if each.name is None else {each.name}
    found = []
    for each in rules:
        name, names = each.name, taken[scope_of(each)]
        if name is None:
            name = rule_name(f"{each.function}({each.step_metric})", each.bound, names)
            names.add(name)
        found.append(replace(each, name=name))
    return found


def _rule(told: StepRuleSettings) -> StepRule:
    (kind, scope), metric = scope_of(told), _metric(told)
    facts: Mapping[str, object] = {
        **{key: value for key, value in asdict(told).items() if key != "name"},
        "min_steps": least_steps(told),
        "metric": str(metric.metric_id),
    }
    rule = Rule(
        # Of the job or the experiment, so that no rule of a model has the same.
        uuid3(METRIC_NAMESPACE, f"step rule\0{kind}\0{scope}\0{told.name}"),
        scope,
        metric,
        str(told.name),
        0,  # its window has no fixed span of time
        0,
        "step",
        RuleSettings(
            model=scope,
            metric=metric.name,
            bound=told.bound,
            threshold=told.threshold,
            severity=told.severity,
            name=told.name,
            enabled=told.enabled,
            resolve_threshold=told.resolve_threshold,
            min_sample_count=least_steps(told),
            group_by="job_id" if kind == "experiment" else None,
        ),
        is_default=False,
        definition=json.dumps(facts, sort_keys=True, ensure_ascii=False),
    )
    return StepRule(told, rule)


def _metric(told: StepRuleSettings) -> Metric:
    kind, scope = scope_of(told)
    name = f"step_metric({told.step_metric}, {told.function} of {told.steps}, {kind})"
    parameters = {"property": told.step_metric, "steps": told.steps, kind: scope}
    return Metric(
        metric_id(scope, name),
        scope,
        name,
        "model_step_metric",
        json.dumps({"select": [{"function": told.function, "parameters": parameters}]}),
        ENDPOINT,
        Query(()),  # it is read from the log of steps, not asked of events
        is_default=False,
    )
