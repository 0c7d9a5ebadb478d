"""Drift queries over rows against plain numpy, scipy and hand-written SQL, and what they refuse.

That a rule sees the same is `test_drift_agreement`.
"""

import math
import random
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from drift_asking import ask_drift, sides_of
from query_rows import NAMES, START, random_rows, read, row, seconds

from engine.drift import MEASURES
from engine.drift_bins import bin_numbers, category_bins, number_bins
from engine.drift_thresholds import Calibration
from engine.errors import QueryError
from engine.query.drift_answer import drift_answer
from engine.query.drift_frozen import Evaluation
from engine.query.drift_parse import DRIFT_METRICS, parse_drift
from engine.query.names import ModelNames

BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]


# ---- the document ------------------------------------------------------------------------------

DOCUMENT = {
    "properties": ["temperature"],
    "num_bins": 20,
    "base": {"source": "reference"},
    "target": {"source": "inference", "filter": BOSTON},
}


def _weather(seed, count, warmth):
    rng = np.random.default_rng(seed)
    return [
        row(i, START, features={"temperature": None if i % 13 == 0 else rng.normal(warmth, 8),
                                "city": ["Boston", "boston", "Oslo"][i % 3]})
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("complete", [True, False])
def test_contract_AR_64_psi_in_boston_equals_sql(complete):
    base, target = _weather(1, 700, 10), _weather(2, 300, 14)
    known = {"features.temperature": "number", "features.city": "text"}
    names = ModelNames("m", known) if complete else ModelNames("m", complete=False)
    (found,) = ask_drift(base, target, DOCUMENT, names)
    temperatures = sorted(t for r in base if (t := r["event"]["features"]["temperature"]))
    edges = [temperatures[i * len(temperatures) // 20] for i in range(1, 20)]
    cursor, _ = sides_of(base, target)
    temperature = "(raw->'$.features.temperature')::DOUBLE"
    binned = (
        f"CASE WHEN {temperature} IS NULL THEN 99 ELSE"
        f" len(list_filter($edges, lambda e: e <= {temperature})) END"
    )
    sql = f"""
        WITH b AS (SELECT {binned} AS bin, count(*) AS r FROM base_rows GROUP BY ALL),
        t AS (SELECT {binned} AS bin, count(*) AS k FROM rows
              WHERE raw->>'$.features.city' = 'Boston' GROUP BY ALL),
        joined AS (SELECT coalesce(r, 0) AS r, coalesce(k, 0) AS k, sum(k) OVER () AS n,
                 sum(r) OVER () AS m, count(*) OVER () AS a FROM b FULL JOIN t USING (bin)),
        shares AS (SELECT (r * n / m + 0.5) / (n + a / 2) AS p, (k + 0.5) / (n + a / 2) AS q
                   FROM joined)
        SELECT sum((q - p) * ln(q / p)), count(*) FROM shares"""
    ((expected, bins),) = cursor.execute(sql, {"edges": edges}).fetchall()
    assert bins == 21
    assert found == {"temperature": pytest.approx(expected, rel=1e-12)}
    assert expected > 0.1


# ---- every measure against a twin --------------------------------------------------------------


def _value_of(measure, kind, base, target):
    """Compare two lists of values, None where missing, by definition."""
    if not base or not target:
        return None
    if measure == "HypothesisTest" and kind == "number":
        known = [[each for each in side if each is not None] for side in (base, target)]
        if not all(known):
            return None
        return -math.log10(scipy.stats.ks_2samp(*known, method="asymp").pvalue)
    if kind == "number":
        bins = number_bins("x", np.array(base, float))
        codes = bin_numbers(bins, np.array(target, float))
        counts = np.bincount(codes, minlength=len(bins))
        reference = bins.reference
    else:
        order = [None, *sorted({*base, *target} - {None})]
        reference, counts = (
            np.array([Counter(side)[each] for each in order]) for side in (base, target)
        )
        kept = {*base}  # what the base does not have is one bin together
        other = [i for i, each in enumerate(order) if each not in kept and each is not None]
        counts = np.append(np.delete(counts, other), counts[other].sum())
        reference = np.append(np.delete(reference, other), 0)
    if measure == "HypothesisTest":
        used = (reference + counts) > 0
        if used.sum() < 2:
            return 0.0
        table = np.array([reference[used], counts[used]])
        return -math.log10(scipy.stats.chi2_contingency(table, correction=False).pvalue)
    return float(MEASURES[measure](reference, counts[None, :])[0])


PROPERTIES = {
    "age": "number",
    "city": "category",
    "odd 'name\"; DROP": "category",
    "p_a": "number",
    "device": "category",
    "prediction": "category",
    "label": "category",
    "labels.amount": "number",
}


def _class(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value == int(value) else repr(value)


def _column(rows, name):
    resolved = next((each for each in NAMES.properties if each.endswith(f".{name}")), name)
    found = [read(each, resolved) for each in rows]
    if name in ("label", "labels.amount"):  # rows without the truth do not count
        found = [each for each in found if each is not None]
    return found if PROPERTIES[name] == "number" else [_class(each) for each in found]


def _agrees(found, expected):
    if expected is None:
        return found is None
    return found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("measure", [each for each in DRIFT_METRICS if each != "Thresholds"])
def test_oracle_every_property_in_one_call(measure):
    base, target = random_rows(3, 400), random_rows(4, 150)
    for each in target[:60]:
        each["event"]["features"]["age"] = 21.5
        each["line"] = each["line"].replace('"features"', '"was"').replace(
            "{", '{"features": {"age": 21.5, "city": "new"}, ', 1)  # fmt: skip
        each["event"]["features"] = {"age": 21.5, "city": "new"}
    query = {"properties": list(PROPERTIES), "metric": measure}
    (found,) = ask_drift(base, target, query)
    assert list(found) == list(PROPERTIES)
    for name, kind in PROPERTIES.items():
        expected = _value_of(measure, kind, _column(base, name), _column(target, name))
        assert _agrees(found[name], expected), (name, found[name], expected)
    assert found["age"] > 0.05


def test_oracle_thresholds_are_those_of_a_rule():
    base, target = random_rows(5, 300), random_rows(6, 90)
    query = {"properties": ["age", "city"], "metric": "Thresholds", "num_bins": 5}
    of = Evaluation(3_600, 360, 2)
    (found,) = ask_drift(base, target, query, evaluation=of)
    ordered = sorted(base, key=lambda each: each["event_time"])
    ages = np.array([each["event"]["features"]["age"] for each in ordered], float)
    bins = number_bins("features.age", ages, 5)
    calibration = Calibration.of(bins, bin_numbers(bins, ages), "PSI", "m\0features.age\x002")
    assert found["age"] == calibration.threshold(90, 3_600, 360)
    cities = category_bins("features.city", [e["event"]["features"]["city"] for e in ordered])
    assert 0 < found["city"] < 10
    assert len(cities) == 7
    (other,) = ask_drift(base, target, query)
    assert other["age"] < found["age"]  # fewer evaluations for one alert


# ---- sides and windows -------------------------------------------------------------------------


def test_law_two_filters_of_what_arrived_are_compared():
    rows = random_rows(15, 300)
    sides = {
        name: {"source": "inference",
               "filter": [{"property": "device", "comparator": "eq", "value": device}]}
        for name, device in (("base", "a"), ("target", "b"))
    }  # fmt: skip
    (found,) = ask_drift([], rows, {"properties": ["age", "p_a"], **sides})
    split = {d: [r for r in rows if r["event"].get("device") == d] for d in "ab"}
    (expected,) = ask_drift(split["a"], split["b"], {"properties": ["age", "p_a"]})
    assert found == expected
    start = int(seconds(START) * 1e6) + 60_000_000
    window = (start, start + 400_000_000, "event")
    (found,) = ask_drift([], rows, {"properties": ["age", "p_a"], **sides}, window=window)
    inside = {d: [r for r in each if 60 <= _age(r) < 460] for d, each in split.items()}
    (expected,) = ask_drift(inside["a"], inside["b"], {"properties": ["age", "p_a"]})
    assert found == expected


def _age(each):
    return (each["event_time"] - START).total_seconds()


@pytest.mark.parametrize("basis", ["event", "label"])
def test_oracle_a_window_is_of_the_target(basis):
    base, target = random_rows(16, 200), random_rows(17, 200)
    start = int(seconds(START) * 1e6) + 100_000_000
    window = (start, start + 300_000_000, basis)
    (found,) = ask_drift(base, target, {"properties": ["age"]}, window=window)
    times = [
        seconds(each["event_time"]) if basis == "event"
        else max(seconds(each["event_time"]), seconds(each["label_time"]))
        if each["label_time"] else -1
        for each in target
    ]  # fmt: skip
    inside = [
        each for each, time in zip(target, times, strict=True)
        if start <= time * 1e6 < start + 300_000_000
    ]  # fmt: skip
    assert 10 < len(inside) < 190
    assert ask_drift(base, inside, {"properties": ["age"]}) == [found]


@pytest.mark.parametrize("measure", DRIFT_METRICS)
def test_golden_nothing_is_undefined(measure):
    rows = random_rows(18, 30)
    query = {"properties": ["age", "city"], "metric": measure}
    for base, target in (([], rows), (rows, []), ([], [])):
        assert ask_drift(base, target, query) == [{"age": None, "city": None}]
    grouped = query | {"group_by": [{"property": "device"}]}
    assert ask_drift([], [], grouped) == []
    assert ask_drift(rows, [], query | {"rollup": "day"}) == []


def test_golden_a_hundred_properties():
    names = ModelNames("m", {f"features.f{i}": "number" for i in range(100)})
    base, target = (
        [row(i, START, features={f"f{j}": (i * (j + 1) + shift) % 7 for j in range(100)})
         for i in range(50)]
        for shift in (0, 1)
    )  # fmt: skip
    (found,) = ask_drift(base, target, {"properties": [f"f{i}" for i in range(100)]}, names)
    assert list(found) == [f"f{i}" for i in range(100)]
    assert all(value is not None for value in found.values())


# ---- refusals ----------------------------------------------------------------------------------


def test_error_two_keys_of_one_name():
    query = {"properties": ["city"], "group_by": [{"property": "city"}]}
    with pytest.raises(QueryError, match=r"group_by\[0\].property` must not be one of the propert"):
        ask_drift([], [], query)
    names = ModelNames("m", {"features.bin": "number", "features.rollup": "text"})
    query = {"properties": ["rollup"], "group_by": [{"property": "bin"}]}
    with pytest.raises(QueryError, match='must not be a column of the table, got "bin"'):
        ask_drift([], [], query, names, table=True)
    with pytest.raises(QueryError, match=r"`query\.rollup` must be absent"):
        ask_drift([], [], query | {"rollup": "day"}, names)
    qualified = {"properties": ["features.rollup"], "rollup": "day"}
    assert ask_drift([], [], qualified, names) == []


def test_error_too_many_counts():
    cursor, _ = sides_of(random_rows(21, 50), random_rows(22, 10))
    many = "SELECT rows.* REPLACE (i::VARCHAR AS batch_id) FROM rows, range(300000) t(i)"
    tree = parse_drift({"properties": ["age", "city", "p_a", "p_b", "prediction"],
                        "num_bins": 100, "rollup": "batch_id"}, NAMES)  # fmt: skip
    relations = {"reference": "SELECT * FROM base_rows", "inference": many}
    with pytest.raises(QueryError, match="must give at most 20,000,000 counts of bins"):
        drift_answer(cursor, NAMES, tree, relations.get)
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def test_error_what_duckdb_cannot_run_is_a_query_error():
    tree = parse_drift({"properties": ["age"]}, NAMES)
    cursor, _ = sides_of([], [])
    with pytest.raises(QueryError, match="the query failed: Catalog Error"):
        drift_answer(cursor, NAMES, tree, lambda _: "SELECT * FROM nowhere")


def test_law_the_order_of_rows_does_not_matter():
    base, target = random_rows(23, 120), random_rows(24, 80)
    query = {"properties": ["age", "city"], "metric": "PSI", "group_by": [{"property": "label"}]}
    rng = random.Random(1)
    want = ask_drift(base, target, query)
    for side in (base, target):
        rng.shuffle(side)
    assert ask_drift(base, target, query) == want
