"""The catalogue of functions against the catalogue of default metrics, and its own shape."""

import pytest

from engine.metrics import AGGREGATES, CATALOGUE, METRIC_TYPES
from engine.query.functions import DRIFT_MEASURES, FUNCTIONS, REFUSED, canonical


def test_every_default_metric_is_a_function():
    assert {each.name for each in CATALOGUE} | set(AGGREGATES) <= set(FUNCTIONS)
    for each in CATALOGUE:
        function = FUNCTIONS[each.name]
        assert (function.type, function.kind) == (each.type, "aggregate")
        assert (function.parameter("class") is not None) == each.per_class


def test_functions_are_whole():
    for name, function in FUNCTIONS.items():
        assert function.name == name
        assert function.type in METRIC_TYPES
        assert function.needs_truth == (function.type == "model_performance_metric")
        names = [each.name for each in function.parameters]
        assert len(set(names)) == len(names)
        assert set(function.together) <= set(names)
        assert (function.result == "several") == (function.kind == "several")
    assert not set(FUNCTIONS) & {*REFUSED, *DRIFT_MEASURES}


def test_defaults_keep_their_bounds():
    for function in FUNCTIONS.values():
        for each in function.parameters:
            if isinstance(each.default, int | float):
                assert each.low is None or each.low <= each.default
                assert each.high is None or each.default <= each.high
            if each.kind == "choice" and each.default is not None:
                assert each.default in each.choices


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("falsePostiveRate", "falsePositiveRate"),
        ("falsePositiveRate", "falsePositiveRate"),
        ("FalsePositiveRate", None),
        ("percentile", None),
        ("", None),
    ],
)
def test_contract_ARx_2_one_alias_alone(written, name):
    assert canonical(written) == name
