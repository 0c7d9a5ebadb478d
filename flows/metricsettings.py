"""The `metrics` section of the configuration: queries of one's own, checked as they are read."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from engine.config import MetricSettings, ModelSettings
from engine.errors import QueryError
from engine.query.check import check_metric, default_query, metric_type
from engine.query.drift_parse import parse_drift
from engine.query.functions import canonical
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.rules.definition import OPEN_TYPES
from flows.queryfaults import say_fault
from flows.yamlnodes import Faults, Node, quoted
from flows.yamlreaders import (
    Reader,
    choice,
    each,
    json_value,
    line_text,
    mapping,
    required,
    text,
    value_at,
)

__all__ = ["default_metric", "metrics"]

_ENDPOINT = re.compile(r"(?:\S*/)?inferences?/(?:(query)|(?:query/)?(data_drift))/?")


def metrics(
    faults: Faults, node: Node, key: str, models: Mapping[str, ModelSettings]
) -> tuple[MetricSettings, ...]:
    """Read the section.

    Parameters
    ----------
    models : mapping of str to ModelSettings
        By id: those declared. A metric may be one of a model that is not.

    Returns
    -------
    tuple of MetricSettings
        Those with a fault in the query are among them, so that rules may name them.
    """

    def read(faults: Faults, node: Node, key: str) -> MetricSettings | None:
        return _metric(faults, node, key, models)

    found: dict[tuple[str, str], MetricSettings] = {}
    for place, entry, metric in each(faults, node, key, read):
        named = (metric.model, metric.name)
        if named in found:
            rule = (
                f"there once for the model {quoted(metric.model)}, got {quoted(metric.name)} again"
            )
            faults.say(value_at(entry, "name"), f"{place}.name must be {rule}")
        found[named] = metric
    return tuple(found.values())


def _metric(
    faults: Faults, node: Node, key: str, models: Mapping[str, ModelSettings]
) -> MetricSettings | None:
    fields: dict[str, Reader] = {
        "model": text,
        "name": _name,
        "query": _query,
        "endpoint": _endpoint,
        "type": choice(*OPEN_TYPES),
    }
    found = mapping(faults, node, key, fields)
    given = [required(faults, node, key, name, found) for name in ("model", "name", "query")]
    if not (given[0] and given[1]):
        return None
    query = found.get("query")
    drift = query is not None and "properties" in query
    endpoint = found.get("endpoint") or ("data_drift" if drift else "query")
    if query is not None:
        model = models.get(found["model"]) or ModelSettings(found["model"])
        kind: Literal["streaming", "batch"] = "batch" if model.kind == "batch" else "streaming"
        for fault in _query_faults(query, endpoint, _names(model), kind):
            say_fault(faults, value_at(node, "query"), f"{key}.query", fault)
        _check_type(faults, node, key, found, _type(query, endpoint, _names(model)))
    written = json.dumps(query, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return MetricSettings(found["model"], found["name"], written, endpoint, found.get("type"))


def _name(faults: Faults, node: Node, key: str) -> str | None:
    name = line_text(faults, node, key)
    if name is not None and default_metric(name) is not None:
        faults.must(node, key, "a name of its own, not that of a default metric")
        return None
    return name


def _query(faults: Faults, node: Node, key: str) -> dict[str, Any] | None:
    if isinstance(node, yaml.MappingNode):
        before = faults.count()
        query: dict[str, Any] = json_value(faults, node, key)
        return query if faults.count() == before else None
    faults.must(node, key, "a mapping such as {select: [{function: count}]}")
    return None


def _endpoint(faults: Faults, node: Node, key: str) -> str | None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if written in {"query", "data_drift"}:
        return written
    found = _ENDPOINT.fullmatch(written)
    if found is None:
        rule = "query, data_drift or a path such as /models/{model_id}/inference/query"
        faults.must(node, key, rule)
        return None
    return found[1] or found[2]


# ---- the query -------------------------------------------------------------------------------


def default_metric(written: str) -> tuple[str, str] | None:
    """Give name and endpoint of a default metric; None: there is none of that name.

    >>> default_metric("falsePostiveRate"), default_metric("PSI(age)"), default_metric("PSI")
    (('falsePositiveRate', 'query'), ('PSI(age)', 'data_drift'), None)
    """
    name = canonical(written) or written
    try:
        return name, default_query(name)[1]
    except QueryError:
        return None


def _names(model: ModelSettings) -> ModelNames:
    """Give what is known of a model before there are events."""
    return ModelNames(
        model.id,
        classes=model.classes,
        positive=model.positive,
        positive_property=model.positive_property,
        threshold=model.threshold,
        complete=False,
    )


def _type(query: dict[str, Any], endpoint: str, names: ModelNames) -> str | None:
    """Give the type that the query says; None: it has faults."""
    try:
        return metric_type((parse_drift if endpoint == "data_drift" else parse)(query, names))
    except QueryError:
        return None


def _check_type(
    faults: Faults, node: Node, key: str, found: Mapping[str, Any], said: str | None
) -> None:
    if "type" in found and said is not None and said not in OPEN_TYPES:
        faults.must(value_at(node, "type"), f"{key}.type", f"left out, as the query is a {said}")


def _query_faults(
    query: dict[str, Any], endpoint: str, names: ModelNames, kind: Literal["streaming", "batch"]
) -> list[str]:
    """List what is wrong, each with its place in front."""
    try:
        tree = (parse_drift if endpoint == "data_drift" else parse)(query, names)
        check_metric(tree, kind)
    except QueryError as error:
        return str(error).split("\n")
    return []
