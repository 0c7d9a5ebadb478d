"""Items DI-01 to DI-21 and DIi-01 to DIi-11 of the contract over HTTP, on one served run.

Every request is what the published client sends; each test logs under names of its own, so that all
of them share the run.
"""

import math
from datetime import datetime

import pytest
from serving import serving

CONFIG = """
alert_rules:
- {step_metric: DIi_11, experiment: rolling, bound: upper, threshold: 2, severity: warning,
   steps: 3}
"""


class Api:
    """The calls of the published client, as requests."""

    def __init__(self, http):
        self.http = http

    def get(self, path, **params):
        answer = self.http.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path, body):
        answer = self.http.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def append(self, job, name, value, **more):
        return self.post(f"jobs/{job}/metrics", {"name": name, "value": value, **more})

    def latest(self, job):
        return {each["name"]: each["value"] for each in self.get(f"jobs/{job}/metrics")}

    def history(self, job, name, **params):
        return self.get(f"jobs/{job}/metrics/{name}/snapshots", **params)["data"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("dioptra"), CONFIG) as served:
        yield served


@pytest.fixture(scope="module")
def api(run):
    with run.http("editor") as http:
        yield Api(http)


@pytest.fixture(scope="module")
def experiment(api):
    return api.post("experiments", {"group": 1, "name": "contract"})["id"]


@pytest.fixture(scope="module")
def job(api, experiment):
    body = {"entrypoint": 1, "queue": 1, "values": {"epochs": "3"}}
    return api.post(f"experiments/{experiment}/jobs", body)["id"]


def test_contract_DI_01_a_metric_is_a_measurement_of_a_job(api, job):
    api.append(job, "DI_01", 0.5)
    assert api.latest(job)["DI_01"] == 0.5
    assert api.http.post("/api/v1/jobs/987654/metrics", json={"name": "a", "value": 1}).is_error


def test_contract_DI_02_name_and_step_are_the_key_within_a_job(api, experiment, job):
    other = api.post(f"experiments/{experiment}/jobs", {"entrypoint": 1, "queue": 1})["id"]
    for of, name, step, value in ((job, "DI_02", 1, 1.0), (job, "DI_02", 2, 2.0)):
        api.append(of, name, value, step=step)
    api.append(job, "DI_02_b", 3.0, step=1)
    api.append(other, "DI_02", 4.0, step=1)
    assert [(one["step"], one["value"]) for one in api.history(job, "DI_02")] == [(1, 1), (2, 2)]
    assert [one["value"] for one in api.history(other, "DI_02")] == [4]


def test_contract_DI_03_the_name_is_a_string(api, job):
    assert api.append(job, "DI_03", 1.0)["name"] == "DI_03"
    answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json={"name": 3, "value": 1.0})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["name"])


def test_contract_DI_04_the_value_is_a_float_or_a_special_one(api, job):
    for step, value in enumerate((0.25, -3, 0, 1e300, 2**70, "nan", "inf", "-inf")):
        assert api.append(job, "DI_04", value, step=step)["value"] == value
    bare = api.http.post(f"/api/v1/jobs/{job}/metrics", content='{"name": "b", "value": Infinity}')
    assert bare.json() == {"name": "b", "value": "inf"}
    for value in ("high", True, None, [1], "1e999"):
        answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json={"name": "a", "value": value})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["value"])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_contract_DI_12_special_values_come_back_as_strings_that_float_reads(api, job, text):
    assert api.append(job, "DI_12", text, step="auto") == {"name": "DI_12", "value": text}
    found = (api.latest(job)["DI_12"], api.history(job, "DI_12")[-1]["value"])
    assert found == (text, text)
    assert str(float(found[0])) == text


def test_contract_DI_05_nan_on_the_wire(api, job):
    api.append(job, "DI_05", "nan")
    assert math.isnan(float(api.latest(job)["DI_05"]))


def test_contract_DI_06_infinity_on_the_wire(api, job):
    api.append(job, "DI_06", "inf")
    assert api.latest(job)["DI_06"] == "inf"


def test_contract_DI_07_minus_infinity_on_the_wire(api, job):
    api.append(job, "DI_07", "-inf")
    assert api.latest(job)["DI_07"] == "-inf"


def test_contract_DI_08_the_step_is_whole_from_0_and_0_by_default(api, job):
    api.append(job, "DI_08", 1.0)
    assert [one["step"] for one in api.history(job, "DI_08")] == [0]
    for step in (-1, 1.5, 2**63, "1", True):
        body = {"name": "DI_08", "value": 1.0, "step": step}
        answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["step"])


def test_contract_DI_09_the_timestamp_is_the_one_told_or_that_of_receipt(run, api, job):
    ((before,),) = run.sql("SELECT epoch_us(current_timestamp)")
    api.append(job, "DI_09", 1.0)
    for step, told in enumerate(("2026-01-02T03:04:05", "2026-01-02T04:04:05+01:00"), 1):
        api.append(job, "DI_09", 1.0, step=step, timestamp=told)
    received, *told = (one["timestamp"] for one in api.history(job, "DI_09"))
    ((after,),) = run.sql("SELECT epoch_us(current_timestamp)")
    assert before <= round(datetime.fromisoformat(received).timestamp() * 1e6) <= after
    assert told == ["2026-01-02T03:04:05+00:00"] * 2  # no zone: UTC
    body = {"name": "DI_09", "value": 1.0, "timestamp": "yesterday"}
    answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["timestamp"])


def test_contract_DI_10_what_rest_logs_is_in_the_relation_that_pages_read(run, api, job):
    api.append(job, "DI_10", 0.5, step=7)
    found = run.sql(
        "SELECT experiment_id, step, value FROM step_metrics WHERE job_id = ? AND name = ?",
        str(job),
        "DI_10",
    )
    assert found == [(str(api.get(f"jobs/{job}")["experiment"]["id"]), 7, 0.5)]


def test_contract_DI_11_latest_is_every_metric_at_its_highest_step(api, experiment):
    job = api.post(f"experiments/{experiment}/jobs", {"entrypoint": 1, "queue": 1})["id"]
    for step, value in ((3, 0.3), (9, 0.9), (5, 0.5)):
        api.append(job, "loss", value, step=step)
    api.append(job, "acc", 1.0)
    assert api.get(f"jobs/{job}/metrics") == [
        {"name": "acc", "value": 1.0},
        {"name": "loss", "value": 0.9},
    ]


@pytest.fixture(scope="module")
def thirteen(run, job):
    run.post_events(
        [
            {"type": "metric", "job_id": job, "name": "many", "value": n, "step": n}
            for n in range(13)
        ]
    )


@pytest.mark.usefixtures("thirteen")
def test_contract_DI_13_history_in_pages_of_ten(api, job):
    assert [one["step"] for one in api.history(job, "many")] == list(range(10))
    assert [one["step"] for one in api.history(job, "many", index=1)] == [10, 11, 12]
    assert len(api.history(job, "many", index=0, pageLength=13)) == 13


def test_contract_DI_14_pages_of_an_experiment_count_jobs(api):
    experiment = api.post("experiments", {"group": 1, "name": "DI 14"})["id"]
    jobs = []
    for description in ("b", "c", "a"):
        body = {"entrypoint": 1, "queue": 1, "description": description}
        jobs.append(api.post(f"experiments/{experiment}/jobs", body)["id"])
        for name in ("x", "y", "z"):
            api.append(jobs[-1], name, 1.0)
    path = f"experiments/{experiment}/metrics"
    assert [one["id"] for one in api.get(path)["data"]] == jobs
    first = api.get(path, index=0, pageLength=2, experiment_id=5)  # a stray parameter
    assert (first["totalNumResults"], len(first["data"])) == (3, 2)
    ordered = api.get(path, sortBy="description", descending="True")["data"]
    assert [one["id"] for one in ordered] == [jobs[1], jobs[0], jobs[2]]
    found = api.get(path, search="description:a")["data"]
    assert [one["id"] for one in found] == [jobs[2]]


def test_contract_DI_15_the_latest_metrics_are_a_bare_array(api, job):
    found = api.get(f"jobs/{job}/metrics")
    assert isinstance(found, list)
    assert all(set(one) == {"name", "value"} for one in found)
    assert api.get("jobs/4711/metrics") == []


def test_contract_DI_16_the_history_is_at_the_name(api, job):
    api.append(job, "DI_16", 0.5)
    assert api.get(f"jobs/{job}/metrics/DI_16/snapshots")["totalNumResults"] == 1
    assert api.get(f"jobs/{job}/metrics/other/snapshots")["data"] == []


def test_contract_DI_17_the_metrics_of_an_experiment(api, experiment, job):
    api.append(job, "DI_17", 0.5)
    of_job = next(
        one for one in api.get(f"experiments/{experiment}/metrics")["data"] if one["id"] == job
    )
    assert {"name": "DI_17", "value": 0.5} in of_job["metrics"]
    assert api.get("experiments/4711/metrics")["data"] == []


def test_contract_DI_18_one_value_is_logged_by_name_value_step_and_timestamp(api, job):
    api.append(job, "DI_18", 0.5, step=4, timestamp="2026-01-02T03:04:05.250000+00:00")
    assert api.history(job, "DI_18") == [
        {
            "name": "DI_18",
            "value": 0.5,
            "step": 4,
            "timestamp": "2026-01-02T03:04:05.250000+00:00",
        }
    ]


def test_contract_DI_19_a_post_to_the_job_logs_one(api, job):
    before = len(api.get(f"jobs/{job}/metrics"))
    api.append(job, "DI_19", 0.5)
    assert len(api.get(f"jobs/{job}/metrics")) == before + 1


def test_contract_DI_20_what_was_logged_is_answered(api, job):
    answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json={"name": "DI_20", "value": 2})
    assert (answer.status_code, answer.json()) == (200, {"name": "DI_20", "value": 2.0})
    assert answer.headers["content-type"] == "application/json"


def test_contract_DI_21_ids_are_integers_or_strings(run, api):
    event = {"type": "metric", "name": "loss", "value": 0.5, "experiment_id": "ex"}
    run.post_events([event | {"job_id": 700_001}, event | {"job_id": "run-a"}])
    assert api.latest(700_001) == api.latest("700001") == api.latest("run-a") == {"loss": 0.5}
    ids = [one["id"] for one in api.get("experiments/ex/metrics")["data"]]
    assert ids == [700_001, "run-a"]
    for path in ("jobs/run-b/metrics", "jobs/run-b/metrics/a/snapshots", "experiments/x/metrics"):
        assert api.http.get(f"/api/v1/{path}").status_code == 404


def test_contract_DIi_01_the_same_step_again_replaces_value_and_time(api, job):
    for value, day in ((0.5, 4), (0.75, 4), (0.25, 4), (0.5, 3), (0.25, 5)):
        api.append(job, "DIi_01", value, step=3, timestamp=f"2026-01-0{day}T00:00:00")
        (found,) = api.history(job, "DIi_01")
        assert (found["value"], found["timestamp"]) == (value, f"2026-01-0{day}T00:00:00+00:00")
        assert api.latest(job)["DIi_01"] == value
    api.append(job, "DIi_01", 0.75, step=3)
    assert [one["value"] for one in api.history(job, "DIi_01")] == [0.75]


def test_contract_DIi_02_a_loop_that_forgets_the_step_has_auto(api, job):
    for value in (0.5, 0.25, 0.75):
        api.append(job, "forgot", value)
        api.append(job, "DIi_02", value, step="auto")
    assert [one["value"] for one in api.history(job, "forgot")] == [0.75]
    found = [(one["step"], one["value"]) for one in api.history(job, "DIi_02")]
    assert found == [(0, 0.5), (1, 0.25), (2, 0.75)]


def test_contract_DIi_03_latest_is_the_highest_step_and_not_the_latest_time(api, job):
    api.append(job, "DIi_03", 0.9, step=9, timestamp="2026-01-01T00:00:00")
    api.append(job, "DIi_03", 0.1, step=1, timestamp="2026-06-01T00:00:00")
    assert api.latest(job)["DIi_03"] == 0.9


def test_contract_DIi_04_legal_names(api, job):
    for name in ("a", "_a", "A1", "__", "loss_2"):
        api.append(job, name, 1.0)
    for name in ("_", "1a", "a b", "a%", "a/b", "a.b", "", "ä", "a\n", "x" * 257):
        answer = api.http.post(f"/api/v1/jobs/{job}/metrics", json={"name": name, "value": 1.0})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["name"])


def test_contract_DIi_05_numbers_and_special_values_share_a_history(api, job):
    for step, value in enumerate((1.5, "nan", "-inf")):
        api.append(job, "DIi_05", value, step=step)
    assert [one["value"] for one in api.history(job, "DIi_05")] == [1.5, "nan", "-inf"]


@pytest.mark.usefixtures("thirteen")
def test_contract_DIi_06_the_index_counts_pages(api, job):
    found = api.history(job, "many", index=3, pageLength=3)
    assert [one["step"] for one in found] == [9, 10, 11]


def test_contract_DIi_07_history_is_in_order_of_steps(api, job):
    for step in (5, 1, 3):
        api.append(job, "DIi_07", 1.0, step=step)
    assert [one["step"] for one in api.history(job, "DIi_07")] == [1, 3, 5]


def test_contract_DIi_08_what_latest_and_history_tell(api, job):
    api.append(job, "DIi_08", 1.0)
    assert {"name": "DIi_08", "value": 1.0} in api.get(f"jobs/{job}/metrics")
    (found,) = api.history(job, "DIi_08")
    assert list(found) == ["name", "value", "step", "timestamp"]


@pytest.mark.parametrize(("first", "second"), [("nan", 1.0), (1.0, "inf"), ("inf", "-inf")])
def test_contract_DIi_09_replacing_leaves_nothing_of_the_value_before(api, job, first, second):
    name = f"DIi_09_{str(first).strip('-.')[0]}_{str(second).strip('-.')[0]}"
    for value in (first, second):
        api.append(job, name, value)
    assert [one["value"] for one in api.history(job, name)] == [second]


@pytest.mark.usefixtures("thirteen")
def test_contract_DIi_10_the_envelope_and_that_following_next_loses_nothing(api, job):
    path, steps, pages = f"/api/v1/jobs/{job}/metrics/many/snapshots?pageLength=3", [], []
    while path:
        pages.append(api.http.get(path).json())
        steps += [one["step"] for one in pages[-1]["data"]]
        path = pages[-1].get("next")
    assert steps == list(range(13))
    keys = ["index", "isComplete", "totalNumResults", "first", "next", "prev", "data"]
    assert [list(page) for page in pages] == [
        [key for key in keys if key != "prev"],
        *[keys] * 3,
        [key for key in keys if key != "next"],
    ]
    assert [page["isComplete"] for page in pages] == [False] * 4 + [True]
    for index, length in ((-1, 10), (0, 0), (0, 1001), ("x", 1)):
        answer = api.http.get(
            f"/api/v1/jobs/{job}/metrics/many/snapshots",
            params={"index": index, "pageLength": length},
        )
        assert answer.status_code == 400


def test_contract_DIi_11_rules_hold_over_the_last_steps(run, api):
    made = {"type": "metric", "job_id": 700_011, "name": "DIi_11", "experiment_id": "rolling"}
    run.post_events([made | {"value": 1, "step": 0}])
    for step, value in enumerate((2, 2, 5), 1):
        api.append(700_011, "DIi_11", value, step=step)
    fired = run.sql("SELECT metric_value, sample_count FROM alerts WHERE group_value = '700011'")
    assert fired == [(3.0, 3)]
