"""The get-buckets API as its document has it, id by id: what may be asked, and what is answered.

Its published client must work unchanged, so each parameter and each field has a test of its own,
and the document's example is given back word for word.
"""

import json

import numpy as np
import pytest
from anomaly_store import JOB, SPAN_S, START_S, bucket, records, scored, store, whole

from engine.anomaly.queries.bucket_parameters import parameters_of
from engine.anomaly.queries.bucket_query import buckets
from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.scores.normalizer import STANDARD, History
from engine.anomaly.scores.raw_score import raw_score
from engine.errors import NotFoundError, QueryError

SCORES = (10.0, 80.0, 79.99, 95.0, 80.0, 30.0)  # the last one is interim
STARTS = [1_000 * (START_S + place * SPAN_S) for place in range(len(SCORES))]
LEAST_P = 2.2250738585072014e-308


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


def rows():
    for place, score in enumerate(SCORES):
        told = {"is_interim": place == 5, "processing_time_ms": 99.9 - place}
        told["records"] = records(0 if place == 4 else 2)
        if place == 3:
            told["bucket_influencers"] = two_influencers()
        yield bucket(place, score, event_count=place, **told)


@pytest.fixture(scope="module")
def cursor():
    connection, _ = store(*rows(), bucket(1, 99.0, job_id="other"))
    # As if a later bucket had moved the scores of this one.
    moved = f"SET score = 90 WHERE epoch_ms(timestamp) = {STARTS[3]}"
    connection.execute(f"UPDATE bucket_results {moved}")
    connection.execute(f"UPDATE bucket_influencer_results {moved} AND field_name = 'bucket_time'")
    return connection


@pytest.fixture(scope="module")
def answer(cursor):
    """Give the bucket with two influencers."""
    (found,) = buckets(cursor, JOB, parameters_of({}), STARTS[3])["buckets"]
    return found


@pytest.fixture(scope="module")
def influencers(answer):
    return answer["bucket_influencers"]


def asked(cursor, job_id=JOB, **told):
    return buckets(cursor, job_id, parameters_of(told))


def starts(cursor, **told):
    return [each["timestamp"] for each in asked(cursor, **told)["buckets"]]


def places(cursor, **told):
    return [STARTS.index(start) for start in starts(cursor, **told)]


# ---- what is asked ---------------------------------------------------------------------------


def test_contract_EL_01_the_buckets_of_a_job_and_of_no_other(cursor):
    assert starts(cursor) == STARTS
    assert starts(cursor, job_id="other") == [STARTS[1]]


def test_contract_EL_02_one_bucket_by_its_timestamp(cursor):
    for timestamp in (STARTS[2], str(STARTS[2])):
        found = buckets(cursor, JOB, parameters_of({}), timestamp)
        assert found["count"] == 1
        assert [each["timestamp"] for each in found["buckets"]] == [STARTS[2]]
    for none in (STARTS[2] + 1, STARTS[-1] + SPAN_S * 1_000, -1):
        with pytest.raises(NotFoundError, match=f"No known bucket of job '{JOB}' with timestamp"):
            buckets(cursor, JOB, parameters_of({}), none)
    with pytest.raises(NotFoundError, match="No known job with id 'none'"):
        buckets(cursor, "none", parameters_of({}), STARTS[2])


@pytest.mark.parametrize(
    "told",
    [{"start": "1"}, {"end": 1}, {"anomaly_score": 0}, {"page": {"from": 0}}, {"size": "1"}],
    ids=lambda told: next(iter(told)),
)
def test_contract_EL_02_goes_without_what_restricts(cursor, told):
    with pytest.raises(QueryError, match=f"`{next(iter(told))}` must be absent where one bucket"):
        buckets(cursor, JOB, parameters_of(told), STARTS[2])
    unset = parameters_of({"start": "-1", "end": -1, "sort": "timestamp", "desc": True})
    assert buckets(cursor, JOB, unset, STARTS[2])["count"] == 1


def test_contract_EL_04_records_in_order_of_time_grouped_by_bucket(cursor):
    found = asked(cursor, expand=True)["buckets"]
    assert [each["timestamp"] for each in found] == sorted(STARTS)
    for each in found:
        for record in each.get("records", ()):
            assert (record["timestamp"], record["job_id"]) == (each["timestamp"], JOB)
    assert [len(each.get("records", ())) for each in found] == [2, 2, 2, 2, 0, 2]
    assert "records" not in found[4]


def test_contract_EL_05_the_job_must_be_known(cursor):
    with pytest.raises(NotFoundError) as error:
        asked(cursor, job_id="none")
    assert str(error.value) == "No known job with id 'none'"


def test_contract_EL_06_without_a_timestamp_all_buckets(cursor):
    assert buckets(cursor, JOB, parameters_of({}), None) == asked(cursor)
    assert asked(cursor)["count"] == len(SCORES)


def test_contract_EL_07_scores_of_at_least_so_much(cursor):
    assert parameters_of({}).score == 0.0
    assert places(cursor, anomaly_score=80) == [1, 3, 4]
    assert places(cursor, anomaly_score="80.0") == [1, 3, 4]
    assert places(cursor, anomaly_score=80.001) == [3]
    assert asked(cursor, anomaly_score=90.5) == {"count": 0, "buckets": []}


def test_contract_EL_08_descending_if_asked_for(cursor):
    assert places(cursor, desc=True) == [5, 4, 3, 2, 1, 0]
    assert places(cursor, desc="false") == places(cursor) == [0, 1, 2, 3, 4, 5]


def test_contract_EL_09_earlier_than_the_end(cursor):
    assert places(cursor, end=str(STARTS[2])) == [0, 1]
    assert places(cursor, end=STARTS[2] + 1) == [0, 1, 2]
    assert places(cursor, end="-1") == places(cursor, end=-1) == places(cursor)


def test_contract_EL_10_interim_results_are_included_unless_excluded(cursor):
    assert places(cursor, exclude_interim=True) == [0, 1, 2, 3, 4]
    assert places(cursor, exclude_interim="false") == places(cursor)
    # A look-up finds an interim bucket all the same.
    told = parameters_of({"exclude_interim": True})
    (found,) = buckets(cursor, JOB, told, STARTS[5])["buckets"]
    assert found["is_interim"] is True


def test_contract_EL_11_with_records_if_asked_for(cursor):
    assert all("records" not in each for each in asked(cursor)["buckets"])
    for found in (
        asked(cursor, expand=True, size=1)["buckets"][0],
        buckets(cursor, JOB, parameters_of({"expand": "true"}), STARTS[0])["buckets"][0],
    ):
        assert [record["by_field_value"] for record in found["records"]] == ["A0", "A1"]


def test_contract_EL_12_the_page_skips_buckets(cursor):
    assert parameters_of({}).skip == 0
    for told in ({"page": {"from": 4}}, {"from": "4"}, {"page": {"from": "4"}}):
        assert places(cursor, **told) == [4, 5]
        assert asked(cursor, **told)["count"] == len(SCORES)
    assert places(cursor, page={"from": 6}) == []


def test_contract_EL_13_the_page_has_so_many_buckets():
    connection, _ = store(*(BucketRows(JOB, START_S + i * 60, 60, 1.0, i) for i in range(150)))
    assert [len(starts(connection, **told)) for told in ({}, {"size": "120"}, {"size": 0})] == [
        *(100, 120, 0)
    ]
    last = asked(connection, page={"from": 140, "size": 20})
    assert (last["count"], len(last["buckets"])) == (150, 10)


def test_contract_EL_14_sorted_by_a_field(cursor):
    assert parameters_of({}).sort == "timestamp"
    assert places(cursor, sort="anomaly_score") == [0, 5, 2, 1, 4, 3]
    assert places(cursor, sort="anomaly_score", desc=True) == [3, 4, 1, 2, 5, 0]
    assert places(cursor, sort="processing_time_ms") == [5, 4, 3, 2, 1, 0]
    with pytest.raises(QueryError, match='got "anomaly_scor"; did you mean "anomaly_score"'):
        parameters_of({"sort": "anomaly_scor"})


def test_contract_EL_15_from_the_start_on(cursor):
    assert places(cursor, start=STARTS[4]) == [4, 5]
    assert places(cursor, start=str(STARTS[4] + 1)) == [5]
    assert places(cursor, start="-1") == places(cursor)


def test_contract_EL_16_a_body_and_a_query_string_ask_alike():
    body = '{"anomaly_score": 75.5, "desc": true, "exclude_interim": false, "end": 9000000, '
    body += '"expand": true, "page": {"from": 1, "size": 7}, "sort": "event_count", "start": 5}'
    query = {"anomaly_score": "75.5", "desc": "true", "exclude_interim": "false", "end": "9000000"}
    query |= {"expand": "true", "from": "1", "size": "7", "sort": "event_count", "start": "5"}
    one, other = parameters_of(json.loads(body)), parameters_of(query)
    for name in ("score", "desc", "exclude_interim", "start_us", "end_us", "expand", "skip"):
        assert getattr(one, name) == getattr(other, name)
    assert (one.size, one.sort, one.end_us) == (7, "event_count", 9_000_000_000)
    assert parameters_of({}) == parameters_of({"start": None, "desc": None})


# ---- what is answered ------------------------------------------------------------------------


def test_contract_EL_21_an_influencers_score_may_have_moved(influencers):
    assert [each["anomaly_score"] for each in influencers] == [90.0, 20.0]


def test_contract_EL_22_an_influencers_span_in_seconds(influencers):
    assert [each["bucket_span"] for each in influencers] == [SPAN_S] * 2


def test_contract_EL_23_an_influencers_first_score_stays(influencers):
    assert [each["initial_anomaly_score"] for each in influencers] == [95.0, 20.0]


def test_contract_EL_24_bucket_time_comes_before_the_fields(influencers):
    assert [each["influencer_field_name"] for each in influencers] == ["bucket_time", "airline"]


def test_contract_EL_25_bucket_time_has_no_value(influencers):
    assert "influencer_field_value" not in influencers[0]
    assert influencers[1]["influencer_field_value"] == "A1"


def test_contract_EL_26_influencers_say_whether_they_are_interim(cursor, influencers):
    assert [each["is_interim"] for each in influencers] == [False] * 2
    (found,) = asked(cursor, start=STARTS[5])["buckets"]
    assert [each["is_interim"] for each in found["bucket_influencers"]] == [True]


def test_contract_EL_27_influencers_name_their_job(influencers):
    assert [each["job_id"] for each in influencers] == [JOB] * 2


def test_contract_EL_29_raw_scores_of_influencers(influencers):
    assert [each["raw_anomaly_score"] for each in influencers] == [3.0, 1.0]


def test_contract_EL_30_influencers_are_bucket_influencers(influencers):
    assert {each["result_type"] for each in influencers} == {"bucket_influencer"}


def test_contract_EL_31_influencers_have_the_start_of_their_bucket(cursor):
    for each in asked(cursor)["buckets"]:
        assert each["bucket_influencers"]
        assert {part["timestamp"] for part in each["bucket_influencers"]} == {each["timestamp"]}


def test_contract_EL_32_a_buckets_span_in_seconds(answer):
    assert answer["bucket_span"] == SPAN_S


def test_contract_EL_34_a_buckets_first_score_stays(answer):
    assert (answer["anomaly_score"], answer["initial_anomaly_score"]) == (90.0, 95.0)


def test_contract_EL_35_a_bucket_says_whether_it_is_interim(cursor):
    assert [each["is_interim"] for each in asked(cursor)["buckets"]] == [False] * 5 + [True]


def test_contract_EL_36_a_bucket_names_its_job(answer):
    assert answer["job_id"] == JOB


def test_contract_EL_37_whole_milliseconds_of_work(cursor):
    found = [each["processing_time_ms"] for each in asked(cursor)["buckets"]]
    assert found == [99, 98, 97, 96, 95, 94]
    assert {type(each) for each in found} == {int}


def test_contract_EL_38_a_bucket_is_a_bucket(answer):
    assert answer["result_type"] == "bucket"


# ---- the document's example ------------------------------------------------------------------

EXAMPLE = """{
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


def hours(probabilities, start_s):
    """Give hours, scored as they follow each other, as the results of the document's job."""
    history, scope = History(), np.array([0])
    for place, p in enumerate(probabilities):
        at_s, raw = start_s + place * 3_600, raw_score(np.array([p]))
        history, _ = STANDARD.update(history, at_s, 3_600, raw, scope)
        score, ceiling = STANDARD.score(history, raw, scope)
        told = {"raw_score": raw, "probability": np.array([p]), "ceiling": ceiling}
        yield BucketRows(
            "low_request_rate",
            *(at_s, 3_600, float(score[0]), 0 if p < 0.05 else 28),
            processing_time_ms=0.25,
            bucket_influencers=whole(score, **told),
        )


def test_contract_EL_41_the_example_to_the_last_digit():
    long_ago = hours([1.0] * 300 + [1e-9], 1_454_529_600 - 300 * 3_600)
    told = hours([1.0] * 300 + [1.7340849573442696e-4, 0.3], 1_578_398_400 - 300 * 3_600)
    connection, _ = store(*long_ago, *told)
    parameters = parameters_of(json.loads('{"anomaly_score": 80, "start": "1454530200001"}'))
    found = buckets(connection, "low_request_rate", parameters)
    assert json.dumps(found, allow_nan=False) == json.dumps(json.loads(EXAMPLE))
    assert asked(connection, "low_request_rate", anomaly_score=80)["count"] == 2
