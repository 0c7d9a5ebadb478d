"""What rules on step metrics leave in the store, evaluations and alerts, and where they stood.

An evaluation is named by the step that it was made at: several may have the same event time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.config import StepRuleSettings
from engine.rules.alerting import alert_ids
from engine.rules.log import declare_beside, write_alerts
from engine.rules.panel import Versioned
from engine.rules.states import NONE, STATES
from engine.steps.step_rule_definition import ENDPOINT, StepRule
from engine.steps.step_rule_states import Stand

__all__ = ["Watcher", "declare", "ids_of", "stands_of", "write_evaluations", "write_step_alerts"]

Ints = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[Any]]

_STAMP = pa.timestamp("us")
_STATES = pa.array(STATES, pa.string())


@dataclass(frozen=True, slots=True)
class Watcher:
    """A rule on a job's series; `group`: the job, where the rule is on an experiment."""

    rule: Versioned
    settings: StepRuleSettings
    job_id: str
    group: str | None


def declare(
    cursor: duckdb.DuckDBPyConnection, rules: Sequence[StepRule], watermark_us: int | None
) -> list[Versioned]:
    """Write the rules on step metrics that are in force, and give each its version."""
    own = [each.rule for each in rules]
    return declare_beside(cursor, own, watermark_us, key="step_metric", endpoint=ENDPOINT)


def stands_of(
    cursor: duckdb.DuckDBPyConnection,
    rules: Sequence[StepRule],
    versioned: Sequence[Versioned],
) -> dict[tuple[int, str | None], Stand]:
    """Give where rules stood, by place among them and group."""
    told = [each.settings for each in rules]
    columns = {
        "place": pa.array(range(len(rules)), pa.int64()),
        "rule_id": pa.array([str(each.rule.rule_id) for each in rules], pa.string()),
        "rule_version": pa.array([each.version for each in versioned], pa.int32()),
        "job": pa.array([each.job for each in told], pa.string()),
        "name": pa.array([each.step_metric for each in told], pa.string()),
        "waits": pa.array([each.wait_steps > 1 for each in told], pa.bool_()),
    }
    cursor.register("b_step_rules", pa.table(columns))
    waited = {(place, group): count for place, group, count in cursor.execute(_WAITED).fetchall()}
    found = {}
    for place, group, row, alerted, suppressed in cursor.execute(_STOOD).fetchall():
        found[place, group] = Stand(
            np.nan if row["value"] is None else row["value"],
            row["sample_count"],
            STATES.index(row["state"]),
            NONE if row["since"] is None else row["since"],
            waited.get((place, group), 0) if alerted else NONE,
            NONE if suppressed is None else suppressed,
        )
    cursor.unregister("b_step_rules")
    return found


def ids_of(watchers: Sequence[Watcher]) -> pa.Table:
    """Give id and version of the rule of each watcher, and the group, as they are stored."""
    columns = {
        "rule_id": pa.array([str(each.rule.rule.rule_id) for each in watchers], pa.string()),
        "rule_version": pa.array([each.rule.version for each in watchers], pa.int32()),
        "group_value": pa.array([each.group for each in watchers], pa.string()),
    }
    return pa.table(columns)


def write_evaluations(cursor: duckdb.DuckDBPyConnection, ids: pa.Table, rows: Columns) -> None:
    """Store evaluations.

    Parameters
    ----------
    ids : pyarrow.Table
        Of all watchers (`ids_of`).
    rows : mapping
        Shape (n,) each: `watcher`, `start_us`, `time_us`, `value`, `samples`, `state`, `since_us`
        and `step`.
    """
    if not len(rows["watcher"]):
        return
    columns = {
        **_window(ids, rows),
        "value": pa.array(rows["value"], mask=np.isnan(rows["value"])),
        "state": _STATES.take(pa.array(rows["state"], pa.int64())),
        "since": _stamps(rows["since_us"]),
    }
    cursor.register("b_evaluations", pa.table(columns))
    cursor.execute("INSERT INTO evaluations_log BY NAME SELECT * FROM b_evaluations")
    cursor.unregister("b_evaluations")


def write_step_alerts(
    cursor: duckdb.DuckDBPyConnection, ids: pa.Table, watchers: Sequence[Watcher], rows: Columns
) -> pa.Table:
    """Store alerts, some; gives their `alert_id` and `model_id`.

    Parameters
    ----------
    ids : pyarrow.Table
        Of all watchers (`ids_of`).
    watchers : sequence of Watcher
    rows : mapping
        As for evaluations, and `suppressed_us`, `first_step`, `from_seq` and `seq`.
    """
    rules = [each.rule.rule for each in watchers]
    texts = {
        "model_id": [each.model_id for each in rules],
        "metric_id": [str(each.metric.metric_id) for each in rules],
        "rule_name": [each.name for each in rules],
        "severity": [each.settings.severity for each in rules],
        "bound": [each.settings.bound for each in rules],
    }
    columns = {
        **_window(ids, rows),
        **{name: _each(rows, pa.array(values, pa.string())) for name, values in texts.items()},
        "alert_id": pa.array(alert_ids(watchers, rows["watcher"], rows["step"]), pa.string()),
        "threshold": _each(rows, pa.array([each.settings.threshold for each in watchers])),
        "metric_value": pa.array(rows["value"]),
        "triggered_time": _stamps(rows["time_us"]),
        "suppressed_since": _stamps(rows["suppressed_us"]),
        "from_position": pa.array(rows["from_seq"]),
        "to_position": pa.array(rows["seq"]),
        "status": pa.repeat(pa.scalar("new", pa.string()), len(rows["watcher"])),
        "message": pa.array(list(_messages(watchers, rows)), pa.string()),
    }
    found = pa.table(columns)
    write_alerts(cursor, found)
    return found.select(["alert_id", "model_id"])


def _window(ids: pa.Table, rows: Columns) -> "dict[str, pa.ChunkedArray[Any] | pa.Array[Any]]":
    """Give the columns that say who saw something, and in which window."""
    own = ids.take(pa.array(rows["watcher"], pa.int64()))
    return {
        **{name: own[name] for name in own.column_names},
        "window_start": _stamps(rows["start_us"]),
        "window_end": _stamps(rows["time_us"]),
        "sample_count": pa.array(rows["samples"]),
        "step": pa.array(rows["step"]),
    }


def _each(rows: Columns, values: "pa.Array[Any]") -> "pa.Array[Any]":
    found: pa.Array[Any] = values.take(pa.array(rows["watcher"], pa.int64()))
    return found


def _stamps(times_us: npt.NDArray[Any]) -> "pa.Array[Any]":
    none = times_us == NONE
    stamps: pa.Array[Any] = pa.array(np.where(none, 0, times_us), mask=none)
    return stamps.cast(_STAMP)


def _messages(watchers: Sequence[Watcher], rows: Columns) -> Iterable[str]:
    """Say what rules saw, in words that a person can act on."""
    heads = [_head(each) for each in watchers]
    names = ("watcher", "first_step", "step", "samples", "value")
    for number, first, step, samples, value in zip(
        *(rows[name].tolist() for name in names), strict=True
    ):
        told = watchers[number].settings
        steps = f"at step {step}" if samples == 1 else f"over {samples:,} steps, {first} to {step}"
        side = "above" if told.bound == "upper" else "below"
        limit = f"{side} its threshold {told.threshold:.6g}"
        yield f"{heads[number]} was {value:.6g} {steps}, {limit}"


def _head(watcher: Watcher) -> str:
    told = watcher.settings
    of = "" if told.experiment is None else f" of experiment {told.experiment}"
    what = told.step_metric if told.steps == 1 else f"{told.function} of {told.step_metric}"
    return f"{watcher.rule.rule.name}: {what} of job {watcher.job_id}{of}"


_GIVEN = """
given AS (
    SELECT place, group_value, max(step) AS step, max(to_position) AS line,
        any_value(coalesce(group_value, job)) AS job_id, any_value(name) AS name,
        any_value(waits) AS waits
    FROM alerts_log JOIN b_step_rules USING (rule_id, rule_version) GROUP BY place, group_value
)
"""
# The rule was evaluated at each new highest step since its last alert.
_WAITED = f"""
WITH {_GIVEN}, behind AS (
    SELECT g.place, g.group_value, l.step, max(l.step) OVER (
        PARTITION BY g.place, g.group_value ORDER BY l.seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
    FROM given g JOIN step_log l ON l.job_id = g.job_id AND l.name = g.name
        AND l.seq > g.line AND l.step > g.step
    WHERE g.waits
)
SELECT place, group_value, count(*) FROM behind WHERE highest IS NULL OR step > highest
GROUP BY ALL
"""
# The first suppressed evaluation since the last alert: states are stored where they change.
_STOOD = f"""
WITH {_GIVEN}, seen AS (
    SELECT r.place, e.*, g.step AS given
    FROM evaluations_log e JOIN b_step_rules r USING (rule_id, rule_version)
    LEFT JOIN given g ON g.place = r.place AND g.group_value IS NOT DISTINCT FROM e.group_value
)
SELECT place, group_value,
    max_by({{'value': value, 'sample_count': sample_count, 'state': state,
        'since': epoch_us(since)}}, step),
    any_value(given) IS NOT NULL,
    epoch_us(min_by(window_end, step) FILTER (
        state = 'suppressed' AND (given IS NULL OR step > given)))
FROM seen GROUP BY place, group_value
"""
