"""The examples of Arthur's document, as written, against hand-written SQL (AR-64).

That of data drift is a query of its own kind, and tested with drift.
"""

import duckdb
import numpy as np
import pytest
from query_rows import START, ask, close, one, row, table_of

from engine.errors import QueryError
from engine.query.names import ModelNames

DOCUMENT = ModelNames(
    "m",
    {
        "predictions.class_a": "number",
        "predictions.ground_truth_a_score": "number",
        "labels.class_a_ground_truth": "number",
        "labels.ground_truth_a": "number",
        "features.city": "text",
        "features.temperature": "number",
        "features.AGE": "number",
    },
)
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
CITY = "raw->>'$.features.city' = 'Boston'"
BETWEEN = "(raw->'$.features.AGE')::DOUBLE BETWEEN 30 AND 49.99999"
A, TRUE_A = "(raw->'$.predictions.class_a')::DOUBLE", "(raw->'$.labels.ground_truth_a')::DOUBLE"
TRUE_RMSE = "(raw->'$.labels.class_a_ground_truth')::DOUBLE"
EXAMPLES = {
    "average prediction": (
        {"select": [one("avg", "avg", property="class_a")], "filter": BOSTON},
        f"SELECT avg({A}) FROM rows WHERE {CITY}",
    ),
    "inference count": (
        {"select": [{"function": "count", "alias": "count"}], "filter": BOSTON},
        f"SELECT count(*) FROM rows WHERE {CITY}",
    ),
    "rmse": (
        {
            "select": [
                one("rmse", "rmse", ground_truth_property="class_a_ground_truth",
                    predicted_property="class_a")
            ],
            "filter": [{"property": "temperature", "comparator": "gte", "value": 32}],
        },
        (f"SELECT sqrt(avg(({TRUE_RMSE} - {A}) ** 2)) FROM rows"
         " WHERE (raw->'$.features.temperature')::DOUBLE >= 32"),
    ),
    "accuracy rate": (
        {"select": [one("accuracyRate", **CLASS_A)], "filter": AGES},
        (f"SELECT avg((({TRUE_A} = 1) = ({A} >= 0.5))::INT) FROM rows WHERE {BETWEEN}"
         f" AND {A} IS NOT NULL AND {TRUE_A} IS NOT NULL"),
    ),
    "true positive rate": (
        {"select": [one("truePositiveRate", **CLASS_A)], "filter": AGES},
        (f"SELECT avg(({A} >= 0.5)::INT) FROM rows WHERE {BETWEEN} AND {TRUE_A} = 1"
         f" AND {A} IS NOT NULL"),
    ),
    "false positive rate as printed": (
        {"select": [one("falsePostiveRate", **CLASS_A)], "filter": AGES},
        (f"SELECT avg(({A} >= 0.5)::INT) FROM rows WHERE {BETWEEN} AND {TRUE_A} = 0"
         f" AND {A} IS NOT NULL"),
    ),
}  # fmt: skip


def _document_rows():
    rng = np.random.default_rng(64)
    return [
        row(
            i, START,
            features={"city": ["Boston", "boston", None][i % 3], "temperature": int(i % 64),
                      "AGE": [29, 30, 49, 49.5, 50, 70][i % 6]},
            predictions={"class_a": None if i % 11 == 0 else rng.random()},
            labels={"class_a_ground_truth": rng.random(),
                    "ground_truth_a": None if i % 7 == 0 else int(rng.integers(0, 2))},
        )
        for i in range(300)
    ]  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_contract_AR_64_the_documents_examples_equal_sql(name):
    query, sql = EXAMPLES[name]
    rows = _document_rows()
    (found,) = ask(rows, query, DOCUMENT)
    (expected,) = duckdb.connect().register("rows", table_of(rows)).sql(sql).fetchall()[0]
    item = query["select"][0]
    key = item.get("alias", item["function"].replace("falsePostive", "falsePositive"))
    assert list(found) == [key]
    assert expected is not None
    assert close(found[key], expected)


def test_contract_AR_64_swapped_truth_runs_where_the_model_says_so():
    rows = _document_rows()
    swapped = {
        "threshold": 0.5,
        "ground_truth_property": "class_a",
        "predicted_property": "ground_truth_a",
    }
    with pytest.raises(QueryError, match="swapped"):
        ask(rows, {"select": [one("truePositiveRate", **swapped)]}, DOCUMENT)
    turned = [
        row(i, START, predictions=each["event"]["labels"],
            labels={"class_a": 1 if i % 2 else 0}, features=each["event"]["features"])
        for i, each in enumerate(rows)
    ]  # fmt: skip
    names = ModelNames(
        "m",
        {"labels.class_a": "number", "predictions.ground_truth_a": "number",
         "features.AGE": "number"},
    )  # fmt: skip
    query = {"select": [one("truePositiveRate", **swapped)], "filter": AGES}
    (found,) = ask(turned, query, names)
    kept = [
        guess
        for i, each in enumerate(turned)
        if i % 2
        and 30 <= each["event"]["features"]["AGE"] < 50
        and (guess := each["event"]["predictions"]["ground_truth_a"]) is not None
    ]
    assert found["truePositiveRate"] == sum(guess >= 0.5 for guess in kept) / len(kept)
