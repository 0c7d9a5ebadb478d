"""The configuration of runs that are killed: fifty rules of all kinds, five anomaly jobs, and more.

JSON is YAML: what `written` writes is read as a person's file is.
"""

import json

from crash_events import CATALOGUES, STEP_RULES
from crash_stream import NIGHTLY, REFERENCE, SHOP
from rule_traces import declared, random_rules

__all__ = [
    "ANOMALY_JOBS",
    "RULES",
    "SCORE_RULES",
    "declared_rule",
    "everything_set",
    "unwatched_set",
    "written",
]

RULES = 50
ANOMALY_JOBS = [
    {
        "job_id": "visits",
        "model": SHOP,
        "bucket_span": "1m",
        "frequency": "30s",
        "detectors": [
            {"function": "count"},
            {"function": "metric", "field_name": "price"},
            {"function": "median", "field_name": "price", "partition_field_name": "city"},
            {"function": "rare", "by_field_name": "city"},
        ],
        "influencers": ["city", "prediction"],
    },
    {
        "job_id": "crowd",
        "model": SHOP,
        "bucket_span": "2m",
        "latency": "30s",
        "detectors": [
            {"function": "high_count", "over_field_name": "city"},
            {"function": "time_of_day", "by_field_name": "prediction"},
        ],
        "influencers": ["city"],
    },
    {
        "job_id": "quality",
        "model": SHOP,
        "bucket_span": "5m",
        "detectors": [
            {"function": "high_mean", "field_name": "error"},
            {"function": "low_mean", "field_name": "accuracyRateMulticlass"},
        ],
        "influencers": ["prediction"],
    },
    {
        "job_id": "runs",
        "type": "run",
        "bucket_span": "3m",
        "detectors": [{"function": "mean", "field_name": "run_time", "by_field_name": "status"}],
    },
]
_FIFTH_JOB = {
    "job_id": "ages",
    "model": "m0",
    "bucket_span": "1m",
    "normalizer": "elastic",
    "results_retention_days": 1,
    "detectors": [
        {"function": "mean", "field_name": "age", "partition_field_name": "city"},
        {"function": "distinct_count", "field_name": "city"},
    ],
    "influencers": ["city"],
}
SCORE_RULES = [
    {"anomaly_job": "visits", "threshold": 20, "severity": "critical"},
    {
        "anomaly_job": "visits",
        "result_type": "record",
        "threshold": 30,
        "severity": "warning",
        "include_interim": True,
        "subsequent_alert_wait_time": 3,
    },
    {"anomaly_job": "quality", "threshold": 10, "severity": "warning", "buckets": 3},
]
_STEP_RULES = [
    *STEP_RULES,
    {
        "step_metric": "accuracy",
        "experiment": "tuning",
        "function": "median",
        "steps": 5,
        "bound": "lower",
        "threshold": 0.4,
        "resolve_threshold": 0.45,
        "severity": "warning",
    },
]
_DRIFT_RULES = [
    {"model": SHOP, "metric": f"{measure}(features.{name})", "bound": "upper", **more}
    for measure, name, more in (
        ("PSI", "price", {"threshold": "dynamic", "severity": "warning"}),
        ("PSI", "city", {"threshold": 0.05, "severity": "critical", "lookback_period": 3}),
        ("KLDivergence", "city", {"threshold": 0.1, "severity": "warning", "for": 2}),
    )
]
_BATCH_RULES = [
    {"model": NIGHTLY, "metric": metric, "bound": bound, "threshold": threshold, **more}
    for metric, bound, threshold, more in (
        ("accuracyRateMulticlass", "lower", 0.5, {"severity": "critical"}),
        ("count", "upper", 15, {"severity": "warning"}),
        ("avg(features.age)", "upper", 40, {"severity": "warning"}),
    )
]


def declared_rule(settings):
    """A rule as the configuration has it; those that could fire every few seconds must wait."""
    often = settings.group_by or settings.lookback_s != 300
    told = {
        "subsequent_alert_wait_time": max(settings.wait_us / 60e6, 5 if often else 0),
        "for": settings.hold_us / 60e6,
        "lookback_period": settings.lookback_s and settings.lookback_s / 60,
    }
    names = ("model", "metric", "bound", "threshold", "severity", "name", "time_basis", "enabled")
    names += ("on_no_data", "resolve_threshold", "min_sample_count", "min_label_coverage")
    told |= {name: getattr(settings, name) for name in names}
    if settings.group_by:
        told |= {"group_by": settings.group_by, "group_limit": settings.group_limit}
    return {name: value for name, value in told.items() if value is not None}


def everything_set(seed, reference):
    """Give the sections for a stream with everything in it.

    Parameters
    ----------
    seed : int
        Of the rules that are drawn.
    reference : Path
        Where the reference set of the shop is written.
    """
    reference.write_text("".join(json.dumps(row) + "\n" for row in REFERENCE))
    others = [*SCORE_RULES, *_STEP_RULES, *_DRIFT_RULES, *_BATCH_RULES]
    drawn = random_rules(seed, RULES - len(others))
    models = [{"id": m.id} | ({"positive": m.positive} if m.positive else {}) for m in declared()]
    models += [
        {"id": SHOP, "reference": {"files": str(reference)}, "drift_lookback": "10m"},
        {"id": NIGHTLY, "kind": "batch", "positive": "yes"},
        *({"id": f"triage-{n}", "minutes_per_event": 2.5 + n} for n in range(3)),
    ]
    return {
        "models": models,
        "metrics": [
            {"model": each.settings.model, "name": each.settings.metric, "query": each.query}
            for each in drawn
        ],
        "alert_rules": [*(declared_rule(each.settings) for each in drawn), *others],
        "anomaly_jobs": [*ANOMALY_JOBS, _FIFTH_JOB],
        "calendars": [
            {
                "calendar_id": "pause",
                "job_ids": ["visits"],
                "events": [
                    {
                        "description": "the tills are counted",
                        "start_time": "2023-11-14T22:40:00Z",
                        "end_time": "2023-11-14T22:42:30Z",
                    }
                ],
            }
        ],
        "catalogues": CATALOGUES,
        "users": [{"username": "root", "role": "administrator"}],
        "retention": {"events": "90d", "evaluations": "30m", "rejects": "30d"},
    }


def unwatched_set(seed, reference):
    """Give the sections of `everything_set` without what follows the rows of events.

    Then late labels that stand alone are settled by arrays, and events without properties are kept
    in a table of their own.
    """
    watching = ("metrics", "alert_rules", "anomaly_jobs", "calendars")
    told = everything_set(seed, reference)
    kept = {name: section for name, section in told.items() if name not in watching}
    # Models with a reference have rules of their own (in the stream, too, it is to be left out),
    # and batches are always followed.
    models = [each for each in told["models"] if each["id"] not in (SHOP, NIGHTLY)]
    return kept | {"models": models, "keep_events": "none"}


def written(folder, sources, sections):
    """Write a configuration over the data in the folder; gives its path."""
    path = folder / "config.yaml"
    told = {"data": str(folder / "data"), **({"sources": sources} if sources else {}), **sections}
    path.write_text(json.dumps(told, indent=1))
    return path
