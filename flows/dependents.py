"""What else an entry is needed for: it can neither be taken away nor made unfit for that."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.config import AnomalyJobSettings, AnomalyRuleSettings, MetricSettings, UserSettings
from engine.errors import ConflictError, QueryError
from engine.metrics import metric_id
from flows.definitions import definition_of
from flows.entries import Known, read_entry
from flows.yamlnodes import quoted

__all__ = ["Entries", "check_needed"]

Entries = Mapping[str, Mapping[str, Any]]
"""What is in force, by kind and id."""


def check_needed(entries: Entries, known: Known, kind: str, change: tuple[Any, Any]) -> None:
    """Check what depends on an entry that was changed.

    Parameters
    ----------
    entries : mapping
        With the change.
    known : Known
        With the change.
    kind : str
    change : tuple
        The entry as it was and as it is; None: there was, or is, none.

    Raises
    ------
    ConflictError
        Something needs it as it was; the text names that.
    """
    before, after = change
    if kind == "metric":
        _check_metric(entries, known, before, after)
    elif kind == "anomaly_job" and before is not None:
        _check_job(known.settings.anomaly_rules, before, after)
    elif kind == "user" and before is not None:
        _check_user(entries["notification"].values(), before, after)


# ---- metrics ---------------------------------------------------------------------------------


def _check_metric(
    entries: Entries, known: Known, before: MetricSettings | None, after: MetricSettings | None
) -> None:
    metric = after or before
    if metric is None or before == after:
        return
    what = f"the metric {quoted(metric.name)} of the model {quoted(metric.model)}"
    names = (metric.name, str(metric_id(metric.model, metric.name)))
    for rule in entries["alert_rule"].values():
        if rule.model == metric.model and rule.metric in names:
            user = f"the alert rule {quoted(rule.name or '')}"
            _check_user_of(known, ("alert_rule", rule), (what, user), gone=after is None)
    for job in entries["anomaly_job"].values():
        if job.model != metric.model or job.type is not None:
            continue
        if not any(each.field_name == metric.name for each in job.detectors):
            continue
        user = f"the anomaly job {quoted(job.job_id)}"
        if before is None:
            msg = f"{what} must have another name: {user} reads a property of that name"
            raise ConflictError(msg)
        _check_user_of(known, ("anomaly_job", job), (what, user), gone=after is None)


def _check_user_of(
    known: Known, entry: tuple[str, Any], told: tuple[str, str], *, gone: bool
) -> None:
    what, user = told
    if gone:
        msg = f"{what} must stay while {user} uses it"
        raise ConflictError(msg)
    kind, one = entry
    try:
        read_entry(kind, definition_of(kind, one, known.settings), known)
    except QueryError as error:
        msg = f"{what} must be of use for {user}: {error}"
        raise ConflictError(msg) from error


# ---- anomaly jobs ----------------------------------------------------------------------------


def _check_job(
    rules: Iterable[AnomalyRuleSettings],
    before: AnomalyJobSettings,
    after: AnomalyJobSettings | None,
) -> None:
    for rule in rules:
        if rule.anomaly_job != before.job_id:
            continue
        user = f"the alert rule {quoted(rule.name or '')} on its scores"
        if after is None:
            msg = f"the anomaly job {quoted(before.job_id)} must stay while there is {user}"
            raise ConflictError(msg)
        if not _fits(rule, after):
            what = f"the {rule.result_type}s that it is about"
            msg = f"the anomaly job {quoted(before.job_id)} must keep, for {user}, {what}"
            raise ConflictError(msg)


def _fits(rule: AnomalyRuleSettings, job: AnomalyJobSettings) -> bool:
    if rule.result_type == "influencer":
        return bool(job.influencers) and rule.field in {None, *job.influencers}
    fields = {
        name
        for each in job.detectors
        for name in (
            *(each.field_name, each.by_field_name),
            *(each.over_field_name, each.partition_field_name),
        )
    }
    return rule.field is None or rule.result_type == "bucket" or rule.field in fields


# ---- users -----------------------------------------------------------------------------------


def _check_user(told: Iterable[Any], before: UserSettings, after: UserSettings | None) -> None:
    for each in told:
        if each.user != before.username:
            continue
        of = f"the notification configuration for the model {quoted(each.model)}"
        if after is None:
            msg = f"the user {quoted(before.username)} must stay while there is {of}"
            raise ConflictError(msg)
        if after.email != each.destination:
            msg = f"the user {quoted(before.username)} must keep the address of {of}"
            raise ConflictError(msg)
