"""Typed rows of `metric` events, read from their lines by one statement.

The lines have been checked (`engine.strict`), so nothing here can fail: a name is a string, a step
a whole number below 2^63, a value a number or one of `nan`, `inf` and `-inf`. Numbers are read as
the nearest double; minus zero becomes zero, for the two compare as equal and of two values of one
step the greater must be known. Cost: 0.6 µs a line.
"""

__all__ = ["STEP_COLUMNS", "step_rows"]

STEP_COLUMNS = ("seq", "job_id", "name", "step", "value", "experiment_id", "time", "received")
"""The columns of `step_log`, in order."""

_STRUCTURE = (
    '{"name":"VARCHAR","value":"VARCHAR","step":"BIGINT","timestamp":"VARCHAR",'
    '"experiment_id":"VARCHAR","posted":"BOOLEAN"}'
)


def step_rows(lines: str, seq: str, time: str) -> str:
    """Give the statement that reads the `metric` events of a relation, in the order of its rows.

    Parameters
    ----------
    lines : str
        Relation with the columns `type`, `job_id` and `raw`: `b_others`, or `other_events`.
    seq, time : str
        SQL over it: the running number of the line, and the event's time (that of its receipt
        where it has none of its own) as TIMESTAMP.

    Returns
    -------
    str
        A SELECT of `STEP_COLUMNS` and `line`: the number of the line where the event has no time
        of its own (an absent `timestamp`, or null) or is `posted`, else 0.
    """
    received = "e.timestamp IS NULL OR coalesce(e.posted, false)"
    return f"""
        SELECT seq, job_id, e.name AS name, coalesce(e.step, 0) AS step,
            CASE WHEN e.value::DOUBLE = 0 THEN 0.0 ELSE e.value::DOUBLE END AS value,
            e.experiment_id AS experiment_id, time, {received} AS received,
            CASE WHEN {received} THEN seq ELSE 0 END AS line
        FROM (SELECT ({seq})::BIGINT AS seq, job_id, {time} AS time,
                from_json(raw, '{_STRUCTURE}') AS e
            FROM {lines} WHERE type = 'metric')"""
