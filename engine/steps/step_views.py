"""The values in force as SQL: of each step, and the latest one of each metric of a job.

Of several values of one step the last one holds, in the order of `engine.steps.step_tables`; NaN is
the greatest value. A filter on `job_id` or `name` reaches the tables beneath.
"""

__all__ = ["LATEST_KEYS", "LOG_ROWS", "STEP_KEYS", "STEP_VIEWS", "winners"]

STEP_KEYS = ("job_id", "name", "step")
"""What has one value in force."""

LATEST_KEYS = ("job_id", "name")
"""What has one latest step."""

_ORDER = ("received", "line", "time", "value")
_COLUMNS = "job_id, name, step, value, experiment_id, time, received, line"

LOG_ROWS = "(SELECT *, CASE WHEN received THEN seq ELSE 0 END AS line FROM step_log)"
"""FROM clause: `step_log` with the column `line`."""


def winners(rows: str, keys: tuple[str, ...]) -> str:
    """Give SQL for the row in force of each key.

    Steps are sorted by, for hardly ever does one have a second value; the rows of a metric are
    grouped by, three times as fast where each has many.

    Parameters
    ----------
    rows : str
        FROM clause with the columns `job_id`, `name`, `step`, `value`, `experiment_id`, `time`,
        `received` and `line`.
    keys : tuple of str
        `STEP_KEYS`, or `LATEST_KEYS` for the highest step of each metric.

    Returns
    -------
    str
        A SELECT of those columns, one row a key.
    """
    given = ", ".join(keys)
    if keys == STEP_KEYS:
        order = ", ".join(f"{name} DESC" for name in _ORDER)
        return (
            f"SELECT {_COLUMNS} FROM {rows} QUALIFY row_number() OVER (PARTITION BY {given}"
            f" ORDER BY {order}, experiment_id DESC NULLS LAST) = 1"
        )
    members = ", ".join(f"{name} := {name}" for name in ("step", *_ORDER))
    return (
        f"SELECT {given}, w.step, w.value, nullif(w.experiment_id, '') AS experiment_id, w.time,"
        f" w.received, w.line FROM (SELECT {given}, max(struct_pack({members},"
        f" experiment_id := coalesce(experiment_id, ''))) AS w FROM {rows} GROUP BY {given})"
    )


# Without the experiment, which is a text and so takes a third of the time: it decides between equal
# values alone.
_LATEST = (
    "SELECT job_id, name, w.step, w.value, w.time FROM (SELECT job_id, name, max(struct_pack("
    f"{', '.join(f'{name} := {name}' for name in ('step', *_ORDER))})) AS w"
    " FROM step_latest GROUP BY job_id, name)"
)

STEP_VIEWS: dict[str, str] = {
    "_step_values": winners(LOG_ROWS, STEP_KEYS),
    "_step_latest": _LATEST,
    "step_metrics": "SELECT job_id, experiment_id, name, step, value, time AS timestamp"
    " FROM _step_values",
}
"""`step_metrics` is public (DESIGN §9); `experiment_id` is what the value in force names."""
