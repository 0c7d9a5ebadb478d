"""Names of anybody's choice as columns: none is taken for another, and none ends the run.

DuckDB holds names to be one that differ in the case of ASCII letters only, Arrow cuts them at a
NUL; both once reached the relations that rules read.
"""

import pytest
from hostile_store import filled

from engine.column_names import column_name
from engine.query.drift_parse import DRIFT_METRICS
from flows.settings import load

CONFIG = """
models: [{id: m}]
metrics:
  - {model: m, name: of a, query: {select: [{function: avg, parameters: {property: features.a}}]}}
  - {model: m, name: of A, query: {select: [{function: avg, parameters: {property: features.A}}]}}
alert_rules:
  - {model: m, metric: of a, bound: upper, threshold: 100, severity: warning, lookback_period: 1,
     name: a, time_basis: event}
  - {model: m, metric: of A, bound: upper, threshold: 100, severity: warning, lookback_period: 1,
     name: A, time_basis: event}
"""
ODD = ["\0", "a\0", "a\0b", '"', "'", "", "\n", "^a", "A", "a", "^A", "c0", "C0", "r.", ";"]


def test_law_no_two_names_have_one_column() -> None:
    columns = [column_name(kind, name).lower() for name in ODD for kind in ("n", "t", "at")]
    assert len(set(columns)) == len(columns)
    assert not any("\0" in each for each in columns)


def test_oracle_rules_tell_names_apart_that_differ_by_case(tmp_path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(CONFIG)
    events = [
        {"model_id": "m", "id": i, "timestamp": 1_700_000_000_000 + i * 10_000,
         "features": {"a": 1, "A": 3}}
        for i in range(60)
    ]  # fmt: skip
    # Once read one by one, once by column.
    for size in (20, 60):
        with filled(events, load(str(path)), size=size) as cursor:
            found = cursor.execute(
                "SELECT r.name, min(e.value), max(e.value) FROM evaluations e"
                " JOIN alert_rules r USING (rule_id) WHERE e.sample_count > 0"
                " AND r.name IN ('a', 'A') GROUP BY r.name ORDER BY r.name"
            ).fetchall()
        assert found == [("A", 3.0, 3.0), ("a", 1.0, 1.0)]


@pytest.mark.parametrize("name", ["\0", "x\0y", "X"])
def test_oracle_drift_of_odd_names(name: str) -> None:
    assert "PSI" in DRIFT_METRICS
    events = [
        {"type": kind, "model_id": "m", "id": i, "timestamp": 1_700_000_000_000 + i * 10_000,
         "features": {name: i % 7, "x": 100 + i % 5, "z": "t"}}
        for kind in ("reference", "prediction")
        for i in range(200)
    ]  # fmt: skip
    with filled(events) as cursor:
        found = dict(
            cursor.execute(
                "SELECT property, max(reference_share) FROM drift_bins GROUP BY property"
            ).fetchall()
        )
    assert set(found) == {f"features.{each}" for each in (name, "x", "z")}
