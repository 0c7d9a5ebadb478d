"""Dioptra's contract: metrics of jobs by step, experiments and jobs, login (`/api/v1`)."""

from fastapi import APIRouter

from connectors.rest.app import Room
from connectors.rest.dioptra.experiments import experiments_router
from connectors.rest.dioptra.jobs import jobs_router
from connectors.rest.dioptra.login import login_router
from connectors.rest.dioptra.metrics import metrics_router
from connectors.rest.dioptra.shared import PREFIX, render

__all__ = ["ROOM"]

_ROUTER = APIRouter()
for each in (login_router, metrics_router, experiments_router, jobs_router):
    _ROUTER.include_router(each)

ROOM: Room = ((PREFIX,), _ROUTER, render)
