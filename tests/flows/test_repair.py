"""What a repair says and keeps beyond the tables: sources that cannot be read again, edits, mails.

A store is published, goes on, and its log is damaged at the very end: so the copy is older than
what the damaged store still knows.
"""

import shutil
import subprocess
import sys

import duckdb
import pytest
from damages import command, flipped

from connectors.damage import PUBLISHED_NAME, STORE_NAME, wal_of

PLACES = (("s", "{home}/here.ndjson"), ("s", "/gone.ndjson"), ("in", "stdin"), ("rest", "http"))
CODE = """
import os, sys
from pathlib import Path
from connectors.publish import publish
from connectors.store import Store

home = Path(sys.argv[1])
store = Store(home / "data")
run = store.cursor.execute

def committed(minute, mails, edits, places):
    store.begin()
    at = f"2026-01-02 03:{minute}:05"
    for n, (source, name) in enumerate(places):
        name = name.replace("{home}", str(home))
        run("INSERT OR REPLACE INTO partitions VALUES (?, ?, ?, ?, NULL, NULL, false, 9, 0, NULL,"
            " ?, false)", [n, source, name, int(minute) * 1000, at])
    for name, status in mails.items():
        run("DELETE FROM notifications_log WHERE notification_id = ?", [name])
        run("INSERT INTO notifications_log (notification_id, alert_id, configuration_id,"
            " destination, status, attempts, created_time) VALUES (?, 'a', 'c', 'd', ?, 1, ?)",
            [name, status, at])
    for seq, name in edits:
        run("INSERT INTO changes_log VALUES (?, 'user', ?, '{}', 'root', ?, NULL)", [seq, name, at])
    run("INSERT OR REPLACE INTO posts_log VALUES (?, 'h', ?, '{}')", [minute, at])
    store.commit()

places = eval(sys.argv[2])
committed("10", {"n1": "sent", "n2": "grouped", "n3": "pending"}, [(1, "ana")], places)
assert publish(store.folder, store.hold_still(), lambda: False)
store.move_on()
later = [*places, ("hub", "events/0")]
committed("20", {"n2": "sent", "n4": "printed", "n5": "pending"}, [(2, "bob")], later)
committed("30", {"n6": "sent"}, [(3, "eve")], later)
os._exit(0)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with the store; its file is named in it."""
    home = tmp_path_factory.mktemp("made")
    (home / "here.ndjson").write_text("{}\n")
    words = [sys.executable, "-c", CODE, str(home), repr(PLACES)]
    subprocess.run(words, check=True, timeout=60)
    wal = wal_of(home / "data" / STORE_NAME)
    flipped(wal, wal.stat().st_size - 40)
    return home


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path


def rows(home, sql):
    with duckdb.connect(str(home / "data" / STORE_NAME), read_only=True) as store:
        return store.execute(sql).fetchall()


def test_golden_what_a_snapshot_restores_and_what_it_cannot(home, made, capsys):
    words = ["repair", "--data", "data", "--from-snapshot"]
    code, out, told = command(capsys, home, *words)
    assert (code, told) == (0, "")
    moment, lines = "2026-01-02 03:10:05Z", [line.strip() for line in out.splitlines()]
    gone = "cannot be read again; who still has it may hand it in again, repeats do no harm"
    forgotten = "its idempotency keys are forgotten with it"
    noted = "noted as sent, and are not sent again when their alerts are raised again"
    for line in (
        f"data/{PUBLISHED_NAME}: sound; 36 events, the last taken at {moment}",
        f"s ({made}/here.ndjson): is read again from byte 10,000",
        "s (/gone.ndjson): the file is gone: what it had from byte 10,000 on cannot be read again",
        f"in (stdin): what came after {moment} {gone}",
        f"rest (http): what was handed in over REST after {moment} {gone}; {forgotten}",
        "hub (events/0): is read again from its beginning, as far as it is still held there",
        "1 of what was changed over REST or by commands are to be changed again:",
        "user bob (2026-01-02 03:20:05Z)",
        f"mails: 2 that were sent since are {noted}",
    ):
        assert line in lines, line
    states = dict(rows(home, "SELECT notification_id, status FROM notifications_log"))
    assert states == {"n1": "sent", "n2": "sent", "n3": "pending", "n4": "printed"}
    assert rows(home, "SELECT key FROM posts_log") == [("10",)]
    assert rows(home, "SELECT DISTINCT position FROM partitions") == [(10_000,)]


def test_golden_salvage_keeps_all_up_to_the_damage(home, made, capsys):
    code, out, _ = command(capsys, home, "repair", "--data", "data", "--salvage")
    assert code == 0
    assert f"s ({made}/here.ndjson): is read again from byte 20,000" in out
    assert "what was mailed after 2026-01-02 03:20:05Z is not known" in out
    assert rows(home, "SELECT max(seq) FROM changes_log") == [(2,)]
    assert rows(home, "SELECT DISTINCT position FROM partitions") == [(20_000,)]


def test_golden_a_rebuild_lists_all_that_only_the_store_knew(home, made, capsys):
    code, out, _ = command(capsys, home, "repair", "--data", "data", "--rebuild")
    assert code == 0
    assert out.count("kept aside: ") == 3
    for line in (
        f"s ({made}/here.ndjson): is read again from its beginning",
        "in (stdin): all that came cannot be read again",
        "2 of what was changed over REST or by commands are to be changed again:",
        "all that was mailed is not known",
    ):
        assert line in out, line
    left = {each.name.partition(".damaged")[0] for each in (home / "data").iterdir()}
    assert left == {"lock", STORE_NAME, f"{STORE_NAME}.wal", PUBLISHED_NAME}
    assert not (home / "data" / STORE_NAME).exists()


def test_what_is_set_aside_twice_has_two_names(home, capsys):
    for _ in range(2):
        wal = wal_of(home / "data" / STORE_NAME)
        flipped(wal, wal.stat().st_size - 40)
        flipped(wal, wal.stat().st_size - 41)
        command(capsys, home, "repair", "--data", "data", "--salvage")
    assert len(list((home / "data").glob("*.damaged-*"))) == 2


def test_error_two_choices_are_refused(home, capsys):
    code, _, told = command(capsys, home, "repair", "--salvage", "--rebuild")
    assert code == 2
    assert "not allowed with argument" in told
