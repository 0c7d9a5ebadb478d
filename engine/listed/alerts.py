"""The alerts that were given, as pages, each with its rule as it was then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.listed.pages import Listed, Page, among, listed, rows_of

__all__ = ["ALERT_SORTS", "AlertsAsked", "alert_asked", "alerts_asked"]

ALERT_SORTS = ("timestamp", "status", "severity", "metric_value", "model_id")
"""What alerts can be sorted by."""


@dataclass(frozen=True, slots=True)
class AlertsAsked:
    """Which alerts are wanted; None: whatever it is.

    Attributes
    ----------
    visible : sequence of str or None
        The models that there are for the one who asks.
    start_us, end_us : int or None
        The first and the last time of triggering, event time, µs.
    sort : str
        One of `ALERT_SORTS`; with ``-`` in front the greatest comes first.
    """

    page: Page
    visible: Sequence[str] | None = None
    models: Sequence[str] | None = None
    status: str | None = None
    severity: str | None = None
    rule_id: str | None = None
    batches: Sequence[str] | None = None
    start_us: int | None = None
    end_us: int | None = None
    sort: str = "-timestamp"
    alert_id: str | None = None


_COLUMNS = """
    a.alert_id, a.rule_id, a.rule_version, a.model_id, a.metric_id, a.rule_name, a.group_value,
    a.severity, a.bound, a.threshold, a.metric_value, a.sample_count, a.window_start, a.window_end,
    a.triggered_time, a.triggered_time AS timestamp, a.suppressed_since, a.status, a.message,
    a.batch_id
"""

_RULES = """
SELECT rule_id, rule_version, lookback_s, wait_us, enabled, is_default
FROM rules_log WHERE list_contains($ids, rule_id)
"""

_METRICS = """
SELECT metric_id, name AS metric_name, type AS metric_type, query AS metric_query
FROM metrics_log WHERE list_contains($ids, metric_id)
"""

_NO_RULE = {"lookback_s": None, "wait_us": None, "enabled": False, "is_default": False}
_NO_METRIC = dict.fromkeys(("metric_name", "metric_type", "metric_query"))


def alerts_asked(cursor: duckdb.DuckDBPyConnection, asked: AlertsAsked) -> Listed:
    """Give a page of the alerts."""
    bound: dict[str, object] = {}
    source = "FROM alerts_log AS a WHERE true"
    for name, column, values in (
        ("visible", "a.model_id", asked.visible),
        ("models", "a.model_id", asked.models),
        ("status", "a.status", _one(asked.status)),
        ("severity", "a.severity", _one(asked.severity)),
        ("rule", "a.rule_id", _one(asked.rule_id)),
        ("batches", "a.batch_id", asked.batches),
        ("alert", "a.alert_id", _one(asked.alert_id)),
    ):
        if values is not None:
            bound[name] = list(values)
            source += among(name, column, values)
    for name, us, compared in (("start", asked.start_us, ">="), ("end", asked.end_us, "<=")):
        if us is not None:
            bound[name] = us
            source += f" AND a.triggered_time {compared} make_timestamp(${name}::BIGINT)"
    column = asked.sort.removeprefix("-")
    if column not in ALERT_SORTS:
        column = ALERT_SORTS[0]
    order = f"{column} {'DESC' if asked.sort.startswith('-') else 'ASC'}, alert_id"
    found = listed(cursor, _COLUMNS, source, bound, page=asked.page, order=order)
    return Listed(tuple(_completed(cursor, found.rows)), found.page, found.total)


def _completed(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Add the rules as they were, and their metrics: few, however many alerts there are."""
    if not rows:
        return
    rules = {
        (each["rule_id"], each["rule_version"]): each
        for each in rows_of(cursor, _RULES, {"ids": list({row["rule_id"] for row in rows})})
    }
    metrics = {
        each["metric_id"]: each
        for each in rows_of(cursor, _METRICS, {"ids": list({row["metric_id"] for row in rows})})
    }
    for row in rows:
        rule = rules.get((row["rule_id"], row["rule_version"]), _NO_RULE)
        yield {**row, **rule, **metrics.get(row["metric_id"], _NO_METRIC)}


def _one(value: str | None) -> list[str] | None:
    return None if value is None else [value]


def alert_asked(
    cursor: duckdb.DuckDBPyConnection, alert_id: str, visible: Sequence[str] | None
) -> dict[str, Any] | None:
    """Give one alert, None where there is no such one for the one who asks."""
    asked = AlertsAsked(Page(1, 1), visible, alert_id=alert_id)
    rows = alerts_asked(cursor, asked).rows
    return rows[0] if rows else None
