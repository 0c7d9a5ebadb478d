"""What a reader of definitions lets pass, a running monitor can follow: no name ends a run.

Over REST anybody with the right to edit may give any name; all that pass are put into one change of
a monitor with events of every kind, which then takes more of them.
"""

import json

import duckdb
import pytest
from harness import fresh_store

from engine.batch import Block
from engine.config import ModelSettings, Settings
from engine.decode import Decoder, canonical
from engine.errors import QueryError
from engine.monitor import Monitor
from flows.entries import Known, id_of, read_entry

ODD = (
    *('features.a"b', "labels.", "prediction", "score", "batch_id", "job_id", "bucket_id"),
    *("x'; DROP TABLE events --", "raw", "features.\n"),
)
MODELS = (ModelSettings("m", positive="a"), ModelSettings("nightly", kind="batch", positive="a"))
KNOWN = Known(Settings(models=MODELS), {model.id: model for model in MODELS})


def events():
    for n in range(20):
        row = {"prediction": "a", "label": "a", "features": {"age": n, "city": "y"}}
        yield {"type": "reference", "model_id": "m", "id": f"r{n}", **row}
    for n in range(300):
        told = {"model_id": ("m", "nightly")[n % 2], "id": f"e{n}"}
        yield {
            **told,
            "timestamp": 1_700_000_000_000 + n * 1_000,
            "prediction": "ab"[n % 3 % 2],
            "score": 0.5,
            "batch_id": f"b{n // 50}",
            "job_id": n % 3,
            "bucket_id": "u",
            "features": {"age": n % 70, "city": "x", 'a"b': n},
        }
        if n % 4 == 0:
            label = {"label": "ab"[n % 5 % 2], "labels": {"x": n}}
            yield {**told, "type": "label", "timestamp": 1_700_000_000_000 + n * 1_000, **label}


def definitions(odd):
    """Give definitions that have an odd name wherever one may stand."""
    for model in ("m", "nightly"):
        rule = {"model": model, "bound": "upper", "threshold": 1, "severity": "warning"}
        more = {"name": f"{model} {odd}", "metric": "count"}
        if model == "m":
            yield "alert_rule", rule | more | {"group_by": odd, "min_label_coverage": 0.1}
        for metric in ("avg", "PSI") if model == "m" else ("avg",):
            named = f"{metric}({odd})"
            yield "alert_rule", rule | {"metric": named, "name": f"{model} {named}"}
    detectors = [
        {"function": "mean", "field_name": odd},
        {"function": "count", "partition_field_name": odd},
        {"function": "rare", "by_field_name": odd},
    ]
    told = {"job_id": f"job-{ODD.index(odd)}", "detectors": detectors, "influencers": [odd]}
    if ODD.index(odd) % 4 == 0:
        yield "anomaly_job", told | {"model": "m"}
    elif ODD.index(odd) % 4 == 1:
        condition = {"property": odd, "comparator": "eq", "value": 1}
        yield "anomaly_job", told | {"type": "label", "filter": [condition]}


def entries():
    for odd in ODD:
        for kind, definition in definitions(odd):
            try:
                entry = read_entry(kind, definition, KNOWN)
            except QueryError:
                continue
            yield kind, id_of(kind, entry), entry


def test_law_a_change_of_anything_that_was_read_does_not_end_the_run():
    found = {(kind, entry_id): entry for kind, entry_id, entry in entries()}
    rules = tuple(entry for (kind, _), entry in found.items() if kind == "alert_rule")
    jobs = tuple(entry for (kind, _), entry in found.items() if kind == "anomaly_job")
    assert len(rules) > 20
    assert len(jobs) > 3
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    store, position = fresh_store(), 0
    monitor = Monitor(store, Settings(models=MODELS), 60, canonical)
    lines = [json.dumps(event).encode() + b"\n" for event in events()]
    store.execute("BEGIN")
    monitor.watch()
    for part in (lines[:200], lines[200:]):
        data = b"".join(part)
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        position += len(data)
        monitor.change(Settings(models=MODELS, alert_rules=rules, anomaly_jobs=jobs))
        monitor.save()
    (seen,) = store.execute(
        "SELECT count(DISTINCT rule_id) FROM evaluations_log JOIN rules_log USING (rule_id)"
        " WHERE group_by IN ('prediction', 'score', 'batch_id', 'job_id', 'bucket_id')"
    ).fetchone()
    assert seen == 5


@pytest.mark.parametrize("name", ["label", "labels.x"])
def test_error_predictions_are_not_grouped_by_what_comes_later(name):
    told = {
        "model": "m",
        "metric": "count",
        "bound": "upper",
        "threshold": 1,
        "severity": "warning",
    }
    with pytest.raises(QueryError, match="group_by must be a property that predictions have"):
        read_entry("alert_rule", told | {"group_by": name}, KNOWN)
