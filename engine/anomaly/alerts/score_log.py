"""What rules on scores leave in the store: evaluations, alerts, and what they looked at."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import uuid3

import duckdb
import pyarrow as pa

from engine.anomaly.alerts.score_looks import Look, message
from engine.anomaly.alerts.score_rules import ScoreRule
from engine.anomaly.alerts.score_watch import Alert, Evaluation, Stood
from engine.asking import first
from engine.metrics import METRIC_NAMESPACE
from engine.rules.log import write_alerts
from engine.rules.states import NONE, SECOND_US

__all__ = ["Named", "Seen", "alert_row", "write"]

Named = tuple[str, int]
"""Id and version of a rule."""

Seen = tuple[Named, int]
"""What looked at a bucket, and the end of this."""

_STAMP = pa.timestamp("us")
_KEY: Final[dict[str, pa.DataType]] = {"rule_id": pa.string(), "rule_version": pa.int32()}
_WINDOW: Final[dict[str, pa.DataType]] = {"window_start": _STAMP, "window_end": _STAMP}
_ENDS = pa.schema({**_KEY, "end": _STAMP})
_EVALUATIONS = pa.schema(
    {
        **_KEY,
        **_WINDOW,
        "value": pa.float64(),
        "sample_count": pa.int64(),
        "state": pa.string(),
        "since": _STAMP,
    }
)
_LOOKS = pa.schema(
    {
        **_KEY,
        "bucket_start": _STAMP,
        "bucket_end": _STAMP,
        "is_interim": pa.bool_(),
        "score": pa.float64(),
        "sample_count": pa.int64(),
        "top": pa.string(),
    }
)
_ALERTS = pa.schema(
    {
        **_KEY,
        **_WINDOW,
        "alert_id": pa.string(),
        "model_id": pa.string(),
        "metric_id": pa.string(),
        "rule_name": pa.string(),
        "severity": pa.string(),
        "bound": pa.string(),
        "threshold": pa.float64(),
        "metric_value": pa.float64(),
        "sample_count": pa.int64(),
        "triggered_time": _STAMP,
        "suppressed_since": _STAMP,
        "from_position": pa.int64(),
        "to_position": pa.int64(),
        "status": pa.string(),
        "message": pa.string(),
    }
)


def write(
    cursor: duckdb.DuckDBPyConnection,
    evaluations: Mapping[Seen, Evaluation | None],
    again: Collection[Seen],
    alerts: Sequence[Mapping[str, object]],
    standing: Mapping[Named, Stood],
) -> pa.Table:
    """Store what looks left; gives `alert_id` and `model_id` of the alerts.

    Parameters
    ----------
    evaluations : mapping
        All that was looked at, and what is to be stored of it.
    again : collection
        What was looked at before, as it stood then: of that nothing stays.
    alerts : sequence
        Rows (`alert_row`).
    standing : mapping
        Where the rules stand that looked at something.
    """
    if not evaluations:
        return _table([], _ALERTS).select(["alert_id", "model_id"])
    ends = [_named(*key, end=_us(end)) for key, end in again]
    _delete(cursor, "evaluations_log", _table(ends, _ENDS), 't.window_end = b."end"')
    told = [_evaluation(key, each) for (key, _), each in evaluations.items() if each is not None]
    _insert(cursor, "evaluations_log", _table(told, _EVALUATIONS))
    kept = [_named(*key, end=_us(_first_closed(stood))) for key, stood in standing.items()]
    over = 't.is_interim OR t.bucket_end < b."end"'
    _delete(cursor, "score_looks", _table(kept, _ENDS), over)
    looks = [
        _look(key, look)
        for key, stood in standing.items()
        for look in stood.looks.values()
        if look.is_interim or (key, look.end_s) in evaluations
    ]
    _insert(cursor, "score_looks", _table(looks, _LOOKS))
    found = _table(alerts, _ALERTS)
    if len(found):
        write_alerts(cursor, found)
    return found.select(["alert_id", "model_id"])


def _first_closed(stood: Stood) -> int:
    return min((end for end, look in stood.looks.items() if not look.is_interim), default=NONE)


def _delete(cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, condition: str) -> None:
    """Delete what makes room for new rows of the same rules."""
    if not len(rows):
        return
    cursor.register("b_doomed", rows)
    cursor.execute(
        f"DELETE FROM {table} t USING b_doomed b WHERE t.rule_id = b.rule_id"
        f" AND t.rule_version = b.rule_version AND ({condition})"
    )
    cursor.unregister("b_doomed")


def _insert(cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    if len(rows):
        cursor.register("b_new", rows)
        cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM b_new")
        cursor.unregister("b_new")


def _table(rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema)


def _us(seconds: int) -> int | None:
    return None if seconds == NONE else seconds * SECOND_US


def _named(rule_id: str, version: int, **more: object) -> dict[str, object]:
    return {"rule_id": rule_id, "rule_version": version, **more}


def _evaluation(key: Named, each: Evaluation) -> dict[str, object]:
    return _named(
        *key,
        window_start=_us(each.start_s),
        window_end=_us(each.end_s),
        value=each.value,
        sample_count=each.samples,
        state=each.state,
        since=_us(each.since_s),
    )


def _look(key: Named, look: Look) -> dict[str, object]:
    return _named(
        *key,
        bucket_start=_us(look.start_s),
        bucket_end=_us(look.end_s),
        is_interim=look.is_interim,
        score=look.score,
        sample_count=look.samples,
        top=look.top,
    )


def alert_row(
    cursor: duckdb.DuckDBPyConnection,
    rule: ScoreRule,
    version: int,
    alert: Alert,
    last_line: int,
) -> dict[str, Any]:
    """Give the row of an alert.

    Parameters
    ----------
    last_line : int
        The last line that was known when it was given.
    """
    own, start_s, end_s = rule.rule, alert.window[0].start_s, alert.window[-1].end_s
    # See `engine.rules.marks`: the line from which on the stream had reached the window's minute.
    mark = first(
        cursor,
        "SELECT min(first_seq) FROM minute_marks WHERE minute_s >= $minute_s",
        {"minute_s": start_s // 60 * 60},
    )
    told = f"alert\0{own.rule_id}\0{version}\0{end_s}"
    return _named(
        str(own.rule_id),
        version,
        alert_id=str(uuid3(METRIC_NAMESPACE, told)),
        model_id=own.model_id,
        metric_id=str(own.metric.metric_id),
        rule_name=own.name,
        severity=rule.settings.severity,
        bound="upper",
        threshold=rule.settings.threshold,
        metric_value=alert.value,
        sample_count=alert.samples,
        window_start=_us(start_s),
        window_end=_us(end_s),
        triggered_time=alert.triggered_us,
        suppressed_since=_us(alert.suppressed_s),
        from_position=None if mark is None else mark[0],
        to_position=last_line,
        status="new",
        message=message(rule.settings, alert.window),
    )
