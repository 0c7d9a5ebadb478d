"""Filters against a plain interpreter over the events, one by one: SQL and JSON have many corners.

The streams hold quotation marks, backslashes, other alphabets, numbers as texts and beyond 2^53,
truths, nulls, lists, objects, flat keys with dots and nested ones.
"""

import random

import pytest
from job_streams import FILTERS, START_MS, filter_objects, naive, stored, stream

from engine.jobs.questions import parse_question
from engine.jobs.selection import tally_events
from engine.jobs.tally import one_by_one


@pytest.fixture(scope="module")
def taken():
    events = stream(random.Random(3), 300)
    for index, event in enumerate(events):
        if event.get("type", "prediction") == "prediction":
            event["id"] = f"{event['id']}-{index}"  # all of them stay
    return naive(events), stored(events, iter(lambda: 50, 0))


def counted(cursor, *filters, run=None):
    question = parse_question({"job_id": "soc", "filters": filter_objects(filters)})
    return sum(tally_events(cursor, question, (), run).cells.values())


@pytest.mark.parametrize("each", FILTERS, ids=repr)
def test_oracle_a_filter_keeps_what_the_interpreter_keeps(taken, each):
    twin, cursor = taken
    assert counted(cursor, each) == len(twin.selection(filters=[each]))


OPPOSITE = {"is": "is not", "is one of": "is not one of", "exists": "not exists"}
OPPOSITE |= {"contains": "not contains", "starts with": "not starts with"}


@pytest.mark.parametrize("field", ["city", "tags", "score", "label", "@timestamp", "no.where"])
@pytest.mark.parametrize("operator", OPPOSITE)
def test_law_a_not_operator_keeps_exactly_the_rest(taken, field, operator):
    twin, cursor = taken
    value = "2025-01-01" if field == "@timestamp" else "re"
    values = {"exists": (), "is one of": ([value],)}.get(operator, (value,))
    counts = [counted(cursor, (field, each, *values)) for each in (operator, OPPOSITE[operator])]
    assert sum(counts) == len(twin.rows)


def test_law_filters_in_any_order_keep_the_same(taken):
    twin, cursor = taken
    some = [("n", "gte", 1), ("label", "exists"), ("city", "not exists")]
    wanted = len(twin.selection(filters=some))
    assert counted(cursor, *some) == counted(cursor, *reversed(some)) == wanted


def test_golden_a_thousand_values_and_a_hundred_filters_are_answered(taken):
    twin, cursor = taken
    many = ("city", "is one of", [f"city {n}" for n in range(999)] + ["Bern"])
    assert counted(cursor, many) == len(twin.selection(filters=[("city", "is", "Bern")]))
    hundred = [("n", "is not", f"x{n}") for n in range(100)]
    assert counted(cursor, *hundred) == len(twin.rows)


@pytest.mark.parametrize("field", ["'; DROP TABLE events_log; --", 'a"b', "a'b", "$f0", "~/", "é"])
def test_fault_a_name_is_only_data(taken, field):
    twin, cursor = taken
    assert counted(cursor, (field, "is", "$f0'; --")) == 0
    assert counted(cursor, (field, "not exists")) == len(twin.rows)


ABOUT_LABELS = [
    *[("label_source", "is", said) for said in ("votes", "prediction", "undecided")],
    *[("label_source", "is not", "votes"), ("label_source", "gt", "q"), ("label", "gte", "A")],
    *[("arcanna.consensus", "is", said) for said in ("Drop", "Undecided")],
    *[("arcanna.consensus", "lt", "Z"), ("label", "is", "Drop"), ("correct", "is", "true")],
]


@pytest.mark.parametrize("voted", [(), ("Drop",), ("Drop", "Escalate")], ids=len)
@pytest.mark.parametrize("labels", [(None, None), ("Drop", None), ("Drop", "Drop")])
def test_fault_where_no_or_every_prediction_has_a_label_filters_on_it_are_answered(labels, voted):
    """DuckDB knows then what the label is, and has failed over what follows from it."""
    event = {"model_id": "m1", "timestamp": START_MS, "job_id": "soc", "prediction": "Drop"}
    events = [event | {"id": n} | ({"label": of} if of else {}) for n, of in enumerate(labels)]
    vote = {"type": "label", "model_id": "m1", "id": 1, "timestamp": START_MS}
    events += [vote | {"by": f"v{n}", "label": label} for n, label in enumerate(voted)]
    twin, cursor = naive(events), stored(events)
    for each in ABOUT_LABELS:
        for filters in ([each], [each, ("city", "not exists")]):
            assert counted(cursor, *filters) == len(twin.selection(filters=filters)), filters


def test_law_whoever_runs_the_parts_gets_the_same():
    """A log of many lines is cut by `seq`; here the lines are far apart instead."""
    cursor = stored(stream(random.Random(4), 120))
    filters = [("label", "exists"), ("n", "exists")]
    wanted = [counted(cursor, each) for each in filters]
    for table, column in (("events_kept", "seq"), ("events_retired", "seq")):
        cursor.execute(f"UPDATE {table} SET {column} = {column} * 100000")
    cursor.execute("UPDATE outcomes SET event_seq = event_seq * 100000")
    seen = []

    def run(statements):
        seen.append(len(statements))
        return one_by_one(cursor)(statements[::-1])[::-1]

    assert [counted(cursor, each, run=run) for each in filters] == wanted
    assert min(seen) > 4
