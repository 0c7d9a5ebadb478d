"""get-buckets over HTTP, id by id of its document: what is asked, and what is answered.

Its published clients must work unchanged, so each parameter and each field has a test of its own,
and the document's example is given back field for field.
"""

import pytest
from anomaly_store import JOB, SPAN_S, START_S
from elastic_runs import (
    CONFIG,
    EXAMPLE,
    EXAMPLE_JOB,
    EXAMPLE_MS,
    LEAST_P,
    ROOT,
    SCORES,
    STARTS,
    change,
    error_of,
    example_buckets,
    six_buckets,
    write_results,
)
from serving import serving, user

from engine.anomaly.results.result_rows import BucketRows

BUCKETS = f"{ROOT}/{JOB}/results/buckets"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    hidden = user("narrow", "viewer", key="key-of-somebody-narrow", models=(JOB, "planes"))
    with serving(tmp_path_factory.mktemp("run"), CONFIG, users=[hidden]) as found:
        many = (BucketRows("many", START_S + i * 60, 60, 1.0, i) for i in range(150))
        other = BucketRows("others", START_S, SPAN_S, 99.0, 1)
        write_results(found, *six_buckets(), *example_buckets(), *many, other)
        moved = f"SET score = 90 WHERE job_id = '{JOB}' AND epoch_ms(timestamp) = {STARTS[3]}"
        change(found, f"UPDATE bucket_results {moved}")
        change(found, f"UPDATE bucket_influencer_results {moved} AND field_name = 'bucket_time'")
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer") as client:
        yield client


def asked(http, path=BUCKETS, **body):
    response = http.post(path, json=body) if body else http.post(path)
    assert response.status_code == 200, response.text
    return response.json()


def places(http, **body):
    return [STARTS.index(each["timestamp"]) for each in asked(http, **body)["buckets"]]


@pytest.fixture(scope="module")
def answer(http):
    """The bucket with two influencers."""
    (found,) = asked(http, f"{BUCKETS}/{STARTS[3]}")["buckets"]
    return found


@pytest.fixture(scope="module")
def influencers(answer):
    return answer["bucket_influencers"]


# ---- what is asked ---------------------------------------------------------------------------


def test_contract_EL_01_the_buckets_of_a_job_by_get_and_by_post(http):
    by_get = http.get(BUCKETS).json()
    assert [each["timestamp"] for each in by_get["buckets"]] == STARTS
    assert asked(http) == by_get


def test_contract_EL_02_one_bucket_by_its_timestamp(http):
    for method in ("GET", "POST"):
        told = http.request(method, f"{BUCKETS}/{STARTS[2]}").json()
        assert (told["count"], told["buckets"][0]["timestamp"]) == (1, STARTS[2])
    none = http.get(f"{BUCKETS}/{STARTS[2] + 1}")
    assert f"No known bucket of job '{JOB}'" in error_of(none, 404, "resource_not_found_exception")
    for name, value in (("start", "1"), ("end", 1), ("anomaly_score", 0), ("page", {"from": 0})):
        refused = http.post(f"{BUCKETS}/{STARTS[2]}", json={name: value})
        assert f"`{name}` must be absent" in error_of(refused, 400, "illegal_argument_exception")


def test_contract_EL_03_a_viewer_may_ask_and_nobody_without_a_key(served, http):
    assert http.get(BUCKETS).status_code == 200
    for headers in ({}, {"Authorization": "ApiKey bm9ib2R5OmF0LWFsbC1ub2JvZHk="}):
        with served.http("nobody", headers=headers) as stranger:
            error_of(stranger.get(BUCKETS), 401, "security_exception")


def test_contract_EL_03_what_a_key_may_not_see_answers_like_what_is_not_there(served):
    headers = {"Authorization": "ApiKey key-of-somebody-narrow"}
    with served.http("nobody", headers=headers) as narrow:
        assert narrow.get(BUCKETS).status_code == 200
        for path in ("results/buckets", f"results/buckets/{START_S}000", "results/records"):
            told = [
                error_of(narrow.get(f"{ROOT}/{job}/{path}"), 404, "resource_not_found_exception")
                for job in ("others", "absent")
            ]
            assert told == ["No known job with id 'others'", "No known job with id 'absent'"]


def test_contract_EL_04_records_in_order_of_time_grouped_by_bucket(http):
    found = asked(http, expand=True)["buckets"]
    assert [each["timestamp"] for each in found] == STARTS
    assert [len(each.get("records", ())) for each in found] == [2, 2, 2, 2, 0, 2]
    assert "records" not in found[4]
    for each in found:
        assert {record["timestamp"] for record in each.get("records", ())} <= {each["timestamp"]}


def test_contract_EL_05_the_job_must_be_known(http):
    for name, told in (("none", "none"), ("a%20b%27", "a b'"), ("%2A", "*")):
        response = http.get(f"{ROOT}/{name}/results/buckets")
        reason = error_of(response, 404, "resource_not_found_exception")
        assert reason == f"No known job with id '{told}'"


def test_contract_EL_06_without_a_timestamp_all_buckets(http):
    assert asked(http)["count"] == len(SCORES)


def test_contract_EL_07_scores_of_at_least_so_much(http):
    assert places(http, anomaly_score=80) == [1, 3, 4]
    assert places(http, anomaly_score=80.001) == [3]
    assert asked(http, anomaly_score=90.5) == {"count": 0, "buckets": []}
    assert places(http, anomaly_score=0.0) == places(http) == [0, 1, 2, 3, 4, 5]


def test_contract_EL_08_descending_if_asked_for(http):
    assert places(http, desc=True) == [5, 4, 3, 2, 1, 0]
    assert places(http, desc=False) == places(http)


def test_contract_EL_09_earlier_than_the_end(http):
    assert places(http, end=str(STARTS[2])) == [0, 1]
    assert places(http, end="-1") == places(http)


def test_contract_EL_10_interim_results_are_included_unless_excluded(http):
    assert places(http, exclude_interim=True) == [0, 1, 2, 3, 4]
    assert places(http, exclude_interim=False) == places(http)
    looked_up = http.post(f"{BUCKETS}/{STARTS[5]}", json={"exclude_interim": True}).json()
    assert looked_up["buckets"][0]["is_interim"] is True


def test_contract_EL_11_with_records_if_asked_for(http):
    assert all("records" not in each for each in asked(http)["buckets"])
    (found,) = http.get(f"{BUCKETS}/{STARTS[0]}?expand=true").json()["buckets"]
    assert [record["by_field_value"] for record in found["records"]] == ["A0", "A1"]


def test_contract_EL_12_the_page_skips_buckets(http):
    assert places(http, page={"from": 4}) == [4, 5]
    assert asked(http, page={"from": 4})["count"] == len(SCORES)
    assert len(http.get(f"{BUCKETS}?from=5").json()["buckets"]) == 1
    reason = error_of(http.post(BUCKETS, json={"page": {"from": -1}}), 400)
    assert "from" in reason


def test_contract_EL_13_the_page_has_a_hundred_buckets_or_so_many(http):
    path = f"{ROOT}/many/results/buckets"
    assert len(asked(http, path)["buckets"]) == 100
    assert len(asked(http, path, page={"size": 120})["buckets"]) == 120
    last = http.post(f"{path}?from=140&size=20", json={"desc": False}).json()
    assert (last["count"], len(last["buckets"])) == (150, 10)


def test_contract_EL_14_sorted_by_a_field_else_by_time(http):
    assert places(http, sort="anomaly_score") == [0, 5, 2, 1, 4, 3]
    assert places(http, sort="anomaly_score", desc=True) == [3, 4, 1, 2, 5, 0]
    assert "anomaly_scor" in error_of(http.post(BUCKETS, json={"sort": "anomaly_scor"}), 400)


def test_contract_EL_15_from_the_start_on(http):
    assert places(http, start=str(STARTS[4])) == [4, 5]
    assert places(http, start="-1") == places(http)


def test_contract_EL_16_a_get_with_a_body_asks_like_a_query_string(http):
    body = {"anomaly_score": 75.5, "desc": True, "expand": True, "start": str(STARTS[1])}
    query = "?anomaly_score=75.5&desc=true&expand=true&start=" + str(STARTS[1])
    by_body = http.request("GET", BUCKETS, json=body).json()
    assert [each["timestamp"] for each in by_body["buckets"]] == [
        STARTS[place] for place in (4, 3, 2, 1)
    ]
    assert http.get(BUCKETS + query).json() == by_body


def test_contract_EL_16_what_both_name_is_as_the_body_says(http):
    both = http.post(f"{BUCKETS}?desc=true&from=1&size=4", json={"desc": False}).json()
    assert [each["timestamp"] for each in both["buckets"]] == STARTS[1:5]
    paged = http.post(f"{BUCKETS}?from=1&size=4", json={"page": {"from": 5}}).json()
    assert [each["timestamp"] for each in paged["buckets"]] == STARTS[5:]


# ---- what is answered ------------------------------------------------------------------------


def test_contract_EL_17_count_is_of_all_that_match(http):
    assert asked(http, anomaly_score=80, page={"size": 1})["count"] == 3


def test_contract_EL_18_buckets_are_a_list(http):
    assert isinstance(asked(http)["buckets"], list)


def test_contract_EL_19_the_score_is_the_greatest_of_the_influencers_and_may_move(answer):
    assert answer["anomaly_score"] == 90.0
    assert answer["anomaly_score"] == max(
        each["anomaly_score"] for each in answer["bucket_influencers"]
    )


def test_contract_EL_20_influencers_are_a_list(http):
    assert [len(each["bucket_influencers"]) for each in asked(http)["buckets"]] == [
        *(1, 1, 1, 2, 1, 1)
    ]


def test_contract_EL_21_an_influencers_score_may_have_moved(influencers):
    assert [each["anomaly_score"] for each in influencers] == [90.0, 20.0]


def test_contract_EL_22_an_influencers_span_in_seconds(influencers):
    assert [each["bucket_span"] for each in influencers] == [SPAN_S] * 2


def test_contract_EL_23_an_influencers_first_score_stays(influencers):
    assert [each["initial_anomaly_score"] for each in influencers] == [95.0, 20.0]


def test_contract_EL_24_bucket_time_comes_before_the_fields(influencers):
    assert [each["influencer_field_name"] for each in influencers] == ["bucket_time", "airline"]


def test_contract_EL_25_bucket_time_has_no_value(influencers):
    assert [each.get("influencer_field_value") for each in influencers] == [None, "A1"]
    assert "influencer_field_value" not in influencers[0]


def test_contract_EL_26_influencers_say_whether_they_are_interim(http):
    found = [each["bucket_influencers"][0]["is_interim"] for each in asked(http)["buckets"]]
    assert found == [False] * 5 + [True]


def test_contract_EL_27_influencers_name_their_job(influencers):
    assert [each["job_id"] for each in influencers] == [JOB] * 2


def test_contract_EL_28_probabilities_down_to_the_least(influencers):
    assert [each["probability"] for each in influencers] == [LEAST_P, 1e-5]


def test_contract_EL_29_raw_scores_of_influencers(influencers):
    assert [each["raw_anomaly_score"] for each in influencers] == [3.0, 1.0]


def test_contract_EL_30_influencers_are_bucket_influencers(influencers):
    assert {each["result_type"] for each in influencers} == {"bucket_influencer"}


def test_contract_EL_31_influencers_have_the_start_of_their_bucket(influencers):
    assert {each["timestamp"] for each in influencers} == {STARTS[3]}


def test_contract_EL_32_a_buckets_span_in_seconds(answer):
    assert answer["bucket_span"] == SPAN_S


def test_contract_EL_33_events_of_a_bucket_which_may_be_none(http):
    assert [each["event_count"] for each in asked(http)["buckets"]] == [0, 1, 2, 3, 4, 5]


def test_contract_EL_34_a_buckets_first_score_stays(answer):
    assert answer["initial_anomaly_score"] == 95.0


def test_contract_EL_35_a_bucket_says_whether_it_is_interim(http):
    assert [each["is_interim"] for each in asked(http)["buckets"]] == [False] * 5 + [True]


def test_contract_EL_36_a_bucket_names_its_job(answer):
    assert answer["job_id"] == JOB


def test_contract_EL_37_whole_milliseconds_of_work(http):
    found = [each["processing_time_ms"] for each in asked(http)["buckets"]]
    assert found == [99, 98, 97, 96, 95, 94]
    assert {type(each) for each in found} == {int}


def test_contract_EL_38_a_bucket_is_a_bucket(answer):
    assert answer["result_type"] == "bucket"


def test_contract_EL_39_the_start_is_the_buckets_own(http):
    starts = [each["timestamp"] for each in asked(http)["buckets"]]
    assert len(set(starts)) == len(starts) == asked(http)["count"]


def test_golden_EL_41_the_example_of_the_document(http):
    body = {"anomaly_score": 80, "start": "1454530200001"}
    path = f"{ROOT}/{EXAMPLE_JOB}/results/buckets"
    for method in ("GET", "POST"):
        found = http.request(method, path, json=body)
        assert found.json() == EXAMPLE
        assert list(found.json()["buckets"][0]) == list(EXAMPLE["buckets"][0])
    # Without the score the quiet hour before it is there, too.
    both = asked(http, path, start="1454530200001")
    assert [each["timestamp"] for each in both["buckets"]] == [EXAMPLE_MS - 3_600_000, EXAMPLE_MS]


# ---- boundaries of times ---------------------------------------------------------------------


def test_contract_ELi_24_start_is_included_and_end_is_not(http):
    assert places(http, start=STARTS[2], end=STARTS[4]) == [2, 3]
    assert places(http, start=STARTS[2], end=STARTS[2]) == []


@pytest.mark.parametrize(
    "form",
    [
        *(STARTS[3], str(STARTS[3]), "2023-11-14T22:30:00Z", "2023-11-14T22:30:00.000Z"),
        "2023-11-14T23:30:00+01:00",
    ],
    ids=repr,
)
def test_contract_ELi_25_epoch_milliseconds_and_iso_8601(http, form):
    assert places(http, start=form) == [3, 4, 5]
    (found,) = http.get(f"{BUCKETS}/{form}".replace("+", "%2B")).json()["buckets"]
    assert found["timestamp"] == STARTS[3]
    assert "`start` must be" in error_of(http.post(BUCKETS, json={"start": "14.11.2023"}), 400)
