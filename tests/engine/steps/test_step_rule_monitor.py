"""Rules on step metrics as the monitor runs them: from lines to alerts, however these are cut.

The rules must be told of every block, and again of everything that opens the other rules anew:
a reference set that is frozen takes all rules out of force, and alerts would end there.
"""

import itertools

import duckdb
import pytest
from harness import encoded, fresh_store
from step_rule_runs import ALERTS, EVALUATIONS, rule_of, settings_of

from engine.batch import Block
from engine.config import ModelSettings
from engine.decode import Decoder, canonical
from engine.monitor import Monitor


@pytest.fixture
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def events():
    for number in range(120):
        second = f"2026-11-21T10:{number // 60:02d}:{number % 60:02d}Z"
        yield {
            "type": "metric",
            "job_id": f"t{number % 3 + 1}",
            "name": "loss",
            "step": number // 3,
            "value": "nan" if number % 50 == 9 else number * 37 % 100 / 10,
            "timestamp": second,
            **({"experiment_id": "e1"} if number > 20 else {}),
        }
        if number % 30 == 0:
            yield {"type": "reference", "model_id": "m", "features": {"x": number}}
        if number % 10 == 0:
            told = {"model_id": "m", "id": str(number), "timestamp": second}
            yield told | {"prediction": "a", "features": {"x": number}}


SETTINGS = settings_of(
    rule_of(name="r", steps=5, threshold=5.0, wait_steps=3),
    rule_of(name="all", experiment="e1", steps=2, function="max", threshold=9.0),
    models=(ModelSettings("m"),),
)


def run(decoder, cuts):
    store, given = fresh_store(), []
    monitor = Monitor(store, SETTINGS, 60, canonical)
    store.execute("BEGIN")
    monitor.watch()
    lines, at, position = encoded(events()), 0, 0
    while at < len(lines):
        data = b"".join(lines[at : at + next(cuts)])
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        at, position = at + data.count(b"\n"), position + len(data)
        given += monitor.take_alerts().to_pylist()
    store.execute("COMMIT")
    return store, given


def test_oracle_alerts_are_the_same_however_lines_are_cut(decoder):
    found = []
    for size in (1, 7, 1_000):
        store, given = run(decoder, itertools.repeat(size))
        told = store.execute("SELECT alert_id, model_id FROM alerts").fetchall()
        assert sorted(map(tuple, (each.values() for each in given))) == sorted(told)
        rows = (store.execute(EVALUATIONS).fetchall(), store.execute(ALERTS).fetchall())
        found.append(repr(rows))
    assert found[0] == found[1] == found[2]
    assert {row[0] for row in rows[1]} == {"r", "all"}
    assert len(rows[1]) > 10
    in_force = store.execute("SELECT count(*) FROM alert_rules WHERE NOT is_default").fetchall()
    assert in_force == [(2,)]
