"""Jobs and batches opened anew before anything of them was decided go on as they were.

Before the first bucket of a job closes there is no state of it in the store, and several inputs
have no watermark before each has begun. What came by then is stored, and a new start must neither
leave it out nor count what came late.
"""

import itertools

import decoding
import pytest
from anomaly_runs import again, detected, difference, lines_of, relation, results, settings_with
from harness import fresh_store

from engine.anomaly.operations import reset
from engine.batch import Block
from engine.config import (
    AnomalyJobSettings,
    DetectorSettings,
    ModelSettings,
    RuleSettings,
    TimeSettings,
)
from engine.decode import canonical
from engine.monitor import Monitor

START_MS = 1_700_000_040_000
MINUTE = 60_000
COUNT = (DetectorSettings("count"), DetectorSettings("mean", "price"))


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


def settings(**more):
    job = AnomalyJobSettings(
        "visits", COUNT, model="shop", bucket_span_s=60, frequency_s=20, **more
    )
    return settings_with(job, time=TimeSettings(allowed_lateness_us=0))


def visit(number, minute, model="shop", **more):
    told = {"model_id": model, "id": f"v{number}", "timestamp": int(START_MS + minute * MINUTE)}
    return told | {"prediction": "buy", "features": {"price": minute % 7}} | more


TODAY = visit("t", 20, "today", features={})
LATE = [TODAY, *(visit(n, n / 5) for n in range(10))]
AFTER = [visit(100 + n, 20 + n) for n in range(9)]
BACK = [visit(0, 10.1), visit(1, 3), visit(2, 10.4), visit(3, 2.5), visit(4, 10.9)]


def told(connection):
    stats = relation(connection, "anomaly_job_stats")
    kept = [{k: v for k, v in row.items() if "processing" not in k} for row in stats]
    return relation(connection, "anomaly_annotations", "event = 'delayed_data'"), kept


@pytest.mark.parametrize("clock", ["watermark", "records"])
@pytest.mark.parametrize("events", [[*LATE, *AFTER], [*BACK, *AFTER]], ids=["late", "back"])
def test_law_what_came_late_stays_late_at_a_new_start(decoder, events, clock):
    lines, chosen = lines_of(events), settings(clock=clock)
    calm = detected(decoder, lines, chosen, itertools.cycle((2, 1, 4)))
    anew = detected(decoder, lines, chosen, itertools.cycle((2, 1, 4)), reopen=1.0)
    assert difference(results(anew), results(calm)) is None
    assert told(anew) == told(calm)
    assert len(relation(calm, "anomaly_buckets")) > 5


def test_oracle_a_job_of_late_rows_alone_has_no_buckets(decoder):
    store = again(settings(), detected(decoder, lines_of(LATE), settings()))
    assert relation(store, "anomaly_buckets") == []


def test_oracle_a_new_job_and_one_that_was_reset_count_stored_rows(decoder):
    store = detected(decoder, lines_of(LATE), settings_with())
    again(settings(), store)
    assert sum(row["event_count"] for row in relation(store, "anomaly_buckets")) == 10
    store = detected(decoder, lines_of(LATE), settings())
    reset(store, "visits")
    again(settings(), store)
    assert sum(row["event_count"] for row in relation(store, "anomaly_buckets")) == 10


def of_two(decoder, chosen, *, reopen):
    """Run two inputs, of which the second one begins when the first one is nearly done."""
    store, monitor, at = fresh_store(), None, 0
    first = [
        visit(n, n / 5, batch_id="b", model_id=m) for n in range(30) for m in ("shop", "nightly")
    ]
    blocks = [("p", first[:20]), ("p", first[20:]), ("q", [visit("q", 0)]), ("q", [visit("z", 90)])]
    for place, (name, events) in enumerate([*blocks, ("p", [visit("end", 90)])]):
        store.execute("BEGIN")
        if monitor is None or (reopen and place == 1):  # later ones would find everything
            monitor = Monitor(store, chosen, 60, canonical)
            monitor.watch()
            for each in ("p", "q"):
                monitor.open_partition("s", each, 0, live=True)
        data = b"".join(lines_of(events))
        monitor.take(decoder.decode(Block("s", name, at, data, 0)))
        monitor.save()
        store.execute("COMMIT")
        at += len(data)
    return store


def test_law_what_came_before_any_watermark_counts_at_a_new_start(decoder):
    job = settings().anomaly_jobs[0]
    rule = RuleSettings("nightly", "count", "upper", 5.0, "warning")
    models = (ModelSettings("nightly", kind="batch"),)
    chosen = settings_with(job, models=models, alert_rules=(rule,))
    calm, anew = (of_two(decoder, chosen, reopen=each) for each in (False, True))
    assert difference(results(anew), results(calm)) is None
    assert sum(row["event_count"] for row in relation(calm, "anomaly_buckets")) > 30
    for name in ("evaluations", "alerts"):
        assert relation(anew, name) == relation(calm, name)
    found = relation(calm, "evaluations", "group_value = 'b'")
    assert [row["sample_count"] for row in found] == [30]
