"""The document's own example of a job: the stream that gives it, and the answer it prints."""

import itertools

MODEL = "generic-1-1234-model-1747385873.hdf5"
START_MS = 1_735_689_600_000
MINUTE_MS = 60_000
DECIDED = {"Drop": (4490, 2066, 10), "Investigate": (749, 429, 5), "Escalate": (37, 21, 4)}
ARGUMENTS = {
    "job_id": 1234,
    "start_datetime": "2025-01-01T00:00:00Z",
    "end_datetime": "2025-01-02T00:00:00Z",
}


def perfect(label):
    events = DECIDED[label][0]
    counts = (events, 5276 - events, 0, 0)
    names = ("true_positives", "true_negatives", "false_positives", "false_negatives")
    rates = dict.fromkeys(("precision", "recall", "f1_score"), 1.0)
    return rates | dict(zip(names, counts, strict=True))


BLOCK = {
    "confusion_matrix": [[4490, 0, 0], [0, 749, 0], [0, 0, 37]],
    **dict.fromkeys(
        ("overall_accuracy", "overall_f1_score", "overall_recall", "overall_precision"), 1.0
    ),
    "metrics_per_decision": {label: perfect(label) for label in DECIDED},
}
DOCUMENT = {
    "job_id": 1234,
    "model_id": MODEL,
    "job_metrics": {
        **BLOCK,
        "start_time": "2025-01-01T00:00:00Z",
        "end_time": "2025-01-02T00:00:00Z",
        "time_saved_minutes": 1250.5,
        "active_model_id": MODEL,
        "all_model_ids": [MODEL],
        "total_events": 5276,
        "total_events_in_knowledge_base": 2516,
        "total_events_with_consensus": 5,
        "changed_consensus_after_training": {
            "total_events": 0,
            "top_events_ids": [],
            "top_buckets_ids": [],
        },
    },
    "model_metrics": {
        **BLOCK,
        "model_id": MODEL,
        "is_recomputing_metrics": False,
        "last_recomputed_timestamp": "2025-01-15T10:30:00Z",
        "kb_count_per_decision": {
            label: {"alerts_count": alerts, "buckets_count": buckets}
            for label, (_, alerts, buckets) in DECIDED.items()
        },
        "buckets_in_kb": 19,
        "events_in_kb": 2516,
    },
}


def stream():
    """A day: first what was learned from, labelled, then the deployment, then the other events."""
    known, later = [], []
    for label, (events, alerts, buckets) in DECIDED.items():
        for n in range(events):
            event = {"model_id": MODEL, "id": f"{label}-{n}", "job_id": 1234, "prediction": label}
            if n < alerts:
                event |= {"label": label, "bucket_id": f"{label}-{n % buckets}"}
            (known if n < alerts else later).append(event)
    at = itertools.count(START_MS, 10_000)
    lines = [event | {"timestamp": next(at)} for event in known]
    lines.append(
        {"type": "model", "model_id": MODEL, "status": "deployed", "timestamp": next(at)}
        | {"job_id": 1234}
    )
    lines += [event | {"timestamp": next(at)} for event in later]
    lines += [
        {"type": "label", "model_id": MODEL, "id": event["id"], "label": event["prediction"]}
        | {"timestamp": next(at), "by": "ana"}
        for event in later[:5]
    ]
    return lines
