"""The detectors of anomaly jobs, and their custom rules.

Source: contracts.md ELi-15 to ELi-17.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from engine.anomaly.functions import FUNCTIONS, REFUSED
from engine.config import DetectorSettings, MetricSettings, ModelSettings
from engine.errors import QueryError
from engine.query.tree import DriftQuery
from engine.rules.definition import metric_of, names_of, unsupported
from flows.customrules import custom_rules
from flows.filtersettings import row_filter
from flows.yamlnodes import Faults, Node, quoted, shown
from flows.yamlreaders import (
    Reader,
    choice,
    each,
    flag,
    has_key,
    mapping,
    nearest,
    path,
    required,
    text,
    value_at,
)

__all__ = ["OfJob", "detectors"]

_SPLITS = ("by_field_name", "over_field_name", "partition_field_name")
_RESERVED = ("by", "count", "over")
_OF_METRICS = ("mean", "low_mean", "high_mean", "metric")
_REFUSED_KEYS = {"detector_index": "detectors are numbered by their places in the list, from 0"}


@dataclass(frozen=True, slots=True)
class OfJob:
    """What the detectors of one job may name.

    Attributes
    ----------
    model : ModelSettings
        Of the job, with no id when it has none.
    predictions : bool
        Whether rows are predictions, so that there are metrics.
    metrics : mapping of str to MetricSettings
        Those declared of the model, by name.
    filters : mapping of str to tuple of str, or None
        Items by filter id; None: declared, with faults.
    """

    model: ModelSettings
    predictions: bool
    metrics: Mapping[str, MetricSettings]
    filters: Mapping[str, tuple[str, ...] | None]


def detectors(
    faults: Faults, node: Node, key: str, known: OfJob
) -> tuple[DetectorSettings, ...] | None:
    """Read a list of one detector or more, each unlike the others."""
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        faults.must(node, key, "a list of one detector or more")
        return None

    def read(faults: Faults, node: Node, key: str) -> DetectorSettings | None:
        return _detector(faults, node, key, known)

    found: dict[DetectorSettings, DetectorSettings] = {}
    places: dict[DetectorSettings, str] = {}
    for place, entry, detector in each(faults, node, key, read):
        same = replace(detector, description=None)  # words make no difference
        if same in found:
            rule = "unlike the other detectors of the job"
            faults.say(entry, f"{place} must be {rule}, got the same as {places[same]}")
        found.setdefault(same, detector)
        places.setdefault(same, place)
    return tuple(found.values())


# ---- one detector ----------------------------------------------------------------------------


def _function(faults: Faults, node: Node, key: str) -> str | None:
    """Read a function by one of its names; it goes by the first of them."""
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if written in FUNCTIONS:
        return FUNCTIONS[written].name
    if written in REFUSED:
        faults.say(node, f"{key}: `{written}` is not supported: {REFUSED[written]}")
        return None
    hint = nearest(written, FUNCTIONS) or f"; the functions are {', '.join(FUNCTIONS)}"
    faults.say(node, f"{key} must be a detector function, got {shown(node)}{hint}")
    return None


def _split(faults: Faults, node: Node, key: str) -> str | None:
    name = text(faults, node, key)
    if name in _RESERVED:
        faults.must(node, key, f"the name of a property, and none of {', '.join(_RESERVED)}")
        return None
    return name


_FIELDS: dict[str, Reader] = {
    "function": _function,
    "field_name": text,
    **dict.fromkeys(_SPLITS, _split),
    "use_null": flag,
    "exclude_frequent": choice("all", "none", "by", "over"),
    "detector_description": path,  # as long as a path may be
}


def _detector(faults: Faults, node: Node, key: str, known: OfJob) -> DetectorSettings | None:
    splits = _names_in(node)

    def rules(faults: Faults, node: Node, key: str) -> Any:
        return custom_rules(faults, node, key, splits, known.filters)

    before = faults.count()
    fields = _FIELDS | {"filter": row_filter(names_of(known.model)), "custom_rules": rules}
    found = mapping(faults, node, key, fields, refused=_REFUSED_KEYS)
    required(faults, node, key, "function", found)
    _check_splits(faults, node, key, found)
    _check_function(faults, node, key, found)
    if faults.count() == before:
        _check_metric(faults, node, key, found, known)
    if faults.count() > before:
        return None
    if found.get("exclude_frequent") == "none":
        del found["exclude_frequent"]
    return DetectorSettings(description=found.pop("detector_description", None), **found)


def _names_in(node: Node) -> tuple[str, ...]:
    """Give the fields that split a detector, as they are written."""
    values = [value_at(node, name) for name in _SPLITS if has_key(node, name)]
    return tuple(str(value.value) for value in values if isinstance(value, yaml.ScalarNode))


def _check_splits(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    taken: dict[str, str] = {}
    for name in _SPLITS:
        field = found.get(name)
        if field in taken:
            faults.must(value_at(node, name), f"{key}.{name}", f"unlike `{taken[field]}`")
        elif field is not None:
            taken[field] = name
    frequent = found.get("exclude_frequent", "none")
    needed = [f"{each}_field_name" for each in ("by", "over") if frequent in {"all", each}]
    if needed and not any(has_key(node, name) for name in needed):
        rule = "given together with " + " or ".join(f"`{name}`" for name in needed)
        faults.must(value_at(node, "exclude_frequent"), f"{key}.exclude_frequent", rule)


def _check_function(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    if "function" not in found:
        return
    function = FUNCTIONS[found["function"]]
    needed = [f"{name}_field_name" for name in function.needs]
    needed += ["field_name"] if function.needs_field else []
    for name in needed:
        if not has_key(node, name):
            rule = f"given, as {function.name} needs it, got nothing"
            faults.say(node, f"{key}.{name} must be {rule}")
    if has_key(node, "field_name") and not function.needs_field:
        rule = f"left out, as {function.name} has no field"
        faults.must(value_at(node, "field_name"), f"{key}.field_name", rule)


def _check_metric(
    faults: Faults, node: Node, key: str, found: Mapping[str, Any], known: OfJob
) -> None:
    """Check a field that is a metric of the model: it has one value a bucket and series."""
    field = found.get("field_name")
    if field is None or not known.predictions:
        return
    own = {(known.model.id, name): metric for name, metric in known.metrics.items()}
    try:
        metric = metric_of(own, known.model, field)
    except QueryError:  # no metric, so a property; or its own query is at fault and told already
        return
    rule = unsupported(metric, known.model)
    if isinstance(metric.tree, DriftQuery):
        rule = "a property or a metric that is not one of drift, which has rules of its own"
    elif found["function"] not in _OF_METRICS:
        rule = (
            f"a property, as {found['function']} cannot be taken of the metric {quoted(field)}"
            f" (mean and metric can); a feature of that name is {quoted(f'features.{field}')}"
        )
    if rule is not None:
        faults.must(value_at(node, "field_name"), f"{key}.field_name", rule)
