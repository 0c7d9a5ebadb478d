"""The tables under the processing metrics: runs and ingests, and what they add to each hour.

`runs_log` and `ingests_log` are append-only; a row that lost to another one with its `id` (greatest
event time, then canonical JSON, wins) is named in `processing_retired`. The `…_hours` hold deltas
by choice and UTC hour that add up; where a row was replaced its hours are computed anew. An amount
that no event of the hour has is n = 0, sum = 0, min and max NULL.

`block_seq` of an hour is the first line of the block that wrote it; -1 (`MERGED`): all lines still
stored, merged or computed anew, once a choice and hour; -2 (`DROPPED`): lines that retention has
dropped from the logs.
"""

from engine.schema import AMOUNTS

__all__ = ["DROPPED", "INGEST_AMOUNTS", "MERGED", "PROCESSING_TABLES", "RUN_TIMES"]

RUN_TIMES = AMOUNTS["run"]
"""Amounts of a run, in seconds."""

INGEST_AMOUNTS = AMOUNTS["ingest"]
"""Amounts of an ingest: bytes, and seconds."""

MERGED = -1
DROPPED = -2


def _amounts(names: tuple[str, ...]) -> str:
    return ", ".join(
        f"{name}_n BIGINT NOT NULL, {name}_sum DOUBLE NOT NULL,"
        f" {name}_min DOUBLE, {name}_max DOUBLE"
        for name in names
    )


def _doubles(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} DOUBLE" for name in names)


_LINE = (
    "seq BIGINT NOT NULL, key UBIGINT NOT NULL, id VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL"
)
_HOUR = "choice_id BIGINT NOT NULL, hour_s BIGINT NOT NULL"

PROCESSING_TABLES: dict[str, str] = {
    "runs_log": f"{_LINE}, job_type VARCHAR NOT NULL, version VARCHAR, status VARCHAR NOT NULL,"
    f" error_category VARCHAR, {_doubles(RUN_TIMES)}",
    "ingests_log": f"{_LINE}, strike VARCHAR NOT NULL, status VARCHAR NOT NULL,"
    f" {_doubles(INGEST_AMOUNTS)}",
    "processing_retired": "seq BIGINT NOT NULL",
    "run_hours": f"{_HOUR}, completed BIGINT NOT NULL, failed BIGINT NOT NULL,"
    " canceled BIGINT NOT NULL, total BIGINT NOT NULL, error_system BIGINT NOT NULL,"
    " error_data BIGINT NOT NULL, error_algorithm BIGINT NOT NULL,"
    f" {_amounts(RUN_TIMES)}, block_seq BIGINT NOT NULL",
    "ingest_hours": f"{_HOUR}, deferred BIGINT NOT NULL, ingested BIGINT NOT NULL,"
    " errored BIGINT NOT NULL, duplicate BIGINT NOT NULL, total BIGINT NOT NULL,"
    f" {_amounts(INGEST_AMOUNTS)}, block_seq BIGINT NOT NULL",
    "error_hours": f"{_HOUR}, total BIGINT NOT NULL, block_seq BIGINT NOT NULL",
    # The choices with at least one event in force; catalogue: job-types, ingests or errors
    "processing_choices": "catalogue VARCHAR NOT NULL, choice_id BIGINT NOT NULL,"
    " name VARCHAR NOT NULL, version VARCHAR",
    # What the configuration declares: the definition is JSON of `CatalogueSettings`
    "catalogues_declared": "name VARCHAR PRIMARY KEY, place INTEGER NOT NULL,"
    " definition VARCHAR NOT NULL",
    "choice_attributes": "catalogue VARCHAR NOT NULL, choice_id BIGINT NOT NULL,"
    " attributes VARCHAR NOT NULL",
}
