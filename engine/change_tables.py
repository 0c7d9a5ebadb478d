"""The tables of what is changed while a run goes on, and their public view.

`changes_log` has every edit, in order; of several of one kind and id the last one holds, over what
the configuration file says. `posts_log` has the idempotency keys of lines that were handed in. The
others keep what a contract's clients create beside the stream: experiments and jobs of steps, and
which anomaly jobs are open.
"""

__all__ = ["CHANGE_TABLES", "CHANGE_VIEWS"]

CHANGE_TABLES: dict[str, str] = {
    "changes_log": """
        seq BIGINT PRIMARY KEY, kind VARCHAR NOT NULL, id VARCHAR NOT NULL,
        definition VARCHAR,           -- JSON in the form of the file; NULL: taken away
        made_by VARCHAR NOT NULL, made_time TIMESTAMP NOT NULL,
        from_time TIMESTAMP           -- the watermark from which on it holds; NULL: none yet
    """,
    "posts_log": """
        key VARCHAR PRIMARY KEY, body_hash VARCHAR NOT NULL, received_time TIMESTAMP NOT NULL,
        answer VARCHAR NOT NULL""",
    "step_experiments": """
        experiment_id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, definition VARCHAR NOT NULL,
        made_time TIMESTAMP NOT NULL, made_by VARCHAR NOT NULL""",
    "step_jobs": """
        job_id BIGINT PRIMARY KEY, experiment_id BIGINT NOT NULL, definition VARCHAR NOT NULL,
        made_time TIMESTAMP NOT NULL, made_by VARCHAR NOT NULL""",
    "anomaly_job_states": """
        job_id VARCHAR PRIMARY KEY, state VARCHAR NOT NULL, made_time TIMESTAMP NOT NULL""",
}

# Nobody needs to see what is kept of an API key.
_CHANGES = """
select
    seq, kind, id,
    case
        when kind = 'user' and definition is not null
            then json_merge_patch(definition, '{"api_key_sha256": null}')::varchar
        else definition
    end as definition,
    made_by, made_time, from_time
from changes_log
"""

CHANGE_VIEWS: dict[str, str] = {"changes": _CHANGES}
