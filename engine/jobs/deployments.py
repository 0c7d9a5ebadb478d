"""Which models a job has had, which of them is active, and the job that an event belongs to.

An event belongs to the job that it names itself; one without to the job that its model is declared
for, else to the job that the latest `model` event of its model names, else to none. The status of a
model is that of its last `model` event. All of it is read from `decision_days`, `deployments_log`
and `model_settings`, which stay small however many events are stored.
"""

from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from engine.asking import first
from engine.jobs.days import DAY_S, DECIDED_DAYS
from engine.panes import pane_of

__all__ = [
    "HOUR_S",
    "MODEL_JOBS",
    "ActiveModel",
    "Deployments",
    "active_model",
    "backfill_deployments",
    "in_job",
    "job_of_event",
    "models_and_active",
]

HOUR_S = 3_600
"""Seconds a row of `decision_panes` spans."""

MODEL_JOBS = """
SELECT model_id, coalesce(declared.job_id, told.job_id) AS job_id
FROM (SELECT model_id, job_id FROM model_settings WHERE job_id IS NOT NULL) declared
FULL JOIN (
    SELECT model_id, max_by(job_id, (time, job_id)) AS job_id FROM deployments_log
    WHERE job_id IS NOT NULL GROUP BY model_id
) told USING (model_id)"""
"""SQL: the job (`job_id`) of the events of a model (`model_id`) that name none; one row a model."""


def job_of_event(alias: str) -> str:
    """Give SQL for the job of a row of events_log, other_events or decision_panes, or NULL.

    >>> job_of_event("e")[:20]
    'coalesce(e.job_id, ('
    """
    return (
        f"coalesce({alias}.job_id, (SELECT mapped.job_id FROM ({MODEL_JOBS}) mapped"
        f" WHERE mapped.model_id = {alias}.model_id))"
    )


def in_job(alias: str, parameter: str = "$job") -> str:
    """Give SQL for whether such a row belongs to a job, a bound parameter; cheaper than asking it.

    >>> in_job("e")[:17]
    '(e.job_id = $job '
    """
    return (
        f"({alias}.job_id = {parameter} OR ({alias}.job_id IS NULL AND {alias}.model_id IN"
        f" (SELECT mapped.model_id FROM ({MODEL_JOBS}) mapped WHERE mapped.job_id = {parameter})))"
    )


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """The model that decides for a job now; `deployed_us` is None where nothing told of it."""

    model_id: str
    deployed_us: int | None


@dataclass(frozen=True, slots=True)
class _Member:
    """A model of a job: its days there (s), and its last `model` event of all (µs)."""

    model_id: str
    first_day_s: int
    last_day_s: int | None
    status: str | None
    status_us: int | None


def active_model(cursor: duckdb.DuckDBPyConnection, job_id: str) -> ActiveModel | None:
    """Tell which model of a job is active.

    Of the job's models whose last `model` event says ``deployed`` (in any case) the one with the
    greatest time of that event, then id. Where none of them has such an event: the model with the
    latest prediction in the job, then id. None: there is no such job, or nothing is deployed now.
    """
    return models_and_active(cursor, job_id)[1]


def models_and_active(
    cursor: duckdb.DuckDBPyConnection, job_id: str
) -> tuple[tuple[str, ...], ActiveModel | None]:
    """Name every model that a job has had, and the active one, for the price of one question.

    Those it has had by its predictions or by `model` events come in the order of the UTC day of the
    first of these events, then of their ids.
    """
    members = _members(cursor, job_id)
    ordered = sorted(members, key=lambda member: (member.first_day_s, member.model_id))
    return tuple(member.model_id for member in ordered), _active(cursor, job_id, members)


def _active(
    cursor: duckdb.DuckDBPyConnection, job_id: str, members: list[_Member]
) -> ActiveModel | None:
    if any(member.status is not None for member in members):
        deployed = [
            (member.status_us, member.model_id)
            for member in members
            if member.status_us is not None and (member.status or "").lower() == "deployed"
        ]
        if not deployed:
            return None
        deployed_us, model_id = max(deployed)
        return ActiveModel(model_id, deployed_us)
    last = max(
        (member.last_day_s for member in members if member.last_day_s is not None), default=None
    )
    if last is None:
        return None
    latest = [member.model_id for member in members if member.last_day_s == last]
    return ActiveModel(_latest(cursor, job_id, latest, last), None)


_MEMBERS = f"""
WITH mapped AS MATERIALIZED ({MODEL_JOBS} ),
own AS (SELECT model_id FROM mapped WHERE job_id = $job),
days AS (
    SELECT model_id, day_s FROM {DECIDED_DAYS}
    WHERE job_id = $job OR (job_id IS NULL AND model_id IN (FROM own))
    GROUP BY model_id, day_s HAVING sum(count) IS DISTINCT FROM 0
), decided AS (
    SELECT model_id, min(day_s) AS first_s, max(day_s) AS last_s FROM days GROUP BY model_id
), told AS (
    SELECT model_id, {pane_of("min(time)", DAY_S)} AS first_s FROM deployments_log
    WHERE job_id = $job OR (job_id IS NULL AND model_id IN (FROM own)) GROUP BY model_id
), status AS (
    SELECT model_id, max_by(status, (time, status)) AS status, max(time) AS time
    FROM deployments_log GROUP BY model_id
)
SELECT m.model_id, least(d.first_s, t.first_s), d.last_s, s.status, epoch_us(s.time)
FROM (SELECT model_id FROM decided UNION SELECT model_id FROM told) m
LEFT JOIN decided d USING (model_id) LEFT JOIN told t USING (model_id)
LEFT JOIN status s USING (model_id)"""


def _members(cursor: duckdb.DuckDBPyConnection, job_id: str) -> list[_Member]:
    rows = cursor.execute(_MEMBERS, {"job": job_id}).fetchall()
    return [_Member(*row) for row in rows]


def _latest(
    cursor: duckdb.DuckDBPyConnection, job_id: str, models: Collection[str], day_s: int
) -> str:
    """Give the model with the latest prediction in a day; the greatest id of equal ones.

    Only that day of the log is read. Where retention has dropped it the ids alone decide.
    """
    if len(models) > 1:
        found = first(
            cursor,
            "SELECT e.model_id FROM events_log e ANTI JOIN events_retired USING (seq)"
            f" WHERE e.event_time >= make_timestamp({day_s * 1_000_000})"
            f" AND e.event_time < make_timestamp({(day_s + DAY_S) * 1_000_000})"
            f" AND {in_job('e')} ORDER BY e.event_time DESC, e.model_id DESC LIMIT 1",
            {"job": job_id},
        )
        if found is not None:
            return str(found[0])
    return max(models)


# The type, ids and time of a line were read when it was checked; its status was not. What names a
# batch tells how far that batch is (`engine.rules.batches`), nothing of the model.
_TAKE = """
INSERT INTO deployments_log
SELECT seq, model_id, job_id, said.status, time FROM (
    SELECT {seq} AS seq, model_id, job_id, {time} AS time,
        from_json(raw, '{{"status": "VARCHAR", "batch_id": "VARCHAR"}}') AS said
    FROM {rows} WHERE type = 'model'
) WHERE said.batch_id IS NULL ORDER BY seq"""


class Deployments:
    """Keeps the `model` events of block after block.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, with `b_others` registered whenever `take` is called.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def take(self, block_seq: int) -> None:
        """Keep the `model` events of a block; `block_seq` is the number of its first line.

        A repeated event is kept again: nothing that is asked depends on how often it is there.
        """
        seq, time = f"{block_seq} + ordinal", "make_timestamp(event_us)"
        self._cursor.execute(_TAKE.format(seq=seq, time=time, rows="b_others"))


def backfill_deployments(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make `deployments_log` from the stored lines."""
    cursor.execute("DELETE FROM deployments_log")
    cursor.execute(_TAKE.format(seq="seq", time="event_time", rows="other_events"))
