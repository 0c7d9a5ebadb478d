"""Random streams of a few models and jobs, and the questions that are asked of them."""

from itertools import repeat

from decoding import decoder
from harness import encoded, run
from naive_job_answers import NaiveJob

from engine.config import ModelSettings, Settings
from engine.decode import canonical
from engine.jobs.job_rules import JobRules

START_MS = 1_735_689_600_000  # 2025-01-01
HOUR_MS = 3_600_000
CLASSES = ("Drop", "Escalate", "7")

SETTINGS = Settings(
    administrators=("root",),
    models=(
        ModelSettings("m1", job="soc", classes=("Escalate", "Drop"), minutes_per_event=2.5),
        ModelSettings("m2", minutes_by_label=(("Drop", 4.0),)),
    ),
)
RULES = JobRules.of(SETTINGS)


def said(random):
    return random.choice([*CLASSES, "Drop", 7, 7.0, 7.5, True])


def prediction(random):
    event = {
        "model_id": random.choice(["m1", "m1", "m2", "m3"]),
        "id": random.choice(["a", "b", "c", "d", "e", "f", 7, "8"]),
        "timestamp": START_MS
        + random.choice([0, 1, HOUR_MS // 2, HOUR_MS, 3 * HOUR_MS])
        + random.randrange(3) * 60_000,
    }
    if random.random() < 0.9:
        event["prediction"] = said(random)
    if random.random() < 0.3:
        event["label"] = said(random)
    if random.random() < 0.4:
        event["job_id"] = random.choice(["soc", "soc", 12])
    if random.random() < 0.3:
        event["bucket_id"] = random.choice(["b1", "b2", 5])
    if random.random() < 0.8:
        city = random.choice(["Bern", 'B"rn', "Zürich", "a\\b", None, True])
        event["features"] = {"city": city, "n": random.choice([1, 1.0, 2.5, -3, "1", 1e20])}
    if random.random() < 0.4:
        event["score"] = random.choice([0.25, 0.5, 1])
    event |= random.choice([{}, {"shop": {"id": 4, "a.b": "x"}}, {"shop.id": "4"}, {"n": "other"}])
    event |= random.choice([{}, {"tags": ["red", 3, None, {"x": 1}]}, {"tags": []}, {"tags": "re"}])
    return event


def vote(random):
    event = {
        "type": "label",
        "model_id": random.choice(["m1", "m2"]),
        "id": random.choice(["a", "b", "c", "d", 7]),
        "timestamp": START_MS + random.randrange(-1, 5) * HOUR_MS + random.randrange(2),
        "label": said(random),
    }
    if random.random() < 0.7:
        event["by"] = random.choice(["ana", "bob", "root"])
    if random.random() < 0.1:
        event["timestamp"] += 40 * 24 * HOUR_MS
    return event


def deployment(random):
    event = {
        "type": "model",
        "model_id": random.choice(["m1", "m2", "m3"]),
        "status": random.choice(["deployed", "Deployed", "retired"]),
        "timestamp": START_MS + random.randrange(-1, 5) * HOUR_MS + random.randrange(2),
    }
    if random.random() < 0.6:
        event["job_id"] = random.choice(["soc", 12])
    return event


def stream(random, size):
    kinds = [prediction] * 5 + [vote] * 4 + [deployment] * random.randrange(2)
    events = [random.choice(kinds)(random) for _ in range(size)]
    return list({canonical_text(event): event for event in events}.values())


def canonical_text(event):
    return canonical(encoded([event])[0].decode())


def stored(events, cuts=None, settings=SETTINGS):
    """Take the events in; gives a cursor beside the engine's own."""
    return run(decoder(max_future_us=None), encoded(events), cuts or repeat(5), settings).cursor()


def naive(events, job="soc"):
    return NaiveJob(
        events,
        job,
        declared={"m1": "soc"},
        administrators=("root",),
        minutes={"m1": (2.5, {}), "m2": (None, {"Drop": 4.0})},
    )


FILTERS = [
    *[("prediction", "is", value) for value in ("Drop", 7, "7", True, "true")],
    ("arcanna.result_label", "is not", "Drop"),
    ("label", "is one of", ["Drop", 7.5]),
    ("label", "not exists"),
    ("arcanna.consensus", "is", "Undecided"),
    ("arcanna.consensus", "is not one of", ["Drop"]),
    ("label_source", "is", "votes"),
    ("correct", "is", True),
    ("correct", "is not", "true"),
    ("event_time", "gte", "2025-01-01T00:30:00Z"),
    ("@timestamp", "lt", "2025-01-01T02:00:00+01:00"),
    ("timestamp", "starts with", "2025-01-01T01"),
    ("label_time", "gt", "2025-01-01T01:00"),
    ("label_time", "not exists"),
    ("event_id", "is", 7),
    ("id", "contains", "8"),
    ("score", "gt", 0.25),
    ("score", "lte", "0.5"),
    ("score", "is", 1),
    ("prediction", "gt", 5),
    ("label", "lt", "Escalate"),
    ("job_id", "is", 12),
    ("bucket_id", "is not", 5),
    ("arcanna.bucket_id", "starts with", "b"),
    ("arcanna.bucket_id", "exists"),
    ("features.city", "is", "Zürich"),
    ("city", "is", 'B"rn'),
    ("city", "is", "a\\b"),
    ("city", "is one of", ["Bern", True]),
    ("city", "not contains", "r"),
    ("city", "not starts with", "Z"),
    ("city", "exists"),
    ("n", "is", 1),
    ("n", "is not", "1"),
    ("n", "gt", 1),
    ("n", "gte", "1"),
    ("n", "lt", "a"),
    ("n", "is", 1e20),
    ("features.n", "lte", 2.5),
    ("shop.id", "is", "4"),
    ("shop.a.b", "is", "x"),
    ("shop", "exists"),
    ("shop", "is", "x"),
    ("tags", "is", "red"),
    ("tags", "gt", 2),
    ("tags", "contains", "re"),
    ("tags", "is not", 3),
    ("tags", "exists"),
    ("nowhere.at.all", "is not", "x"),
    ("nowhere", "not exists"),
]


def filter_objects(filters):
    names = ("field", "operator", "value")
    return [dict(zip(names, each, strict=False)) for each in filters]
