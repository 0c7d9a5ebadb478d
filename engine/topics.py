"""How many messages of each partition of a topic were taken, and how many had nothing in them."""

import duckdb

from engine.batch import Block

__all__ = ["TOPIC_TABLES", "TOPIC_VIEWS", "count_messages"]

TOPIC_TABLES: dict[str, str] = {
    "topic_counts": """
        source VARCHAR NOT NULL, partition VARCHAR NOT NULL,
        messages BIGINT NOT NULL,     -- all of them
        tombstones BIGINT NOT NULL,   -- without a value
        empty BIGINT NOT NULL,        -- with a value of no bytes
        missing BIGINT NOT NULL,      -- offsets skipped, as nothing was there any more
        PRIMARY KEY (source, partition)""",
}

TOPIC_VIEWS: dict[str, str] = {
    "topics": "select source, partition, messages, tombstones, empty, missing from topic_counts"
}

_COUNT = """
INSERT INTO topic_counts VALUES ($source, $partition, $messages, $tombstones, $empty, $missing)
ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,
    tombstones = tombstones + excluded.tombstones, empty = empty + excluded.empty,
    missing = missing + excluded.missing
"""


def count_messages(cursor: duckdb.DuckDBPyConnection, block: Block) -> None:
    """Count the messages of a block, if it has any, in the transaction that takes it."""
    if block.messages is None:
        return
    values = {
        "source": block.source,
        "partition": block.partition,
        "messages": block.messages.count,
        "tombstones": block.messages.tombstones,
        "empty": block.messages.empty,
        "missing": block.messages.missing,
    }
    cursor.execute(_COUNT, values)
