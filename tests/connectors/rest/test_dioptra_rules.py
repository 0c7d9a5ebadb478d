"""Dioptra's contract beside its metrics: login, roles, what is hidden, experiments, jobs, faults.

The published client drives the same calls in `tests/clients/dioptra`; here every rule is looked at
by itself, and what is no proper request at all.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import KEYS, serving, user

NARROW = "key-of-the-narrow-0123456789"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    narrow = [
        user("narrow", "viewer", key=NARROW, email=None, jobs=("800001", "seen")),
        user("narrow editor", "editor", key=NARROW + "e", email=None, jobs=("800001",)),
    ]
    with serving(tmp_path_factory.mktemp("dioptra"), users=narrow) as served:
        told = {"type": "metric", "name": "loss", "timestamp": "2026-01-01T00:00:00Z"}
        served.post_events(
            [
                told | {"job_id": job, "value": value, "experiment_id": experiment}
                for job, value, experiment in (
                    (800_001, 1.0, 800_000),
                    (800_002, 2.0, 800_000),
                    ("seen", 3.0, "mixed"),
                    ("hidden", 4.0, "mixed"),
                    (800_003, 5.0, "hidden only"),
                )
            ]
            + [
                {"type": "run", "id": "r1", "job_type": "train", "status": "finished"}
                | {"timestamp": "2026-01-02T00:00:00Z", "job_id": 800_001}
            ]
        )
        yield served


@pytest.fixture(scope="module")
def editor(run):
    with run.http("editor") as http:
        http.base_url = f"{run.url}/api/v1"
        yield http


@pytest.fixture(scope="module")
def narrow(run):
    with httpx.Client(base_url=f"{run.url}/api/v1", headers={"X-Api-Key": NARROW}) as http:
        yield http


# ---- who is asking ---------------------------------------------------------------------------


def test_law_a_login_gives_a_session_that_ends_with_a_logout(run):
    with httpx.Client(base_url=f"{run.url}/api/v1") as http:
        assert http.get("/jobs").status_code == 401
        body = {"username": "editor", "password": KEYS["editor"]}
        answer = http.post("/auth/login", json=body)
        assert answer.json() == {"username": "editor", "status": "Login successful"}
        cookie = answer.headers["set-cookie"].lower()
        for part in ("httponly", "samesite=strict", "path=/"):
            assert part in cookie
        assert "secure" not in cookie
        assert KEYS["editor"].lower() not in cookie
        assert http.get("/users/current").json()["username"] == "editor"
        out = http.post("/auth/logout", params={"everywhere": False}).json()
        assert out == {"username": "editor", "status": "Logout successful", "everywhere": False}
        assert http.get("/jobs").status_code == 401


def test_law_a_logout_everywhere_ends_all_sessions_of_the_user(run):
    base = f"{run.url}/api/v1"
    with httpx.Client(base_url=base) as one, httpx.Client(base_url=base) as other:
        for http in (one, other):
            http.post("/auth/login", json={"username": "editor", "password": KEYS["editor"]})
            assert http.get("/jobs").status_code == 200
        assert one.post("/auth/logout", params={"everywhere": True}).json()["everywhere"] is True
        assert other.get("/jobs").status_code == 401


def test_error_a_wrong_login(run):
    for name, key, status in (
        ("editor", KEYS["viewer"], 401),
        ("nobody", KEYS["editor"], 401),
        ("editor", None, 400),
        (1, "x", 400),
    ):
        answer = httpx.post(
            f"{run.url}/api/v1/auth/login", json={"username": name, "password": key}
        )
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers


def test_error_a_viewer_changes_nothing(run):
    with run.http("viewer") as http:
        for path in ("experiments", "experiments/1/jobs", "jobs/800001/metrics"):
            answer = http.post(f"/api/v1/{path}", json={"name": "a", "value": 1})
            assert (answer.status_code, answer.json()["error"]) == (403, "LockError")
        answer = http.put("/api/v1/experiments/1/jobs/1/status", json={"status": "started"})
        assert answer.status_code == 403
        assert http.get("/api/v1/jobs").status_code == 200


# ---- what is hidden --------------------------------------------------------------------------


def test_law_hidden_jobs_are_as_if_they_were_not_there(narrow):
    assert [one["id"] for one in narrow.get("/jobs").json()["data"]] == [800_001, "seen"]
    assert narrow.get("/jobs").json()["totalNumResults"] == 2
    experiments = narrow.get("/experiments").json()
    assert [one["id"] for one in experiments["data"]] == [800_000, "mixed"]
    found = narrow.get("/experiments/800000/metrics").json()
    assert (found["totalNumResults"], [one["id"] for one in found["data"]]) == (1, [800_001])
    assert narrow.get("/jobs/800002/metrics").json() == narrow.get("/jobs/9/metrics").json() == []
    for hidden, none in (
        ("jobs/800002", "jobs/9"),
        ("jobs/hidden/metrics", "jobs/none/metrics"),
        ("jobs/hidden/metrics/loss/snapshots", "jobs/none/metrics/loss/snapshots"),
        ("jobs/800002/status", "jobs/9/status"),
        ("experiments/hidden only", "experiments/none"),
        ("experiments/hidden only/jobs", "experiments/none/jobs"),
        ("experiments/hidden only/metrics", "experiments/none/metrics"),
    ):
        answers = [narrow.get(f"/{path}") for path in (hidden, none)]
        assert [answer.status_code for answer in answers] == [404, 404]
        told = [answer.json()["message"].rsplit(" ", 1)[0] for answer in answers]
        assert told[0].removesuffix(" hidden") == told[1]


def test_error_who_sees_some_jobs_only_neither_makes_any_nor_writes_to_others(run):
    headers = {"X-Api-Key": NARROW + "e"}
    with httpx.Client(base_url=f"{run.url}/api/v1", headers=headers) as http:
        assert http.post("/experiments", json={"name": "mine"}).status_code == 403
        assert http.post("/experiments/800000/jobs", json={}).status_code == 403
        body = {"name": "loss", "value": 1.0}
        assert http.post("/jobs/800002/metrics", json=body).status_code == 404
        assert http.post("/jobs/800001/metrics", json=body).status_code == 200
        assert http.get("/jobs/800001").json()["experiment"]["id"] == 800_000  # as before


# ---- experiments and jobs --------------------------------------------------------------------


def ids(editor, kind):
    """Give the ids that are numbers."""
    found = editor.get(f"/{kind}", params={"pageLength": 1000}).json()["data"]
    return [one["id"] for one in found if isinstance(one["id"], int)]


@pytest.fixture(scope="module")
def made(editor):
    body = {"group": 1, "name": "made", "description": "first", "entrypoints": [3]}
    experiment = editor.post("/experiments", json=body).json()
    jobs = [
        editor.post(
            f"/experiments/{experiment['id']}/jobs/",
            json={"entrypoint": 3, "queue": 2, "description": word, "values": {"a": "b"}},
        ).json()
        for word in ("gamma", "alpha", "beta")
    ]
    return experiment, jobs


def test_golden_an_experiment_and_a_job_as_they_were_made(editor, made):
    experiment, (job, *_) = made
    assert experiment["id"] == 800_001  # above the one that an event named
    assert job["id"] == 800_004
    assert experiment | {"createdOn": 0, "lastModifiedOn": 0, "user": 0} == {
        "id": experiment["id"],
        "name": "made",
        "description": "first",
        "entrypoints": [{"id": 3}],
        "group": {"id": 1, "name": "public"},
        "user": 0,
        "createdOn": 0,
        "lastModifiedOn": 0,
    }
    assert job | {"createdOn": 0, "lastModifiedOn": 0, "user": 0} == {
        "id": job["id"],
        "description": "gamma",
        "status": "queued",
        "experiment": {
            "id": experiment["id"],
            "name": "made",
            "url": f"/api/v1/experiments/{experiment['id']}",
        },
        "entrypoint": {"id": 3},
        "queue": {"id": 2},
        "values": {"a": "b"},
        "artifactValues": {},
        "swaps": [],
        "timeout": "24h",
        "group": {"id": 1, "name": "public"},
        "user": 0,
        "createdOn": 0,
        "lastModifiedOn": 0,
    }
    assert job["user"]["username"] == "editor"
    assert editor.get(f"/experiments/{experiment['id']}").json() == experiment
    for path in (f"/jobs/{job['id']}", f"/experiments/{experiment['id']}/jobs/{job['id']}"):
        assert editor.get(path).json()["description"] == "gamma"


@pytest.mark.usefixtures("made")
def test_law_ids_are_new_whatever_events_have_used(run, editor):
    told = {"type": "metric", "name": "loss", "value": 1.0}
    run.post_events([told | {"job_id": 2**60, "experiment_id": 2**61}])
    latest = max(number for number in ids(editor, "experiments") if number < 2**52)
    experiment = editor.post("/experiments", json={"name": "new"}).json()["id"]
    assert experiment == latest + 1
    latest = max(number for number in ids(editor, "jobs") if number < 2**52)
    job = editor.post(f"/experiments/{experiment}/jobs", json={}).json()
    assert job["id"] == latest + 1


def test_law_steps_that_are_counted_here_are_one_for_each_post(run):
    def post(_):
        with run.http("editor") as http:
            body = {"name": "auto", "value": 1.0, "step": "auto"}
            assert http.post("/api/v1/jobs/800003/metrics", json=body).status_code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, range(12)))
    with run.http("viewer") as http:
        path = "/api/v1/jobs/800003/metrics/auto/snapshots?pageLength=100"
        assert [one["step"] for one in http.get(path).json()["data"]] == list(range(12))


def test_law_of_posts_of_one_name_at_once_one_makes_the_experiment(run):
    def post(_):
        with run.http("editor") as http:
            return http.post("/api/v1/experiments", json={"name": "once"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(post, range(4))) == [200, 409, 409, 409]


def test_golden_a_job_that_events_alone_tell_of(editor):
    found = editor.get("/jobs/800001").json()
    told = {key: found[key] for key in ("id", "status", "entrypoint", "experiment")}
    assert told == {
        "id": 800_001,
        "status": "finished",
        "entrypoint": {"name": "train"},
        "experiment": {
            "id": 800_000,
            "name": "800000",
            "url": "/api/v1/experiments/800000",
        },
    }
    assert (found["queue"], found["user"], found["timeout"]) == (None, None, None)
    created = editor.get("/jobs/hidden").json()["createdOn"]
    assert created == "2026-01-01T00:00:00+00:00"


def test_law_lists_count_entries_and_neither_way_to_walk_loses_one(editor, made):
    experiment, jobs = made
    path = f"/experiments/{experiment['id']}/jobs"
    ids = [job["id"] for job in jobs]
    found, at = [], f"/api/v1{path}?pageLength=2&sortBy=id"
    while at:
        page = editor.get(f"{str(editor.base_url).removesuffix('/api/v1/')}{at}").json()
        found += [one["id"] for one in page["data"]]
        at = page.get("next")
    assert found == ids
    counted = [
        one["id"]
        for index in (0, 2)
        for one in editor.get(path, params={"index": index, "pageLength": 2}).json()["data"]
    ]
    assert counted == ids
    last = editor.get(path, params={"index": 2, "pageLength": 2}).json()
    assert (last["isComplete"], last["index"], last["totalNumResults"]) == (True, 2, 3)
    assert last["prev"] == f"/api/v1{path}?index=0&pageLength=2"


def test_law_lists_are_sorted_and_searched(editor, made):
    experiment, jobs = made
    path = f"/experiments/{experiment['id']}/jobs"
    found = editor.get(path, params={"sortBy": "description", "descending": True}).json()["data"]
    assert [one["description"] for one in found] == ["gamma", "beta", "alpha"]
    found = editor.get("/jobs", params={"search": "description:?eta"}).json()["data"]
    assert [one["id"] for one in found] == [jobs[2]["id"]]
    named = editor.get("/experiments", params={"search": "name:mad*", "groupId": 1}).json()["data"]
    assert [one["id"] for one in named] == [experiment["id"]]
    assert editor.get("/experiments", params={"groupId": 2}).json()["data"] == []
    assert editor.get("/jobs", params={"groupId": 2}).json()["data"] == []
    ordered = editor.get("/experiments", params={"sortBy": "name", "showDeleted": True}).json()
    names = [one["name"] for one in ordered["data"]]
    assert names == sorted(names)
    for bad in ("/jobs?sortBy=name", "/experiments?sortBy=queue", "/jobs?search=x:y"):
        assert editor.get(bad).status_code == 400


def test_law_a_status_follows_another(editor, made):
    experiment, (_, job, _) = made
    path = f"/experiments/{experiment['id']}/jobs/{job['id']}/status"
    for status, now in (("started", "started"), ("finished", "finished"), ("reset", "queued")):
        assert editor.put(path, json={"status": status}).json() == {"id": job["id"], "status": now}
        assert editor.get(path).json()["status"] == now
        assert editor.get(f"/jobs/{job['id']}/status").json()["status"] == now
    assert editor.get(f"/jobs/{job['id']}").json()["lastModifiedOn"] > job["createdOn"]
    assert editor.put(path, json={"status": "failed"}).status_code == 400
    assert editor.put(path, json={"status": "eaten"}).json()["errors"].keys() == {"status"}
    other = f"/experiments/800000/jobs/{job['id']}/status"
    assert editor.put(other, json={"status": "started"}).status_code == 404


def test_error_making_what_cannot_be_made(editor, made):
    experiment, _ = made
    assert editor.post("/experiments", json={"name": "made"}).status_code == 409
    for body, field in (
        ({}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a", "group": 0}, "group"),
        ({"name": "a", "entrypoints": ["x"]}, "entrypoints"),
        ({"name": "a", "more": 1}, "more"),
    ):
        answer = editor.post("/experiments", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert editor.post("/experiments/4711/jobs", json={}).status_code == 404
    assert editor.post("/experiments/mixed/jobs", json={}).status_code == 404
    for body, field in (
        ({"queue": "x"}, "queue"),
        ({"values": {"a": 1}}, "values"),
        ({"artifactValues": []}, "artifactValues"),
        ({"swaps": {}}, "swaps"),
        ({"job": 1}, "job"),
    ):
        answer = editor.post(f"/experiments/{experiment['id']}/jobs", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


# ---- faults ----------------------------------------------------------------------------------


def test_golden_a_fault(editor):
    answer = editor.get("/jobs/4711?x=1")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "error": "EntityDoesNotExistError",
            "message": "Not Found - there is no job 4711",
            "detail": {},
            "originating_path": "/api/v1/jobs/4711?x=1",
        },
    )
    assert editor.get("/nothing/here").json().keys() == answer.json().keys()
    assert editor.delete("/jobs/4711").status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff{}",
        b'{"name": "\\ud800", "value": 1}',
        b'{"name": "a", "value": 1, "x\\u0000": 1}',
        b"[" * 100_000,
        b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"name": "a", "value": ' + b"9" * 5_000 + b"}",
        b'{"name": "a", "value": 1, "timestamp": "9999-12-31T23:59:59.9"}',
        json.dumps({"name": "n" * 10_000, "value": 1}).encode(),
    ],
)
def test_error_bodies_that_are_none(editor, body):
    answer = editor.post("/jobs/800001/metrics", content=body)
    assert (answer.status_code, "errors" in answer.json()) == (400, True)


def test_error_special_numbers_where_there_are_none(editor, made):
    experiment, _ = made
    body = b'{"artifactValues": {"a": {"id": NaN}}}'
    assert editor.post(f"/experiments/{experiment['id']}/jobs", content=body).status_code == 400
    large = {"artifactValues": {"a": {"id": 2**80}}}
    answer = editor.post(f"/experiments/{experiment['id']}/jobs", json=large)
    assert answer.json()["artifactValues"] == {"a": {"id": 2.0**80}}


def test_error_odd_ids_and_names_in_paths(editor):
    for path in ("jobs/%00/metrics", "jobs/%ED%A0%80", "jobs/a%2Fb/metrics", "jobs/007/metrics/x"):
        assert editor.get(f"/{path}").status_code == 404
    assert editor.get(f"/jobs/{'9' * 300}/metrics").status_code == 400
    assert editor.get("/jobs/800001/metrics/%00'/snapshots").json()["data"] == []
    assert editor.get("/jobs/007/metrics").json() == []
