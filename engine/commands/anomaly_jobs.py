"""What people do to anomaly jobs while a run goes on: make, change, delete, open and close them.

Each is a piece of work for the one writer: it looks at what is in force then and there, so that two
at once cannot both make a job. `sees` says of a job's id and its model whether they exist for who
asks. A job that is closed takes in no more posted records; nothing else changes for it: it goes on
watching its model, and no result is different.

What is posted to a job are predictions of a model of its own, which is called as the job is. Their
times alone tell such a job how late it is (`clock: records`): what is posted may be long past, or
come while other streams are somewhere else. Events stay when a job is deleted: if it is made again,
it is a new one, with another model (`posted_model`), and sees nothing of what was posted before.
"""

from collections.abc import Callable, Iterable
from typing import Any

import duckdb

from engine.anomaly import operations
from engine.anomaly.queries.job_standing import CLOSED, OPENED, state_of
from engine.anomaly.queries.result_pages import require_jobs
from engine.asking import number
from engine.changes import Edit, Writing
from engine.config import AnomalyJobSettings
from engine.errors import ConflictError, ForbiddenError, NotFoundError, QueryError

__all__ = [
    "Sees",
    "close_jobs",
    "delete_job",
    "is_posted",
    "make_job",
    "open_job",
    "posted_model",
    "update_job",
]

Sees = Callable[[str, str | None], bool]

_KIND = "anomaly_job"
_UPDATE = """
UPDATE anomaly_job_states SET state = $state, made_time = make_timestamp($now)
WHERE job_id = $job
"""
_INSERT = """
INSERT INTO anomaly_job_states SELECT $job, $state, make_timestamp($now)
WHERE NOT EXISTS (FROM anomaly_job_states WHERE job_id = $job)
"""
_DELETED = """
SELECT count(*) FROM changes_log
WHERE kind = 'anomaly_job' AND id = $job AND definition IS NULL
"""
_OWN_CLOCK = {"clock": "records"}
_AGAIN = "#"  # which is in no job's id
_MODEL = "SELECT model_id FROM anomaly_jobs_known WHERE job_id = $job"


def posted_model(job_id: str, deleted: int) -> str:
    """Give the model of what is posted to a job that was deleted so often before.

    >>> posted_model("web", 0), posted_model("web", 1)
    ('web', 'web#2')
    """
    return job_id if not deleted else f"{job_id}{_AGAIN}{deleted + 1}"


def is_posted(job_id: str, model_id: str | None) -> bool:
    """Tell whether a job watches what is posted to it.

    >>> is_posted("web", "web#2"), is_posted("web", "triage")
    (True, False)
    """
    return model_id is not None and model_id.partition(_AGAIN)[0] == job_id


def make_job(
    writing: Writing, job_id: str, definition: dict[str, Any], sees: Sees
) -> AnomalyJobSettings:
    """Make a job; it is closed.

    Parameters
    ----------
    definition : dict
        Its entry of the configuration; without a model and a type it watches what is posted.

    Raises
    ------
    ForbiddenError
        Who asks could not see it.
    ConflictError
        There is one of that id, or a group.
    QueryError
        The definition breaks a rule.
    """
    if "model" not in definition and "type" not in definition:
        deleted = number(writing.cursor, _DELETED, {"job": job_id})
        definition = {**definition, "model": posted_model(job_id, deleted), **_OWN_CLOCK}
    model = definition.get("model")
    if not sees(job_id, model if isinstance(model, str) else None):
        msg = f"the user may not make the job '{job_id}'"
        raise ForbiddenError(msg)
    jobs = writing.configured.settings.anomaly_jobs
    if any(job.job_id == job_id for job in jobs):
        msg = f"`job_id` must be one that no job has yet, got '{job_id}'"
        raise ConflictError(msg)
    _check_groups(jobs, job_id, definition.get("groups"))
    writing.edit(Edit(_KIND, job_id, definition))
    _keep_state(writing, job_id, CLOSED)
    return _job(writing, job_id, sees)


def update_job(
    writing: Writing,
    job_id: str,
    revise: Callable[[dict[str, Any]], dict[str, Any]],
    sees: Sees,
) -> AnomalyJobSettings:
    """Change a job; `revise` gives its entry of the configuration anew.

    What decides its results (rules of detectors, the memory limit, how far scores are renormalised)
    makes it another job: it begins anew with the stored events.

    Raises
    ------
    NotFoundError
    QueryError
        The definition breaks a rule.
    """
    _job(writing, job_id, sees)
    definition = revise(writing.configured.definition(_KIND, job_id) or {})
    others = [job for job in writing.configured.settings.anomaly_jobs if job.job_id != job_id]
    _check_groups(others, job_id, definition.get("groups"))
    writing.edit(Edit(_KIND, job_id, definition))
    return _job(writing, job_id, sees)


def delete_job(writing: Writing, job_id: str, sees: Sees, *, force: bool) -> None:
    """Delete a job with all that it has learned and found; the events that it saw stay.

    Raises
    ------
    NotFoundError
    ConflictError
        It is open, and nobody forces it.
    """
    cursor = writing.cursor
    declared = any(job.job_id == job_id for job in writing.configured.settings.anomaly_jobs)
    if declared:
        _job(writing, job_id, sees)
        if not force and state_of(cursor, job_id) == OPENED:
            msg = f"the job '{job_id}' must be closed before it is deleted, got an open one"
            raise ConflictError(msg)
        writing.edit(Edit(_KIND, job_id, None))
    else:
        _check_left(cursor, job_id, sees)
    operations.reset(cursor, job_id)
    for table in ("annotations_log", "anomaly_job_states", "anomaly_jobs_known"):
        cursor.execute(f"DELETE FROM {table} WHERE job_id = $job", {"job": job_id})


def open_job(writing: Writing, job_id: str, sees: Sees) -> None:
    """Let a job take in posted records.

    Raises
    ------
    NotFoundError
    ConflictError
        It is open already.
    """
    _job(writing, job_id, sees)
    if state_of(writing.cursor, job_id) == OPENED:
        msg = f"the job '{job_id}' must be closed before it is opened, got an open one"
        raise ConflictError(msg)
    _keep_state(writing, job_id, OPENED)


def close_jobs(writing: Writing, job_ids: Iterable[str], sees: Sees) -> None:
    """Let jobs take in no more posted records; those that are closed stay so.

    Raises
    ------
    NotFoundError
        None of them is closed then.
    """
    for job_id in job_ids:
        _job(writing, job_id, sees)
        if state_of(writing.cursor, job_id) == OPENED:
            _keep_state(writing, job_id, CLOSED)


def _job(writing: Writing, job_id: str, sees: Sees) -> AnomalyJobSettings:
    for job in writing.configured.settings.anomaly_jobs:
        if job.job_id == job_id and sees(job_id, job.model):
            return job
    raise _unknown(job_id)


def _check_left(cursor: duckdb.DuckDBPyConnection, job_id: str, sees: Sees) -> None:
    """See that a job that is declared no more has left results, and exists for who asks."""
    require_jobs(cursor, [job_id])
    row = cursor.execute(_MODEL, {"job": job_id}).fetchall()
    if not sees(job_id, row[0][0] if row else None):
        raise _unknown(job_id)


def _unknown(job_id: str) -> NotFoundError:
    return NotFoundError(f"No known job with id '{job_id}'")


def _check_groups(jobs: Iterable[AnomalyJobSettings], job_id: str, groups: object) -> None:
    """See that no job has the name of a group: an expression must mean one thing."""
    told = set(groups) if isinstance(groups, list) and _texts(groups) else set()
    for job in jobs:
        if job_id in job.groups or job.job_id in told or job_id in told:
            msg = f"`job_id` and groups must have different names, got '{job_id}'"
            raise QueryError(msg)


def _texts(values: list[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _keep_state(writing: Writing, job_id: str, state: str) -> None:
    told = {"job": job_id, "state": state, "now": writing.now_us}
    writing.cursor.execute(_UPDATE, told)
    writing.cursor.execute(_INSERT, told)
