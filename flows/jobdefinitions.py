"""Anomaly jobs as the configuration has them: see `flows.definitions`."""

import json
from typing import Any

from engine.config import AnomalyJobSettings, CustomRule, DetectorSettings, RuleScope

__all__ = ["job_definition"]

_DAY_S = 86_400
_SECOND_US = 1_000_000
_MEBIBYTE = 1 << 20
_BLANK = AnomalyJobSettings("", ())
_SAME = (
    *("model", "type", "time_basis", "normalizer", "description", "enabled"),
    *("clock", "time_field", "time_format"),
)
_NAMES = ("influencers", "groups")
_DETECTOR = (
    *("field_name", "by_field_name", "over_field_name", "partition_field_name"),
    *("use_null", "exclude_frequent"),
)


def job_definition(job: AnomalyJobSettings) -> dict[str, Any]:
    """Give the entry of `anomaly_jobs` that stands for a job."""
    found: dict[str, Any] = {"job_id": job.job_id}
    found |= {
        name: getattr(job, name) for name in _SAME if getattr(job, name) != getattr(_BLANK, name)
    }
    found |= {name: list(getattr(job, name)) for name in _NAMES if getattr(job, name)}
    found["bucket_span"] = job.bucket_span_s
    found["detectors"] = [_detector(each) for each in job.detectors]
    if job.filter is not None:
        found["filter"] = json.loads(job.filter)
    if job.latency_us:
        found["latency"] = job.latency_us // _SECOND_US
    if job.frequency_s is not None:
        found["frequency"] = job.frequency_s
    if job.memory_limit_bytes is not None:
        found["model_memory_limit"] = _memory(job.memory_limit_bytes)
    if job.custom_settings is not None:
        found["custom_settings"] = json.loads(job.custom_settings)
    return found | _kept(job)


def _kept(job: AnomalyJobSettings) -> dict[str, Any]:
    """Give for how long things are kept."""
    found: dict[str, Any] = {}
    if job.renormalization_window_s is not None:
        found["renormalization_window_days"] = _days(job.renormalization_window_s)
    if job.results_retention_us is not None:
        found["results_retention_days"] = _days(job.results_retention_us // _SECOND_US)
    if job.snapshot_s != _BLANK.snapshot_s:
        found["background_persist_interval"] = job.snapshot_s
    if job.snapshot_retention_s != _BLANK.snapshot_retention_s:
        found["model_snapshot_retention_days"] = _days(job.snapshot_retention_s)
    if job.daily_snapshot_after_s != min(_DAY_S, job.snapshot_retention_s):
        name = "daily_model_snapshot_retention_after_days"
        found[name] = _days(job.daily_snapshot_after_s)
    return found


def _days(seconds: int) -> float:
    return seconds // _DAY_S if seconds % _DAY_S == 0 else seconds / _DAY_S


def _memory(size: int) -> int | str:
    return size // _MEBIBYTE if size % _MEBIBYTE == 0 else f"{size}b"


# ---- detectors -------------------------------------------------------------------------------


def _detector(told: DetectorSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"function": told.function}
    found |= {name: getattr(told, name) for name in _DETECTOR if getattr(told, name)}
    if told.filter is not None:
        found["filter"] = json.loads(told.filter)
    if told.description is not None:
        found["detector_description"] = told.description
    if told.custom_rules:
        found["custom_rules"] = [_custom_rule(each) for each in told.custom_rules]
    return found


def _custom_rule(rule: CustomRule) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rule.actions != CustomRule().actions:
        found["actions"] = list(rule.actions)
    if rule.scope:
        found["scope"] = {each.field: _scope(each) for each in rule.scope}
    if rule.conditions:
        found["conditions"] = [
            {"applies_to": each.applies_to, "operator": each.operator, "value": each.value}
            for each in rule.conditions
        ]
    return found


def _scope(scope: RuleScope) -> dict[str, Any]:
    # The items of filters stand in the jobs themselves from the file on.
    told: dict[str, Any] = {"values": list(scope.values)}
    return told if scope.include else told | {"filter_type": "exclude"}
