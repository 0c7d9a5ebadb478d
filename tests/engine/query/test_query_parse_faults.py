"""What a query must not say.

Errors: the texts that people read, word for word, each with its place; all faults of a query are
told at once. Laws: whatever JSON arrives, the answer is a query or one `QueryError`. Faults: input
made to exhaust something (depth, digits, sizes) is refused like any other.
"""

# ruff: noqa: E501 - tables of texts read best with a row a line

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import QueryError
from engine.query.drift_parse import parse_drift
from engine.query.functions import COMPARATORS, FUNCTIONS
from engine.query.names import ModelNames
from engine.query.parse import parse

NAMES = ModelNames(
    "triage",
    {
        "features.AGE": "number",
        "features.city": "text",
        "features.odd": "mixed",
        "predictions.class_a": "number",
        "labels.truth": "mixed",
    },
    classes=("UP", "DOWN"),
)
UNSEEN = ModelNames("triage", complete=False)
COUNT = {"function": "count"}
TRUE = True


def select(*items, **rest):
    return {"select": list(items), **rest}


def call(name, **parameters):
    return {"function": name, "parameters": parameters}


def faults(query, names=NAMES):
    with pytest.raises(QueryError) as caught:
        parse(query, names)
    return str(caught.value).split("\n")


def fault(query, names=NAMES):
    (text,) = faults(query, names)
    return text


def test_error_every_fault_is_told_on_a_line_of_its_own():
    query = select(
        call("avg", property="city"),
        call("avrg"),
        filter=[
            {"property": "AGE", "comparator": "lt", "value": 5},
            {"property": "AGE", "comparator": "between", "value": 5},
            {"property": "age", "comparator": "lt", "value": 5},
            {"property": "city", "comparator": "gte", "value": 5},
        ],
        order_bye=[],
        limit=-1,
    )
    assert faults(query | {"from": "inferences"}) == [
        '`query` must not have the key "order_bye"; did you mean "order_by"?',
        '`query.from` must be one of inference, enriched, reference, ground_truth, got "inferences"; did you mean "inference"?',
        "`query.select[0].parameters.property` must be a number, got \"city\", which is a text",
        '`query.select[1].function` must be a known function, got "avrg"; did you mean "avg"?',
        '`query.filter[1].comparator` must be one of eq, ne, gt, gte, lt, lte, in, like, NotNull, got "between"',
        '`query.filter[2].property` must be a property of model triage, got "age"; did you mean "AGE"? names are case-sensitive',
        "`query.filter[3].value` must be a text, as the property is, got 5",
        "`query.limit` must be a whole number from 0 to 2^63 - 1, got -1",
    ]  # fmt: skip


def condition(name, comparator, value):
    return select(
        COUNT, filter=[{"property": name, "comparator": comparator, "value": value}]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (condition("AGE", "eq", "30"), ".value` must be a number, as the property is, got \"30\""),
        (condition("AGE", "eq", TRUE), ".value` must be a number, as the property is, got true"),
        (condition("odd", "gt", TRUE), ".value` must be a finite number or a text, got true"),
        (condition("odd", "eq", {}), ".value` must be a finite number, a text or a boolean, got {}"),
        (condition("AGE", "eq", float("nan")), ".value` must be a number, as the property is, got NaN"),
        (condition("AGE", "eq", None), ".value` is missing: eq compares with a value"),
        (condition("AGE", "in", []), ".value` must be a list of 1 to 1000 values, got 0"),
        (condition("AGE", "in", [1] * 1001), ".value` must be a list of 1 to 1000 values, got 1001"),
        (condition("AGE", "in", [1, "x"]), '.value[1]` must be a number, as the property is, got "x"'),
        (condition("AGE", "in", 1), ".value` must be a list of values, got 1"),
        (condition("AGE", "like", "3%"), ".value` must belong to a text property: like is not for a number"),
        (condition("city", "like", 3), ".value` must be a text of at most 1024 characters, got 3"),
        (condition("city", "eq", "x" * 1025), f'.value` must be a text of at most 1024 characters, got "{"x" * 78}…'),
        (condition("city", "eq", "\ud800"), '.value` must be a text of whole Unicode characters, got "\\ud800"'),
        (condition("batch_id", "eq", 1.5), ".value` must be a text, as the property is, got 1.5"),
        (condition("received_timestamp", "gt", "noon"), '.value` must be an ISO 8601 time or epoch milliseconds, got "noon"'),
        (condition("*", "eq", 1), '.property` must be one property, got "*"'),
        (condition("model_id", "eq", "a"), ".property` must not be model_id: a query is about one model"),
        (condition(7, "eq", "a"), ".property` must be the name of a property, {nested_function} or {alias_ref}, got 7"),
    ],
)  # fmt: skip
def test_error_conditions(query, text):
    assert fault(query) == f"`query.filter[0]{text}"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (7, "` must be an object, got 7"),
        ({}, "` must have either function or property"),
        ({"function": "avg", "property": "AGE"}, "` must have either function or property; the property of a function belongs into its parameters"),
        ({"property": "AGE", "parameters": {}}, ".parameters` must be absent: a property has none"),
        ({"property": "AGE", "alias": ""}, ".alias` must be 1 to 256 printable characters and not *, got \"\""),
        (call("PSI", property="AGE"), ".function` must not be PSI: it is the `metric` of a data drift query"),
        (call("NLPDataDrift"), ".function` must not be NLPDataDrift: text models are not supported, and no algorithm is given for it"),
        (call("arraySlice", start=1), ".function` must not be arraySlice: properties are scalars here: array properties are not kept"),
        (call("avg"), ".parameters.property` is missing"),
        (call("count", property="AGE"), '.parameters` must not have the key "property"; there are none'),
        (call("quantile", property="AGE", q=1.5), ".parameters.q` must be a number from 0 to 1, got 1.5"),
        (call("adwin", property="AGE", delta=1), ".parameters.delta` must be a number above 0 and below 1, got 1"),
        (call("pageHinkley", property="AGE", min_instances=0), ".parameters.min_instances` must be a whole number from 1 to 1000000, got 0"),
        (call("distribution", property="AGE", num_bins=2.5), ".parameters.num_bins` must be a whole number from 2 to 100, got 2.5"),
        (call("mae", aggregation="sum"), '.parameters.aggregation` must be one of avg, min, max, got "sum"'),
        (call("mae", normalizationMax=1), ".parameters.normalizationMin` is missing: normalizationMax is given only together with it"),
        (call("mae", normalizationMin=1, normalizationMax=1), ".parameters.normalizationMax` must be above normalizationMin=1, got 1"),
        (call("f1Multiclass", **{"class": "up"}), '.parameters.class` must be a class of model triage, got "up"; did you mean "UP"? names are case-sensitive'),
        (call("rate", property="AGE", comparator="gt", value="x"), '.parameters.value` must be a number, as the property is, got "x"'),
        (call("rate", property="AGE", comparator="gt"), ".parameters.value` is missing: gt compares with a value"),
        (call("roundTimestamp", property="AGE", time_interval="day"), '.parameters.property` must be a time, got "AGE", which is a number'),
        (call("labelByMaxColumn", properties=["AGE", "AGE"]), '.parameters.properties[1]` must be a property not yet in the list, got "AGE"'),
        (call("avg", property={"nested_function": call("count")}), ".parameters.property` must be a property or a row function, got the aggregate count; aggregate in a subquery first"),
        (call("avg", property={"alias_ref": "x"}), '.parameters.property.alias_ref` must be an alias of an earlier item of the select, got "x"'),
        (call("rmse", ground_truth_property="AGE"), '.parameters.ground_truth_property` must be a ground truth: label, or a name within labels, got "AGE", which is features.AGE'),
        (call("rmse", predicted_property="truth"), '.parameters.predicted_property` must be a prediction, got "truth", which is the ground truth labels.truth'),
        (call("auc", predicted_property="city"), '.parameters.predicted_property` must be a number, got "city", which is a text'),
    ],
)  # fmt: skip
def test_error_items_of_the_select(item, text):
    assert fault(select(item)) == f"`query.select[0]{text}"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ([], "`query` must be an object, got []"),
        (select(), "`query.select` must be a list of 1 to 100 items, got 0"),
        (select(*[COUNT] * 101), "`query.select` must be a list of 1 to 100 items, got 101"),
        (select(COUNT, COUNT), '`query.select[1]` must be the only one of its name; give it an alias, got "count" again'),
        (select({"property": "AGE", "alias": "a"}, {**COUNT, "alias": "a"}, group_by=[{"alias": "a"}]), '`query.select[1]` must be the only one of its alias, got "a" again'),
        (select(COUNT, {"property": "AGE"}), '`query.select[1].property` must be an aggregate or stand in group_by, got "AGE"'),
        (select(COUNT, group_by=[{"function": "count"}]), '`query.group_by[0].function` must be a row function, got "count", which is an aggregate'),
        (select(COUNT, group_by=[{"property": "*"}]), '`query.group_by[0].property` must be one property, got "*"'),
        (select(COUNT, group_by=[{}]), "`query.group_by[0]` must have one of property, alias and function"),
        (select(COUNT, filter=[{"function": "count", "comparator": "gt", "value": 1}]), '`query.filter[0].function` must be a row function, got "count", which is an aggregate; filter on it over a subquery'),
        (select(COUNT, filter=[{"comparator": "gt", "value": 1}]), "`query.filter[0]` must have either property, or function with its parameters"),
        (select(COUNT, order_by=[{"property": "AGE"}]), '`query.order_by[0].property` must be in select or in group_by, as the query aggregates, got "AGE"'),
        (select(COUNT, order_by=[{"alias": "cuont"}]), '`query.order_by[0].alias` must be an alias of the select, got "cuont"; did you mean "count"?'),
        (select(COUNT, order_by=[{"alias": "count", "direction": "up"}]), '`query.order_by[0].direction` must be one of asc, desc, ascending, descending, got "up"'),
        (select(call("confusionMatrix"), order_by=[{"alias": "confusionMatrix"}]), '`query.order_by[0].alias` must be a column of single values, got "confusionMatrix"'),
        (select(COUNT, limit=2**63), "`query.limit` must be a whole number from 0 to 2^63 - 1, got 9223372036854775808"),
        (select(COUNT, offset=True), "`query.offset` must be a whole number from 0 to 2^63 - 1, got true"),
    ],
)  # fmt: skip
def test_error_queries(query, text):
    assert "\n".join(faults(query)) == text


def nested(depth):
    operand = "AGE"
    for _ in range(depth):
        operand = {"nested_function": call("abs", property=operand)}
    return operand


def test_fault_depth():
    parse(select(call("avg", property=nested(9))), NAMES)
    assert fault(select(call("avg", property=nested(10)))).endswith(
        ".nested_function` must not nest deeper than 10"
    )
    chain = [{"function": "abs", "alias": "a0", "parameters": {"property": "AGE"}}]
    for index in range(1, 10):
        before = {"alias_ref": f"a{index - 1}"}
        chain.append({**call("abs", property=before), "alias": f"a{index}"})
    parse(select(*chain), NAMES)
    last = {**call("abs", property={"alias_ref": "a9"}), "alias": "a10"}
    assert fault(select(*chain, last)) == (
        "`query.select[10].parameters.property` must not nest deeper than 10"
    )
    query = select(COUNT)
    for _ in range(9):
        query = select(COUNT, subquery=query)
    parse(query, NAMES)
    assert fault(select(COUNT, subquery=query)).endswith(".subquery` must not nest deeper than 10")


def test_fault_hostile_sizes():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert fault(select(deep)) == "`query.select[0]` must be an object, got a list"
    assert "got a number" in fault(condition("AGE", "eq", 10**5000))
    lines = faults({f"k{index}": 0 for index in range(100_000)})
    assert (len(lines), lines[-1]) == (101, "and 99901 more")


def test_fault_a_broken_subquery_is_told_once():
    inner = select(call("avg", property="AEG"))
    assert fault(select(call("max", property="avg"), {"property": "x"}, subquery=inner,
                        group_by=[{"property": "x"}])) == (
        '`query.subquery.select[0].parameters.property` must be a property of model triage, got'
        ' "AEG"; did you mean "AGE"?'
    )  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ),
    max_leaves=12,
)
PLACES = [
    "select",
    "from",
    "filter",
    "group_by",
    "order_by",
    "subquery",
    "limit",
    "offset",
    "function",
    "parameters",
    "property",
    "alias",
    "comparator",
    "value",
    "nested_function",
    "alias_ref",
    "properties",
    "q",
    "class",
    "direction",
    "base",
    "target",
    "source",
    "ground_truth_property",
    "predicted_property",
    "num_bins",
    "metric",
    "rollup",
]
KEYS = st.sampled_from(PLACES)
WORDS = st.sampled_from([*FUNCTIONS, *COMPARATORS, "AGE", "city", "label", "*", "hour", "x"])
LIKELY = st.recursive(
    WORDS | st.integers(-2, 2) | st.none() | st.just(0.5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each, max_size=4),
    max_leaves=20,
)
ITEMS = st.lists(st.dictionaries(KEYS, LIKELY, max_size=4) | LIKELY, max_size=3)
LISTS = dict.fromkeys(("filter", "group_by", "order_by", "base", "properties"), ITEMS | LIKELY)
QUERIES = st.fixed_dictionaries({"select": ITEMS}, optional=LISTS)


@given(JSON | LIKELY | QUERIES, st.sampled_from([NAMES, UNSEEN]))
def test_law_any_json_is_a_query_or_one_error(query, names):
    for read in (parse, parse_drift):
        try:
            tree = read(query, names)
        except QueryError:
            with pytest.raises(QueryError, match=r"^`query"):
                read(query, names)
        else:
            assert tree == read(json.loads(json.dumps(query)), names)


@given(st.text(string.printable, max_size=30).filter(lambda name: name not in FUNCTIONS))
def test_law_only_functions_of_the_catalogue_are_read(name):
    with pytest.raises(QueryError, match=r"^`query.select\[0\].function` must"):
        parse(select(call(name)), NAMES)
