"""The routes: metrics of a job and its active model, recomputes, what a key may do, and health.

All of them under `/api/v2`. The answer about a job and its model has the document's nested shape,
and beside it the flat fields that newer clients look for. What a user may not see, a job with any
model that is hidden included, answers like what does not exist.
"""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.refresh import Recompute, States
from connectors.rest.app import Room
from connectors.rest.arcanna.faults import NOT_FOUND, absent_model, render
from connectors.rest.arcanna.questions import asked, asked_of_model
from connectors.rest.arcanna.shapes import (
    BOTH,
    HEALTH,
    JOB,
    MODEL,
    MODEL_QUERY,
    RECOMPUTE,
    SCOPES,
    described,
)
from connectors.rest.arcanna.waiting import answered, begun, latest_within
from connectors.rest.auth import Caller, Editor, Viewer
from connectors.rest.faults import Fault, contract_route
from connectors.rest.services import services_of
from engine.asking import first
from engine.errors import NotFoundError
from engine.jobs.answers import instant, model_answer
from engine.jobs.deployments import JobModels, job_models
from engine.jobs.model_metrics import ModelMetrics

__all__ = ["ROOM"]

_PREFIX = "/api/v2"
_READ, _RECOMPUTE = "read:job_metrics", "execute:recompute_model_metrics"
_EARLIER = "SELECT answer FROM model_metrics_log WHERE job_id = $job AND model_id = $model"
# Of a model whose metrics were never computed, and take longer than one may wait.
_NEVER: dict[str, Any] = {
    "last_recomputed_timestamp": None,
    "confusion_matrix": None,
    **dict.fromkeys(
        ("overall_accuracy", "overall_f1_score", "overall_recall", "overall_precision")
    ),
    "metrics_per_decision": {},
}
_MESSAGES = {
    States.QUEUED: "Metrics recomputation initiated successfully",
    States.IN_PROGRESS: "Metrics recomputation is in progress",
    States.COMPLETED: "Metrics are up to date",
    States.FAILED: "Metrics recomputation failed",
}

_router = APIRouter(route_class=contract_route(render), tags=["Arcanna"])


@_router.post(f"{_PREFIX}/metrics/job_and_latest_model", **described(BOTH, wait=True, body=True))
async def arcanna_job_and_latest_model(request: Request, caller: Viewer) -> Response:
    """Tell the metrics of a job and of its active model, which are recomputed for it."""
    question = await asked(request)
    await _visible(request, caller, question.job_id, active=True)
    services = services_of(request)
    latest = await latest_within(services, question.job_id, question.timeout_s)
    told = await answered(services, "job_and_latest_model", question.arguments, latest)
    return Response(told, media_type="application/json")


@_router.post(f"{_PREFIX}/metrics/job", **described(JOB, wait=True, body=True))
async def arcanna_job(request: Request, caller: Viewer) -> Response:
    """Tell the metrics of a job alone; a job without an active model has some, too."""
    question = await asked(request)
    await _visible(request, caller, question.job_id)
    services = services_of(request)
    latest = await latest_within(services, question.job_id, question.timeout_s)
    told = await answered(services, "job", question.arguments, latest)
    return Response(told, media_type="application/json")


@_router.get(f"{_PREFIX}/metrics/model", **described(MODEL, wait=True, query=MODEL_QUERY))
async def arcanna_model(request: Request, caller: Viewer) -> Response:
    """Tell the metrics of a job's active model; of an earlier one those that were last known."""
    question, model_id = asked_of_model(request, required=False)
    found = await _visible(request, caller, question.job_id, active=model_id is None)
    services = services_of(request)
    active = None if found.active is None else found.active.model_id
    if model_id is not None and model_id != active:
        return _json(await _earlier(request, question.job_id, model_id))
    latest = await latest_within(services, question.job_id, question.timeout_s)
    known, recomputing = latest.given()
    if known is None or known.model_id != (active or known.model_id):
        return _json({**_NEVER, "model_id": active, "is_recomputing_metrics": recomputing})
    return _json(model_answer(known, recomputing=recomputing))


@_router.post(
    f"{_PREFIX}/metrics/model/request_recompute_metrics",
    **described(RECOMPUTE, query=MODEL_QUERY, required=("model_id",)),
)
async def arcanna_request_recompute(request: Request, caller: Editor) -> Response:
    """Have the metrics of a job's active model recomputed, beside everything else."""
    job_id, model_id = await _active(request, caller)
    recomputes = services_of(request).recomputes
    recompute = await begun(lambda: recomputes.request(job_id))
    return _json(_told(request, recompute, model_id))


@_router.get(
    f"{_PREFIX}/metrics/model/request_recompute_metrics",
    **described(RECOMPUTE, query=MODEL_QUERY, required=("model_id",)),
)
async def arcanna_recompute_status(request: Request, caller: Viewer) -> Response:
    """Tell how the last recompute of a job's active model is."""
    job_id, model_id = await _active(request, caller)
    recompute = services_of(request).recomputes.status(job_id)
    if recompute is None:
        raise absent_model(model_id, job_id, "was not recomputed for")
    return _json(_told(request, recompute, model_id))


@_router.get(f"{_PREFIX}/token/scopes", **described(SCOPES, query=()))
async def arcanna_token_scopes(caller: Viewer) -> Response:
    """Tell what the key may do, of what there is to do here."""
    return _json([_READ, _RECOMPUTE] if caller.is_at_least("editor") else [_READ])


@_router.get(f"{_PREFIX}/health", include_in_schema=False)
@_router.get(f"{_PREFIX}/health/", **described(HEALTH, query=(), open_to_all=True))
async def arcanna_health(request: Request) -> Response:
    """Tell whether the run goes on."""
    if services_of(request).state.fault is None:
        return _json({"status": "OK", "reason": "", "reason_details": ""})
    raise Fault(503, "the run has ended with a fault")


# ---- who may see what ------------------------------------------------------------------------


async def _visible(
    request: Request, caller: Caller, job_id: str, *, active: bool = False
) -> JobModels:
    """Give the models of a job that exists for a user; `active`: one of them must be."""
    if caller.sees_job(job_id):
        found = await services_of(request).read(lambda asking: job_models(asking.cursor, job_id))
        seen = bool(found.models) and all(map(caller.sees_model, found.models))
        if seen and not (active and found.active is None):
            return found
    raise NotFoundError(NOT_FOUND)


async def _active(request: Request, caller: Caller) -> tuple[str, str]:
    """Give the job and the model of a request, which must be the active one."""
    question, model_id = asked_of_model(request, required=True)
    job_id, asked_for = question.job_id, str(model_id)
    try:
        found = await _visible(request, caller, job_id)
    except NotFoundError:
        raise absent_model(asked_for, job_id) from None
    if found.active is None or found.active.model_id != asked_for:
        known = asked_for in found.models
        raise absent_model(
            asked_for, job_id, "is not the active one of" if known else "not found for"
        )
    return job_id, asked_for


async def _earlier(request: Request, job_id: str, model_id: str) -> dict[str, Any]:
    values = {"job": job_id, "model": model_id}
    row = await services_of(request).read(lambda asking: first(asking.cursor, _EARLIER, values))
    if row is None:
        raise absent_model(model_id, job_id)
    return model_answer(ModelMetrics.from_json(row[0]), recomputing=False)


# ---- answers ---------------------------------------------------------------------------------


def _told(request: Request, recompute: Recompute, model_id: str) -> dict[str, Any]:
    question, _ = asked_of_model(request, required=True)
    return {
        "message": _MESSAGES[recompute.status],
        "job_id": question.arguments["job_id"],
        "model_id": model_id,
        "status": recompute.status,
        "requested_at": instant(recompute.requested_us),
        **({} if recompute.error is None else {"error": recompute.error}),
    }


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


ROOM: Room = ((_PREFIX,), _router, render)
