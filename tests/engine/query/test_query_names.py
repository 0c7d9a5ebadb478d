"""Bare names before a model's properties are known: what is looked for row by row is what is found.

A metric that was declared before the first event must mean the same as one declared later: wrong
guesses at where a name lies would watch nothing, without a word.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from query_rows import CURSOR, NAMES, SAID, START, ask, class_of, column, number_of, one, query, row

from engine.errors import QueryError
from engine.query.check import check_metric, metric_type, truths_of
from engine.query.columns import StoredColumns, anywhere, pointer
from engine.query.drift_parse import parse_drift
from engine.query.extracted import Extracted
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.parse_defaults import default_query
from engine.query.projected import Projected

UNSEEN = ModelNames("m", complete=False)
SEEN = ModelNames(
    "m",
    {
        "features.city": "text",
        "features.temperature": "number",
        "features.AGE": "number",
        "predictions.class_a": "number",
        "labels.ground_truth_a": "number",
        "labels.class_a_ground_truth": "number",
        "channel": "text",
        "odd": "mixed",
    },
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.just(2.5), st.sampled_from(["", "1", "ä"])
)
ABSENT = object()
PLACES = ("features", "predictions", "labels", "")


def _read(columns, name, raw):
    sql = f"SELECT {columns.number(name)}, {columns.text(name)} FROM ({SAID}) r"
    return CURSOR.execute(sql, {"raw": raw}).fetchall()[0]


@given(
    name=st.sampled_from(["x", "a.b", "?.x", "labels", "o'dd \"/~"]),
    values=st.lists(st.one_of(st.just(ABSENT), SCALARS), min_size=4, max_size=4),
)
def test_law_the_first_place_with_a_value_counts(name, values):
    event = {place: {} for place in PLACES[:3]}
    first = None
    for place, value in zip(PLACES, values, strict=True):
        if value is ABSENT or (not place and name in event):
            continue
        (event[place] if place else event)[name] = value
        first = value if first is None else first
    found = _read(StoredColumns(UNSEEN), f"?.{name}", json.dumps(event))
    assert found == (number_of(first), class_of(first))


@given(name=st.text(min_size=1, max_size=6), value=SCALARS, other=SCALARS)
def test_law_what_is_extracted_at_once_is_what_is_read_one_by_one(name, value, other):
    raw = json.dumps({"features": {name: value}, "labels": {name: other}, "n": -0.0, "b": 2**64})
    stored, extracted = StoredColumns(UNSEEN), Extracted(UNSEEN)
    names = (f"features.{name}", f"labels.{name}", f"?.{name}", "n", "b", "predictions.x")
    listed = [
        [sql for each in names for sql in (columns.number(each), columns.text(each))]
        for columns in (stored, extracted)
    ]
    relation = extracted.relation(SAID)
    (found,) = CURSOR.execute(f"SELECT {', '.join(listed[0] + listed[1])} FROM ({relation}) r",
                              {"raw": raw}).fetchall()  # fmt: skip
    assert repr(found[: len(listed[0])]) == repr(found[len(listed[0]) :])
    assert found[:2] == (number_of(value), class_of(value))


@pytest.mark.parametrize("name", ["id", "type", "timestamp", "features"])
def test_golden_what_every_line_has_is_no_further_field(name):
    raw = json.dumps({"id": "a", "type": "prediction", "timestamp": 1, "features": {}})
    assert _read(StoredColumns(UNSEEN), f"?.{name}", raw) == (None, None)
    assert anywhere(name) == (f"features.{name}", f"predictions.{name}", f"labels.{name}")


def test_golden_a_further_field_may_be_called_like_a_place():
    names = ModelNames("m", {"?.x": "number"})
    (found,) = ask([row(0, START, further={"?.x": 7, "x": 1})],
                   {"select": [{"property": "?.x"}]}, names)  # fmt: skip
    assert found == {"?.x": 7.0}
    assert parse({"select": [{"property": "?.x"}]}, UNSEEN).select[0].name == "?.?.x"
    assert pointer("?.x") == "/?.x"


def test_contract_bare_names_resolve_row_by_row():
    rows = [
        row(0, START, features={"x": "hot"}, predictions={"x": 1.0}),
        row(1, START, features={"x": None}, predictions={"x": 2.0}),
        row(2, START, labels={"x": 4.0}),
        row(3, START, further={"x": 8.0}),
    ]
    select = [one("avg", property="x"), one("count")]
    assert ask(rows, {"select": select}, UNSEEN) == [{"avg": 14 / 3, "count": 4}]
    grouped = ask(rows, {"select": [{"property": "x"}, one("count")],
                         "group_by": [{"property": "x"}]}, UNSEEN)  # fmt: skip
    assert [each["x"] for each in grouped] == [2.0, 4.0, 8.0, "hot"]


BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]
AGES = [
    {"property": "AGE", "comparator": "gte", "value": 30},
    {"property": "AGE", "comparator": "lt", "value": 50},
]
CLASS_A = {
    "threshold": 0.5,
    "ground_truth_property": "ground_truth_a",
    "predicted_property": "class_a",
}
RMSE = {"ground_truth_property": "class_a_ground_truth", "predicted_property": "class_a"}
WARM = [{"property": "temperature", "comparator": "gte", "value": 32}]
BEST = {
    "function": "labelByMaxColumn",
    "parameters": {"properties": ["class_a", "temperature"]},
}
EXAMPLES = (
    {"select": [one("avg", "avg", property="class_a")], "filter": BOSTON},
    {"select": [one("count", "count")], "filter": BOSTON},
    {"select": [one("rmse", "rmse", **RMSE)], "filter": WARM},
    {"select": [one("accuracyRate", **CLASS_A)], "filter": AGES},
    {"select": [one("truePositiveRate", **CLASS_A)], "filter": AGES},
    {"select": [one("falsePostiveRate", **CLASS_A)], "filter": AGES},
    {"select": [one("avg", property="temperature")],
     "filter": [{"property": "channel", "comparator": "in", "value": ["web", "x"]}]},
    {"select": [one("rate", property="odd", comparator="eq", value=1)]},
    {"select": [{"property": "channel"}, one("count"), one("max", property="AGE")],
     "group_by": [{"property": "channel"}], "order_by": [{"alias": "count", "direction": "desc"}]},
    {"select": [{**BEST, "alias": "best"}, one("count")],
     "group_by": [{"alias": "best"}]},
)  # fmt: skip


def _rows():
    return [
        row(
            i, START,
            features={"city": ["Boston", "boston", None][i % 3], "temperature": i % 64,
                      "AGE": [29, 30, 49, 49.5, 50, 70][i % 6]},
            predictions={"class_a": None if i % 11 == 0 else i * 37 % 100 / 100},
            labels={"class_a_ground_truth": i * 53 % 100 / 100,
                    "ground_truth_a": None if i % 7 == 0 else i // 5 % 2},
            further={"channel": ["web", "app", "shop"][i * i % 3],
                     "odd": [1, "1", True, "x"][i % 4]},
        )
        for i in range(200)
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_contract_AR_64_examples_mean_the_same_before_names_are_known(place):
    rows, example = _rows(), EXAMPLES[place]
    known = ask(rows, example, SEEN)
    assert ask(rows, example, UNSEEN) == known
    assert all(value is not None for value in known[0].values())


def test_golden_types_and_truths_of_names_that_are_not_known():
    def tree(*items, where=()):
        return parse({"select": list(items), "filter": list(where)}, UNSEEN)

    average = tree(one("avg", property="class_a"), where=BOSTON)
    assert metric_type(average) == "model_input_data_metric"
    assert truths_of(average) == ()
    check_metric(average, "streaming")
    rmse = tree(one("rmse", **RMSE))
    assert metric_type(rmse) == "model_performance_metric"
    assert truths_of(rmse) == ("class_a_ground_truth",)
    swapped = one("rmse", ground_truth_property="class_a", predicted_property="labels.y")
    with pytest.raises(QueryError, match="are the two swapped"):
        tree(swapped)
    drift = parse_drift({"properties": ["class_a"]}, UNSEEN)
    assert (drift.properties[0].name, truths_of(drift)) == ("?.class_a", ())


def test_golden_default_queries_of_further_fields():
    body, _ = default_query("avg(device_age)")
    rows = [row(i, START, further={"device_age": value}) for i, value in enumerate((1, 4))]
    assert ask(rows, body, UNSEEN) == [{"avg": 2.5}]


def test_law_projected_reads_each_once():
    columns = Projected(StoredColumns(UNSEEN))
    places = {columns.number("?.x"), columns.text("?.x"), columns.number("?.x")}
    assert places == {"r.x0", "r.x1"}
    relation = columns.relation(SAID)
    raw = json.dumps({"predictions": {"x": 0.5}})
    sql = f"SELECT r.x0, r.x1 FROM ({relation}) r"
    assert CURSOR.execute(sql, {"raw": raw}).fetchall() == [(0.5, "0.5")]


def test_golden_known_names_go_first_while_not_all_are_known():
    some = ModelNames("m", {"predictions.x": "number"}, complete=False)
    names = [
        parse({"select": [{"property": each}]}, some).select[0].name
        for each in ("x", "y", "features.y", "labels.x", "score")
    ]
    assert names == ["predictions.x", "?.y", "features.y", "labels.x", "score"]
    assert query("avg", property=column("?.y")).select[0].parameters["property"].name == "?.y"
    assert parse({"select": [{"property": "age"}]}, NAMES).select[0].name == "features.age"
