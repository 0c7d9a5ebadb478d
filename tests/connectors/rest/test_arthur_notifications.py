"""Who is told of alerts, over HTTP: one test for each item, and above all who may see whose."""

from uuid import UUID

import pytest
from arthur_served import CONFIG, USERS, as_ana, predictions
from serving import EMAILS, ROLES, serving

from connectors.rest.auth import user_id

PATH = "/api/v3/alert_notification_configurations"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("told"), CONFIG, users=USERS) as found:
        found.post_events(predictions("triage", 3))
        yield found


@pytest.fixture
def clients(served):
    """One client for each role; what they made is taken away again."""
    found = {role: served.http(role) for role in ROLES}
    yield found
    for each in found["administrator"].get(PATH, params={"page_size": 500}).json()["data"]:
        assert found["administrator"].delete(f"{PATH}/{each['id']}").status_code == 204
    for client in found.values():
        client.close()


def told_of(role, model="triage", **more):
    body = {"user_id": str(user_id(role)), "model_id": model, "type": "email"}
    return body | {"destination": EMAILS[role], "enabled": True} | more


def test_contract_AR_19_a_user_is_told_of_a_model(served, clients):
    made = clients["editor"].post(PATH, json=told_of("editor")).json()
    assert served.sql(
        'SELECT "user", model_id, destination, enabled FROM notification_configurations'
    ) == [("editor", "triage", "editor@example.org", True)]
    assert clients["editor"].get(f"{PATH}/{made['id']}").json() == made


def test_contract_AR_20_made_by_a_post(clients):
    answer = clients["editor"].post("/alert_notification_configurations", json=told_of("editor"))
    assert answer.status_code == 201
    assert UUID(answer.json()["id"])
    assert {**answer.json(), **told_of("editor")} == answer.json()


def test_contract_AR_21_the_user_is_one_that_there_is(clients):
    for wrong in (str(UUID(int=7)), "editor", 7, ""):
        body = told_of("administrator", user_id=wrong)
        answer = clients["administrator"].post(PATH, json=body)
        assert answer.status_code == 400
        assert "user_id" in answer.json()["error"]
    own = told_of("editor")
    del own["user_id"]
    assert clients["editor"].post(PATH, json=own).json()["user_id"] == str(user_id("editor"))


def test_contract_AR_22_the_model_is_one_that_there_is(clients):
    answer = clients["editor"].post(PATH, json=told_of("editor", "nowhere"))
    assert answer.status_code == 404
    for wrong in (7, None, ""):
        body = told_of("editor") | {"model_id": wrong}
        assert clients["editor"].post(PATH, json=body).status_code in {400, 404}


@pytest.mark.parametrize("wrong", ["pagerduty", "", 7, None])
def test_contract_AR_23_the_type_is_email(clients, wrong):
    answer = clients["editor"].post(PATH, json=told_of("editor", type=wrong))
    assert answer.status_code == 400
    assert "type" in answer.json()["error"]


def test_contract_AR_24_the_destination_is_the_users_own(clients):
    for wrong in ("other@example.org", "viewer@example.org", "no address", 7):
        answer = clients["editor"].post(PATH, json=told_of("editor", destination=wrong))
        assert answer.status_code == 400
        assert "destination" in answer.json()["error"]
    own = told_of("editor", destination=None)
    assert clients["editor"].post(PATH, json=own).json()["destination"] == "editor@example.org"


def test_contract_AR_25_enabled_unless_told(clients):
    body = told_of("editor")
    del body["enabled"]
    assert clients["editor"].post(PATH, json=body).json()["enabled"] is True
    off = clients["viewer"].post(PATH, json=told_of("viewer", enabled=False)).json()
    assert off["enabled"] is False
    for wrong in (1, "yes"):
        other = told_of("administrator", enabled=wrong)
        assert clients["administrator"].post(PATH, json=other).status_code == 400


def test_contract_AR_26_your_own_or_an_administrators_hand(clients):
    refused = [
        clients["editor"].post(PATH, json=told_of("viewer")),
        clients["viewer"].post(PATH, json=told_of("administrator")),
        clients["viewer"].post(PATH, json=told_of("viewer", user_id=str(UUID(int=7)))),
    ]
    assert [each.status_code for each in refused] == [403] * 3
    assert refused[1].text == refused[2].text  # nobody learns which ids there are
    made = clients["administrator"].post(PATH, json=told_of("editor"))
    assert made.status_code == 201
    assert made.json()["user_id"] == str(user_id("editor"))


def test_contract_AR_26_others_configurations_are_not_there(clients):
    made = clients["administrator"].post(PATH, json=told_of("administrator")).json()
    path, nowhere = f"{PATH}/{made['id']}", f"{PATH}/{UUID(int=7)}"
    for role in ("viewer", "editor"):
        for method, body in (("GET", None), ("PATCH", {"enabled": False}), ("DELETE", None)):
            answers = [clients[role].request(method, each, json=body) for each in (path, nowhere)]
            assert [each.status_code for each in answers] == [404, 404]
            texts = [each.json()["error"][:50] for each in answers]
            assert texts[0] == texts[1]
        assert clients[role].get(PATH).json()["total_count"] == 0
    assert clients["administrator"].get(path).json() == made


def test_contract_AR_27_the_list_comes_in_pages_and_by_user_and_model(clients):
    administrator = clients["administrator"]
    for role in ROLES:
        for model in ("triage", "nightly"):
            assert administrator.post(PATH, json=told_of(role, model)).status_code == 201
    everything = administrator.get(PATH).json()
    assert list(everything) == ["data", "page", "page_size", "total_pages", "total_count"]
    assert (everything["page"], everything["page_size"], everything["total_count"]) == (1, 20, 6)
    pages = [
        administrator.get(PATH, params={"page_size": 4, "page": page}).json()["data"]
        for page in (1, 2)
    ]
    assert pages[0] + pages[1] == everything["data"]
    wanted = {"user_id": str(user_id("viewer")), "model_id": "nightly"}
    (found,) = administrator.get(PATH, params=wanted).json()["data"]
    assert {**found, **wanted} == found
    assert administrator.get(PATH, params={"user_id": "nobody"}).json()["data"] == []
    own = clients["viewer"].get(PATH).json()["data"]
    assert {each["user_id"] for each in own} == {str(user_id("viewer"))}
    assert len(own) == 2
    others = {"user_id": str(user_id("editor"))}
    assert clients["viewer"].get(PATH, params=others).json()["data"] == []


def test_contract_AR_28_one_by_its_id(clients):
    made = clients["viewer"].post(PATH, json=told_of("viewer")).json()
    assert clients["viewer"].get(f"{PATH}/{made['id']}").json() == made
    for wrong in ("nothing", str(UUID(int=7))):
        assert clients["viewer"].get(f"{PATH}/{wrong}").status_code == 404


def test_contract_AR_29_only_enabled_can_change(clients):
    made = clients["viewer"].post(PATH, json=told_of("viewer")).json()
    path = f"{PATH}/{made['id']}"
    for enabled in (False, False, True):
        answer = clients["viewer"].patch(path, json={"enabled": enabled})
        assert answer.status_code == 200
        assert answer.json() == made | {"enabled": enabled}
    for body in (
        {},
        {"enabled": 1},
        {"destination": "x@example.org"},
        {"enabled": True, "type": 1},
    ):
        assert clients["viewer"].patch(path, json=body).status_code == 400
    assert clients["viewer"].get(path).json() == made


def test_error_a_user_has_one_for_a_model(clients):
    assert clients["viewer"].post(PATH, json=told_of("viewer")).status_code == 201
    assert clients["viewer"].post(PATH, json=told_of("viewer")).status_code == 409


def test_law_models_that_a_user_may_not_see_are_not_told_of(served, clients):
    ana = str(user_id("ana"))
    body = {"user_id": ana, "model_id": "hidden", "type": "email"}
    with served.http() as administrator:
        assert administrator.post(PATH, json=body).status_code in {400, 404}
    with as_ana(served) as own:
        answers = [own.post(PATH, json=body | {"model_id": each}) for each in ("hidden", "nowhere")]
        assert [each.status_code for each in answers] == [404, 404]
    assert clients["administrator"].get(PATH).json()["data"] == []


def test_law_what_was_made_is_gone_once_deleted(clients):
    made = clients["viewer"].post(PATH, json=told_of("viewer")).json()
    assert clients["viewer"].delete(f"{PATH}/{made['id']}").status_code == 204
    assert clients["viewer"].get(f"{PATH}/{made['id']}").status_code == 404
