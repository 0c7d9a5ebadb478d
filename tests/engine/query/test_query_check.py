"""Which queries may be metrics (AR-32 to AR-34), of which type they are (AR-45), which truths they
read, and the queries of the default metrics, each of which must pass all of it."""

import pytest

from engine.errors import QueryError
from engine.metrics import AGGREGATES, CATALOGUE
from engine.query.check import check_metric, default_query, metric_type, truths_of
from engine.query.drift_parse import parse_drift
from engine.query.functions import DRIFT_MEASURES
from engine.query.names import ModelNames
from engine.query.parse import parse

NAMES = ModelNames(
    "triage",
    {
        "features.age": "number",
        "features.city": "text",
        "predictions.p": "number",
        "labels.escalated": "mixed",
    },
    classes=("UP", "DOWN"),
)
COUNT = {"function": "count"}
PSI = {"properties": ["age"]}


def read(query):
    return (parse_drift if "properties" in query else parse)(query, NAMES)


def select(*items, **rest):
    return {"select": list(items), **rest}


def call(name, **parameters):
    return {"function": name, "parameters": parameters}


def only(name, comparator="NotNull", **rest):
    return {"filter": [{"property": name, "comparator": comparator, **rest}]}


def faults(query, kind="streaming"):
    with pytest.raises(QueryError) as caught:
        check_metric(read(query), kind)
    return str(caught.value).split("\n")


def test_contract_AR_32_a_metric_aggregates():
    assert faults(select({"property": "age"})) == [
        "`query.select[0]` must be an aggregate: a metric aggregates the rows of a window"
    ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (select(COUNT, call("avg", property="age")), "select` must have one item, got 2"),
        (
            select(call("confusionMatrix")),
            "select[0]` must give one value, and confusionMatrix gives several",
        ),
        (select(COUNT, group_by=[{"property": "city"}]), "group_by` must be absent"),
        ({"properties": ["age", "city"]}, "properties` must have one property, got 2"),
        (PSI | {"group_by": [{"property": "city"}]}, "group_by` must be absent"),
        (PSI | {"rollup": "day"}, "rollup` must be absent"),
    ],
)
def test_contract_AR_33_a_metric_has_one_value(query, text):
    assert faults(query) == [f"`query.{text}: a metric has exactly one value"]


TIMES = ("inference_timestamp", "received_timestamp", "ground_truth_timestamp")
HOUR = call("roundTimestamp", property="inference_timestamp", time_interval="hour")


@pytest.mark.parametrize("name", TIMES)
def test_contract_AR_34_no_time_filter_of_a_streaming_model(name):
    text = f"must not filter on {name}: the time of a metric is chosen by its window"
    assert faults(select(COUNT, **only(name))) == [f"`query.filter[0]` {text}"]
    assert faults(PSI | {"target": only(name)}) == [f"`query.target.filter[0]` {text}"]
    assert faults(PSI | {"base": only(name)}) == [f"`query.base.filter[0]` {text}"]
    rate = call("rate", property=name, comparator="NotNull")
    assert faults(select(rate)) == [f"`query.select[0]` {text}"]
    check_metric(read(select(COUNT, **only(name))), "batch")


def test_contract_AR_34_no_batch_filter_of_a_batch_model():
    query = select(COUNT, **only("batch_id", "eq", value="b7"))
    assert faults(query, "batch") == [
        (
            "`query.filter[0]` must not filter on batch_id: the batch of a metric is chosen by its"
            " window"
        )
    ]
    check_metric(read(query), "streaming")


def test_contract_AR_34_no_time_filter_within_functions_and_subqueries():
    nested = {"nested_function": HOUR}
    query = select(COUNT, **only("city") | {"filter": [
        {"property": nested, "comparator": "gt", "value": 0}]})  # fmt: skip
    assert "inference_timestamp" in faults(query)[0]
    inner = select({"property": "age"}, **only("inference_timestamp"))
    assert faults(select(call("avg", property="age"), subquery=inner)) == [
        "`query.subquery` must be absent: a metric adds up row by row, which a subquery does not",
        (
            "`query.subquery.filter[0]` must not filter on inference_timestamp: the time of a"
            " metric is chosen by its window"
        ),
    ]


def test_error_what_a_stream_cannot_have():
    query = select(COUNT, order_by=[{"alias": "count"}], limit=1, offset=2) | {"from": "reference"}
    absent = "must be absent: a metric has one value, with no order"
    assert faults(query) == [
        "`query.from` must be inference, got reference: a metric is computed over what arrives",
        *(f"`query.{key}` {absent}" for key in ("order_by", "limit", "offset")),
    ]
    drift = PSI | {"metric": "Thresholds", "base": {"source": "inference"}}
    assert faults(drift | {"target": {"source": "reference"}}) == [
        "`query.metric` must be a measure of drift, got Thresholds: a threshold belongs to a rule",
        (
            "`query.base.source` must be reference, got inference: a window is compared with what"
            " does not move"
        ),
        (
            "`query.target.source` must be inference or ground_truth, got reference: a metric is"
            " computed over what arrives"
        ),
    ]


def test_error_the_place_is_the_callers():
    with pytest.raises(QueryError, match=r"^`metrics\[2\].query.group_by` must be absent"):
        check_metric(
            parse(select(COUNT, group_by=[{"property": "city"}]), NAMES, "metrics[2].query"),
            "streaming",
        )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (PSI, "data_drift"),
        (select(call("accuracyRate")), "performance"),
        (select(call("rmse", ground_truth_property="escalated")), "performance"),
        (select(call("avg", property="age")), "input_data"),
        (select(call("rate", property="city", comparator="eq", value="B")), "input_data"),
        (select(call("avg", property="p")), "output"),
        (select(call("avg", property={"nested_function": call("abs", property="p")})), "output"),
        (select(call("avg", property="escalated")), "output"),
        (select(call("rate", property="label", comparator="eq", value="UP")), "output"),
        (select(call("avg", property="score")), "output"),
        (select(COUNT, **only("label")), "output"),
    ],
)
def test_contract_AR_45_types(query, expected):
    assert metric_type(read(query)) == f"model_{expected}_metric"


@pytest.mark.parametrize(
    ("query", "truths"),
    [
        (select(COUNT), ()),
        (select(COUNT, **only("label")), ("label",)),
        (select(COUNT, **only("ground_truth_timestamp")), ("label",)),
        (select(call("f1")), ("label",)),
        (select(call("f1", ground_truth_property="escalated")), ("escalated",)),
        (select(call("f1"), **only("escalated")), ("escalated", "label")),
        (select(call("avg", property="labels.escalated")), ("escalated",)),
        (select(COUNT, group_by=[{"property": "label"}]), ("label",)),
        (select(COUNT, subquery=select({"property": "label"})), ("label",)),
        ({"properties": ["label"]}, ("label",)),
        (PSI | {"target": only("escalated")}, ("escalated",)),
    ],
)
def test_truths(query, truths):
    assert truths_of(read(query)) == truths


DEFAULTS = [
    *(each.name for each in CATALOGUE),
    *(f"{each.name}(UP)" for each in CATALOGUE if each.per_class),
    *(f"{name}(features.age)" for name in (*AGGREGATES, *DRIFT_MEASURES)),
]


@pytest.mark.parametrize("name", DEFAULTS)
def test_contract_AR_49_default_metrics_are_metrics(name):
    query, endpoint = default_query(name)
    tree = (parse_drift if endpoint == "data_drift" else parse)(query, NAMES)
    check_metric(tree, "streaming")
    check_metric(tree, "batch")
    types = {each.name: each.type for each in CATALOGUE}
    expected = types.get(name.partition("(")[0], "model_input_data_metric")
    drift = endpoint == "data_drift"
    assert metric_type(tree) == ("model_data_drift_metric" if drift else expected)


def test_golden_default_queries():
    assert default_query("accuracyRate") == ({"select": [{"function": "accuracyRate"}]}, "query")
    assert default_query("max(features.a(b)\n)")[0]["select"][0]["parameters"] == {
        "property": "features.a(b)\n"
    }
    assert default_query("PSI(features.age)") == (
        {
            "properties": ["features.age"],
            "num_bins": 10,
            "metric": "PSI",
            "base": {"source": "reference"},
            "target": {"source": "inference"},
        },
        "data_drift",
    )


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("acuracyRate", '"acuracyRate"; did you mean "accuracyRate"?'),
        ("psi(age)", '"psi(age)"; did you mean "PSI"? names are case-sensitive'),
        ("avg", '"avg"; avg needs a property: avg(features.x)'),
        ("f1(UP)", '"f1(UP)"; f1 has no UP in brackets'),
        ("avg()", '"avg()"; did you mean "avg"?'),
        ("", '""'),
    ],
)
def test_error_no_default_metric(name, end):
    with pytest.raises(QueryError) as caught:
        default_query(name)
    assert str(caught.value) == f"metric must be the name of a default metric, got {end}"
