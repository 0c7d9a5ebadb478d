"""Takes lines of step metrics into a store, and says in plain Python what holds then."""

import json
import math
from datetime import UTC, datetime, timedelta

import duckdb
from decoding import decoder

from engine.batch import Block
from engine.rows import TABLES
from engine.steps.step_tables import STEP_TABLES
from engine.steps.step_views import STEP_VIEWS
from engine.steps.steps import Steps

RECEIVED_US = 1_700_000_000_000_000


def step_store():
    """Give a store with nothing but what steps need: laws make many."""
    store = duckdb.connect(config={"threads": 1})
    for name in (*STEP_TABLES, "other_events", "step_jobs"):
        store.execute(f"CREATE TABLE {name} ({TABLES[name]})")
    for name, select in STEP_VIEWS.items():
        store.execute(f'CREATE VIEW "{name}" AS {select}')
    return store


def take(store, events, cuts=None, least_rows=20_000, received_us=RECEIVED_US):
    """Decode the events in blocks of so many lines, store the lines, and take the steps."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    at = store.execute("SELECT coalesce(max(seq) + 1, 0) FROM other_events").fetchall()[0][0]
    decoding, steps = decoder(), Steps(store, least_rows)
    steps.load()
    for count in cuts or [max(1, len(lines))]:
        block, lines = lines[:count], lines[count:]
        data = "".join(f"{line}\n" for line in block).encode()
        batch = decoding.decode(Block("s", "p", 0, data, received_us))
        assert len(batch.rejects) == 0
        store.execute("BEGIN")
        store.register("b_others", batch.others)
        store.execute(
            f"INSERT INTO other_events SELECT {at} + ordinal, type, model_id, job_id, event_id,"
            f" make_timestamp(event_us), make_timestamp({received_us}), 0, position, raw"
            " FROM b_others"
        )
        found = steps.take(at)
        assert found == any(kind == "metric" for kind in batch.others["type"].to_pylist())
        store.unregister("b_others")
        store.execute("COMMIT")
        at += batch.lines
    assert not lines
    return steps


def metric(job, name, value, **more):
    return {"type": "metric", "job_id": job, "name": name, "value": value, **more}


def instant(us):
    return datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(microseconds=us)


def naive_rows(events, received_us=RECEIVED_US):
    """Give what every event says as (job, name, step, rank, value, experiment, µs), by its rank."""
    rows = []
    for line, event in enumerate(events):
        if event["type"] != "metric":
            continue
        ms = event.get("timestamp")
        us = received_us if ms is None else ms * 1000
        value = float(event["value"]) + 0.0  # minus zero becomes zero
        experiment = event.get("experiment_id")
        experiment = None if experiment is None else str(experiment)
        came = ms is None or event.get("posted") is True
        late = (came, line if came else 0, us)
        rank = (*late, math.isnan(value), 0.0 if math.isnan(value) else value, experiment or "")
        key = (str(event["job_id"]), event["name"], event.get("step") or 0)
        rows.append((*key, rank, value, experiment, us))
    return sorted(rows, key=lambda row: row[3])


def naive_held(events, received_us=RECEIVED_US):
    """Give (job, name, step) to (value, experiment, time in µs) in force."""
    return {tuple(row[:3]): tuple(row[4:]) for row in naive_rows(events, received_us)}


def naive_latest(events, received_us=RECEIVED_US):
    """Give (job, name) to (step, value)."""
    found = {}
    for (job, name, step), (value, _, _) in sorted(
        naive_held(events, received_us).items(), key=lambda item: item[0][2]
    ):
        found[job, name] = (step, value)
    return found


def held(store):
    """Give the same as `naive_held`, from the view."""
    rows = store.execute(
        "SELECT job_id, name, step, value, experiment_id, epoch_us(timestamp) FROM step_metrics"
    ).fetchall()
    found = {tuple(row[:3]): tuple(row[3:]) for row in rows}
    assert len(found) == len(rows)
    return found


def shown(values):
    """Give a mapping as text: NaN equals NaN, and zero is not minus zero."""
    return sorted(map(repr, values.items()))
