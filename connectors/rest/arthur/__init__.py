"""The room of the contract on alert rules and metrics, as the Arthur clients speak it."""

from connectors.rest.app import Room
from connectors.rest.arthur import (
    alert_rules,
    alerts,
    batches,
    inferences,
    metrics,
    models,
    notifications,
    queries,
    reference,
    users,
)
from connectors.rest.arthur.shared import BARE, PREFIXES, assembled, render

__all__ = ["ROOM"]

# `models` is the last: its `GET /models/{model_id}` takes whatever no other route does.
_MODULES = (
    *(users, metrics, alert_rules, alerts, notifications),
    *(queries, inferences, batches, reference, models),
)

ROOM: Room = (
    (*(prefix for prefix in PREFIXES if prefix), *BARE),
    assembled([module.router for module in _MODULES]),
    render,
)
"""Its prefixes, routes and faults."""
