"""Which rules on scores are in force, and where they stand when a run begins or goes on."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.anomaly.alerts.score_log import Named
from engine.anomaly.alerts.score_looks import Look
from engine.anomaly.alerts.score_rules import ENDPOINT, ScoreRule
from engine.anomaly.alerts.score_watch import Evaluation, Stood
from engine.rules.log import declare_beside
from engine.rules.states import NONE

__all__ = ["declare", "stood_of"]


def declare(
    cursor: duckdb.DuckDBPyConnection, rules: Sequence[ScoreRule], watermark_us: int | None
) -> list[int]:
    """Write the rules on scores that are in force, and give the version of each."""
    own = [each.rule for each in rules]
    found = declare_beside(cursor, own, watermark_us, key="anomaly_job", endpoint=ENDPOINT)
    return [each.version for each in found]


def stood_of(cursor: duckdb.DuckDBPyConnection, rules: Collection[Named]) -> Mapping[Named, Stood]:
    """Give where each rule stood."""
    found = {key: Stood() for key in rules}
    if not found:
        return found
    _register(cursor, list(found))
    for rule_id, version, start, end, interim, score, samples, top in _rows(cursor, _LOOKED):
        stood = found[rule_id, version]
        stood.looks[end] = Look(start, end, interim, score, samples, top)
        if not interim:
            stood.done_s = max(stood.done_s, end)
    for rule_id, version, triggered_us, greatest, ends in _rows(cursor, _GIVEN):
        stood = found[rule_id, version]
        stood.alert_us, stood.alert_end_s = triggered_us, greatest
        stood.alerted = {end for end in ends if end > stood.done_s}
    for rule_id, version, *told, since, suppressed in _rows(cursor, _TOLD):
        stood = found[rule_id, version]
        start, end, value, samples, state = told
        run_s = NONE if since is None else since
        stood.told = Evaluation(start, end, value, samples, state, run_s)
        stood.suppressed_s = NONE if suppressed is None else suppressed
    cursor.unregister("b_score_rules")
    return found


def _register(cursor: duckdb.DuckDBPyConnection, rules: Sequence[Named]) -> None:
    ids, versions = zip(*rules, strict=True)
    columns = {
        "rule_id": pa.array(ids, pa.string()),
        "rule_version": pa.array(versions, pa.int32()),
    }
    cursor.register("b_score_rules", pa.table(columns))


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return cursor.execute(sql).fetchall()


_LOOKED = """
SELECT rule_id, rule_version, epoch_us(bucket_start) // 1000000, epoch_us(bucket_end) // 1000000,
    is_interim, score, sample_count, top
FROM score_looks SEMI JOIN b_score_rules USING (rule_id, rule_version)
"""
_GIVEN = """
SELECT rule_id, rule_version, max(epoch_us(triggered_time)),
    max(epoch_us(window_end) // 1000000), list(epoch_us(window_end) // 1000000)
FROM alerts_log SEMI JOIN b_score_rules USING (rule_id, rule_version) GROUP BY ALL
"""
# Of what is behind the last closed bucket only the alerts stay.
_TOLD = """
WITH done AS (
    SELECT rule_id, rule_version, max(bucket_end) AS done FROM score_looks
    SEMI JOIN b_score_rules USING (rule_id, rule_version) WHERE NOT is_interim GROUP BY ALL
), given AS (
    SELECT rule_id, rule_version, max(window_end) AS given FROM alerts_log
    SEMI JOIN b_score_rules USING (rule_id, rule_version) GROUP BY ALL
)
SELECT rule_id, rule_version, max_by(epoch_us(window_start) // 1000000, window_end),
    max(epoch_us(window_end) // 1000000), arg_max(value, window_end),
    arg_max(sample_count, window_end), arg_max(state, window_end),
    max_by({'since': epoch_us(since) // 1000000}, window_end).since,
    min(epoch_us(window_end) // 1000000) FILTER (
        state = 'suppressed' AND (given IS NULL OR window_end > given))
FROM evaluations_log JOIN done USING (rule_id, rule_version)
LEFT JOIN given USING (rule_id, rule_version)
WHERE window_end <= done GROUP BY rule_id, rule_version
"""
