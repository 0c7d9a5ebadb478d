"""Jobs of an experiment: which they are, sorted, searched and paged, against plain Python.

Every sort is checked by an independent key, every search by `fnmatch` over what a job is known by,
and paging by the two ways in which clients walk: counting pages, and following `next`.
"""

import random
from fnmatch import fnmatchcase

import pytest
from step_lines import metric, naive_held, naive_latest, step_store, take

from engine.errors import QueryError
from engine.steps.experiments import SEARCHABLE, SORTABLE, experiment_metrics
from engine.steps.step_queries import snapshots

JOBS = (2, 10, 9, "alpha", "Beta", "007", 100000000000000000000000000, "b-1")
STATUSES = {2: "finished", 10: "failed", 9: "Started", "alpha": "finished"}


def some_events():
    dice = random.Random(5)
    events = [
        metric(
            job,
            dice.choice(("loss", "acc_1", "f1")),
            dice.random(),
            step=dice.randrange(4),
            timestamp=dice.randrange(50),
            experiment_id=dice.choice(("x", "y", None)),
        )
        for job in JOBS
        for _ in range(12)
    ]
    for number, (job, status) in enumerate(STATUSES.items()):
        for ms, said, kind in ((5, "queued", "z"), (9, status, f"entry_{number}")):
            run = {"type": "run", "id": f"r{number}{ms}", "job_type": kind, "status": said}
            events.append(run | {"timestamp": ms, "job_id": job})
    dice.shuffle(events)
    return events


EVENTS = some_events()


@pytest.fixture(scope="module")
def store():
    store = step_store()
    take(store, EVENTS, [20, len(EVENTS) - 20], least_rows=3)
    return store


def naive_jobs(experiment):
    """Give what is known of each job of the experiment, by id."""
    found = {}
    for (job, _, _), (_, named, us) in naive_held(EVENTS).items():
        facts = found.setdefault(job, {"named": [], "times": []})
        facts["times"].append(us)
        if named is not None:
            facts["named"].append((us, named))
    jobs = {}
    for job, facts in found.items():
        if not facts["named"] or max(facts["named"])[1] != experiment:
            continue
        runs = [e for e in EVENTS if e["type"] == "run" and str(e["job_id"]) == job]
        last = max(runs, key=lambda run: run["timestamp"], default={})
        jobs[job] = {
            "createdOn": min(facts["times"]),
            "lastModifiedOn": max(facts["times"]),
            "status": last.get("status"),
            "entrypoint": last.get("job_type"),
        }
    return jobs


def by_id(job):
    plain = job == "0" or (job.isdigit() and job[0] != "0")
    return (0, int(job), job) if plain else (1, 0, job)


def asked(store, experiment="x", **options):
    return [job.id for job in experiment_metrics(store, experiment, 0, 1000, **options).data]


@pytest.mark.parametrize("experiment", ["x", "y", "z"])
def test_oracle_jobs_and_their_latest_metrics(store, experiment):
    page = experiment_metrics(store, experiment, 0, 1000)
    latest = naive_latest(EVENTS)
    expected = {
        job: sorted((name, value) for (of, name), (_, value) in latest.items() if of == job)
        for job in naive_jobs(experiment)
    }
    assert page.total == len(expected)
    assert {job.id: [(m.name, m.value) for m in job.metrics] for job in page.data} == expected


def test_golden_every_job_is_in_one_experiment(store):
    assert set(asked(store, "x")) | set(asked(store, "y")) == {str(job) for job in JOBS}
    assert not set(asked(store, "x")) & set(asked(store, "y"))
    assert asked(store, "x")
    assert asked(store, "y")


@pytest.mark.parametrize("experiment", ["x", "y"])
@pytest.mark.parametrize("descending", [False, True, None])
@pytest.mark.parametrize("field", SORTABLE)
def test_oracle_sorts(store, experiment, field, descending):
    jobs = naive_jobs(experiment)
    ids = sorted(jobs, key=by_id)
    if field == "id":
        numeric = [job for job in ids if by_id(job)[0] == 0]
        others = [job for job in ids if by_id(job)[0] == 1]
        expected = numeric[::-1] + others[::-1] if descending else ids
    else:
        known = [job for job in ids if jobs[job].get(field) is not None]
        expected = sorted(known, key=lambda job: jobs[job][field], reverse=bool(descending))
        expected += [job for job in ids if job not in known]
    assert asked(store, experiment, sort_by=field, descending=descending) == expected


def texts(job, field, experiment):
    facts = naive_jobs(experiment)[job]
    names = {name for of, name in naive_latest(EVENTS) if of == job}
    known = {
        "id": {job},
        "job": {job},
        "experiment": {experiment},
        "name": names,
        "metric": names,
        "status": {facts["status"]} - {None},
        "entrypoint": {facts["entrypoint"]} - {None},
    }
    return known.get(field, set())


@pytest.mark.parametrize("field", SEARCHABLE)
@pytest.mark.parametrize(
    "pattern", ["*", "1*", "*a*", "finished", "FINISHED", "entry_?", "acc_1", "x", "?"]
)
def test_oracle_searches_in_a_field(store, field, pattern):
    expected = {
        job
        for job in naive_jobs("x")
        if any(fnmatchcase(t.lower(), pattern.lower()) for t in texts(job, field, "x"))
    }
    assert set(asked(store, search=f"{field}:{pattern}")) == expected


@pytest.mark.parametrize("words", ["fin", "fin ed", "entry", "0", "b", "loss", "_", "nothing"])
def test_oracle_searches_anywhere(store, words):
    pattern = f"*{'*'.join(words.split())}*"
    expected = {
        job
        for job in naive_jobs("x")
        for field in SEARCHABLE
        if any(fnmatchcase(t.lower(), pattern) for t in texts(job, field, "x"))
    }
    assert set(asked(store, search=words)) == expected


def test_golden_terms_must_all_hold(store):
    both = asked(store, search="status:finished, entrypoint:entry_0")
    assert set(both) == set(asked(store, search="status:finished")) & set(
        asked(store, search="entrypoint:entry_0")
    )
    assert asked(store, search="  ") == asked(store)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 1000])
def test_law_both_ways_to_walk_the_pages_see_every_job_once(store, length):
    every = asked(store, sort_by="createdOn")
    counted, index = [], 0
    while page := experiment_metrics(store, "x", index, length, sort_by="createdOn").data:
        counted += [job.id for job in page]
        index += 1
    followed, link = [], 0
    while link is not None:
        page = experiment_metrics(store, "x", link, length, sort_by="createdOn")
        envelope = page.to_json(lambda index: f"?index={index}&pageLength={length}")
        followed += [str(job["id"]) for job in envelope["data"]]
        assert envelope["totalNumResults"] == len(every)
        assert envelope["isComplete"] == ("next" not in envelope)
        link = int(envelope["next"][7:].split("&")[0]) if "next" in envelope else None
    assert counted == followed == every


def test_golden_the_envelope_of_a_page_in_between_and_of_one_beyond_the_end():
    store = step_store()
    take(store, [metric(7, "loss", "nan", step=step, timestamp=step) for step in range(5)])
    envelope = snapshots(store, 7, "loss", 1, 2).to_json("/m?index={}".format)
    assert envelope == {
        "index": 1,
        "isComplete": False,
        "totalNumResults": 5,
        "first": "/m?index=0",
        "next": "/m?index=2",
        "prev": "/m?index=0",
        "data": [
            {
                "name": "loss",
                "value": "nan",
                "step": step,
                "timestamp": f"1970-01-01T00:00:00.00{step}000+00:00",
            }
            for step in (2, 3)
        ],
    }
    beyond = snapshots(store, 7, "loss", 9, 2)
    assert (beyond.data, beyond.is_complete, beyond.prev_index) == ((), True, 2)
    nothing = snapshots(store, 8, "loss")
    assert (nothing.total, nothing.data, nothing.next_index, nothing.prev_index) == (
        0,
        (),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sort_by": "name"}, "`sort_by` must be one of id, description, createdOn"),
        ({"sort_by": ""}, 'got ""'),
        ({"search": "colour:red"}, "`search` must name one of id, job"),
        ({"index": -1}, "`index` must be a whole number from 0, got -1"),
        ({"index": True}, "`index` must be a whole number from 0, got true"),
        ({"page_length": 0}, "`page_length` must be a whole number from 1 to 1000, got 0"),
        ({"page_length": 1001}, "got 1001"),
        ({"page_length": None}, "got null"),
        ({"experiment_id": 1.5}, "`experiment_id` must be a string"),
        ({"experiment_id": ""}, "`experiment_id` must be a string"),
    ],
)
def test_error_what_a_request_must_not_say(store, options, told):
    with pytest.raises(QueryError) as found:
        experiment_metrics(store, **({"experiment_id": "x"} | options))
    assert told in str(found.value)
