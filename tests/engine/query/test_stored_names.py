"""Names of stored events: what was met lately, and what only older rows have, is never refused."""

import json

import duckdb
import pytest

from engine.ad_hoc import ask, ask_drift
from engine.config import ModelSettings, Settings
from engine.errors import QueryError
from engine.query.stored_names import SAMPLED, Seen, seen_properties, stored_names
from engine.rows import make_tables

MODEL = ModelSettings("m", classes=("x",))


def _store(events, votes=(), reference=()):
    cursor = duckdb.connect()
    make_tables(cursor)
    for seq, event in enumerate(events):
        cursor.execute(
            "INSERT INTO events_kept (seq, key, model_id, event_id, event_time, received_time,"
            " partition_id, position, line) VALUES (?, 0, 'm', ?, TIMESTAMP '2026-01-01',"
            " TIMESTAMP '2026-01-01', 0, 0, ?)",
            [seq, str(seq), json.dumps(event)],
        )
    for name, number in votes:
        cursor.execute(
            "INSERT INTO votes_log VALUES (0, 0, 'm', '0', '', ?, '1', ?, TIMESTAMP '2026-01-01')",
            [name, number],
        )
    for event in reference:
        cursor.execute(
            "INSERT INTO other_events VALUES (0, 'reference', 'm', NULL, NULL, NULL,"
            " TIMESTAMP '2026-01-01', 0, 0, ?)",
            [json.dumps(event)],
        )
    return cursor


def _average(name):
    return {"select": [{"function": "avg", "parameters": {"property": name}}]}


def test_oracle_properties_are_counted_by_kind():
    events = [{"features": {"a": 1, "b": "x"}, "shop.id": 3, "id": "1", "score": 0.5},
              {"features": {"a": "y", "b": True}, "labels": {"t": None}}]  # fmt: skip
    cursor = _store(events, [("v", 1.0), ("w", None)], [{"predictions": {"p": 0.5}}])
    cursor.execute("INSERT INTO model_properties VALUES ('m', 'features.old')")
    assert seen_properties(cursor, "m") == {
        "features.a": Seen(numbers=1, texts=1),
        "features.b": Seen(texts=1, booleans=1),
        "features.old": Seen(),
        "labels.t": Seen(),
        "labels.v": Seen(numbers=1),
        "labels.w": Seen(texts=1),
        "predictions.p": Seen(numbers=1),
        "score": Seen(numbers=1),
        "shop.id": Seen(numbers=1),
    }
    names = stored_names(cursor, MODEL)
    assert names.properties["features.b"] == "text"
    assert {names.properties[each] for each in ("features.a", "features.old")} == {"mixed"}
    assert "score" not in names.properties


def test_oracle_what_was_a_number_once_is_no_text():
    cursor = _store([{"features": {"a": "x"}}])
    cursor.execute("INSERT INTO model_properties VALUES ('m', 'features.a')")
    assert stored_names(cursor, MODEL).properties == {"features.a": "mixed"}


def test_oracle_classes_are_the_declared_and_those_that_labels_have():
    cursor = _store([])
    for label, count in (("z", 1), ("b", 1), ("gone", 1), ("gone", -1)):
        cursor.execute(
            "INSERT INTO cell_panes VALUES ('m', 'event', 0, ?, ?, ?, 0)", [label, label, count]
        )
    assert stored_names(cursor, MODEL).classes == ("x", "b", "z")


def test_law_a_name_of_old_rows_alone_is_found():
    events = [{"features": {"rare": 7}}, *[{"features": {"a": 1}}] * (2 * SAMPLED)]
    cursor = _store(events)
    assert "features.rare" not in stored_names(cursor, MODEL).properties
    assert ask(cursor, MODEL, _average("rare")) == [{"avg": 7.0}]
    two = {"select": [*_average("rare")["select"], _average("rara")["select"][0] | {"alias": "b"}]}
    with pytest.raises(QueryError, match='a property of model m, got "rara"; did you mean "rare"'):
        ask(cursor, MODEL, two)


def test_law_a_truth_that_only_old_votes_have_is_found():
    votes = [("t", 1.0), *[("u", 1.0)] * (2 * SAMPLED)]
    cursor = _store([{"prediction": 1}] * 2, votes)
    query = {"select": [{"function": "rmse", "parameters": {"ground_truth_property": "t"}}]}
    assert ask(cursor, MODEL, query) == [{"rmse": None}]


def test_error_names_that_no_row_has():
    cursor = _store([{"features": {"age": 1}}], reference=[{"features": {"height": 1}}])
    for query in (_average("agee"), {"select": _average("age")["select"],
                  "filter": [{"property": "hight", "comparator": "eq", "value": 1}]}):  # fmt: skip
        with pytest.raises(QueryError, match="did you mean"):
            ask(cursor, MODEL, query)
    with pytest.raises(QueryError, match="did you mean"):
        ask_drift(cursor, Settings(), MODEL, {"properties": ["heigt"]})


def test_oracle_a_model_without_rows_refuses_no_name():
    assert ask(_store([]), MODEL, _average("anything")) == [{"avg": None}]
