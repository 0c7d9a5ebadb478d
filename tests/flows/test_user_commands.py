"""`bellwether user`: keys are said once and never kept, whether a run owns the folder or nobody does.

The owner here is the store, the gate and the socket as a run has them, with a writer that looks for
work all the time.
"""

# ruff: noqa: E501 - what a command answers is one line

import json
import threading
from contextlib import contextmanager

import pytest
from serving import serving

from connectors.rest.auth import digest_of
from connectors.sqlserver import SqlServer
from connectors.store import Store
from engine.config import NotificationSettings, Settings, UserSettings
from engine.watermark import NEVER
from flows.__main__ import main
from flows.changing import Changing
from flows.mailing import declare_told
from flows.usercalls import user_calls

ANA = UserSettings("ana", "ana@b.c", "administrator", api_key_env="ANA_KEY", models=("m",))
BO = UserSettings("bo", "bo@b.c", "viewer")
FILE = Settings(users=(ANA, BO), notifications=(NotificationSettings("bo", "m", "bo@b.c"),))


@contextmanager
def owner(folder, settings=FILE):
    """Own a folder as a run does, until the end of the block."""
    stop = threading.Event()
    with Store(folder) as store:
        changing = Changing(settings)
        store.begin()
        found = changing.load(store.cursor)
        declare_told(store.cursor, found)
        store.commit()
        server = SqlServer(store.readers(), calls=user_calls(changing))
        server.start()
        store.announce(server.path)

        def write():
            while not stop.wait(0.01):
                while (pending := changing.take()) is not None:
                    store.begin()
                    try:
                        pending.prepare(store.cursor, 0, NEVER)
                    except Exception as error:  # noqa: BLE001 - it goes to whoever asked
                        store.rollback()
                        pending.failed(error)
                        continue
                    store.commit()
                    pending.done()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield changing
        finally:
            stop.set()
            writer.join()
            server.close()


def user(capsys, *words):
    """Give the exit code, standard output and standard error of `bellwether user`."""
    code = main(["user", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def listed(capsys, folder):
    code, out, _ = user(capsys, "list", "--data", folder, "--format", "json")
    assert code == 0
    return {each.pop("username"): each for each in json.loads(out)}


def stored(folder):
    with Store(folder) as store:
        return store.cursor.execute("SELECT * FROM changes_log ORDER BY seq").fetchall()


def test_golden_a_user_is_added_to_a_folder_that_nobody_owns_and_found_by_the_next_run(
    tmp_path, capsys
):
    data = tmp_path / "new"
    code, out, err = user(
        capsys, "add", "eve", "--role", "editor", "--email", "eve@b.c", "--model", "m",
        "--model", "n", "--job", "j", "--data", data,
    )  # fmt: skip
    key = out.strip()
    assert (code, out) == (0, f"{key}\n")
    assert key.startswith("bw_")
    assert len(key) > 40
    assert err.startswith("eve: added. The key is said this once")
    assert key not in err
    ((*_, kind, name, definition, by, _, from_time),) = stored(data)
    assert (kind, name, by, from_time) == ("user", "eve", "command line", None)
    assert key not in definition
    with owner(data) as changing:
        eve = changing.configured.settings.users[2]
        assert eve == UserSettings(
            "eve", "eve@b.c", "editor", None, digest_of(key), ("m", "n"), ("j",)
        )


def test_golden_a_running_owner_is_asked_and_the_user_is_there_at_once(tmp_path, capsys):
    with owner(tmp_path) as changing:
        code, out, _ = user(capsys, "add", "eve", "--role", "viewer", "--data", tmp_path)
        assert code == 0
        (eve,) = changing.configured.settings.users[2:]
        assert eve.api_key_sha256 == digest_of(out.strip())
        assert listed(capsys, tmp_path)["eve"] == {
            "email": None, "role": "viewer", "models": None, "jobs": None, "key": "made", "declared": False,
        }  # fmt: skip
        assert user(capsys, "remove", "eve", "--data", tmp_path) == (0, "", "eve: removed\n")
        assert list(listed(capsys, tmp_path)) == ["ana", "bo"]
    assert [row[3] is None for row in stored(tmp_path)] == [False, True]


@pytest.mark.parametrize("is_owned", [True, False])
def test_law_the_file_is_told_from_the_rest_also_where_nobody_runs(tmp_path, capsys, is_owned):
    with owner(tmp_path) as changing:
        if is_owned:
            check_declared(tmp_path, capsys)
            assert changing.configured.settings.administrators == ()
    if not is_owned:
        check_declared(tmp_path, capsys)
    with owner(tmp_path) as changing:
        (note,) = changing.notes()
        assert note.startswith("note: over REST: 1 user changed; they hold")
        (ana, _) = changing.configured.settings.users
        assert (ana.api_key_env, ana.models) == ("ANA_KEY", ("m",))
        assert ana.api_key_sha256 is not None


def check_declared(folder, capsys):
    before = listed(capsys, folder)
    assert before["ana"] == {
        "email": "ana@b.c", "role": "administrator", "models": ["m"], "jobs": None,
        "key": "environment: ANA_KEY", "declared": True,
    }  # fmt: skip
    code, _, err = user(capsys, "remove", "ana", "--data", folder)
    assert (code, err) == (
        2,
        "bellwether: the user ana must be taken out of the configuration file, which declares it\n",
    )
    code, _, err = user(capsys, "add", "ana", "--role", "viewer", "--data", folder)
    assert code == 2
    assert err == (
        "bellwether: the user ana is there already, and only the key can be made anew: `role` must"
        " be administrator, got viewer\n"
    )
    code, _, err = user(capsys, "add", "ana", "--role", "administrator", "--data", folder)
    assert code == 0
    assert err.startswith("ana: there already, with a new key.")
    assert listed(capsys, folder)["ana"]["key"] == "environment: ANA_KEY and made"


def test_law_a_new_key_takes_the_place_of_the_one_that_was_made_before(tmp_path, capsys):
    words = ("add", "eve", "--role", "editor", "--data", tmp_path)
    keys = [user(capsys, *words)[1].strip() for _ in range(2)]
    assert keys[0] != keys[1]
    with owner(tmp_path, Settings()) as changing:
        (eve,) = changing.configured.settings.users
    assert eve.api_key_sha256 == digest_of(keys[1])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("add", "eve"), "the following arguments are required: --role"),
        (("add", "eve", "--role", "root"), "argument --role: invalid choice: 'root'"),
        (("add", "", "--role", "viewer"), 'username must be text of 1 to 256 characters, got ""'),
        (("add", "eve", "--role", "viewer", "--email", "x"), "email must be an e-mail address such"),
        (("remove", "eve"), "the user must be one that there is, got eve"),
        (("add", "bo", "--role", "viewer", "--model", "x"), "the user bo is there already, and only the key can be made anew: `models` must be left out, got x"),
    ],
)  # fmt: skip
def test_error_words_are_refused_with_a_reason(tmp_path, capsys, words, text):
    with owner(tmp_path):
        code, out, err = user(capsys, *words, "--data", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"bellwether: {text}")


def test_law_a_key_is_good_for_requests_as_soon_as_it_is_made_and_until_it_is_taken_away(
    tmp_path, capsys
):
    with serving(tmp_path) as run:
        words = ("--data", run.session.settings.data)
        capsys.readouterr()
        _, out, _ = user(capsys, "add", "eve", "--role", "viewer", *words)
        key = {"Authorization": f"Bearer {out.strip()}"}
        with run.http(None) as client:
            assert client.get("/config").status_code == 401
            assert client.get("/config", headers=key).status_code in {200, 403}
            user(capsys, "remove", "eve", *words)
            assert client.get("/config", headers=key).status_code == 401


def test_error_a_folder_that_is_not_there_has_no_users(tmp_path, capsys):
    for words in (("list",), ("remove", "eve")):
        code, _, err = user(capsys, *words, "--data", tmp_path / "none")
        assert code == 2
        assert "must be a data folder" in err


def test_error_a_folder_that_an_owner_holds_without_an_answer_is_left_alone(tmp_path, capsys):
    with Store(tmp_path):
        code, out, err = user(capsys, "add", "eve", "--role", "viewer", "--data", tmp_path)
    assert (code, out) == (1, "")
    assert "does not answer questions" in err
    assert stored(tmp_path) == []


def test_golden_a_table_shows_no_key(tmp_path, capsysbinary):
    assert main(["user", "add", "eve", "--role", "viewer", "--data", str(tmp_path)]) == 0
    key = capsysbinary.readouterr().out.strip().decode()
    assert main(["user", "list", "--data", str(tmp_path)]) == 0
    told = capsysbinary.readouterr().out.decode()
    assert told.split("\n")[2].split() == ["eve", "NULL", "viewer", "NULL", "NULL", "made", "false"]
    assert key not in told
    assert digest_of(key) not in told
