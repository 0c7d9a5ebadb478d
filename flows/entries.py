"""Single entries of the configuration that come while a run goes on, read as those of the file are.

The readers of the file's sections read them, with all that is in force around them; what a section
is checked for as a whole is checked of the entry. Faults have no file and no line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.config import (
    AnomalyJobSettings,
    MetricSettings,
    ModelSettings,
    NotificationSettings,
    RuleSettings,
    Settings,
    UserSettings,
)
from engine.errors import QueryError
from engine.following import try_job, try_rule
from engine.metrics import metric_id
from engine.notifications import configuration_id
from engine.rules.definition import metric_of, rule_id_of, unsupported
from flows.anomalysettings import Around, anomaly_jobs
from flows.metricsettings import metrics
from flows.rulesettings import Declared, alert_rules, on_metrics
from flows.usersettings import configurations, users
from flows.valuenodes import listed_node
from flows.yamlnodes import Faults, Node, quoted

__all__ = ["Known", "id_of", "read_entry"]

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """What entries may name, and what holds for those that say nothing.

    Attributes
    ----------
    settings : Settings
        Of the file: models, defaults, limits; its entries do not count.
    models : mapping of str to ModelSettings
        Those declared, by id.
    metrics : mapping of str to mapping of str to MetricSettings
        Those in force, by model and name.
    users : mapping of str to UserSettings
        Those in force, by name.
    """

    settings: Settings
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, MetricSettings]] = field(default_factory=dict)
    users: Mapping[str, UserSettings] = field(default_factory=dict)

    def of_model(self, model_id: str) -> tuple[ModelSettings, Settings]:
        """Give a model, and settings with its metrics and no others."""
        own = tuple(self.metrics.get(model_id, {}).values())
        model = self.models.get(model_id) or ModelSettings(model_id)
        return model, replace(self.settings, metrics=own, alert_rules=(), anomaly_jobs=())


def read_entry(kind: str, definition: object, known: Known) -> Any:
    """Read a definition.

    Parameters
    ----------
    kind : str
        One of `engine.changes.KINDS`.
    definition : object
        JSON.
    known : Known

    Returns
    -------
    object
        What `Settings` has of that kind.

    Raises
    ------
    QueryError
        It breaks a rule; a line for each.
    """
    faults = Faults("")
    found = _READERS[kind](faults, listed_node(definition), kind, known)
    texts = faults.texts()
    if texts:
        raise QueryError("\n".join(_shorn(text, f"{kind}[0]", kind) for text in texts))
    (entry,) = found
    check = _CHECKS.get(kind)
    if check is not None:
        check(entry, known)
    return entry


def _shorn(text: str, place: str, kind: str) -> str:
    """Leave out of a fault that the entry stood alone in a list."""
    return text.replace(f"{place}.", "").replace(place, f"the {kind.replace('_', ' ')}")


def id_of(kind: str, entry: Any) -> str:
    """Give the id by which an entry of a kind is edited."""
    return _IDS[kind](entry)


# ---- readers ---------------------------------------------------------------------------------


def _rules(faults: Faults, node: Node, key: str, known: Known) -> tuple[RuleSettings, ...]:
    if not on_metrics(node.value[0]):
        rule = "a rule on a metric of a model; those on scores and on steps are for the file"
        faults.say(node, f"{key}[0] must be {rule}")
        return ()
    wait_us = known.settings.time.alert_wait_us
    return alert_rules(faults, node, key, Declared(known.models, known.metrics, wait_us))


def _jobs(faults: Faults, node: Node, key: str, known: Known) -> tuple[AnomalyJobSettings, ...]:
    return anomaly_jobs(faults, node, key, Around(known.models, known.metrics))


_READERS: dict[str, Callable[[Faults, Node, str, Known], tuple[Any, ...]]] = {
    "metric": lambda faults, node, key, known: metrics(faults, node, key, known.models),
    "alert_rule": _rules,
    "anomaly_job": _jobs,
    "notification": lambda faults, node, key, known: configurations(faults, node, key, known.users),
    "user": lambda faults, node, key, _: users(faults, node, key),
}


# ---- what is checked of the whole file -------------------------------------------------------


def _check_rule(rule: RuleSettings, known: Known) -> None:
    model, settings = known.of_model(rule.model)
    own = {(rule.model, each.name): each for each in settings.metrics}
    rest = unsupported(metric_of(own, model, rule.metric), model)
    if rest is not None:
        msg = f"metric must be {rest}, got {quoted(rule.metric)}"
        raise QueryError(msg)
    kept_us = dict(settings.retention_us).get("events")
    lookback_s = rule.lookback_s or 0
    if kept_us is not None and lookback_s * _SECOND_US > kept_us:
        rule_text = f"at most retention.events={kept_us // _SECOND_US} s"
        msg = f"lookback_period must be {rule_text}, got {lookback_s} s"
        raise QueryError(msg)
    try_rule(settings, model, rule)


def _check_job(job: AnomalyJobSettings, known: Known) -> None:
    _, settings = known.of_model(job.model or "")
    try_job(settings, job)


_CHECKS: dict[str, Callable[[Any, Known], None]] = {
    "alert_rule": _check_rule,
    "anomaly_job": _check_job,
}


# ---- ids -------------------------------------------------------------------------------------


def _metric_id(entry: MetricSettings) -> str:
    return str(metric_id(entry.model, entry.name))


def _rule_id(entry: RuleSettings) -> str:
    return str(rule_id_of(entry, entry.name or ""))


def _job_id(entry: AnomalyJobSettings) -> str:
    return entry.job_id


def _configuration_id(entry: NotificationSettings) -> str:
    return configuration_id(entry)


_IDS: dict[str, Callable[[Any], str]] = {
    "metric": _metric_id,
    "alert_rule": _rule_id,
    "anomaly_job": _job_id,
    "notification": _configuration_id,
    "user": lambda entry: str(entry.username),
}
