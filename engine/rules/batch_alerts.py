"""What rules leave of a batch: one evaluation each, and the alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid3

import duckdb
import numpy as np
import pyarrow as pa

from engine.metrics import METRIC_NAMESPACE
from engine.rules.batch_parts import Told
from engine.rules.definition import Rule
from engine.rules.panel import Versioned
from engine.rules.states import SECOND_US

__all__ = ["Evaluated", "judged", "write_batch_alerts", "write_batch_evaluations"]

_STAMP = pa.timestamp("us")
_COLUMNS = (
    *("alert_id", "rule_id", "rule_version", "model_id", "metric_id", "rule_name", "severity"),
    *("bound", "threshold", "metric_value", "sample_count", "window_start", "window_end"),
    *("triggered_time", "from_position", "to_position", "status", "message", "batch_id"),
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a rule saw of a batch.

    Attributes
    ----------
    window : tuple of int
        Time of the batch's earliest event, and the boundary, whole seconds.
    value : float or None
    state : str
        ``ok``, ``firing`` or ``no_data``.
    lines : tuple of (int or None) and int
        The first line of the batch, and the last one that was known; of firing ones.
    """

    rule: Versioned
    batch_id: str
    window: tuple[int, int]
    value: float | None
    samples: int
    threshold: float | None
    state: str
    lines: tuple[int | None, int] = (None, 0)


def judged(
    rule: Versioned, batch_id: str, window: tuple[int, int], told: Told, coverage: float
) -> Evaluated:
    """Compare the value of a batch with what a rule allows.

    Parameters
    ----------
    told : Told
    coverage : float
        Labelled rows of all rows; NaN: of none.
    """
    settings = rule.rule.settings
    limit = told.threshold if settings.threshold is None else settings.threshold
    value = None if np.isnan(told.value) else told.value
    few = told.samples < settings.min_sample_count or coverage < settings.min_label_coverage
    if value is None or few:
        alerts = settings.on_no_data == "alert"
        state, value = ("firing", None) if alerts else ("no_data", value)
    else:
        upper = settings.bound == "upper"
        beyond = limit is not None and (value > limit if upper else value < limit)
        state = "firing" if beyond else "ok"
    return Evaluated(rule, batch_id, window, value, told.samples, limit, state)


def write_batch_evaluations(
    cursor: duckdb.DuckDBPyConnection, evaluated: Sequence[Evaluated]
) -> None:
    """Store what rules saw: `group_value` is the batch."""
    if not evaluated:
        return
    firing = [each.state == "firing" for each in evaluated]
    table = pa.table(
        {
            "rule_id": [str(each.rule.rule.rule_id) for each in evaluated],
            "rule_version": pa.array([each.rule.version for each in evaluated], pa.int32()),
            "group_value": [each.batch_id for each in evaluated],
            "window_start": _stamps([each.window[0] for each in evaluated]),
            "window_end": _stamps([each.window[1] for each in evaluated]),
            "value": pa.array([each.value for each in evaluated], pa.float64()),
            "sample_count": pa.array([each.samples for each in evaluated], pa.int64()),
            "state": [each.state for each in evaluated],
            "since": _stamps(
                [
                    each.window[1] if fires else None
                    for each, fires in zip(evaluated, firing, strict=True)
                ]
            ),
        }
    )
    cursor.register("b_evaluations", table)
    cursor.execute("INSERT INTO evaluations_log BY NAME FROM b_evaluations")
    cursor.unregister("b_evaluations")


def write_batch_alerts(
    cursor: duckdb.DuckDBPyConnection, evaluated: Sequence[Evaluated]
) -> pa.Table:
    """Store the alerts of those that fire; gives `alert_id` and `model_id` of each."""
    rows = [_row(each) for each in evaluated if each.state == "firing"]
    kinds: dict[str, pa.DataType] = {
        **dict.fromkeys(("threshold", "metric_value"), pa.float64()),
        **dict.fromkeys(("sample_count", "from_position", "to_position"), pa.int64()),
        **dict.fromkeys(("window_start", "window_end", "triggered_time"), _STAMP),
        "rule_version": pa.int32(),
    }
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    table = pa.Table.from_pylist(rows, schema)
    if rows:
        cursor.register("b_alerts", table)
        cursor.execute("INSERT INTO alerts_log BY NAME FROM b_alerts")
        cursor.unregister("b_alerts")
    return table.select(["alert_id", "model_id"])


def _row(each: Evaluated) -> dict[str, object]:
    rule, (start_s, end_s) = each.rule.rule, each.window
    told = f"alert\0{rule.rule_id}\0{each.rule.version}\0{end_s}\0{each.batch_id}"
    return {
        "alert_id": str(uuid3(METRIC_NAMESPACE, told)),
        "rule_id": str(rule.rule_id),
        "rule_version": each.rule.version,
        "model_id": rule.model_id,
        "metric_id": str(rule.metric.metric_id),
        "rule_name": rule.name,
        "severity": rule.settings.severity,
        "bound": rule.settings.bound,
        "threshold": each.threshold,
        "metric_value": each.value,
        "sample_count": each.samples,
        "window_start": start_s * SECOND_US,
        "window_end": end_s * SECOND_US,
        "triggered_time": end_s * SECOND_US,
        "from_position": each.lines[0] if each.samples else None,
        "to_position": each.lines[1],
        "status": "new",
        "message": _message(rule, each),
        "batch_id": each.batch_id,
    }


def _message(rule: Rule, each: Evaluated) -> str:
    """Say what a rule saw in a batch."""
    counted = f"{each.samples:,} labelled event" if _labelled(rule) else f"{each.samples:,} event"
    counted += "" if each.samples == 1 else "s"
    span = f"({counted} from {_time(each.window[0])} UTC on)"
    about = f"{rule.name}: {rule.metric.name} of model {rule.model_id}"
    if each.value is None:
        return f"{about} has no value in batch {each.batch_id} {span}"
    side = "above" if rule.settings.bound == "upper" else "below"
    kind = "dynamic threshold" if rule.settings.threshold is None else "threshold"
    return (
        f"{about} was {each.value:.6g} in batch {each.batch_id} {span},"
        f" {side} its {kind} {each.threshold:.6g}"
    )


def _labelled(rule: Rule) -> bool:
    return rule.time_basis == "label"


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _stamps(seconds: Sequence[int | None]) -> "pa.Array[Any]":
    times = [None if each is None else each * SECOND_US for each in seconds]
    stamps: pa.Array[Any] = pa.array(times, pa.int64()).cast(_STAMP)
    return stamps
