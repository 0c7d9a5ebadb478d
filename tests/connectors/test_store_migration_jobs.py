"""A folder of the version before jobs is brought up to date: their tables follow from its lines."""

import json

import duckdb
import pytest
from old_stores import make_fifth

from connectors.store import FILE_NAME, Store
from engine.batch import Block
from engine.change_tables import CHANGE_TABLES
from engine.config import Settings
from engine.decode import Decoder, canonical
from engine.jobs.job_tables import JOB_TABLES
from engine.monitor import Monitor
from engine.processing.processing_tables import PROCESSING_TABLES
from engine.steps.step_tables import STEP_TABLES

START_MS = 1_700_000_040_000
DECISIONS = (
    "SELECT model_id, job_id, hour_s, label, prediction, label_source, sum(count)::BIGINT"
    " FROM decision_panes GROUP BY ALL HAVING sum(count) <> 0 ORDER BY ALL"
)


def event(number, **more):
    at = START_MS + number * 1_000_000
    return {"model_id": f"m{number % 2}", "id": f"e{number % 7}", "timestamp": at} | more


EVENTS = [
    *(event(n, prediction="XY"[n % 2], job_id="j", label=None if n % 3 else "X") for n in range(9)),
    event(3, prediction=1.5, label="Z"),
    event(5, type="label", label="Y", by="ana"),
    event(4, type="label", label="Y", by="bob"),
    event(4, type="label", label="X", by="cy"),
    {"type": "model", "model_id": "m0", "status": "deployed", "timestamp": START_MS, "job_id": 7},
    {"type": "model", "model_id": "m1", "status": "retired \u00e9", "timestamp": START_MS},
    {"type": "ingest", "id": 1, "strike": 2, "status": "ingested", "timestamp": START_MS},
]


@pytest.fixture
def folder(tmp_path):
    """The lines come in four blocks, so that labels find stored predictions."""
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    with Store(tmp_path, publish=False) as store:
        store.begin()
        monitor = Monitor(store.cursor, Settings(), 60, canonical)
        monitor.watch()
        position = 0
        for at in range(0, len(EVENTS), 4):
            data = "".join(json.dumps(each) + "\n" for each in EVENTS[at : at + 4]).encode()
            monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
            position += len(data)
        store.commit()
    return tmp_path


def told(folder):
    with Store(folder, publish=False) as store:
        ask = store.cursor.execute
        return ask(DECISIONS).fetchall(), ask("FROM deployments_log ORDER BY seq").fetchall()


def test_law_decisions_and_deployments_are_those_that_a_run_would_have_left(folder):
    before = told(folder)
    make_fifth(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '3' WHERE name = 'schema_version'")
        for name in {**STEP_TABLES, **PROCESSING_TABLES, **JOB_TABLES, **CHANGE_TABLES}:
            connection.execute(f"DROP TABLE {name}")
    assert told(folder) == before
    assert sum(row[-1] for row in before[0]) == 9  # ten predictions, one of them replaced
    assert [row[3] for row in before[1]] == ["deployed", "retired \u00e9"]
