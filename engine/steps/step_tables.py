"""The tables under `step_metrics`: every value logged, and the latest one of each metric.

Of several values of one step the last one in the order (`time`, `received`, `line`, `value`,
`experiment_id` with NULL first) holds, whatever the order in which they came. `line` is the number
of the line where the event had no time of its own (then later lines win), else 0.
"""

__all__ = ["STEP_TABLES"]

STEP_TABLES: dict[str, str] = {
    "step_log": """
        seq BIGINT NOT NULL,          -- running number of the line over all partitions
        job_id VARCHAR NOT NULL, name VARCHAR NOT NULL, step BIGINT NOT NULL,
        value DOUBLE NOT NULL,        -- NaN and infinities are values
        experiment_id VARCHAR,
        time TIMESTAMP NOT NULL,
        received BOOLEAN NOT NULL     -- the event had no time: it is that of its receipt
    """,
    # Deltas: per block the greatest (step, order of step_log) of each job and name; merged later.
    "step_latest": """
        job_id VARCHAR NOT NULL, name VARCHAR NOT NULL, step BIGINT NOT NULL,
        value DOUBLE NOT NULL, experiment_id VARCHAR,
        time TIMESTAMP NOT NULL, received BOOLEAN NOT NULL, line BIGINT NOT NULL,
        block_seq BIGINT NOT NULL""",
}
