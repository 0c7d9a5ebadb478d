"""One day of a job with every case of its contract, for the tests of several files.

Model `m` of job `soc` is deployed at noon. Known by then: `a`, `b` (votes), `c` (its own label) and
`d`; `b` was corrected in the evening. `e` is undecided, `f` has no label, `g` decides nothing.
Model `old` decided `h` before.
"""

import itertools

from decoding import decoder
from harness import encoded, run

from engine.config import ModelSettings, Settings
from engine.jobs.answers import job_and_latest_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import model_metrics
from engine.jobs.questions import parse_question

DAY_MS = 1_735_689_600_000
HOUR_MS = 3_600_000
SETTINGS = Settings(
    administrators=("root",),
    models=(
        ModelSettings("m", classes=("Drop", "Keep"), minutes_per_event=2.0),
        ModelSettings("old", job="soc", minutes_by_label=(("Keep", 5.0),)),
    ),
)
RULES = JobRules.of(SETTINGS)


def decision(name, hour, said, **more):
    event = {"model_id": "m", "id": name, "timestamp": DAY_MS + int(hour * HOUR_MS)}
    return event | {"job_id": "soc", "prediction": said, "features": {"n": ord(name)}} | more


def vote(name, hour, said, by):
    at = DAY_MS + int(hour * HOUR_MS)
    event = {"type": "label", "model_id": "m", "id": name, "timestamp": at}
    return event | {"label": said, "by": by}


def stream():
    nothing = decision("g", 15, None)
    del nothing["prediction"]
    return [
        decision("a", 1, "Drop", bucket_id="x"),
        decision("b", 2, "Drop", bucket_id="x"),
        decision("c", 3, "Keep", label="Keep"),
        decision("d", 4, "Keep", features={"n": 99.0}),
        decision("e", 5, "Drop"),
        decision("f", 14.5, "Keep"),
        nothing,
        decision("h", 0.5, "Keep", model_id="old", job_id=None),
        vote("a", 2, "Drop", "ana"),
        vote("b", 3, "Drop", "ana"),
        vote("b", 20, "Keep", "root"),
        vote("d", 5, "Drop", "ana"),
        vote("d", 5, "Drop", "bob"),
        vote("e", 6, "Drop", "ana"),
        vote("e", 6, "Keep", "bob"),
        {"type": "model", "model_id": "m", "status": "deployed", "timestamp": DAY_MS + 12 * HOUR_MS}
        | {"job_id": "soc"},
    ]


def stored(lines, cut=4):
    """Take lines in; gives a cursor beside the engine's own."""
    reader = decoder(max_future_us=None)
    return run(reader, encoded(lines), itertools.repeat(cut), SETTINGS).cursor()


def day():
    return stored([{k: v for k, v in event.items() if v is not None} for event in stream()])


def asked(cursor, *filters, **more):
    names = ("field", "operator", "value")
    told = [dict(zip(names, each, strict=False)) for each in filters]
    question = parse_question({"job_id": "soc", "filters": told} | more)
    model = model_metrics(cursor, "soc", RULES, 1_736_937_000_000_000)
    job = job_metrics(cursor, question, RULES, model.knowledge)
    return job_and_latest_model(question, job, model, recomputing=False)
