"""Catalogues of one's own against a brute force over the distinct events, of all four types.

The events have fields of every JSON type, missing ones, names and values with quotes, and repeated
ids: only what is in force counts.
"""

import json
import math
from itertools import repeat

import duckdb
import numpy as np
import pytest
from decoding import decoder
from harness import encoded, fresh_store, run

from engine.catalogue_settings import (
    CatalogueColumn,
    CatalogueGroup,
    Catalogues,
    CatalogueSettings,
)
from engine.config import Settings
from engine.decode import canonical
from engine.errors import NotFoundError, QueryError
from engine.instants import iso_us
from engine.processing.catalogues import catalogues, details
from engine.processing.declared import declare_catalogues
from engine.processing.plot import PlotQuestion, plot_data
from engine.processing.processing import backfill
from engine.steps.step_views import STEP_VIEWS

FIRST_MS = 1_699_200_000_000  # a full hour
HOUR_MS = 3_600_000
NOW_US = iso_us("2024-01-01")
ODD = 'it\'s "a"/~{x}'


def settings_of(*declared):
    return Settings(catalogues=Catalogues(declared=declared))


def column(name, aggregate, field=None, where=()):
    return CatalogueColumn(name, "unit", aggregate, field=field, where=where)


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return value if isinstance(value, str) else None


def naive(told, rows, chosen=None):
    """Give the points (hour, value) of each column; `rows` are (time in ms, fields)."""
    hours = {}
    for time_ms, fields in rows:
        if chosen is None or tuple(text_of(fields.get(name)) for name in told.choice) == chosen:
            hours.setdefault(time_ms // HOUR_MS * 3_600, []).append(fields)
    found = {}
    for one in told.columns:
        points = [(hour, value_of(one, hours[hour])) for hour in sorted(hours)]
        found[one.name] = [(hour, value) for hour, value in points if value is not None]
    return found


def value_of(one, rows):
    def held(fields, name, values):
        value = text_of(fields.get(name))
        if name == "status":
            return value.lower() in [each.lower() for each in values]
        return value in values

    rows = [f for f in rows if all(held(f, name, values) for name, values in one.where)]
    if one.aggregate == "count":
        return sum(one.field is None or text_of(f.get(one.field)) is not None for f in rows)
    values = [f.get(one.field) for f in rows]
    values = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if not values:
        return None
    if one.aggregate == "avg":
        return math.fsum(values) / len(values)
    return {"sum": math.fsum, "min": min, "max": max}[one.aggregate](values)


def assert_same(store, told, rows):
    """Compare over all choices, and choice by choice."""
    ask = PlotQuestion(catalogue=told.name, now_us=NOW_US)
    assert found_in(plot_data(store, ask)) == approx(naive(told, rows))
    choices = details(store, told.name).choices
    keys = [tuple(choice[name] for name in told.choice) for choice in choices]
    assert set(keys) == {tuple(text_of(f.get(n)) for n in told.choice) for _, f in rows}
    assert len({choice["id"] for choice in choices}) == len(keys)
    for choice, key in zip(choices, keys, strict=True):
        ask = PlotQuestion(catalogue=told.name, now_us=NOW_US, choice_ids=(choice["id"],))
        assert found_in(plot_data(store, ask)) == approx(naive(told, rows, key))


def found_in(answer):
    return {
        one.column.name: list(
            zip(one.times.astype("int64").tolist(), one.values.tolist(), strict=True)
        )
        for one in answer.series
    }


def approx(found):
    return {
        name: [(hour, pytest.approx(value, rel=1e-9, abs=1e-9)) for hour, value in points]
        for name, points in found.items()
    }


# ---- runs and ingests ------------------------------------------------------------------------


GOOD = ("Completed", "ingested")
NODES = (None, "n1", 1, 1.0, True, [1], "1:n")


def happened(chance, kind, count):
    for _ in range(count):
        event = {
            "type": kind,
            "id": f"id {chance.integers(0, count * 2 // 3)}",
            "timestamp": FIRST_MS + int(chance.integers(0, 5 * HOUR_MS)),
            "status": str(chance.choice(["completed", "Failed", "INGESTED"])),
            ("job_type" if kind == "run" else "strike"): str(chance.choice(["a", "b"])),
        }
        node = chance.choice(len(NODES))
        event |= [
            {},
            {"node": "n1"},
            {"node": 1},
            {"node": 1.0},
            {"node": True},
            {"node": [1]},
            {"node": "1:n"},
        ][node]
        event |= [{}, {ODD: 0}, {ODD: -2.5}, {ODD: "12"}, {ODD: 1e300}][chance.choice(5)]
        if chance.random() < 0.7:
            event["queue_time" if kind == "run" else "file_size"] = int(chance.integers(0, 9))
        yield event


def stored(events):
    """Store lines as the monitor does; gives the store, and the (time, fields) in force."""
    store, winners = fresh_store(), {}
    for seq, event in enumerate(events):
        raw = json.dumps(event)
        store.execute(
            "INSERT INTO other_events VALUES (?, ?, NULL, ?, ?, make_timestamp(?),"
            " make_timestamp(0), 0, ?, ?)",
            [
                seq,
                event["type"],
                event.get("job_id"),
                event["id"],
                event["timestamp"] * 1000,
                seq,
                raw,
            ],
        )
        winner = winners.get(event["id"])
        rank = (event["timestamp"], canonical(raw))
        if winner is None or rank > winner[0]:
            winners[event["id"]] = (rank, event)
    backfill(store, canonical)
    return store, [(event["timestamp"], event) for _, event in winners.values()]


@pytest.mark.parametrize("kind", ["run", "ingest"])
@pytest.mark.parametrize("seed", [1])
def test_oracle_runs_and_ingests_with_any_fields(kind, seed):
    store, rows = stored(happened(np.random.default_rng(seed), kind, 80))
    own = "queue_time" if kind == "run" else "file_size"
    told = CatalogueSettings(
        "nodes",
        kind,
        ("node", "job_type" if kind == "run" else "strike"),
        (
            column("events", "count"),
            column("with-it", "count", ODD),
            column(
                "good", "count", where=(("status", ("Completed", "ingested")), ("node", ("1",)))
            ),
            column("odd-sum", "sum", ODD, (("node", ("n1", "true")),)),
            column("odd-avg", "avg", ODD),
            column("own-min", "min", own),
            column("own-max", "max", own, (("status", ("failed",)),)),
        ),
    )
    declare_catalogues(store, settings_of(told))
    assert_same(store, told, rows)


def test_oracle_the_id_of_a_choice_lasts_and_no_two_texts_share_one():
    names = [("1:a", "c"), ("1:a1:c", None), ("1", ":a1:c"), ("-", "-"), ("-", None)]
    events = [
        {"type": "run", "id": str(n), "timestamp": FIRST_MS, "status": "x", "job_type": a, "b": b}
        for n, (a, b) in enumerate(names)
    ]
    told = CatalogueSettings("c", "run", ("job_type", "b"), (column("n", "count"),))
    found = []
    for lines in (events, events[::-1]):
        store, _ = stored(lines)
        declare_catalogues(store, settings_of(told))
        found.append({c["id"]: (c["job_type"], c["b"]) for c in details(store, "c").choices})
    assert found[0] == found[1]
    assert len(found[0]) == 5


# ---- steps and predictions -------------------------------------------------------------------


def test_oracle_step_metrics_of_which_the_last_value_of_a_step_counts():
    chance, store, rows = np.random.default_rng(3), fresh_store(), {}
    for view, select in STEP_VIEWS.items():
        store.execute(f'CREATE OR REPLACE VIEW "{view}" AS {select}')
    for seq in range(80):
        value = float(chance.choice([0.0, -1.5, 2.0, math.nan, math.inf]))
        key = (
            str(chance.choice(["1", "2"])),
            str(chance.choice(["loss", "auc"])),
            int(chance.integers(0, 20)),
        )
        at = FIRST_MS + seq * 200_000
        store.execute(
            "INSERT INTO step_log VALUES (?, ?, ?, ?, ?, NULL, make_timestamp(?), false)",
            [seq, *key, value, at * 1000],
        )
        told = {"job_id": key[0], "name": key[1], "step": key[2]}
        rows[key] = (at, told | ({"value": value} if math.isfinite(value) else {}))
    told = CatalogueSettings(
        "steps",
        "metric",
        ("name",),
        (
            column("n", "count"),
            column("mean", "avg", "value", (("job_id", ("1",)),)),
            column("last-step", "max", "step"),
        ),
    )
    declare_catalogues(store, settings_of(told))
    assert_same(store, told, list(rows.values()))


def test_oracle_predictions_with_the_labels_that_hold():
    chance, events, rows = np.random.default_rng(4), [], []
    for n in range(60):
        fields = {"model_id": "m", "prediction": str(chance.choice(["x", "y"])), "score": 0.5}
        city = {} if n % 4 == 0 else {"city": str(chance.choice(["Boston", "Rome"]))}
        shared = {"shared": n} if n % 2 else {}
        time = FIRST_MS + n * 500_000
        label = str(chance.choice(["x", "y"]))
        event = {**fields, "id": str(n), "timestamp": time, "features": {**city, "shared": "f"}}
        events.append({**event, **shared})  # the feature comes before the further field
        known = {}
        if n % 3:
            vote = {"type": "label", "model_id": "m", "id": str(n), "timestamp": time + 1}
            events.append({**vote, "label": label})
            known = {"label": label, "correct": label == fields["prediction"]}
        rows.append((time, {**fields, **city, **known, "shared": "f"}))
    store = run(decoder(max_future_us=None), encoded(events), repeat(7))
    told = CatalogueSettings(
        "cities",
        "prediction",
        ("city", "prediction"),
        (
            column("events", "count"),
            column("right", "count", where=(("correct", ("true",)),)),
            column("labelled", "count", "label"),
            column("score", "avg", "score"),
            column("shared", "sum", "shared"),
        ),
    )
    declare_catalogues(store, settings_of(told))
    assert_same(store, told, rows)


# ---- the declaration -------------------------------------------------------------------------


def shown(store):
    """Give the catalogues behind the built-in ones and the engine's own."""
    return [one.to_json() for one in catalogues(store).catalogues[9:]]


def test_golden_what_is_declared_is_shown_behind_the_others_and_replaced_by_the_next():
    store = fresh_store()
    columns = (CatalogueColumn("n", "count", "count", group="g"), column("mem", "avg", "memory"))
    groups = (CatalogueGroup("g", "G", "Counts."),)
    told = CatalogueSettings("nodes", "run", ("node",), columns, None, None, ("node",), groups)
    other = CatalogueSettings("other", "ingest", ("strike",), columns[1:], "Other", "O.")
    declare_catalogues(store, settings_of(told, other))
    names = ("name", "title", "description", "units", "group", "aggregate")
    memory = dict(zip(names, ("mem", "mem", "", "unit", None, "avg"), strict=True))
    count = dict(zip(names, ("n", "n", "", "count", "g", "sum"), strict=True))
    last = {
        "name": "other",
        "title": "Other",
        "description": "O.",
        "filters": [],
        "groups": [],
        "columns": [memory],
    }
    assert shown(store) == [
        {
            "name": "nodes",
            "title": "nodes",
            "description": "",
            "filters": [{"param": "node", "type": "string"}],
            "groups": [{"name": "g", "title": "G", "description": "Counts."}],
            "columns": [count, memory],
        },
        last,
    ]
    declare_catalogues(store, settings_of(other))
    assert shown(store) == [last]
    with pytest.raises(NotFoundError):
        details(store, "nodes")


def test_golden_it_is_asked_through_a_cursor_that_only_reads(tmp_path):
    path = str(tmp_path / "x.duckdb")
    told = CatalogueSettings("c", "run", ("job_type",), (column("n", "count"),))
    event = {"type": "run", "id": "1", "timestamp": FIRST_MS, "status": "x", "job_type": "a"}
    store, _ = stored([event])
    declare_catalogues(store, settings_of(told))
    store.execute(f"ATTACH '{path}' AS copy")
    store.execute("COPY FROM DATABASE memory TO copy")
    store.execute("DETACH copy")
    with duckdb.connect(path, read_only=True) as reader:
        (choice,) = details(reader, "c").choices
        ask = PlotQuestion(catalogue="c", now_us=NOW_US, choice_ids=(choice["id"],))
        assert plot_data(reader, ask).series[0].values.tolist() == [1]
        with pytest.raises(QueryError):
            plot_data(reader, PlotQuestion(catalogue="c", now_us=NOW_US, choice_ids=(1,)))
