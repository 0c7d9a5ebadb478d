"""Notifications as values: who is told of which model's alerts, and the mail that tells it.

`engine.outbox` keeps them in the store, `connectors.mail` writes them out.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid3

from engine.config import NotificationSettings

__all__ = ["Group", "MailedAlert", "Outcome", "configuration_id"]

_CONFIGURATIONS = UUID("5a0c1b7e-6d0f-3f0b-9a55-0f6d7c0b9e21")  # never to change


@dataclass(frozen=True, slots=True)
class MailedAlert:
    """One alert as a mail tells it: columns of `alerts` (DESIGN §9); times UTC, without zone."""

    alert_id: str
    rule_id: str
    rule_version: int
    model_id: str
    rule_name: str
    group_value: str | None
    severity: str
    bound: str
    threshold: float | None
    metric_value: float | None
    sample_count: int | None
    window_start: datetime | None
    window_end: datetime | None
    triggered_time: datetime
    suppressed_since: datetime | None
    message: str
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """One mail to be sent.

    Attributes
    ----------
    message_id : str
        ``<group_id@domain>``, the domain as it was when the group was made.
    grouped_time : datetime
        UTC; the date of the mail, the same in every attempt.
    attempt : int
        From 1: the number of the attempt that comes next.
    """

    group_id: str
    destination: str
    message_id: str
    grouped_time: datetime
    attempt: int
    alerts: tuple[MailedAlert, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt: `status` is ``sent``, ``retry``, ``parked`` or ``printed``."""

    group_id: str
    attempt: int
    status: str
    reason: str | None = None


def configuration_id(configuration: NotificationSettings) -> str:
    """Give the id of a configuration: of its user, model and type, as the address may change."""
    parts = (configuration.user, configuration.model, configuration.type)
    return str(uuid3(_CONFIGURATIONS, "\0".join(parts)))
