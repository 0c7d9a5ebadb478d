"""All own endpoints as one room."""

from fastapi import APIRouter

from connectors.rest.app import Room
from connectors.rest.faults import contract_route
from connectors.rest.own.docs import DOCS
from connectors.rest.own.events import EVENTS
from connectors.rest.own.health import HEALTH
from connectors.rest.own.inforce import IN_FORCE
from connectors.rest.own.prometheus import PROMETHEUS
from connectors.rest.own.shapes import render
from connectors.rest.own.sql import SQL

__all__ = ["ROOM", "render"]

_router = APIRouter(route_class=contract_route(render))
for _each in (EVENTS, SQL, IN_FORCE, HEALTH, PROMETHEUS, DOCS):
    _router.include_router(_each)

ROOM: Room = (
    ("/events", "/sql", "/config", "/changes", "/health", "/ready", "/metrics", "/docs"),
    _router,
    render,
)
