"""The streams that killed runs are tried on: `everything`, `visited`, and the electricity file.

`everything` has each type of event, from several producers that are late, repeat and correct
themselves; batches; anomalies; and lines that are wrong. `visited` has little else than anomalies.
All give encoded lines in order of arrival, the same for the same seed.
"""

import gzip
import json
import random
from pathlib import Path

from anomaly_runs import labels_for, visits
from crash_events import decided, deployed, logged, processed
from rule_traces import START_MS, trace

__all__ = ["ELECTRICITY", "NIGHTLY", "REFERENCE", "SHOP", "electricity", "everything", "visited"]

ELECTRICITY = Path(__file__).parents[2] / "shared" / "data" / "electricity-events.ndjson.gz"
SHOP, NIGHTLY = "shop", "nightly"
_BAD = (
    b"never JSON\n",
    b'{"model_id": "m0", "timestamp": 1700000000000}\n',
    b'{"model_id": "m0", "id": "x", "timestamp": "yesterday"}\n',
    b'{"type": "label", "model_id": "m0", "id": "x", "timestamp": 1700000000000}\n',
    b'{"type": "metric", "job_id": "t", "name": "loss", "value": "much", "step": 1}\n',
    b'{"type": "run", "id": 7}\n',
    b'{"type": "weather", "id": "w"}\n',
    b'{"model_id": "m0", "id": "\xff", "timestamp": 1700000000000}\n',
    b"\n",
)
REFERENCE = [
    {
        "type": "reference",
        "model_id": SHOP,
        "id": f"r{n}",
        "timestamp": START_MS,
        "prediction": ("buy", "leave")[n % 2],
        "features": {"city": ("Oslo", "Rome", "Bonn")[n % 3], "price": 8 + n % 41 / 10},
    }
    for n in range(300)
]


def _batches(chance, n, at):
    """Rows of a batch model, and now and then the word that a batch is complete."""
    for row in range(chance.randrange(1, 4)):
        event = {
            "model_id": NIGHTLY,
            "id": f"n{n}-{row}",
            "batch_id": f"batch-{n // 8}",
            "timestamp": at - chance.randrange(2_000),
            "prediction": chance.choice(("yes", "no")),
            "features": {"age": chance.randrange(20, 60)},
        }
        if chance.random() < 0.8:
            event["label"] = chance.choice(("yes", "no"))
        yield event
    if n % 8 == 7:
        told = {"type": "model", "model_id": NIGHTLY, "batch_id": f"batch-{n // 8}"}
        yield {**told, "status": "complete", "timestamp": at}


def everything(seed, count):
    """Give so many lines, or a few more, of all types.

    Half of them are a trace of `rule_traces`; what else there is comes at about its time, but for
    the runs at the end.
    """
    chance, given = random.Random(seed), []
    shop = iter(_shop(seed, count))
    ahead, now = next(shop, None), START_MS
    for n, event in enumerate(trace(seed, count // 2)):
        given.append(_line(event))
        if event.get("type") != "reference":
            now = max(now, event["timestamp"])
        while ahead is not None and ahead["timestamp"] <= now:
            given.append(_line(ahead))
            ahead = next(shop, None)
        given += map(_line, _others(chance, n, now))
        if chance.random() < 0.01:
            given.append(chance.choice(_BAD))
    return [*given, *map(_line, _evening(chance, now))]


def _evening(chance, now):
    """Little but runs for two hours, of which some near the end are odd."""
    for minute in range(1, 121):
        slow = 40 if 100 < minute <= 104 else 1
        yield {
            "type": "run",
            "id": f"late-{minute}",
            "job_type": "parse",
            "status": "completed",
            "timestamp": now + minute * 60_000,
            "run_time": round(slow * (20 + chance.random()), 2),
        }


def _others(chance, n, now):
    if n % 5 == 0:
        yield from decided(chance, n // 5, now)
    if n % 7 == 0:
        yield from logged(chance, n // 7, now)
    if n % 16 == 0:
        yield from processed(chance, n // 16, now)
    if n % 15 == 0:
        yield from _batches(chance, n // 15, now)
    if n % 60 == 59:
        yield deployed(chance, now)


def _shop(seed, count):
    """Visits with a few odd minutes, each known as an event to judge a while later."""
    chance, started = random.Random(seed), START_MS // 1000
    found = []
    for event in visits(seed, max(60, count // 120), start_s=started + 60):
        found.append(event)
        if chance.random() < 0.7:
            label = event["prediction"] if chance.random() < 0.9 else "other"
            told = {"type": "label", "model_id": SHOP, "id": event["id"], "label": label}
            found.append({**told, "timestamp": event["timestamp"] + chance.randrange(90_000)})
    return sorted(found, key=lambda event: event["timestamp"])


def visited(seed, buckets):
    """Give lines for anomaly jobs: visits, late labels of them, and runs; a few come late again."""
    events = visits(seed, buckets)
    whole = [*events, *labels_for(events, seed, delay_s=400), *_runs_of(events)]
    whole.sort(key=lambda event: event["timestamp"])
    late = random.Random(seed).sample(whole, len(whole) // 50)
    return [_line(event) for event in [*whole[:-300], *late, *whole[-300:]]]


def _runs_of(events):
    for n, event in enumerate(events[::5]):
        yield {
            "type": "run",
            "id": f"r{n}",
            "job_type": "train",
            "status": ("done", "failed")[n % 7 == 0],
            "timestamp": event["timestamp"] + 5,
            "run_time": 10 + n % 4 + 40 * (n % 500 > 480),
        }


def electricity():
    """Give the lines of the real stream of the first issue."""
    return gzip.decompress(ELECTRICITY.read_bytes()).splitlines(keepends=True)


def _line(event):
    return json.dumps(event).encode() + b"\n"
