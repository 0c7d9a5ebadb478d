"""A data folder of an older schema version is brought up to this one, with nothing lost.

The rules need to know when each model began and at which line each minute was reached; both follow
from the stored events. Anomaly jobs begin with empty tables.
"""

import json

import duckdb
import pytest
from old_stores import make_fifth, make_seventh, make_sixth

from connectors.store import FILE_NAME, Store
from engine.anomaly_tables import ANOMALY_TABLES
from engine.batch import Block
from engine.change_tables import CHANGE_TABLES
from engine.config import RuleSettings, Settings
from engine.decode import Decoder, canonical
from engine.jobs.job_tables import JOB_TABLES
from engine.monitor import Monitor
from engine.outbox import OUTBOX_TABLES
from engine.processing.processing_tables import PROCESSING_TABLES
from engine.rows import SCHEMA_VERSION
from engine.rule_tables import RULE_TABLES
from engine.seen import loaded, store_filter
from engine.steps.step_tables import STEP_TABLES

START_MS = 1_700_000_040_000  # a whole minute
RULE = RuleSettings("m", "avg(score)", "upper", 0.6, "warning", name="r", lookback_s=120)


def lines(seconds):
    events = [
        {"model_id": "m", "id": f"e{s}", "timestamp": START_MS + s * 1000, "score": 0.9}
        for s in seconds
    ]
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def take(store, settings, data, position):
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    store.begin()
    monitor = Monitor(store.cursor, settings, 60, canonical)
    monitor.watch()
    monitor.open_partition("s", "p", 0, live=True)
    monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
    store.commit()


def make_fourth(folder):
    """Take from a folder all that the fourth version did not have."""
    make_fifth(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '4' WHERE name = 'schema_version'")
        for name in CHANGE_TABLES:
            connection.execute(f"DROP TABLE {name}")


def make_third(folder):
    """Take from a folder all that the third version did not have."""
    make_fourth(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '3' WHERE name = 'schema_version'")
        for name in {**STEP_TABLES, **PROCESSING_TABLES, **JOB_TABLES}:
            connection.execute(f"DROP TABLE {name}")


def make_second(folder):
    """Take from a folder all that the second version did not have."""
    make_third(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '2' WHERE name = 'schema_version'")
        for name in ANOMALY_TABLES:
            connection.execute(f"DROP TABLE {name}")


def make_first(folder):
    """Take from a folder all that the first version did not have."""
    make_second(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '1' WHERE name = 'schema_version'")
        for name in {**RULE_TABLES, **OUTBOX_TABLES}:
            connection.execute(f"DROP TABLE {name}")
        connection.execute("ALTER TABLE models_known DROP COLUMN first_event")


@pytest.fixture
def folders(tmp_path):
    """Two folders with the same lines; the second one is of the first version."""
    first, second = tmp_path / "calm", tmp_path / "old"
    for folder in (first, second):
        with Store(folder, publish=False) as store:
            take(store, Settings(), lines(range(0, 300, 10)), 0)
    make_first(second)
    return first, second


def rows(store, sql):
    return store.cursor.execute(sql).fetchall()


def test_golden_a_folder_of_the_first_version_is_brought_up_to_date(folders):
    told = []
    for folder in folders:
        with Store(folder, publish=False) as store:
            assert store.setting("schema_version") == str(SCHEMA_VERSION)
            told.append(
                (
                    rows(store, "SELECT model_id, first_event FROM models_known"),
                    rows(store, "SELECT minute_s, first_seq FROM minute_marks ORDER BY minute_s"),
                )
            )
    assert told[0] == told[1]
    assert len(told[0][1]) == 5


def test_law_rules_see_the_same_in_a_folder_that_was_migrated(folders):
    settings = Settings(alert_rules=(RULE,))
    told = []
    for folder in folders:
        with Store(folder, publish=False) as store:
            take(store, settings, lines(range(300, 500, 10)), len(lines(range(0, 300, 10))))
            told.append(rows(store, "SELECT * FROM alerts_log ORDER BY alert_id"))
    assert told[0] == told[1]
    assert len(told[0]) == 4


def columns(store):
    return rows(
        store,
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
        " WHERE database_name = current_database() ORDER BY ALL",
    )


@pytest.mark.parametrize(
    "make_old", [make_first, make_second, make_third, make_fourth, make_fifth, make_sixth]
)
def test_golden_a_folder_of_an_older_version_has_the_tables_of_a_new_one(tmp_path, make_old):
    with Store(tmp_path / "new", publish=False) as store:
        expected = columns(store)
    with Store(tmp_path / "old", publish=False) as store:
        take(store, Settings(), lines(range(30)), 0)
    make_old(tmp_path / "old")
    with Store(tmp_path / "old") as store:
        assert [row for row in columns(store) if row in expected] == expected
        assert rows(store, "SELECT count(*) FROM anomaly_buckets") == [(0,)]
        assert rows(store, "SELECT count(*) FROM events") == [(30,)]


def test_golden_filters_of_the_seventh_version_are_kept_in_pieces(tmp_path):
    words = bytes(range(256)) * 24_576
    with Store(tmp_path) as store:
        store.begin()
        for segment, content in ((0, words), (1, b""), (2, words[::-1])):
            store_filter(store.cursor, segment, content)
        store.commit()
    make_seventh(tmp_path)
    with Store(tmp_path) as store:
        seen, unstored = loaded(store.cursor)
        assert unstored == 3
        assert [seen.words(segment) for segment in range(3)] == [words, b"", words[::-1]]
