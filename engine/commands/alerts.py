"""The life of an alert after it was given: new, then acknowledged, then resolved."""

from collections.abc import Sequence

from engine.asking import first, number
from engine.changes import Writing
from engine.errors import ConflictError, NotFoundError, QueryError

__all__ = ["ALERT_STATUSES", "set_alert_status", "set_status_of_rule"]

ALERT_STATUSES = ("acknowledged", "resolved")
"""What somebody can make of an alert; it begins as ``new``."""


def set_alert_status(
    writing: Writing, alert_id: str, status: object, visible: Sequence[str] | None
) -> None:
    """Say of an alert that somebody knows of it, or that it is done with.

    Parameters
    ----------
    status : object
        One of `ALERT_STATUSES`; the one that it has already changes nothing.
    visible : sequence of str or None
        The models that there are for the one who asks.

    Raises
    ------
    NotFoundError
        There is no such alert for the one who asks.
    QueryError
        The status is none.
    ConflictError
        The alert is resolved already.
    """
    row = first(
        writing.cursor,
        "SELECT status, model_id FROM alerts_log WHERE alert_id = $alert",
        {"alert": alert_id},
    )
    if row is None or (visible is not None and row[1] not in visible):
        msg = f"`alert_id` must be the id of an alert, got {alert_id}"
        raise NotFoundError(msg)
    wanted = _status(status)
    if row[0] == "resolved" and wanted != "resolved":
        msg = f"`status` must be resolved, as the alert is, got {wanted}"
        raise ConflictError(msg)
    if row[0] != wanted:
        writing.cursor.execute(
            "UPDATE alerts_log SET status = $status WHERE alert_id = $alert",
            {"status": wanted, "alert": alert_id},
        )


def set_status_of_rule(writing: Writing, model_id: str, rule_id: str, status: object) -> int:
    """Say the same of all alerts of a rule that have not come as far; gives how many those are.

    Raises
    ------
    QueryError
        The status is none.
    """
    wanted = _status(status)
    before = ["new"] if wanted == "acknowledged" else ["new", "acknowledged"]
    bound: dict[str, object] = {"rule": rule_id, "model": model_id, "before": before}
    where = "rule_id = $rule AND model_id = $model AND list_contains($before, status)"
    found = number(writing.cursor, f"SELECT count(*) FROM alerts_log WHERE {where}", bound)
    writing.cursor.execute(
        f"UPDATE alerts_log SET status = $status WHERE {where}", {**bound, "status": wanted}
    )
    return found


def _status(status: object) -> str:
    if isinstance(status, str) and status in ALERT_STATUSES:
        return status
    msg = f"`status` must be {' or '.join(ALERT_STATUSES)}, got {str(status)[:100]}"
    raise QueryError(msg)
