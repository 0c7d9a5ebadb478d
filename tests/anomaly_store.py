"""Results of anomaly jobs as rooms of the engine hand them over, for the tests of their tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb
import numpy as np

from engine.anomaly.results.result_rows import BucketInfluencers, BucketRows, Influencers, Records
from engine.anomaly.results.results import Results
from engine.anomaly_tables import ANOMALY_TABLES
from engine.anomaly_views import ANOMALY_MACROS, ANOMALY_VIEWS

JOB, SPAN_S, START_S = "flights", 300, 1_700_000_100  # a multiple of the span


def scored(n, score=50.0, raw=2.0, p=1e-6):
    return {
        "score": np.full(n, score),
        "raw_score": np.full(n, raw),
        "probability": np.full(n, p),
        "scope": np.arange(n),
        "ceiling": np.full(n, 1),
    }


def whole(score=50.0, **changed):
    """Give the `bucket_time` influencer."""
    told = scored(1) | {
        "score": np.atleast_1d(score),
        "level": ["bucket"],
        "field_name": ["bucket_time"],
    }
    return BucketInfluencers(**(told | {"field_value": [None]} | changed))


def influencers(n=2, **changed):
    told = scored(n) | {
        "field_name": ["airline"] * n,
        "field_value": [f"A{i}" for i in range(n)],
    }
    return Influencers(**(told | changed))


def records(n=2, **changed):
    told = scored(n) | {
        "detector_index": np.zeros(n, np.int64),
        "function": ["metric"] * n,
        "function_description": ["mean"] * n,
        "field_name": ["delay"] * n,
        "by_field_name": ["airline"] * n,
        "by_field_value": [f"A{i}" for i in range(n)],
        "over_field_name": [None] * n,
        "over_field_value": [None] * n,
        "partition_field_name": ["city"] * n,
        "partition_field_value": np.full(n, "Bern", object),
        "actual": np.full(n, 9.0),
        "typical": np.full(n, 4.0),
        "lower": np.full(n, 2.0),
        "upper": np.full(n, np.nan),
        "multi_bucket_impact": np.full(n, -5.0),
        "influencers": ['[{"influencer_field_name":"airline"}]'] * n,
        "causes": [None] * n,
        "explanation": ['{"length":1}'] * n,
    }
    return Records(**(told | changed))


def bucket(place=0, score=50.0, **changed):
    """Give the bucket at a place after `START_S`, by default with two influencers and records."""
    told = {
        "job_id": JOB,
        "start_s": START_S + place * SPAN_S,
        "span_s": SPAN_S,
        "score": score,
        "event_count": 7,
        "processing_time_ms": 0.5,
        "bucket_influencers": whole(score),
        "influencers": influencers(),
        "records": records(),
    }
    return BucketRows(**(told | changed))


def empty_store():
    """Give the tables and relations of anomaly jobs in memory."""
    connection = duckdb.connect(config={"threads": 1})
    for name, columns in ANOMALY_TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    for name, select in ANOMALY_VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {select}")
    for name, macro in ANOMALY_MACROS.items():
        connection.execute(f"CREATE MACRO {name}{macro}")
    return connection


_shared = cache(empty_store)


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty store whose rows are gone afterwards; a new one takes longer."""
    connection = _shared()
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


def store(*rows):
    """Give a store with these rows written, and what writes into it."""
    connection = empty_store()
    results = Results(connection)
    for each in rows:
        results.add(each)
    results.flush()
    return connection, results


def asked(connection, sql, *parameters):
    """Give the rows of a query."""
    return connection.execute(sql, list(parameters)).fetchall()
