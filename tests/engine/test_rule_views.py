"""The public relations of rules, and all metrics: their columns, what is in force, single rows."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import duckdb
import pytest

from engine.metrics import AGGREGATES, METRIC_TYPES, metric_id
from engine.query.functions import DRIFT_MEASURES
from engine.query.parse_defaults import default_query
from engine.relations import VIEWS
from engine.rows import make_tables

NOON = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - the store keeps UTC without a zone
MINUTE = timedelta(minutes=1)

# DESIGN §9, and what was added to it.
CONTRACT = {
    "evaluations": "rule_id rule_version group_value window_start window_end value sample_count"
    " state since step",
    "alerts": "alert_id rule_id rule_version model_id metric_id rule_name group_value severity"
    " bound threshold metric_value sample_count window_start window_end triggered_time"
    " from_position to_position suppressed_since status message batch_id step",
    "notifications": "notification_id alert_id configuration_id destination status attempts"
    " last_error sent_time group_id message_id created_time next_attempt",
    "alert_rules": "rule_id rule_version model_id metric_id metric_name metric_type name bound"
    " threshold severity lookback_period subsequent_alert_wait_time for_minutes time_basis"
    " enabled is_default on_no_data resolve_threshold min_sample_count min_label_coverage"
    " group_by from_time",
    "notification_configurations": "configuration_id user model_id type destination enabled",
    "users": "username email role",
    "metrics": "metric_id model_id name function property type is_default endpoint query",
}
RULE: dict[str, Any] = {
    "rule_id": "r1",
    "rule_version": 2,
    "model_id": "m",
    "metric_id": str(metric_id("m", "f1")),
    "name": "f1 fell",
    "bound": "lower",
    "threshold": 0.9,
    "severity": "critical",
    "lookback_s": 90,
    "step_s": 30,
    "wait_us": 30_000_000,
    "hold_us": 600_000_000,
    "time_basis": "label",
    "enabled": False,
    "is_default": False,
    "on_no_data": "ignore",
    "resolve_threshold": 0.95,
    "min_sample_count": 5,
    "min_label_coverage": 0.5,
    "group_by": "features.city",
    "group_limit": 100,
    "definition": "{}",
    "from_time": NOON,
    "in_force": True,
}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a store in memory, with tables and views."""
    with duckdb.connect(config={"threads": 1}) as con:
        make_tables(con)
        for name, select in VIEWS.items():
            con.execute(f"CREATE VIEW {name} AS {select}")
        yield con


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    named = ", ".join(f"? AS {name}" for name in row)
    con.execute(f"INSERT INTO {table} BY NAME SELECT {named}", list(row.values()))


def _metric(con: duckdb.DuckDBPyConnection, name: str, query: object, **fields: Any) -> None:
    row = {
        "metric_id": str(metric_id("m", name)),
        "model_id": "m",
        "name": name,
        "type": "model_performance_metric",
        "endpoint": "query",
        "query": query if isinstance(query, str) else json.dumps(query),
        "is_default": False,
        "in_force": True,
    }
    _insert(con, "metrics_log", row | fields)


def _dicts(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_columns(con: duckdb.DuckDBPyConnection, name: str) -> None:
    columns = {row[0]: row[1] for row in con.execute(f"DESCRIBE {name}").fetchall()}
    assert list(columns) == CONTRACT[name].split()
    kinds = {
        "metric_id": "UUID",
        "rule_version": "INTEGER",
        "value": "DOUBLE",
        "threshold": "DOUBLE",
        "metric_value": "DOUBLE",
        "sample_count": "BIGINT",
        "enabled": "BOOLEAN",
        "is_default": "BOOLEAN",
        "lookback_period": "DOUBLE",
        "subsequent_alert_wait_time": "DOUBLE",
        "for_minutes": "DOUBLE",
        "query": "JSON",
        "attempts": "INTEGER",
    }
    times = {"window_start", "window_end", "since", "suppressed_since", "next_attempt"}
    for column, kind in columns.items():
        if column in times or (column.endswith("_time") and column not in kinds):
            assert kind == "TIMESTAMP", column
        elif column in kinds:
            assert kind == kinds[column], column


# ---- what rules saw and gave -------------------------------------------------------------------


def test_golden_evaluations_and_alerts_are_as_they_were_written(
    con: duckdb.DuckDBPyConnection,
) -> None:
    evaluation = {
        "rule_id": "r1",
        "rule_version": 1,
        "group_value": "o'Hara",
        "window_start": NOON,
        "window_end": NOON + 5 * MINUTE,
        "value": None,
        "sample_count": 0,
        "state": "no_data",
        "since": NOON - MINUTE,
        "step": None,
    }
    alert = {
        "alert_id": "a1",
        "rule_id": "r1",
        "rule_version": 1,
        "model_id": "m",
        "metric_id": str(metric_id("m", "f1")),
        "rule_name": "f1 fell",
        "group_value": None,
        "severity": "warning",
        "bound": "lower",
        "threshold": None,
        "metric_value": 0.25,
        "sample_count": 8,
        "window_start": NOON,
        "window_end": NOON + MINUTE,
        "triggered_time": NOON + MINUTE,
        "from_position": None,
        "to_position": 17,
        "suppressed_since": NOON,
        "status": "new",
        "message": "\"f1\" ; DROP TABLE 'x'",
        "batch_id": "b",
        "step": 12,
    }
    _insert(con, "evaluations_log", evaluation)
    _insert(con, "alerts_log", alert)
    assert _dicts(con, "FROM evaluations") == [evaluation]
    assert _dicts(con, "FROM alerts") == [alert | {"metric_id": metric_id("m", "f1")}]


def test_golden_notifications_name_their_mail(con: duckdb.DuckDBPyConnection) -> None:
    row = {
        "notification_id": "n1",
        "alert_id": "a1",
        "configuration_id": "c1",
        "destination": "ana@example.org",
        "status": "grouped",
        "attempts": 3,
        "last_error": "451 later",
        "created_time": NOON,
        "group_id": "g1",
        "message_id": "<g1@example.org>",
        "next_attempt": NOON + MINUTE,
        "sent_time": None,
    }
    _insert(con, "notifications_log", row | {"grouped_time": NOON})
    assert _dicts(con, "FROM notifications") == [row]


def test_golden_users_and_whom_they_want_to_be_told_of(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO users_known VALUES ('ana', NULL, 'viewer')")
    con.execute(
        "INSERT INTO configurations_known"
        " VALUES ('c1', 'ana', 'm', 'email', 'ana@example.org', false)"
    )
    assert con.execute("FROM users").fetchall() == [("ana", None, "viewer")]
    row = con.execute("SELECT user, model_id, enabled FROM notification_configurations")
    assert row.fetchall() == [("ana", "m", False)]


# ---- definitions -------------------------------------------------------------------------------


def test_contract_AR_09_AR_10_periods_of_rules_are_minutes(con: duckdb.DuckDBPyConnection) -> None:
    _insert(con, "rules_log", RULE)
    _metric(con, "f1", default_query("f1")[0], is_default=True)
    (found,) = _dicts(con, "FROM alert_rules")
    same = set(RULE) - {"lookback_s", "step_s", "wait_us", "hold_us", "group_limit"}
    same -= {"definition", "in_force", "metric_id"}
    assert {name: found.pop(name) for name in same} == {name: RULE[name] for name in same}
    assert found == {
        "metric_id": metric_id("m", "f1"),
        "metric_name": "f1",
        "metric_type": "model_performance_metric",
        "lookback_period": 1.5,
        "subsequent_alert_wait_time": 0.5,
        "for_minutes": 10.0,
    }


def test_golden_only_the_rules_in_force_are_listed(con: duckdb.DuckDBPyConnection) -> None:
    _insert(con, "rules_log", RULE | {"rule_version": 1, "in_force": False})
    _insert(con, "rules_log", RULE)
    _insert(con, "rules_log", RULE | {"rule_id": "gone", "in_force": False})
    _metric(con, "f1", "{}", in_force=False)
    rows = con.execute("SELECT rule_id, rule_version, metric_name FROM alert_rules").fetchall()
    assert rows == [("r1", 2, None)]


# ---- metrics -----------------------------------------------------------------------------------


def _data(con: duckdb.DuckDBPyConnection) -> None:
    """Give model m labelled events, a probability and numbers, and two bins of a property."""
    con.execute(
        "INSERT INTO models_known BY NAME SELECT 'm' AS model_id, 1 AS lookback_s, 1 AS step_s"
    )
    con.execute(
        "INSERT INTO cell_panes VALUES ('m', 'event', 0, 'A', 'B', 1, 0),"
        " ('m', 'event', 0, 'B', 'B', 1, 0)"
    )
    con.execute("INSERT INTO score_bins VALUES ('m', 0, 0, 'score', 'A', 'B', [5], [1], 0)")
    con.execute("INSERT INTO probability_panes VALUES ('m', 'event', 0, 1, 0.1, 0.1, 0)")
    con.execute("INSERT INTO error_panes VALUES ('m', 'event', 0, 1, 0, 0, 0, 0, 0)")
    for name in ('features.o\'dd "ä"', "score"):
        con.execute("INSERT INTO value_panes VALUES ('m', 0, ?, 1, 1, 1, 1, 0)", [name])
        for version in (1, 2):
            con.execute(
                "INSERT INTO binnings VALUES (?, 'm', ?, ?, 'event', 60)", [name, name, version]
            )


def test_oracle_queries_of_default_metrics(con: duckdb.DuckDBPyConnection) -> None:
    _data(con)
    found = _dicts(con, "FROM metrics")
    names = [row["name"] for row in found]
    assert len(set(names)) == len(names) == 28 + 2 * (len(AGGREGATES) + len(DRIFT_MEASURES))
    for row in found:
        query, endpoint = default_query(row["name"])
        assert (json.loads(row["query"]), row["endpoint"]) == (query, endpoint)
        assert row["metric_id"] == metric_id("m", row["name"])
        assert row["function"] == row["name"].partition("(")[0]
        assert row["property"] == (row["name"].partition("(")[2].removesuffix(")") or None)
        assert (row["type"] == METRIC_TYPES[3]) == (row["function"] in DRIFT_MEASURES)
        assert row["is_default"]


def test_law_a_default_metric_that_is_watched_is_listed_once_and_alike(
    con: duckdb.DuckDBPyConnection,
) -> None:
    _data(con)
    before = {row["name"]: row for row in _dicts(con, "FROM metrics")}
    for row in before.values():
        fields = {name: row[name] for name in ("type", "endpoint", "is_default")}
        _metric(con, row["name"], row["query"], **fields)
    after = _dicts(con, "FROM metrics")
    assert len(after) == len(before)
    assert {row["name"]: row for row in after} == before


CITY = {"property": "city", "comparator": "eq", "value": "o'Hara"}


@pytest.mark.parametrize(
    ("query", "fields", "function", "property_"),
    [
        (
            {"select": [{"function": "avg", "parameters": {"property": "age"}}], "filter": [CITY]},
            {},
            "avg",
            "age",
        ),
        ({"select": [{"function": "recall", "parameters": {"class": "A"}}]}, {}, "recall", None),
        (
            {"select": [{"function": "max", "parameters": {"property": {"nested_function": {}}}}]},
            {},
            "max",
            None,
        ),
        ({"properties": ["age"]}, {"endpoint": "data_drift"}, "PSI", "age"),
        (
            {"properties": ["age"], "metric": "HypothesisTest"},
            {"endpoint": "data_drift"},
            "HypothesisTest",
            "age",
        ),
    ],
)
def test_golden_a_custom_metric_is_told_by_its_query(
    con: duckdb.DuckDBPyConnection,
    query: dict[str, Any],
    fields: dict[str, Any],
    function: str,
    property_: str | None,
) -> None:
    _metric(con, "mine \"'", query, **fields)
    (row,) = _dicts(con, "FROM metrics")
    assert (row["function"], row["property"]) == (function, property_)
    assert json.loads(row["query"]) == query
    assert row["metric_id"] == metric_id("m", "mine \"'")
    assert isinstance(row["metric_id"], UUID)
    assert (row["is_default"], row["endpoint"]) == (False, fields.get("endpoint", "query"))


def test_golden_a_metric_out_of_force_is_not_listed(con: duckdb.DuckDBPyConnection) -> None:
    _data(con)
    _metric(con, "mine", "{}", in_force=False)
    _metric(con, "f1", "{}", in_force=False)
    rows = con.execute("SELECT name, query FROM metrics WHERE name IN ('mine', 'f1')").fetchall()
    assert rows == [("f1", '{"select":[{"function":"f1"}]}')]


def test_golden_a_metric_of_another_model_hides_nothing(con: duckdb.DuckDBPyConnection) -> None:
    _data(con)
    _metric(con, "f1", default_query("f1")[0], model_id="n")
    rows = con.execute("SELECT model_id FROM metrics WHERE name = 'f1' ORDER BY 1").fetchall()
    assert rows == [("m",), ("n",)]
