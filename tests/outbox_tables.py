"""Alerts and an outbox in memory, for the tests of the rooms that mail."""

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from engine.notifications import Group, MailedAlert
from engine.outbox import OUTBOX_TABLES
from engine.relations import VIEWS
from engine.rule_tables import RULE_TABLES

NOON = datetime(2026, 1, 2, 12, 0, 0)  # noqa: DTZ001 - DuckDB gives times without a zone
NOON_US = int(NOON.replace(tzinfo=UTC).timestamp()) * 1_000_000


def outbox():
    connection = duckdb.connect(config={"threads": 1})
    create_tables(connection)
    return connection


def create_tables(connection):
    # Columns of an alert that these rooms leave alone may be missing here.
    alerts = RULE_TABLES["alerts_log"].replace(" NOT NULL", "")
    for name, columns in {**OUTBOX_TABLES, "alerts_log": alerts}.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    connection.execute(f"CREATE VIEW notifications AS {VIEWS['notifications']}")


def alert(number=1, **changed):
    """Give one alert, by default: accuracy fell to 0.82 at noon."""
    values = {
        "alert_id": f"00000000-0000-3000-8000-{number:012d}",
        "rule_id": "11111111-1111-3111-8111-111111111111",
        "rule_version": 1,
        "model_id": "triage",
        "rule_name": "accuracy fell",
        "group_value": None,
        "severity": "critical",
        "bound": "lower",
        "threshold": 0.9,
        "metric_value": 0.82,
        "sample_count": 1234,
        "window_start": NOON - timedelta(minutes=5),
        "window_end": NOON,
        "triggered_time": NOON,
        "suppressed_since": None,
        "message": "accuracyRate was 0.82, below 0.9",
        "batch_id": None,
    }
    return MailedAlert(**(values | changed))


def mail(*alerts, key="0" * 32, to="ana@example.org", attempt=1):
    """Give the group of these alerts."""
    return Group(key, to, f"<{key}@example.org>", NOON, attempt, alerts or (alert(),))


def write(connection, *alerts):
    """Write alerts; gives what `enqueue` wants of them."""
    columns = MailedAlert.__slots__
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    for each in alerts:
        row = [getattr(each, name) for name in columns]
        connection.execute(f"INSERT INTO alerts_log ({names}) VALUES ({places})", row)
    return pa.table(
        {
            "alert_id": pa.array([each.alert_id for each in alerts], pa.string()),
            "model_id": pa.array([each.model_id for each in alerts], pa.string()),
        }
    )
