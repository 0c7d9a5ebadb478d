"""The configuration: one YAML file and the words of a command, checked whole, as `Settings`.

Every fault says file, line, key, rule and what was found, and all of them are told at once. Keys
that belong to later versions are refused, never passed over. Paths are relative to the working
folder.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from connectors.lines import KEPT_BYTES
from engine.config import (
    AnomalyJobSettings,
    Limits,
    MetricSettings,
    ModelSettings,
    RuleSettings,
    Settings,
    SourceSettings,
    TimeSettings,
)
from engine.errors import ConfigurationError
from engine.rules.definition import metric_of, own_metrics, unsupported
from flows.anomalysettings import Around, anomaly_jobs, ids_in
from flows.calendarsettings import calendars, filters
from flows.cataloguesettings import catalogues
from flows.kafkasettings import produce
from flows.metricsettings import metrics
from flows.modelsettings import drift_window_s, models, window_s
from flows.publishsettings import publish
from flows.rulesettings import Declared, alert_rules, on_metrics, wait_us
from flows.scorerulesettings import Jobs, score_rules
from flows.sourcesettings import followed, source_told, sources
from flows.steprulesettings import step_rules
from flows.usersettings import notifications, users
from flows.yamlnodes import Faults, Node, compose, scalar
from flows.yamlreaders import Reader, choice, duration_us, has_key, mapping, path, value_at, whole

__all__ = ["Overrides", "load", "summary"]

_SECOND_US = 10**6
_DAY_US = 86_400 * _SECOND_US
_YEARS_US = 36_500 * _DAY_US  # a century is as good as for ever
_DURATION_RULE = 'a duration such as "10s", "5m", "1h" or "30d"'


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a command was told, over what the file says.

    Attributes
    ----------
    source : str or None
        ``-`` for standard input, ``kafka://brokers/topic``, else a path or pattern of files, in
        place of the declared sources.
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
    rules = (*settings.alert_rules, *settings.anomaly_rules, *settings.step_rules)
    counts = [_counted("metric", settings.metrics), _counted("alert rule", rules)]
    counts.append(_counted("anomaly job", settings.anomaly_jobs))
    counts.append(_counted("catalogue", settings.catalogues.declared))
    kept = "" if settings.keep_events == "all" else "; events are stored without their properties"
    own = " and ".join(", ".join(count for count in counts if count).rsplit(", ", 1))
    return (
        f"{inputs} -> {settings.data}; {declared} learned from the events;"
        f" windows of {time.lookback_s} s every {time.step_s} s{own and f'; {own}'}{kept}"
    )


def _counted(what: str, found: tuple[Any, ...]) -> str:
    plural = "" if len(found) == 1 else "s"
    return f"{len(found):,} {what}{plural}" if found else ""


def _input(source: SourceSettings) -> str:
    if source.stdin:
        return "standard input"
    if source.kafka is not None:
        return f"topic {source.kafka.topic} of {source.kafka.connection.brokers}"
    return ("follows " if source.follow else "files ") + ", ".join(source.files)


# ---- the file --------------------------------------------------------------------------------


def _read(path: str) -> Settings:
    faults, root = compose(path)
    found = mapping(faults, root, "", _ROOT)
    found |= _dependent(faults, root, found)
    faults.raise_any()
    found["administrators"] = tuple(
        user.username for user in found.get("users", ()) if user.role == "administrator"
    )
    found["retention_us"] = found.pop("retention", ())
    settings = Settings(**found)
    _check_limits(settings, faults, root)
    _check_retention(settings, faults, root)
    _check_positives(settings, faults, root)
    faults.raise_any()
    return settings


def _check_positives(settings: Settings, faults: Faults, root: Node) -> None:
    models = {model.id: model for model in settings.models}
    own = own_metrics(settings)
    for place, rule in _placed(settings, root):
        model = models.get(rule.model, ModelSettings(id=rule.model))
        rest = unsupported(metric_of(own, model, rule.metric), model)
        if rest is not None:
            node = value_at(root, "alert_rules", place)
            faults.say(node, f'alert_rules[{place}].metric must be {rest}, got "{rule.metric}"')


def _placed(settings: Settings, root: Node) -> list[tuple[int, RuleSettings]]:
    """Give the rules on metrics with their places in the section, which has others, too."""
    entries = value_at(root, "alert_rules").value if settings.alert_rules else []
    places = [place for place, entry in enumerate(entries) if on_metrics(entry)]
    return list(zip(places, settings.alert_rules, strict=True))


_DEPENDENT = ("metrics", "filters", "anomaly_jobs", "calendars", "alert_rules", "notifications")


def _dependent(faults: Faults, root: Node, found: Mapping[str, Any]) -> dict[str, Any]:
    """Read the sections that name what others declare, wherever in the file these are."""
    seen = _Seen({model.id: model for model in found.get("models", ())})
    by_name = {user.username: user for user in found.get("users", ())}
    wait_us = found.get("time", TimeSettings()).alert_wait_us
    read: dict[str, Any] = {}
    for name in _DEPENDENT:
        if not has_key(root, name):
            continue
        node = value_at(root, name)
        if name == "metrics":
            read[name] = metrics(faults, node, name, seen.models)
            for metric in read[name]:
                seen.metrics[metric.model][metric.name] = metric
        elif name == "alert_rules":
            read[name] = alert_rules(
                faults, node, name, Declared(seen.models, seen.metrics, wait_us)
            )
            jobs = Jobs(seen.job_ids, seen.jobs, wait_us)
            read["anomaly_rules"] = score_rules(faults, node, name, jobs)
            read["step_rules"] = step_rules(faults, node, name)
        elif name == "notifications":
            read["smtp"], read[name] = notifications(faults, node, name, by_name)
        else:
            read |= _of_jobs(faults, node, name, seen)
    return read


@dataclass(slots=True)
class _Seen:
    """What has been declared so far; ids without a value are those of entries with faults."""

    models: Mapping[str, ModelSettings]
    metrics: defaultdict[str, dict[str, MetricSettings]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    filters: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    job_ids: tuple[str, ...] = ()
    jobs: Mapping[str, AnomalyJobSettings] = field(default_factory=dict)


def _of_jobs(faults: Faults, node: Node, name: str, seen: _Seen) -> dict[str, Any]:
    """Read a section of anomaly jobs and what belongs to them."""
    if name == "filters":
        read = filters(faults, node, name)
        seen.filters = {each: read.get(each) for each in ids_in(node, "filter_id")}
        return {}  # they are within the jobs from here on
    if name == "calendars":
        return {name: calendars(faults, node, name, seen.job_ids)}
    jobs = anomaly_jobs(faults, node, name, Around(seen.models, seen.metrics, seen.filters))
    seen.job_ids, seen.jobs = ids_in(node, "job_id"), {job.job_id: job for job in jobs}
    return {name: jobs}


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
    # A label that is still admissible must find its prediction, its pane all of its events, and a
    # rule, after a restart, those of its window.
    least = settings.time.label_horizon_us
    for name, span_us in settings.retention_us:
        if name == "events" and span_us < least:
            faults.say(
                value_at(root, "retention", "events"),
                f"retention.events must be at least time.label_horizon={least // _SECOND_US} s,"
                f" got {span_us // _SECOND_US} s",
            )
        for place, rule in _placed(settings, root):
            lookback_s = rule.lookback_s or 0
            if name == "events" and span_us < lookback_s * _SECOND_US:
                faults.say(
                    value_at(root, "retention", "events"),
                    f"retention.events must be at least alert_rules[{place}].lookback_period="
                    f"{lookback_s} s, got {span_us // _SECOND_US} s",
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


_TIME: dict[str, tuple[str, Reader]] = {
    "allowed_lateness": ("allowed_lateness_us", _duration(0, _DURATION_RULE)),
    "idle_timeout": ("idle_timeout_us", _duration(1, f"{_DURATION_RULE}, above 0")),
    "max_future": (
        "max_future_us",
        _or_off(_duration(0, f"{_DURATION_RULE}, or null for no bound")),
    ),
    "label_horizon": ("label_horizon_us", _duration(0, _DURATION_RULE)),
    "lookback": ("lookback_s", window_s),
    "step": ("step_s", window_s),
    "drift_lookback": ("drift_lookback_s", drift_window_s),
    "subsequent_alert_wait_time": ("alert_wait_us", wait_us),
}


def _time(faults: Faults, node: Node, key: str) -> TimeSettings:
    found = mapping(faults, node, key, {name: reader for name, (_, reader) in _TIME.items()})
    times: dict[str, Any] = {
        _TIME[name][0]: None if value is _OFF else value for name, value in found.items()
    }
    return TimeSettings(**times)


# ---- the rest --------------------------------------------------------------------------------


def _retention(faults: Faults, node: Node, key: str) -> tuple[tuple[str, int], ...]:
    span = _duration(1, f"{_DURATION_RULE}, above 0")
    return tuple(
        mapping(
            faults, node, key, dict.fromkeys(("events", "rejects", "evaluations"), span)
        ).items()
    )


def _limits(faults: Faults, node: Node, key: str) -> Limits:
    fields: dict[str, Reader] = {
        "models": whole(1, 10**7),
        "series": whole(1, 10**9),
        "classes": whole(2, 10**6),
        "line_bytes": whole(64, KEPT_BYTES - 1),  # a longer line is not kept whole by the sources
        "anomaly_series": whole(1, 10**7),
        "anomaly_empty_buckets": whole(1, 10**7),
    }
    return Limits(**mapping(faults, node, key, fields))


def _later_on(faults: Faults, node: Node, key: str) -> None:
    """Leave a section to `_dependent`."""


_ROOT: dict[str, Reader] = {
    "data": path,
    "sources": sources,
    "time": _time,
    "models": models,
    "metrics": _later_on,
    "alert_rules": _later_on,
    "anomaly_jobs": _later_on,
    "calendars": _later_on,
    "catalogues": catalogues,
    "filters": _later_on,
    "users": users,
    "notifications": _later_on,
    "produce": produce,
    "retention": _retention,
    "keep_events": choice("all", "none"),
    "limits": _limits,
    "publish": publish,
}
