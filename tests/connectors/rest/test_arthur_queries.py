"""Queries over HTTP: the grammar, the examples of the document, and what both imply.

`test_contract_…` names the item; the expected figures are counted here in plain Python.
"""

import math
import statistics

import pytest
from arthur_rows import CLASS_A, CONFIG, START_MS, STEP_MS, cells, events_of, iso, loans
from serving import serving

LOANS = loans()
BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]
AGES = [
    {"property": "AGE", "comparator": "gte", "value": 30},
    {"property": "AGE", "comparator": "lt", "value": 50},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("queries"), CONFIG) as found:
        found.post_events(events_of("loans", LOANS))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer") as client:
        yield client


@pytest.fixture
def rows_of(http):
    """Ask a query; gives its rows."""

    def ask(query, model="loans", path="/api/v3/models/{}/inferences/query", **parameters):
        answer = http.post(path.format(model), json=query, params=parameters)
        assert answer.status_code == 200, answer.text
        assert list(answer.json()) == ["query_result"]
        return answer.json()["query_result"]

    return ask


@pytest.fixture
def value_of(rows_of):
    """Ask one function; gives its value."""

    def ask(function, model="loans", where=(), **parameters):
        item = {"function": function, "alias": "it", "parameters": parameters}
        ((key, value),) = rows_of({"select": [item], "filter": list(where)}, model)[0].items()
        assert key == "it"
        return value

    return ask


def _boston(row):
    return row["city"] == "Boston"


# ---- the grammar of the document ---------------------------------------------------------------


def test_contract_AR_57_select_takes_function_alias_and_parameters(rows_of):
    select = [
        {"function": "count"},
        {"function": "max", "alias": "oldest", "parameters": {"property": "AGE"}},
    ]
    assert rows_of({"select": select}) == [
        {"count": len(LOANS), "oldest": max(row["AGE"] for row in LOANS)}
    ]


def test_contract_AR_58_count_needs_no_property_and_avg_does(rows_of, http):
    mean = {"function": "avg", "parameters": {"property": "AGE"}}
    assert rows_of({"select": [{"function": "count"}, mean]}) == [
        {"count": len(LOANS), "avg": pytest.approx(statistics.fmean(r["AGE"] for r in LOANS))}
    ]
    answer = http.post("/models/loans/inferences/query", json={"select": [{"function": "avg"}]})
    assert answer.status_code == 400
    assert "`query.select[0].parameters.property` is missing" in answer.json()["error"]


def test_contract_AR_59_performance_names_truth_and_prediction(value_of):
    errors = _errors()
    found = value_of(
        "mae", ground_truth_property="class_a_ground_truth", predicted_property="class_a"
    )
    assert found == pytest.approx(statistics.fmean(map(abs, errors)))


def test_contract_AR_60_threshold_cuts_the_probability(value_of):
    for cut in (0.2, 0.5, 0.9):
        counted = cells(LOANS, cut)
        expected = counted.tp / (counted.tp + counted.fp)
        found = value_of("precision", **{**CLASS_A, "threshold": cut})
        assert found == pytest.approx(expected)


def test_contract_AR_61_filters_are_anded_and_one_property_may_come_twice(rows_of):
    query = {"select": [{"function": "count"}], "filter": [*AGES, *BOSTON]}
    expected = sum(30 <= row["AGE"] < 50 and _boston(row) for row in LOANS)
    assert 0 < expected < len(LOANS)
    assert rows_of(query) == [{"count": expected}]


def test_contract_AR_62_comparators_of_the_document(rows_of):
    ways = {
        "eq": lambda age: age == 40,
        "gte": lambda age: age >= 40,
        "lt": lambda age: age < 40,
    }
    for comparator, holds in ways.items():
        where = [{"property": "AGE", "comparator": comparator, "value": 40}]
        found = rows_of({"select": [{"function": "count"}], "filter": where})
        assert found == [{"count": sum(holds(row["AGE"]) for row in LOANS)}]


# ---- the document's examples, as it writes them ------------------------------------------------


def _errors(warm=None):
    return [
        row["class_a_ground_truth"] - row["class_a"]
        for row in LOANS
        if row["class_a_ground_truth"] is not None
        and (warm is None or (row["temperature"] is not None and row["temperature"] >= warm))
    ]


def _aged(row):
    return 30 <= row["AGE"] < 50


def test_contract_AR_64_average_prediction_by_city(rows_of):
    item = {"function": "avg", "alias": "avg", "parameters": {"property": "class_a"}}
    expected = statistics.fmean(row["class_a"] for row in LOANS if _boston(row))
    assert rows_of({"select": [item], "filter": BOSTON}) == [{"avg": pytest.approx(expected)}]


def test_contract_AR_64_inference_count_by_city(rows_of):
    query = {"select": [{"function": "count", "alias": "count"}], "filter": BOSTON}
    assert rows_of(query) == [{"count": sum(map(_boston, LOANS))}]
    nowhere = [{"property": "city", "comparator": "eq", "value": "Rome"}]
    assert rows_of({**query, "filter": nowhere}) == [{"count": 0}]  # less than 1: nobody was there


def test_contract_AR_64_rmse_above_a_temperature(rows_of):
    query = {
        "select": [
            {
                "function": "rmse",
                "alias": "rmse",
                "parameters": {
                    "ground_truth_property": "class_a_ground_truth",
                    "predicted_property": "class_a",
                },
            }
        ],
        "filter": [{"property": "temperature", "comparator": "gte", "value": 32}],
    }
    expected = math.sqrt(statistics.fmean(error**2 for error in _errors(32)))
    assert rows_of(query) == [{"rmse": pytest.approx(expected)}]


def test_contract_AR_64_true_positive_rate_and_accuracy_of_an_age_band(rows_of):
    counted = cells(filter(_aged, LOANS))
    select = [
        {"function": "truePositiveRate", "parameters": CLASS_A},
        {"function": "accuracyRate", "parameters": CLASS_A},
    ]
    assert rows_of({"select": select, "filter": AGES}) == [
        {
            "truePositiveRate": pytest.approx(counted.tp / (counted.tp + counted.fn)),
            "accuracyRate": pytest.approx((counted.tp + counted.tn) / sum(counted)),
        }
    ]


# ---- the dry run (AR-36): any query may be tried before it becomes a metric ---------------------


def test_contract_AR_32_a_query_without_an_aggregate_gives_a_row_each(rows_of):
    query = {"select": [{"property": "AGE"}, {"property": "partner_inference_id"}]}
    assert [row["partner_inference_id"] for row in rows_of(query)] == [row["id"] for row in LOANS]


def test_contract_AR_33_a_query_of_several_values_is_answered_here(rows_of):
    query = {
        "select": [{"property": "city"}, {"function": "count"}],
        "group_by": [{"property": "city"}],
    }
    found = {row["city"]: row["count"] for row in rows_of(query)}
    assert found == {
        city: sum(row["city"] == city for row in LOANS)
        for city in ("Boston", "Oslo", "boston", None)
    }


def test_contract_AR_34_times_and_batches_may_be_filtered_here(rows_of):
    since = iso(START_MS + 100 * STEP_MS)
    for name, value, expected in (
        ("inference_timestamp", since, len(LOANS) - 100),
        ("batch_id", "b1", sum(row["batch_id"] == "b1" for row in LOANS)),
    ):
        comparator = "gte" if name == "inference_timestamp" else "eq"
        where = [{"property": name, "comparator": comparator, "value": value}]
        found = rows_of({"select": [{"function": "count"}], "filter": where})
        assert found == [{"count": expected}]


def test_contract_AR_35_an_invalid_query_is_told_with_the_places_of_its_faults(http):
    query = {
        "select": [{"function": "avg", "parameters": {"property": "temprature"}}],
        "filter": [{"property": "AGE", "comparator": "above", "value": 3}],
    }
    answer = http.post("/api/v3/models/loans/inferences/query", json=query)
    assert answer.status_code == 400
    assert "`query.filter[0].comparator` must be one of eq, ne" in answer.json()["error"]
    del query["filter"]
    answer = http.post("/api/v3/models/loans/inferences/query", json=query)
    assert answer.status_code == 400
    assert "a property of model loans" in answer.json()["error"]
    assert 'did you mean "temperature"' in answer.json()["error"]


def test_contract_AR_36_the_dry_run_gives_the_value_of_the_metric_to_be(value_of):
    counted = cells(filter(_aged, LOANS))
    expected = 2 * counted.tp / (2 * counted.tp + counted.fp + counted.fn)
    assert value_of("f1", where=AGES, **CLASS_A) == pytest.approx(expected)


# ---- slips of the document ---------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["inference", "inferences"])
@pytest.mark.parametrize("prefix", ["", "/api/v3", "/api/v4"])
def test_contract_ARx_1_both_spellings_of_the_path(prefix, spelling, rows_of):
    path = f"{prefix}/models/{{}}/{spelling}/query"
    assert rows_of({"select": [{"function": "count"}]}, path=path) == [{"count": len(LOANS)}]


def test_contract_ARx_2_falsePostiveRate_is_an_alias(value_of):
    counted = cells(LOANS)
    expected = counted.fp / (counted.fp + counted.tn)
    assert value_of("falsePostiveRate", **CLASS_A) == pytest.approx(expected)


def test_contract_ARx_3_swapped_truth_and_prediction_are_told(http):
    swapped = {
        "threshold": 0.5,
        "ground_truth_property": "class_a",
        "predicted_property": "ground_truth_a",
    }
    query = {"select": [{"function": "truePositiveRate", "parameters": swapped}]}
    answer = http.post("/models/loans/inference/query", json=query)
    assert answer.status_code == 400
    assert "they are swapped: labels.ground_truth_a is a ground truth" in answer.json()["error"]


# ---- what the document implies -----------------------------------------------------------------


def test_contract_ARi_07_all_keys_of_a_query_together(rows_of):
    query = {
        "select": [{"function": "max", "alias": "most", "parameters": {"property": "n"}}],
        "subquery": {
            "select": [{"property": "city"}, {"function": "count", "alias": "n"}],
            "from": "inference",
            "filter": [{"property": "city", "comparator": "NotNull"}],
            "group_by": [{"property": "city"}],
            "order_by": [{"alias": "n", "direction": "desc"}],
        },
    }
    most = max(sum(row["city"] == city for row in LOANS) for city in ("Boston", "Oslo", "boston"))
    assert rows_of(query) == [{"most": most}]


def test_contract_ARi_08_sources(rows_of):
    labelled = sum(row["label"] is not None for row in LOANS)
    expected = {
        "inference": len(LOANS),
        "enriched": len(LOANS),
        "ground_truth": labelled,
        "reference": 0,
    }
    for source, count in expected.items():
        query = {"select": [{"function": "count"}], "from": source}
        assert rows_of(query) == [{"count": count}]


def test_contract_ARi_09_regular_properties_and_star(rows_of):
    query = {"select": [{"property": "*"}], "order_by": [{"property": "inference_timestamp"}]}
    found = rows_of(query)
    row = LOANS[1]
    assert (
        found[1].items()
        >= {
            "inference_id": "loan-1",
            "inference_timestamp": iso(row["ms"]),
            "ground_truth_timestamp": iso(row["ms"]),
            "batch_id": "b1",
            "AGE": row["AGE"],
            "class_a": row["class_a"],
            "device": row["device"],
            "prediction": row["prediction"],
            "label": row["label"],
        }.items()
    )
    names = ["partner_inference_id", "received_timestamp", "ground_truth_timestamp"]
    (first, *_) = rows_of({"select": [{"property": name} for name in names], "limit": 1})
    assert first["partner_inference_id"] == "loan-0"
    assert first["ground_truth_timestamp"] is None
    assert first["received_timestamp"].endswith("Z")


def test_contract_ARi_10_comparators_beyond_the_document(rows_of):
    ways = {
        ("ne", "Boston"): lambda city: city not in (None, "Boston"),
        ("in", ("Oslo", "boston")): lambda city: city in ("Oslo", "boston"),
        ("like", "B%"): lambda city: city == "Boston",
        ("NotNull", None): lambda city: city is not None,
    }
    for (comparator, value), holds in ways.items():
        condition = {"property": "city", "comparator": comparator}
        if value is not None:
            condition["value"] = list(value) if isinstance(value, tuple) else value
        found = rows_of({"select": [{"function": "count"}], "filter": [condition]})
        assert found == [{"count": sum(holds(row["city"]) for row in LOANS)}], comparator
    for comparator, expected in (("gt", 50), ("lte", 50)):
        where = [{"property": "AGE", "comparator": comparator, "value": expected}]
        above = sum(row["AGE"] > 50 for row in LOANS)
        count = above if comparator == "gt" else len(LOANS) - above
        assert rows_of({"select": [{"function": "count"}], "filter": where}) == [{"count": count}]


def test_contract_ARi_13_transformations(rows_of):
    minute = {"property": "inference_timestamp", "time_interval": "hour"}
    query = {
        "select": [
            {"function": "roundTimestamp", "alias": "hour", "parameters": minute},
            {"function": "count"},
        ],
        "group_by": [{"alias": "hour"}],
    }
    hours = {}
    for row in LOANS:
        hour = row["ms"] // 3_600_000 * 3_600_000
        hours[iso(hour)] = hours.get(iso(hour), 0) + 1
    assert {row["hour"]: row["count"] for row in rows_of(query)} == hours
    greatest = {
        "function": "labelByMaxColumn",
        "parameters": {"properties": ["class_a", "class_b"]},
    }
    found = [row["labelByMaxColumn"] for row in rows_of({"select": [greatest]})]
    assert found == ["class_a" if row["class_a"] >= 0.5 else "class_b" for row in LOANS]
    nested = {"nested_function": {"function": "abs", "parameters": {"property": "temperature"}}}
    query = {"select": [{"function": "max", "parameters": {"property": nested}}]}
    known = [abs(row["temperature"]) for row in LOANS if row["temperature"] is not None]
    assert rows_of(query) == [{"max": max(known)}]


def test_contract_ARi_13_arraySlice_is_refused_clearly(http):
    query = {"select": [{"function": "arraySlice", "parameters": {"property": "city"}}]}
    answer = http.post("/models/loans/inferences/query", json=query)
    assert answer.status_code == 400
    assert "array properties are not kept" in answer.json()["error"]
