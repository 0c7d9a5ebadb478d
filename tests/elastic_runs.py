"""Served runs with results of anomaly jobs in them, as clients of Elasticsearch ask for them."""

import json

import numpy as np
from anomaly_store import JOB, SPAN_S, START_S, bucket, records, scored, whole

from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.results.results import Results

SCORES = (10.0, 80.0, 79.99, 95.0, 80.0, 30.0)  # the last one is interim
STARTS = [1_000 * (START_S + place * SPAN_S) for place in range(len(SCORES))]
LEAST_P = 2.2250738585072014e-308
EXAMPLE_JOB, EXAMPLE_MS = "low_request_rate", 1_578_398_400_000
ROOT = "/_ml/anomaly_detectors"

CONFIG = f"""
anomaly_jobs:
  - {{job_id: {JOB}, model: planes, bucket_span: {SPAN_S}s, groups: [air],
     detectors: [{{function: mean, field_name: delay}}], influencers: [airline]}}
  - {{job_id: {EXAMPLE_JOB}, model: web, bucket_span: 1h, detectors: [{{function: low_count}}]}}
  - {{job_id: others, model: secret, bucket_span: {SPAN_S}s, detectors: [{{function: count}}]}}
  - {{job_id: many, model: crowd, bucket_span: 60s, groups: [air],
     detectors: [{{function: count}}]}}
"""

EXAMPLE = json.loads(
    """{
  "count" : 1,
  "buckets" : [
    {
      "job_id" : "low_request_rate",
      "timestamp" : 1578398400000,
      "anomaly_score" : 91.58505459594764,
      "bucket_span" : 3600,
      "initial_anomaly_score" : 91.58505459594764,
      "event_count" : 0,
      "is_interim" : false,
      "bucket_influencers" : [
        {
          "job_id" : "low_request_rate",
          "result_type" : "bucket_influencer",
          "influencer_field_name" : "bucket_time",
          "initial_anomaly_score" : 91.58505459594764,
          "anomaly_score" : 91.58505459594764,
          "raw_anomaly_score" : 0.5758246639716365,
          "probability" : 1.7340849573442696E-4,
          "timestamp" : 1578398400000,
          "bucket_span" : 3600,
          "is_interim" : false
        }
      ],
      "processing_time_ms" : 0,
      "result_type" : "bucket"
    }
  ]
}"""
)


def two_influencers():
    return whole(
        **scored(2)
        | {
            "score": np.array([95.0, 20.0]),
            "raw_score": np.array([3.0, 1.0]),
            "probability": np.array([LEAST_P, 1e-5]),
        },
        level=["bucket", "bucket:airline"],
        field_name=["bucket_time", "airline"],
        field_value=[None, "A1"],
    )


def six_buckets():
    """Give six buckets: the fourth has two influencers, the fifth no records."""
    for place, score in enumerate(SCORES):
        told = {"is_interim": place == 5, "processing_time_ms": 99.9 - place}
        told["records"] = records(0 if place == 4 else 2)
        if place == 3:
            told["bucket_influencers"] = two_influencers()
        yield bucket(place, score, event_count=place, **told)


def example_buckets():
    """Give the bucket of the document's example, and the quiet one before it."""
    start_s, span_s = EXAMPLE_MS // 1_000, 3_600
    told = scored(1, 91.58505459594764, 0.5758246639716365, 1.7340849573442696e-4)
    odd = whole(**told)
    yield BucketRows(EXAMPLE_JOB, start_s, span_s, 91.58505459594764, 0, bucket_influencers=odd)
    quiet = whole(0.0)
    yield BucketRows(EXAMPLE_JOB, start_s - span_s, span_s, 0.0, 812, bucket_influencers=quiet)


def write_results(served, *rows):
    """Write results as if a job had found them; they are committed when this returns."""

    def work(writing):
        results = Results(writing.cursor)
        for each in rows:
            results.add(each)
        results.flush()

    served.session.gate.submit("test", work).result(30)


def change(served, statement):
    """Run a statement on the store, as if the engine had."""
    work = lambda writing: writing.cursor.execute(statement).fetchall()  # noqa: E731
    return served.session.gate.submit("test", work).result(30)


def error_of(response, status, kind=None):
    """See that an answer is a fault in the contract's form; gives its reason."""
    assert response.status_code == status, response.text
    told = response.json()
    reason = {"type": told["error"]["type"], "reason": told["error"]["reason"]}
    assert told == {"error": {"root_cause": [reason], **reason}, "status": status}
    assert kind is None or reason["type"] == kind
    return reason["reason"]
