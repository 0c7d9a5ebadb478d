"""The configuration: one YAML file and the words of a command, checked whole, as `Settings`.

Every fault says file, line, key, rule and what was found, and all of them are told at once. Keys
that belong to later versions are refused, never passed over. Paths are relative to the working
folder.
"""

from dataclasses import dataclass, replace
from typing import Any

import yaml

from connectors.lines import KEPT_BYTES
from engine.config import Limits, ModelSettings, Settings, SourceSettings, TimeSettings
from engine.errors import ConfigurationError
from flows.sourcesettings import followed, source_told, sources
from flows.yamlnodes import Faults, Node, compose, scalar
from flows.yamlreaders import (
    Reader,
    choice,
    class_text,
    duration_us,
    listed,
    mapping,
    number,
    path,
    required,
    text,
    value_at,
    whole,
)

__all__ = ["Overrides", "load", "summary"]

_SECOND_US = 10**6
_DAY_US = 86_400 * _SECOND_US
_YEARS_US = 36_500 * _DAY_US  # a century is as good as for ever
_WINDOW_MAX_S = 7 * 86_400  # what one question may have to sum up, in panes of seconds
_DURATION_RULE = 'a duration such as "10s", "5m", "1h" or "30d"'


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a command was told, over what the file says.

    Attributes
    ----------
    source : str or None
        ``-`` for standard input, else a path or pattern of files, in place of the declared sources.
    data : str or None
        The data folder.
    follow : bool
        Wait for more at the end of files.
    """

    source: str | None = None
    data: str | None = None
    follow: bool = False


def load(path: str | None = None, overrides: Overrides | None = None) -> Settings:
    """Read a configuration file, or take the defaults when there is none.

    Raises
    ------
    ConfigurationError
        Its text has one line for each fault.
    """
    told = overrides or Overrides()
    settings = Settings() if path is None else _read(path)
    if told.data is not None:
        if not told.data:
            msg = '`--data` must be a folder, got ""'
            raise ConfigurationError(msg)
        settings = replace(settings, data=told.data)
    if told.source is not None:
        settings = replace(settings, sources=(source_told(told.source, settings.sources),))
    if told.follow:
        settings = replace(settings, sources=followed(settings.sources))
    return settings


def summary(settings: Settings) -> str:
    """Say in one line what a run would do."""
    inputs = "; ".join(f"{source.name}: {_input(source)}" for source in settings.sources)
    models = ", ".join(model.id for model in settings.models[:5]) + (
        ", …" if len(settings.models) > 5 else ""
    )
    declared = f"models {models}, further ones are" if models else "models are"
    time = settings.time
    return (
        f"{inputs} -> {settings.data}; {declared} learned from the events;"
        f" windows of {time.lookback_s} s every {time.step_s} s"
    )


def _input(source: SourceSettings) -> str:
    if source.stdin:
        return "standard input"
    return ("follows " if source.follow else "files ") + ", ".join(source.files)


# ---- the file --------------------------------------------------------------------------------


def _read(path: str) -> Settings:
    faults, root = compose(path)
    found = mapping(faults, root, "", _ROOT, _ROOT_LATER)
    faults.raise_any()
    users = found.pop("users", ())
    found["retention_us"] = found.pop("retention", ())
    settings = Settings(
        **found,
        administrators=tuple(name for name, role in users if role == "administrator"),
    )
    _check_limits(settings, faults, root)
    _check_retention(settings, faults, root)
    faults.raise_any()
    return settings


def _check_limits(settings: Settings, faults: Faults, root: Node) -> None:
    models = len(settings.models)
    if models > settings.limits.models:
        faults.say(
            value_at(root, "models"),
            f"models must be at most limits.models={settings.limits.models}, got {models}",
        )
    for place, model in enumerate(settings.models):
        if len(model.classes) > settings.limits.classes:
            rule = f"at most limits.classes={settings.limits.classes}, got {len(model.classes)}"
            faults.say(
                value_at(root, "models", place, "classes"),
                f"models[{place}].classes must be {rule}",
            )


def _check_retention(settings: Settings, faults: Faults, root: Node) -> None:
    # A label that is still admissible must find its prediction, and its pane all of its events.
    least = settings.time.label_horizon_us
    for name, span_us in settings.retention_us:
        if name == "events" and span_us < least:
            faults.say(
                value_at(root, "retention", "events"),
                f"retention.events must be at least time.label_horizon={least // _SECOND_US} s,"
                f" got {span_us // _SECOND_US} s",
            )


_OFF = object()


def _or_off(reader: Reader) -> Reader:
    def read(faults: Faults, node: Node, key: str) -> Any:
        if isinstance(node, yaml.ScalarNode) and scalar(node) is None:
            return _OFF
        return reader(faults, node, key)

    return read


def _duration(low_us: int, rule: str) -> Reader:
    return duration_us(low_us, _YEARS_US, rule)


def _window_s(faults: Faults, node: Node, key: str) -> int | None:
    rule = 'whole seconds from 1 to 7 d, such as 300 or "5m"'
    us: int | None = duration_us(_SECOND_US, _WINDOW_MAX_S * _SECOND_US, rule, _SECOND_US)(
        faults, node, key
    )
    return None if us is None else us // _SECOND_US


_TIME: dict[str, tuple[str, Reader]] = {
    "allowed_lateness": ("allowed_lateness_us", _duration(0, _DURATION_RULE)),
    "idle_timeout": ("idle_timeout_us", _duration(1, f"{_DURATION_RULE}, above 0")),
    "max_future": (
        "max_future_us",
        _or_off(_duration(0, f"{_DURATION_RULE}, or null for no bound")),
    ),
    "label_horizon": ("label_horizon_us", _duration(0, _DURATION_RULE)),
    "lookback": ("lookback_s", _window_s),
    "step": ("step_s", _window_s),
}


def _time(faults: Faults, node: Node, key: str) -> TimeSettings:
    found = mapping(faults, node, key, {name: reader for name, (_, reader) in _TIME.items()})
    times: dict[str, Any] = {
        _TIME[name][0]: None if value is _OFF else value for name, value in found.items()
    }
    return TimeSettings(**times)


# ---- models, users and the rest --------------------------------------------------------------


def _model(faults: Faults, node: Node, key: str) -> ModelSettings | None:
    fields: dict[str, Reader] = {
        "id": text,
        "job": text,
        "classes": _classes,
        "positive": class_text,
        "positive_property": text,
        "threshold": number(0, 1),
        "lookback": _window_s,
        "step": _window_s,
    }
    found = mapping(faults, node, key, fields, ("reference", "minutes_per_event", "kind"))
    if not required(faults, node, key, "id", found):
        return None
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
    for name in ("lookback", "step"):
        if name in found:
            found[f"{name}_s"] = found.pop(name)
    return ModelSettings(**found)


def _classes(faults: Faults, node: Node, key: str) -> tuple[str, ...] | None:
    if not isinstance(node, yaml.SequenceNode) or len(node.value) < 2:
        faults.must(node, key, "a list of two classes or more")
        return None
    found: list[str] = []
    for place, entry in enumerate(node.value):
        value = class_text(faults, entry, f"{key}[{place}]")
        if value in found:
            faults.say(entry, f'{key}[{place}] must be there once, got "{value}" again')
        elif value is not None:
            found.append(value)
    return tuple(found)


def _user(faults: Faults, node: Node, key: str) -> tuple[str, str] | None:
    fields: dict[str, Reader] = {
        "username": text,
        "role": choice("viewer", "editor", "administrator"),
    }
    found = mapping(faults, node, key, fields, ("email", "api_key_env"))
    named = required(faults, node, key, "username", found)
    return (found["username"], found.get("role", "viewer")) if named else None


def _retention(faults: Faults, node: Node, key: str) -> tuple[tuple[str, int], ...]:
    span = _duration(1, f"{_DURATION_RULE}, above 0")
    return tuple(mapping(faults, node, key, {"events": span, "rejects": span}).items())


def _limits(faults: Faults, node: Node, key: str) -> Limits:
    fields: dict[str, Reader] = {
        "models": whole(1, 10**7),
        "series": whole(1, 10**9),
        "classes": whole(2, 10**6),
        "line_bytes": whole(64, KEPT_BYTES - 1),  # a longer line is not kept whole by the sources
    }
    return Limits(**mapping(faults, node, key, fields, ("anomaly_series",)))


_ROOT: dict[str, Reader] = {
    "data": path,
    "sources": sources,
    "time": _time,
    "models": listed(_model, lambda model: str(model.id), "id"),
    "users": listed(_user, lambda user: str(user[0]), "username"),
    "retention": _retention,
    "limits": _limits,
}
_ROOT_LATER = ("metrics", "alert_rules", "anomaly_jobs", "notifications")
