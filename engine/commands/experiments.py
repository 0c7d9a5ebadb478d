"""Makes experiments and jobs of steps, and tells how far a job has come.

Nothing is run here: who makes a job logs the metrics of what runs elsewhere. Ids are whole numbers
that no experiment, or job, has had so far, those that events name among them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.asking import first, number
from engine.changes import Writing
from engine.errors import ConflictError, NotFoundError, QueryError
from engine.steps.experiment_list import job_known
from engine.values import shown

__all__ = ["STATUSES", "NewExperiment", "NewJob", "make_experiment", "make_job", "set_status"]

STATUSES: Mapping[str, tuple[str, ...]] = {
    "queued": ("started", "deferred", "reset"),
    "started": ("finished", "failed", "reset"),
    "deferred": ("started", "reset"),
    "failed": ("reset",),
    "finished": ("reset",),
}
"""What may follow a status, as on the published server; a job that is reset is queued again."""

_SMALL = 2**52  # greater ids do not count: one event must not use the numbers up

_EXPERIMENT_IDS = f"""
    SELECT max(id) FROM (
        SELECT experiment_id AS id FROM step_experiments
        UNION ALL SELECT try_cast(experiment_id AS BIGINT) FROM (
            SELECT DISTINCT experiment_id FROM step_log WHERE experiment_id IS NOT NULL))
    WHERE id BETWEEN 0 AND {_SMALL}"""
_JOB_IDS = f"""
    SELECT max(id) FROM (
        SELECT job_id AS id FROM step_jobs
        UNION ALL SELECT try_cast(job_id AS BIGINT) FROM step_latest)
    WHERE id BETWEEN 0 AND {_SMALL}"""
_IS_EXPERIMENT = """
    SELECT EXISTS (SELECT 1 FROM step_experiments WHERE experiment_id::VARCHAR = $id)
        OR EXISTS (SELECT 1 FROM step_log WHERE experiment_id = $id)"""


@dataclass(frozen=True, slots=True)
class NewExperiment:
    """An experiment to be made; `definition` is what is told of it beside its name."""

    name: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made in an experiment; `definition` is what is told of it."""

    experiment_id: str
    definition: Mapping[str, Any]


def make_experiment(writing: Writing, made: NewExperiment) -> int:
    """Make an experiment; gives its id.

    Raises
    ------
    ConflictError
        There is one of this name.
    """
    same = first(
        writing.cursor,
        "SELECT experiment_id FROM step_experiments WHERE name = $name",
        {"name": made.name},
    )
    if same is not None:
        msg = f"`name` must be that of no other experiment, got {shown(made.name)}"
        raise ConflictError(msg)
    experiment_id = number(writing.cursor, _EXPERIMENT_IDS) + 1
    while number(writing.cursor, _IS_EXPERIMENT, {"id": str(experiment_id)}):
        experiment_id += 1
    writing.cursor.execute(
        "INSERT INTO step_experiments VALUES ($id, $name, $definition, make_timestamp($now), $by)",
        {
            "id": experiment_id,
            "name": made.name,
            "definition": _text(made.definition),
            "now": writing.now_us,
            "by": writing.by,
        },
    )
    return experiment_id


def make_job(writing: Writing, made: NewJob) -> int:
    """Make a job in an experiment, queued; gives its id.

    Raises
    ------
    NotFoundError
        There is no such experiment, or it has no number for an id.
    """
    cursor, experiment = writing.cursor, _number(made.experiment_id)
    known = {"id": made.experiment_id}
    if experiment is None or not number(cursor, _IS_EXPERIMENT, known):
        msg = f"there is no experiment {made.experiment_id[:80]}"
        raise NotFoundError(msg)
    job_id = number(cursor, _JOB_IDS) + 1
    while job_known(cursor, str(job_id))[0]:
        job_id += 1
    cursor.execute(
        "INSERT INTO step_jobs VALUES ($id, $experiment, $definition, make_timestamp($now), $by)",
        {
            "id": job_id,
            "experiment": experiment,
            "definition": _text({**made.definition, "status": "queued"}),
            "now": writing.now_us,
            "by": writing.by,
        },
    )
    return job_id


def set_status(writing: Writing, experiment_id: str, job_id: str, status: str) -> str:
    """Give a job that was made its next status; gives the one it has now.

    Raises
    ------
    NotFoundError
        No such job was made in that experiment.
    QueryError
        The status may not follow the one that the job has.
    """
    row = first(
        writing.cursor,
        "SELECT definition FROM step_jobs"
        " WHERE job_id::VARCHAR = $job AND experiment_id::VARCHAR = $experiment",
        {"job": job_id, "experiment": experiment_id},
    )
    if row is None:
        msg = f"no job {job_id[:80]} was made in experiment {experiment_id[:80]}"
        raise NotFoundError(msg)
    definition = json.loads(row[0])
    allowed = STATUSES[definition["status"]]
    if status not in allowed:
        rule = f"one of {', '.join(allowed)} after {definition['status']}"
        msg = f"`status` must be {rule}, got {shown(status)}"
        raise QueryError(msg)
    now = "queued" if status == "reset" else status
    told = {**definition, "status": now, "changed_us": writing.now_us}
    writing.cursor.execute(
        "UPDATE step_jobs SET definition = $definition WHERE job_id::VARCHAR = $job",
        {"definition": _text(told), "job": job_id},
    )
    return now


def _text(definition: Mapping[str, Any]) -> str:
    return json.dumps(definition, ensure_ascii=False)


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")
    return int(text) if plain and len(text) < 19 else None
