"""Drives the published client (dioptra-platform 1.2.2), unchanged: `drive.py URL KEY [USERNAME]`.

Logs in with the API key as the password, makes an experiment with jobs, logs metrics in all ways
that there are, and reads them back by every call of the client that tells of metrics.
"""

import math
import sys
import uuid
from datetime import UTC, datetime

from dioptra.client import connect_json_dioptra_client, connect_response_dioptra_client
from dioptra.client.base import StatusCodeError


def main(url, key, username="administrator"):
    """Drive the client."""
    client = connect_json_dioptra_client(url)
    told = client.auth.login(username, key)
    assert told == {"username": username, "status": "Login successful"}, told
    assert client.users.get_current()["groups"][0]["id"] == 1
    experiment, jobs = make(client)
    log(client, jobs[0])
    read(client, jobs[0])
    pages(client, jobs[1])
    across(client, experiment, jobs)
    faults(client)
    responses(url, key, username, jobs[0])
    told = client.auth.logout(everywhere=True)
    assert told["status"] == "Logout successful", told
    assert status_of(client.jobs.get) == 401


def make(client):
    """Make an experiment and three jobs; see that the lists have them."""
    name = f"drive {uuid.uuid4().hex}"
    made = client.experiments.create(group_id=1, name=name, description="driven", entrypoints=[1])
    experiment = made["id"]
    assert client.experiments.get_by_id(experiment)["name"] == name
    found = client.experiments.get(search=f"name:'{name}'", sort_by="createdOn", group_id=1)
    assert [one["id"] for one in found["data"]] == [experiment]
    jobs = [
        client.experiments.jobs.create(
            experiment,
            entrypoint_id=1,
            queue_id=1,
            values={"epochs": "3"},
            timeout="1h",
            description=description,
        )["id"]
        for description in ("b", "c", "a")
    ]
    listed = client.experiments.jobs.get(experiment, sort_by="description")["data"]
    assert [one["id"] for one in listed] == [jobs[2], jobs[0], jobs[1]]
    assert client.jobs.get_by_id(jobs[0])["experiment"]["id"] == experiment
    assert client.experiments.jobs.get_by_id(experiment, jobs[0])["timeout"] == "1h"
    ids = [one["id"] for one in client.jobs.get(index=0, page_length=1000)["data"]]
    assert set(jobs) <= set(ids)
    for status in ("started", "finished"):
        client.experiments.jobs.set_status(experiment, jobs[0], status)
    assert client.jobs.get_status(jobs[0])["status"] == "finished"
    assert client.experiments.jobs.get_status(experiment, str(jobs[1]))["status"] == "queued"
    return experiment, jobs


def log(client, job):
    """Log metrics: every kind of value, with and without step and timestamp."""
    for step, value in enumerate((0.5, 0.25, math.nan)):
        assert client.jobs.append_metric_by_id(job, "loss", value, step)["name"] == "loss"
    answer = client.jobs.append_metric_by_id(str(job), "acc", 0.75)
    assert answer == {"name": "acc", "value": 0.75}, answer
    assert client.jobs.append_metric_by_id(job, "acc", 1)["value"] == 1.0  # the same step again
    for value, text in ((math.inf, "inf"), (-math.inf, "-inf")):
        answer = client.jobs.append_metric_by_id(job, f"special_{text.strip('-')}", value, 0)
        assert answer["value"] == text, answer
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    client.jobs.append_metric_by_id(job, "timed", 1.0, 1, at)
    client.jobs.append_metric_by_id(job, "timed", 2.0, 2, "2026-01-02T03:04:05")
    client.jobs.append_metric_by_id(job, "timed", 3.0, 3, at.replace(tzinfo=None))


def read(client, job):
    """Read the latest values, and histories."""
    found = {one["name"]: one["value"] for one in client.jobs.get_metrics_by_id(job)}
    assert math.isnan(float(found.pop("loss")))
    assert found == {"acc": 1.0, "special_inf": "-inf", "timed": 3.0}, found
    assert client.jobs.get_metrics_by_id(str(job)) == client.jobs.get_metrics_by_id(job)
    history = client.jobs.get_metrics_snapshots_by_id(job, "loss")
    assert [(one["step"], one["value"]) for one in history["data"]] == [
        (0, 0.5),
        (1, 0.25),
        (2, "nan"),
    ]
    timed = client.jobs.get_metrics_snapshots_by_id(job, "timed")["data"]
    assert {one["timestamp"] for one in timed} == {"2026-01-02T03:04:05+00:00"}
    again = client.jobs.get_metrics_snapshots_by_id(job, "acc")["data"]
    assert [one["value"] for one in again] == [1]


def pages(client, job):
    """See that the client's pages, counted up, are the whole history."""
    for step in range(5):
        client.jobs.append_metric_by_id(job, "long", float(step), step)
    steps, index, complete = [], 0, False
    while not complete:
        page = client.jobs.get_metrics_snapshots_by_id(job, "long", index, 2)
        steps += [one["step"] for one in page["data"]]
        index, complete = index + 1, page["isComplete"]
    assert steps == [0, 1, 2, 3, 4], steps


def across(client, experiment, jobs):
    """Read the metrics of all jobs of the experiment, sorted and searched."""
    found = client.experiments.get_metrics_by_id(experiment)
    assert [one["id"] for one in found["data"]] == jobs
    assert found["data"][2]["metrics"] == []
    ordered = client.experiments.get_metrics_by_id(
        experiment, 0, 2, sort_by="description", descending=True
    )
    assert [one["id"] for one in ordered["data"]] == [jobs[1], jobs[0]]
    assert (ordered["totalNumResults"], ordered["isComplete"]) == (3, False)
    searched = client.experiments.get_metrics_by_id(experiment, search="status:finished")
    assert [one["id"] for one in searched["data"]] == [jobs[0]]


def faults(client):
    """See that faults are told with the status that the client expects."""
    assert client.jobs.get_metrics_by_id(99_999_999) == []
    assert client.experiments.get_metrics_by_id(99_999_999)["data"] == []
    assert status_of(client.jobs.append_metric_by_id, 99_999_999, "loss", 1.0) == 404
    assert status_of(client.jobs.get_by_id, 99_999_999) == 404
    assert status_of(client.jobs.append_metric_by_id, 1, "not a name", 1.0) == 400
    assert status_of(client.experiments.get_metrics_by_id, 1, sort_by="shoe size") == 400


def responses(url, key, username, job):
    """Use the client that gives responses instead of what they hold."""
    client = connect_response_dioptra_client(url)
    assert client.jobs.get_metrics_by_id(job).status_code == 401
    assert client.auth.login(username, "wrong key").status_code == 401
    assert client.auth.login(username, key).status_code == 200
    answer = client.jobs.append_metric_by_id(job, "again", 2.0)
    assert (answer.status_code, answer.json()) == (200, {"name": "again", "value": 2.0})
    client.close()


def status_of(call, *arguments, **more):
    """Give the status that a call fails with."""
    try:
        call(*arguments, **more)
    except StatusCodeError as error:
        return error.status_code
    return 200


if __name__ == "__main__":
    main(*sys.argv[1:])
