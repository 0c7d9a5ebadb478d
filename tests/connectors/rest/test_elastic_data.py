"""Posted data over HTTP: it enters the stream, is durable, is counted, and becomes results.

Records come in three forms, packed or not, at times in three forms; whatever is off with one of
them is counted and takes no other with it. What a real stream leads to is the contract's.
"""

import gzip
import json
from collections import Counter

import pytest
from elastic_runs import ROOT, error_of
from serving import serving

from engine.anomaly.time_formats import time_reader

SPAN_S, QUIET = 300, 160
START_S = 1_767_225_600  # 2026-01-01, a multiple of the span
AFTER_S = START_S + (QUIET + 10) * SPAN_S
CONFIG = f"""
time: {{allowed_lateness: 0s, max_future: null}}
anomaly_jobs:
  - {{job_id: of-metrics, type: metric, bucket_span: {SPAN_S}s, detectors: [{{function: count}}]}}
"""
DETECTORS = [
    {"function": "mean", "field_name": "score", "partition_field_name": "http.host"},
    {"function": "low_count"},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("run"), CONFIG) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


def made(http, job_id, time_format="epoch", detectors=DETECTORS, **analysis):
    config = {"bucket_span": f"{SPAN_S}s", "detectors": detectors, **analysis}
    described = {"time_field": "at", "time_format": time_format}
    body = {"analysis_config": config, "data_description": described}
    response = http.put(f"{ROOT}/{job_id}", json=body)
    assert response.status_code == 200, response.text
    assert http.post(f"{ROOT}/{job_id}/_open").status_code == 200
    return response.json()


def posted(http, job_id, content, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    response = http.post(f"{ROOT}/{job_id}/_data", content=content, headers=headers)
    assert response.status_code == 202, response.text
    return response.json()


def events_of(served, model):
    return served.sql(
        "SELECT epoch_us(event_time), properties::VARCHAR FROM events"
        " WHERE model_id = ? ORDER BY ALL",
        model,
    )


# ---- a whole stream --------------------------------------------------------------------------


def stream():
    """Hosts, minute by minute: `b` is far off in one bucket, then a bucket is empty."""
    for bucket in range(QUIET + 4):
        for minute in range(5):
            for host in ("a", "b"):
                odd = bucket == QUIET and host == "b"
                if bucket != QUIET + 1:
                    at_s = START_S + bucket * SPAN_S + minute * 60
                    value = 900 if odd else 100 + (bucket * 7 + minute * 3) % 11
                    yield {"at": at_s, "score": value, "http": {"host": host}, "tags": ["x"]}


@pytest.fixture(scope="module")
def watched(http):
    made(http, "watched", influencers=["http.host"])
    told = list(stream())
    return told, posted(http, "watched", json.dumps(told).encode())


def answered(http, path, **body):
    response = http.post(f"{ROOT}/watched/{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_contract_ELi_22_the_answer_counts_what_was_posted(watched):
    told, counts = watched
    assert counts.pop("last_data_time") > 1_700_000_000_000
    assert counts == {
        "job_id": "watched",
        "input_bytes": len(json.dumps(told)),
        "input_record_count": len(told),
        "input_field_count": 3 * len(told),
        "processed_record_count": len(told),
        "processed_field_count": 2 * len(told),
        "invalid_date_count": 0,
        "missing_field_count": 0,
        "out_of_order_timestamp_count": 0,
        "rejected_record_count": 0,
        "bucket_count": QUIET + 4,
        "empty_bucket_count": 1,
        "sparse_bucket_count": 0,
        "earliest_record_timestamp": START_S * 1_000,
        "latest_record_timestamp": told[-1]["at"] * 1_000,
    }


def test_contract_ELi_22_counters_of_the_job(http, watched):
    (told,) = http.get(f"{ROOT}/watched/_stats").json()["jobs"]
    counts = told["data_counts"]
    assert (counts["bucket_count"], counts["empty_bucket_count"]) == (QUIET + 3, 1)
    assert counts["processed_record_count"] == len(watched[0]) - 10  # the last bucket is open
    assert counts["earliest_record_timestamp"] == START_S * 1_000
    assert counts["latest_empty_bucket_timestamp"] == (START_S + (QUIET + 1) * SPAN_S) * 1_000
    assert told["timing_stats"]["bucket_count"] == QUIET + 3
    assert told["timing_stats"]["maximum_bucket_processing_time_ms"] > 0


def test_contract_flush_tells_the_end_of_the_last_closed_bucket(http, watched):
    assert len(watched[0]) > 0
    told = answered(http, "_flush", calc_interim=True)
    end_ms = (START_S + (QUIET + 3) * SPAN_S) * 1_000
    assert told == {"flushed": True, "last_finalized_bucket_end": end_ms}
    for name in ("advance_time", "skip_time", "start", "end"):
        refused = http.post(f"{ROOT}/watched/_flush", json={name: "1"})
        assert name in error_of(refused, 400, "illegal_argument_exception")


def test_contract_EL_40_an_event_at_the_timestamp_belongs_to_that_bucket(http, watched):
    assert len(watched[0]) > 0
    found = answered(http, "results/buckets", page={"size": 2})["buckets"]
    assert [each["timestamp"] for each in found] == [START_S * 1_000, (START_S + SPAN_S) * 1_000]
    assert [each["event_count"] for each in found] == [10, 10]


def test_contract_ELi_26_an_empty_bucket_is_written_and_unusual(http, watched):
    assert len(watched[0]) > 0
    at_ms = (START_S + (QUIET + 1) * SPAN_S) * 1_000
    (found,) = http.get(f"{ROOT}/watched/results/buckets/{at_ms}").json()["buckets"]
    assert (found["event_count"], found["is_interim"]) == (0, False)
    assert found["anomaly_score"] > 25


def test_contract_ELi_07_records_say_what_was_measured_of_whom(http, watched):
    assert len(watched[0]) > 0
    start = (START_S + QUIET * SPAN_S) * 1_000
    told = answered(http, "results/records", record_score=25, start=start, end=start + 1)
    (record,) = told["records"]
    expected = {
        "job_id": "watched",
        "result_type": "record",
        "function": "mean",
        "field_name": "score",  # as it was posted, not as it is kept
        "partition_field_name": "http.host",
        "partition_field_value": "b",
        "detector_index": 0,
        "actual": [900.0],
        "timestamp": start,
        "bucket_span": SPAN_S,
        "is_interim": False,
    }
    assert {name: record[name] for name in expected} == expected
    assert 95 < record["typical"][0] < 115
    assert 0 < record["probability"] < 1e-3
    assert record["initial_record_score"] >= 25
    assert -5 <= record["multi_bucket_impact"] <= 5
    assert record["influencers"] == [
        {"influencer_field_name": "http.host", "influencer_field_values": ["b"]}
    ]
    assert record["anomaly_score_explanation"]


def test_contract_ELi_07_influencers_name_whose_fault_it_was(http, watched):
    assert len(watched[0]) > 0
    start = (START_S + QUIET * SPAN_S) * 1_000
    told = answered(http, "results/influencers", start=start, end=start + 1, desc=True)
    first = told["influencers"][0]
    assert (first["influencer_field_name"], first["influencer_field_value"]) == ("http.host", "b")
    assert first["result_type"] == "influencer"
    none = http.post(f"{ROOT}/watched/results/influencers", json={"anomaly_score": 1})
    assert "anomaly_score" in error_of(none, 400, "x_content_parse_exception")


def test_contract_ELi_10_overall_buckets_are_of_several_jobs(http, watched):
    assert len(watched[0]) > 0
    start = (START_S + QUIET * SPAN_S) * 1_000
    for expression in ("watched", "watched,of-metrics", "watch*", "_all"):
        path = f"{ROOT}/{expression}/results/overall_buckets"
        told = http.post(path, json={"start": start, "end": start + 1, "top_n": 1}).json()
        (found,) = told["overall_buckets"]
        assert (found["timestamp"], found["bucket_span"]) == (start, SPAN_S)
        (job,) = found["jobs"]
        assert job["job_id"] == "watched"
        assert found["overall_score"] == job["max_anomaly_score"] > 25
    wide = http.get(f"{ROOT}/watched/results/overall_buckets?bucket_span=1h").json()
    assert {each["bucket_span"] for each in wide["overall_buckets"]} == {3_600}
    narrow = http.get(f"{ROOT}/watched/results/overall_buckets?bucket_span=1m")
    assert "`bucket_span` must be at least" in error_of(narrow, 400)
    error_of(http.get(f"{ROOT}/watched,absent/results/overall_buckets"), 404)
    nothing = http.get(f"{ROOT}/absent-*/results/overall_buckets").json()
    assert nothing == {"count": 0, "overall_buckets": []}


def test_contract_ELi_13_late_records_are_counted_and_change_no_score(http, watched):
    assert len(watched[0]) > 0
    before = answered(http, "results/buckets", page={"size": 1})["buckets"][0]
    late = {"at": START_S + 1, "score": 100, "http": {"host": "a"}}
    counts = posted(http, "watched", json.dumps(late).encode())
    assert (counts["out_of_order_timestamp_count"], counts["processed_record_count"]) == (1, 1)
    after = answered(http, "results/buckets", page={"size": 1})["buckets"][0]
    assert after["event_count"] == before["event_count"] + 1
    assert after["anomaly_score"] == before["anomaly_score"]
    (told,) = http.get(f"{ROOT}/watched/_stats").json()["jobs"]
    assert told["data_counts"]["out_of_order_timestamp_count"] == 1


# ---- forms -----------------------------------------------------------------------------------

THREE = [{"at": START_S + each, "n": each, "deep": {"er": {"x": "y"}}} for each in range(3)]
TEXTS = [json.dumps(each) for each in THREE]


FORMS = {
    "lines": "\n".join(TEXTS),
    "array": json.dumps(THREE, indent=2),
    "adjacent": "".join(TEXTS),
    "spaced": " \r\n".join(json.dumps(each, indent=1) for each in THREE) + "\n\n",
}


@pytest.fixture(scope="module")
def formed(http):
    made(http, "formed", detectors=[{"function": "count"}])
    return f"{ROOT}/formed"


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_golden_records_in_every_form_are_the_same(served, http, formed, name, packing):
    job_id = formed.rpartition("/")[2]
    data, before = FORMS[name].encode(), events_of(served, job_id)
    told = {"content_encoding": "gzip"} if packing == "gzip" else {}
    sent = gzip.compress(data[:9]) + gzip.compress(data[9:]) if told else data
    counts = posted(http, job_id, sent, **told)
    assert (counts["processed_record_count"], counts["input_bytes"]) == (3, len(data))
    found = Counter(events_of(served, job_id)) - Counter(before)
    kept = [f'{{"n":{place},"deep.er.x":"y"}}' for place in range(3)]
    assert found == {
        ((START_S + place) * 1_000_000, properties): 1 for place, properties in enumerate(kept)
    }


@pytest.mark.parametrize(
    ("time_format", "written"),
    [
        ("epoch", [1_767_225_600.25, "1767225600.25"]),
        ("epoch_ms", [1_767_225_600_250, "1767225600250"]),
        ("yyyy-MM-dd HH:mm:ss.SSS", ["2026-01-01 00:00:00.250"]),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSX", ["2026-01-01T01:00:00.250+01", "2026-01-01T00:00:00.250Z"]),
    ],
)
def test_contract_ELi_25_times_of_posted_records(time_format, written):
    assert {time_reader(time_format)(each) for each in written} == {START_S * 1_000_000 + 250_000}
    for wrong in (None, True, "x", [], "2026-13-01 00:00:00.250", float("nan"), 1e300, 10**400):
        assert time_reader(time_format)(wrong) is None


def test_contract_what_is_off_with_a_record_takes_no_other_with_it(http):
    made(http, "mixed", time_format="epoch_ms")
    fine = {"at": START_S * 1_000, "score": 1, "http": {"host": "a"}}
    lines = [fine, {**fine, "at": "never"}, {"score": 1}, {"at": START_S * 1_000}, {}]
    lines += [{**fine, "x" * 300: 1}]  # a name that no event may have
    counts = posted(http, "mixed", "\n".join(json.dumps(each) for each in lines).encode())
    assert counts["input_record_count"] == 6
    assert counts["processed_record_count"] == 2
    assert counts["invalid_date_count"] == 3
    assert counts["missing_field_count"] == 2
    assert counts["rejected_record_count"] == 1
    empty = posted(http, "mixed", b"")
    assert (empty["input_record_count"], empty["processed_record_count"]) == (0, 0)


def test_law_a_large_post_goes_in_pieces_and_is_counted_whole(served, http):
    made(http, "large", detectors=[{"function": "count"}])
    told = [{"at": START_S + place / 100, "text": "x" * 1_000} for place in range(12_000)]
    for place in (3, 11_000):
        told[place]["x" * 300] = 1  # a name that no event may have
    told[11_500]["at"] = None
    counts = posted(http, "large", json.dumps(told).encode())
    assert counts["input_bytes"] > 8 << 20
    assert counts["processed_record_count"] == 11_997
    assert (counts["rejected_record_count"], counts["invalid_date_count"]) == (2, 1)
    assert served.sql("SELECT count(*) FROM events WHERE model_id = 'large'") == [(11_997,)]


@pytest.mark.parametrize(
    "content", [b"{", b"1", b'[1,{"at":1}]', b'{"at":1}x', b"\xff", b'{"a":NaN}', b"[" * 5_000]
)
def test_error_a_body_of_something_else_is_taken_not_at_all(served, http, formed, content):
    before = events_of(served, "formed")
    whole = json.dumps(THREE[0]).encode() + b"\n" + content
    for each in (content, whole):
        answer = http.post(f"{formed}/_data", content=each)
        error_of(answer, 400, "x_content_parse_exception")
    assert events_of(served, "formed") == before


def test_error_packing_that_is_broken_or_unknown(http, formed):
    packed = gzip.compress(json.dumps(THREE).encode())
    for encoding, content in (("gzip", packed[:-9]), ("gzip", b"plain"), ("br", packed)):
        headers = {"Content-Encoding": encoding}
        answer = http.post(f"{formed}/_data", content=content, headers=headers)
        error_of(answer, 400, "illegal_argument_exception")
    bomb = gzip.compress(b" " * (101 << 20), 9)
    answer = http.post(f"{formed}/_data", content=bomb, headers={"Content-Encoding": "gzip"})
    error_of(answer, 413, "content_too_long_exception")


def test_error_data_for_a_job_that_takes_none(http, formed):
    http.post(f"{formed}/_close")
    error_of(http.post(f"{formed}/_data", json=THREE), 409, "status_exception")
    error_of(http.post(f"{ROOT}/of-metrics/_data", json=THREE), 409, "status_exception")
    error_of(http.post(f"{ROOT}/absent/_data", json=THREE), 404)
    http.post(f"{formed}/_open")
    again = http.post(f"{formed}/_data?reset_start=0&reset_end=1", json=THREE)
    assert "reset_end" in error_of(again, 400, "illegal_argument_exception")


def test_contract_a_job_of_another_model_watches_its_stream(served, http):
    ours = {"model": "shop", "filter": [{"property": "city", "comparator": "eq", "value": "Bern"}]}
    body = {
        "analysis_config": {"bucket_span": "1m", "detectors": [{"function": "count"}]},
        "data_description": {},
        "custom_settings": {"bellwether": ours, "note": 1},
    }
    told = http.put(f"{ROOT}/of-shop", json=body).json()
    assert told["custom_settings"] == body["custom_settings"]
    at_ms = AFTER_S * 1_000
    served.post_events(
        [
            {"model_id": "shop", "id": str(n), "timestamp": at_ms + n * 10_000,
             "features": {"city": "Bern" if n % 2 else "Basel"}}
            for n in range(30)
        ]
    )  # fmt: skip
    found = http.get(f"{ROOT}/of-shop/results/buckets?exclude_interim=true").json()["buckets"]
    assert [each["event_count"] for each in found] == [3, 3, 3, 3]


def test_contract_what_is_long_past_for_others_is_in_order_for_its_job(http, watched):
    assert len(watched[0]) > 0  # the watermark is far beyond
    made(http, "history", detectors=[{"function": "count"}])
    begin_s = START_S - 20 * 86_400
    for part in range(3):
        told = [{"at": begin_s + 2 * SPAN_S * part + n * 100} for n in range(6)]
        counts = posted(http, "history", json.dumps(told).encode())
        assert counts["out_of_order_timestamp_count"] == 0
        flushed = http.post(f"{ROOT}/history/_flush").json()
        end_s = begin_s + (2 * part + 1) * SPAN_S
        assert flushed == {"flushed": True, "last_finalized_bucket_end": end_s * 1_000}
    late = posted(http, "history", json.dumps([{"at": begin_s}, {"at": begin_s}]).encode())
    assert late["out_of_order_timestamp_count"] == 2
    found = http.get(f"{ROOT}/history/results/buckets?exclude_interim=true").json()["buckets"]
    assert [each["event_count"] for each in found] == [5, 3, 3, 3, 3]


def test_contract_nothing_is_left_of_a_deleted_job_but_its_events(served, http):
    made(http, "passing", detectors=[{"function": "count"}])
    later = [{"at": AFTER_S + 1_200 + n * 100} for n in range(20)]
    posted(http, "passing", json.dumps(later).encode())
    assert http.get(f"{ROOT}/passing/results/buckets").json()["count"] > 3
    assert http.delete(f"{ROOT}/passing?force=true").json() == {"acknowledged": True}
    posted_more = [{"at": AFTER_S + 4_800 + n * 100} for n in range(20)]
    made(http, "other", detectors=[{"function": "count"}])
    posted(http, "other", json.dumps(posted_more).encode())
    for relation in ("anomaly_buckets", "anomaly_records", "anomaly_job_stats", "anomaly_states",
                     "anomaly_annotations", "anomaly_jobs", "anomaly_snapshots"):  # fmt: skip
        found = served.sql(f"SELECT count(*) FROM {relation} WHERE job_id = 'passing'")
        assert found == [(0,)], relation
    assert len(events_of(served, "passing")) == 20
    # Made again it is another job: what was posted before is none of its business.
    assert made(http, "passing", detectors=[{"function": "count"}])["job_id"] == "passing"
    assert http.get(f"{ROOT}/passing/results/buckets").json() == {"count": 0, "buckets": []}
    posted(http, "passing", json.dumps([{"at": AFTER_S + 7_200}]).encode())
    posted(http, "passing", json.dumps([{"at": AFTER_S + 7_200 + 2 * SPAN_S}]).encode())
    found = http.get(f"{ROOT}/passing/results/buckets?exclude_interim=true").json()["buckets"]
    assert [each["event_count"] for each in found] == [1, 0]
    assert "custom_settings" not in http.get(f"{ROOT}/passing").json()["jobs"][0]
