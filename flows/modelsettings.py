"""The `models` section of the configuration."""

from typing import Any

import yaml

from engine.config import ModelSettings
from flows.sourcesettings import file_patterns
from flows.yamlnodes import Faults, Node, quoted
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
    }
    found = mapping(faults, node, key, fields, ("minutes_per_event",))
    if not required(faults, node, key, "id", found):
        return None
    _check_positive(faults, node, key, found)
    for name in ("lookback", "step", "drift_lookback"):
        if name in found:
            found[f"{name}_s"] = found.pop(name)
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
