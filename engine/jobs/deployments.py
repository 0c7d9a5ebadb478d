"""Which models a job has had, which of them is active, and the job that an event belongs to.

An event belongs to the job that it names itself; one without to the job that its model is declared
for, else to the job that the latest `model` event of its model names, else to none. The status of a
model is that of its last `model` event. All of it is read from `decision_days`, `deployments_log`
and `model_settings`, which stay small however many events are stored.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from engine.asking import first
from engine.jobs.days import DAY_S, DECIDED_DAYS

__all__ = [
    "HOUR_S",
    "MODEL_JOBS",
    "ActiveModel",
    "Deployments",
    "JobModels",
    "active_model",
    "backfill_deployments",
    "in_job_sql",
    "job_models",
    "mapped_models",
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


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """The model that decides for a job now; `deployed_us` is None where nothing told of it."""

    model_id: str
    deployed_us: int | None


@dataclass(frozen=True, slots=True)
class JobModels:
    """What is known of a job's models.

    Attributes
    ----------
    models : tuple of str
        Every model that it has had, by predictions or by `model` events, in the order of the UTC
        day of the first of these, then of their ids.
    active : ActiveModel or None
    mapped : tuple of str
        Models whose events belong to the job when they name none themselves.
    days : (int, int) or None
        The first and the last UTC day of its predictions, s.
    """

    models: tuple[str, ...]
    active: ActiveModel | None
    mapped: tuple[str, ...]
    days: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What `model` events say of a model: the job that it belongs to, its status and since when.

    `named_us` and `unnamed_us`: the first event that names the job asked for, and any without.
    """

    job_id: str | None
    status: str
    status_us: int
    named_us: int | None
    unnamed_us: int | None


def active_model(cursor: duckdb.DuckDBPyConnection, job_id: str) -> ActiveModel | None:
    """Tell which model of a job is active.

    Of the job's models whose last `model` event says ``deployed`` (in any case) the one with the
    greatest time of that event, then id. Where none of them has such an event: the model with the
    latest prediction in the job, then id. None: there is no such job, or nothing is deployed now.
    """
    return job_models(cursor, job_id).active


def mapped_models(cursor: duckdb.DuckDBPyConnection, job_id: str) -> tuple[str, ...]:
    """Name the models whose events belong to a job when they name none themselves."""
    return _mapped(cursor, job_id, _told(cursor, job_id))


def in_job_sql(alias: str, job_id: str, mapped: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Give SQL for whether a row of events_log or decision_panes belongs to a job, and parameters.

    `mapped` are the job's `mapped_models`.
    """
    values: dict[str, object] = {"job": job_id}
    if not mapped:
        return f"{alias}.job_id = $job", values
    named = {f"own{index}": model for index, model in enumerate(mapped)}
    listed = ", ".join(f"${name}" for name in named)
    return (
        f"({alias}.job_id = $job OR ({alias}.job_id IS NULL AND {alias}.model_id IN ({listed})))",
        {**values, **named},
    )


def job_models(cursor: duckdb.DuckDBPyConnection, job_id: str) -> JobModels:
    """Give all that is known of a job's models; of an unknown job there are none."""
    told = _told(cursor, job_id)
    mapped = _mapped(cursor, job_id, told)
    inside, values = in_job_sql("p", job_id, mapped)
    days = {
        model: (first_s, last_s)
        for model, first_s, last_s in cursor.execute(_DAYS.format(inside), values).fetchall()
    }
    firsts = {model: first_s for model, (first_s, _) in days.items()}
    for model, each in told.items():
        times = (each.named_us, each.unnamed_us if model in mapped else None)
        for day_s in (us // (DAY_S * 1_000_000) * DAY_S for us in times if us is not None):
            firsts[model] = min(firsts.get(model, day_s), day_s)
    models = sorted(firsts, key=lambda model: (firsts[model], model))
    ends = [end for both in days.values() for end in both]
    return JobModels(
        tuple(models),
        _active(cursor, (job_id, mapped), {m: told[m] for m in models if m in told}, days),
        mapped,
        (min(ends), max(ends)) if ends else None,
    )


_DAYS = (
    "SELECT model_id, min(day_s), max(day_s) FROM (SELECT p.model_id, p.day_s"
    f" FROM {DECIDED_DAYS} p WHERE {{}}"
    " GROUP BY ALL HAVING sum(p.count) IS DISTINCT FROM 0) GROUP BY ALL"
)
_TOLD = """
SELECT model_id, max_by(job_id, (time, job_id)) FILTER (job_id IS NOT NULL),
    max_by(status, (time, status)), epoch_us(max(time)),
    epoch_us(min(time) FILTER (job_id = $job)), epoch_us(min(time) FILTER (job_id IS NULL))
FROM deployments_log GROUP BY model_id"""


def _told(cursor: duckdb.DuckDBPyConnection, job_id: str) -> dict[str, _Told]:
    rows = cursor.execute(_TOLD, {"job": job_id}).fetchall()
    return {model: _Told(*rest) for model, *rest in rows}


def _mapped(
    cursor: duckdb.DuckDBPyConnection, job_id: str, told: Mapping[str, _Told]
) -> tuple[str, ...]:
    rows = cursor.execute(
        "SELECT model_id, job_id FROM model_settings WHERE job_id IS NOT NULL"
    ).fetchall()
    jobs = {model: each.job_id for model, each in told.items()} | dict(rows)
    return tuple(sorted(model for model, job in jobs.items() if job == job_id))


def _active(
    cursor: duckdb.DuckDBPyConnection,
    job: tuple[str, Sequence[str]],
    told: Mapping[str, _Told],
    days: Mapping[str, tuple[int, int]],
) -> ActiveModel | None:
    if told:
        deployed = [
            (each.status_us, model)
            for model, each in told.items()
            if each.status.lower() == "deployed"
        ]
        if not deployed:
            return None
        deployed_us, model_id = max(deployed)
        return ActiveModel(model_id, deployed_us)
    last_s = max((last for _, last in days.values()), default=None)
    if last_s is None:
        return None
    latest = [model for model, (_, last) in days.items() if last == last_s]
    return ActiveModel(_latest(cursor, job, latest, last_s), None)


def _latest(
    cursor: duckdb.DuckDBPyConnection,
    job: tuple[str, Sequence[str]],
    models: Collection[str],
    day_s: int,
) -> str:
    """Give the model with the latest prediction in a day; the greatest id of equal ones.

    Only that day of the log is read. Where retention has dropped it the ids alone decide.
    """
    if len(models) > 1:
        inside, values = in_job_sql("e", *job)
        found = first(
            cursor,
            "SELECT e.model_id FROM events_log e ANTI JOIN events_retired USING (seq)"
            f" WHERE e.event_time >= make_timestamp({day_s * 1_000_000})"
            f" AND e.event_time < make_timestamp({(day_s + DAY_S) * 1_000_000})"
            f" AND {inside} ORDER BY e.event_time DESC, e.model_id DESC LIMIT 1",
            values,
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
