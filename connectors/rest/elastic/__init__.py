"""The room of Elasticsearch's contract on anomaly detection jobs and their results."""

from fastapi import APIRouter

from connectors.rest.app import Room
from connectors.rest.elastic import data, info, jobs, results
from connectors.rest.elastic.answers import render

__all__ = ["ROOM"]


def _router() -> APIRouter:
    router = APIRouter()
    for each in (results, data, jobs, info):
        router.include_router(each.ROUTER)
    return router


ROOM: Room = (("/_ml",), _router(), render)
"""Its prefix, its routes, and how it tells faults."""
