"""Answers over results: every choice of parameters against a naive twin, and what is refused.

A filter that is off by one bucket, or an order that is not total, makes a client that pages lose
or repeat results; a name that reached the SQL would let it say anything.
"""

import json

import numpy as np
import pytest
from anomaly_store import JOB, SPAN_S, START_S, bucket, records, scored, store
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.queries.bucket_parameters import (
    SIZE_MAX,
    influencer_parameters_of,
    overall_parameters_of,
    parameters_of,
    record_parameters_of,
)
from engine.anomaly.queries.bucket_query import buckets
from engine.anomaly.queries.overall_query import overall_buckets
from engine.anomaly.queries.record_answers import influencers
from engine.anomaly.queries.record_answers import records as records_of
from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.scores.raw_score import raw_score, significance
from engine.anomaly.store.roster import Declared, declare_jobs
from engine.config import AnomalyJobSettings, DetectorSettings
from engine.errors import NotFoundError, QueryError

SCORES = (30.0, 80.0, 30.0, 95.0, 80.0, 0.0, 30.0, 50.0)
COUNTS = (5, 1, 5, 2, 1, 0, 2, 5)
STARTS = [1_000 * (START_S + place * SPAN_S) for place in range(len(SCORES))]
HOUR_S = 1_699_999_200  # a multiple of 3600


@pytest.fixture(scope="module")
def cursor():
    return store(
        *(
            bucket(place, score, event_count=count, is_interim=place == 7)
            for place, (score, count) in enumerate(zip(SCORES, COUNTS, strict=True))
        )
    )[0]


# ---- buckets ---------------------------------------------------------------------------------

TIMES = st.one_of(st.just(-1), st.tuples(st.sampled_from(STARTS), st.integers(-1, 1)).map(sum))
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "anomaly_score": st.sampled_from([0.0, 30.0, 30.5, 80.0, 96.0]),
        "start": TIMES,
        "end": TIMES,
        "exclude_interim": st.booleans(),
        "desc": st.booleans(),
        "sort": st.sampled_from(["timestamp", "anomaly_score", "event_count", "result_type"]),
        "page": st.fixed_dictionaries({"from": st.integers(0, 9), "size": st.integers(0, 9)}),
    },
)


def naive(told):
    matching = []
    for place, start in enumerate(STARTS):
        above = SCORES[place] >= told.get("anomaly_score", 0.0)
        after = told.get("start", -1) == -1 or start >= told["start"]
        before = told.get("end", -1) == -1 or start < told["end"]
        if above and after and before and not (told.get("exclude_interim") and place == 7):
            matching.append(place)
    columns = {"anomaly_score": SCORES, "event_count": COUNTS, "result_type": ["bucket"] * 8}
    by = columns.get(told.get("sort", "timestamp"), STARTS)
    matching.sort(key=lambda place: (by[place], place), reverse=told.get("desc", False))
    page = told.get("page", {"from": 0, "size": 100})
    return len(matching), matching[page["from"] : page["from"] + page["size"]]


@settings(max_examples=60, deadline=None)
@given(ASKED)
def test_oracle_a_page_of_buckets(cursor, told):
    found = buckets(cursor, JOB, parameters_of(told))
    assert (found["count"], [STARTS.index(b["timestamp"]) for b in found["buckets"]]) == naive(told)


@pytest.mark.parametrize("sort", ["anomaly_score", "event_count", "result_type"])
def test_law_pages_neither_lose_nor_repeat(cursor, sort):
    for desc in (False, True):
        told = {"sort": sort, "desc": desc}
        whole = buckets(cursor, JOB, parameters_of(told))["buckets"]
        pages = [
            buckets(cursor, JOB, parameters_of(told | {"from": at, "size": 3}))["buckets"]
            for at in range(0, len(whole), 3)
        ]
        assert [each for page in pages for each in page] == whole


def test_golden_records_of_a_bucket_come_by_rising_probability():
    odd = records(4, probability=np.array([1e-3, 1e-9, 1e-5, 1e-9]))
    connection, _ = store(bucket(records=odd))
    (found,) = buckets(connection, JOB, parameters_of({"expand": True}))["buckets"]
    assert [record["by_field_value"] for record in found["records"]] == ["A1", "A3", "A2", "A0"]


def test_golden_a_declared_job_without_results_is_known():
    connection, _ = store()
    told = AnomalyJobSettings(JOB, (DetectorSettings("count"),), model="m")
    declare_jobs(connection, [Declared(told, "event", 150, 0, "{}")], None)
    nothing = {"count": 0, "buckets": []}
    assert buckets(connection, JOB, parameters_of({})) == nothing
    with pytest.raises(NotFoundError, match="No known bucket"):
        buckets(connection, JOB, parameters_of({}), 0)


# ---- records and influencers -----------------------------------------------------------------


def test_golden_the_documents_record():
    p = 1.3882308899968812e-4
    raw = raw_score(np.array([p]))
    told = scored(1) | {
        "score": significance(raw),
        "raw_score": raw,
        "probability": np.array([p]),
        "function": ["low_count"],
        "function_description": ["count"],
        "typical": np.array([28.254208230188834]),
        "actual": np.array([0.0]),
        "explanation": [None],
        "influencers": ["[]"],
    }
    nameless = ("field_name", "by_field_name", "by_field_value", "partition_field_name")
    told |= {name: [None] for name in (*nameless, "partition_field_value")}
    job, start_s = "low_request_rate", 1_577_793_600
    row = BucketRows(job, start_s, 3_600, 94.0, 0, records=records(1, **told))
    connection, _ = store(row)
    asked = record_parameters_of({"sort": "record_score", "desc": True, "start": "1454944100000"})
    assert json.dumps(records_of(connection, job, asked)) == json.dumps(
        {
            "count": 1,
            "records": [
                {
                    "job_id": "low_request_rate",
                    "result_type": "record",
                    "probability": 1.3882308899968812e-4,
                    "multi_bucket_impact": -5.0,
                    "record_score": 94.98554565630553,
                    "initial_record_score": 94.98554565630553,
                    "bucket_span": 3600,
                    "detector_index": 0,
                    "is_interim": False,
                    "timestamp": 1577793600000,
                    "function": "low_count",
                    "function_description": "count",
                    "typical": [28.254208230188834],
                    "actual": [0.0],
                }
            ],
        }
    )


def test_golden_causes_and_explanations_are_objects():
    cause = {"over_field_value": "A1", "field_name": None, "actual": 3.0, "typical": None}
    told = {
        "causes": [json.dumps([cause])],
        "explanation": ['{"anomaly_length": 2, "season": null}'],
    }
    connection, _ = store(bucket(records=records(1, **told, actual=np.array([np.nan]))))
    (found,) = records_of(connection, JOB, record_parameters_of({}))["records"]
    assert found["causes"] == [{"over_field_value": "A1", "actual": [3.0]}]
    assert found["anomaly_score_explanation"] == {"anomaly_length": 2}
    assert found["influencers"] == [{"influencer_field_name": "airline"}]
    assert "actual" not in found
    assert "over_field_name" not in found


def test_golden_records_and_influencers_are_chosen_by_their_scores(cursor):
    least = {"size": 1, "desc": True, "end": STARTS[1]}
    found = influencers(cursor, JOB, influencer_parameters_of(least | {"influencer_score": 50}))
    assert found == {
        "count": 2,
        "influencers": [
            {
                "job_id": JOB,
                "result_type": "influencer",
                "influencer_field_name": "airline",
                "influencer_field_value": "A0",
                "influencer_score": 50.0,
                "initial_influencer_score": 50.0,
                "probability": 1e-6,
                "bucket_span": SPAN_S,
                "is_interim": False,
                "timestamp": STARTS[0],
            }
        ],
    }
    none = record_parameters_of({"record_score": 50.1})
    assert records_of(cursor, JOB, none) == {"count": 0, "records": []}
    told = record_parameters_of({"exclude_interim": True, "sort": "timestamp", "size": 3})
    found = records_of(cursor, JOB, told)
    assert (found["count"], len(found["records"])) == (14, 3)


# ---- overall buckets -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several():
    return store(
        *(
            bucket(job_id="a", score=x, start_s=HOUR_S + i * 300)
            for i, x in enumerate((10, 90, 30))
        ),
        *(bucket(job_id="b", score=x, start_s=HOUR_S + i * 300) for i, x in enumerate((40, 20, 5))),
        bucket(job_id="c", score=60, start_s=HOUR_S, span_s=600),
        bucket(job_id="c", score=80, start_s=HOUR_S + 1_200, span_s=600, is_interim=True),
    )[0]


def overall(cursor, jobs="abc", **told):
    return overall_buckets(cursor, list(jobs), overall_parameters_of(told))


def greatest(**scores):
    return [{"job_id": job_id, "max_anomaly_score": x} for job_id, x in scores.items()]


def test_contract_ELi_10_overall_buckets_as_they_are_answered(several):
    first, second, third = overall(several)["overall_buckets"]
    assert first == {
        "timestamp": HOUR_S * 1_000,
        "bucket_span": 600,
        "overall_score": 90.0,
        "jobs": greatest(a=90, b=40, c=60),
        "is_interim": False,
        "result_type": "overall_bucket",
    }
    assert (second["overall_score"], third["overall_score"]) == (30.0, 80.0)
    assert overall(several, overall_score=31, exclude_interim=True)["count"] == 1
    assert overall(several, start=HOUR_S * 1_000 + 1, end=third["timestamp"]) == {
        "count": 1,
        "overall_buckets": [second],
    }


def test_contract_ELi_10_a_longer_span_has_the_greatest_of_its_parts(several):
    (found,) = overall(several, top_n=2, bucket_span="1h")["overall_buckets"]
    # (90 + 60) / 2, (30 + 5) / 2 and 80 are its parts.
    assert (found["overall_score"], found["bucket_span"], found["is_interim"]) == (80.0, 3600, True)
    assert found["jobs"] == greatest(a=90, b=40, c=80)
    one = overall(several, "b")["overall_buckets"]
    assert [each["overall_score"] for each in one] == [40, 20, 5]
    with pytest.raises(QueryError, match="`bucket_span` must be at least the longest of the jobs"):
        overall(several, bucket_span="5m")
    with pytest.raises(NotFoundError, match="No known job with id 'x'"):
        overall(several, "axy")


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            {"anomalyscore": 1},
            'must not have the key "anomalyscore"; did you mean "anomaly_score"?',
        ),
        ({"anomaly_score": "high"}, '`anomaly_score` must be a finite number, got "high"'),
        ({"anomaly_score": "nan"}, '`anomaly_score` must be a finite number, got "nan"'),
        ({"anomaly_score": "1e999"}, '`anomaly_score` must be a finite number, got "1e999"'),
        ({"anomaly_score": True}, "`anomaly_score` must be a finite number, got true"),
        ({"desc": "yes"}, '`desc` must be true or false, got "yes"'),
        ({"expand": 1}, "`expand` must be true or false, got 1"),
        ({"size": -1}, f"`size` must be a whole number from 0 to {SIZE_MAX}, got -1"),
        ({"page": {"size": 10_001}}, "`size` must be a whole number from 0 to 10000, got 10001"),
        ({"from": "x"}, '`from` must be a whole number from 0 to 4611686018427387904, got "x"'),
        ({"page": 3}, "`page` must be an object, got 3"),
        ({"page": {"form": 3}}, '`page` must not have the key "form"; did you mean "from"?'),
        ({"page": {"size": 3}, "size": 3}, "`page.size` must be absent where `size` is told"),
        ({"start": "now"}, '`start` must be epoch milliseconds or an ISO 8601 time, got "now"'),
        ({"end": True}, "`end` must be epoch milliseconds or an ISO 8601 time, got true"),
        ({"end": 1e300}, "`end` must be epoch milliseconds or an ISO 8601 time, got 1e+300"),
        (
            {"sort": "score; DROP TABLE x"},
            "`sort` must be one of job_id, timestamp, anomaly",
        ),
        ({"sort": 1}, "`sort` must be one of job_id"),
    ],
    ids=str,
)
def test_error_texts(told, message):
    with pytest.raises(QueryError) as error:
        parameters_of(told)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_error_all_faults_are_told_at_once():
    with pytest.raises(QueryError) as error:
        parameters_of({"desk": True, "start": "soon", "size": "many"})
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"bucket_span": "1w"}, "`bucket_span` must be a span of whole seconds such as"),
        ({"bucket_span": 0}, "`bucket_span` must be a span of whole seconds such as"),
        ({"top_n": 0}, "`top_n` must be a whole number from 1 to 1000000, got 0"),
        ({"size": 3}, '`parameters` must not have the key "size"'),
    ],
    ids=str,
)
def test_error_of_overall_buckets(told, message):
    with pytest.raises(QueryError) as error:
        overall_parameters_of(told)
    assert message in str(error.value)


def test_error_fields_of_other_results_are_no_order():
    with pytest.raises(QueryError, match="`sort` must be one of"):
        influencer_parameters_of({"sort": "record_score"})
    with pytest.raises(QueryError, match='must not have the key "anomaly_score"'):
        record_parameters_of({"anomaly_score": 3})
