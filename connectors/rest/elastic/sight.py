"""Which anomaly jobs a caller may see; all others are answered as what does not exist."""

import duckdb

from connectors.rest.auth import Caller
from engine.asking import first
from engine.commands.anomaly_jobs import is_posted
from engine.config import AnomalyJobSettings
from engine.errors import NotFoundError

__all__ = ["check_seen", "no_such_job", "seen", "sees"]

_MODEL = "SELECT model_id FROM anomaly_jobs_known WHERE job_id = $job"


def sees(caller: Caller, job_id: str, model_id: str | None) -> bool:
    """Tell whether a job exists for a caller: the job itself, and the model that it watches."""
    if model_id is not None and is_posted(job_id, model_id):
        model_id = job_id  # whichever time it was made
    return caller.sees_job(job_id) and (model_id is None or caller.sees_model(model_id))


def seen(caller: Caller, jobs: tuple[AnomalyJobSettings, ...]) -> dict[str, AnomalyJobSettings]:
    """Give the jobs that exist for a caller, by their ids."""
    return {job.job_id: job for job in jobs if sees(caller, job.job_id, job.model)}


def check_seen(cursor: duckdb.DuckDBPyConnection, caller: Caller, job_id: str) -> None:
    """Raise if a job does not exist for a caller, whether it is still declared or was.

    Raises
    ------
    NotFoundError
    """
    if caller.sees_all:
        return
    row = first(cursor, _MODEL, {"job": job_id})
    if row is None or not sees(caller, job_id, row[0]):
        raise no_such_job(job_id)


def no_such_job(job_id: str) -> NotFoundError:
    """Give the fault of a job that there is not."""
    return NotFoundError(f"No known job with id '{job_id}'")
