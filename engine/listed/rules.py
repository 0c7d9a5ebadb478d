"""The alert rules of a model that are in force, as pages.

A rule is here if it watches a metric that a query gives: rules on scores of anomaly jobs and on
step metrics are in `alert_rules`, too, but they belong to no contract on metrics of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.listed.pages import Listed, Page, among, listed, rows_of

__all__ = ["RULE_SORTS", "RulesAsked", "minutes", "rule_asked", "rules_asked"]

RULE_SORTS = (
    *("name", "severity", "metric_id", "metric_name", "metric_type"),
    *("subsequent_alert_wait_time", "enabled"),
)
"""What rules can be sorted by."""


@dataclass(frozen=True, slots=True)
class RulesAsked:
    """Which rules are wanted.

    Attributes
    ----------
    sort : str
        One of `RULE_SORTS`; with ``-`` in front the greatest comes first.
    with_alerts : bool
        Whether each row has `alert_counts`, `last_metric_value` and `last_triggered`.
    rule_id : str or None
        This one alone.
    """

    model_id: str
    page: Page
    severity: str | None = None
    sort: str = "name"
    with_alerts: bool = False
    rule_id: str | None = None


_COLUMNS = """
    r.rule_id, r.rule_version, r.model_id, r.metric_id, r.name, r.bound, r.threshold, r.severity,
    r.lookback_s, r.wait_us, r.wait_us as subsequent_alert_wait_time, r.enabled, r.is_default,
    r.time_basis, r.from_time, m.name as metric_name, m.type as metric_type,
    m.query as metric_query, m.endpoint as metric_endpoint
"""

# The default rules of drift wait for the model's first event (`alert_rules`).
_SOURCE = """
FROM rules_log AS r
JOIN metrics_log AS m ON m.metric_id = r.metric_id AND m.model_id = r.model_id AND m.in_force
WHERE r.in_force AND m.endpoint IN ('query', 'data_drift')
    AND (NOT r.is_default OR r.model_id IN (SELECT model_id FROM models_known))
    AND r.model_id = $model
"""

# Dynamic thresholds go by the size of a window: shown is the one of the largest seen so far.
_DYNAMIC = """
SELECT DISTINCT ON (metric_id, lookback_s) metric_id, lookback_s, threshold AS dynamic_threshold
FROM drift_thresholds WHERE list_contains($ids, metric_id)
ORDER BY metric_id, lookback_s, version DESC, sample_low DESC
"""

_CHANGES = """
SELECT id AS rule_id, arg_max(made_by, seq) AS last_changed_by, max(made_time) AS last_changed_time
FROM changes_log WHERE kind = 'alert_rule' AND list_contains($ids, id) GROUP BY id
"""

_ALERTS = """
SELECT rule_id, count(*) FILTER (status = 'new') AS new_count,
    count(*) FILTER (status = 'acknowledged') AS acknowledged_count,
    count(*) FILTER (status = 'resolved') AS resolved_count,
    arg_max(metric_value, triggered_time) AS last_metric_value,
    max(triggered_time) AS last_triggered
FROM alerts_log WHERE list_contains($ids, rule_id) GROUP BY rule_id
"""

_NO_CHANGE = {"last_changed_by": None, "last_changed_time": None}
_NO_ALERTS = {
    **dict.fromkeys(("new_count", "acknowledged_count", "resolved_count"), 0),
    **dict.fromkeys(("last_metric_value", "last_triggered")),
}


def rules_asked(cursor: duckdb.DuckDBPyConnection, asked: RulesAsked) -> Listed:
    """Give a page of the rules of a model."""
    bound: dict[str, object] = {"model": asked.model_id}
    source = _SOURCE
    for name, column in (("severity", "r.severity"), ("rule_id", "r.rule_id")):
        value = getattr(asked, name)
        if value is not None:
            bound[name] = [value]
            source += among(name, column, value)
    column = asked.sort.removeprefix("-")
    if column not in RULE_SORTS:
        column = RULE_SORTS[0]
    order = f"{column} {'DESC' if asked.sort.startswith('-') else 'ASC'}, rule_id"
    found = listed(cursor, _COLUMNS, source, bound, page=asked.page, order=order, dear=True)
    return Listed(tuple(_completed(cursor, found.rows, asked)), found.page, found.total)


def _completed(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]], asked: RulesAsked
) -> Iterator[dict[str, Any]]:
    """Add what other tables know; a question each is faster than one with joins."""
    if not rows:
        return
    ids = {"ids": [row["rule_id"] for row in rows]}
    changes = {each["rule_id"]: each for each in rows_of(cursor, _CHANGES, ids)}
    alerts = {}
    if asked.with_alerts:
        alerts = {each["rule_id"]: each for each in rows_of(cursor, _ALERTS, ids)}
    open_ids = {"ids": [row["metric_id"] for row in rows if row["threshold"] is None]}
    dynamic = {}
    if open_ids["ids"]:
        for each in rows_of(cursor, _DYNAMIC, open_ids):
            dynamic[each["metric_id"], each["lookback_s"]] = each["dynamic_threshold"]
    for row in rows:
        threshold = None
        if row["threshold"] is None:
            threshold = dynamic.get((row["metric_id"], row["lookback_s"]))
        yield {
            **row,
            "dynamic_threshold": threshold,
            **changes.get(row["rule_id"], _NO_CHANGE),
            **(alerts.get(row["rule_id"], _NO_ALERTS) if asked.with_alerts else {}),
        }


def rule_asked(
    cursor: duckdb.DuckDBPyConnection, model_id: str, rule_id: str
) -> dict[str, Any] | None:
    """Give one rule of a model, None where there is no such one."""
    found = rules_asked(cursor, RulesAsked(model_id, Page(1, 1), rule_id=rule_id))
    return found.rows[0] if found.rows else None


def minutes(seconds: float) -> int | float:
    """Give seconds as minutes, a whole number where it is one.

    >>> minutes(300), minutes(30)
    (5, 0.5)
    """
    found = seconds / 60
    return int(found) if found.is_integer() else found
