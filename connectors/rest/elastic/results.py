"""The routes of results: buckets, records, influencers, and overall buckets of several jobs.

GET as the document has it, POST as the published clients call it; options in the body, the query
string or both (`connectors.rest.elastic.options`). `start` is the first instant that counts, `end`
the first that does not (ELi-24). A viewer may ask all of this (EL-03).
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Caller, Viewer
from connectors.rest.elastic.answers import answer, render
from connectors.rest.elastic.options import flag, options_of
from connectors.rest.elastic.own_names import has_own_names, shown
from connectors.rest.elastic.schemas import BODY_OPTIONS, described, listed
from connectors.rest.elastic.sight import check_seen, seen
from connectors.rest.elastic.wildcards import jobs_meant
from connectors.rest.faults import contract_route
from connectors.rest.services import services_of
from engine.anomaly.queries.bucket_parameters import (
    influencer_parameters_of,
    overall_parameters_of,
    parameters_of,
    record_parameters_of,
)
from engine.anomaly.queries.bucket_query import buckets
from engine.anomaly.queries.overall_query import overall_buckets
from engine.anomaly.queries.record_answers import influencers, records
from engine.config import AnomalyJobSettings

__all__ = ["ROUTER"]

ROUTER = APIRouter(route_class=contract_route(render), tags=["Elasticsearch: results"])

_JOB = "/_ml/anomaly_detectors/{job_id}/results"
_PAGED = ("desc", "end", "exclude_interim", "from", "page", "size", "sort", "start")
_BUCKETS = ("anomaly_score", "expand", *_PAGED)
_RECORDS = ("record_score", *_PAGED)
_INFLUENCERS = ("influencer_score", *_PAGED)
_OVERALL = (
    *("allow_no_match", "bucket_span", "end", "exclude_interim", "overall_score", "start", "top_n"),
)


async def get_buckets(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give the buckets of a job: a chronological view of what was found in it."""
    return await _buckets(job_id, None, request, caller)


async def get_bucket(job_id: str, timestamp: str, request: Request, caller: Viewer) -> Response:
    """Give the one bucket of a job that begins at a time."""
    return await _buckets(job_id, timestamp, request, caller)


async def _buckets(
    job_id: str, timestamp: str | None, request: Request, caller: Caller
) -> Response:
    parameters = parameters_of(options_of(request, await request.body(), _BUCKETS))
    return await _answered(
        job_id, request, caller, lambda a: buckets(a.cursor, job_id, parameters, timestamp)
    )


async def get_records(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give the records of a job: what was unusual, and how it should have been."""
    parameters = record_parameters_of(options_of(request, await request.body(), _RECORDS))
    return await _answered(job_id, request, caller, lambda a: records(a.cursor, job_id, parameters))


async def get_influencers(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give the influencers of a job: the values that had to do with what was unusual."""
    told = options_of(request, await request.body(), _INFLUENCERS)
    parameters = influencer_parameters_of(told)
    return await _answered(
        job_id, request, caller, lambda a: influencers(a.cursor, job_id, parameters)
    )


async def get_overall_buckets(job_id: str, request: Request, caller: Viewer) -> Response:
    """Give how unusual spans of time were over several jobs (ELi-10).

    `job_id` may be ids, groups and patterns with commas between them, or `_all`.
    """
    services = services_of(request)
    told = options_of(request, await request.body(), _OVERALL)
    allow = flag(told, "allow_no_match", default=True)
    told.pop("allow_no_match", None)
    parameters = overall_parameters_of(told)
    known = seen(caller, services.gate.configured.settings.anomaly_jobs)
    meant = jobs_meant(job_id, _groups(known), allow_no_match=allow)
    found = await services.read(
        lambda asking: (
            overall_buckets(asking.cursor, meant, parameters)
            if meant
            else {"count": 0, "overall_buckets": []}
        )
    )
    return answer(request, found)


def _groups(jobs: Mapping[str, AnomalyJobSettings]) -> dict[str, tuple[str, ...]]:
    return {job_id: job.groups for job_id, job in jobs.items()}


async def _answered(
    job_id: str, request: Request, caller: Caller, query: Callable[[Asking], Any]
) -> Response:
    """Answer a query about one job, if it exists for the caller."""

    def asked(asking: Asking) -> Any:
        check_seen(asking.cursor, caller, job_id)
        return query(asking)

    services = services_of(request)
    found = await services.read(asked)
    jobs = services.gate.configured.settings.anomaly_jobs
    if any(job.job_id == job_id and has_own_names(job) for job in jobs):
        found = shown(found)
    return answer(request, found)


def _add(
    path: str,
    route: Callable[..., Any],
    name: str,
    names: tuple[str, ...],
    list_name: str,
) -> None:
    options = {option: BODY_OPTIONS[option] for option in names}
    body = {"type": "object", "properties": options, "additionalProperties": False}
    for method in ("GET", "POST"):
        told = described(
            f"elastic_{method.lower()}_{name}",
            listed(list_name),
            query={key: schema for key, schema in options.items() if key != "page"},
            body=body,
        )
        ROUTER.add_api_route(f"{_JOB}/{path}", route, methods=[method], **told)


_add("buckets", get_buckets, "buckets", _BUCKETS, "buckets")
_add("buckets/{timestamp}", get_bucket, "bucket", _BUCKETS, "buckets")
_add("records", get_records, "records", _RECORDS, "records")
_add("influencers", get_influencers, "influencers", _INFLUENCERS, "influencers")
_add("overall_buckets", get_overall_buckets, "overall_buckets", _OVERALL, "overall_buckets")
