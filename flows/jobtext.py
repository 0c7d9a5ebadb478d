"""The metrics of a job and its model as text for the eye: what is counted, matrices, rates."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from flows.lettering import shown

__all__ = ["aligned", "job_text"]

_RATES = ("precision", "recall", "f1_score")
_COUNTS = (
    ("true_positives", "TP"),
    ("true_negatives", "TN"),
    ("false_positives", "FP"),
    ("false_negatives", "FN"),
)


def job_text(answer: Mapping[str, Any]) -> str:
    """Give the answer of `job_and_latest_model`, or that of the job alone."""
    job = answer.get("job_metrics", answer)
    parts = [_head(answer["job_id"], job), _counted(job)]
    title = f"Decisions of the job: {job['total_events']:,} events"
    if job["labelled_events"] != job["total_events"]:
        title += "; one without a label counts as agreed with"
    parts.append(_block(title, job))
    if job["labelled_events"] and job["labelled_events"] != job["total_events"]:
        title = f"The {job['labelled_events']:,} labelled events alone"
        parts.append(_block(title, job["labelled_metrics"]))
    if "model_metrics" in answer:
        parts.append(_model(answer))
    return "\n\n".join(parts) + "\n"


def aligned(rows: Sequence[Sequence[str]], left: int = 1, indent: str = "  ") -> str:
    """Align cells in columns: the first `left` to the left, the others to the right.

    >>> print(aligned([["", "a", "b"], ["a", "10", "2"]], indent=""))
        a  b
    a  10  2
    """
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for place, (text, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(text))
            cells.append(text + gap if place < left else gap + text)
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _head(job_id: Any, job: Mapping[str, Any]) -> str:
    start, end = (_instant(job[name]) for name in ("start_time", "end_time"))
    period = "all time" if start is None and end is None else f"{start or '…'} to {end or '…'}"
    return f"Job {shown(str(job_id))}, {period}"


def _counted(job: Mapping[str, Any]) -> str:
    models = [shown(model) for model in job["all_model_ids"]]
    active = job["active_model_id"]
    changed = job["changed_consensus_after_training"]
    rows = [
        ["active model", "none" if active is None else shown(active)],
        ["all models", f"{len(models):,}: {', '.join(models)}" if models else "none"],
        ["events", f"{job['total_events']:,}"],
        ["events without a decision", f"{job['events_without_decision']:,}"],
        ["events with a label", f"{job['labelled_events']:,}"],
        ["events with consensus", f"{job['total_events_with_consensus']:,}"],
        ["events in the knowledge base", _count(job["total_events_in_knowledge_base"])],
        ["  of these changed since training", _count(changed["total_events"])],
        ["time saved", _minutes(job["time_saved_minutes"])],
    ]
    for name, title in (("top_events_ids", "events"), ("top_buckets_ids", "event buckets")):
        if changed[name]:
            rows.append([f"changed {title}", ", ".join(shown(str(each)) for each in changed[name])])
    return aligned(rows, left=2)


def _model(answer: Mapping[str, Any]) -> str:
    model, recomputing = answer["model_metrics"], answer.get("is_recomputing_metrics")
    if model is None:
        return (
            "Model: nothing was computed yet; it is being computed now"
            if recomputing or answer.get("model_id") is not None
            else "Model: none is active"
        )
    when = _instant(model["last_recomputed_timestamp"])
    title = f"Model {shown(str(model['model_id']))}: its own decisions of all time, as of {when}"
    if model["is_recomputing_metrics"]:
        title += " (older than the rest: it is being computed anew)"
    kept = model["kb_count_per_decision"]
    rows = [["knowledge base", "events", "event buckets"]]
    rows += [
        [shown(name), f"{each['alerts_count']:,}", f"{each['buckets_count']:,}"]
        for name, each in kept.items()
    ]
    rows.append(["in all", f"{model['events_in_kb']:,}", f"{model['buckets_in_kb']:,}"])
    return f"{_block(title, model)}\n\n{aligned(rows)}"


def _block(title: str, block: Mapping[str, Any]) -> str:
    """Give a matrix with its decisions, and the metrics of each of them."""
    per_decision = block["metrics_per_decision"]
    names = [shown(name) for name in per_decision]
    if not names:
        return f"{title}\n\n  no decision"
    matrix = [["truth \\ prediction", *names, "in all"]]
    for name, row in zip(names, block["confusion_matrix"], strict=True):
        matrix.append([name, *(f"{count:,}" for count in row), f"{sum(row):,}"])
    sums = [sum(column) for column in zip(*block["confusion_matrix"], strict=True)]
    matrix.append(["in all", *(f"{count:,}" for count in sums), f"{sum(sums):,}"])
    rates = [["decision", *_RATES, *(short for _, short in _COUNTS)]]
    for name, each in zip(names, per_decision.values(), strict=True):
        counts = (f"{each[long]:,}" for long, _ in _COUNTS)
        rates.append([name, *(_rate(each[rate]) for rate in _RATES), *counts])
    means = (_rate(block[f"overall_{rate}"]) for rate in _RATES)
    rates.append(["mean", *means, *("" for _ in _COUNTS)])
    accuracy = [
        ["accuracy", _rate(block["accuracy"]), "right decisions of all"],
        ["overall_accuracy", _rate(block["overall_accuracy"]), "mean of each against the others"],
    ]
    rest = "\n\n".join((aligned(matrix), aligned(rates), aligned(accuracy, left=3)))
    return f"{title}\n\n{rest}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _count(value: int | None) -> str:
    return "not known yet" if value is None else f"{value:,}"


def _minutes(value: float | None) -> str:
    return "not known: no `minutes_per_event`" if value is None else f"{value:,.10g} minutes"


def _instant(word: str | None) -> str | None:
    """Write an instant of an answer to the second.

    >>> _instant("2026-11-21T10:00:00.123456Z")
    '2026-11-21 10:00:00 UTC'
    """
    return None if word is None else f"{word[:19].replace('T', ' ')} UTC"
