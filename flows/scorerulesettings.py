"""The entries of `alert_rules` that watch the scores of an anomaly job.

Source: contracts.md ELi-21.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from engine.config import AnomalyJobSettings, AnomalyRuleSettings
from flows.rulesettings import on_scores, wait_us
from flows.yamlnodes import Faults, Node, quoted, shown
from flows.yamlreaders import (
    Reader,
    choice,
    each,
    flag,
    identifier,
    line_text,
    mapping,
    nearest,
    number,
    text,
    value_at,
    whole,
)

__all__ = ["Jobs", "score_rules"]

_JOB = "anomaly_job"
_OF_METRICS = "it is of rules on metrics, and this one is on the scores of an anomaly job"
_REFUSED = dict.fromkeys(
    (
        *("model", "metric", "metric_id", "lookback_period", "for", "resolve_threshold"),
        *("on_no_data", "time_basis", "min_sample_count", "min_label_coverage"),
        *("group_by", "group_limit"),
    ),
    _OF_METRICS,
)


@dataclass(frozen=True, slots=True)
class Jobs:
    """What rules on scores may name, and what holds for those that say nothing.

    Attributes
    ----------
    names : collection of str
        Ids of all jobs declared, also of those with faults.
    by_id : mapping of str to AnomalyJobSettings
        Those without.
    wait_us : int
        Wait of the rules that give none.
    """

    names: Collection[str] = ()
    by_id: Mapping[str, AnomalyJobSettings] = field(default_factory=dict)
    wait_us: int = 0


def score_rules(
    faults: Faults, node: Node, key: str, jobs: Jobs
) -> tuple[AnomalyRuleSettings, ...]:
    """Read the entries with an anomaly job; every rule given back has a name."""

    def read(faults: Faults, node: Node, key: str) -> AnomalyRuleSettings | None:
        return _rule(faults, node, key, jobs) if on_scores(node) else None

    if not isinstance(node, yaml.SequenceNode):
        return ()  # which the reader of the other rules tells
    taken: defaultdict[str, set[str]] = defaultdict(set)
    found = each(faults, node, key, read)
    for place, entry, rule in found:
        if rule.name in taken[rule.anomaly_job]:
            what = f"there once for the job {quoted(rule.anomaly_job)}, got {quoted(rule.name)}"
            faults.say(value_at(entry, "name"), f"{place}.name must be {what} again")
        if rule.name is not None:
            taken[rule.anomaly_job].add(rule.name)
    return tuple(_named(rule, taken[rule.anomaly_job]) for _, _, rule in found)


def _named(rule: AnomalyRuleSettings, taken: set[str]) -> AnomalyRuleSettings:
    if rule.name is not None:
        return rule
    name = first = f"{rule.anomaly_job} {rule.result_type} score"
    number = 1
    while name in taken:
        number += 1
        name = f"{first} {number}"
    taken.add(name)
    return replace(rule, name=name)


_FIELDS: dict[str, Reader] = {
    _JOB: identifier,
    "result_type": choice("bucket", "influencer", "record"),
    "bound": choice("upper"),
    "threshold": number(0, 100),
    "severity": choice("warning", "critical"),
    "name": line_text,
    "buckets": whole(1, 1_000),
    "include_interim": flag,
    "field": text,
    "subsequent_alert_wait_time": wait_us,
    "enabled": flag,
}


def _rule(faults: Faults, node: Node, key: str, jobs: Jobs) -> AnomalyRuleSettings | None:
    before = faults.count()
    found = mapping(faults, node, key, _FIELDS, refused=_REFUSED)
    job_id = found.get(_JOB)
    if job_id is not None and job_id not in jobs.names:
        where, hint = value_at(node, _JOB), nearest(job_id, jobs.names)
        rule = f"one of `anomaly_jobs`, got {shown(where)}{hint}"
        faults.say(where, f"{key}.{_JOB} must be {rule}")
    elif job_id is not None and job_id in jobs.by_id:
        _check_results(faults, node, key, found, jobs.by_id[job_id])
    if faults.count() > before:
        return None
    found.pop("bound", None)  # upper: there is no other
    found["wait_us"] = found.pop("subsequent_alert_wait_time", jobs.wait_us)
    return AnomalyRuleSettings(**found)


def _check_results(
    faults: Faults, node: Node, key: str, found: Mapping[str, Any], job: AnomalyJobSettings
) -> None:
    """Check that the job has results of this kind, and of this field."""
    kind, name = found.get("result_type", "bucket"), found.get("field")
    if kind == "influencer" and not job.influencers:
        rule = f"bucket or record, as the job {quoted(job.job_id)} has no influencers"
        faults.must(value_at(node, "result_type"), f"{key}.result_type", rule)
    if name is None:
        return
    if kind == "bucket":
        rule = "left out for bucket scores, which are over all fields"
        faults.must(value_at(node, "field"), f"{key}.field", rule)
        return
    known = job.influencers if kind == "influencer" else _record_fields(job)
    if name in known or (kind == "influencer" and not known):
        return
    names = ", ".join(quoted(each) for each in known[:10]) or "none"
    rule = f"a field of the {kind}s of the job {quoted(job.job_id)} ({names})"
    where = value_at(node, "field")
    faults.say(where, f"{key}.field must be {rule}, got {shown(where)}{nearest(name, known)}")


def _record_fields(job: AnomalyJobSettings) -> tuple[str, ...]:
    found = {
        name: None
        for detector in job.detectors
        for name in (
            detector.field_name,
            detector.by_field_name,
            detector.over_field_name,
            detector.partition_field_name,
        )
        if name is not None
    }
    return tuple(found)
