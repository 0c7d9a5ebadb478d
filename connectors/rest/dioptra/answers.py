"""Experiments and jobs as this contract tells them.

There are no snapshots, drafts or tags of them here, so nothing is told of these. What the published
server has as a resource of its own (queue, entry point, group) is told as the id that it was made
with: Bellwether runs nothing, and keeps these for whoever does.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.rest.auth import user_id
from connectors.rest.dioptra.login import GROUP
from connectors.rest.dioptra.shared import PREFIX
from engine.steps.experiment_list import KnownExperiment
from engine.steps.job_list import KnownJob
from engine.steps.names import json_id

__all__ = ["EXPERIMENT", "JOB", "STATUS", "experiment_json", "job_json"]

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_ID = {"type": ["integer", "string"]}
_REFERENCE = {"type": ["object", "null"]}
_TIME = {"type": "string", "format": "date-time"}
EXPERIMENT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "name", "description", "createdOn", "lastModifiedOn"],
    "properties": {
        "id": _ID,
        "name": _TEXT,
        "description": _MAYBE_TEXT,
        "entrypoints": {"type": "array", "items": {"type": "object"}},
        "group": _REFERENCE,
        "user": _REFERENCE,
        "createdOn": _TIME,
        "lastModifiedOn": _TIME,
    },
}
JOB: dict[str, Any] = {
    "type": "object",
    "required": ["id", "description", "status", "createdOn", "lastModifiedOn"],
    "properties": {
        "id": _ID,
        "description": _MAYBE_TEXT,
        "status": _MAYBE_TEXT,
        "experiment": _REFERENCE,
        "entrypoint": _REFERENCE,
        "queue": _REFERENCE,
        "values": {"type": "object"},
        "artifactValues": {"type": "object"},
        "swaps": {"type": "array"},
        "timeout": _MAYBE_TEXT,
        "group": _REFERENCE,
        "user": _REFERENCE,
        "createdOn": _TIME,
        "lastModifiedOn": _TIME,
    },
}
STATUS: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {"id": _ID, "status": _MAYBE_TEXT},
}


def experiment_json(experiment: KnownExperiment) -> dict[str, object]:
    """Tell an experiment; one that events alone name has no description and no user."""
    told = experiment.definition or {}
    return {
        "id": json_id(experiment.id),
        "name": experiment.name,
        "description": told.get("description"),
        "entrypoints": [{"id": each} for each in told.get("entrypoints", ())],
        "group": _group(told),
        "user": _user(experiment.made_by),
        "createdOn": _iso(experiment.created),
        "lastModifiedOn": _iso(experiment.modified),
    }


def job_json(job: KnownJob, names: Mapping[str, str]) -> dict[str, object]:
    """Tell a job.

    Parameters
    ----------
    names : mapping of str to str
        Of experiments, by id; one that is not among them is named by its id.
    """
    told = job.definition or {}
    return {
        "id": json_id(job.id),
        "description": told.get("description"),
        "status": job.status,
        "experiment": None if job.experiment is None else _experiment(job.experiment, names),
        "entrypoint": _entrypoint(job),
        "queue": _reference(told.get("queue")),
        "values": told.get("values", {}),
        "artifactValues": told.get("artifactValues", {}),
        "swaps": told.get("swaps", []),
        "timeout": told.get("timeout"),
        "group": _group(told),
        "user": _user(job.made_by),
        "createdOn": _iso(job.created),
        "lastModifiedOn": _iso(job.modified),
    }


def _experiment(experiment_id: str, names: Mapping[str, str]) -> dict[str, object]:
    return {
        "id": json_id(experiment_id),
        "name": names.get(experiment_id, experiment_id),
        "url": f"{PREFIX}/experiments/{quote(experiment_id, '')}",
    }


def _entrypoint(job: KnownJob) -> dict[str, object] | None:
    """Give the entry point; `run` events tell its name alone."""
    if job.definition is None:
        return None if job.entrypoint is None else {"name": job.entrypoint}
    return _reference(job.definition.get("entrypoint"))


def _group(told: Mapping[str, Any]) -> dict[str, object]:
    group = told.get("group", GROUP["id"])
    return dict(GROUP) if group == GROUP["id"] else {"id": group}


def _reference(number: object) -> dict[str, object] | None:
    return None if number is None else {"id": number}


def _user(username: str | None) -> dict[str, object] | None:
    return None if username is None else {"id": str(user_id(username)), "username": username}


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=UTC).isoformat()
