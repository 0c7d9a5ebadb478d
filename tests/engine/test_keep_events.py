"""Events stored without their properties: what is live stays right, the rest is refused.

The twin is a store that keeps everything.
"""

import pytest
from decoding import decoder
from harness import confusion, events_relation, fresh_store
from kept_streams import START_MS, lines_of, stream
from query_rows import one

from engine.ad_hoc import ask, ask_drift
from engine.batch import Block
from engine.canonical import canonical
from engine.config import ModelSettings, RuleSettings, Settings
from engine.errors import QueryError
from engine.jobs.questions import parse_question
from engine.jobs.selection import tally_events
from engine.kept import BARE, has_bare_events, make_stored
from engine.monitor import Monitor

RULE = RuleSettings("m1", "avg(features.a)", "upper", 3, "warning", name="r", lookback_s=60)
MODELS = (ModelSettings("m1"), ModelSettings("m2"))


def fed(keep, blocks, least=0):
    """A store after some blocks of lines; `keep` says for each how its events are kept."""
    store, reading, position = fresh_store(), decoder(least, max_future_us=None), 0
    for kept, lines in zip(keep, blocks, strict=True):
        settings = Settings(models=MODELS, alert_rules=(RULE,), keep_events=kept)
        store.execute("BEGIN")
        if kept == "none":
            store.execute("INSERT OR REPLACE INTO settings VALUES ('events_bare', 'true')")
            make_stored(store)
        monitor = Monitor(store, settings, 60, canonical)
        monitor.watch()
        data = b"".join(lines)
        monitor.take(reading.decode(Block("s", "p", position, data, 0)))
        store.execute("COMMIT")
        position += len(data)
    return store


def cut(events, size):
    """The events as lines, in blocks."""
    lines = lines_of(events)
    return [lines[at : at + size] for at in range(0, len(lines), size)]


def panes(store, where="true"):
    return store.execute(
        "SELECT model_id, pane_s, property, sum(count), sum(sum), min(min), max(max)"
        f" FROM value_panes WHERE {where} GROUP BY ALL HAVING sum(count) > 0 ORDER BY ALL"
    ).fetchall()


BLOCKS = cut(stream(3, 300, again=0, apart=True), 110)[:3]


@pytest.fixture(scope="module")
def twin():
    return fed(("all",) * 3, BLOCKS)


@pytest.mark.parametrize("keep", [("none",) * 3, ("all", "none", "all")], ids=str)
def test_law_what_is_live_is_as_if_everything_was_kept(keep, twin):
    store = fed(keep, BLOCKS)
    assert events_relation(store) == events_relation(twin)
    assert confusion(store) == confusion(twin)
    assert panes(store) == panes(twin)
    alerts = "SELECT * FROM alerts ORDER BY ALL"
    told = store.execute(alerts).fetchall()
    assert told == twin.execute(alerts).fetchall()
    assert told
    for table in ("total_panes", "cell_panes"):
        sql = f"SELECT * FROM {table} ORDER BY ALL"
        assert store.execute(sql).fetchall() == twin.execute(sql).fetchall()


def test_golden_no_property_is_stored():
    store = fed(("none",), [lines_of(stream(4, 100))])
    ((bare, every),) = store.execute(
        "SELECT count(*) FILTER (line IS NULL AND numbers IS NULL AND shape_id IS NULL), count(*)"
        " FROM events_stored"
    ).fetchall()
    assert bare == every > 60
    assert store.execute("SELECT DISTINCT properties::VARCHAR FROM events").fetchall() == [("{}",)]


@pytest.mark.parametrize(
    ("more", "table"),
    [
        ({}, "events_bare"),
        ({"label": "b", "score": 0.5, "job_id": "j", "features": {"a": 1}}, "events_bare"),
        ({"label": 1}, "events_kept"),
        ({"prediction": 2}, "events_kept"),
        ({"batch_id": "x"}, "events_kept"),
        ({"bucket_id": "x"}, "events_kept"),
    ],
    ids=str,
)
def test_golden_only_what_has_rarer_fields_has_all_columns(more, table):
    plain = {"model_id": "m1", "id": "y", "timestamp": START_MS, "prediction": "a"}
    event = plain | {"id": "x", "timestamp": START_MS + 1000} | more
    store = fed(("none", "none"), [lines_of([plain]), lines_of([event])])
    for each in ("events_bare", "events_kept"):
        rows = store.execute(f"SELECT event_id FROM {each} ORDER BY seq").fetchall()
        wanted = ["y"] * (each == "events_bare") + ["x"] * (each == table)
        assert [name for (name,) in rows] == wanted
    columns = (
        "model_id, event_id, event_time, prediction, label, score, job_id, batch_id, bucket_id"
    )
    twin = fed(("all", "all"), [lines_of([plain]), lines_of([event])])
    said = [each.execute(f"SELECT {columns} FROM events ORDER BY seq") for each in (store, twin)]
    assert said[0].fetchall() == said[1].fetchall()


def corrected(feature, seconds=0):
    when = START_MS + 1000 * seconds
    event = {"model_id": "m1", "id": "x", "timestamp": when, "prediction": 1 + seconds}
    return lines_of([event | {"features": {"a": feature}}])


def test_golden_a_replaced_prediction_takes_back_all_but_its_properties():
    store = fed(("none", "none"), [corrected(1), corrected(5, 1)])
    assert confusion(store) == {}
    assert store.execute("SELECT sum(events) FROM total_panes").fetchall() == [(1,)]
    assert [row[2:] for row in panes(store)] == [
        ("features.a", 2, 6.0, 1.0, 5.0),
        ("prediction", 1, 2.0, 2.0, 2.0),
    ]
    kept = fed(("all", "all"), [corrected(1), corrected(5, 1)])
    assert [row[2:] for row in panes(kept)] == [
        ("features.a", 1, 5.0, 5.0, 5.0),
        ("prediction", 1, 2.0, 2.0, 2.0),
    ]


def test_golden_a_pane_with_events_of_both_kinds_loses_nothing():
    other = lines_of([{"model_id": "m1", "id": "y", "timestamp": START_MS, "features": {"a": 7}}])
    store = fed(("none", "all", "all"), [other, corrected(1), corrected(5, 1)])
    found = {row[2]: row[3:] for row in panes(store)}
    assert found["features.a"] == (3, 13.0, 1.0, 7.0)
    assert found["prediction"] == (1, 2.0, 2.0, 2.0)


def test_law_properties_break_no_ties_where_they_are_not_stored():
    for first, second in [(1, 5), (5, 1)]:
        store = fed(("none", "none"), [corrected(first), corrected(second)])
        assert store.execute("SELECT seq FROM events").fetchall() == [(0,)]


def test_error_properties_of_stored_events_are_refused():
    store = fed(("none",), [lines_of(stream(5, 100))])
    assert has_bare_events(store)
    assert ask(store, MODELS[0], {"select": [one("count", "n")]})[0]["n"] > 20
    with pytest.raises(QueryError, match=r"keep_events: none`\), got features.a"):
        ask(store, MODELS[0], {"select": [one("avg", property="features.a")]})
    side = {"source": "inference"}
    query = {"properties": ["features.a"], "metric": "PSI", "base": side, "target": side}
    with pytest.raises(QueryError, match="must name columns alone"):
        ask_drift(store, Settings(), MODELS[0], query)
    question = {"job_id": "j", "filters": [{"field": "a", "operator": "exists"}]}
    with pytest.raises(QueryError, match=r"`filters` must be on columns alone .* got a"):
        tally_events(store, parse_question(question))
    question = {"job_id": "j", "filters": [{"field": "score", "operator": "exists"}]}
    assert sum(tally_events(store, parse_question(question)).cells.values()) > 5


def test_golden_once_no_such_event_is_left_nothing_is_refused():
    store = fed(("none", "all"), [lines_of(stream(5, 20)), lines_of(stream(6, 100))])
    store.execute(f"DELETE FROM events_kept WHERE {BARE}")
    store.execute("DELETE FROM events_bare")
    assert not has_bare_events(store)
    answer = ask(store, MODELS[0], {"select": [one("count", "n"), one("avg", "v", property="a")]})
    assert answer[0]["n"] > 20
