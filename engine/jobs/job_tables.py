"""The tables under the metrics of jobs and their models.

`decision_panes` holds deltas of whole counts by UTC hour of the event time: how many predictions
of a model said what, with which label, and where that label came from. `label` is NULL where there
is none (or only one that is no class, or undecided votes); `prediction` where an event decides
nothing. `job_id` is what the event itself names; an event without belongs to the job of its model.
"""

__all__ = ["JOB_TABLES"]

JOB_TABLES: dict[str, str] = {
    "decision_panes": """
        model_id VARCHAR NOT NULL, job_id VARCHAR, hour_s BIGINT NOT NULL,
        label VARCHAR, prediction VARCHAR,
        label_source VARCHAR,         -- prediction, votes, administrator, undecided; NULL: none
        count BIGINT NOT NULL, block_seq BIGINT NOT NULL""",
    # the merged rows of decision_panes by UTC day: what is asked of all time reads these
    "decision_days": """
        model_id VARCHAR NOT NULL, job_id VARCHAR, day_s BIGINT NOT NULL,
        label VARCHAR, prediction VARCHAR, label_source VARCHAR, count BIGINT NOT NULL""",
    "deployments_log": """
        seq BIGINT NOT NULL, model_id VARCHAR NOT NULL, job_id VARCHAR, status VARCHAR NOT NULL,
        time TIMESTAMP NOT NULL""",
    # what the configuration declares of models
    "model_settings": """
        model_id VARCHAR PRIMARY KEY, job_id VARCHAR,
        minutes DOUBLE,               -- an analyst spends on an event
        minutes_by_label VARCHAR NOT NULL,  -- JSON object: label to minutes
        classes VARCHAR[]             -- in the order of the matrix; NULL: learned
    """,
    # the last metrics computed of a job's active model
    "model_metrics_log": """
        job_id VARCHAR NOT NULL, model_id VARCHAR NOT NULL, computed_time TIMESTAMP NOT NULL,
        answer VARCHAR NOT NULL, PRIMARY KEY (job_id, model_id)""",
}
