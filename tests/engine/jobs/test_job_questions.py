"""Questions are read strictly: every fault is told with its place, its rule and what was found."""

import pytest

from engine.errors import QueryError
from engine.jobs.questions import OPERATORS, Filter, JobQuestion, parse_question

BAD = {
    "missing": ({}, "`question.job_id` is missing"),
    "truth": ({"job_id": True}, "`job_id` must be a text of 1 to 256 characters or a whole number"),
    "empty": ({"job_id": ""}, "`job_id` must be a text"),
    "half": ({"job_id": "\ud800"}, "`job_id` must be a text of whole Unicode characters"),
    "long": ({"job_id": 10**300}, "`job_id` must be a text"),
    "unknown": ({"job_id": 1, "filter": []}, '`question` must not have the key "filter"; did you'),
    "start": ({"job_id": 1, "start_datetime": "soon"}, "`start_datetime` must be an ISO 8601"),
    "number": ({"job_id": 1, "end_datetime": 5}, "`end_datetime` must be an ISO 8601 time or date"),
    "order": (
        {"job_id": 1, "start_datetime": "2025-01-02", "end_datetime": "2025-01-02"},
        '`end_datetime` must be later than `start_datetime` "2025-01-02", got "2025-01-02"',
    ),
    "top": ({"job_id": 1, "top": 1001}, "`top` must be a whole number from 1 to 1000, got 1001"),
    "filters": ({"job_id": 1, "filters": {}}, "`filters` must be a list of filters"),
    "many": ({"job_id": 1, "filters": [1] * 101}, "`filters` must be a list of at most 100"),
}

FILTERS = {
    "none": (5, "`filters[0]` must be an object, got 5"),
    "field": ({"operator": "is", "value": 1}, "`filters[0].field` is missing"),
    "named": (
        {"field": "", "operator": "is", "value": 1},
        "`filters[0].field` must be a text of 1",
    ),
    "dots": (
        {"field": "a.b.c.d.e.f.g.h", "operator": "is", "value": 1},
        "`filters[0].field` must be a path with at most 6 dots",
    ),
    "operator": (
        {"field": "a", "operator": "Is", "value": 1},
        "`filters[0].operator` must be one of is, is not, is one of",
    ),
    "value": ({"field": "a", "operator": "is"}, '`filters[0].value` is missing: "is" compares'),
    "exists": (
        {"field": "a", "operator": "exists", "value": 1},
        '`filters[0].value` must be absent: "exists" takes no value, got 1',
    ),
    "list": (
        {"field": "a", "operator": "is", "value": [1]},
        "`filters[0].value` must be a text, a",
    ),
    "single": (
        {"field": "a", "operator": "is one of", "value": "x"},
        "`filters[0].value` must be a list of values",
    ),
    "values": (
        {"field": "a", "operator": "is one of", "value": [1] * 1001},
        "`filters[0].value` must be a list of 1 to 1000 values, got 1001",
    ),
    "member": (
        {"field": "a", "operator": "is not one of", "value": [1, {}]},
        "`filters[0].value[1]` must be a text, a finite number or a boolean, got {}",
    ),
    "truth": ({"field": "a", "operator": "gt", "value": True}, "`filters[0].value` must be a text"),
    "infinite": (
        {"field": "a", "operator": "lt", "value": float("inf")},
        "`filters[0].value` must",
    ),
    "instant": (
        {"field": "@timestamp", "operator": "gte", "value": "soon"},
        '`filters[0].value` must be an ISO 8601 time or date, got "soon"',
    ),
    "contains": (
        {"field": "a", "operator": "not contains", "value": []},
        "`filters[0].value` must be a text of at most 1024 characters, got []",
    ),
    "unknown": (
        {"field": "a", "operator": "is", "value": 1, "values": 2},
        '`filters[0]` must not have the key "values"',
    ),
}


@pytest.mark.parametrize(("arguments", "told"), BAD.values(), ids=BAD)
def test_error_what_is_wrong_with_a_question_is_told(arguments, told):
    with pytest.raises(QueryError) as error:
        parse_question(arguments)
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(("entry", "told"), FILTERS.values(), ids=FILTERS)
def test_error_what_is_wrong_with_a_filter_is_told(entry, told):
    with pytest.raises(QueryError) as error:
        parse_question({"job_id": 1, "filters": [entry]})
    assert str(error.value).startswith(told)


def test_error_every_fault_is_told_at_once():
    with pytest.raises(QueryError) as error:
        parse_question({"start_datetime": 1, "filters": [5, {}], "top": 0})
    assert len(str(error.value).splitlines()) == 6


def test_contract_AC_05_job_id_is_a_whole_number_or_a_text():
    assert parse_question({"job_id": 1234}) == JobQuestion("1234", 1234)
    assert parse_question({"job_id": "soc"}) == JobQuestion("soc", "soc")


@pytest.mark.parametrize(
    ("given", "hours"),
    [("2025-01-01T02:00:00Z", 2), ("2025-01-01T02:00+01:00", 1), ("2025-01-01", 0)],
)
def test_contract_AC_06_start_is_iso_8601_with_or_without_zone_or_a_date(given, hours):
    question = parse_question({"job_id": 1, "start_datetime": given})
    assert question.start_us == (1_735_689_600 + hours * 3600) * 1_000_000
    assert question.end_us is None


def test_contract_AC_07_end_is_iso_8601():
    question = parse_question({"job_id": 1, "end_datetime": "2025-01-01T00:00:00.5"})
    assert question.end_us == 1_735_689_600_500_000


def test_contract_AC_09_filters_may_be_absent_null_or_empty():
    for given in ({}, {"filters": None}, {"filters": []}):
        assert parse_question({"job_id": 1} | given).filters == ()


def test_contract_AC_10_AC_11_AC_12_a_filter_has_field_operator_and_value():
    entry = {"field": "arcanna.result_label", "operator": "is", "value": "Escalate"}
    question = parse_question({"job_id": 1, "filters": [entry]})
    assert question.filters == (Filter("arcanna.result_label", "is", ("Escalate",)),)


def test_contract_ACi_10_how_many_ids_are_named_is_a_parameter():
    assert parse_question({"job_id": 1}).top == 10
    assert parse_question({"job_id": 1, "top": 100}).top == 100


def test_contract_ACi_15_there_are_fourteen_operators():
    values = {"exists": None, "not exists": None, "is one of": ["x"], "is not one of": ["x"]}
    assert len(set(OPERATORS)) == 14
    for operator in OPERATORS:
        entry = {"field": "a", "operator": operator, "value": values.get(operator, "x")}
        found = parse_question({"job_id": 1, "filters": [entry]}).filters
        assert [each.operator for each in found] == [operator]
