"""What rules leave in the store: definitions, evaluations and alerts; and where they stood."""

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.asking import number
from engine.rules.definition import Metric, Rule
from engine.rules.panel import Ids, Stand, Versioned
from engine.rules.states import NONE, SECOND_US, STATES, Evaluations

__all__ = [
    "declare_beside",
    "declare_metrics",
    "declare_rules",
    "stands",
    "write_alerts",
    "write_evaluations",
]

_STAMP = pa.timestamp("us")
_STATES = pa.array(STATES, pa.string())

_RULE_COLUMNS = (
    *("rule_id", "rule_version", "model_id", "metric_id", "name", "bound", "threshold", "severity"),
    *("lookback_s", "step_s", "wait_us", "hold_us", "time_basis", "enabled", "is_default"),
    *("on_no_data", "resolve_threshold", "min_sample_count", "min_label_coverage", "group_by"),
    *("group_limit", "definition"),
)


def declare_rules(
    cursor: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    watermark_us: int | None,
    *,
    whole: bool,
) -> list[Versioned]:
    """Write the rules in force and give each its version: a new one where its definition differs.

    Parameters
    ----------
    watermark_us : int or None
        From when on a new version holds.
    whole : bool
        `rules` are all there are: those left out are in force no more.
    """
    known = {
        rule_id: (version, definition)
        for rule_id, version, definition in cursor.execute(
            "SELECT rule_id, max(rule_version), arg_max(definition, rule_version)"
            " FROM rules_log GROUP BY rule_id"
        ).fetchall()
    }
    found, new = [], []
    for rule in rules:
        version, definition = known.get(str(rule.rule_id), (0, None))
        if definition != rule.definition:
            version += 1
            new.append(Versioned(rule, version))
        found.append(Versioned(rule, version))
    if whole:
        cursor.execute("UPDATE rules_log SET in_force = false WHERE in_force")
    if new:
        cursor.register("b_rules", _rule_rows(new))
        cursor.execute(
            f"INSERT INTO rules_log SELECT {', '.join(_RULE_COLUMNS)}, make_timestamp($at), false"
            " FROM b_rules",
            {"at": watermark_us},
        )
        cursor.unregister("b_rules")
    _mark(cursor, found)
    return found


def declare_beside(
    cursor: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    watermark_us: int | None,
    *,
    key: str,
    endpoint: str,
) -> list[Versioned]:
    """Write the rules of another kind that are in force, beside those on metrics of models.

    Parameters
    ----------
    watermark_us : int or None
        From when on a new version holds.
    key : str
        What the definitions of this kind have, and no others.
    endpoint : str
        That of the metrics of this kind, and of no others.
    """
    cursor.execute(
        "UPDATE rules_log SET in_force = false WHERE in_force AND json_exists(definition, $path)",
        {"path": f"$.{key}"},
    )
    cursor.execute(
        "UPDATE metrics_log SET in_force = false WHERE endpoint = $endpoint",
        {"endpoint": endpoint},
    )
    if not rules:
        return []
    declare_metrics(cursor, [rule.metric for rule in rules])
    return declare_rules(cursor, rules, watermark_us, whole=False)


def _mark(cursor: duckdb.DuckDBPyConnection, rules: Sequence[Versioned]) -> None:
    """Say of each version whether it is the one in force, and which name that one has now."""
    table = pa.table(
        {
            "rule_id": pa.array([str(each.rule.rule_id) for each in rules], pa.string()),
            "rule_version": pa.array([each.version for each in rules], pa.int32()),
            "name": pa.array([each.rule.name for each in rules], pa.string()),
        }
    )
    cursor.register("b_rules", table)
    cursor.execute(
        "UPDATE rules_log SET in_force = (b.rule_version = rules_log.rule_version) FROM b_rules b"
        " WHERE b.rule_id = rules_log.rule_id"
    )
    cursor.execute(
        "UPDATE rules_log SET name = b.name FROM b_rules b WHERE b.rule_id = rules_log.rule_id"
        " AND b.rule_version = rules_log.rule_version AND b.name <> rules_log.name"
    )
    cursor.unregister("b_rules")


def _rule_rows(rules: Sequence[Versioned]) -> pa.Table:
    rows = []
    for each in rules:
        rule, told = each.rule, each.rule.settings
        rows.append(
            {
                "rule_id": str(rule.rule_id),
                "rule_version": each.version,
                "model_id": rule.model_id,
                "metric_id": str(rule.metric.metric_id),
                "name": rule.name,
                "lookback_s": rule.lookback_s,
                "step_s": rule.step_s,
                "time_basis": rule.time_basis,
                "is_default": rule.is_default,
                "definition": rule.definition,
                **{
                    name: getattr(told, name)
                    for name in (
                        *("bound", "threshold", "severity", "wait_us", "hold_us", "enabled"),
                        *("on_no_data", "resolve_threshold", "min_sample_count"),
                        *("min_label_coverage", "group_by", "group_limit"),
                    )
                },
            }
        )
    kinds: dict[str, pa.DataType] = {
        "rule_version": pa.int32(),
        "enabled": pa.bool_(),
        "is_default": pa.bool_(),
    }
    reals = {"threshold", "resolve_threshold", "min_label_coverage"}
    wholes = {"lookback_s", "step_s", "wait_us", "hold_us", "min_sample_count", "group_limit"}
    fields = []
    for name in _RULE_COLUMNS:
        kind: pa.DataType = pa.string()
        if name in reals | wholes:
            kind = pa.float64() if name in reals else pa.int64()
        fields.append(pa.field(name, kinds.get(name, kind)))
    return pa.Table.from_pylist(rows, pa.schema(fields))


def declare_metrics(cursor: duckdb.DuckDBPyConnection, metrics: Iterable[Metric]) -> None:
    """Write metrics that are in force and not known yet."""
    rows = {
        str(each.metric_id): (
            str(each.metric_id),
            each.model_id,
            each.name,
            each.type,
            each.endpoint,
            each.query,
            each.is_default,
            True,
        )
        for each in metrics
    }
    if not rows:
        return
    names = ("metric_id", "model_id", "name", "type", "endpoint", "query", "is_default", "in_force")
    columns = list(zip(*rows.values(), strict=True))
    cursor.register(
        "b_metrics", pa.table({n: pa.array(list(c)) for n, c in zip(names, columns, strict=True)})
    )
    cursor.execute("DELETE FROM metrics_log WHERE metric_id IN (SELECT metric_id FROM b_metrics)")
    cursor.execute("INSERT INTO metrics_log SELECT * FROM b_metrics")
    cursor.unregister("b_metrics")


def stands(
    cursor: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str | None], Stand]:
    """Give where each rule in force stood, by rule id and group."""
    if not number(cursor, "SELECT count(*) FROM evaluations_log"):
        return {}
    rows = cursor.execute(_STANDS).fetchall()
    found = {}
    for rule_id, group, value, samples, state, since, last_alert, suppressed in rows:
        found[rule_id, group] = Stand(
            float("nan") if value is None else value,
            samples,
            STATES.index(state),
            *(NONE if us is None else us // SECOND_US for us in (since, last_alert, suppressed)),
        )
    return found


# The first suppressed evaluation since the last alert: states are stored where they change.
_STANDS = """
WITH rule AS (
    SELECT rule_id, rule_version FROM rules_log WHERE in_force
), last AS (
    SELECT rule_id, group_value, max(window_end) AS given
    FROM alerts_log SEMI JOIN rule USING (rule_id, rule_version) GROUP BY ALL
), seen AS (
    SELECT e.*, l.given FROM evaluations_log e SEMI JOIN rule USING (rule_id, rule_version)
    LEFT JOIN last l ON l.rule_id = e.rule_id AND l.group_value IS NOT DISTINCT FROM e.group_value
)
SELECT rule_id, group_value, row.value, row.sample_count, row.state, epoch_us(row.since),
    epoch_us(given), epoch_us(suppressed)
FROM (
    SELECT rule_id, group_value, any_value(given) AS given,
        arg_max({'value': value, 'sample_count': sample_count, 'state': state, 'since': since},
            window_end) AS row,
        min(window_end) FILTER (state = 'suppressed' AND (given IS NULL OR window_end > given))
            AS suppressed
    FROM seen GROUP BY rule_id, group_value
)"""


def write_evaluations(
    cursor: duckdb.DuckDBPyConnection, found: Iterable[tuple[Evaluations, Ids, int]]
) -> None:
    """Store evaluations.

    Parameters
    ----------
    found : iterable of (Evaluations, tuple of pyarrow.Array, int)
        By panel; with id and version of the rule, and the group, of each watcher, and the lookback
        in seconds.
    """
    tables = [_evaluation_rows(*each) for each in found if any(map(len, each[0].watcher))]
    if not tables:
        return
    cursor.register("b_evaluations", pa.concat_tables(tables))
    cursor.execute("INSERT INTO evaluations_log BY NAME SELECT * FROM b_evaluations")
    cursor.unregister("b_evaluations")


def _evaluation_rows(evaluations: Evaluations, rules: Ids, lookback_s: int) -> pa.Table:
    watcher, time_s = np.concatenate(evaluations.watcher), np.concatenate(evaluations.time_s)
    order = np.lexsort((time_s, watcher))
    picked, time_s = pa.array(watcher[order], pa.int64()), time_s[order]
    value = np.concatenate(evaluations.value)[order]
    state = pa.array(np.concatenate(evaluations.state)[order], pa.int64())
    return pa.table(
        {
            "rule_id": rules[0].take(picked),
            "rule_version": rules[1].take(picked),
            "group_value": rules[2].take(picked),
            "window_start": _stamps(time_s - lookback_s),
            "window_end": _stamps(time_s),
            "value": pa.array(value, mask=np.isnan(value)),
            "sample_count": pa.array(np.concatenate(evaluations.samples)[order]),
            "state": _STATES.take(state),
            "since": _stamps(np.concatenate(evaluations.since_s)[order]),
        }
    )


def write_alerts(cursor: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    """Store alerts: columns of `alerts_log`; one that is left out is NULL."""
    cursor.register("b_alerts", rows)
    cursor.execute("INSERT INTO alerts_log BY NAME SELECT * FROM b_alerts")
    cursor.unregister("b_alerts")


def _stamps(seconds: npt.NDArray[np.int64]) -> "pa.Array[Any]":
    none = seconds == NONE
    stamps: pa.Array[Any] = pa.array(np.where(none, 0, seconds) * SECOND_US, mask=none)
    return stamps.cast(_STAMP)
