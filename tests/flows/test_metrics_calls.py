"""Filters of the command line: what is field, operator and value, whatever the names are."""

import pytest

from engine.errors import ConfigurationError
from engine.jobs.questions import OPERATORS, parse_question
from flows.metricscalls import filter_of


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("score gte 0.5", ("score", "gte", "0.5")),
        ("  a.b   is   not   one  of  x , y", ("a.b", "is not one of", ["x", "y"])),
        ("text contains is not", ("text", "contains", "is not")),
        ("long ones not starts with a b", ("long ones", "not starts with", "a b")),
        ('"it is" is ""', ("it is", "is", "")),
        ('a is " x "', ("a", "is", " x ")),
        ("isnt is island", ("isnt", "is", "island")),
        ("label not exists", ("label", "not exists", None)),
        ("a is one of [1, true]", ("a", "is one of", [1, True])),
        ("a is\nb\nc", ("a", "is", "b\nc")),
    ],
)
def test_golden_filters_are_read_as_field_operator_value(word, wanted):
    found = filter_of(word)
    assert (found["field"], found["operator"], found.get("value")) == wanted


@pytest.mark.parametrize("operator", OPERATORS)
def test_contract_ACi_15_every_operator_of_the_contract_is_read(operator):
    value = "" if "exists" in operator else "x"
    found = filter_of(f"features.a {operator} {value}")
    (read,) = parse_question({"job_id": "j", "filters": [found]}).filters
    assert (read.field, read.operator) == ("features.a", operator)
    assert read.values == (("x",) if value else ())


@pytest.mark.parametrize("word", ["", "a", "is", "a isnt b", "a  b", '"a is b', '{"field": '])
def test_error_what_is_no_filter_is_told(word):
    with pytest.raises(ConfigurationError, match="`--filter` must"):
        filter_of(word)
