"""The routes of the life of anomaly jobs: made, told of, changed, opened, closed, deleted.

A job over REST watches what is posted to it, or what `custom_settings.bellwether` says
(`connectors.rest.elastic.bodies`). An editor may change jobs, a viewer may ask. Closing takes no
time, so `force` and `timeout` of it and `timeout` of opening change nothing; deleting is done when
it is answered, and takes everything with it, so `wait_for_completion` and `delete_user_annotations`
must be true. Datafeeds, calendars, filters, forecasts, categories and model snapshots have no
routes: the configuration file and the command line have what there is of them.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.elastic.answers import ElasticFault, answer, render
from connectors.rest.elastic.bodies import definition_of, revised
from connectors.rest.elastic.documents import job_document, stats_document
from connectors.rest.elastic.options import body_of, flag, options_of, query_of
from connectors.rest.elastic.schemas import (
    ALLOW_NO_MATCH,
    Schema,
    acknowledged,
    described,
    job_body,
    listed,
    update_body,
)
from connectors.rest.elastic.sight import seen, sees
from connectors.rest.elastic.wildcards import jobs_meant
from connectors.rest.faults import Fault, contract_route
from connectors.rest.services import services_of
from engine.anomaly.queries.job_standing import standings
from engine.commands.anomaly_jobs import (
    Sees,
    close_jobs,
    delete_job,
    make_job,
    open_job,
    update_job,
)
from engine.config import AnomalyJobSettings
from engine.errors import ConflictError

__all__ = ["ROUTER"]

ROUTER = APIRouter(route_class=contract_route(render), tags=["Elasticsearch: jobs"])

_JOBS = "/_ml/anomaly_detectors"
_JOB = _JOBS + "/{job_id}"
_FLAG: Schema = {"type": "boolean"}
_TRUE: Schema = {"type": "boolean", "enum": [True]}
_TIMEOUT: Schema = {"type": "string"}
_OF_DELETE = {"force": _FLAG, "wait_for_completion": _TRUE, "delete_user_annotations": _TRUE}
_OF_CLOSE = {"allow_no_match": ALLOW_NO_MATCH, "force": _FLAG, "timeout": _TIMEOUT}
_OF_GET = {"allow_no_match": ALLOW_NO_MATCH, "exclude_generated": _FLAG}


# ---- asked -----------------------------------------------------------------------------------


@ROUTER.get(_JOBS, **described("elastic_get_all_jobs", listed("jobs"), query=_OF_GET))
async def get_all_jobs(request: Request, caller: Viewer) -> Response:
    """Give all jobs."""
    return await _told(request, caller, "", _documents)


@ROUTER.get(
    f"{_JOBS}/_stats",
    **described(
        "elastic_get_all_job_stats", listed("jobs"), query={"allow_no_match": ALLOW_NO_MATCH}
    ),
)
async def get_all_job_stats(request: Request, caller: Viewer) -> Response:
    """Give how all jobs are getting on."""
    return await _told(request, caller, "", _stats)


@ROUTER.get(_JOB, **described("elastic_get_jobs", listed("jobs"), query=_OF_GET))
async def get_jobs(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give jobs by ids, groups and patterns, with commas between them."""
    return await _told(request, caller, job_id, _documents)


@ROUTER.get(
    f"{_JOB}/_stats",
    **described("elastic_get_job_stats", listed("jobs"), query={"allow_no_match": ALLOW_NO_MATCH}),
)
async def get_job_stats(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give how jobs are getting on, by ids, groups and patterns."""
    return await _told(request, caller, job_id, _stats)


_Tell = Callable[[Request, list[AnomalyJobSettings]], Any]


async def _told(request: Request, caller: Caller, expression: str, tell: _Tell) -> Response:
    told = query_of(request, tuple(_OF_GET) if tell is _documents else ("allow_no_match",))
    allow = flag(told, "allow_no_match", default=True)
    flag(told, "exclude_generated", default=False)  # a fault of it comes before anything else
    known = seen(caller, services_of(request).gate.configured.settings.anomaly_jobs)
    meant = jobs_meant(
        expression, {name: job.groups for name, job in known.items()}, allow_no_match=allow
    )
    jobs = await tell(request, [known[job_id] for job_id in meant])
    return answer(request, {"count": len(jobs), "jobs": jobs})


async def _documents(request: Request, jobs: list[AnomalyJobSettings]) -> list[dict[str, Any]]:
    generated = not flag(dict(request.query_params), "exclude_generated", default=False)
    job_ids = [job.job_id for job in jobs]
    found = await services_of(request).read(lambda asking: standings(asking.cursor, job_ids))
    return [job_document(job, found[job.job_id].made_ms, generated=generated) for job in jobs]


async def _stats(request: Request, jobs: list[AnomalyJobSettings]) -> list[dict[str, Any]]:
    job_ids = [job.job_id for job in jobs]
    found = await services_of(request).read(
        lambda asking: standings(asking.cursor, job_ids, stats=True)
    )
    return [stats_document(job_id, found[job_id]) for job_id in job_ids]


# ---- changed ---------------------------------------------------------------------------------


@ROUTER.put(
    _JOB,
    **described("elastic_put_job", {"type": "object"}, body=job_body(), body_required=True),
)
async def put_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Make a job; it is closed."""
    query_of(request)
    definition = definition_of(job_id, body_of(await request.body()))
    services = services_of(request)
    try:
        job, now_us = await services.write(
            caller.username,
            lambda writing: (
                make_job(writing, job_id, definition, _sight(caller)),
                writing.now_us,
            ),
        )
    except ConflictError as error:
        kind = "resource_already_exists_exception"
        raise ElasticFault(400, str(error), type=kind) from error
    return answer(request, job_document(job, now_us // 1_000))


@ROUTER.post(
    f"{_JOB}/_update", **described("elastic_update_job", {"type": "object"}, body=update_body())
)
async def change_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Change what may be changed of a job.

    Custom rules, the memory limit and the window of renormalisation decide its results: where they
    change it begins anew with the stored events.
    """
    query_of(request)
    body = body_of(await request.body())
    services = services_of(request)
    job = await services.write(
        caller.username,
        lambda writing: update_job(
            writing, job_id, lambda definition: revised(definition, body), _sight(caller)
        ),
    )
    found = await services.read(lambda asking: standings(asking.cursor, [job_id]))
    return answer(request, job_document(job, found[job_id].made_ms))


@ROUTER.delete(
    _JOB, **described("elastic_delete_job", acknowledged("acknowledged"), query=_OF_DELETE)
)
async def remove_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Delete a job with all that it has learned and found; the events that it saw stay."""
    told = query_of(request, tuple(_OF_DELETE))
    force = flag(told, "force", default=False)
    for name in ("wait_for_completion", "delete_user_annotations"):
        if not flag(told, name, default=True):
            msg = f"`{name}` must be true: nothing of a job is left when this is answered"
            raise Fault(400, msg)
    await services_of(request).write(
        caller.username,
        lambda writing: delete_job(writing, job_id, _sight(caller), force=force),
    )
    return answer(request, {"acknowledged": True})


@ROUTER.post(
    f"{_JOB}/_open",
    **described(
        "elastic_open_job",
        acknowledged("opened"),
        query={"timeout": _TIMEOUT},
        body={"type": "object", "properties": {"timeout": _TIMEOUT}},
    ),
)
async def start_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Let a job take in posted records."""
    options_of(request, await request.body(), ("timeout",))
    await services_of(request).write(
        caller.username, lambda writing: open_job(writing, job_id, _sight(caller))
    )
    return answer(request, {"opened": True, "node": ""})


@ROUTER.post(
    f"{_JOB}/_close",
    **described(
        "elastic_close_job",
        acknowledged("closed"),
        query=_OF_CLOSE,
        body={"type": "object", "properties": _OF_CLOSE},
    ),
)
async def end_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Let jobs take in no more posted records.

    No result changes by it: a bucket that is open stays so, until a later record comes after the
    job was opened again; of a job of another model it closes by the watermark, as ever.
    """
    told = options_of(request, await request.body(), tuple(_OF_CLOSE))
    allow = flag(told, "allow_no_match", default=True)
    flag(told, "force", default=False)
    services = services_of(request)
    known = seen(caller, services.gate.configured.settings.anomaly_jobs)
    meant = jobs_meant(
        job_id, {name: job.groups for name, job in known.items()}, allow_no_match=allow
    )
    if meant:
        await services.write(
            caller.username, lambda writing: close_jobs(writing, meant, _sight(caller))
        )
    return answer(request, {"closed": True})


def _sight(caller: Caller) -> Sees:
    return lambda job_id, model_id: sees(caller, job_id, model_id)
