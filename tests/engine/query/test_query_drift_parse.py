"""Drift queries from JSON to typed values: the example of the document, the defaults, and the texts
of all faults."""

import pytest

from engine.errors import QueryError
from engine.query.drift_parse import DRIFT_METRICS, ROLLUPS, parse_drift
from engine.query.names import ModelNames
from engine.query.tree import Column, Condition, DriftQuery, Side

NAMES = ModelNames(
    "triage",
    {
        "features.temperature": "number",
        "features.city": "text",
        "predictions.class_a": "number",
        "labels.truth": "mixed",
    },
)


def fault(query):
    with pytest.raises(QueryError) as caught:
        parse_drift(query, NAMES)
    return str(caught.value)


def test_contract_AR_63_psi_by_city():
    city = {"property": "city", "comparator": "eq", "value": "Boston"}
    tree = parse_drift(
        {
            "properties": ["temperature"],
            "num_bins": 20,
            "base": {"source": "reference"},
            "target": {"source": "inference", "filter": [city]},
        },
        NAMES,
    )
    column = Column("features.city", "city", "query.target.filter[0].property")
    assert tree == DriftQuery(
        (Column("features.temperature", "temperature", "query.properties[0]"),),
        "PSI",
        20,
        Side("reference"),
        Side("inference", (Condition(column, "eq", "Boston", "query.target.filter[0]"),)),
    )


def test_defaults():
    tree = parse_drift({"properties": ["prediction", "label", "labels.truth", "class_a"]}, NAMES)
    assert [each.name for each in tree.properties] == [
        "prediction",
        "label",
        "labels.truth",
        "predictions.class_a",
    ]
    assert (tree.metric, tree.num_bins, tree.base, tree.target, tree.group_by, tree.rollup) == (
        *("PSI", 10, Side("reference"), Side("inference"), (), None),
    )


@pytest.mark.parametrize("metric", DRIFT_METRICS)
@pytest.mark.parametrize("rollup", ROLLUPS)
def test_contract_ARi_14_all_that_a_drift_query_may_say(metric, rollup):
    query = {
        "properties": ["temperature"],
        "metric": metric,
        "rollup": rollup,
        "group_by": [{"property": "city"}],
        "target": {"source": "ground_truth"},
    }
    tree = parse_drift(query, NAMES)
    assert (tree.metric, tree.rollup, tree.target.source) == (metric, rollup, "ground_truth")
    assert tree.group_by == (Column("features.city", "city", "query.group_by[0].property"),)


TEMPERATURE = {"properties": ["temperature"]}
METRICS = ", ".join(DRIFT_METRICS)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ([], "`query` must be an object, got []"),
        ({}, "`query.properties` is missing"),
        ({"properties": []}, "`query.properties` must be a list of 1 to 100 properties, got 0"),
        ({"properties": "*"}, '`query.properties` must be a list of properties, got "*"'),
        ({"properties": ["*"]}, '`query.properties[0]` must be the name of a property, got "*"'),
        (
            {"properties": ["city", "features.city"]},
            '`query.properties[1]` must be a property not yet in the list, got "features.city"',
        ),
        (
            {"properties": ["inference_id"]},
            (
                "`query.properties[0]` must be a feature, a named output or truth, or one of"
                ' prediction, label, score, got "inference_id"'
            ),
        ),
        (
            {"properties": ["City"]},
            (
                '`query.properties[0]` must be a property of model triage, got "City";'
                ' did you mean "city"? names are case-sensitive'
            ),
        ),
        (
            TEMPERATURE | {"num_bins": 1},
            "`query.num_bins` must be a whole number from 2 to 100, got 1",
        ),
        (
            TEMPERATURE | {"metric": "psi"},
            (
                f'`query.metric` must be one of {METRICS}, got "psi";'
                ' did you mean "PSI"? names are case-sensitive'
            ),
        ),
        (
            TEMPERATURE | {"metric": "NLPDataDrift"},
            (
                "`query.metric` must not be NLPDataDrift: text models are not supported, and no"
                " algorithm is given for it"
            ),
        ),
        (
            TEMPERATURE | {"rollup": "week"},
            f'`query.rollup` must be one of {", ".join(ROLLUPS)}, got "week"',
        ),
        (
            TEMPERATURE | {"group_by": [{"property": "inference_timestamp"}]},
            (
                "`query.group_by[0].property` must be a property of few values, got"
                ' "inference_timestamp", which is a time: that is what `rollup` is for'
            ),
        ),
        (
            TEMPERATURE | {"base": {"filter": [{"property": "city", "comparator": "is"}]}},
            (
                "`query.base.filter[0].comparator` must be one of eq, ne, gt, gte, lt, lte, in,"
                ' like, NotNull, got "is"'
            ),
        ),
        (
            TEMPERATURE | {"target": {"from": "inference"}},
            '`query.target` must not have the key "from"; the keys are source, filter',
        ),
    ],
)
def test_error_texts(query, text):
    assert fault(query) == text


def test_error_all_faults_at_once():
    assert fault({"properties": ["x"], "num_bins": "ten", "rolup": "day"}).split("\n") == [
        '`query` must not have the key "rolup"; did you mean "rollup"?',
        '`query.properties[0]` must be a property of model triage, got "x"',
        '`query.num_bins` must be a whole number from 2 to 100, got "ten"',
    ]
