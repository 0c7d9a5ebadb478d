"""A served run with the document's job 1234 in it, and a small job "soc" beside it."""

import contextlib
import json

import httpx
import job_document
from serving import KEYS, serving, user

DAY_MS = 1_735_689_600_000
HOUR_MS = 3_600_000
CONFIG = f"""
models:
  - id: {job_document.MODEL}
    classes: [Drop, Investigate, Escalate]
    minutes_per_event: {1250.5 / 5276!r}
  - {{id: small, job: soc, minutes_per_event: 2.5}}
"""
BOTH = "/api/v2/metrics/job_and_latest_model"
JOB, MODEL = "/api/v2/metrics/job", "/api/v2/metrics/model"
RECOMPUTE = "/api/v2/metrics/model/request_recompute_metrics"
SCOPES = "/api/v2/token/scopes"
HIDDEN_KEY = "key-of-somebody-who-sees-little"
HIDDEN = user("somebody", "editor", key=HIDDEN_KEY, models=("small",), jobs=("soc",))


def small_job():
    """Ten decisions of a job, an hour apart, five labelled after they were made."""
    decided = [
        {"model_id": "small", "id": f"e{n}", "timestamp": DAY_MS + n * HOUR_MS}
        | {
            "prediction": "ab"[n % 2],
            "score": n / 10,
            "features": {"city": ["Bern", "Biel"][n > 4]},
        }
        for n in range(10)
    ]
    votes = [
        {"type": "label", "model_id": "small", "id": f"e{n}", "label": "a", "by": "ana"}
        | {"timestamp": DAY_MS + 20 * HOUR_MS}
        for n in range(5)
    ]
    return [*decided, *votes]


@contextlib.contextmanager
def arcanna(folder):
    """Serve both jobs."""
    with serving(folder, CONFIG, users=(HIDDEN,)) as served:
        served.post_events(job_document.stream())
        served.post_events(small_job())
        yield served


def client(served, key=KEYS["viewer"]):
    """A client that presents its key as the contract says."""
    headers = {"X-Arcanna-Api-Key": key, "Content-Type": "application/json"}
    return httpx.Client(base_url=served.url, headers=headers, timeout=30)


def asked(http, path=BOTH, body=None, **query):
    """Ask, and give the answer, which must be one."""
    answer = http.post(path, params=query, json={} if body is None else body)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)


def filters(*each):
    names = ("field", "operator", "value")
    return {"filters": [dict(zip(names, one, strict=False)) for one in each]}
