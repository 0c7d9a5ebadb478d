"""The metrics of a job: what its models decided, in a range of event time and under filters.

The knowledge base is that of the active model, whatever range and filters say; the events that
changed since its deployment are those of the selection.
"""

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import NotFoundError
from engine.jobs.decided import Decided, decided_of
from engine.jobs.deployments import ActiveModel, JobModels, job_models
from engine.jobs.hour_tally import tally_hours
from engine.jobs.job_rules import JobRules
from engine.jobs.knowledge import Knowledge, changed_among, knowledge_of, no_knowledge
from engine.jobs.questions import JobQuestion
from engine.jobs.selection import tally_events
from engine.jobs.tally import Run, Tally

__all__ = ["UNKNOWN_JOB", "Changed", "JobMetrics", "job_metrics"]

UNKNOWN_JOB = "Job or model not found"


@dataclass(frozen=True, slots=True)
class Changed:
    """Events of the base whose label is another one now; ids by latest change, then id."""

    total_events: int = 0
    top_events_ids: tuple[str, ...] = ()
    top_buckets_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobMetrics:
    """The metrics of a job; times in µs since the epoch.

    Attributes
    ----------
    decided : Decided
    start_us, end_us : int or None
        The range as asked; where it was open the time of the first or last event; None: no event.
    active_model_id : str or None
        None: no model is deployed now.
    all_model_ids : tuple of str
    events_in_knowledge_base : int
        Of the active model.
    changed : Changed
    """

    decided: Decided
    start_us: int | None
    end_us: int | None
    active_model_id: str | None
    all_model_ids: tuple[str, ...]
    events_in_knowledge_base: int
    changed: Changed


def job_metrics(
    cursor: duckdb.DuckDBPyConnection,
    question: JobQuestion,
    rules: JobRules,
    knowledge: Knowledge | None = None,
    run: Run | None = None,
) -> JobMetrics:
    """Answer a question about a job.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Only read from.
    question : JobQuestion
    rules : JobRules
    knowledge : Knowledge, optional
        The knowledge base of the active model as last gathered. Without it, or when it is that of
        another deployment, it is gathered now: the only part that costs more with more events.
    run : callable, optional
        Runs the parts of a selection with filters at the same time.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    known = job_models(cursor, question.job_id)
    models, active = known.models, known.active
    if not models:
        raise NotFoundError(UNKNOWN_JOB)
    base = _base(cursor, question, rules, active, knowledge)
    total = base.changed_total
    if not base.complete and active is not None and _selects(question):
        tally = _tally(cursor, question, known, run)
        changed, total = changed_among(cursor, question, active, rules)
    elif question.filters:
        seqs = base.changed["seq"].to_numpy().tolist()
        tally = tally_events(cursor, question, seqs, run)
        changed = base.changed.filter(pc.field("seq").isin(list(tally.changed)))
        total = len(changed)
    else:
        tally = tally_hours(cursor, question, known)
        changed = _within(base.changed, question.start_us, question.end_us)
        total = len(changed) if base.complete else total
    active_id = None if active is None else active.model_id
    return JobMetrics(
        decided_of(cursor, tally, models, active_id, rules),
        tally.first_us if question.start_us is None else question.start_us,
        tally.last_us if question.end_us is None else question.end_us,
        active_id,
        models,
        base.total,
        _changed(changed, total, question.top),
    )


def _base(
    cursor: duckdb.DuckDBPyConnection,
    question: JobQuestion,
    rules: JobRules,
    active: ActiveModel | None,
    knowledge: Knowledge | None,
) -> Knowledge:
    if active is None:
        return no_knowledge("")
    if knowledge is not None and (knowledge.model_id, knowledge.deployed_us) == (
        active.model_id,
        active.deployed_us,
    ):
        return knowledge
    return knowledge_of(cursor, question.job_id, active, rules)


def _selects(question: JobQuestion) -> bool:
    return bool(question.filters) or (question.start_us, question.end_us) != (None, None)


def _tally(
    cursor: duckdb.DuckDBPyConnection, question: JobQuestion, known: JobModels, run: Run | None
) -> Tally:
    if question.filters:
        return tally_events(cursor, question, (), run)
    return tally_hours(cursor, question, known)


def _within(changed: pa.Table, start_us: int | None, end_us: int | None) -> pa.Table:
    if start_us is not None:
        changed = changed.filter(pc.field("event_us") >= start_us)
    return changed if end_us is None else changed.filter(pc.field("event_us") < end_us)


def _changed(rows: pa.Table, total: int, top: int) -> Changed:
    """Name the first of the events, latest change first, and the first buckets alike."""
    latest: dict[str, int] = {}
    buckets, times = rows["bucket"].to_pylist(), rows["changed_us"].to_numpy().tolist()
    for bucket, changed_us in zip(buckets, times, strict=True):
        if bucket is not None:
            latest[bucket] = max(latest.get(bucket, changed_us), changed_us)
    ordered = sorted(latest, key=lambda bucket: (-latest[bucket], bucket))
    return Changed(
        total,
        tuple(map(str, rows["event_id"].slice(0, top).to_pylist())),
        tuple(ordered[:top]),
    )
