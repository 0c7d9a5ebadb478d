"""Scale's contract for users who may see some models or jobs only, and for odd requests.

What is hidden is in no list, no choice and no sum, and asking for it by name or id answers like
asking for what there is not.
"""

import httpx
import pytest
from serving import serving, user

KEY = "key-of-somebody-0123456789-"
CONFIG = """
anomaly_jobs:
- {job_id: of-m, model: m, bucket_span: 1h, detectors: [{function: count}]}
- {job_id: of-n, model: n, bucket_span: 1h, detectors: [{function: count}]}
catalogues:
- name: plain
  type: prediction
  choice: [prediction]
  groups: [{name: all}]
  columns: [{name: events, aggregate: count, group: all, units: count}]
- name: by-model
  type: prediction
  choice: [model_id]
  groups: [{name: all}]
  columns: [{name: events, aggregate: count, group: all, units: count}]
"""


def some_events():
    found = []
    for hour in range(10):
        at = f"2026-01-05T{hour:02}:10:00Z"
        for model, count in (("m", 1), ("n", 2)):
            found += [
                {"type": "prediction", "model_id": model, "id": f"{model}{hour}{number}"}
                | {"timestamp": at, "prediction": "a", "label": "a"}
                for number in range(count)
            ]
    for job, values in ((7, (1.0, 3.0)), (8, (100.0,))):
        found += [
            {"type": "metric", "job_id": job, "name": "loss", "step": step, "value": value}
            | {"timestamp": "2026-01-05T03:00:00Z"}
            for step, value in enumerate(values)
        ]
    run = {"type": "run", "id": "r", "job_type": "t", "status": "completed", "job_id": 8}
    return [*found, run | {"timestamp": "2026-01-05T03:00:00Z"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    users = [
        user("of m", "viewer", key=f"{KEY}m", email=None, models=("m",)),
        user("of 7", "viewer", key=f"{KEY}7", email=None, jobs=("7",)),
    ]
    with serving(tmp_path_factory.mktemp("scale"), CONFIG, users=users) as served:
        served.post_events(some_events())
        yield served


@pytest.fixture(scope="module")
def get(run):
    def asked(who, path, **params):
        with httpx.Client(base_url=f"{run.url}/v6/metrics") as http:
            headers = {"Authorization": f"Token {who}"}
            return http.get(path, params=params, headers=headers)

    return asked


def choices(get, who, name):
    return {choice["title"]: choice["id"] for choice in get(who, f"/{name}/").json()["choices"]}


def total(get, who, name, column, **params):
    answer = get(who, f"/{name}/plot-data/", column=column, **params).json()
    return sum(value["value"] for value in answer["results"][0]["values"])


def test_law_only_choices_of_seen_models_are_told_and_summed(run, get):
    every = run.keys["viewer"]
    assert list(choices(get, every, "confusion")) == ["m, a, a", "n, a, a"]
    assert list(choices(get, f"{KEY}m", "confusion")) == ["m, a, a"]
    assert list(choices(get, f"{KEY}m", "by-model")) == ["m"]
    assert (
        total(get, every, "confusion", "event_time_count"),
        total(get, f"{KEY}m", "confusion", "event_time_count"),
        total(get, every, "by-model", "events"),
        total(get, f"{KEY}m", "by-model", "events"),
    ) == (30, 10, 30, 10)


def test_law_only_choices_of_seen_jobs_are_told_and_summed(run, get):
    every = run.keys["viewer"]
    assert list(choices(get, f"{KEY}7", "step-metrics")) == ["7, loss"]
    assert total(get, every, "step-metrics", "value_max") == 100
    assert total(get, f"{KEY}7", "step-metrics", "value_max") == 3
    assert total(get, f"{KEY}7", "confusion", "event_time_count") == 30


def test_law_a_job_is_hidden_with_its_model(run, get):
    assert list(choices(get, run.keys["viewer"], "anomaly-scores")) == ["of-m", "of-n"]
    assert list(choices(get, f"{KEY}m", "anomaly-scores")) == ["of-m"]
    assert list(choices(get, f"{KEY}7", "anomaly-scores")) == []


def test_law_what_is_hidden_answers_like_what_there_is_not(run, get):
    hidden = choices(get, run.keys["viewer"], "step-metrics")["8, loss"]
    answers = [
        get(f"{KEY}7", "/step-metrics/plot-data/", choice_id=one) for one in (hidden, 12_345)
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    told = [answer.json()["detail"] for answer in answers]
    assert told[0].replace(str(hidden), "12345") == told[1]


def test_law_a_catalogue_that_names_neither_model_nor_job_is_hidden(run, get):
    names = {
        who: [each["name"] for each in get(who, "/").json()["results"]]
        for who in (run.keys["viewer"], f"{KEY}m")
    }
    every, some = names.values()
    assert set(every) - set(some) == {"plain"}
    assert get(f"{KEY}m", "/", page_size=1).json()["count"] == len(some) == len(every) - 1
    for path in ("/{}/", "/{}/plot-data/"):
        answers = [get(f"{KEY}m", path.format(name)) for name in ("plain", "nothing")]
        assert [answer.status_code for answer in answers] == [404, 404]
        told = [answer.json()["detail"] for answer in answers]
        assert told[0].replace("got plain", "got nothing") == told[1]


def test_error_a_key_that_is_none(run, get):
    answer = get("no such key at all", "/")
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    with httpx.Client() as http:
        assert http.get(f"{run.url}/v6/metrics/").status_code == 401


def test_error_an_odd_host_is_in_no_link(run):
    with run.http("viewer", headers={"Host": "evil/path?x"}) as http:
        found = http.get("/v6/metrics/", params={"page_size": 1}).json()
    assert found["next"].startswith("http://127.0.0.1:")


def test_error_large_and_strange_words(run, get):
    key = run.keys["viewer"]
    for params in (
        {"page": "9" * 30},
        {"choice_id": "9" * 400},
        {"column": "x\0y"},
        {"started": "P" + "9" * 50 + "D"},
        {"ended": "0001-01-01T00:00:00+14:00"},
    ):
        assert get(key, "/job-types/plot-data/", **params).status_code == 400
    assert get(key, f"/{'x' * 5_000}/").status_code == 404
