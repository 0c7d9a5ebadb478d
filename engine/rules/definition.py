"""Alert rules as they are followed: the metric they watch, their windows, their ids and versions.

The definition of a rule is what decides its alerts. A changed definition is a new version: it
starts anew, with its past lookback complete. A rule keeps its id as long as its model and its name,
or for as long as it declares one itself: then its name may change, and its version stays.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import gcd
from uuid import UUID, uuid3

from engine.config import MetricSettings, ModelSettings, RuleSettings, Settings
from engine.metrics import METRIC_NAMESPACE, metric_id
from engine.query.check import default_query, metric_type, truths_of
from engine.query.drift_parse import parse_drift
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.plans_binary import BINARY
from engine.query.plans_common import positive_of
from engine.query.tree import Call, Column, DriftQuery, Query
from engine.rule_names import rule_name

__all__ = [
    "OPEN_TYPES",
    "Metric",
    "Rule",
    "drift_step",
    "metric_of",
    "named_rules",
    "names_of",
    "own_metrics",
    "rule_id_of",
    "rules_of",
    "truths_needed",
    "unsupported",
]

OPEN_TYPES = ("model_output_metric", "model_input_data_metric")
"""Of these, a metric may say itself which it is."""

_PUBLIC_PANE_S = 60


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a model: `query` is the JSON that stands for it."""

    metric_id: UUID
    model_id: str
    name: str
    type: str
    query: str
    endpoint: str
    tree: Query | DriftQuery
    is_default: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule with everything found out that it leaves open.

    Attributes
    ----------
    lookback_s, step_s : int
        The window, and from one evaluation to the next.
    time_basis : str
    definition : str
        What decides its alerts, as JSON.
    """

    rule_id: UUID
    model_id: str
    metric: Metric
    name: str
    lookback_s: int
    step_s: int
    time_basis: str
    settings: RuleSettings
    is_default: bool
    definition: str


def names_of(model: ModelSettings) -> ModelNames:
    """Give what a query may name of a model before anything has arrived of it."""
    return ModelNames(
        model.id,
        classes=model.classes,
        positive=model.positive,
        positive_property=model.positive_property,
        threshold=model.threshold,
        complete=False,
    )


def own_metrics(settings: Settings) -> dict[tuple[str, str], MetricSettings]:
    """Give the custom metrics by their model, and their name or their id."""
    found = {}
    for each in settings.metrics:
        found[each.model, str(metric_id(each.model, each.name))] = each
        found[each.model, each.name] = each
    return found


def metric_of(
    own: Mapping[tuple[str, str], MetricSettings], model: ModelSettings, named: str
) -> Metric:
    """Give a metric of a model by its name or its id.

    Parameters
    ----------
    own : mapping
        The custom metrics (`own_metrics`).
    model : ModelSettings
    named : str

    Raises
    ------
    QueryError
        There is no such metric, or its query is off.
    """
    custom = own.get((model.id, named))
    if custom is not None:
        name, query, endpoint = custom.name, custom.query, custom.endpoint
    else:
        name = named
        query, endpoint = _default(named)
    told = (model.classes, model.positive, model.positive_property, model.threshold)
    tree, kind, written = _parsed(query, endpoint, told)
    if custom is not None and custom.type is not None and kind in OPEN_TYPES:
        kind = custom.type
    return Metric(
        metric_id(model.id, name), model.id, name, kind, written, endpoint, tree, custom is None
    )


@lru_cache(maxsize=4096)
def _default(name: str) -> tuple[str, str]:
    query, endpoint = default_query(name)
    return json.dumps(query), endpoint


@lru_cache(maxsize=4096)  # many models have the same metrics
def _parsed(
    query: str, endpoint: str, told: tuple[tuple[str, ...], str | None, str | None, float]
) -> tuple[Query | DriftQuery, str, str]:
    names, read = names_of(ModelSettings("", None, *told)), json.loads(query)
    tree = parse_drift(read, names) if endpoint == "data_drift" else parse(read, names)
    return tree, metric_type(tree), json.dumps(read, sort_keys=True, ensure_ascii=False)


def rules_of(settings: Settings) -> list[Rule]:
    """Give the rules that the settings declare, in their order."""
    models = {model.id: model for model in settings.models}
    found, own = [], own_metrics(settings)
    for each in named_rules(settings.alert_rules):
        model = models.get(each.model, ModelSettings(id=each.model))
        found.append(rule_of(settings, own, model, each, each.name or ""))
    return found


def named_rules(rules: Sequence[RuleSettings]) -> list[RuleSettings]:
    """Give rules with a name each: those without one get one that no other of their model has."""
    taken: dict[str, set[str]] = {}
    for each in rules:
        if each.name is not None:
            taken.setdefault(each.model, set()).add(each.name)
    found = []
    for each in rules:
        name = each.name
        if name is None:
            names = taken.setdefault(each.model, set())
            name = rule_name(each.metric, each.bound, names)
            names.add(name)
        found.append(each if name == each.name else replace(each, name=name))
    return found


def rule_of(
    settings: Settings,
    own: Mapping[tuple[str, str], MetricSettings],
    model: ModelSettings,
    each: RuleSettings,
    name: str,
    *,
    is_default: bool = False,
) -> Rule:
    """Complete one rule.

    Raises
    ------
    QueryError
        Its metric is unknown, or cannot be watched.
    """
    metric = metric_of(own, model, each.metric)
    drift = isinstance(metric.tree, DriftQuery)
    lookback_s = each.lookback_s
    if lookback_s is None and drift:
        lookback_s = model.drift_lookback_s or settings.time.drift_lookback_s
    elif lookback_s is None:
        lookback_s = model.lookback_s or settings.time.lookback_s
    performance = metric.type == "model_performance_metric"
    basis = each.time_basis or ("label" if performance else "event")
    if drift and each.time_basis is None and truths_needed(metric.tree):
        basis = "label"
    rule = Rule(
        rule_id_of(each, name),
        model.id,
        metric,
        name,
        lookback_s,
        drift_step(lookback_s) if drift else gcd(_PUBLIC_PANE_S, lookback_s),
        basis,
        each,
        is_default,
        "",
    )
    return _defined(rule, model)


def rule_id_of(told: RuleSettings, name: str) -> UUID:
    """Give the id of a rule: its own, else that of its model and name."""
    if told.rule_id is not None:
        return UUID(told.rule_id)
    return uuid3(METRIC_NAMESPACE, f"rule\0{told.model}\0{name}")


def truths_needed(tree: Query | DriftQuery) -> tuple[str, ...]:
    """Give the truths that a row must have: those that are read, and the label of ground truth."""
    found = set(truths_of(tree))
    if isinstance(tree, DriftQuery) and tree.target.source == "ground_truth":
        found.add("label")
    return tuple(sorted(found))


_DECIDING = [
    each.name
    for each in fields(RuleSettings)
    if each.name not in {"metric", "name", "model", "rule_id"}
]


def _defined(rule: Rule, model: ModelSettings) -> Rule:
    facts: Mapping[str, object] = {
        **{name: getattr(rule.settings, name) for name in _DECIDING},
        "metric": str(rule.metric.metric_id),
        "query": rule.metric.query,
        "lookback_s": rule.lookback_s,
        "time_basis": rule.time_basis,
        "model": [model.classes, model.positive, model.positive_property, model.threshold],
        **({} if model.kind == "streaming" else {"kind": model.kind}),
    }
    definition = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return Rule(
        rule.rule_id,
        rule.model_id,
        rule.metric,
        rule.name,
        rule.lookback_s,
        rule.step_s,
        rule.time_basis,
        rule.settings,
        rule.is_default,
        definition,
    )


def drift_step(lookback_s: int) -> int:
    """Give the largest divisor of the lookback that is not above a tenth of it."""
    most = max(1, lookback_s // 10)
    return next(step for step in range(most, 0, -1) if lookback_s % step == 0)


def unsupported(metric: Metric, model: ModelSettings) -> str | None:
    """Tell what a model must declare for a metric to be watched; None: nothing more.

    Which class is positive must not follow from what has arrived: a class learned later would
    change the meaning of a rule between two of its lines.
    """
    call = None if isinstance(metric.tree, DriftQuery) else metric.tree.select[0]
    if not isinstance(call, Call) or call.function not in _OF_A_POSITIVE_CLASS:
        return None
    truth = call.parameters.get("ground_truth_property")
    if isinstance(truth, Column) and truth.name != "label":
        return None
    if positive_of(names_of(model)) is not None:
        return None
    return (
        f"one that needs no positive class, while model {model.id} declares neither `positive` nor"
        " two `classes`"
    )


_OF_A_POSITIVE_CLASS = {*BINARY, "auc", "logLoss", "brierScore"}
