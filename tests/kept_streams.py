"""Streams of predictions, most of them plain, for the tests of how events are kept."""

import json
import random
from itertools import repeat

from decoding import decoder
from harness import run

START_MS = 1_700_000_040_000
NUMBERS = (0, 1, -3, 5.0, 0.5, -0.0, 1e-7, 0.1, 3.25, 123456789.0, 2**52, 1e15, -12345.678)
NAMES = ("features.a", "features.b", "features.x.y", "predictions.p", "labels.t", "extra", "no'w")


def prediction(chance, names=NAMES):
    """One event; most of them have numbers alone."""
    event = {
        "model_id": chance.choice(["m1", "m1", "m2", 7]),
        "id": chance.choice(["é", "a", 5, "b", "c'd"]) if chance.random() < 0.3 else "",
        "timestamp": START_MS + chance.randrange(40) * 15_000 + chance.choice([0, 0.125]),
    }
    event["id"] = event["id"] or f"e{chance.randrange(10**6)}"
    for name, values in (
        ("prediction", ["A", "B", 1, 1.0, 2.5, -0.0, 1e300]),
        ("label", ["A", "B", 1, 2.5, 0.1]),
        ("score", [0, 1, 0.5, 0.123]),
        ("job_id", ["j", 12]),
        ("batch_id", ["x", 10**30]),
        ("bucket_id", ["k"]),
    ):
        if chance.random() < (0.2 if name.endswith("_id") else 0.6):
            event[name] = chance.choice(values)
    for name in names:
        container, dot, inner = name.partition(".")
        if chance.random() < 0.2:
            continue
        value = chance.choice([*NUMBERS, chance.gauss(0, 100), chance.random()])
        if dot:
            event.setdefault(container, {})[inner] = value
        else:
            event[name] = value
    return event


ODD = (
    {"features": {"a": "text"}},
    {"features": {"a": True, "b": 1}},
    {"features": {"a": None, "b": 2}},
    {"features": {"a": 2**53, "b": 1}},
    {"extra": {"a": 1}},
    {"extra": None},
    {"extra": [1, 2]},
    {"prediction": True},
    {"label": None},
    {"features": {}},
    {"by": "ana"},
)


def stream(seed, count, odd=0.1, again=0.05, *, apart=False):
    """Events, some of which keep their JSON, and some that come again, a little otherwise.

    With `apart` every id is another one.
    """
    chance, events = random.Random(seed), []
    for number in range(count):
        event = prediction(chance) | ({"id": f"n{number}"} if apart else {})
        if chance.random() < odd:
            event |= chance.choice(ODD)
        events.append(event)
        if chance.random() < again:
            other = json.loads(json.dumps(chance.choice(events[-20:])))
            if chance.random() < 0.7:
                other["features"] = {"a": chance.choice(NUMBERS), "b": chance.random()}
            events.append(other)
        if chance.random() < 0.1:
            late = {name: event[name] for name in ("model_id", "id", "timestamp")}
            events.append({**late, "type": "label", "label": chance.choice(["A", "B", 1])})
    return events


def lines_of(events):
    """The events as lines."""
    return [json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events]


def both_ways(events, cut, settings=None):
    """Stores of the same lines: read by column, once the names are known, and one by one."""
    lines = lines_of(events)
    return [
        run(decoder(least, max_future_us=None), lines, repeat(cut), settings)
        for least in (0, 10**9)
    ]


def kept(store):
    """How many events are stored as numbers, and how many as JSON."""
    return store.execute(
        "SELECT count(*) FILTER (shape_id IS NOT NULL AND line IS NULL AND numbers IS NOT NULL),"
        " count(*) FILTER (line IS NOT NULL AND shape_id IS NULL AND numbers IS NULL)"
        " FROM events_kept"
    ).fetchall()[0]
