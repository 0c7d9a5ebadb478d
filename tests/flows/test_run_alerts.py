"""Alerts from the configuration file to the reader's mailbox, through the command and a server.

What is promised: alerts are in the store and are mailed once, whatever is started again; a mail
server that is dead, slow or not declared as it should be delays and loses nothing; a person reads
in the last line what is left to do.
"""

import signal
import time
from datetime import UTC, datetime

import pytest
from alert_runs import (
    ANA,
    PAGE,
    burst,
    configuration,
    minute,
    notifications,
    rule,
    smtp,
    statuses,
    told_alerts,
)
from commands import (
    ask,
    bellwether,
    encoded,
    eventually,
    one,
    owned,
    prediction,
    relations,
    rows,
    running,
    stopped,
)
from smtp_server import MailServer, unused_port

from flows.__main__ import main

SENT = [{"status": "sent"}]
FIRED = [4, 5, 8]  # minutes at whose end a busy one lies behind
ENDS = "select epoch_us(window_end) from alerts order by 1"
STORED = ("alerts", "evaluations", "alert_rules", "notification_configurations", "users")


@pytest.fixture
def server():
    with MailServer() as one_server:
        yield one_server


@pytest.fixture
def finished(capsys):
    """Run a configuration to its end, in this process; gives the summary."""

    def run(path):
        assert main(["run", str(path)]) == 0
        told = capsys.readouterr()
        assert told.out == ""
        return told.err.splitlines()[-1]

    return run


def fed(folder, content=None):
    (folder / "events.ndjson").write_bytes(burst() if content is None else content)
    return folder / "data"


def ended(minutes):
    return [(minute(each),) for each in minutes]


def clock(number):
    return f"{datetime.fromtimestamp(minute(number) / 1e6, UTC):%Y-%m-%d %H:%M:%S}"


def test_golden_alerts_are_stored_told_and_mailed_once(tmp_path, server, finished):
    data = fed(tmp_path)
    path = configuration(tmp_path, notifications=notifications(smtp(server.port), "m"))
    told = finished(path)
    assert ", 0 rejects, 0 repeats, 3 alerts; " in told
    assert told.endswith(f"; data {data}")
    assert rows(data, ENDS) == ended(FIRED)
    (mail,) = server.mails
    assert (mail["To"], mail["Subject"]) == (ANA, "3 alerts of m, 3 critical")
    assert told_alerts(mail) == [clock(each) for each in FIRED]
    assert rows(data, "select status, attempts, last_error, message_id from notifications") == [
        ("sent", 1, None, mail["Message-ID"])
    ] * len(FIRED)
    assert "0 alerts; " in finished(path)
    assert len(server.mails) == 1


def test_golden_a_run_in_two_parts_is_like_one(tmp_path, server, finished):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    content = burst()
    cut = content.index(b'"e230"') + 3  # in the busy time, and within a line
    (tmp_path / "parts").mkdir()
    (tmp_path / "whole").mkdir()
    for folder in (whole, parts):
        told = notifications(smtp(server.port), "m")
        path = configuration(folder, notifications=told, alert_rules=[rule(), rule(bound="lower")])
        fed(folder, content if folder == whole else content[: content.rindex(b"\n", 0, cut) + 1])
        finished(path)
        if folder == parts:
            assert 0 < len(rows(parts / "data", ENDS)) < len(rows(whole / "data", ENDS))
            fed(folder, content)
            finished(path)
    assert relations(parts / "data", STORED) == relations(whole / "data", STORED)
    first, second, third = map(told_alerts, server.mails)
    assert sorted(second + third) == sorted(first)


def test_golden_a_dry_run_prints_the_mails(tmp_path, server):
    data = fed(tmp_path)
    told = notifications(smtp(server.port, username="bell", password_env="NOT_SET"), "m")
    path = configuration(tmp_path, notifications=told)
    ran = bellwether("run", path, "--dry-run-mail")
    assert ran.returncode == 0
    printed = ran.stdout.decode()
    assert printed.startswith(f"From: bell@example.org\nTo: {ANA}\nSubject: 3 alerts of m, 3 crit")
    assert printed.count("Message-ID: ") == 1
    assert [printed.count(clock(each)) > 0 for each in FIRED] == [True] * 3
    assert ran.stderr.count(b"\n") == 1  # the summary
    assert b", 3 alerts; " in ran.stderr
    assert statuses(data) == {"printed": 3}
    again = bellwether("run", path, "--dry-run-mail")
    assert (again.returncode, again.stdout) == (0, b"")
    assert server.connections == 0


def test_error_a_missing_password_is_told_before_anything_is_done(tmp_path, monkeypatch, capsys):
    data = fed(tmp_path)
    server = smtp(25, username="bell", password_env="BELL_WORD")

    def fails(command, **more):
        path = configuration(tmp_path, notifications=notifications(server | more, "m"))
        assert main([command, str(path)]) == 2
        assert not data.exists()
        told = capsys.readouterr()
        assert told.out == ""
        return told.err

    rule_told = "notifications.smtp.password_env must name an environment variable that is set"
    for word in ("", None):
        monkeypatch.setenv("BELL_WORD", word or "")
        if word is None:
            monkeypatch.delenv("BELL_WORD")
        wanted = f"bellwether: {rule_told} and not empty, got BELL_WORD\n"
        assert {fails("run"), fails("check")} == {wanted}
    monkeypatch.setenv("BELL_WORD", "geheimwörtlich")
    told = fails("run")
    assert told.startswith("bellwether: notifications.smtp: `username` and the password must be")
    assert "geheim" not in told
    monkeypatch.setenv("BELL_WORD", "plain")
    told = fails("check", security="tls", ca_file=str(tmp_path / "none.pem"))
    assert "notifications.smtp: `ca_file` must be a readable file of PEM certificates" in told
    configuration(tmp_path, notifications=notifications(server, "m"))
    assert main(["check", str(tmp_path / "run.yaml")]) == 0


def test_fault_a_dead_mail_server_costs_nothing_and_the_next_run_sends(tmp_path, finished):
    data, port = fed(tmp_path), unused_port()
    told = notifications(smtp(port, retry="1h"), "m")
    path = configuration(tmp_path, notifications=told)
    began = time.monotonic()
    summary = finished(path)
    assert time.monotonic() - began < 8  # no drain of ten seconds: the next attempt is far
    assert ", 3 alerts; " in summary
    assert summary.endswith("; 3 notifications still to be sent")
    assert statuses(data) == {"grouped": 3}
    assert "refused" in one(data, "select last_error from notifications")[0]
    with MailServer(port=port) as server:
        summary = finished(path)  # no line has come
        assert "0 alerts" in summary
        assert "still to be sent" not in summary
        assert [mail["Subject"] for mail in server.mails] == ["3 alerts of m, 3 critical"]
    assert statuses(data) == {"sent": 3}


def test_fault_a_server_that_never_answers_delays_no_line_and_no_stop(tmp_path):
    data = fed(tmp_path)
    with MailServer(["MAIL hang"] * 9) as server:
        told = notifications(smtp(server.port, join=0, timeout="30s"), "m")
        path = configuration(tmp_path, notifications=told)
        with running("run", path, "--follow") as process:
            eventually(lambda: owned(data))
            counted = "select count(*)::int as n from events"
            eventually(lambda: ask(data, "select status from notifications"))
            eventually(lambda: server.connections)
            before = ask(data, counted)[0]["n"]
            with (tmp_path / "events.ndjson").open("ab") as more:
                more.write(encoded([prediction(700)]))
            _, took_s = eventually(lambda: ask(data, counted)[0]["n"] > before)
            assert took_s < 4
            summary = stopped(process, signal.SIGINT, within_s=2.0)
        assert summary.count("\n") == 1
        assert summary.endswith("; 3 notifications still to be sent\n")
        assert server.mails == []


def test_golden_a_live_run_sends_what_an_earlier_one_left_though_no_line_comes(tmp_path, finished):
    data, port = fed(tmp_path), unused_port()
    told = notifications(smtp(port, retry="1h"), "m")
    finished(configuration(tmp_path, notifications=told))
    path = configuration(
        tmp_path, notifications=told, sources=[{"name": "s", "stdin": True}], alert_rules=[]
    )
    with MailServer(port=port) as server, running("run", path) as process:
        eventually(lambda: owned(data))
        server.wait_for(1)
        eventually(lambda: ask(data, "select distinct status from notifications") == SENT)
        assert stopped(process, within_s=2.0).startswith("0 lines in ")


def test_golden_the_server_refuses_one_reader_for_good(tmp_path, finished):
    data = fed(tmp_path)
    with MailServer(["RCPT 550 5.1.1 no such user"]) as server:
        told = notifications(smtp(server.port), "m")
        summary = finished(configuration(tmp_path, notifications=told))
    assert ", 3 alerts; " in summary
    assert "still to be sent" not in summary
    assert statuses(data) == {"parked": 3}
    assert "5.1.1 no such user" in one(data, "select last_error from notifications")[0]


def test_golden_who_is_told_is_in_the_store_as_it_is_now(tmp_path, finished):
    data = fed(tmp_path)
    told = notifications(smtp(unused_port(), retry="1h"), "other", enabled=False)
    users = [PAGE, {"username": "o'hara"}]
    finished(configuration(tmp_path, notifications=told, users=users))
    assert rows(data, "from users order by all") == [
        ("ana", ANA, "administrator"),
        ("o'hara", None, "viewer"),
    ]
    found = rows(data, "select * exclude configuration_id from notification_configurations")
    assert found == [("ana", "other", "email", ANA, False)]
    assert rows(data, "from notifications") == []  # nobody is told of m
    finished(configuration(tmp_path, users=[{"username": "o'hara", "email": "o@localhost"}]))
    assert rows(data, "from users") == [("o'hara", "o@localhost", "viewer")]
    assert rows(data, "from notification_configurations") == []


def test_a_run_without_rules_does_not_speak_of_alerts(tmp_path, finished):
    fed(tmp_path)
    assert "alert" not in finished(configuration(tmp_path, alert_rules=[]))
