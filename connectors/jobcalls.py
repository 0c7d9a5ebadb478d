"""The calls about a job and its active model: `job_and_latest_model`, `job` and `model`.

Their arguments are those of `engine.jobs.questions`, and `timeout_s`: the longest wait for the
metrics of the model, whole seconds. What was last known of it is told when they take longer; where
nothing ever was, the model's metrics are null, and so is what the job tells of its knowledge base.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import duckdb

from connectors.calls import Asking, Calls
from engine.asking import first
from engine.errors import NotFoundError, QueryError
from engine.jobs.answers import job_and_latest_model, job_answer, model_answer
from engine.jobs.deployments import active_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.job_rules import JobRules
from engine.jobs.knowledge import Knowledge
from engine.jobs.model_metrics import ModelMetrics, model_metrics
from engine.jobs.questions import JobQuestion, parse_question

__all__ = ["TIMEOUT_S", "TIMEOUT_S_MAX", "Latest", "calls_about_jobs", "latest_now", "stored_rules"]

TIMEOUT_S = 120
TIMEOUT_S_MAX = 3_570

Latest = Callable[[Asking, str, float], tuple[ModelMetrics | None, bool]]
"""Gives the metrics of a job's active model within so many seconds, and whether they are computed
anew just now; raises NotFoundError where there is no such job, or no model is active."""


def calls_about_jobs(
    rules: Callable[[duckdb.DuckDBPyConnection], JobRules], latest: Latest
) -> Calls:
    """Give the calls.

    `job` tells the job alone, `model` the model alone, `job_and_latest_model` both.

    Parameters
    ----------
    rules : callable
        Gives the rules that hold, with a cursor to look them up by.
    latest : Latest
    """

    def both(asking: Asking, arguments: Mapping[str, Any]) -> Any:
        question, timeout_s = _parsed(arguments)
        model, recomputing = latest(asking, question.job_id, timeout_s)
        # What the job tells is no older than its model's metrics, so they are of the same model.
        asking.renew()
        base, is_known = _base(asking, question, model, recomputing=recomputing)
        job = job_metrics(asking.cursor, question, rules(asking.cursor), base, asking.run)
        answer = job_and_latest_model(question, job, model, recomputing=recomputing)
        if not is_known:
            total = answer["job_metrics"]["total_events_in_knowledge_base"]
            unknown = _unknown(None if answer["model_metrics"] is None else total)
            answer = {**answer, **unknown, "job_metrics": {**answer["job_metrics"], **unknown}}
        return answer

    def job_alone(asking: Asking, arguments: Mapping[str, Any]) -> Any:
        question, timeout_s = _parsed(arguments)
        try:
            model, recomputing = latest(asking, question.job_id, timeout_s)
        except NotFoundError:  # a job without an active model is a job, too
            model, recomputing = None, False
        asking.renew()
        base, is_known = _base(asking, question, model, recomputing=recomputing)
        job = job_metrics(asking.cursor, question, rules(asking.cursor), base, asking.run)
        answer = {**job_answer(job), **({} if is_known else _unknown(None))}
        return {"job_id": question.job_given, **answer, "is_recomputing_metrics": recomputing}

    def model_alone(asking: Asking, arguments: Mapping[str, Any]) -> Any:
        question, timeout_s = _parsed(arguments)
        model, recomputing = latest(asking, question.job_id, timeout_s)
        return None if model is None else model_answer(model, recomputing=recomputing)

    return {"job_and_latest_model": both, "job": job_alone, "model": model_alone}


def latest_now(
    rules: Callable[[duckdb.DuckDBPyConnection], JobRules], now_us: Callable[[], int]
) -> Latest:
    """Give what computes the metrics in place, where nobody does so in the background."""

    def latest(asking: Asking, job_id: str, timeout_s: float) -> tuple[ModelMetrics, bool]:
        del timeout_s  # the time limit of the call holds
        return model_metrics(asking.cursor, job_id, rules(asking.cursor), now_us()), False

    return latest


def stored_rules(cursor: duckdb.DuckDBPyConnection) -> JobRules:
    """Give the rules of the last run on a store."""
    row = first(cursor, "SELECT value FROM settings WHERE name = 'deciding'")
    if row is None:
        return JobRules()
    told = json.loads(row[0])
    return JobRules(tuple(told["administrators"]), told["label_horizon_us"], told["limits"][2])


def _parsed(arguments: Mapping[str, Any]) -> tuple[JobQuestion, float]:
    given = dict(arguments)
    timeout_s = given.pop("timeout_s", None)
    if timeout_s is None:
        timeout_s = TIMEOUT_S
    if type(timeout_s) is not int or not 0 <= timeout_s <= TIMEOUT_S_MAX:
        msg = f"`timeout_s` must be a whole number from 0 to {TIMEOUT_S_MAX}, got {timeout_s!r}"
        raise QueryError(msg)
    return parse_question(given), timeout_s


def _base(
    asking: Asking, question: JobQuestion, model: ModelMetrics | None, *, recomputing: bool
) -> tuple[Knowledge | None, bool]:
    """Give the knowledge base that the job is to be told with, and whether it is one.

    While it is gathered in the background nobody waits for it twice: where the last one known is
    of another deployment, an empty one stands in for it.
    """
    known = None if model is None else model.knowledge
    active = active_model(asking.cursor, question.job_id) if recomputing else None
    if active is None or (
        known is not None
        and (known.model_id, known.deployed_us) == (active.model_id, active.deployed_us)
    ):
        return known, True
    return Knowledge(active.model_id, active.deployed_us), False


def _unknown(total: int | None) -> dict[str, Any]:
    """Give what a job tells of a knowledge base that is not known yet."""
    return {
        "total_events_in_knowledge_base": total,
        "changed_consensus_after_training": {
            "total_events": None,
            "top_events_ids": [],
            "top_buckets_ids": [],
        },
    }
