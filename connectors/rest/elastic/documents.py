"""The documents of anomaly jobs: what they are, and how they are getting on."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connectors.rest.elastic.bodies import OURS
from connectors.rest.elastic.own_names import given_name, renamed
from engine.anomaly.queries.job_standing import Standing
from engine.commands.anomaly_jobs import is_posted
from engine.config import AnomalyJobSettings, CustomRule, DetectorSettings

__all__ = ["job_document", "stats_document"]

_DAY_S, _SECOND_US, _MEBIBYTE = 86_400, 1_000_000, 1 << 20
_UNITS = (("d", _DAY_S), ("h", 3_600), ("m", 60))
_GENERATED = ("create_time", "job_type", "model_snapshot_id")


def job_document(
    job: AnomalyJobSettings, made_ms: int | None, *, generated: bool = True
) -> dict[str, Any]:
    """Give what a job is.

    Parameters
    ----------
    job : AnomalyJobSettings
    made_ms : int or None
        When it was made over REST; None: the configuration file has declared it.
    generated : bool
        With what the server wrote into it.
    """
    told = {
        "job_id": job.job_id,
        "job_type": "anomaly_detector",
        "description": job.description,
        "create_time": made_ms,
        "groups": list(job.groups) or None,
        "analysis_config": _analysis(job, generated=generated),
        "analysis_limits": _limits(job),
        "data_description": {"time_field": job.time_field, "time_format": job.time_format},
        "background_persist_interval": _span(job.snapshot_s),
        "model_snapshot_retention_days": _days(job.snapshot_retention_s),
        "daily_model_snapshot_retention_after_days": _days(job.daily_snapshot_after_s),
        "renormalization_window_days": _days(job.renormalization_window_s),
        "results_retention_days": _days(
            None if job.results_retention_us is None else job.results_retention_us / _SECOND_US
        ),
        "custom_settings": _noted(job) or None,
        "allow_lazy_open": False,
    }
    left = () if generated else _GENERATED
    return {name: value for name, value in told.items() if value is not None and name not in left}


def _analysis(job: AnomalyJobSettings, *, generated: bool) -> dict[str, Any]:
    posted = is_posted(job.job_id, job.model)
    detectors = []
    for index, each in enumerate(job.detectors):
        told = renamed(_detector(each), given_name) if posted else _detector(each)
        detectors.append(told | ({"detector_index": index} if generated else {}))
    names = [given_name(name) for name in job.influencers] if posted else list(job.influencers)
    found = {"bucket_span": _span(job.bucket_span_s), "detectors": detectors, "influencers": names}
    if job.latency_us:
        found["latency"] = _span(job.latency_us // _SECOND_US)
    return found


def _detector(told: DetectorSettings) -> dict[str, Any]:
    found = {name: value for name, value in asdict(told).items() if value}
    found.pop("description", None)
    described = {"detector_description": told.description or _described(told)}
    if told.filter is not None:
        found["filter"] = json.loads(told.filter)
    if told.custom_rules:
        found["custom_rules"] = [_rule(rule) for rule in told.custom_rules]
    return described | found


def _described(told: DetectorSettings) -> str:
    """Describe a detector where nobody has.

    >>> _described(DetectorSettings("mean", "latency", partition_field_name="city"))
    'mean(latency) partitionfield=city'
    """
    name = given_name(told.field_name) if told.field_name else None
    parts = [f"{told.function}({name})" if name else told.function]
    parts += [f"by {given_name(told.by_field_name)}"] if told.by_field_name else []
    parts += [f"over {given_name(told.over_field_name)}"] if told.over_field_name else []
    if told.partition_field_name:
        parts.append(f"partitionfield={given_name(told.partition_field_name)}")
    return " ".join(parts)


def _rule(rule: CustomRule) -> dict[str, Any]:
    scope = {
        each.field: {
            "values": list(each.values),
            "filter_type": "include" if each.include else "exclude",
        }
        for each in rule.scope
    }
    found: dict[str, Any] = {"actions": list(rule.actions)}
    found |= {"scope": scope} if scope else {}
    conditions = [asdict(each) for each in rule.conditions]
    return found | ({"conditions": conditions} if conditions else {})


def _limits(job: AnomalyJobSettings) -> dict[str, str] | None:
    size = job.memory_limit_bytes
    if size is None:
        return None
    whole = size % _MEBIBYTE == 0
    return {"model_memory_limit": f"{size // _MEBIBYTE}mb" if whole else f"{size}b"}


def _noted(job: AnomalyJobSettings) -> dict[str, Any]:
    """Give the custom settings, with what makes the job more than one of posted data."""
    ours: dict[str, Any] = {
        "model": None if is_posted(job.job_id, job.model) else job.model,
        "type": job.type,
        "filter": None if job.filter is None else json.loads(job.filter),
        "time_basis": job.time_basis,
        "frequency": None if job.frequency_s is None else _span(job.frequency_s),
        "normalizer": None if job.normalizer == "standard" else job.normalizer,
    }
    ours = {name: value for name, value in ours.items() if value is not None}
    noted = {} if job.custom_settings is None else json.loads(job.custom_settings)
    return noted | ({OURS: ours} if ours else {})


def _span(seconds: int) -> str:
    """Write a length of time in the largest unit that it is a multiple of.

    >>> _span(900), _span(90), _span(3_600)
    ('15m', '90s', '1h')
    """
    for unit, length_s in _UNITS:
        if seconds and seconds % length_s == 0:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"


def _days(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    days = seconds / _DAY_S
    return int(days) if days == int(days) else days


# ---- how they are getting on -----------------------------------------------------------------

_COUNTS = (
    *("processed_record_count", "missing_field_count", "out_of_order_timestamp_count"),
    *("empty_bucket_count", "sparse_bucket_count", "bucket_count"),
)
_TIMES = (
    *("earliest_record_timestamp", "latest_record_timestamp"),
    *("latest_empty_bucket_timestamp", "latest_sparse_bucket_timestamp"),
)


def stats_document(job_id: str, standing: Standing) -> dict[str, Any]:
    """Give how a job is getting on, as of its last closed bucket (ELi-22)."""
    stats = standing.stats
    counts: dict[str, Any] = {"job_id": job_id} | {name: stats.get(name, 0) for name in _COUNTS}
    counts |= {name: stats[name] for name in _TIMES if stats.get(name) is not None}
    counts["input_record_count"] = counts["processed_record_count"]
    return {
        "job_id": job_id,
        "data_counts": counts,
        "model_size_stats": {
            "job_id": job_id,
            "result_type": "model_size_stats",
            "model_bytes": stats.get("memory_bytes", 0),
            "memory_status": stats.get("memory_status", "ok"),
            "total_series_count": stats.get("series_count", 0),
            "unmodelled_entity_count": stats.get("unmodelled_entity_count", 0),
        },
        "timing_stats": _timing(job_id, stats),
        "forecasts_stats": {"total": 0, "forecasted_jobs": 0},
        "state": standing.state,
    }


def _timing(job_id: str, stats: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "minimum_bucket_processing_time_ms": "bucket_processing_ms_min",
        "maximum_bucket_processing_time_ms": "bucket_processing_ms_max",
        "average_bucket_processing_time_ms": "bucket_processing_ms_mean",
        "exponential_average_bucket_processing_time_ms": "bucket_processing_ms_ewma",
    }
    count, mean = stats.get("bucket_count", 0), stats.get("bucket_processing_ms_mean") or 0.0
    told = {"job_id": job_id, "bucket_count": count}
    told["total_bucket_processing_time_ms"] = count * mean
    return told | {
        name: stats[column] for name, column in names.items() if stats.get(column) is not None
    }
