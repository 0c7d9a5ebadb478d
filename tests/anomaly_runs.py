"""Runs lines through a monitor with anomaly jobs, and gives what the result relations hold."""

import itertools
import json
import random

from harness import fresh_store

from engine.batch import Block
from engine.config import Settings
from engine.decode import canonical
from engine.monitor import Monitor

_CLOCKS = {"processing_time_ms"}
RELATIONS = (
    *("anomaly_buckets", "anomaly_bucket_influencers", "anomaly_influencers"),
    *("anomaly_records", "anomaly_score_changes"),
)


def settings_with(*jobs, **more):
    return Settings(anomaly_jobs=jobs, **more)


def lines_of(events):
    return [json.dumps(event).encode() + b"\n" for event in events]


def opened(connection, settings):
    monitor = Monitor(connection, settings, 60, canonical)
    monitor.watch()
    monitor.open_partition("s", "p", 0, live=True)
    return monitor


def detected(decoder, lines, settings, cuts=None, *, reopen=0.0, seed=0, store=None):
    """Run lines through a monitor; now and then it is thrown away and a new one goes on."""
    connection, chance = store or fresh_store(), random.Random(seed)
    cuts = cuts or itertools.repeat(10_000)
    monitor, at, position = None, 0, 0
    while at < len(lines):
        connection.execute("BEGIN")
        if monitor is None or chance.random() < reopen:
            monitor = opened(connection, settings)
        count = next(cuts)
        data = b"".join(lines[at : at + count])
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        monitor.save()
        connection.execute("COMMIT")
        at, position = at + count, position + len(data)
    return connection


def again(settings, connection):
    """Open a store once more, without any line."""
    connection.execute("BEGIN")
    opened(connection, settings).save()
    connection.execute("COMMIT")
    return connection


def relation(connection, name, where="true"):
    """Give the rows of a relation as dicts, in order, without what the clock says."""
    found = connection.execute(f"SELECT * FROM {name} WHERE {where}")
    columns = [column[0] for column in found.description]
    rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    rows = [{k: v for k, v in row.items() if k not in _CLOCKS} for row in rows]
    return sorted(rows, key=repr)


def results(connection, where="true"):
    return {name: relation(connection, name, where) for name in RELATIONS}


def difference(one, other):
    """Say where two results differ first, in one short line; None if nowhere."""
    for name in RELATIONS:
        for place, (a, b) in enumerate(itertools.zip_longest(one[name], other[name])):
            if a != b:
                if a is None or b is None:
                    return f"{name}: {len(one[name])} and {len(other[name])} rows: {a or b}"
                keys = {key: (a[key], b[key]) for key in a if a[key] != b[key]}
                return f"{name} {place}: {a['timestamp']}: {keys}"
    return None


def visits(seed, buckets, *, span_s=60, cities=("Oslo", "Rome", "Bonn"), start_s=1_700_000_000):
    """Give events of a model: visits to cities with a price, in order of time; a few odd minutes.

    In one run of buckets Rome is silent, in one Oslo has three times as many, in one all prices
    are high.
    """
    chance = random.Random(seed)
    start_s -= start_s % span_s
    events, number = [], 0
    for bucket in range(buckets):
        odd = bucket / buckets
        for city in cities:
            rate = {"Oslo": 6, "Rome": 4, "Bonn": 3}.get(city, 3)
            if city == "Rome" and 0.7 < odd < 0.73:
                rate = 0
            if city == "Oslo" and 0.8 < odd < 0.81:
                rate *= 4
            for _ in range(sum(chance.random() < rate / 10 for _ in range(10))):
                price = chance.gauss(10, 1) + (8 if 0.9 < odd < 0.91 else 0)
                events.append(
                    {
                        "model_id": "shop",
                        "id": f"v{number}",
                        "timestamp": int(1_000 * (start_s + span_s * (bucket + chance.random()))),
                        "prediction": chance.choice(("buy", "leave")),
                        "features": {"city": city, "price": round(price, 3)},
                    }
                )
                number += 1
    return sorted(events, key=lambda event: event["timestamp"])


def labels_for(events, seed, *, delay_s=90):
    """Give labels of events, some late, wrong or repeated."""
    chance = random.Random(seed)
    for event in events:
        if chance.random() < 0.8:
            yield {
                "type": "label",
                "model_id": event["model_id"],
                "id": event["id"],
                "timestamp": event["timestamp"] + int(1_000 * chance.random() * delay_s),
                "label": event["prediction"] if chance.random() < 0.9 else "other",
            }
