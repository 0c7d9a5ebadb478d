"""The first and the last event of a selection by its labels: where outcomes took the outermost.

The count by own labels is corrected by the outcomes; a time cannot be taken back from a minimum, so
every order of what holds, what was taken back and what came by an outcome is tried here.
"""

from itertools import product

import pytest
from job_streams import HOUR_MS, START_MS, naive, stored

from engine.jobs.questions import parse_question
from engine.jobs.rows_of_job import events_in_job
from engine.jobs.selection import tally_events

KINDS = ("holds", "taken back", "came by votes", "other")


ORDERS = list(product(KINDS, repeat=3))


def events(job, kinds):
    for index, kind in enumerate(kinds):
        of = {"model_id": "m9", "id": f"{job}-{index}", "timestamp": START_MS + index * HOUR_MS}
        label = "Drop" if kind in ("holds", "taken back") else "Escalate"
        yield of | {"job_id": job, "prediction": "Drop", "label": label}
        if kind in ("taken back", "came by votes"):
            said = "Drop" if kind == "came by votes" else "Escalate"
            yield of | {"type": "label", "label": said, "by": "ana"}


@pytest.fixture(scope="module")
def cursor():
    lines = [line for job, kinds in enumerate(ORDERS) for line in events(f"j{job}", kinds)]
    return stored(lines, iter(lambda: 100, 0))


def question(job, operator):
    entry = {"field": "label", "operator": operator, "value": "Drop"}
    return parse_question({"job_id": job, "filters": [entry]})


@pytest.mark.parametrize("operator", ["is", "is not"])
def test_oracle_first_and_last_are_those_of_what_holds(cursor, operator):
    for job, kinds in enumerate(ORDERS):
        twin = naive(list(events(f"j{job}", kinds)), f"j{job}")
        rows = twin.selection(filters=[("label", operator, "Drop")])
        times = [row["time"] * 1000 for row in rows]
        tally = tally_events(cursor, question(f"j{job}", operator))
        assert sum(tally.cells.values()) == len(rows)
        ends = min(times, default=None), max(times, default=None)
        assert (tally.first_us, tally.last_us) == ends, kinds


@pytest.mark.parametrize(
    ("jobs", "wanted"),
    [
        (("soc", "soc"), "e.job_id = $job"),
        ((None, None), "e.job_id IS NULL AND e.model_id IN ($own0)"),
        (("soc", None), "(e.job_id = $job OR (e.job_id IS NULL AND e.model_id IN ($own0)))"),
    ],
)
def test_golden_a_job_is_told_by_the_shortest_condition(jobs, wanted):
    lines = [
        {"model_id": "m1", "id": str(index), "timestamp": START_MS, "prediction": "Drop"}
        | ({} if job is None else {"job_id": job})
        for index, job in enumerate(jobs)
    ]
    cursor = stored(lines)
    assert events_in_job(cursor, "soc")[0] == wanted
    assert tally_events(cursor, parse_question({"job_id": "soc"})).cells.total() == 2
