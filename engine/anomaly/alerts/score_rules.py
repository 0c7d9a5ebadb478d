"""Alert rules on anomaly scores as they are followed: their metric, window, id and definition.

They are rules as those of `engine.rules`, with a version for every definition that they had. Their
metric belongs to the model of the job; of a job without a model the job stands in its place, so
that somebody may be told of its alerts too. Source: contracts.md ELi-21.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final
from uuid import uuid3

from engine.anomaly.definition import jobs_of
from engine.config import AnomalyJobSettings, AnomalyRuleSettings, RuleSettings, Settings
from engine.errors import ConfigurationError
from engine.metrics import METRIC_NAMESPACE, metric_id
from engine.query.tree import Query
from engine.rules.definition import Metric, Rule

__all__ = ["ENDPOINT", "KINDS", "ScoreRule", "score_rules_of"]

ENDPOINT: Final = "anomaly"
"""Endpoint of the metrics."""

KINDS: Final = ("bucket", "influencer", "record")


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """One rule: as it was declared, and as a rule of the store.

    Attributes
    ----------
    span_s : int
        Of the job's buckets.
    """

    settings: AnomalyRuleSettings
    rule: Rule
    span_s: int


def score_rules_of(settings: Settings) -> list[ScoreRule]:
    """Give the rules on scores that the settings declare, in their order.

    Raises
    ------
    ConfigurationError
        A rule names a job or a kind of results that there is not.
    QueryError
        A job is off.
    """
    jobs = {job.job_id: job for job in settings.anomaly_jobs}
    bases = {job.job_id: job.time_basis for job in jobs_of(settings)}
    found = []
    for place, each in enumerate(_named(settings.anomaly_rules)):
        at = f"anomaly_rules[{place}]"
        if each.anomaly_job not in jobs:
            msg = f"{at}.anomaly_job must be the id of an anomaly job, got {each.anomaly_job}"
            raise ConfigurationError(msg)
        if each.result_type not in KINDS:
            rule = f"one of {', '.join(KINDS)}"
            msg = f"{at}.result_type must be {rule}, got {each.result_type}"
            raise ConfigurationError(msg)
        job = jobs[each.anomaly_job]
        found.append(_rule(each, job, bases.get(job.job_id, job.time_basis or "event")))
    return found


def _named(rules: tuple[AnomalyRuleSettings, ...]) -> list[AnomalyRuleSettings]:
    """Name the rules that were given no name, unlike all others of their job."""
    taken = {(each.anomaly_job, each.name) for each in rules}
    found = []
    for each in rules:
        name = each.name
        if name is None:
            name = first = f"{each.anomaly_job} {each.result_type} score"
            number = 1
            while (each.anomaly_job, name) in taken:
                number += 1
                name = f"{first} {number}"
            taken.add((each.anomaly_job, name))
        found.append(replace(each, name=name))
    return found


def _rule(told: AnomalyRuleSettings, job: AnomalyJobSettings, basis: str) -> ScoreRule:
    metric, span_s = _metric(told, job), job.bucket_span_s
    facts: Mapping[str, object] = {
        **{key: value for key, value in asdict(told).items() if key != "name"},
        "metric": str(metric.metric_id),
        "bucket_span_s": span_s,
    }
    rule = Rule(
        # Of the job, so that no rule of a model has the same.
        uuid3(METRIC_NAMESPACE, f"anomaly rule\0{job.job_id}\0{told.name}"),
        metric.model_id,
        metric,
        str(told.name),
        told.buckets * span_s,
        span_s,
        basis,
        RuleSettings(
            model=metric.model_id,
            metric=metric.name,
            bound="upper",
            threshold=told.threshold,
            severity=told.severity,
            name=told.name,
            wait_us=told.wait_us,
            enabled=told.enabled,
        ),
        is_default=False,
        definition=json.dumps(facts, sort_keys=True, ensure_ascii=False),
    )
    return ScoreRule(told, rule, span_s)


def _metric(told: AnomalyRuleSettings, job: AnomalyJobSettings) -> Metric:
    of = [job.job_id, told.result_type, *([] if told.field is None else [told.field])]
    name = f"anomaly_score({', '.join(of)})"
    model_id = job.model or job.job_id
    parameters = {"anomaly_job": job.job_id, "result_type": told.result_type, "field": told.field}
    return Metric(
        metric_id(model_id, name),
        model_id,
        name,
        "model_anomaly_metric",
        json.dumps({"select": [{"function": "anomalyScore", "parameters": parameters}]}),
        ENDPOINT,
        Query(()),  # it is read from results, not asked of events
        is_default=False,
    )
