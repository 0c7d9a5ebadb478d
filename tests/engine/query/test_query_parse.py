"""Queries from JSON to typed values.

Golden: the worked examples of the document as they are printed, and what each part of the grammar
becomes. What is refused is in `test_query_parse_faults`.
"""

import pytest

from engine.errors import QueryError
from engine.query.functions import FUNCTIONS
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.tree import Call, Column, Condition, Order, Query

NAMES = ModelNames(
    "triage",
    {
        "features.AGE": "number",
        "features.city": "text",
        "features.temperature": "number",
        "features.odd": "mixed",
        "predictions.class_a": "number",
        "predictions.class_b": "number",
        "labels.ground_truth_a": "mixed",
        "labels.class_a_ground_truth": "number",
        "device": "text",
    },
    classes=("UP", "DOWN"),
)
UNSEEN = ModelNames("triage", complete=False)
BOSTON = {"property": "city", "comparator": "eq", "value": "Boston"}
COUNT = {"function": "count"}


def select(*items, **rest):
    return {"select": list(items), **rest}


def call(name, **parameters):
    return {"function": name, "parameters": parameters}


def where(*conditions):
    return select(COUNT, filter=list(conditions))


def faults(query, names=NAMES):
    with pytest.raises(QueryError) as caught:
        parse(query, names)
    return str(caught.value).split("\n")


def fault(query, names=NAMES):
    (text,) = faults(query, names)
    return text


def names_of(argument):
    return argument.name if isinstance(argument, Column) else argument


def test_contract_AR_64_average_prediction():
    item = {"function": "avg", "alias": "avg", "parameters": {"property": "class_a"}}
    tree = parse(select(item, filter=[BOSTON]), NAMES)
    column = Column("predictions.class_a", "class_a", "query.select[0].parameters.property")
    city = Column("features.city", "city", "query.filter[0].property")
    assert tree == Query(
        (Call("avg", {"property": column}, "query.select[0]", "avg"),),
        filter=(Condition(city, "eq", "Boston", "query.filter[0]"),),
    )


def test_contract_AR_64_inference_count():
    tree = parse(select({"function": "count", "alias": "count"}, filter=[BOSTON]), NAMES)
    assert tree.select == (Call("count", {}, "query.select[0]", "count"),)


def test_contract_AR_64_rmse():
    truth, predicted = "class_a_ground_truth", "class_a"
    item = call("rmse", ground_truth_property=truth, predicted_property=predicted)
    warm = {"property": "temperature", "comparator": "gte", "value": 32}
    tree = parse(select({**item, "alias": "rmse"}, filter=[warm]), NAMES)
    parameters = {key: each.name for key, each in tree.select[0].parameters.items()}
    assert parameters == {
        "ground_truth_property": "labels.class_a_ground_truth",
        "predicted_property": "predictions.class_a",
    }
    assert (tree.filter[0].comparator, tree.filter[0].value) == ("gte", 32)


AGES = [
    {"property": "AGE", "comparator": "gte", "value": 30},
    {"property": "AGE", "comparator": "lt", "value": 50},
]


def test_contract_AR_64_accuracy_rate():
    item = call(
        "accuracyRate",
        threshold=0.5,
        ground_truth_property="ground_truth_a",
        predicted_property="class_a",
    )
    tree = parse(select(item, filter=AGES), NAMES)
    assert {key: names_of(each) for key, each in tree.select[0].parameters.items()} == {
        "threshold": 0.5,
        "ground_truth_property": "labels.ground_truth_a",
        "predicted_property": "predictions.class_a",
    }
    assert [(each.operand.name, each.value) for each in tree.filter] == [
        ("features.AGE", 30),
        ("features.AGE", 50),
    ]


SWAPPED = call(
    "truePositiveRate",
    threshold=0.5,
    ground_truth_property="class_a",
    predicted_property="ground_truth_a",
)


def test_contract_ARx_3_swapped_properties():
    assert fault(select(SWAPPED, filter=AGES)) == (
        "`query.select[0].parameters` must have the ground truth in ground_truth_property and the"
        " prediction in predicted_property, but they are swapped: labels.ground_truth_a is a"
        " ground truth and predictions.class_a is none"
    )


def test_contract_ARx_3_half_known():
    some = ModelNames("triage", {"labels.ground_truth_a": "number"}, complete=False)
    assert fault(select(SWAPPED), some) == (
        "`query.select[0].parameters.predicted_property` must be a prediction, got"
        ' "ground_truth_a", which is the ground truth labels.ground_truth_a;'
        " are the two swapped?"
    )


def test_contract_ARx_2_misspelt_function():
    assert parse(select(call("falsePostiveRate")), NAMES).select[0].function == "falsePositiveRate"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_read(name):
    sample = {
        "property": "inference_timestamp" if name == "roundTimestamp" else "AGE",
        "properties": ["class_a", "class_b"],
        "comparator": "gt",
        "value": 1,
        "q": 0.9,
        "time_interval": "hour",
    }
    required = [each.name for each in FUNCTIONS[name].parameters if each.required]
    if name == "rate":
        required.append("value")
    item = call(name, **{key: sample[key] for key in required})
    (found,) = parse(select(item), NAMES).select
    given_or_default = {
        each.name for each in FUNCTIONS[name].parameters if each.default is not None
    }
    assert found.function == name
    assert set(found.parameters) == set(required) | given_or_default


def test_defaults_are_filled():
    assert parse(select(call("mae")), NAMES).select[0].parameters == {
        "aggregation": "avg",
        "ground_truth_property": Column(
            "label", "label", "query.select[0].parameters.ground_truth_property"
        ),
        "predicted_property": Column(
            "prediction", "prediction", "query.select[0].parameters.predicted_property"
        ),
    }


def test_nested_functions_and_aliases():
    largest = call("labelByMaxColumn", properties=["class_a", "predictions.class_b"])
    tree = parse(
        select(
            {**largest, "alias": "top"},
            COUNT,
            {"function": "avg", "parameters": {"property": {"nested_function": call(
                "abs", property="AGE")}}},
            group_by=[{"alias": "top"}],
            filter=[{"property": {"alias_ref": "top"}, "comparator": "ne", "value": "class_a"}],
            order_by=[{"property": "count", "direction": "desc"}, {"alias": "top"}],
        ),
        NAMES,
    )  # fmt: skip
    assert tree.group_by == (tree.select[0],)
    assert tree.filter[0].operand == tree.select[0]
    assert tree.select[0].parameters == {
        "properties": ("predictions.class_a", "predictions.class_b")
    }
    assert tree.select[2].parameters["property"].function == "abs"
    assert tree.order_by == (
        Order("count", descending=True, place="query.order_by[0]"),
        Order("top", descending=False, place="query.order_by[1]"),
    )


def test_contract_ARi_07_subquery_columns_are_the_properties():
    hourly = call("roundTimestamp", property="inference_timestamp", time_interval="hour")
    inner = select(COUNT, {**hourly, "alias": "hour"}, group_by=[{"alias": "hour"}])
    tree = parse(
        select(
            {**call("max", property="count"), "alias": "busiest"},
            subquery=inner,
            filter=[{"property": "hour", "comparator": "gte", "value": "2024-01-01"}],
        ),
        NAMES,
    )
    assert tree.select[0].parameters["property"].name == "count"
    assert tree.subquery.select[0].function == "count"
    assert fault(select(call("max", property="hour"), subquery=inner)) == (
        '`query.select[0].parameters.property` must be a number, got "hour", which is a time'
    )
    assert fault(select(call("max", property="AGE"), subquery=inner)) == (
        '`query.select[0].parameters.property` must be a column of the subquery, got "AGE"'
    )
    assert fault(select(call("auc"), subquery=inner)) == (
        "`query.select[0].function` must not compare with labels over a subquery, got"
        ' "auc"; move it into the subquery'
    )
    assert fault(select(COUNT, subquery=inner) | {"from": "reference"}) == (
        "`query.from` must be absent, as the query is over a subquery"
    )
    assert fault(select(COUNT, subquery=select({"property": "*"}))) == (
        "`query.subquery.select[0]` must name its columns: a subquery has no *"
    )


def test_all_columns_in_order_and_pages():
    query = select({"property": "*"}, order_by=[{"property": "AGE"}], limit=10, offset=5)
    tree = parse(query | {"from": "reference"}, NAMES)
    assert (tree.limit, tree.offset, tree.source) == (10, 5, "reference")
    assert tree.order_by[0].by == "features.AGE"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("AGE", "features.AGE"),
        ("class_a", "predictions.class_a"),
        ("ground_truth_a", "labels.ground_truth_a"),
        ("labels.ground_truth_a", "labels.ground_truth_a"),
        ("device", "device"),
        ("label", "label"),
        ("batch_id", "batch_id"),
        ("partner_inference_id", "partner_inference_id"),
    ],
)
def test_names_resolve(written, name):
    (column,) = parse(select({"property": written}), NAMES).select
    assert (column.name, column.written) == (name, written)


def test_names_shared_by_containers():
    shared = dict.fromkeys(("x", "labels.x", "predictions.x", "features.x"), "number")
    model = ModelNames("m", shared)
    assert parse(select({"property": "x"}), model).select[0].name == "features.x"
    item = call("rmse", ground_truth_property="x", predicted_property="predictions.x")
    truth = parse(select(item), model).select[0].parameters["ground_truth_property"]
    assert truth.name == "labels.x"


def test_unseen_names_are_looked_for_anywhere_only_while_names_are_incomplete():
    assert parse(select({"property": "shop"}), UNSEEN).select[0].name == "?.shop"
    assert parse(select({"property": "labels.y"}), UNSEEN).select[0].name == "labels.y"
    item = call("rmse", ground_truth_property="t", predicted_property="p")
    parameters = parse(select(item), UNSEEN).select[0].parameters
    assert [each.name for each in parameters.values()] == ["labels.t", "?.p"]
    assert fault(select({"property": "shop"})) == (
        '`query.select[0].property` must be a property of model triage, got "shop"'
    )


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        (("AGE", "in", [1, 2.5]), (1, 2.5)),
        (("city", "like", "Bos%"), "Bos%"),
        (("city", "eq", True), True),
        (("odd", "eq", False), False),
        (("city", "gt", "B"), "B"),
        (("label", "eq", 1), 1),
        (("batch_id", "in", [7, "b"]), ("7", "b")),
        (("inference_timestamp", "gte", "2024-01-01T00:00:00Z"), "2024-01-01T00:00:00Z"),
        (("inference_timestamp", "lt", 1.7e12), 1.7e12),
        (("AGE", "lt", 10**30), 1e30),
    ],
)
def test_values_are_kept(condition, value):
    name, comparator, written = condition
    item = {"property": name, "comparator": comparator, "value": written}
    assert parse(where(item), NAMES).filter[0].value == value


def test_contract_ARi_10_not_null_takes_no_value():
    item = {"property": "AGE", "comparator": "NotNull"}
    assert parse(where(item), NAMES).filter[0].value is None
    assert parse(where(item | {"value": None}), NAMES).filter[0].value is None
    assert fault(where(item | {"value": 0})) == (
        "`query.filter[0].value` must be absent: NotNull takes no value, got 0"
    )
