"""The public matrix: deltas add up, empty cells vanish, panes are 60 s however fine they lie."""

from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest

from engine.confusion import CONFUSION_VIEWS
from engine.rows import TABLES


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE cell_panes({TABLES['cell_panes']}\n)")
        con.execute(f"CREATE VIEW confusion_matrix AS {CONFUSION_VIEWS['confusion_matrix']}")
        yield con


def test_golden_deltas_add_up_and_what_was_taken_back_is_gone(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        """INSERT INTO cell_panes VALUES
        ('m', 'event', 60, 'A', 'A', 2, 0), ('m', 'event', 90, 'A', 'A', 3, 0),
        ('m', 'event', 60, 'A', 'A', -1, 9), ('m', 'event', 120, 'A', 'A', 7, 0),
        ('m', 'event', 60, 'B', 'A', 1, 0), ('m', 'event', 60, 'B', 'A', -1, 9),
        ('m', 'label', 60, 'A', 'A', 5, 0), ('n', 'event', 60, 'A', 'A', 6, 0)"""
    )
    rows = con.execute("FROM confusion_matrix ORDER BY ALL").fetchall()
    minute = [datetime(1970, 1, 1, 0, k) for k in range(3)]  # noqa: DTZ001 - UTC without zone
    assert rows == [
        ("m", "event", minute[1], "A", "A", 4),
        ("m", "event", minute[2], "A", "A", 7),
        ("m", "label", minute[1], "A", "A", 5),
        ("n", "event", minute[1], "A", "A", 6),
    ]


@pytest.mark.parametrize(("pane_s", "start"), [(-60, -60), (-1, -60), (0, 0), (59, 0), (60, 60)])
def test_golden_panes_are_rounded_down_before_1970_too(
    con: duckdb.DuckDBPyConnection, pane_s: int, start: int
) -> None:
    con.execute("INSERT INTO cell_panes VALUES ('m', 'event', ?, 'A', 'A', 1, 0)", [pane_s])
    assert con.execute("SELECT epoch(pane_start) FROM confusion_matrix").fetchall() == [(start,)]


def test_contract_columns_of_the_matrix(con: duckdb.DuckDBPyConnection) -> None:
    columns = con.execute("DESCRIBE confusion_matrix").fetchall()
    assert [(name, kind) for name, kind, *_ in columns] == [
        ("model_id", "VARCHAR"),
        ("time_basis", "VARCHAR"),
        ("pane_start", "TIMESTAMP"),
        ("label", "VARCHAR"),
        ("prediction", "VARCHAR"),
        ("count", "BIGINT"),
    ]
