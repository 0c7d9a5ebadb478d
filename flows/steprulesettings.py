"""The entries of `alert_rules` that watch a step metric over its last steps.

Source: contracts.md DIi-11.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from engine.config import StepRuleSettings
from engine.rule_names import rule_name
from engine.steps.step_rule_definition import scope_of
from engine.steps.step_rule_windows import FUNCTIONS
from flows.rulesettings import check_resolve, on_steps
from flows.yamlnodes import Faults, Node, quoted
from flows.yamlreaders import (
    Reader,
    all_required,
    choice,
    each,
    finite,
    flag,
    has_key,
    line_text,
    mapping,
    value_at,
    whole,
)

__all__ = ["step_rules"]

_METRIC, _SCOPES = "step_metric", ("job", "experiment")
_STEPS_MAX = 100_000
_WAIT = "subsequent_alert_wait_steps"
_OF_METRICS = "it is of rules on metrics of models, and this one is on a step metric"
_REFUSED = dict.fromkeys(
    (
        *("model", "metric", "metric_id", "lookback_period", "for", "subsequent_alert_wait_time"),
        *("on_no_data", "time_basis", "min_sample_count", "min_label_coverage"),
        *("group_by", "group_limit"),
    ),
    _OF_METRICS,
)

_FIELDS: dict[str, Reader] = {
    _METRIC: line_text,
    "job": line_text,
    "experiment": line_text,
    "steps": whole(1, _STEPS_MAX),
    "function": choice(*FUNCTIONS),
    "bound": choice("upper", "lower"),
    "threshold": finite,
    "severity": choice("warning", "critical"),
    "name": line_text,
    "min_steps": whole(1, _STEPS_MAX),
    _WAIT: whole(0, 10**12),
    "resolve_threshold": finite,
    "enabled": flag,
}


def step_rules(faults: Faults, node: Node, key: str) -> tuple[StepRuleSettings, ...]:
    """Read the entries with a step metric; every rule given back has a name."""

    def read(faults: Faults, node: Node, key: str) -> StepRuleSettings | None:
        return _rule(faults, node, key) if on_steps(node) else None

    if not isinstance(node, yaml.SequenceNode):
        return ()  # which the reader of the other rules tells
    taken: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    found = each(faults, node, key, read)
    for place, entry, rule in found:
        scope = scope_of(rule)
        if rule.name in taken[scope]:
            what = f"there once for the {scope[0]} {quoted(scope[1])}, got {quoted(rule.name)}"
            faults.say(value_at(entry, "name"), f"{place}.name must be {what} again")
        if rule.name is not None:
            taken[scope].add(rule.name)
    return tuple(_named(rule, taken[scope_of(rule)]) for _, _, rule in found)


def _named(rule: StepRuleSettings, taken: set[str]) -> StepRuleSettings:
    if rule.name is not None:
        return rule
    name = rule_name(f"{rule.function}({rule.step_metric})", rule.bound, taken)
    taken.add(name)
    return replace(rule, name=name)


def _rule(faults: Faults, node: Node, key: str) -> StepRuleSettings | None:
    before = faults.count()
    found = mapping(faults, node, key, _FIELDS, refused=_REFUSED)
    all_required(faults, node, key, (_METRIC, "bound", "threshold", "severity"), found)
    given = [name for name in _SCOPES if has_key(node, name)]
    if len(given) != 1:
        got = "both" if given else "nothing"
        faults.say(node, f"{key} must have either `job` or `experiment`, got {got}")
    _check_steps(faults, node, key, found)
    check_resolve(faults, node, key, found)
    if faults.count() > before:
        return None
    found["wait_steps"] = found.pop(_WAIT, 0)
    return StepRuleSettings(**found)


def _check_steps(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    """Check that windows can have a value, and as many steps as they must."""
    if has_key(node, "steps") and "steps" not in found:
        return
    steps, least = found.get("steps", 1), found.get("min_steps")
    if steps < 2 and found.get("function") == "stddev":
        where = value_at(node, "steps" if "steps" in found else "function")
        told = f"{key}.steps must be at least 2 with the function stddev, got {steps}"
        faults.say(where, told)
    if least is not None and least > steps:
        faults.must(value_at(node, "min_steps"), f"{key}.min_steps", f"at most `steps`, {steps}")
