"""The outbox: which alerts are to be mailed to whom, and how far each mail has come.

A notification is one alert for one configuration (AR-19). It goes through these states::

    pending --group--> grouped --record--> sent      the mail server has taken it
                          |  ^             parked    it never will; the reason is in `last_error`
                          +--+ retry       printed   a dry run has shown it instead

What is pending for one destination becomes one mail: a group, whose id and Message-ID follow from
its notifications and are stored before the first attempt. So a mail that is sent again, after a
fault or after the process was killed, is the same mail with the same Message-ID.

Everything here works on the owner's cursor inside the owner's transaction, where the alerts are
written too. Times are wall clock, as the caller reads it; `alerts_log` must keep the alerts of
open notifications.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

import duckdb
import pyarrow as pa

from engine.asking import first, number
from engine.config import NotificationSettings
from engine.notifications import Group, MailedAlert, Outcome, configuration_id
from engine.panes import quoted

__all__ = [
    "ALERTS_A_MAIL_MAX",
    "BACK_OFF_MAX_US",
    "OUTBOX_TABLES",
    "Waiting",
    "due",
    "enqueue",
    "group",
    "record",
    "resume",
    "waiting",
]

ALERTS_A_MAIL_MAX = 200
BACK_OFF_MAX_US = 600 * 1_000_000

OUTBOX_TABLES: dict[str, str] = {
    "notifications_log": """
        notification_id VARCHAR NOT NULL,     -- follows from alert and configuration
        alert_id VARCHAR NOT NULL, configuration_id VARCHAR NOT NULL,
        destination VARCHAR NOT NULL,         -- address at the time of the alert
        status VARCHAR NOT NULL,              -- pending, grouped, sent, parked or printed
        attempts INTEGER NOT NULL, last_error VARCHAR,
        created_time TIMESTAMP NOT NULL,      -- this and the times below: wall clock
        group_id VARCHAR, message_id VARCHAR, -- of the mail; NULL: pending
        grouped_time TIMESTAMP,
        next_attempt TIMESTAMP,               -- NULL unless grouped
        sent_time TIMESTAMP""",
}

_NOTIFICATIONS = UUID("c2f4b9d0-18a3-3c6e-b7f1-7d5e2a94c836")  # never to change


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is open: notifications by state, the oldest pending one, the next attempt; µs."""

    pending: int
    grouped: int
    oldest_us: int | None
    next_us: int | None


# RFC 9562 version 3 in SQL: MD5 with the version and variant bits set.
_NOTIFICATION_ID = """(
    substr(@md5@, 1, 12) || '3' || substr(@md5@, 14, 3)
    || translate(substr(@md5@, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')
    || substr(@md5@, 18)
)::uuid::varchar""".replace(
    "@md5@",
    f"md5(from_hex('{_NOTIFICATIONS.hex}') || encode(alert_id || chr(0) || configuration_id))",
)

# The filter by alert_id spares a hash of all that was ever sent.
_ENQUEUE = f"""
WITH wanted AS MATERIALIZED (
    SELECT {_NOTIFICATION_ID} AS notification_id, alert_id, configuration_id, destination
    FROM (SELECT DISTINCT alert_id::VARCHAR AS alert_id, model_id FROM b_alerts)
    JOIN b_configurations USING (model_id)
), known AS (
    SELECT notification_id FROM notifications_log
    WHERE alert_id IN (SELECT alert_id FROM wanted)
)
INSERT INTO notifications_log BY NAME
SELECT *, 'pending' AS status, 0 AS attempts, make_timestamp($now_us) AS created_time
FROM wanted ANTI JOIN known USING (notification_id)
"""


def enqueue(
    cursor: duckdb.DuckDBPyConnection,
    configurations: Sequence[NotificationSettings],
    alerts: pa.Table,
    now_us: int,
) -> int:
    """Put alerts just written into the outbox, for every enabled configuration of their model.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside the transaction that holds the alerts.
    configurations : sequence of NotificationSettings
        Of two with one user, model and type the first counts.
    alerts : pa.Table
        Columns alert_id, model_id.
    now_us : int
        Wall clock, µs.

    Returns
    -------
    int
        Notifications added; one that is there already is left as it is.
    """
    models = set(alerts.column("model_id").unique().to_pylist())
    found = {configuration_id(c): c for c in reversed(configurations) if c.model in models}
    enabled = {key: c for key, c in found.items() if c.enabled}
    if not enabled:
        return 0
    table = pa.table(
        {
            "configuration_id": pa.array(enabled, pa.string()),
            "model_id": pa.array([c.model for c in enabled.values()], pa.string()),
            "destination": pa.array([c.destination for c in enabled.values()], pa.string()),
        }
    )
    cursor.register("b_alerts", alerts)
    cursor.register("b_configurations", table)
    try:
        return number(cursor, _ENQUEUE, {"now_us": now_us})
    finally:
        cursor.unregister("b_alerts")
        cursor.unregister("b_configurations")


# A clock that was set back must not hold a mail for as long: what was created in the future is due.
_GROUP = f"""
WITH candidates AS (
    SELECT notification_id, alert_id, destination, created_time
    FROM notifications_log WHERE status = 'pending'
), ripe AS (
    SELECT destination FROM candidates GROUP BY destination
    HAVING min(created_time) <= make_timestamp($now_us - $join_us)
        OR max(created_time) > make_timestamp($now_us + $join_us)
), placed AS (
    SELECT notification_id, destination, (dense_rank() OVER (
        PARTITION BY destination ORDER BY created_time, alert_id
    ) - 1) // {ALERTS_A_MAIL_MAX} AS part
    FROM candidates SEMI JOIN ripe USING (destination)
), members AS (
    SELECT unnest(list(notification_id)) AS notification_id,
        md5(string_agg(notification_id, ',' ORDER BY notification_id)) AS group_id
    FROM placed GROUP BY destination, part
)
UPDATE notifications_log AS n
SET status = 'grouped', group_id = m.group_id,
    message_id = '<' || m.group_id || '@' || $domain || '>',
    grouped_time = make_timestamp($now_us), next_attempt = make_timestamp($now_us)
FROM members AS m
WHERE n.status = 'pending' AND n.notification_id = m.notification_id
"""


def group(cursor: duckdb.DuckDBPyConnection, now_us: int, join_us: int, domain: str) -> int:
    """Join what is pending of each destination into mails, `join_us` after the oldest of it.

    A mail holds at most `ALERTS_A_MAIL_MAX` alerts. The owner commits before `due` gives the
    groups to the mailer.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        As for `enqueue`.
    now_us, join_us : int
        Wall clock and time to wait for more, µs; 0 joins all that is there.
    domain : str
        Right-hand side of the Message-ID.

    Returns
    -------
    int
        Notifications that were grouped.
    """
    values = {"now_us": now_us, "join_us": join_us, "domain": domain}
    return number(cursor, _GROUP, values)


_COLUMNS = ", ".join(f"a.{quoted(column.name)}" for column in fields(MailedAlert))
# As for pending ones, an attempt that lies further ahead than any back-off is due: the clock moved.
_DUE = f"""
WITH mails AS (
    SELECT group_id, min(next_attempt) AS next_attempt FROM notifications_log
    WHERE status = 'grouped' AND (next_attempt <= make_timestamp($now_us)
        OR next_attempt > make_timestamp($now_us + $far_us))
        AND NOT list_contains($busy::VARCHAR[], group_id)
    GROUP BY group_id ORDER BY next_attempt, group_id LIMIT $most
), members AS (
    SELECT DISTINCT group_id, destination, message_id, grouped_time, attempts + 1 AS attempt,
        alert_id, mails.next_attempt
    FROM notifications_log JOIN mails USING (group_id) WHERE status = 'grouped'
)
SELECT m.group_id, m.destination, m.message_id, m.grouped_time, m.attempt, {_COLUMNS}
FROM members AS m JOIN alerts_log AS a ON a.alert_id = m.alert_id
ORDER BY m.next_attempt, m.group_id, a.triggered_time, a.model_id, a.rule_name, a.group_value,
    a.alert_id
"""


def due(
    cursor: duckdb.DuckDBPyConnection,
    now_us: int,
    busy: Collection[str] = (),
    most: int = 100,
    far_us: int = BACK_OFF_MAX_US,
) -> list[Group]:
    """Give the mails whose attempt has come, those that have waited longest first.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        As for `enqueue`; what it gives may be sent once the transaction is committed.
    now_us : int
        Wall clock, µs.
    busy : collection of str
        Ids of groups that are with the mailer.
    most : int
        How many at most.
    far_us : int
        The longest back-off in use.
    """
    values = {"now_us": now_us, "busy": list(busy), "most": most, "far_us": far_us}
    found: dict[tuple[str, str, str, datetime, int], list[MailedAlert]] = {}
    for row in cursor.execute(_DUE, values).fetchall():
        found.setdefault(row[:5], []).append(MailedAlert(*row[5:]))
    return [Group(*head, alerts=tuple(alerts)) for head, alerts in found.items()]


_RECORD = """
UPDATE notifications_log AS n
SET status = CASE o.status WHEN 'retry' THEN 'grouped' ELSE o.status END,
    attempts = o.attempt, last_error = o.reason, next_attempt = make_timestamp(o.next_us),
    sent_time = CASE WHEN o.status = 'sent' THEN make_timestamp($now_us) END
FROM b_outcomes AS o
WHERE n.status = 'grouped' AND n.group_id = o.group_id
"""


def record(
    cursor: duckdb.DuckDBPyConnection, outcomes: Sequence[Outcome], now_us: int, retry_us: int
) -> int:
    """Note what became of attempts; the same outcome noted twice changes nothing more.

    A failed attempt is made again after `retry_us`, then twice that and so on up to
    `BACK_OFF_MAX_US`, for as long as it takes.

    Returns
    -------
    int
        Notifications that changed.
    """
    last = {outcome.group_id: outcome for outcome in outcomes}
    if not last:
        return 0
    again = [
        now_us + _back_off_us(o.attempt, retry_us) if o.status == "retry" else None
        for o in last.values()
    ]
    table = pa.table(
        {
            "group_id": pa.array(last, pa.string()),
            "status": pa.array([o.status for o in last.values()], pa.string()),
            "attempt": pa.array([o.attempt for o in last.values()], pa.int32()),
            "reason": pa.array([o.reason for o in last.values()], pa.string()),
            "next_us": pa.array(again, pa.int64()),
        }
    )
    cursor.register("b_outcomes", table)
    try:
        return number(cursor, _RECORD, {"now_us": now_us})
    finally:
        cursor.unregister("b_outcomes")


def resume(cursor: duckdb.DuckDBPyConnection, now_us: int) -> int:
    """Make every open mail due at once, as at a start nobody knows which of them were sent.

    Returns the number of notifications that this concerns.
    """
    sql = (
        "UPDATE notifications_log SET next_attempt = make_timestamp($now_us)"
        " WHERE status = 'grouped'"
    )
    return number(cursor, sql, {"now_us": now_us})


_WAITING = """
SELECT count(*) FILTER (status = 'pending'), count(*) FILTER (status = 'grouped'),
    epoch_us(min(created_time) FILTER (status = 'pending')),
    epoch_us(min(next_attempt) FILTER (
        status = 'grouped' AND NOT list_contains($busy::VARCHAR[], group_id)
    ))
FROM notifications_log WHERE status IN ('pending', 'grouped')
"""


def waiting(cursor: duckdb.DuckDBPyConnection, busy: Collection[str] = ()) -> Waiting:
    """Count what is open; groups that are `busy` with the mailer have no next attempt."""
    row = first(cursor, _WAITING, {"busy": list(busy)})
    return Waiting(*row) if row else Waiting(0, 0, None, None)


def _back_off_us(attempt: int, retry_us: int) -> int:
    return min(retry_us << min(attempt - 1, 30), max(retry_us, BACK_OFF_MAX_US))
