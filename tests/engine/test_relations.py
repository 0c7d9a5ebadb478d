"""The public relations over single lines: their columns, which label holds, which vote stands."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from engine.relations import VIEWS
from engine.rows import make_tables

NOON = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - the store keeps UTC without a zone

# DESIGN §9, as far as the main job fills it.
CONTRACT = {
    "events": "model_id event_id event_time received_time prediction label label_time"
    " label_source score correct job_id batch_id bucket_id properties",
    "votes": "model_id event_id voter label vote_time standing",
    "confusion_matrix": "model_id time_basis pane_start label prediction count",
    "metric_values": "model_id metric_id metric_name class_or_group time_basis window_start"
    " window_end value sample_count label_coverage is_interim",
    "rejects": "source partition position received_time reason field raw",
    "progress": "source partition position watermark events rejects updated_time",
    "models": "model_id job_id positive positive_property threshold classes",
    "jobs": "job_id",
    "metrics": "metric_id model_id name function property type is_default",
}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        make_tables(con)
        for name, select in VIEWS.items():
            con.execute(f"CREATE VIEW {name} AS {select}")
        yield con


def _event(con: duckdb.DuckDBPyConnection, seq: int, **fields: Any) -> None:
    row = {
        "seq": seq,
        "key": seq,
        "model_id": "m",
        "event_id": f"e{seq}",
        "event_time": NOON,
        "received_time": NOON,
        "partition_id": 0,
        "position": 100 * seq,
        "line": "{}",
    } | fields
    _insert(con, "events_kept", row)


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    named = ", ".join(f"? AS {name}" for name in row)
    con.execute(f"INSERT INTO {table} BY NAME SELECT {named}", list(row.values()))


def _vote(con: duckdb.DuckDBPyConnection, seq: int, event: int, **fields: Any) -> None:
    row = {
        "seq": seq,
        "key": event,
        "model_id": "m",
        "event_id": f"e{event}",
        "voter": "",
        "property": "",
        "label": "A",
        "vote_time": NOON,
    } | fields
    _insert(con, "votes_log", row)


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_columns(con: duckdb.DuckDBPyConnection, name: str) -> None:
    columns = {row[0]: row[1] for row in con.execute(f"DESCRIBE {name}").fetchall()}
    assert set(CONTRACT[name].split()) <= columns.keys()
    for column, kind in columns.items():
        if column.endswith("_time") or column in {"watermark", "window_start", "window_end"}:
            assert kind == "TIMESTAMP", column
    if name == "metric_values":
        assert (columns["value"], columns["sample_count"]) == ("DOUBLE", "BIGINT")
        assert (columns["metric_id"], columns["is_interim"]) == ("UUID", "BOOLEAN")


def test_golden_a_new_store_has_no_rows(con: duckdb.DuckDBPyConnection) -> None:
    for name in VIEWS:
        assert con.execute(f"SELECT count(*) FROM {name}").fetchall() == [(0,)], name


def test_golden_which_label_holds(con: duckdb.DuckDBPyConnection) -> None:
    later = NOON + timedelta(hours=1)
    _event(con, 1, prediction="A")
    _event(con, 2, prediction="A", label="A")
    _event(con, 3, prediction="A", label="A")
    _event(con, 4, prediction="A", label="A")
    _event(con, 5, label="B")
    _event(con, 6, prediction="A")
    outcomes = [
        (1, 3, "", "B", later, "votes"),
        (2, 4, "", None, None, "undecided"),
        (3, 6, "", "B", later, "votes"),
        (4, 6, "", "A", later, "administrator"),
        (5, 2, "fraud", "B", later, "votes"),
    ]
    for seq, event, name, label, time, source in outcomes:
        con.execute(
            "INSERT INTO outcomes VALUES (?, ?, ?, ?, NULL, ?, ?)",
            [seq, event, name, label, time, source],
        )
    con.execute("INSERT INTO outcomes_retired VALUES (3)")
    rows = con.execute(
        "SELECT event_id, label, label_time, label_source, correct FROM events ORDER BY event_id"
    ).fetchall()
    assert rows == [
        ("e1", None, None, None, None),
        ("e2", "A", NOON, "prediction", True),
        ("e3", "B", later, "votes", False),
        ("e4", None, None, "undecided", None),
        ("e5", "B", NOON, "prediction", None),
        ("e6", "A", later, "administrator", True),
    ]


def test_golden_a_retired_event_is_gone(con: duckdb.DuckDBPyConnection) -> None:
    _event(con, 1, event_id="same", score=0.25)
    _event(con, 2, event_id="same", score=0.75)
    con.execute("INSERT INTO events_retired VALUES (1)")
    assert con.execute("SELECT event_id, score FROM events").fetchall() == [("same", 0.75)]


@pytest.mark.parametrize(
    ("raw", "properties"),
    [
        ({"id": "1", "type": "prediction", "timestamp": 1, "score": 0.5}, {}),
        ({"features": {"city": "Bern", "n": 3}}, {"city": "Bern", "n": 3}),
        ({"zone": "z", "job_id": "j"}, {"zone": "z"}),
        (
            {"x": 4, "labels": {"x": 3, "l": 1}, "predictions": {"x": 2}, "features": {"x": 1}},
            {"x": 1, "l": 1},
        ),
        ({"x": 4, "labels": {"x": 3}}, {"x": 3}),
        ({"features": {"score": 9, "type": "t"}, "score": 0.5}, {"score": 9, "type": "t"}),
        ({"features": None, "labels": None, "predictions": None, "a": True}, {"a": True}),
        ({"features": {"none": None, "odd \"'key": "ü"}}, {"odd \"'key": "ü"}),
    ],
)
def test_golden_properties_by_their_bare_name(
    con: duckdb.DuckDBPyConnection, raw: dict[str, Any], properties: dict[str, Any]
) -> None:
    _event(con, 1, line=json.dumps(raw))
    (found,) = con.execute("SELECT properties FROM events").fetchall()
    assert json.loads(found[0]) == properties


def test_golden_properties_are_asked_for_by_arrow(con: duckdb.DuckDBPyConnection) -> None:
    _event(con, 1, line='{"features": {"city": "Bern"}}')
    found = con.execute("SELECT event_id FROM events WHERE properties->>'city' = 'Bern'")
    assert found.fetchall() == [("e1",)]


def test_golden_which_votes_stand(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO settings VALUES ('label_horizon_us', '3600000000')")
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    _event(con, 1)
    votes: list[tuple[dict[str, Any], bool]] = [
        ({"voter": "ana", "label": "A", "vote_time": NOON + minute}, False),
        ({"voter": "ana", "label": "B", "vote_time": NOON + 2 * minute}, True),
        ({"voter": "ana", "label": "C", "vote_time": NOON + hour + minute}, False),
        ({"voter": "ben", "label": "A", "vote_time": NOON + minute}, False),
        ({"voter": "ben", "label": "B", "vote_time": NOON + minute}, True),
        ({"voter": "", "label": "B", "vote_time": NOON - hour}, True),
        ({"voter": "eve", "label": "B", "vote_time": NOON - hour - minute}, False),
        ({"voter": "ana", "label": "A", "vote_time": NOON, "property": "fraud"}, True),
        ({"event_id": "unknown", "key": 99, "voter": "ana"}, False),
        ({"event_id": "like e1, by hash", "key": 1, "voter": "ana"}, False),
    ]
    for seq, (fields, _) in enumerate(votes):
        _vote(con, seq, 1, **fields)
    found = con.execute("SELECT voter, label, vote_time, standing FROM votes").fetchall()
    assert sorted(found) == sorted(
        (f["voter"], f.get("label", "A"), f.get("vote_time", NOON), standing)
        for f, standing in votes
    )


def test_golden_votes_are_measured_against_the_winner(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO settings VALUES ('label_horizon_us', '3600000000')")
    _event(con, 1)
    _event(con, 2, key=1, event_id="e1", event_time=NOON + timedelta(hours=5))
    con.execute("INSERT INTO events_retired VALUES (1)")
    _vote(con, 3, 1)
    assert con.execute("SELECT standing FROM votes").fetchall() == [(False,)]


def test_golden_rejects_and_progress_name_their_partition(con: duckdb.DuckDBPyConnection) -> None:
    _insert(
        con,
        "partitions",
        {
            "partition_id": 3,
            "source": "files",
            "partition": "a.ndjson",
            "position": 500,
            "watermark": NOON,
            "idle": False,
            "events": 7,
            "rejects": 1,
            "updated_time": NOON,
        },
    )
    con.execute("INSERT INTO rejects_log VALUES (3, 42, ?, 'why', '$.score', '{')", [NOON])
    assert con.execute("FROM rejects").fetchall() == [
        ("files", "a.ndjson", 42, NOON, "why", "$.score", "{")
    ]
    assert con.execute("FROM progress").fetchall() == [("files", "a.ndjson", 500, NOON, 7, 1, NOON)]


def test_golden_jobs_are_known_by_models_and_events(con: duckdb.DuckDBPyConnection) -> None:
    _event(con, 1, job_id="by event")
    _event(con, 2)
    _insert(
        con,
        "models_known",
        {"model_id": "m", "job_id": "by model", "lookback_s": 300, "step_s": 60},
    )
    con.execute(
        "INSERT INTO model_classes VALUES ('m', 'B', NULL), ('m', 'A', NULL), ('m', 'C', 0)"
    )
    assert con.execute("FROM jobs ORDER BY 1").fetchall() == [("by event",), ("by model",)]
    assert con.execute("SELECT model_id, classes, step FROM models").fetchall() == [
        ("m", ["C", "A", "B"], timedelta(minutes=1))
    ]


@pytest.mark.parametrize(
    "condition", ["model_id = 'm4'", "event_time >= TIMESTAMP '2024-05-01 16:00:00'"]
)
def test_law_a_filter_reaches_the_scan_of_the_facts(
    con: duckdb.DuckDBPyConnection, condition: str
) -> None:
    """Of five row groups of 122,880 rows, one per model and hour, a single one is read."""
    con.execute(
        "INSERT INTO events_kept BY NAME SELECT i AS seq, i AS key,"
        " 'm' || (i // 122880) AS model_id,"
        " 'e' || i AS event_id, ?::TIMESTAMP + to_hours(i // 122880) AS event_time,"
        " event_time AS received_time, 0 AS partition_id, i AS position, '{}' AS line"
        " FROM range(5 * 122880) AS t(i)",
        [NOON],
    )
    con.execute("INSERT INTO events_retired VALUES (1)")
    con.execute("INSERT INTO outcomes VALUES (1, 2, '', 'A', NULL, NULL, 'votes')")
    query = f"SELECT count(*) FROM events WHERE {condition}"
    assert con.execute(query).fetchall() == [(122880,)]
    plan = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()[0][1]
    scans = [
        (node["row_groups_scanned"], node["total_row_groups_to_scan"])
        for node in _nodes(json.loads(plan)["operator"][0])
        if node["extra_info"].get("Table", "").endswith("events_kept")
    ]
    assert scans == [(1, 5)]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _nodes(child)
