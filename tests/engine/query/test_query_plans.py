"""Plans of numbers and filters against plain Python and numpy over random rows with holes.

A plan is run as a monitor runs it: block by block, rows taken back, panes kept.
"""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from query_rows import (
    NAMES,
    START,
    class_of,
    close,
    column,
    compiled,
    condition,
    cursor_of,
    evaluate,
    number_of,
    query,
    random_rows,
    read,
    row,
    run,
    seconds,
)

from engine.errors import QueryError
from engine.query.columns import StoredColumns
from engine.query.compile import AGGREGATES, plan_of
from engine.query.expressions import Scope
from engine.query.names import ModelNames
from engine.query.projected import Projected
from engine.query.tree import Call, Condition, Query

SEEDS = range(4)
ODD = "features.odd 'name\"; DROP"


# ---- one property ------------------------------------------------------------------------------

OF_NUMBERS = {
    "avg": lambda x: math.fsum(x) / len(x) if x else None,
    "avgAbs": lambda x: math.fsum(map(abs, x)) / len(x) if x else None,
    "sum": lambda x: math.fsum(x) if x else None,
    "min": lambda x: min(x, default=None),
    "max": lambda x: max(x, default=None),
    "variance": lambda x: statistics.variance(x) if len(x) > 1 else None,
    "stddev": lambda x: statistics.stdev(x) if len(x) > 1 else None,
    "median": lambda x: statistics.median(x) if x else None,
}


@pytest.mark.parametrize("function", OF_NUMBERS)
@pytest.mark.parametrize("name", ["features.age", "labels.amount", "prediction"])
def test_oracle_functions_of_a_number(function, name):
    for seed in SEEDS:
        rows = random_rows(seed, seed * 20, regression=True)
        values = [number_of(v) for each in rows if (v := _json(each, name)) is not None]
        found, n = evaluate(rows, function, property=column(name))
        assert n == len(values)
        assert close(found, OF_NUMBERS[function](values))


def _json(each, name):
    return each["prediction_number"] if name == "prediction" else read(each, name)


@pytest.mark.parametrize("q", [0, 0.1, 0.25, 0.5, 0.9, 1])
def test_oracle_quantiles_are_those_of_numpy(q):
    for seed in SEEDS:
        rows = random_rows(seed, 1 + seed * 17)
        values = [v for each in rows if (v := read(each, "features.age")) is not None]
        found, n = evaluate(rows, "quantile", property=column("features.age"), q=q)
        assert n == len(values)
        assert close(found, float(np.quantile(values, q)) if values else None)


def test_oracle_quantile_between_the_ends_of_a_double():
    rows = [row(i, START, features={"age": x}) for i, x in enumerate((-1.7e308, 1.7e308))]
    assert evaluate(rows, "median", property=column("features.age")) == (0.0, 2)


@pytest.mark.parametrize("offset", [0.0, 1e9, 1e15])
def test_oracle_variance_does_not_cancel(offset):
    values = [offset + x for x in (0.1, 0.25, 7.5, -3.125)]
    rows = [row(i, START, features={"age": x}) for i, x in enumerate(values)]
    found, _ = evaluate(rows, "variance", property=column("features.age"))
    assert found == pytest.approx(statistics.variance(values), rel=1e-15)
    same = [row(i, START, features={"age": 0.1 + offset}) for i in range(7)]
    assert evaluate(same, "variance", property=column("features.age")) == (0.0, 7)
    one = same[:1]
    assert evaluate(one, "stddev", property=column("features.age")) == (None, 1)


def test_oracle_variance_beyond_a_double_is_undefined():
    rows = [row(i, START, features={"age": x}) for i, x in enumerate((1e200, -1e200))]
    assert evaluate(rows, "variance", property=column("features.age")) == (None, 2)
    assert evaluate(rows, "sum", property=column("features.age")) == (0.0, 2)


def test_oracle_nested_abs():
    rows = [row(i, START, features={"age": x}) for i, x in enumerate((-3, 2, None))]
    nested = Call("abs", {"property": column("features.age")}, "query")
    assert evaluate(rows, "avg", property=nested) == (2.5, 2)
    assert evaluate(rows, "rate", property=nested, comparator="gt", value=2.5) == (0.5, 2)


def test_oracle_empty_window_has_a_count_and_nothing_else():
    for function in AGGREGATES:
        parameters = {"property": column("features.age"), "comparator": "eq", "value": 1, "q": 0.5}
        found = evaluate([], function, **parameters)
        assert found == ((0.0, 0) if function == "count" else (None, 0)), function
        assert compiled(function, **parameters)[0].is_count == (function == "count")


# ---- comparators -------------------------------------------------------------------------------


def _passes(value, comparator, wanted):
    """Whether a JSON value passes, by the rules of the language."""
    if value is None or comparator == "NotNull":
        return value is not None
    if comparator in ("eq", "ne"):
        return (class_of(value) == class_of(wanted)) == (comparator == "eq")
    if comparator in ("in", "like"):
        text = class_of(value)
        return _like(text, wanted) if comparator == "like" else text in map(class_of, wanted)
    numbers = isinstance(wanted, int | float) and not isinstance(wanted, bool)
    a, b = (number_of(value), wanted) if numbers else (class_of(value), class_of(wanted))
    if a is None:
        return False
    return {"gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[comparator]


def _like(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(text[i:], pattern[1:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and _like(text[1:], pattern[1:])


VALUES = {
    "features.age": [32, 32.0, 30.5, 0, (32, 50), (7,)],
    "features.city": ["Boston", "boston", "O'Hare", "Łódź", "", ("Boston", "Łódź"), "; DROP"],
    ODD: [1, "1", True, "true", 2.5, "x", (1, "x", True), (), 1e300],
    "labels.truth": [1, 0, "1", False, (True, 0)],
    "prediction": ["yes", ("yes", "no"), 1],
    "score": [0.5, 0.57, (0.25, 1)],
    "inference_id": ["e7", ("e1", "e2")],
    "device": ["a", ("b",)],
}
ALL = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "NotNull"]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("comparator", ALL)
def test_oracle_comparators(name, comparator):
    rows = random_rows(3, 150)
    patterns = ["B%", "b\\%_", "%'%", "_____n", "%", "tr_e", "32"]
    for wanted in [None] if comparator == "NotNull" else VALUES[name] + patterns:
        if isinstance(wanted, tuple) != (comparator == "in"):
            continue
        if comparator == "like" and not isinstance(wanted, str):
            continue
        if wanted in patterns and comparator != "like":
            continue
        values = [_value(each, name) for each in rows]
        expected = sum(_passes(value, comparator, wanted) for value in values)
        assert evaluate(rows, "count", [condition(name, comparator, wanted)]) == (expected,) * 2
        has = sum(value is not None for value in values)
        rate = evaluate(rows, "rate", property=column(name), comparator=comparator, value=wanted)
        assert rate == (expected / has, has)


def _value(each, name):
    return each["event_id"] if name == "inference_id" else read(each, name)


def test_oracle_conditions_hold_together_and_times_compare():
    rows = random_rows(5, 100)
    low, high = "2024-03-01T00:02:00Z", 1709251500000.5
    conditions = [
        condition("inference_timestamp", "gte", low),
        condition("inference_timestamp", "lt", high),
        condition("features.age", "gte", 30),
        condition("features.age", "lt", 50),
    ]
    expected = [
        each
        for each in rows
        if seconds(START.replace(minute=2)) <= seconds(each["event_time"]) < high / 1000
        and (age := read(each, "features.age")) is not None
        and 30 <= age < 50
    ]
    assert 5 < len(expected) < 60
    assert evaluate(rows, "count", conditions) == (len(expected),) * 2
    exact = (rows[0]["event_time"].isoformat(), rows[1]["event_time"].isoformat())
    assert evaluate(rows, "count", [condition("inference_timestamp", "in", exact)])[0] == 2
    assert evaluate(rows, "count", [condition("inference_timestamp", "ne", exact[0])])[0] == 99
    late = condition("ground_truth_timestamp", "NotNull")
    plan, columns = compiled("count", [late])
    assert plan.truths == ("label",)
    assert run(cursor_of(rows), plan, columns)[0] == sum(
        each["label_time"] is not None for each in rows
    )


def test_oracle_round_timestamp_and_label_by_max_column():
    rows = random_rows(6, 80)
    hour = Call(
        "roundTimestamp",
        {"property": column("inference_timestamp"), "time_interval": "minute"},
        "query",
    )
    third = Condition(hour, "eq", "2024-03-01T00:03:00", "query")
    expected = sum(each["event_time"].minute == 3 for each in rows)
    assert evaluate(rows, "count", [third])[0] == expected
    best = Call("labelByMaxColumn", {"properties": ("predictions.p_a", "predictions.p_b")}, "q")
    pairs = [[read(each, f"predictions.{p}") for p in ("p_a", "p_b")] for each in rows]
    known = [pair for pair in pairs if pair != [None, None]]
    first = sum(b is None or (a is not None and a >= b) for a, b in known)
    found = evaluate(rows, "rate", property=best, comparator="eq", value="p_a")
    assert found == (first / len(known), len(known))


def test_contract_AR_60_names_and_values_with_sql_in_them_are_data():
    name = "labels.x'); DROP TABLE rows; --"
    value = "'; DELETE FROM rows; --\u2028ü\""
    rows = [row(0, START, labels={name[7:]: value}), row(1, START, labels={name[7:]: "z"})]
    cursor = cursor_of(rows)
    names = ModelNames("m'; DROP", {name: "text"})
    plan, columns = compiled("count", [condition(name, "eq", value)], names)
    assert plan.truths == (name[7:],)
    assert run(cursor, plan, columns) == (1.0, 1)
    assert value not in plan.where
    assert cursor.sql("SELECT count(*) FROM rows").fetchall() == [(2,)]


# ---- the shape of a plan -----------------------------------------------------------------------


def test_contract_AR_32_a_plan_is_of_one_aggregate():
    columns = StoredColumns(NAMES)
    for select in ((column("features.age"),), (Call("abs", {}, "q"),), query("count").select * 2):
        with pytest.raises(QueryError, match="must be one function that aggregates"):
            plan_of(Query(select), NAMES, columns)
    with pytest.raises(QueryError, match=r"`query\.subquery` must be absent"):
        plan_of(replace(query("count"), subquery=query("count")), NAMES, columns)


@pytest.mark.parametrize("function", AGGREGATES)
def test_oracle_every_parameter_is_used_and_named_by_its_prefix(function):
    own = replace(NAMES, positive="yes", positive_property="p")
    given = {"property": column(ODD), "comparator": "eq", "value": "x", "class": "c"}
    asked = query(function, [condition(ODD, "in", (1, "a"))], **given)
    for names in (NAMES, own, ModelNames("m")):
        columns = Projected(StoredColumns(names))
        plan = plan_of(asked, names, columns, "z9_")
        sql = " ".join([plan.where, *(each.sql for each in plan.components)])
        assert all(f"${name}" in sql and name.startswith("z9_") for name in plan.parameters)
        assert run(cursor_of(random_rows(1, 5)), plan, columns)[1] >= 0


def test_oracle_scope_reads_what_it_says():
    scope = Scope(NAMES, StoredColumns(NAMES))
    scope.condition(condition("labels.truth", "eq", 1))
    assert scope.properties == ("labels.truth",)
