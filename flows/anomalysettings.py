"""The `anomaly_jobs` section of the configuration.

Keys are those of Elastic's jobs, and ours. What stands in `analysis_config`, `analysis_limits` and
`data_description` there may stand there or in the job itself; what we do not have is refused, with
the reason.
Source: contracts.md ELi-04, ELi-11 to ELi-13, ELi-15, ELi-19 and ELi-23.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from engine.anomaly.time_formats import time_reader
from engine.config import AnomalyJobSettings, MetricSettings, ModelSettings
from engine.errors import QueryError
from engine.rules.definition import names_of
from flows.detectorsettings import OfJob, detectors
from flows.filtersettings import row_filter
from flows.modelsettings import window_s
from flows.yamlnodes import Faults, Node, quoted, scalar, shown
from flows.yamlreaders import (
    Reader,
    choice,
    duration_us,
    each,
    flag,
    has_key,
    identifier,
    json_value,
    line_text,
    mapping,
    path,
    seconds,
    several,
    text,
    value_at,
)

__all__ = ["Around", "anomaly_jobs", "ids_in"]

_SECOND_US = 10**6
_DAY_S = 86_400
_DAYS_MAX = 36_500  # a century is as good as for ever
_MEBIBYTE = 1 << 20
_BYTES_MAX = 1 << 50
_MEMORY = re.compile(r"(\d{1,15})(b|k|kb|m|mb|g|gb|t|tb)", re.IGNORECASE)
_SHIFTS = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_NOTED_MAX = 16_384
_MEMORY_RULE = 'at least 1 MiB, such as "16mb", "1gb" or a number of MiB'


@dataclass(frozen=True, slots=True)
class Around:
    """What other sections of the file declare, and jobs may name.

    Attributes
    ----------
    models : mapping of str to ModelSettings
        By id. A job may be one of a model that is not declared.
    metrics : mapping of str to mapping of str to MetricSettings
        By model and name.
    filters : mapping of str to tuple of str, or None
        Items by filter id; None: declared, with faults.
    """

    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, MetricSettings]] = field(default_factory=dict)
    filters: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


def anomaly_jobs(
    faults: Faults, node: Node, key: str, around: Around
) -> tuple[AnomalyJobSettings, ...]:
    """Read the section; jobs with a fault are left out."""
    taken: set[str] = set()

    def read(faults: Faults, node: Node, key: str) -> AnomalyJobSettings | None:
        return _job(faults, node, key, around, taken)

    return tuple(job for _, _, job in each(faults, node, key, read))


def ids_in(node: Node, name: str) -> tuple[str, ...]:
    """Give the ids that the entries of a section have, also those with faults elsewhere."""
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    values = [value_at(entry, name) for entry in entries if has_key(entry, name)]
    return tuple(str(value.value) for value in values if isinstance(value, yaml.ScalarNode))


# ---- values ----------------------------------------------------------------------------------


def _memory(faults: Faults, node: Node, key: str) -> int | None:
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    found = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    size = 0
    if found:
        size = int(found[1]) << _SHIFTS[found[2][0].lower()]
    elif isinstance(value, Decimal) and 1 <= value <= _BYTES_MAX and value == int(value):
        size = int(value) * _MEBIBYTE
    if _MEBIBYTE <= size <= _BYTES_MAX:
        return size
    faults.must(node, key, _MEMORY_RULE)
    return None


def _days_s(*, above: bool = True) -> Reader:
    """Read days, whole or not, in seconds; above 0 is at least a second."""
    least = "above" if above else "from"
    rule = f"days, a number {least} 0{' and at most' if above else ' to'} {_DAYS_MAX}, such as 30"

    def read(faults: Faults, node: Node, key: str) -> int | None:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, Decimal) and 0 <= value <= _DAYS_MAX and (value > 0 or not above):
            return max(int(above), round(value * _DAY_S))
        faults.must(node, key, rule)
        return None

    return read


def _type(faults: Faults, node: Node, key: str) -> str | None:
    words = ("label", "metric", "run", "ingest", "model")
    if isinstance(node, yaml.ScalarNode) and node.value in words:
        return str(node.value)
    rule = f"one of {', '.join(words)}, or left out for the predictions of a model"
    faults.must(node, key, rule)
    return None


def _time_format(faults: Faults, node: Node, key: str) -> str | None:
    written = text(faults, node, key)
    if written is None:
        return None
    try:
        time_reader(written)
    except QueryError as error:
        faults.say(node, str(error).replace("`time_format`", key, 1))
        return None
    return written


def _noted(faults: Faults, node: Node, key: str) -> str | None:
    """Read an object of anything, as JSON."""
    if not isinstance(node, yaml.MappingNode):
        faults.must(node, key, "a mapping of keys to values")
        return None
    found = json.dumps(json_value(faults, node, key), ensure_ascii=False, separators=(",", ":"))
    if len(found) > _NOTED_MAX:
        faults.must(node, key, f"at most {_NOTED_MAX:,} characters as JSON")
        return None
    return found


@dataclass(frozen=True, slots=True)
class _Deferred:
    """A value that is read when the rest of its job is known."""

    node: Node
    key: str


def _defer(_: Faults, node: Node, key: str) -> _Deferred:
    return _Deferred(node, key)


# ---- keys ------------------------------------------------------------------------------------

_ANALYSIS: dict[str, Reader] = {
    "bucket_span": window_s,
    "detectors": _defer,
    "influencers": several(text, "a list of names"),
    # Whole seconds: buckets close at multiples of one, however the stream is cut.
    "latency": duration_us(
        0,
        _DAYS_MAX * _DAY_S * _SECOND_US,
        'a duration of whole seconds from 0, such as "10s" or "5m"',
        _SECOND_US,
    ),
}
_LIMITS: dict[str, Reader] = {"model_memory_limit": _memory}
_POSTED: dict[str, Reader] = {"time_field": text, "time_format": _time_format}
_NO_TEXTS = "texts are not put into categories"
_NO_SUMS = "every event counts once, and events that are sums of others are not known as such"
_NO_FEED = "events come from `sources`"
_MADE = "it is what a server writes into jobs"
_REFUSED_ANALYSIS = {
    "categorization_field_name": _NO_TEXTS,
    "categorization_filters": _NO_TEXTS,
    "categorization_analyzer": _NO_TEXTS,
    "per_partition_categorization": _NO_TEXTS,
    "multivariate_by_fields": "every series is judged by its own history",
    "summary_count_field_name": _NO_SUMS,
    "model_prune_window": "the models of series that fell silent are kept, up to the limits",
}
_REFUSED_LIMITS = {"categorization_examples_limit": _NO_TEXTS}
_NO_COLUMNS = "posted records are JSON objects"
_REFUSED_POSTED = dict.fromkeys(("format", "field_delimiter", "quote_character"), _NO_COLUMNS)


def _nested(fields: Mapping[str, Reader], refused: Mapping[str, str]) -> Reader:
    def read(faults: Faults, node: Node, key: str) -> dict[str, Any]:
        return mapping(faults, node, key, fields, refused=refused)

    return read


_NESTED: dict[str, dict[str, Reader]] = {
    "analysis_config": _ANALYSIS,
    "analysis_limits": _LIMITS,
    "data_description": _POSTED,
}
_REFUSED = {
    **_REFUSED_ANALYSIS,
    **_REFUSED_LIMITS,
    "datafeed_config": _NO_FEED,
    "datafeed_id": _NO_FEED,
    "model_plot_config": "what can be drawn is kept anyway: anomaly_model_plot",
    "allow_lazy_open": "a job is open while there is a run",
    "results_index_name": "results are in the relations of the data folder",
    **dict.fromkeys(("job_type", "job_version", "create_time", "finished_time"), _MADE),
    **dict.fromkeys(("model_snapshot_id", "model_snapshot_min_version"), _MADE),
    **dict.fromkeys(("deleting", "blocked"), _MADE),
}
_FIELDS: dict[str, Reader] = {
    "job_id": identifier,
    "model": text,
    "type": _type,
    **_ANALYSIS,
    **_LIMITS,
    **_POSTED,
    "filter": _defer,
    "frequency": window_s,
    "time_basis": choice("event", "label"),
    "normalizer": choice("standard", "elastic"),
    "clock": choice("watermark", "records"),
    "renormalization_window_days": _days_s(),
    "results_retention_days": _days_s(),
    "model_snapshot_retention_days": _days_s(above=False),
    "daily_model_snapshot_retention_after_days": _days_s(above=False),
    "background_persist_interval": seconds(
        3_600, _DAYS_MAX * _DAY_S, 'a duration of at least 1h in whole seconds, such as "3h"'
    ),
    "description": path,  # as long as a path may be
    "groups": several(line_text, "a list of names"),
    "enabled": flag,
    "analysis_config": _nested(_ANALYSIS, _REFUSED_ANALYSIS),
    "analysis_limits": _nested(_LIMITS, _REFUSED_LIMITS),
    "data_description": _nested(_POSTED, _REFUSED_POSTED),
    "custom_settings": _noted,
}
_RENAMED = {
    "bucket_span": "bucket_span_s",
    "latency": "latency_us",
    "frequency": "frequency_s",
    "renormalization_window_days": "renormalization_window_s",
    "model_memory_limit": "memory_limit_bytes",
    "model_snapshot_retention_days": "snapshot_retention_s",
    "daily_model_snapshot_retention_after_days": "daily_snapshot_after_s",
    "background_persist_interval": "snapshot_s",
}


# ---- one job ---------------------------------------------------------------------------------


def _job(
    faults: Faults, node: Node, key: str, around: Around, taken: set[str]
) -> AnomalyJobSettings | None:
    before = faults.count()
    found = _flat(faults, node, key)
    _check_given(faults, node, key)
    _check_job_id(faults, node, key, found.get("job_id"), taken)
    _read_deferred(faults, found, around)
    _check_times(faults, node, key, found)
    _check_snapshots(faults, node, key, found)
    if faults.count() > before:
        return None
    retention_s = found.pop("results_retention_days", None)
    return AnomalyJobSettings(
        results_retention_us=None if retention_s is None else retention_s * _SECOND_US,
        **{_RENAMED.get(name, name): value for name, value in found.items()},
    )


def _flat(faults: Faults, node: Node, key: str) -> dict[str, Any]:
    """Read a job's keys, those of the nested sections as its own."""
    found = mapping(faults, node, key, _FIELDS, refused=_REFUSED)
    for section, fields in _NESTED.items():
        for name, value in found.pop(section, {}).items():
            found.setdefault(name, value)
        nested = value_at(node, section) if has_key(node, section) else node
        for name in fields:
            if nested is not node and has_key(nested, name) and has_key(node, name):
                line = value_at(node, name).start_mark.line + 1
                rule = f"must be there once: it is in line {line} already, as `{key}.{name}`"
                faults.say(value_at(nested, name), f"`{key}.{section}.{name}` {rule}")
    return found


def _check_given(faults: Faults, node: Node, key: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    nested = [value_at(node, section) for section in _NESTED if has_key(node, section)]
    for name in ("job_id", "detectors"):
        if not any(has_key(each, name) for each in (node, *nested)):
            faults.say(node, f"{key}.{name} must be given, got nothing")
    if not (has_key(node, "model") or has_key(node, "type")):
        faults.say(node, f"{key} must have a `model`, a `type` or both, got neither")


def _check_job_id(
    faults: Faults, node: Node, key: str, job_id: str | None, taken: set[str]
) -> None:
    if job_id is None:
        return
    if job_id in taken:
        where = value_at(node, "job_id")
        faults.say(where, f"{key}.job_id must be there once, got {quoted(job_id)} again")
    taken.add(job_id)


def _read_deferred(faults: Faults, found: dict[str, Any], around: Around) -> None:
    model_id = found.get("model", "")
    model = around.models.get(model_id, ModelSettings(model_id))
    predictions = "model" in found and "type" not in found
    known = OfJob(model, predictions, around.metrics.get(model_id, {}), around.filters)
    if "detectors" in found:
        told: _Deferred = found.pop("detectors")
        found["detectors"] = detectors(faults, told.node, told.key, known)
    if "filter" in found:
        told = found.pop("filter")
        found["filter"] = row_filter(names_of(model))(faults, told.node, told.key)


def _check_times(faults: Faults, node: Node, key: str, found: Mapping[str, Any]) -> None:
    span_s, frequency_s = found.get("bucket_span", 300), found.get("frequency", 0)
    if frequency_s > span_s:
        rule = f"at most the bucket span of {span_s} s"
        faults.must(value_at(node, "frequency"), f"{key}.frequency", rule)
    if found.get("clock") == "records" and (has_key(node, "type") or "time_basis" in found):
        rule = "watermark, or left out, where there is a type or a time basis"
        faults.must(value_at(node, "clock"), f"{key}.clock", rule)
    if found.get("time_basis") == "label" and has_key(node, "type"):
        rule = "event, or left out, as only predictions have labels that count"
        faults.must(value_at(node, "time_basis"), f"{key}.time_basis", rule)


def _check_snapshots(faults: Faults, node: Node, key: str, found: dict[str, Any]) -> None:
    name, other = "daily_model_snapshot_retention_after_days", "model_snapshot_retention_days"
    kept_s = found.get(other, 10 * _DAY_S)
    if name not in found:
        found[name] = min(_DAY_S, kept_s)
    elif found[name] > kept_s:
        most = shown(value_at(node, other)) if has_key(node, other) else "10"
        faults.must(value_at(node, name), f"{key}.{name}", f"at most {other}={most}")
