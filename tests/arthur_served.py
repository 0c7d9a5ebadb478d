"""What the tests of Arthur's control calls ask about: a configuration, its users and events."""

import httpx
from serving import user

START_MS = 1_760_000_400_000  # 2025-10-09T09:00:00Z, a whole minute
CONFIG = """
models:
  - {id: triage, classes: [Drop, Escalate], positive: Escalate, positive_property: p_escalate}
  - {id: nightly, kind: batch}
  - {id: hidden}
alert_rules:
  - {model: triage, metric: count, bound: upper, threshold: 3, severity: warning,
     lookback_period: 1, name: many}
  - {model: triage, metric: count, bound: upper, threshold: 5, severity: critical,
     lookback_period: 1, subsequent_alert_wait_time: 3, name: too many}
  - {model: hidden, metric: count, bound: upper, threshold: 0, severity: warning,
     lookback_period: 1, name: any}
notifications:
  smtp: {host: 127.0.0.1, port: 2525, from: bellwether@example.org}
"""
ANA = user("ana", "editor", key="key-of-ana-0123456789", models=("triage", "nightly"))
USERS = (ANA,)


def as_ana(served):
    """Give a client of somebody who does not see every model."""
    return httpx.Client(base_url=served.url, headers={"Authorization": "key-of-ana-0123456789"})


def predictions(model_id, count, *, first=0, every_ms=10_000, start_ms=START_MS, **more):
    """Give predictions of one model, `every_ms` apart."""
    return [
        {
            "model_id": model_id,
            "id": f"{model_id}-{number}",
            "timestamp": start_ms + number * every_ms,
            "prediction": ("Drop", "Escalate")[number % 2],
            "label": ("Drop", "Escalate")[number % 3 % 2],
            "features": {
                "age": 20 + number % 50,
                "city": ("Boston", "Paris")[number % 2],
                "temperature": 20.0 + number % 30,
                "vip": number % 5 == 0,
            },
            "predictions": {
                "p_escalate": (number % 10) / 10,
                "class_a": (number % 7) / 7,
            },
            "labels": {"class_a_ground_truth": number % 2, "ground_truth_a": number % 2},
            "channel": "web",
            **more,
        }
        for number in range(first, first + count)
    ]


def named(http, model_id, name):
    """Give the id of a metric by its name."""
    found = http.get(f"/api/v4/models/{model_id}/metrics", params={"metric_name": name}).json()
    return found["metrics"][0]["id"]
