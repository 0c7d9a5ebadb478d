"""Metrics of jobs and experiments: log one, the latest ones, the history of one.

The published client's ids are whole numbers; those of other streams may be any text, and are taken
here as they are. Of a whole number that nothing is known of there are no metrics (200, empty), as
on the published server; any other text that nothing is known of is not found.

Of two values posted for one (name, step) the last one holds, whatever their times.
"""

import asyncio
from typing import Annotated
from urllib.parse import quote
from weakref import WeakValueDictionary

import orjson
from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.dioptra.bodies import fields_of
from connectors.rest.dioptra.logged import METRIC, metric_of
from connectors.rest.dioptra.pages import (
    Descending,
    Index,
    JobSort,
    Length,
    Search,
    linked,
    page_schema,
)
from connectors.rest.dioptra.shared import answered, body_of, described, dioptra_router, is_whole
from connectors.rest.faults import Fault
from connectors.rest.services import Services, services_of
from engine.asking import first
from engine.errors import NotFoundError
from engine.steps.experiment_list import ExperimentQuestion, job_known, known_experiments
from engine.steps.experiments import page_of_metrics
from engine.steps.job_list import JobQuestion
from engine.steps.logged import step_of
from engine.steps.names import id_text, json_value
from engine.steps.pages import Page
from engine.steps.step_queries import Snapshot, latest, snapshots

__all__ = ["ExperimentId", "JobId", "metrics_router"]

metrics_router = dioptra_router()

JobId = Annotated[str, Path(description="The job's id, a whole number or another text.")]
ExperimentId = Annotated[str, Path(description="The experiment's id.")]
MetricName = Annotated[str, Path(description="The metric's name.")]

_PAIR = {"name": {"type": "string"}, "value": METRIC["properties"]["value"]}
_NAMED = {
    "type": "object",
    "required": ["name", "value"],
    "additionalProperties": False,
    "properties": _PAIR,
}
_SNAPSHOT = {
    "type": "object",
    "required": ["name", "value", "step", "timestamp"],
    "properties": {
        **_PAIR,
        "step": {"type": "integer"},
        "timestamp": {"type": "string", "format": "date-time"},
    },
}
_OF_JOB = {
    "type": "object",
    "required": ["id", "metrics"],
    "properties": {
        "id": {"type": ["integer", "string"]},
        "metrics": {"type": "array", "items": _NAMED},
    },
}
_HIGHEST = "SELECT max(step) FROM step_latest WHERE job_id = $job AND name = $name"


@metrics_router.post(
    "/jobs/{job_id}/metrics", responses=described(_NAMED, 404), openapi_extra=body_of(METRIC)
)
async def dioptra_append_metric(request: Request, job_id: JobId, caller: Editor) -> Response:
    """Log a value of a metric; it is durable when this answers."""
    metric = metric_of(await fields_of(request, tuple(METRIC["properties"]), special=True))
    services, job = services_of(request), id_text(job_id, "job_id")
    is_known, experiment = await services.read(lambda asking: job_known(asking.cursor, job))
    if not is_known or not caller.sees_job(job):
        msg = f"there is no job {job[:80]}"
        raise NotFoundError(msg)
    if metric.step is not None:
        await _post(services, caller, metric.event(job, metric.step, experiment))
    else:
        async with _lock(request, job, metric.name):
            step = await services.read(lambda asking: _next_step(asking, job, metric.name))
            await _post(services, caller, metric.event(job, step, experiment))
    return answered({"name": metric.name, "value": json_value(metric.value)})


@metrics_router.get(
    "/jobs/{job_id}/metrics",
    responses=described({"type": "array", "items": _NAMED}, 404),
)
async def dioptra_latest_metrics(request: Request, job_id: JobId, caller: Viewer) -> Response:
    """Give the value of each metric of a job at its highest step."""
    job = id_text(job_id, "job_id")

    def asked(asking: Asking) -> list[dict[str, object]]:
        found = latest(asking.cursor, job) if caller.sees_job(job) else ()
        if not found:
            _exists(asking, caller, job)
        return [metric.to_json() for metric in found]

    return answered(await services_of(request).read(asked))


@metrics_router.get(
    "/jobs/{job_id}/metrics/{name}/snapshots", responses=described(page_schema(_SNAPSHOT), 404)
)
async def dioptra_metric_history(
    request: Request,
    job_id: JobId,
    name: MetricName,
    caller: Viewer,
    *,
    index: Index = 0,
    page_length: Length = 10,
) -> Response:
    """Give a page of the values of a metric by step; `index` counts pages."""
    job = id_text(job_id, "job_id")

    def asked(asking: Asking) -> dict[str, object]:
        page: Page[Snapshot] = Page(index, page_length, 0, ())
        if _exists(asking, caller, job):
            page = snapshots(asking.cursor, job, name, index, page_length)
        path = f"/jobs/{quote(job, '')}/metrics/{quote(name, '')}/snapshots"
        return page.to_json(linked(path, page_length, {}))

    return answered(await services_of(request).read(asked))


@metrics_router.get(
    "/experiments/{experiment_id}/metrics", responses=described(page_schema(_OF_JOB), 404)
)
async def dioptra_experiment_metrics(
    request: Request,
    experiment_id: ExperimentId,
    caller: Viewer,
    *,
    index: Index = 0,
    page_length: Length = 10,
    sort_by: JobSort = "",
    descending: Descending = False,
    search: Search = "",
) -> Response:
    """Give a page of the jobs of an experiment with their latest metrics; `index` counts pages."""
    experiment = id_text(experiment_id, "experiment_id")
    question = JobQuestion(
        experiment=experiment,
        start=index * page_length,
        length=page_length,
        sort_by=sort_by or None,
        descending=descending,
        search=search,
        seen=caller.jobs,
    )
    more = {"sortBy": sort_by, "descending": descending, "search": search}
    link = linked(f"/experiments/{quote(experiment, '')}/metrics", page_length, more)

    def asked(asking: Asking) -> dict[str, object]:
        _check_experiment(asking, caller, experiment)
        return page_of_metrics(asking.cursor, question).to_json(link)

    return answered(await services_of(request).read(asked))


def _exists(asking: Asking, caller: Caller, job: str) -> bool:
    """Tell whether there is a job for a caller.

    Raises
    ------
    NotFoundError
        There is none, nor could there be one that the published client asks for.
    """
    if caller.sees_job(job) and job_known(asking.cursor, job)[0]:
        return True
    if is_whole(job):
        return False
    msg = f"there is no job {job[:80]}"
    raise NotFoundError(msg)


def _check_experiment(asking: Asking, caller: Caller, experiment: str) -> None:
    """See that an experiment is there, or could be one that the published client asks for."""
    question = ExperimentQuestion(experiment=experiment, seen=caller.jobs)
    if not is_whole(experiment) and not known_experiments(asking.cursor, question)[0]:
        msg = f"there is no experiment {experiment[:80]}"
        raise NotFoundError(msg)


async def _post(services: Services, caller: Caller, event: dict[str, object]) -> None:
    receipt = await services.post(orjson.dumps(event) + b"\n", caller.username)
    if receipt.rejected:
        told = receipt.rejected[0]
        raise Fault(400, told.reason, {told.field or "body": [told.reason]})


def _next_step(asking: Asking, job: str, name: str) -> int:
    row = first(asking.cursor, _HIGHEST, {"job": job, "name": name})
    step = 0 if row is None or row[0] is None else int(row[0]) + 1
    return step_of(step)


def _lock(request: Request, job: str, name: str) -> asyncio.Lock:
    """Give the lock of a metric: of two posts that ask for the next step each gets one of its own.

    What other sources log of the same metric meanwhile is not waited for.
    """
    state = request.app.state
    if not hasattr(state, "dioptra_steps"):
        state.dioptra_steps = WeakValueDictionary()
    locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = state.dioptra_steps
    found = locks.get((job, name))
    if found is None:
        locks[job, name] = found = asyncio.Lock()
    return found
