"""The answer about a job and its active model, as the JSON object that is served.

It has the nested shape of the contract; what it adds is told by other names: `labels`, `axes`,
`accuracy` beside `macro_ovr_accuracy`, the same block over labelled events alone, and counts. The
fields of the job are there a second time at the top level, with the model's as
`active_model_metrics`, which newer clients look for.

These hold for every answer (AC-59 to AC-63): a matrix adds up to the events decided, and so do the
four counts of each of its decisions; events and buckets of the knowledge base add up over the
decisions, and the job tells as many events of it; there is one active model.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.jobs.blocks import AXES, Block
from engine.jobs.decided import Decided
from engine.jobs.job_metrics import JobMetrics
from engine.jobs.model_metrics import ModelMetrics
from engine.jobs.questions import JobQuestion

__all__ = ["Answer", "instant", "job_and_latest_model", "job_answer", "model_answer"]

Answer = dict[str, Any]
"""A JSON object."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def job_and_latest_model(
    question: JobQuestion, job: JobMetrics, model: ModelMetrics | None, *, recomputing: bool
) -> Answer:
    """Give the whole answer.

    Parameters
    ----------
    question : JobQuestion
    job : JobMetrics
    model : ModelMetrics or None
        As last computed; None: never. What was computed of a model that is no longer the active
        one is as if never.
    recomputing : bool
        Whether the metrics of the model are being computed just now.
    """
    if model is not None and model.model_id != job.active_model_id:
        model = None
    base = job.events_in_knowledge_base if model is None else model.knowledge.total
    of_job = job_answer(job, base)
    of_model = None if model is None else model_answer(model, recomputing=recomputing)
    return {
        "job_id": question.job_given,
        "model_id": job.active_model_id,
        "job_metrics": of_job,
        "model_metrics": of_model,
        **of_job,
        "active_model_metrics": of_model,
        "is_recomputing_metrics": recomputing,
    }


def job_answer(job: JobMetrics, events_in_knowledge_base: int | None = None) -> Answer:
    """Give the object `job_metrics`; the size of the knowledge base may be that of another time."""
    base = job.events_in_knowledge_base
    return {
        **_decided(job.decided),
        "start_time": instant(job.start_us),
        "end_time": instant(job.end_us),
        "active_model_id": job.active_model_id,
        "all_model_ids": list(job.all_model_ids),
        "total_events_in_knowledge_base": (
            base if events_in_knowledge_base is None else events_in_knowledge_base
        ),
        "total_events_with_consensus": job.decided.events_with_consensus,
        "changed_consensus_after_training": {
            "total_events": job.changed.total_events,
            "top_events_ids": list(job.changed.top_events_ids),
            "top_buckets_ids": list(job.changed.top_buckets_ids),
        },
    }


def model_answer(model: ModelMetrics, *, recomputing: bool) -> Answer:
    """Give the object `model_metrics`."""
    base = model.knowledge
    labels = model.decided.all.labels
    kept = (*labels, *sorted(set(base.events) - set(labels)))
    return {
        **_decided(model.decided),
        "model_id": model.model_id,
        "is_recomputing_metrics": recomputing,
        "last_recomputed_timestamp": instant(model.computed_us),
        "kb_count_per_decision": {
            label: {
                "alerts_count": base.events.get(label, 0),
                "buckets_count": base.buckets.get(label, 0),
            }
            for label in kept
        },
        "buckets_in_kb": sum(base.buckets.values()),
        "events_in_kb": base.total,
    }


def instant(time_us: int | None) -> str | None:
    """Give an instant as ISO 8601 in UTC, with no more digits than it needs.

    >>> instant(1735689600000000)
    '2025-01-01T00:00:00Z'
    """
    if time_us is None:
        return None
    text = (_EPOCH + timedelta(microseconds=time_us)).replace(tzinfo=None).isoformat()
    return f"{text}Z"


def _decided(decided: Decided) -> Answer:
    return {
        **_block(decided.all),
        "total_events": decided.total_events,
        "labelled_events": decided.labelled_events,
        "events_without_decision": decided.events_without_decision,
        "events_per_label_source": dict(decided.events_by_label_source),
        "minutes_per_event": {
            model: {"event": each.event, "by_label": dict(each.by_label)}
            for model, each in decided.minutes_per_event.items()
        },
        "labelled_metrics": _block(decided.labelled),
    }


def _block(block: Block) -> Answer:
    return {
        "confusion_matrix": [list(row) for row in block.confusion_matrix],
        "labels": list(block.labels),
        "axes": dict(AXES),
        "overall_accuracy": block.overall_accuracy,
        "overall_f1_score": block.overall_f1_score,
        "overall_recall": block.overall_recall,
        "overall_precision": block.overall_precision,
        "accuracy": block.accuracy,
        "macro_ovr_accuracy": block.macro_ovr_accuracy,
        "metrics_per_decision": {
            label: {
                "precision": each.precision,
                "recall": each.recall,
                "f1_score": each.f1_score,
                "true_positives": each.true_positives,
                "true_negatives": each.true_negatives,
                "false_positives": each.false_positives,
                "false_negatives": each.false_negatives,
            }
            for label, each in zip(block.labels, block.metrics_per_decision, strict=True)
        },
        "time_saved_minutes": block.time_saved_minutes,
    }
