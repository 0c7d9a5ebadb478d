"""Events of all types but references, for runs that are killed: what is told late, again, wrongly.

`stream` has several models of one job with late, corrected and disputed labels, deployments in
between, step metrics that are overwritten, runs and ingests that are repeated and corrected.
"""

import random

__all__ = ["CATALOGUES", "STEP_RULES", "decided", "deployed", "logged", "processed", "stream"]

START_MS = 1_780_000_000_000
STEP_RULES = [
    {
        "step_metric": "loss",
        "experiment": "tuning",
        "steps": 4,
        "bound": "upper",
        "threshold": 0.9,
        "severity": "warning",
        "subsequent_alert_wait_steps": 2,
    },
    {
        "step_metric": "loss",
        "job": "train-1",
        "function": "stddev",
        "steps": 8,
        "min_steps": 3,
        "bound": "upper",
        "threshold": 0.55,
        "severity": "critical",
    },
]
CATALOGUES = [
    {"name": "job-types", "choices": [{"name": "parse", "version": "1.0", "title": "Parser"}]},
    {
        "name": "strikes",
        "type": "ingest",
        "choice": ["strike", "status"],
        "columns": [
            {"name": "files", "units": "count", "aggregate": "count"},
            {"name": "largest", "units": "bytes", "aggregate": "max", "field": "file_size"},
        ],
    },
    {
        "name": "sizes",
        "type": "prediction",
        "choice": ["city"],
        "columns": [
            {"name": "events", "units": "count", "aggregate": "count"},
            {"name": "size", "units": "count", "aggregate": "avg", "field": "size"},
        ],
    },
]


def decided(chance, n, at):
    """A prediction, and what is said of some earlier one."""
    event = {
        "model_id": f"triage-{chance.randrange(3)}",
        "id": f"e{n}",
        "job_id": "soc",
        "timestamp": at,
        "prediction": chance.choice(["Drop", "Investigate", "Escalate"]),
        "score": chance.randrange(9) / 8,
        "features": {"city": chance.choice(["Oslo", "Rome", "Bonn"]), "size": chance.randrange(5)},
    }
    if chance.random() < 0.2:
        event["label"] = chance.choice(["Drop", "Investigate", "Escalate"])
    if chance.random() < 0.3:
        event["bucket_id"] = f"b{chance.randrange(40)}"
    yield event
    if chance.random() < 0.05:  # told anew, and otherwise
        yield {**event, "timestamp": at + 1, "prediction": "Drop"}
    for _ in range(chance.choice([0, 0, 1, 2])):
        yield {
            "type": "label",
            "model_id": event["model_id"],
            "id": f"e{chance.randrange(max(0, n - 900), n + 1)}",
            "timestamp": at + chance.randrange(5_000),
            "label": chance.choice(["Drop", "Investigate", "Escalate"]),
            "by": chance.choice(["ana", "bob", "eve", "root"]),
        }


def logged(chance, n, at):
    """Values of step metrics: NaN among them, steps out of order, steps told again."""
    value = chance.choice([chance.random(), chance.random(), 2.0, "nan", "inf", 0])
    yield {
        "type": "metric",
        "job_id": f"train-{n % 3}",
        "experiment_id": "tuning",
        "name": chance.choice(["loss", "accuracy"]),
        "value": value,
        "step": max(0, n // 3 - chance.choice([0, 0, 0, 1, 7])),
        "timestamp": at,
    }


def processed(chance, n, at):
    """Runs and ingests; some are told again, in another hour or with another end."""
    run = {
        "type": "run",
        "id": f"r{n}",
        "job_type": chance.choice(["parse", "tile"]),
        "version": chance.choice(["1.0", "1.1"]),
        "status": chance.choice(["completed", "failed", "canceled"]),
        "timestamp": at,
        **{f"{name}_time": round(chance.random() * 90, 2) for name in ("queue", "job", "run")},
    }
    if run["status"] == "failed":
        run["error_category"] = chance.choice(["system", "data", "algorithm"])
    yield run
    yield {
        "type": "ingest",
        "id": f"i{n}",
        "strike": chance.choice(["north", "south"]),
        "status": chance.choice(["ingested", "errored", "deferred", "duplicate"]),
        "timestamp": at + 3,
        "file_size": chance.randrange(10**9),
        "transfer_time": 0,
    }
    if chance.random() < 0.2:
        yield {**run, "timestamp": at - chance.randrange(7_200_000), "status": "completed"}


def deployed(chance, at):
    """Another model of the job is in use from now on."""
    return {
        "type": "model",
        "model_id": f"triage-{chance.randrange(3)}",
        "job_id": "soc",
        "status": "deployed",
        "timestamp": at,
    }


def stream(count, seed):
    """Give the events of so many predictions, in order of arrival."""
    chance = random.Random(seed)
    for n in range(count):
        at = START_MS + n * 1_500
        yield from decided(chance, n, at)
        if n % 2:
            yield from logged(chance, n, at)
        if n % 4 == 0:
            yield from processed(chance, n, at)
        if n % (count // 5) == count // 10:
            yield deployed(chance, at)
