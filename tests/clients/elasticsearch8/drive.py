"""Drives the published Elasticsearch client against a served run: a job from its making to its end.

    python drive.py URL KEY

Every call goes through the client as it comes; nothing of it is changed.
"""

import sys
import time

from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError

JOB = f"client-drive-{time.time_ns()}"
SPAN_S = 300
START_S = (time.time_ns() // 10**9 - 3 * 86_400) // SPAN_S * SPAN_S
QUIET = 400  # buckets before the odd one


def records():
    """Give requests of some hosts, minute by minute; one host is slow for a while."""
    for bucket in range(QUIET + 3):
        for minute in range(5):
            at_s = START_S + bucket * SPAN_S + minute * 60
            for host in ("a", "b"):
                slow = bucket == QUIET and host == "b"
                took = 900.0 if slow else 100.0 + (bucket * 7 + minute * 3) % 11
                yield {"time": at_s, "host": host, "responsetime": took, "http": {"status": 200}}


def refused(kind, call, **arguments):
    """See that a call fails as it should; gives the error."""
    try:
        call(**arguments)
    except kind as error:
        return error
    msg = f"{arguments} must be refused with {kind.__name__}"
    raise AssertionError(msg)


def make(ml):
    made = ml.put_job(
        job_id=JOB,
        description="made by the published client",
        groups=["driven"],
        analysis_config={
            "bucket_span": "5m",
            "detectors": [
                {"function": "mean", "field_name": "responsetime", "partition_field_name": "host"},
                {"function": "count", "detector_description": "how many"},
            ],
            "influencers": ["host"],
        },
        data_description={"time_field": "time", "time_format": "epoch"},
        custom_settings={"made_for": "a test"},
    )
    assert made["job_id"] == JOB, made
    assert made["create_time"] > 0, made
    assert made["analysis_config"]["bucket_span"] == "5m", made
    assert refused(BadRequestError, ml.put_job, job_id=JOB, **again()).status_code == 400
    (job,) = ml.get_jobs(job_id=JOB)["jobs"]
    assert job == made.body, (job, made)
    assert any(each["job_id"] == JOB for each in ml.get_jobs()["jobs"])
    assert [each["job_id"] for each in ml.get_jobs(job_id="client-drive-*")["jobs"]][-1] == JOB


def again():
    return {
        "analysis_config": {"detectors": [{"function": "count"}]},
        "data_description": {"time_field": "time"},
    }


def fill(ml):
    assert refused(ConflictError, ml.post_data, job_id=JOB, data=[{"time": START_S}])
    assert ml.open_job(job_id=JOB, timeout="10s")["opened"] is True
    refused(ConflictError, ml.open_job, job_id=JOB)
    told = list(records())
    counts = ml.post_data(job_id=JOB, data=told)
    assert counts.meta.status == 202, counts.meta
    assert counts["processed_record_count"] == len(told), counts
    assert counts["invalid_date_count"] == 0, counts
    odd = ml.post_data(job_id=JOB, data=[{"time": "never", "host": "a"}])
    assert (odd["processed_record_count"], odd["invalid_date_count"]) == (0, 1), odd
    flushed = ml.flush_job(job_id=JOB, calc_interim=True)
    assert flushed["flushed"] is True, flushed
    assert flushed["last_finalized_bucket_end"] >= (START_S + (QUIET + 1) * SPAN_S) * 1_000
    (stats,) = ml.get_job_stats(job_id=JOB)["jobs"]
    assert stats["state"] == "opened", stats
    assert stats["data_counts"]["bucket_count"] >= QUIET, stats


def ask(ml):
    odd_ms = (START_S + QUIET * SPAN_S) * 1_000
    first = ml.get_buckets(job_id=JOB)
    assert first["count"] >= QUIET + 1, first["count"]
    assert len(first["buckets"]) == 100
    page = ml.get_buckets(job_id=JOB, from_=5, size=3, desc=False)
    assert [each["timestamp"] for each in page["buckets"]] == [
        (START_S + place * SPAN_S) * 1_000 for place in (5, 6, 7)
    ]
    high = ml.get_buckets(
        job_id=JOB, anomaly_score=25, start=str(odd_ms), end=odd_ms + 1, expand=True,
        exclude_interim=True, sort="anomaly_score", page={"from": 0, "size": 10},
    )  # fmt: skip
    (bucket,) = high["buckets"]
    assert bucket["timestamp"] == odd_ms
    assert bucket["bucket_influencers"], bucket
    assert any(each["partition_field_value"] == "b" for each in bucket["records"])
    (one,) = ml.get_buckets(job_id=JOB, timestamp=str(odd_ms))["buckets"]
    assert one["anomaly_score"] == bucket["anomaly_score"]
    records_found = ml.get_records(job_id=JOB, record_score=25, desc=True, start=odd_ms, size=5)
    assert records_found["records"][0]["actual"] == [900.0], records_found
    influencers = ml.get_influencers(job_id=JOB, start=str(odd_ms), desc=True)
    assert influencers["influencers"][0]["influencer_field_value"] == "b", influencers
    overall = ml.get_overall_buckets(job_id=JOB, top_n=1, overall_score=25, start=str(odd_ms))
    assert overall["overall_buckets"][0]["jobs"][0]["job_id"] == JOB, overall
    some = ml.get_buckets(job_id=JOB, filter_path="count,buckets.timestamp")
    assert set(some.body) == {"count", "buckets"}
    refused(NotFoundError, ml.get_buckets, job_id=JOB, timestamp=str(odd_ms + 1))
    unknown = refused(NotFoundError, ml.get_buckets, job_id="no-such-job")
    assert unknown.body["error"]["type"] == "resource_not_found_exception"
    refused(BadRequestError, ml.get_buckets, job_id=JOB, from_=-1)
    refused(BadRequestError, ml.get_buckets, job_id=JOB, body={"unknown": 1})


def end(ml):
    told = ml.update_job(job_id=JOB, description="changed", groups=[])
    assert told["description"] == "changed", told
    refused(ConflictError, ml.delete_job, job_id=JOB)
    assert ml.close_job(job_id=JOB)["closed"] is True
    refused(ConflictError, ml.flush_job, job_id=JOB)
    assert ml.delete_job(job_id=JOB)["acknowledged"] is True
    refused(NotFoundError, ml.get_jobs, job_id=JOB)
    refused(NotFoundError, ml.get_buckets, job_id=JOB)


def main(url, key):
    with Elasticsearch(url, api_key=key) as client:
        assert client.ping()
        assert client.info()["name"]
        make(client.ml)
        fill(client.ml)
        ask(client.ml)
        end(client.ml)
    print("driven")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:3])
