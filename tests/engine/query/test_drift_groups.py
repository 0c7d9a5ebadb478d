"""Drift queries by group and period, and the bins behind a value, against single queries.

A group is what a filter on both sides gives, a period what a window gives: else a table of groups
would show numbers that nobody could ask for one by one.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from drift_asking import ask_drift, sides_of
from query_rows import NAMES, START, random_rows, row

from engine.query.drift_answer import drift_answer
from engine.query.drift_parse import DRIFT_METRICS, parse_drift
from engine.query.names import ModelNames

# ---- groups and periods ------------------------------------------------------------------------


def _filtered(query, name, value):
    told = [{"property": name, "comparator": "eq", "value": value}]
    return query | {"base": {"filter": told}, "target": {"filter": told}}


@pytest.mark.parametrize("measure", DRIFT_METRICS)
def test_law_a_group_is_a_filter_on_bothsides_of(measure):
    base, target = random_rows(7, 300), random_rows(8, 200)
    base = [each for each in base if each["event"].get("device") != "b"]
    query = {"properties": ["age", "city"], "metric": measure, "num_bins": 4}
    groups = [{"property": "device"}, {"property": "prediction"}]
    rows = ask_drift(base, target, query | {"group_by": groups})
    assert [each["device"] for each in rows] == ["a"] * 3 + ["b"] * 3 + [None] * 3
    for each in rows:
        if each["device"] == "b":
            assert (each["age"], each["city"]) == (None, None)
        elif each["device"] == "a" and each["prediction"] is not None:
            told = _filtered(query, "device", "a")
            extra = {"property": "prediction", "comparator": "eq", "value": each["prediction"]}
            told["base"]["filter"] = told["target"]["filter"] = [*told["base"]["filter"], extra]
            (single,) = ask_drift(base, target, told)
            assert single == {"age": each["age"], "city": each["city"]}
            assert None not in single.values()


def test_golden_groups_of_either_side_and_what_numbers_are():
    base = [row(i, START, features={"x": i, "g": g}) for i, g in enumerate([1, 1, 2, "a", None])]
    target = [row(i, START, features={"x": i, "g": g}) for i, g in enumerate([1.0, 3, "a", "1x"])]
    names = ModelNames("m", {"features.x": "number", "features.g": "mixed"})
    query = {"properties": ["x"], "group_by": [{"property": "g"}]}
    rows = ask_drift(base, target, query, names)
    assert [each["g"] for each in rows] == [1.0, 2.0, 3.0, "1x", "a", None]
    assert [each["x"] is None for each in rows] == [False, True, True, True, False, True]


@pytest.mark.parametrize("unit", ["minute", "hour", "day", "month", "year"])
def test_law_a_period_is_a_window(unit):
    step = {"minute": 61, "hour": 1_800, "day": 80_000, "month": 2_000_000, "year": 3e7}[unit]
    target = [
        each | {"event_time": START + timedelta(seconds=step * (i // 20))}
        for i, each in enumerate(random_rows(9, 90))
    ]
    base = random_rows(10, 200)
    query = {"properties": ["age", "city"], "metric": "JSDivergence"}
    rows = ask_drift(base, target, query | {"rollup": unit})
    periods = sorted({_begin(each["event_time"], unit) for each in target})
    assert [each["rollup"] for each in rows] == periods
    for each in rows:
        inside = [r for r in target if _begin(r["event_time"], unit) == each["rollup"]]
        assert ask_drift(base, inside, query) == [{"age": each["age"], "city": each["city"]}]
    assert len(rows) > 2


def _begin(time, unit):
    keep = ["year", "month", "day", "hour", "minute"]
    parts = keep[: keep.index(unit) + 1]
    zero = {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    return time.replace(**{name: value for name, value in zero.items() if name not in parts})


def test_golden_batches_and_groups_together():
    base = random_rows(11, 100)
    target = [
        each | {"batch_id": ["b2", "b10", None][i % 3]}
        for i, each in enumerate(random_rows(12, 90))
    ]
    query = {"properties": ["age"], "rollup": "batch_id", "group_by": [{"property": "device"}]}
    rows = ask_drift(base, target, query)
    keys = [(each["device"], each["rollup"]) for each in rows]
    assert keys == [(d, b) for d in ("a", "b", None) for b in ("b10", "b2", None)]
    assert list(rows[0]) == ["device", "age", "rollup"]
    assert all(each["age"] is not None for each in rows)


def test_law_pieces_do_not_matter():
    """More rows than are read at a time, with cells that come late."""
    base = random_rows(13, 50)
    few = random_rows(14, 64)
    cursor, _ = sides_of(base, few)
    many = "SELECT rows.* REPLACE (i::VARCHAR AS batch_id) FROM rows, range(3000) t(i)"
    tree = parse_drift({"properties": ["age", "city"]}, NAMES)
    for metric in ("PSI", "HypothesisTest"):
        tree = replace(tree, metric=metric, rollup="batch_id")
        rows = drift_answer(
            cursor, NAMES, tree, {"reference": "SELECT * FROM base_rows", "inference": many}.get
        )
        assert len(rows) == 3000
        values = {(each["age"], each["city"]) for each in rows}
        (single,) = ask_drift(base, few, replace(tree, rollup=None))
        assert values == {(single["age"], single["city"])}


# ---- the bins behind a value -------------------------------------------------------------------


def test_law_contributions_sum_to_the_psi_of_every_cell():
    base, target = random_rows(19, 300), random_rows(20, 200)
    query = {"properties": ["age", "city", "label"], "num_bins": 4, "metric": "KLDivergence",
             "group_by": [{"property": "device"}], "rollup": "minute"}  # fmt: skip
    table = ask_drift(base, target, query, table=True)
    sums = Counter()
    for each in table:
        key = each["device"], each["rollup"], each["property"]
        sums[key] = None if each["contribution"] is None else sums[key] + each["contribution"]
    values = {
        (each["device"], each["rollup"], name): each[name]
        for each in ask_drift(base, target, query | {"metric": "PSI"})
        for name in query["properties"]
    }
    assert len([value for value in values.values() if value is not None]) > 50
    known = {key: value for key, value in sums.items() if value is not None}
    assert known == {
        key: pytest.approx(value, rel=1e-12) for key, value in values.items() if value is not None
    }


def test_golden_rows_of_the_table():
    base = [row(i, START, features={"x": x}) for i, x in enumerate([1, 1, 1, 5, 7, None])]
    target = [row(i, START, features={"x": x}) for i, x in enumerate([1, 9, "no"])]
    names = ModelNames("m", {"features.x": "number"})
    rows = ask_drift(base, target, {"properties": ["x"], "num_bins": 2}, names, table=True)
    told = [
        (e["bin"], e["lower"], e["upper"], e["category"], e["base_count"], e["target_count"])
        for e in rows
    ]
    assert told == [
        (0, None, 1.0, None, 0, 0),
        (1, 1.0, 1.0, None, 3, 1),
        (2, 1.0, None, None, 2, 1),
        (3, None, None, "__missing__", 1, 1),
    ]
    assert [e["base_share"] for e in rows] == [0, 1 / 2, 1 / 3, 1 / 6]
    assert [e["target_share"] for e in rows] == [0, 1 / 3, 1 / 3, 1 / 3]
    empty = ask_drift(base, [], {"properties": ["x"]}, names, table=True)
    assert {(e["target_share"], e["contribution"]) for e in empty} == {(None, None)}
    none = ask_drift([], target, {"properties": ["x"]}, names, table=True)
    assert [(e["category"], e["base_share"]) for e in none] == [
        ("__other__", None),
        ("__missing__", None),
    ]
