"""Ten days of a shop by the hour, with one odd thing after the other; and jobs that watch it."""

import random

START_S, SPAN_S, HOURS = 1_767_225_600, 3_600, 240  # 2026-01-01
MODERATE, SHIFT, SILENT, MASSIVE = 100, range(130, 142), 180, 200
CITIES = {"Oslo": 4, "Rome": 9, "Bonn": 3}
LIMIT_MB, HOSTS = 1, 300
PRICES = "normalizer: elastic, detectors: [{function: mean, field_name: price}]"
CONFIG = f"""
time: {{allowed_lateness: 0s, max_future: null}}
anomaly_jobs:
  - {{job_id: prices, model: shop, bucket_span: 1h, {PRICES}}}
  - {{job_id: forgetful, model: shop, bucket_span: 1h, renormalization_window_days: 1, {PRICES}}}
  - {{job_id: visits, model: shop, bucket_span: 1h, frequency: 30m, influencers: [city],
     detectors: [{{function: count}}]}}
  - {{job_id: hosts, model: net, bucket_span: 1h, model_memory_limit: {LIMIT_MB}mb,
     detectors: [{{function: count, by_field_name: host}}]}}
  - {{job_id: spikes, model: spikes, bucket_span: 1h, {PRICES}}}
alert_rules:
  - {{anomaly_job: visits, name: odd visits, threshold: 50}}
  - {{anomaly_job: visits, name: early, threshold: 50, include_interim: true, severity: critical}}
  - {{anomaly_job: prices, name: prices}}
"""


def shop():
    """Every visit has a city and a price."""
    chance = random.Random(1)
    for hour in range(HOURS):
        for city, rate in CITIES.items():
            if hour == SILENT and city == "Rome":
                continue
            for visit in range(rate + chance.randrange(2)):
                price = chance.gauss(10, 1) + (1 if hour in SHIFT else 0)
                price += {MODERATE: 3, MASSIVE: 90}.get(hour, 0)
                at_s = START_S + hour * SPAN_S + visit * 120 + chance.random() * 60
                event = {"model_id": "shop", "id": f"{hour}-{city}-{visit}", "prediction": "buy"}
                features = {"city": city, "price": price}
                yield {**event, "timestamp": int(at_s * 1_000), "features": features}


def spikes():
    """One value an hour; from the hundredth on every eighth is off, each time by more."""
    chance = random.Random(2)
    for hour in range(HOURS):
        odd, place = hour >= 100 and hour % 8 == 0, (hour - 100) // 8
        price = chance.gauss(10, 1) + (6 * 1.6**place if odd else 0)
        event = {"model_id": "spikes", "id": hour, "prediction": "buy"}
        at_ms = (START_S + hour * SPAN_S) * 1_000 + 1
        yield {**event, "timestamp": at_ms, "features": {"price": price}}


def hosts():
    """More hosts than there is memory for."""
    for hour in range(3):
        for host in range(HOSTS):
            at_ms = (START_S + hour * SPAN_S + host) * 1_000
            event = {"model_id": "net", "id": f"{hour}-{host}", "timestamp": at_ms}
            yield {**event, "prediction": "x", "features": {"host": f"h{host}"}}


def stream():
    """All of it in order of time."""
    return sorted([*shop(), *spikes(), *hosts()], key=lambda event: event["timestamp"])
