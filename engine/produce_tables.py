"""The tables of what is produced to topics: what waits for its acknowledgement, and how far it is.

A row of `produce_queue` is one message, written in the transaction of the alert or record that it
tells of and deleted once a broker has acknowledged it.
"""

__all__ = ["PRODUCE_TABLES"]

PRODUCE_TABLES: dict[str, str] = {
    "produce_queue": """
        number BIGINT PRIMARY KEY,    -- order of writing
        way VARCHAR NOT NULL,         -- name of the entry of `produce`
        key VARCHAR NOT NULL, value VARCHAR NOT NULL, created_time TIMESTAMP NOT NULL,
        attempts INTEGER NOT NULL, next_attempt TIMESTAMP NOT NULL, last_error VARCHAR""",
    # The last bucket of a job whose records are in the queue, or were; none before it ever will be.
    "produce_marks": """
        way VARCHAR NOT NULL, job_id VARCHAR NOT NULL, bucket TIMESTAMP,
        PRIMARY KEY (way, job_id)""",
}
