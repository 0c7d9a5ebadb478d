"""Properties as SQL: names and values are only data, class text is that of the decoder."""

import json
import math

import duckdb
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from query_rows import CURSOR, NAMES, SAID, class_of, number_of

from engine.query.columns import StoredColumns, pointer, rows_sql
from engine.query.exact import exact_means, exact_quotient, exact_sums
from engine.query.names import ModelNames
from engine.rows import make_tables

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(name=NAME, other=NAME, value=SCALARS)
def test_law_any_name_and_value_is_only_data(name, other, value):
    raw = json.dumps({"features": {name: value}, "predictions": {other: value}})
    for found in (f"features.{name}", f"predictions.{other}"):
        columns = StoredColumns(NAMES)
        sql = f"SELECT {columns.number(found)}, {columns.text(found)} FROM ({SAID}) r"
        ((number, text),) = CURSOR.execute(sql, {"raw": raw}).fetchall()
        assert (number, text) == (number_of(value), class_of(value))


def test_oracle_pointer_reaches_further_fields_with_dots():
    columns = StoredColumns(NAMES)
    raw = json.dumps({"shop.id": 7, "features.": "no", "a/b~c": "x"})
    sql = ", ".join(columns.text(name) for name in ("shop.id", "a/b~c", "absent"))
    found = CURSOR.execute(f"SELECT {sql} FROM ({SAID}) r", {"raw": raw}).fetchall()
    assert found == [("7", "x", None)]
    assert pointer("labels.a.b") == "/labels/a.b"


def test_oracle_regular_names_are_columns():
    columns = StoredColumns(NAMES)
    assert columns.number("label") == "r.label_number"
    assert columns.text("inference_id") == "r.event_id"
    assert columns.time("ground_truth_timestamp") == "r.label_time"
    row = "SELECT TIMESTAMP '2024-01-02 03:04:05.5' AS event_time, 0.5 AS score"
    sql = f"SELECT {columns.text('inference_timestamp')}, {columns.text('score')} FROM ({row}) r"
    assert duckdb.execute(sql).fetchall() == [("2024-01-02T03:04:05.500000Z", "0.5")]


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 3), st.integers(-3, 3)
        )
    )
)
def test_law_sums_are_exact_by_group(entries):
    values = np.array([v for v, _, _ in entries], np.float64)
    groups = np.array([g for _, g, _ in entries], np.int64)
    weights = np.array([w for _, _, w in entries], np.int64)
    found = exact_sums(values, groups, 4, weights)
    for group in range(4):
        kept = [(v, w) for v, g, w in entries if g == group and math.isfinite(v)]
        expected = sum(w * n * (2**1074 // d) for v, w in kept for n, d in [v.as_integer_ratio()])
        assert found[group] == expected


def test_oracle_exact_sums_agree_with_fsum():
    rng = np.random.default_rng(4)
    values = rng.normal(size=20_000) * 10.0 ** rng.integers(-300, 300, 20_000)
    groups = rng.integers(0, 500, 20_000)
    found = exact_sums(values, groups, 500)
    for group in range(500):
        assert exact_quotient(found[group], 1) == math.fsum(values[groups == group])
    # more groups than values take the other way through
    sparse = exact_sums(values[:10], groups[:10] * 10_000, 5_000_000)
    for group in set(groups[:10]):
        assert exact_quotient(sparse[group * 10_000], 1) == math.fsum(
            values[:10][groups[:10] == group]
        )


def test_oracle_means_are_correctly_rounded_and_nan_of_nothing():
    sums = exact_sums(np.array([1.7e308] * 3 + [0.1] * 3), np.array([0, 0, 0, 1, 1, 1]), 3)
    means = exact_means(sums, np.array([3, 3, 0]))
    assert means[:2].tolist() == [1.7e308, 0.1]
    assert math.isnan(means[2])
    assert exact_quotient(int(sums[0]), 1) == math.inf
    assert exact_quotient(-int(sums[0]), 1) == -math.inf


# ---- relations of a store ---------------------------------------------------------------------


def _store():
    cursor = duckdb.connect()
    make_tables(cursor)
    return cursor


def _event(cursor, seq, label=None, **raw):
    event = {"id": f"e{seq}", "model_id": "m"} | raw
    cursor.execute(
        "INSERT INTO events_kept BY NAME SELECT $seq AS seq, 0 AS key, 'm' AS model_id, $id AS"
        " event_id, make_timestamp($seq * 1000000) AS event_time, event_time AS received_time,"
        " $label AS label, 0 AS partition_id, 0 AS position, $raw AS line",
        {"seq": seq, "id": f"e{seq}", "label": label, "raw": json.dumps(event)},
    )


def _outcome(cursor, event_seq, name, label, number=None, *, at=100):
    cursor.execute(
        "INSERT INTO outcomes SELECT $e, $e, $p, $l, $n, make_timestamp($t * 1000000), 'votes'",
        {"e": event_seq, "p": name, "l": label, "n": number, "t": at},
    )


def _select(cursor, source, truths, names=NAMES):
    columns = StoredColumns(names)
    sql = (
        f"SELECT seq, label, {columns.text('labels.x')}, {columns.number('labels.x')},"
        f" epoch(label_time)::INT FROM ({rows_sql(names, source, truths)}) r ORDER BY seq"
    )
    return cursor.execute(sql).fetchall()


def test_oracle_votes_decide_named_truths():
    cursor = _store()
    _event(cursor, 1, "a", labels={"x": 1})
    _event(cursor, 2, None, labels={"x": "said", "y": 2})
    _event(cursor, 3, "b", labels={"x": "said"})
    _event(cursor, 4, "b")
    _event(cursor, 5, "b", labels={"x": "gone"})
    cursor.execute("INSERT INTO events_retired VALUES (5)")
    _outcome(cursor, 2, "x", "2.5", 2.5)
    _outcome(cursor, 3, "x", None)
    _outcome(cursor, 4, "x", "true", at=1)  # labelled before it happened
    _outcome(cursor, 1, "", "c", at=50)
    assert _select(cursor, "inference", ("x",)) == [
        (1, "c", "1", 1.0, 1),
        (2, None, "2.5", 2.5, 100),
        (3, "b", None, None, None),
        (4, "b", "true", None, 1),
    ]
    assert [row[4] for row in _select(cursor, "inference", ("label", "x"))] == [50, None, None, 4]
    assert [row[4] for row in _select(cursor, "inference", ())] == [50, None, 3, 4]
    assert [row[0] for row in _select(cursor, "ground_truth", ("label",))] == [1, 3, 4]
    raw = cursor.execute(f"SELECT raw FROM ({rows_sql(NAMES, 'inference', ('x',))}) WHERE seq = 2")
    assert json.loads(raw.fetchall()[0][0])["labels"] == {"x": 2.5, "y": 2}


def test_oracle_retired_outcomes_no_longer_hold():
    cursor = _store()
    _event(cursor, 1, "a")
    _outcome(cursor, 1, "", "b")
    cursor.execute("INSERT INTO outcomes_retired VALUES (1)")
    assert _select(cursor, "inference", ("label",)) == [(1, "a", None, None, 1)]


def test_oracle_reference_set_keeps_the_latest_of_each_id():
    cursor = _store()
    names = ModelNames("m", {}, positive_property="p'1")
    rows = [
        (1, "m", "r1", 10, {"prediction": 1.0, "label": True, "score": 0.5}),
        (2, "m", "r1", 20, {"prediction": "b", "features": {"p'1": 0.25}, "batch_id": 7}),
        (3, "m", None, None, {"label": "z", "predictions": {"p'1": 3}, "labels": {"x": 2}}),
        (4, "m", None, None, {"label": "z"}),
        (5, "other", "r1", 30, {"label": "z"}),
    ]
    for seq, model, event_id, time, raw in rows:
        cursor.execute(
            "INSERT INTO other_events BY NAME SELECT $s AS seq, 'reference' AS type, $m AS"
            " model_id, $e AS event_id, make_timestamp($t * 1000000) AS event_time,"
            " TIMESTAMP '2024-01-01' AS received_time, 0 AS partition_id, 0 AS position,"
            " $r AS raw",
            {"s": seq, "m": model, "e": event_id, "t": time, "r": json.dumps(raw)},
        )
    found = cursor.execute(
        "SELECT seq, prediction, prediction_number, label, label_number, score, positive_score,"
        f" batch_id FROM ({rows_sql(names, 'reference')}) ORDER BY seq"
    ).fetchall()
    assert found == [
        (2, "b", None, None, None, None, 0.25, "7"),
        (3, None, None, "z", None, None, None, None),
        (4, None, None, "z", None, None, None, None),
    ]
