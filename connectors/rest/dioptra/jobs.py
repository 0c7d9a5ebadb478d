"""Jobs: made in an experiment, listed, read, and how far they have come.

A job that has logged metrics is one, too, whoever made it. `index` of the lists counts entries.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.dioptra.answers import JOB, STATUS, job_json
from connectors.rest.dioptra.bodies import fields_of
from connectors.rest.dioptra.made import JOB_BODY, STATUS_BODY, new_job, new_status
from connectors.rest.dioptra.metrics import ExperimentId, JobId
from connectors.rest.dioptra.pages import (
    Descending,
    Index,
    JobSort,
    Length,
    PageLink,
    Search,
    entries,
    linked,
    page_schema,
)
from connectors.rest.dioptra.shared import answered, body_of, described, dioptra_router
from connectors.rest.services import services_of
from engine.commands.experiments import NewJob, make_job, set_status
from engine.errors import ForbiddenError, NotFoundError
from engine.steps.experiment_list import ExperimentQuestion, experiment_names, known_experiments
from engine.steps.job_list import JobQuestion, known_jobs
from engine.steps.names import json_id

__all__ = ["jobs_router"]

jobs_router = dioptra_router()

Group = Annotated[
    int | None,
    Query(alias="groupId", ge=1, le=2**53, description="Jobs are in group 1, others have none."),
]
_PAGE = page_schema(JOB)


@jobs_router.post("/experiments/{experiment_id}/jobs/", include_in_schema=False)
@jobs_router.post(
    "/experiments/{experiment_id}/jobs",
    responses=described(JOB, 404),
    openapi_extra=body_of(JOB_BODY),
)
async def dioptra_create_job(
    request: Request, experiment_id: ExperimentId, caller: Editor
) -> Response:
    """Make a job, queued. Nothing is run: whoever runs it logs its metrics and its status."""
    definition = new_job(await fields_of(request, tuple(JOB_BODY["properties"])))
    if caller.jobs is not None:
        msg = "the user must be one who sees all jobs"
        raise ForbiddenError(msg)
    services, made = services_of(request), NewJob(experiment_id, definition)
    job_id = await services.write(caller.username, lambda writing: make_job(writing, made))
    question = JobQuestion(job=str(job_id))
    return answered(await services.read(lambda asking: _one(asking, question)))


@jobs_router.get("/jobs/", include_in_schema=False)
@jobs_router.get("/jobs", responses=described(_PAGE))
async def dioptra_list_jobs(
    request: Request,
    caller: Viewer,
    *,
    index: Index = 0,
    page_length: Length = 10,
    sort_by: JobSort = "",
    descending: Descending = False,
    search: Search = "",
    group_id: Group = None,
) -> Response:
    """List all jobs."""
    question = JobQuestion(
        start=index,
        length=page_length,
        sort_by=sort_by or None,
        descending=descending,
        search=search,
        seen=caller.jobs if group_id in (None, 1) else frozenset(),
    )
    more = {"sortBy": sort_by, "descending": descending, "search": search, "groupId": group_id}
    link = linked("/jobs", page_length, more)
    return answered(await services_of(request).read(lambda asking: _listed(asking, question, link)))


@jobs_router.get("/experiments/{experiment_id}/jobs/", include_in_schema=False)
@jobs_router.get("/experiments/{experiment_id}/jobs", responses=described(_PAGE, 404))
async def dioptra_list_jobs_of_experiment(
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
    """List the jobs of an experiment."""
    question = JobQuestion(
        experiment=experiment_id,
        start=index,
        length=page_length,
        sort_by=sort_by or None,
        descending=descending,
        search=search,
        seen=caller.jobs,
    )
    more = {"sortBy": sort_by, "descending": descending, "search": search}
    link = linked(f"/experiments/{quote(experiment_id, '')}/jobs", page_length, more)

    def asked(asking: Asking) -> dict[str, object]:
        of = ExperimentQuestion(experiment=experiment_id, seen=caller.jobs)
        if not known_experiments(asking.cursor, of)[0]:
            msg = f"there is no experiment {experiment_id[:80]}"
            raise NotFoundError(msg)
        return _listed(asking, question, link)

    return answered(await services_of(request).read(asked))


@jobs_router.get("/jobs/{job_id}", responses=described(JOB, 404))
async def dioptra_get_job(request: Request, job_id: JobId, caller: Viewer) -> Response:
    """Give a job."""
    question = JobQuestion(job=job_id, seen=caller.jobs)
    return answered(await services_of(request).read(lambda asking: _one(asking, question)))


@jobs_router.get("/experiments/{experiment_id}/jobs/{job_id}", responses=described(JOB, 404))
async def dioptra_get_job_of_experiment(
    request: Request, experiment_id: ExperimentId, job_id: JobId, caller: Viewer
) -> Response:
    """Give a job of an experiment."""
    question = JobQuestion(experiment=experiment_id, job=job_id, seen=caller.jobs)
    return answered(await services_of(request).read(lambda asking: _one(asking, question)))


@jobs_router.get("/jobs/{job_id}/status", responses=described(STATUS, 404))
async def dioptra_get_job_status(request: Request, job_id: JobId, caller: Viewer) -> Response:
    """Tell how far a job has come."""
    question = JobQuestion(job=job_id, seen=caller.jobs)
    told = await services_of(request).read(lambda asking: _one(asking, question))
    return answered({"id": told["id"], "status": told["status"]})


@jobs_router.get(
    "/experiments/{experiment_id}/jobs/{job_id}/status", responses=described(STATUS, 404)
)
async def dioptra_get_job_status_in_experiment(
    request: Request, experiment_id: ExperimentId, job_id: JobId, caller: Viewer
) -> Response:
    """Tell how far a job of an experiment has come."""
    question = JobQuestion(experiment=experiment_id, job=job_id, seen=caller.jobs)
    told = await services_of(request).read(lambda asking: _one(asking, question))
    return answered({"id": told["id"], "status": told["status"]})


@jobs_router.put(
    "/experiments/{experiment_id}/jobs/{job_id}/status",
    responses=described(STATUS, 404),
    openapi_extra=body_of(STATUS_BODY),
)
async def dioptra_set_job_status(
    request: Request, experiment_id: ExperimentId, job_id: JobId, caller: Editor
) -> Response:
    """Give a job that was made its next status."""
    status = new_status(await fields_of(request, tuple(STATUS_BODY["properties"])))
    _check_seen(caller, experiment_id, job_id)
    now = await services_of(request).write(
        caller.username, lambda writing: set_status(writing, experiment_id, job_id, status)
    )
    return answered({"id": json_id(job_id), "status": now})


def _check_seen(caller: Caller, experiment_id: str, job_id: str) -> None:
    if not caller.sees_job(job_id):
        msg = f"no job {job_id[:80]} was made in experiment {experiment_id[:80]}"
        raise NotFoundError(msg)


def _one(asking: Asking, question: JobQuestion) -> dict[str, object]:
    _, found = known_jobs(asking.cursor, question)
    if not found:
        msg = f"there is no job {(question.job or '')[:80]}"
        raise NotFoundError(msg)
    names = experiment_names(asking.cursor, {one.experiment for one in found if one.experiment})
    return job_json(found[0], names)


def _listed(asking: Asking, question: JobQuestion, link: PageLink) -> dict[str, object]:
    total, found = known_jobs(asking.cursor, question)
    names = experiment_names(asking.cursor, {one.experiment for one in found if one.experiment})
    told = [job_json(one, names) for one in found]
    return entries(question.start, question.length, total, link, told)
