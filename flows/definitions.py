"""Entries in force as the configuration has them: what the readers of the file would read back.

Default values are left out. Reading a definition gives the same entry again; the only difference
to what somebody wrote is the way of writing, such as "5m" for 300.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.config import (
    MetricSettings,
    ModelSettings,
    NotificationSettings,
    RuleSettings,
    Settings,
    UserSettings,
)
from flows.jobdefinitions import job_definition

__all__ = ["definition_of"]

_MINUTE_US = 60_000_000


def definition_of(kind: str, entry: Any, settings: Settings) -> dict[str, Any]:
    """Give the definition of an entry.

    Parameters
    ----------
    kind : str
        One of `engine.changes.KINDS`.
    entry : object
        What `Settings` has of that kind.
    settings : Settings
        The defaults in force, and the models.
    """
    return _DEFINITIONS[kind](entry, settings)


def _metric(entry: MetricSettings, _: Settings) -> dict[str, Any]:
    query = json.loads(entry.query)
    usual = "data_drift" if "properties" in query else "query"
    endpoint = {} if entry.endpoint == usual else {"endpoint": entry.endpoint}
    kind = {} if entry.type is None else {"type": entry.type}
    return {"model": entry.model, "name": entry.name, "query": query, **endpoint, **kind}


_SAME = (
    *("time_basis", "enabled", "on_no_data", "resolve_threshold", "min_sample_count"),
    *("min_label_coverage", "group_by", "group_limit", "rule_id"),
)
_BLANK_RULE = RuleSettings("", "", "", None, "")


def _rule(entry: RuleSettings, settings: Settings) -> dict[str, Any]:
    models: Mapping[str, ModelSettings] = {model.id: model for model in settings.models}
    model = models.get(entry.model)
    found: dict[str, Any] = {
        "model": entry.model,
        "metric": entry.metric,
        "name": entry.name,
        "bound": entry.bound,
        "threshold": "dynamic" if entry.threshold is None else entry.threshold,
        "severity": entry.severity,
    }
    if entry.lookback_s is not None:
        found["lookback_period"] = _minutes(entry.lookback_s * 1_000_000)
    batch = model is not None and model.kind == "batch"  # nothing is waited for then
    if entry.wait_us != settings.time.alert_wait_us and not batch:
        found["subsequent_alert_wait_time"] = _minutes(entry.wait_us)
    if entry.hold_us:
        found["for"] = _minutes(entry.hold_us)
    return found | _told(entry, _BLANK_RULE, _SAME)


def _minutes(us: int) -> float:
    return us // _MINUTE_US if us % _MINUTE_US == 0 else us / _MINUTE_US


def _user(entry: UserSettings, _: Settings) -> dict[str, Any]:
    names = ("email", "role", "api_key_env", "api_key_sha256", "models", "jobs")
    told = _told(entry, UserSettings(""), names)
    return {"username": entry.username} | {
        name: list(value) if isinstance(value, tuple) else value for name, value in told.items()
    }


def _notification(entry: NotificationSettings, _: Settings) -> dict[str, Any]:
    found = {
        "user": entry.user,
        "model": entry.model,
        "type": entry.type,
        "destination": entry.destination,
    }
    return found | ({} if entry.enabled else {"enabled": False})


def _told(entry: object, blank: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Give the values that are not those of an entry that says nothing."""
    values = {name: getattr(entry, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(blank, name)}


_DEFINITIONS: dict[str, Callable[[Any, Settings], dict[str, Any]]] = {
    "metric": _metric,
    "alert_rule": _rule,
    "anomaly_job": lambda entry, _: job_definition(entry),
    "notification": _notification,
    "user": _user,
}
