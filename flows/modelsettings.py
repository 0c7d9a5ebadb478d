"""The `models` section of the configuration."""

import math
from decimal import Decimal
from typing import Any

import yaml

from engine.config import ModelSettings
from flows.sourcesettings import file_patterns
from flows.yamlnodes import Faults, Node, quoted, scalar
from flows.yamlreaders import (
    Reader,
    choice,
    class_text,
    flag,
    listed,
    mapping,
    number,
    required,
    seconds,
    text,
    value_at,
)

__all__ = ["drift_window_s", "models", "window_s"]

_WINDOW_MAX_S = 7 * 86_400  # what one question may have to sum up, in panes of seconds
_DRIFT_MIN_S = 10  # drift is looked at ten times a lookback, in whole seconds
_DRIFT_MAX_S = 100 * 86_400


window_s: Reader = seconds(1, _WINDOW_MAX_S, 'whole seconds from 1 to 7 d, such as 300 or "5m"')
"""Reads the length of a window of `metric_values`, or its step."""

drift_window_s: Reader = seconds(
    _DRIFT_MIN_S, _DRIFT_MAX_S, 'whole seconds from 10 to 100 d, such as 3600 or "1d"'
)
"""Reads the lookback of drift."""


def _model(faults: Faults, node: Node, key: str) -> ModelSettings | None:
    fields: dict[str, Reader] = {
        "id": text,
        "job": text,
        "classes": _classes,
        "positive": class_text,
        "positive_property": text,
        "threshold": number(0, 1),
        "lookback": window_s,
        "step": window_s,
        "drift_lookback": drift_window_s,
        "drift_alerts": flag,
        "reference": _reference,
        "kind": choice("streaming", "batch"),
        "minutes_per_event": _minutes,
    }
    found = mapping(faults, node, key, fields)
    if not required(faults, node, key, "id", found):
        return None
    _check_positive(faults, node, key, found)
    for name in ("lookback", "step", "drift_lookback"):
        if name in found:
            found[f"{name}_s"] = found.pop(name)
    if isinstance(found.get("minutes_per_event"), tuple):
        found["minutes_by_label"] = found.pop("minutes_per_event")
    return ModelSettings(**found)


def _check_positive(faults: Faults, node: Node, key: str, found: dict[str, Any]) -> None:
    classes, positive = found.get("classes"), found.get("positive")
    if classes and positive is not None and positive not in classes:
        faults.must(
            value_at(node, "positive"),
            f"{key}.positive",
            f"one of the classes {', '.join(classes)}",
        )
    if found.get("positive_property") is not None and positive is None:
        faults.must(
            value_at(node, "positive_property"),
            f"{key}.positive_property",
            "given together with `positive`, the class whose probability it is",
        )


def _minutes(faults: Faults, node: Node, key: str) -> float | tuple[tuple[str, float], ...] | None:
    """Read the minutes that an event costs an analyst, or those of each label."""
    if not isinstance(node, yaml.MappingNode):
        return _amount(faults, node, key, "a number of minutes from 0, or one for each label")
    found: dict[str, float] = {}
    for name_node, value in node.value:
        label = class_text(faults, name_node, f"a key of {key}")
        if label is None:
            continue
        where = f"{key}.{label}"
        minutes = _amount(faults, value, where, "a number of minutes from 0")
        if label in found:
            faults.say(name_node, f"`{where}` must be there once, got it again")
        elif minutes is not None:
            found[label] = minutes
    if not node.value:
        faults.must(node, key, "a number of minutes from 0, or one for each label")
    return tuple(found.items()) or None


def _amount(faults: Faults, node: Node, key: str, rule: str) -> float | None:
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, Decimal) and value >= 0 and math.isfinite(float(value)):
        return float(abs(value))  # -0 is 0
    faults.must(node, key, rule)
    return None


def _classes(faults: Faults, node: Node, key: str) -> tuple[str, ...] | None:
    if not isinstance(node, yaml.SequenceNode) or len(node.value) < 2:
        faults.must(node, key, "a list of two classes or more")
        return None
    found: list[str] = []
    for place, entry in enumerate(node.value):
        value = class_text(faults, entry, f"{key}[{place}]")
        if value in found:
            faults.say(entry, f"{key}[{place}] must be there once, got {quoted(value)} again")
        elif value is not None:
            found.append(value)
    return tuple(found)


def _reference(faults: Faults, node: Node, key: str) -> tuple[str, ...] | None:
    found = mapping(faults, node, key, {"files": file_patterns})
    if isinstance(node, yaml.MappingNode):
        required(faults, node, key, "files", found)
    return found.get("files")


models: Reader = listed(_model, lambda model: str(model.id), "id")
"""Reads the section; each model is there once."""
