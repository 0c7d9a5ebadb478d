"""`/metrics`: the run's own counters and the current value of every rule's metric, for Prometheus.

One read of one commit. A rule's value is that of its newest evaluation, for each of its groups;
where it had no data it is NaN. Costs about 0.4 s for 10,000 rules and 3 million
evaluations.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from fastapi import APIRouter
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Viewer
from connectors.rest.faults import Fault
from connectors.rest.own.shapes import content, described, own_router
from connectors.rest.services import services_of

__all__ = ["PROMETHEUS", "RULES_MAX", "exposition"]

PROMETHEUS: APIRouter = own_router()
RULES_MAX = 100_000
"""Values of rules and groups that are told; how many more there are is told, too."""

_PARTITIONS = """
SELECT source, partition, events, rejects, position, epoch_us(watermark) / 1e6 FROM partitions
ORDER BY ALL
"""
_WATERMARK = "SELECT epoch_us(watermark) / 1e6 FROM clock"
_ALERTS = "SELECT severity, status, count(*) FROM alerts_log GROUP BY ALL ORDER BY ALL"
_NOTIFICATIONS = "SELECT status, count(*) FROM notifications_log GROUP BY ALL ORDER BY ALL"
_BUCKETS = """
SELECT job_id, count(*), count(*) FILTER (is_interim), epoch_us(max(timestamp)) / 1e6,
    arg_max(score, timestamp)
FROM bucket_results GROUP BY ALL ORDER BY ALL
"""
_MODELS = "SELECT count(*) FROM models_known"
# Row ids first: what else a row has is then read for the newest alone.
_RULES = """
WITH newest AS MATERIALIZED (
    FROM evaluations_log WHERE rowid IN (
        SELECT arg_max(rowid, coalesce(step, epoch_us(window_end))) FROM evaluations_log
        GROUP BY rule_id, rule_version, group_value
    )
)
SELECT r.rule_id, r.name, r.model_id, coalesce(r.metric_name, ''), coalesce(e.group_value, ''),
    e.state, e.value, e.sample_count, epoch_us(e.window_end) / 1e6
FROM newest e JOIN alert_rules r USING (rule_id, rule_version)
WHERE r.enabled LIMIT $rows
"""
_RULE = ("rule_id", "rule_name", "model_id", "metric", "group")
_PART = ("source", "partition")
_OF_RULE = {  # with their places in a row
    "bellwether_rule_value": 6,
    "bellwether_rule_sample_count": 7,
    "bellwether_rule_window_end_timestamp_seconds": 8,
}
_HELP = {
    "bellwether_rules_cut": "Whether there are more rules and groups than are told here.",
    "bellwether_rule_value": "What the rule saw when it was last evaluated; NaN: no data.",
    "bellwether_rule_sample_count": "Events in the window of that evaluation.",
    "bellwether_rule_window_end_timestamp_seconds": "End of that window.",
    "bellwether_rule_state": "1: the state of the rule.",
}
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


@PROMETHEUS.get(
    "/metrics", **described(content({"type": "string"}, CONTENT_TYPE_PLAIN_0_0_4.split(";")[0]))
)
async def own_metrics(request: Request, caller: Viewer) -> Response:
    """Tell the counters of the run and what rules see, as Prometheus reads it."""
    if not caller.sees_all:
        msg = "only a user who sees every model and every job may see the metrics of all"
        raise Fault(403, msg)
    services = services_of(request)
    failed, committed_s = services.state.fault is not None, services.state.committed_s
    text = await services.read(
        lambda asking: exposition(
            asking.cursor, time.time(), failed=failed, committed_s=committed_s
        )
    )
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposition(
    cursor: duckdb.DuckDBPyConnection, now_s: float, *, failed: bool, committed_s: float
) -> bytes:
    """Give the text.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Sees one commit.
    now_s : float
        The wall clock.
    failed : bool
        Whether a fault has ended the run.
    committed_s : float
        Seconds since the run was last seen to go on.
    """
    run = [
        _gauge("bellwether_up", "1 while the run goes on, 0 after a fault.", 1 - failed),
        _gauge(
            "bellwether_last_commit_age_seconds",
            "Since the last commit, or the last look at idle inputs.",
            committed_s,
        ),
        _gauge("bellwether_models", "Models that are known.", _one(cursor, _MODELS)),
    ]
    found = [*run, *_progress(cursor, now_s), *_given(cursor), *_buckets(cursor)]
    return generate_latest(_Collected(found)) + _rules(cursor)


def _progress(cursor: duckdb.DuckDBPyConnection, now_s: float) -> Iterator[Metric]:
    rows = cursor.execute(_PARTITIONS).fetchall()
    yield _counter("bellwether_lines", "Lines that were taken.", _PART, _lines(rows))
    yield _counter("bellwether_events", "Lines that became events.", _PART, _picked(rows, 2))
    yield _counter("bellwether_rejects", "Lines that break a rule.", _PART, _picked(rows, 3))
    yield _gauges("bellwether_position", "Where the source is to go on.", _PART, _picked(rows, 4))
    told = "Event time up to which the source is complete, seconds since 1970."
    name = "bellwether_watermark_timestamp_seconds"
    yield _gauges(name, told, _PART, _picked(rows, 5))
    watermark = _one(cursor, _WATERMARK)
    if watermark is not None:
        told = "The wall clock less the event time up to which everything is complete."
        yield _gauge("bellwether_watermark_lag_seconds", told, now_s - watermark)


def _given(cursor: duckdb.DuckDBPyConnection) -> Iterator[Metric]:
    rows = cursor.execute(_ALERTS).fetchall()
    yield _gauges("bellwether_alerts", "Alerts.", ("severity", "status"), _picked(rows, 2))
    rows = cursor.execute(_NOTIFICATIONS).fetchall()
    told = "Notifications by how far they are."
    yield _gauges("bellwether_notifications", told, ("status",), _picked(rows, 1, 1))


def _buckets(cursor: duckdb.DuckDBPyConnection) -> Iterator[Metric]:
    rows, label = cursor.execute(_BUCKETS).fetchall(), ("job_id",)
    told = (
        ("bellwether_anomaly_buckets", "Buckets with a result."),
        ("bellwether_anomaly_interim_buckets", "Buckets that are still open."),
        ("bellwether_anomaly_bucket_timestamp_seconds", "Start of the newest bucket."),
        ("bellwether_anomaly_bucket_score", "Anomaly score of the newest bucket, 0 to 100."),
    )
    for place, (name, text) in enumerate(told, start=1):
        yield _gauges(name, text, label, _picked(rows, place, 1))


def _rules(cursor: duckdb.DuckDBPyConnection) -> bytes:
    """Give the text about rules, line by line: there may be a hundred thousand of them."""
    rows = cursor.execute(_RULES, {"rows": RULES_MAX + 1}).fetchall()
    cut = len(rows) > RULES_MAX
    parts = [_head("bellwether_rules_cut"), f"bellwether_rules_cut {float(cut)}\n"]
    labels = [_labels(row[:5]) for row in rows[:RULES_MAX]]
    for name, place in _OF_RULE.items():
        parts.append(_head(name))
        parts += [
            f"{name}{{{label}}} {_number(row[place])}\n"
            for label, row in zip(labels, rows, strict=False)
        ]
    name = "bellwether_rule_state"
    parts.append(_head(name))
    parts += [
        f'{name}{{{label},state="{row[5]}"}} 1.0\n'
        for label, row in zip(labels, rows, strict=False)
    ]
    return "".join(parts).encode()


def _head(name: str) -> str:
    return f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n"


def _labels(values: Sequence[str]) -> str:
    return ",".join(
        f'{name}="{value.translate(_ESCAPED)}"' for name, value in zip(_RULE, values, strict=True)
    )


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


# ---- samples ---------------------------------------------------------------------------------

Samples = Iterable[tuple[Sequence[str], float | None]]


def _picked(rows: Sequence[tuple[Any, ...]], place: int, labels: int = 2) -> Samples:
    return [(row[:labels], row[place]) for row in rows]


def _lines(rows: Sequence[tuple[Any, ...]]) -> Samples:
    return [(row[:2], row[2] + row[3]) for row in rows]


def _one(cursor: duckdb.DuckDBPyConnection, sql: str) -> Any:
    rows = cursor.execute(sql).fetchall()
    return rows[0][0] if rows else None


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _gauges(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    _fill(family, samples)
    return family


def _counter(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    _fill(family, samples)
    return family


def _fill(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> None:
    for labels, value in samples:
        family.add_metric(list(labels), float("nan") if value is None else float(value))
