"""Answers of ad-hoc queries against hand-written SQL and plain Python, parsed from JSON."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime

import duckdb
import numpy as np
import pytest
from query_rows import NAMES, START, ask, close, one, random_rows, read, row, seconds, table_of

from engine.errors import QueryError
from engine.query.answer import answer
from engine.query.answer_rows import properties_of
from engine.query.columns import rows_sql
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.rows import make_tables

# ---- groups, order, keys -----------------------------------------------------------------------


def test_oracle_groups_equal_sql():
    rows = random_rows(1, 200)
    query = {
        "select": [
            {"property": "city", "alias": "town"},
            {"function": "count"},
            one("avg", "mean", property="age"),
            one("quantile", "p90", property="age", q=0.9),
            one("accuracyRate"),
            one("macroOvrAccuracy"),
        ],
        "group_by": [{"property": "city"}],
    }
    found = ask(rows, query)
    age = "(raw->>'$.features.age')::DOUBLE"
    both = "FILTER (WHERE label IS NOT NULL AND prediction IS NOT NULL)"
    expected = (
        duckdb.connect()
        .register("rows", table_of(rows))
        .sql(
            f"SELECT raw->>'$.features.city', count(*), avg({age}), quantile_cont({age}, 0.9),"
            f" avg((label = prediction)::INT) {both} FROM rows GROUP BY 1 ORDER BY 1 NULLS LAST"
        )
        .fetchall()
    )
    assert len(found) == len(expected) == 6
    for group, (city, count, mean, p90, accuracy) in zip(found, expected, strict=True):
        assert (group["town"], group["count"]) == (city, count)
        assert isinstance(group["count"], int)
        assert close(group["mean"], mean)
        assert close(group["p90"], p90)
        assert close(group["accuracyRate"], accuracy)
        assert close(group["macroOvrAccuracy"], accuracy)  # of two classes both are the same


def test_oracle_groups_by_row_functions_aliases_and_mixed_values():
    rows = random_rows(2, 150)
    minute = one("roundTimestamp", "minute", property="inference_timestamp", time_interval="minute")
    query = {
        "select": [minute, {"function": "count"}],
        "group_by": [{"alias": "minute"}],
        "order_by": [{"property": "minute", "direction": "desc"}],
        "limit": 3,
        "offset": 1,
    }
    counts = Counter(each["event_time"].replace(second=0, microsecond=0) for each in rows)
    expected = [{"minute": m, "count": counts[m]} for m in sorted(counts, reverse=True)[1:4]]
    assert ask(rows, query) == expected
    odd = "odd 'name\"; DROP"
    query = {
        "select": [{"property": odd}, {"function": "count"}],
        "group_by": [{"property": odd}],
        "order_by": [{"alias": "count", "direction": "desc"}],
    }
    found = ask(rows, query)
    # 1 and "1" are one class, and so are true and "true"; a class of numbers alone is a number
    assert {group[odd] for group in found} == {"1", "true", 2.5, "x", None}
    assert [g["count"] for g in found] == sorted((g["count"] for g in found), reverse=True)
    assert sum(g["count"] for g in found) == 150
    age = {"select": [{"function": "count"}], "group_by": [{"property": "age"}],
           "order_by": [{"property": "age", "direction": "desc"}], "limit": 1}  # fmt: skip
    oldest = max(a for each in rows if (a := read(each, "features.age")) is not None)
    alike = sum(read(each, "features.age") == oldest for each in rows)
    assert ask(rows, age) == [{"count": alike}]


def test_oracle_empty_answers():
    nobody = [{"property": "city", "comparator": "eq", "value": "nowhere"}]
    select = [{"function": "count"}, one("avg", property="age"), one("median", property="age")]
    assert ask(random_rows(1, 9), {"select": select, "filter": nobody}) == [
        {"count": 0, "avg": None, "median": None}
    ]
    groups = {"select": select, "filter": nobody, "group_by": [{"property": "city"}]}
    assert ask(random_rows(1, 9), groups) == []
    assert ask([], {"select": [one("confusionMatrix"), one("distribution", property="age")]}) == [
        {
            "confusionMatrix": dict.fromkeys(
                ("true_positive", "false_positive", "true_negative", "false_negative"), 0
            ),
            "distribution": [],
        }
    ]


def test_oracle_plain_rows_in_order_of_time():
    rows = random_rows(3, 60)
    query = {
        "select": [
            {"property": "inference_id"},
            {"property": "age"},
            {"property": "features.city", "alias": "town"},
            {"property": "inference_timestamp"},
            one("abs", property="p_a"),
        ],
        "filter": [{"property": "age", "comparator": "gt", "value": 31}],
    }
    kept = [e for e in rows if (read(e, "features.age") or 0) > 31]
    kept.sort(key=lambda each: each["event_time"])
    expected = [
        {
            "inference_id": each["event_id"],
            "age": float(read(each, "features.age")),
            "town": read(each, "features.city"),
            "inference_timestamp": each["event_time"],
            "abs": read(each, "predictions.p_a"),
        }
        for each in kept
    ]
    assert ask(rows, query) == expected
    cut = query | {"limit": 5, "offset": 2, "order_by": [{"property": "p_b", "direction": "desc"}]}
    by_p_b = sorted(kept, key=lambda e: -(-1 if (p := read(e, "predictions.p_b")) is None else p))
    ids = [each["event_id"] for each in by_p_b[2:7]]
    assert [each["inference_id"] for each in ask(rows, cut)] == ids


def test_contract_ARi_09_star_gives_every_property():
    each = row(
        0, START, label="yes", prediction=1, score=0.5,
        features={"age": 3, "label": "mine"}, predictions={"age": 4, "p": True},
        labels={"t": None}, further={"device": "d", "p": 9},
    )  # fmt: skip
    (found,) = ask([each], {"select": [{"property": "*"}]})
    assert found == {
        "inference_id": "e0", "inference_timestamp": START, "ground_truth_timestamp": START,
        "received_timestamp": each["received_time"], "prediction": 1.0, "label": "yes",
        "score": 0.5, "batch_id": None, "job_id": None, "bucket_id": None, "age": 3,
        "features.label": "mine", "predictions.age": 4, "p": True, "t": None, "device": "d",
    }  # fmt: skip
    assert properties_of(json.dumps({"features": None, "x": 1})) == {"x": 1}


def test_oracle_subqueries_aggregate_aggregates():
    rows = random_rows(4, 150)
    inner = {
        "select": [{"property": "city"}, {"function": "count"}, one("avg", "mean", property="age")],
        "group_by": [{"property": "city"}],
    }
    groups = ask(rows, inner)
    query = {
        "select": [one("max", property="count"), one("avg", property="mean")],
        "filter": [{"property": "city", "comparator": "NotNull"}],
        "subquery": inner,
    }
    known = [group for group in groups if group["city"] is not None]
    assert len(known) == 5
    (found,) = ask(rows, query)
    assert found["max"] == max(group["count"] for group in known)
    assert close(found["avg"], sum(group["mean"] for group in known) / 5)
    plain = {"select": [{"property": "*"}], "subquery": inner,
             "order_by": [{"property": "count", "direction": "desc"}], "limit": 2}  # fmt: skip
    expected = sorted(groups, key=lambda group: -group["count"])[:2]
    assert ask(rows, plain) == [each | {"count": float(each["count"])} for each in expected]
    deep = {
        "select": [one("sum", property="max")],
        "subquery": query | {"select": query["select"][:1]},
    }
    assert ask(rows, deep) == [{"sum": float(found["max"])}]


def test_oracle_subquery_keeps_times_and_texts():
    rows = random_rows(4, 50)
    inner = {"select": [{"property": "inference_timestamp", "alias": "when"},
                        {"property": "odd 'name\"; DROP", "alias": "label"}]}  # fmt: skip
    query = {
        "select": [{"function": "count"}],
        "subquery": inner,
        "filter": [
            {"property": "when", "comparator": "gte", "value": "2024-03-01T00:06:00Z"},
            {"property": "label", "comparator": "eq", "value": "1"},
        ],
    }
    late = [e for e in rows if e["event_time"].minute >= 6]
    assert ask(rows, query) == [
        {"count": sum(read(e, "features.odd 'name\"; DROP") in (1, "1")
                      and read(e, "features.odd 'name\"; DROP") is not True for e in late)}
    ]  # fmt: skip
    with pytest.raises(QueryError, match="must not be adwin over a subquery"):
        ask(rows, {"select": [one("adwin", property="age")],
                   "subquery": {"select": [{"property": "age"}]}})  # fmt: skip


# ---- functions of several values ---------------------------------------------------------------


def test_oracle_confusion_matrix_and_its_rates():
    rows = random_rows(5, 120)
    (found,) = ask(rows, {"select": [one("confusionMatrix", "m"), one("confusionMatrixRate", "r")]})
    cells = Counter((e["label"], e["prediction"]) for e in rows)
    tp, fp = cells["yes", "yes"], cells["no", "yes"]
    tn, fn = cells["no", "no"], cells["yes", "no"]
    assert found["m"] == {
        "true_positive": tp, "false_positive": fp, "true_negative": tn, "false_negative": fn,
    }  # fmt: skip
    rates = {
        "accuracy_rate": (tp + tn) / (tp + tn + fp + fn),
        "balanced_accuracy_rate": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "false_negative_rate": fn / (tp + fn), "false_positive_rate": fp / (tn + fp),
        "precision": tp / (tp + fp), "recall": tp / (tp + fn), "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp), "true_positive_rate": tp / (tp + fn),
        "true_negative_rate": tn / (tn + fp),
    }  # fmt: skip
    assert found["r"] == pytest.approx(rates, rel=1e-15)
    (none,) = ask(rows[:1], {"select": [one("confusionMatrixRate")], "filter": [
        {"property": "age", "comparator": "eq", "value": -1}]})  # fmt: skip
    assert set(none["confusionMatrixRate"].values()) == {None}


def test_oracle_distribution_is_numpys_histogram():
    rows = random_rows(6, 120)
    for bins in (10, 7):
        (found,) = ask(rows, {"select": [one("distribution", property="p_a", num_bins=bins)]})
        values = [p for each in rows if (p := read(each, "predictions.p_a")) is not None]
        counts, edges = np.histogram(values, bins)
        assert [each["count"] for each in found["distribution"]] == counts.tolist()
        assert [each["lower"] for each in found["distribution"]] == pytest.approx(edges[:-1])
        assert found["distribution"][-1]["upper"] == max(values)
    same = [row(i, START, features={"age": 5}) for i in range(3)]
    assert ask(same, {"select": [one("distribution", property="age")]}) == [
        {"distribution": [{"lower": 5.0, "upper": 5.0, "count": 3}]}
    ]
    (cities,) = ask(rows, {"select": [one("distribution", property="city")]})
    expected = Counter(c for each in rows if (c := read(each, "features.city")) is not None)
    assert {each["category"]: each["count"] for each in cities["distribution"]} == expected


# ---- windows and stores ------------------------------------------------------------------------


@pytest.mark.parametrize("basis", ["event", "label"])
def test_oracle_windows_restrict_by_their_time(basis):
    rows = random_rows(7, 150)
    start, end = (int(seconds(START.replace(minute=m)) * 1e6) for m in (2, 7))
    times = [
        each["event_time"] if basis == "event"
        else each["label_time"] and max(each["event_time"], each["label_time"])
        for each in rows
    ]  # fmt: skip
    expected = sum(t is not None and start <= seconds(t) * 1e6 < end for t in times)
    assert 20 < expected < 120
    query = {"select": [{"function": "count"}]}
    assert ask(rows, query, window=(start, end, basis)) == [{"count": expected}]
    outer = {"select": [{"function": "count"}], "subquery": {"select": [{"property": "age"}]}}
    assert ask(rows, outer, window=(start, end, basis)) == [{"count": expected}]
    moment = int(seconds(rows[0]["event_time"]) * 1e6)
    assert ask(rows[:1], query, window=(moment, moment + 1, "event")) == [{"count": 1}]
    assert ask(rows[:1], query, window=(moment - 1, moment, "event")) == [{"count": 0}]


def test_oracle_answers_over_a_store():
    cursor = duckdb.connect()
    make_tables(cursor)
    rows = random_rows(8, 90)
    cursor.register("rows", table_of(rows))
    cursor.execute(
        "INSERT INTO events_kept BY NAME SELECT row_number() OVER () AS seq, 0 AS key,"
        " 0 AS partition_id, 0 AS position, * EXCLUDE (label_time, raw) FROM rows"
    )
    cursor.execute(
        "INSERT INTO outcomes SELECT seq, seq, 'truth', '1', 1, event_time, 'votes'"
        " FROM events_log WHERE seq % 3 = 0"
    )
    query = {
        "select": [
            {"function": "count"},
            one("rate", "ones", property="labels.truth", comparator="eq", value=1),
        ]
    }
    truths = [
        "1" if i % 3 == 0 else read(each, "labels.truth") for i, each in enumerate(rows, start=1)
    ]
    known = [truth for truth in truths if truth is not None]
    ones = sum(truth in (1, "1") and truth is not True for truth in known)
    found = answer(
        cursor, NAMES, parse(query, NAMES), lambda source: rows_sql(NAMES, source, ("truth",))
    )
    assert found == [{"count": 90, "ones": ones / len(known)}]
    truth = answer(
        cursor, NAMES, parse({"select": [{"function": "count"}], "from": "ground_truth"}, NAMES),
        lambda source: rows_sql(NAMES, source),
    )  # fmt: skip
    assert truth == [{"count": sum(each["label"] is not None for each in rows)}]


def test_fault_names_and_values_with_sql_in_them_are_data():
    name, alias = "x\"]') FROM rows; DROP TABLE rows; --", "a\"; DROP TABLE rows; -- ü '"
    value = "'; DROP TABLE rows; --"
    names = ModelNames("m'--", {f"features.{name}": "text"})
    rows = [row(i, START, features={name: value if i else "b"}) for i in range(3)]
    query = {
        "select": [{"property": name, "alias": alias}, {"function": "count", "alias": value}],
        "filter": [{"property": name, "comparator": "in", "value": [value, "z"]}],
        "group_by": [{"property": name}],
        "order_by": [{"alias": alias}],
    }
    assert ask(rows, query, names) == [{alias: value, value: 2}]
    outer = {"select": [{"property": alias}], "subquery": query}
    assert ask(rows, outer, names) == [{alias: value}]
    assert ask(rows, {"select": [{"function": "count"}]}, names) == [{"count": 3}]


def test_error_what_duckdb_cannot_run_is_a_query_error():
    tree = parse({"select": [{"function": "count"}]}, NAMES)
    with pytest.raises(QueryError, match="the query failed: Catalog Error"):
        answer(duckdb.connect(), NAMES, tree, lambda _: "SELECT * FROM nowhere")


def test_law_aliases_do_not_change_values():
    rows = random_rows(9, 80)
    select = [one("avg", property="age"), one("stddev", property="p_a"), one("f1")]
    (found,) = ask(rows, {"select": select})
    (named,) = ask(rows, {"select": [item | {"alias": f"x{i}"} for i, item in enumerate(select)]})
    assert list(found.values()) == list(named.values())
    (other,) = ask(rows[::-1], {"select": select}, replace(NAMES, complete=False))
    assert other == found
    assert isinstance(found["avg"], float)
    assert not isinstance(found["avg"], datetime)
