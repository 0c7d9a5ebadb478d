"""The comparison must find what differs: one changed row in each relation, one at a time."""

import shutil

import duckdb
import pytest

from benchmarks.agreement import differences
from benchmarks.duckdb_script import build
from benchmarks.workload import Workload, write


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The script's file, and one with the same content under the names of Bellwether."""
    folder = tmp_path_factory.mktemp("agreement")
    write(Workload(lines=3_000, models=3), folder / "events.ndjson")
    build(folder / "events.ndjson", folder / "script.duckdb")
    shutil.copy(folder / "script.duckdb", folder / "ours.duckdb")
    with duckdb.connect(str(folder / "ours.duckdb")) as connection:
        connection.execute(
            """
            CREATE TABLE confusion_matrix AS
                SELECT *, make_timestamp(pane_s * 1000000) AS pane_start FROM cell_panes;
            CREATE TABLE voted AS
                SELECT *, make_timestamp_ms(vote_ms) AS vote_time, true AS standing FROM votes;
            DROP TABLE votes;
            ALTER TABLE voted RENAME TO votes;
            CREATE TABLE _score_bin_panes AS SELECT *, 'score' AS kind FROM score_bin_panes"""
        )
    return folder


def test_law_equal_tables_show_no_difference(pair):
    assert differences(pair / "ours.duckdb", pair / "script.duckdb") == {}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "UPDATE events SET label = 'Z' WHERE event_id = (SELECT min(event_id) FROM events)",
            {"events": 2},
        ),
        ("DELETE FROM votes WHERE event_id = (SELECT min(event_id) FROM votes)", {"votes": 1}),
        (
            "UPDATE confusion_matrix SET count = count + 1 WHERE rowid = 0",
            {"confusion_matrix": 2},
        ),
        ("UPDATE total_panes SET labelled = labelled - 1 WHERE rowid = 0", {"total_panes": 2}),
        ("UPDATE _score_bin_panes SET bin = 2001 WHERE rowid = 0", {"score_bin_panes": 2}),
        (
            "UPDATE value_panes SET max = max + 1 WHERE rowid = 0",
            {"value_panes (count, min, max)": 2},
        ),
        ("UPDATE value_panes SET sum = sum * (1 + 1e-7)", {"value_panes (sums)": 33}),
        (
            "UPDATE probability_panes SET brier = NULL WHERE rowid = 0",
            {"probability_panes (sums)": 1},
        ),
    ],
)
def test_oracle_each_change_is_found(pair, tmp_path, change, found):
    shutil.copy(pair / "ours.duckdb", tmp_path / "changed.duckdb")
    with duckdb.connect(str(tmp_path / "changed.duckdb")) as connection:
        connection.execute(change)
    assert differences(tmp_path / "changed.duckdb", pair / "script.duckdb") == found
