"""The `alert_rules` section of the configuration: its rules on metrics of models."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import yaml

from engine.config import DYNAMIC, MetricSettings, ModelSettings, RuleSettings
from engine.metrics import AGGREGATES, CATALOGUE, metric_id
from engine.query.functions import DRIFT_MEASURES
from engine.rule_names import rule_name
from engine.rules.definition import rule_id_of
from flows.metricsettings import default_metric
from flows.yamlnodes import Faults, Node, quoted, scalar, shown
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
    minutes_us,
    nearest,
    number,
    text,
    value_at,
    whole,
)

__all__ = [
    "Declared",
    "alert_rules",
    "check_resolve",
    "on_metrics",
    "on_scores",
    "on_steps",
    "wait_us",
]

_SECOND_US = 10**6
_LOOKBACK_MAX_MIN = 100 * 24 * 60
_YEARS_MIN = 36_500 * 24 * 60  # a century is as good as for ever
_COUNT_MAX = 10**12
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DYNAMIC_WORD = "dynamic"
_METRIC_KEYS = ("metric", "metric_id")
_OF_PROPERTY = (*AGGREGATES, *DRIFT_MEASURES)
_STREAMING_ONLY = (
    *("lookback_period", "subsequent_alert_wait_time", "for", "resolve_threshold", "group_by"),
)
_RENAMED = (*_METRIC_KEYS, "lookback_period", "subsequent_alert_wait_time", "for", "threshold")


@dataclass(frozen=True, slots=True)
class Declared:
    """What rules may name, and what holds for those that say nothing.

    Attributes
    ----------
    models : mapping of str to ModelSettings
        By id: those declared. A rule may be one of a model that is not.
    metrics : mapping of str to mapping of str to MetricSettings
        By model and name: those declared.
    wait_us : int
        Wait of the rules that give none.
    """

    models: Mapping[str, ModelSettings]
    metrics: Mapping[str, Mapping[str, MetricSettings]]
    wait_us: int = 0


def alert_rules(
    faults: Faults, node: Node, key: str, declared: Declared
) -> tuple[RuleSettings, ...]:
    """Read the rules on metrics; each has a name then, and its metric is told by name."""

    def read(faults: Faults, node: Node, key: str) -> RuleSettings | None:
        return _rule(faults, node, key, declared) if on_metrics(node) else None

    found = each(faults, node, key, read)
    taken = _given_names(faults, found)
    rules = []
    for _, _, rule in found:
        name = rule.name or rule_name(rule.metric, rule.bound, taken[rule.model])
        taken[rule.model].add(name)
        rules.append(replace(rule, name=name))
    _check_ids(faults, found, rules)
    return tuple(rules)


def on_scores(entry: Node) -> bool:
    """Tell whether an entry of the section is a rule on the scores of an anomaly job."""
    return has_key(entry, "anomaly_job")


def on_steps(entry: Node) -> bool:
    """Tell whether an entry of the section is a rule on a step metric."""
    return has_key(entry, "step_metric") and not on_scores(entry)


def on_metrics(entry: Node) -> bool:
    """Tell whether an entry of the section is a rule on a metric of a model."""
    return not on_scores(entry) and not on_steps(entry)


def _given_names(
    faults: Faults, found: Sequence[tuple[str, Node, RuleSettings]]
) -> defaultdict[str, set[str]]:
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for place, entry, rule in found:
        if rule.name is None:
            continue
        if rule.name in taken[rule.model]:
            what = f"there once for the model {quoted(rule.model)}, got {quoted(rule.name)} again"
            faults.say(value_at(entry, "name"), f"{place}.name must be {what}")
        taken[rule.model].add(rule.name)
    return taken


def _check_ids(
    faults: Faults,
    found: Sequence[tuple[str, Node, RuleSettings]],
    rules: Sequence[RuleSettings],
) -> None:
    """Check that no rule declares the id of another one."""
    taken: dict[UUID, str] = {}
    for (place, _, _), rule in zip(found, rules, strict=True):
        if rule.rule_id is None:
            taken.setdefault(rule_id_of(rule, rule.name or ""), place)
    for (place, entry, _), rule in zip(found, rules, strict=True):
        if rule.rule_id is None:
            continue
        own = rule_id_of(rule, "")
        if own in taken:
            what = f"unlike the id of {taken[own]}"
            faults.must(value_at(entry, "rule_id"), f"{place}.rule_id", what)
        taken[own] = place


# ---- one rule --------------------------------------------------------------------------------


def _threshold(faults: Faults, node: Node, key: str) -> float | str | None:
    if isinstance(node, yaml.ScalarNode) and scalar(node) == _DYNAMIC_WORD:
        return _DYNAMIC_WORD
    if isinstance(node, yaml.ScalarNode) and isinstance(scalar(node), Decimal):
        return finite(faults, node, key)
    faults.must(node, key, f"a number, or {_DYNAMIC_WORD} for a drift metric")
    return None


def _rule_id(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if _UUID.fullmatch(written):
        return written.lower()
    faults.must(node, key, "a UUID such as 5a0c1b7e-6d0f-4f0b-9a55-0f6d7c0b9e21")
    return None


def _group_by(faults: Faults, node: Node, key: str) -> str | None:
    name = text(faults, node, key)
    if name is not None and (name == "label" or name.startswith("labels.")):
        faults.must(node, key, "a property that predictions have themselves")
        return None
    return name


wait_us: Reader = minutes_us("minutes, a number from 0, such as 60", _YEARS_MIN)
"""Reads the least event time between two alerts."""

_FIELDS: dict[str, Reader] = {
    "model": text,
    "anomaly_job": text,  # with it, the rule is one on scores
    "step_metric": text,  # with it, one on steps
    "metric": text,
    "metric_id": text,
    "name": line_text,
    "bound": choice("upper", "lower"),
    "threshold": _threshold,
    "severity": choice("warning", "critical"),
    "lookback_period": minutes_us(
        "minutes, a number above 0 and at most 144000 (100 days), such as 5 or 0.5",
        _LOOKBACK_MAX_MIN,
        above=True,
    ),
    "subsequent_alert_wait_time": wait_us,
    "time_basis": choice("event", "label"),
    "enabled": flag,
    "on_no_data": choice("ignore", "alert"),
    "resolve_threshold": finite,
    "for": wait_us,
    "min_sample_count": whole(0, _COUNT_MAX),
    "min_label_coverage": number(0, 1),
    "group_by": _group_by,
    "group_limit": whole(1, 10_000),
    "rule_id": _rule_id,
}


def _rule(faults: Faults, node: Node, key: str, declared: Declared) -> RuleSettings | None:
    found = mapping(faults, node, key, _FIELDS)
    needed = ("model", "bound", "threshold", "severity")
    given = all_required(faults, node, key, needed, found)
    metric = _metric(faults, node, key, found, declared)
    _check_threshold(faults, node, key, found, metric)
    _check_company(faults, node, key, found, declared)
    if metric is not None and metric.is_drift and "group_by" in found:
        rule = "left out for a drift metric: filter the target in a metric of your own"
        faults.must(value_at(node, "group_by"), f"{key}.group_by", rule)
    if not given or metric is None:
        return None
    threshold, lookback_us = found["threshold"], found.get("lookback_period")
    return RuleSettings(
        metric=metric.name,
        threshold=DYNAMIC if threshold == _DYNAMIC_WORD else threshold,
        lookback_s=None if lookback_us is None else max(1, round(lookback_us / _SECOND_US)),
        wait_us=_wait_us(found, declared),
        hold_us=found.get("for", 0),
        **{name: value for name, value in found.items() if name not in _RENAMED},
    )


def _wait_us(found: Mapping[str, Any], declared: Declared) -> int:
    if _is_batch(found, declared):
        return 0
    waited: int = found.get("subsequent_alert_wait_time", declared.wait_us)
    return waited


def _is_batch(found: Mapping[str, Any], declared: Declared) -> bool:
    model = declared.models.get(found.get("model", ""))
    return model is not None and model.kind == "batch"


def _check_threshold(
    faults: Faults, node: Node, key: str, found: dict[str, Any], metric: "_Metric | None"
) -> None:
    threshold, bound = found.get("threshold"), found.get("bound")
    if threshold == _DYNAMIC_WORD:
        if metric is not None and not metric.is_drift:
            rule = f"a number, as {quoted(metric.name)} is no drift metric"
            faults.must(value_at(node, "threshold"), f"{key}.threshold", rule)
        if bound == "lower":
            faults.must(value_at(node, "bound"), f"{key}.bound", "upper with `threshold: dynamic`")
        if "resolve_threshold" in found:
            rule = "left out with `threshold: dynamic`"
            where = value_at(node, "resolve_threshold")
            faults.must(where, f"{key}.resolve_threshold", rule)
    else:
        check_resolve(faults, node, key, found)


def check_resolve(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    """Check that firing ends on the inner side of the threshold."""
    threshold, bound = found.get("threshold"), found.get("bound")
    resolve = found.get("resolve_threshold")
    if threshold is None or bound is None or resolve is None:
        return
    if not (resolve <= threshold if bound == "upper" else resolve >= threshold):
        least = "at most" if bound == "upper" else "at least"
        rule = f"{least} the threshold {shown(value_at(node, 'threshold'))} of the {bound} bound"
        faults.must(value_at(node, "resolve_threshold"), f"{key}.resolve_threshold", rule)


def _check_company(
    faults: Faults, node: Node, key: str, found: Mapping[str, Any], declared: Declared
) -> None:
    """Check the keys that need others, or that some models do not have."""
    if "group_limit" in found and "group_by" not in found:
        rule = "given together with `group_by`"
        faults.must(value_at(node, "group_limit"), f"{key}.group_limit", rule)
    if _is_batch(found, declared):
        for name in _STREAMING_ONLY:
            if name in found:
                batch = f"{quoted(found['model'])} is batch"
                rule = f"left out, as it is for streaming models only and {batch}"
                faults.must(value_at(node, name), f"{key}.{name}", rule)


# ---- its metric ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    is_drift: bool


def _metric(
    faults: Faults, node: Node, key: str, found: dict[str, Any], declared: Declared
) -> _Metric | None:
    words = [name for name in _METRIC_KEYS if has_key(node, name)]
    if len(words) != 1:
        if isinstance(node, yaml.MappingNode):
            got = "both" if words else "nothing"
            faults.say(node, f"{key} must have either `metric` or `metric_id`, got {got}")
        return None
    written, model = found.get(words[0]), found.get("model")
    if written is None or model is None:
        return None
    metric = _metric_named(written, model, declared.metrics.get(model, {}))
    if metric is None:
        _say_unknown(faults, value_at(node, words[0]), f"{key}.{words[0]}", model, declared)
    return metric


def _metric_named(written: str, model: str, custom: Mapping[str, MetricSettings]) -> _Metric | None:
    name = written
    if _UUID.fullmatch(written):
        known = (*custom, *(metric.name for metric in CATALOGUE))
        by_id = {str(metric_id(model, each)): each for each in known}
        name = by_id.get(written.lower(), written)
    if name in custom:
        return _Metric(name, custom[name].endpoint == "data_drift")
    found = default_metric(name)
    return None if found is None else _Metric(found[0], found[1] == "data_drift")


def _say_unknown(faults: Faults, node: Node, key: str, model: str, declared: Declared) -> None:
    written, custom = str(node.value), declared.metrics.get(model, {})
    if _UUID.fullmatch(written):
        rule = (
            f"the id of a metric that the file or the catalogue has for the model {quoted(model)}"
            ' (one of a property goes by its name, such as "avg(features.age)")'
        )
        faults.must(node, key, rule)
        return
    near = _meant(written, custom)
    others = sorted(model for model, metrics in declared.metrics.items() if written in metrics)
    hint = near or (f"; it is one of the model {quoted(others[0])}" if others else "")
    rule = f"a default metric, or one that `metrics` has for the model {quoted(model)}"
    faults.say(node, f"{key} must be {rule}, got {shown(node)}{hint}")


def _meant(written: str, custom: Mapping[str, MetricSettings]) -> str:
    if written in _OF_PROPERTY:
        return f"; it goes by a property, as in {quoted(f'{written}(features.age)')}"
    _, paren, rest = written.partition("(")
    bracketed = (*_OF_PROPERTY, *(metric.name for metric in CATALOGUE if metric.per_class))
    known = [f"{name}({rest}" for name in bracketed] if paren else []
    return nearest(written, [*custom, *(metric.name for metric in CATALOGUE), *known])
