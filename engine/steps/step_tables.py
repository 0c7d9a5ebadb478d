"""The tables under `step_metrics`: every value logged, and the latest one of each metric.

Of several values of one step the last one in the order (`received`, `line`, `time`, `value`,
`experiment_id` with NULL first) holds. Where an event has a time of its own the later time wins, in
whatever order they came. `received` events are put in the order of their lines, `line`, and win
over the others, for which it is 0: those without a time, whose time is that of receipt, and those
that were `posted`, whose sender was told that this value holds now.
"""

__all__ = ["STEP_TABLES"]

STEP_TABLES: dict[str, str] = {
    "step_log": """
        seq BIGINT NOT NULL,          -- running number of the line over all partitions
        job_id VARCHAR NOT NULL, name VARCHAR NOT NULL, step BIGINT NOT NULL,
        value DOUBLE NOT NULL,        -- NaN and infinities are values
        experiment_id VARCHAR,
        time TIMESTAMP NOT NULL,
        received BOOLEAN NOT NULL     -- the event had no time, or was posted: its line counts
    """,
    # Deltas: per block the greatest (step, order of step_log) of each job and name; merged later.
    "step_latest": """
        job_id VARCHAR NOT NULL, name VARCHAR NOT NULL, step BIGINT NOT NULL,
        value DOUBLE NOT NULL, experiment_id VARCHAR,
        time TIMESTAMP NOT NULL, received BOOLEAN NOT NULL, line BIGINT NOT NULL,
        block_seq BIGINT NOT NULL""",
}
