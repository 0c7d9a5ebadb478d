"""A job "desk" of two models, with votes of three people, corrections and buckets; and its twin."""

import random

from naive_job_answers import NaiveJob

DAY_MS = 1_735_689_600_000  # 2025-01-01
MINUTE_MS = 60_000
OLD, ACTIVE = "desk-old", "generic-1-99-model-7.hdf5"
CLASSES = ("Drop", "Investigate", "Escalate")
DEPLOYED_MS = DAY_MS + 400 * MINUTE_MS
RANGE = {"start_datetime": "2025-01-01T01:00:00Z", "end_datetime": "2025-01-01T09:30:00Z"}
RANGE_MS = (DAY_MS + 60 * MINUTE_MS, DAY_MS + 570 * MINUTE_MS)
FILTER = ("features.city", "is", "Bern")
CONFIG = f"""
users:
  - {{username: root, role: administrator}}
models:
  - {{id: {OLD}, job: desk, classes: [{", ".join(CLASSES)}], minutes_per_event: 4}}
  - {{id: {ACTIVE}, job: desk, classes: [{", ".join(CLASSES)}],
     minutes_per_event: {{Drop: 2, Escalate: 15}}}}
  - {{id: grows, job: grows}}
  - {{id: loose, job: loose}}
"""


def vote(event, label, by, at_ms):
    """One person's feedback on an event."""
    told = {"type": "label", "model_id": event["model_id"], "id": event["id"]}
    return told | {"label": label, "by": by, "timestamp": at_ms}


def deployed(model, at_ms, **more):
    return {"type": "model", "model_id": model, "status": "deployed", "timestamp": at_ms, **more}


def decisions():
    """240 decisions, three minutes apart; most have a label of their own or votes."""
    chance = random.Random(18)
    for n in range(240):
        event = {
            "model_id": OLD if n < 60 else ACTIVE,
            "id": f"d{n:03}",
            "timestamp": DAY_MS + 3 * n * MINUTE_MS,
            "prediction": chance.choices(CLASSES, (6, 3, 1))[0],
            "features": {"city": chance.choice(["Bern", "Biel"]), "port": chance.randrange(4)},
        }
        if n % 3 == 0:
            event["bucket_id"] = f"b{chance.randrange(6)}"
        if n % 10 == 9:
            del event["prediction"]
        if chance.random() < 0.5:
            event["label"] = chance.choices([*CLASSES, "Reopened"], (6, 3, 2, 4))[0]
        yield event


def votes(events):
    """Before the deployment, and corrections after it; the administrator's decides."""
    chance = random.Random(81)
    for event in events:
        for by, share in (("ana", 0.4), ("ben", 0.3), ("cleo", 0.2), ("root", 0.05)):
            if chance.random() < share:
                at_ms = event["timestamp"] + chance.randrange(1, 600) * MINUTE_MS
                yield vote(event, chance.choices(CLASSES, (6, 3, 2))[0], by, at_ms)


def stream():
    """All of the job, in one order."""
    events = list(decisions())
    told = [deployed(OLD, DAY_MS), deployed(ACTIVE, DEPLOYED_MS)]
    return [*events, *votes(events), *told]


def loose():
    """Six events that are in no bucket, each labelled in another way; then what comes too late."""
    base = {"model_id": "loose", "prediction": "Drop"}
    names = ("tied", "ruled", "most", "late", "told", "never")
    events = {
        name: base | {"id": name, "timestamp": DAY_MS + place * MINUTE_MS}
        for place, name in enumerate(names)
    }
    events["told"]["label"] = "Drop"
    said = {
        "tied": {"ana": "Drop", "ben": "Escalate"},
        "ruled": {"ana": "Drop", "ben": "Drop", "root": "Escalate"},
        "most": {"ana": "Drop", "ben": "Drop", "cleo": "Escalate"},
    }
    early = [
        vote(events[name], label, by, DAY_MS + 60 * MINUTE_MS)
        for name, votes in said.items()
        for by, label in votes.items()
    ]
    late = vote(events["late"], "Drop", "ana", DEPLOYED_MS + MINUTE_MS)
    return [*events.values(), *early, deployed("loose", DEPLOYED_MS), late]


def twin(events):
    """The naive twin of the job."""
    return NaiveJob(
        events,
        "desk",
        declared={OLD: "desk", ACTIVE: "desk"},
        administrators=("root",),
        minutes={OLD: (4, {}), ACTIVE: (None, {"Drop": 2, "Escalate": 15})},
        classes=CLASSES,
    )
