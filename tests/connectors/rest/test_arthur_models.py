"""Who asks, which models there are, and what they consist of: the clients' first requests.

`test_golden_…` are answers in full; `test_error_…` what is refused and how; `test_law_…` what holds
for every spelling of a path and for every user.
"""

import httpx
import pytest
from arthur_served import CONFIG, USERS, as_ana, predictions
from serving import serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("models"), CONFIG, users=USERS) as found:
        found.post_events(predictions("triage", 60) + predictions("hidden", 10))
        found.post_events(
            [
                {
                    "model_id": "team/prices",
                    "id": f"p{number}",
                    "timestamp": "2025-10-09T09:00:00Z",
                    "prediction": number * 1.5,
                    "label": number * 1.4,
                    "features": {"size": number},
                }
                for number in range(20)
            ]
        )
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer") as client:
        yield client


def test_golden_users_me(http, served):
    found = http.get("/api/v3/users/me").json()
    told = http.get("/api/v3/users/me/auth_info").json()
    assert found["organization_id"] == told["organization_ids"][0]
    assert found["id"] == told["internal_user_id"]
    assert found["email"] == told["email"] == "viewer@example.org"
    assert found["roles"] == told["roles"] == ["User"]
    assert told["issuer"] == "bellwether"
    assert (told["first_name"], told["last_name"], told["username"]) == ("", "", "viewer")
    with served.http("administrator") as other:
        assert other.get("/users/me").json()["roles"] == ["Administrator"]


def test_law_the_key_comes_in_authorization_without_a_word_in_front(served):
    headers = {"Authorization": served.keys["editor"]}
    answer = httpx.get(f"{served.url}/api/v3/users/me", headers=headers)
    assert answer.json()["username"] == "editor"


def test_error_no_key_or_a_wrong_one_is_401(served):
    for headers in ({}, {"Authorization": "wrong-key-of-nobody"}):
        answer = httpx.get(f"{served.url}/api/v3/users/me", headers=headers)
        assert answer.status_code == 401
        assert list(answer.json()) == ["error"]


def test_golden_one_model_with_its_attributes(http):
    answer = http.get("/api/v3/models/triage", params={"id_type": "id", "expand": "attributes"})
    assert answer.status_code == 200
    found = answer.json()
    attributes = {each["name"]: each for each in found.pop("attributes")}
    assert found == {
        "id": "triage",
        "partner_model_id": "triage",
        "display_name": "triage",
        "input_type": "TABULAR",
        "output_type": "MULTICLASS",
        "is_batch": False,
        "archived": False,
        "status": "Ready",
        "classifier_threshold": 0.5,
        "created_at": "2025-10-09T09:00:00Z",
        "created_by": found["created_by"],
        "organization_id": found["organization_id"],
        "tags": [],
    }
    stages = {name: (each["stage"], each["value_type"]) for name, each in attributes.items()}
    assert stages == {
        "age": ("PIPELINE_INPUT", "FLOAT"),
        "city": ("PIPELINE_INPUT", "STRING"),
        "temperature": ("PIPELINE_INPUT", "FLOAT"),
        "vip": ("PIPELINE_INPUT", "BOOLEAN"),
        "prediction": ("PREDICTED_VALUE", "STRING"),
        "p_escalate": ("PREDICTED_VALUE", "FLOAT"),
        "class_a": ("PREDICTED_VALUE", "FLOAT"),
        "label": ("GROUND_TRUTH", "STRING"),
        "class_a_ground_truth": ("GROUND_TRUTH", "FLOAT"),
        "ground_truth_a": ("GROUND_TRUTH", "FLOAT"),
        "channel": ("NON_INPUT_DATA", "STRING"),
    }
    assert [attributes[name]["position"] for name in ("age", "city", "temperature", "vip")] == [
        *range(4)
    ]
    assert attributes["city"]["categorical"]
    assert attributes["p_escalate"]["is_positive_predicted_attribute"]
    assert attributes["label"]["categories"] == [
        {"value": "Drop", "label": "Drop"},
        {"value": "Escalate", "label": "Escalate"},
    ]


def test_law_every_spelling_of_a_path_gives_the_same(http):
    found = [
        http.get(f"{prefix}/models/triage{slash}").text
        for prefix in ("", "/api/v3", "/api/v4")
        for slash in ("", "/")
    ]
    assert len(set(found)) == 1
    assert "attributes" not in found[0]


def test_law_both_kinds_of_id_are_the_same(http):
    answers = [
        http.get("/models/triage", params={"id_type": kind}).text
        for kind in ("id", "partner_model_id")
    ]
    assert answers[0] == answers[1]


def test_law_an_id_may_have_slashes(http):
    found = http.get("/api/v3/models/team%2Fprices", params={"expand": "attributes"}).json()
    assert (found["id"], found["output_type"]) == ("team/prices", "REGRESSION")
    kinds = {each["name"]: each["value_type"] for each in found["attributes"]}
    assert kinds == {"size": "FLOAT", "prediction": "FLOAT", "label": "FLOAT"}
    assert http.get("/api/v3/models/team%2Fprices/metrics").status_code == 200


def test_golden_the_list_has_known_and_declared_models_in_pages(http):
    found = http.get("/api/v3/models", params={"page_size": 3}).json()
    assert [each["id"] for each in found.pop("data")] == ["hidden", "nightly", "team/prices"]
    assert found == {"page": 1, "page_size": 3, "total_pages": 2, "total_count": 4}
    last = http.get("/api/v3/models", params={"page_size": 3, "page": 2}).json()
    assert [each["id"] for each in last["data"]] == ["triage"]
    assert http.get("/api/v3/models", params={"page": 9}).json()["data"] == []
    batch = http.get("/api/v3/models/nightly").json()
    assert (batch["is_batch"], batch["created_at"]) == (True, None)


def test_law_a_model_that_somebody_may_not_see_is_not_there(served):
    with as_ana(served) as ana:
        answers = [ana.get(f"/api/v3/models/{each}") for each in ("hidden", "nowhere")]
        assert [each.status_code for each in answers] == [404, 404]
        texts = [
            answer.json()["error"].replace(name, "X")
            for answer, name in zip(answers, ("hidden", "nowhere"), strict=True)
        ]
        assert texts[0] == texts[1]
        listed = ana.get("/api/v3/models").json()
        assert [each["id"] for each in listed["data"]] == ["nightly", "triage"]
        assert listed["total_count"] == 2


@pytest.mark.parametrize(
    "parameters",
    [{"page": 0}, {"page_size": 1001}, {"page": "x"}, {"expand": "all"}, {"display_name": "x"}],
)
def test_error_what_is_not_supported_is_refused(http, parameters):
    answer = http.get("/api/v3/models", params=parameters)
    assert answer.status_code == 400
    assert next(iter(parameters)) in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/v3/models/%00", "/models/" + "x" * 9000, "/api/v3/nothing"])
def test_error_odd_paths_are_404_in_the_contracts_words(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_error_a_method_that_there_is_not_is_405(http):
    answer = http.delete("/api/v3/models/triage")
    assert answer.status_code == 405
    assert list(answer.json()) == ["error"]
