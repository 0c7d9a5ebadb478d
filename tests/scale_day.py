"""A served day of processing in 2015, as in Scale's document, and how its tests ask."""

import contextlib

from serving import KEYS, serving

CONFIG = """
catalogues:
- name: job-types
  choices:
  - {name: scale-clock, version: "1.0", title: Scale Clock, category: system, is_system: true,
     is_long_running: true, icon_code: f013, description: Performs what is due}
"""
DAY = "2015-10-05"
HOURS = {  # by job type and hour: the queue times of its runs
    ("a", 9): [1.0, 3.0],
    ("b", 9): [8.0],
    ("a", 10): [0.0, 0.5],
    ("b", 11): [None],
}
KINDS = ("sum", "min", "max", "avg")
JOB_TYPES = [
    *("completed_count", "failed_count", "canceled_count", "total_count"),
    *("error_system_count", "error_data_count", "error_algorithm_count"),
    *(
        f"{name}_{kind}"
        for name in ("queue_time", "pre_time", "job_time", "post_time", "run_time", "stage_time")
        for kind in KINDS
    ),
]
INGESTS = [
    *("deferred_count", "ingested_count", "errored_count", "duplicate_count", "total_count"),
    *(f"{name}_{kind}" for name in ("file_size", "transfer_time", "ingest_time") for kind in KINDS),
]


def some_runs():
    found = []
    for (name, hour), times in HOURS.items():
        for number, queue_time in enumerate(times):
            run = {"type": "run", "id": f"{name}{hour}{number}", "job_type": name}
            run |= {"timestamp": f"{DAY}T{hour:02}:15:0{number}Z", "status": "completed"}
            found.append(run | ({} if queue_time is None else {"queue_time": queue_time}))
    clock = {"type": "run", "job_type": "scale-clock", "version": "1.0", "status": "failed"}
    clock |= {"timestamp": f"{DAY}T15:53:00Z", "error_category": "SYSTEM"}
    found.append(clock | {"id": "clock", "run_time": 1, "pre_time": 0.0, "job_time": 3.0})
    later = {"timestamp": f"{DAY}T17:01:00Z", "run_time": 300, "pre_time": 5.0, "job_time": 1.0}
    found.append(clock | later | {"id": "clock 2"})
    step = {"type": "metric", "job_id": 1, "name": "delta", "timestamp": f"{DAY}T15:00:00Z"}
    found += [step | {"step": number, "value": -1.0 - number} for number in range(2)]
    ingest = {"type": "ingest", "id": "f1", "strike": "north", "status": "ingested"}
    found.append(ingest | {"timestamp": f"{DAY}T09:00:00Z", "file_size": 1e6})
    return found


RUNS = some_runs()


@contextlib.contextmanager
def day_served(folder):
    """Give the run, and a client of `/v6/metrics` that presents its key as Scale's do."""
    with serving(folder, CONFIG) as served:
        served.post_events(RUNS)
        headers = {"X-Api-Key": "", "Authorization": f"Token {KEYS['viewer']}"}
        with served.http("viewer", headers=headers) as http:
            http.base_url = f"{served.url}/v6/metrics"
            yield served, http


def getting(http):
    """Give what asks, and sees that there is an answer."""

    def asked(path="", **params):
        answer = http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    return asked


def one(plot, column, **params):
    (result,) = plot(column=column, **{"ended": f"{DAY}T13:00:00Z"} | params)["results"]
    return result


def points(result):
    return [(value["datetime"][11:13], value["value"]) for value in result["values"]]


def refused(http, path, status, **params):
    answer = http.get(path, params=params)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    return answer.json()["detail"]
