"""What becomes of a mail must follow from what the server said, whatever it does.

All against a real server on loopback: an alert that is lost since a fault was taken for final, or
a mail that is sent for ever since a refusal was taken for a fault, are the two errors to exclude.
The password must show nowhere.
"""

import base64
import logging
from dataclasses import replace

import pytest
from outbox_tables import alert, mail
from smtp_server import MailServer, unused_port

from connectors.smtp import check_smtp, deliver, send
from engine.config import SmtpSettings
from engine.errors import ConfigurationError

PASSWORD = "correct horse"


def settings(server, **changed):
    values = {"host": "127.0.0.1", "sender": "Bellwether <b@example.org>", "timeout_s": 5.0}
    return SmtpSettings(port=server.port, **(values | changed))


def secure(server, security, **changed):
    login = {"username": "ana", "security": security, "ca_file": server.ca_file}
    return settings(server, **(login | changed))


def status_and_reason(outcome, server):
    reason = outcome.reason and outcome.reason.replace(f"127.0.0.1:{server.port}", "SERVER")
    return outcome.status, reason


def test_a_mail_arrives_as_it_was_written():
    one = alert(rule_name="fell, stärker 😀", message=".\nlone dots. " + "long " * 300)
    with MailServer() as server:
        outcome = send(settings(server), None, mail(one, key="ab" * 16, attempt=3))
        (taken,) = server.mails
    assert (outcome.group_id, outcome.attempt) == ("ab" * 16, 3)
    assert (outcome.status, outcome.reason) == ("sent", None)
    assert taken.envelope == ("b@example.org", ["ana@example.org"])
    assert taken["Subject"] == "[critical] fell, stärker 😀: triage"
    assert taken["Message-ID"] == f"<{'ab' * 16}@example.org>"
    assert ". lone dots. long long" in taken.get_content()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("MAIL 451 4.3.0 later", ("retry", "SERVER answered 451 4.3.0 later")),
        ("RCPT 450 4.2.0 busy", ("retry", "SERVER answered 450 4.2.0 busy")),
        ("DATA 452 4.3.1 full", ("retry", "SERVER answered 452 4.3.1 full")),
        ("MAIL 421 4.3.2 closing", ("retry", "SERVER answered 421 4.3.2 closing")),
        ("MAIL 550 5.7.1 not you", ("parked", "SERVER answered 550 5.7.1 not you")),
        ("RCPT 550 5.1.1 unknown", ("parked", "SERVER answered 550 5.1.1 unknown")),
        ("DATA 554 5.6.0 bad", ("parked", "SERVER answered 554 5.6.0 bad")),
        ("MAIL 530 5.7.0 who", ("retry", "SERVER answered 530 5.7.0 who")),
        ("DATA drop", ("retry", "SERVER cannot be used: Connection unexpectedly closed")),
        ("DATA forget", ("retry", "SERVER cannot be used: Connection unexpectedly closed")),
    ],
)
def test_contract_AR_23_the_answer_decides(fault, expected):
    with MailServer([fault]) as server:
        outcome = send(settings(server), None, mail())
        taken = server.ids
    assert status_and_reason(outcome, server) == expected
    assert len(taken) == (fault == "DATA forget")


@pytest.mark.parametrize("greeting", ["421 4.3.2 busy", "554 5.3.2 no service here"])
def test_a_server_that_serves_nobody_parks_nothing(greeting):
    with MailServer(greetings=[greeting]) as server:
        outcome = send(settings(server), None, mail())
    assert status_and_reason(outcome, server) == ("retry", f"SERVER answered {greeting}")


def test_fault_a_server_that_says_nothing():
    with MailServer(["MAIL hang"]) as server:
        outcome = send(settings(server, timeout_s=0.2), None, mail())
    expected = ("retry", "SERVER gave no answer within 0.2 s")
    assert status_and_reason(outcome, server) == expected


def test_fault_nobody_listens():
    nowhere = SmtpSettings("127.0.0.1", unused_port(), "b@example.org", timeout_s=5)
    first, second = deliver(nowhere, None, [mail(key="a" * 32), mail(key="b" * 32)])
    assert (first.status, second.status) == ("retry", "retry")
    assert first.reason == second.reason
    assert first.reason == (f"127.0.0.1:{nowhere.port} cannot be used: Connection refused")


def test_many_mails_go_over_one_connection_and_a_fault_concerns_one_alone():
    script = [None, "RCPT 550 5.1.1 unknown", "DATA drop", None, "MAIL 421 busy", None]
    mails = [mail(key=f"{n:032x}") for n in range(6)]
    with MailServer(script) as server:
        outcomes = list(deliver(settings(server), None, mails))
        taken, connections = server.ids, server.connections
    found = [outcome.status for outcome in outcomes]
    assert found == ["sent", "parked", "retry", "sent", "retry", "sent"]
    assert [outcome.group_id for outcome in outcomes] == [each.group_id for each in mails]
    assert taken == [mails[n].message_id for n in (0, 3, 5)]
    assert connections == 3


@pytest.mark.parametrize(
    "fault", ["MAIL 451 4.3.0 later", "RCPT 450 busy", "DATA 452 4.3.1 full", "DATA 554 5.6.0 bad"]
)
def test_fault_after_a_refusal_the_next_mail_meets_a_server_that_is_ready(fault):
    with MailServer([fault]) as server:
        first, second = deliver(settings(server), None, [mail(key="a" * 32), mail(key="b" * 32)])
    assert first.status != "sent"
    assert (second.status, second.reason) == ("sent", None)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_and_with_a_login(security, tmp_path):
    users = {"ana": PASSWORD}
    with MailServer(security=security, folder=tmp_path, users=users) as server:
        assert send(secure(server, security), PASSWORD, mail()).status == "sent"
        wrong = send(secure(server, security), "wrong", mail())
        unknown = send(secure(server, security, ca_file=None), PASSWORD, mail())
        plain = send(settings(server, timeout_s=0.5), None, mail())
        assert len(server.mails) == 1
        assert server.logins == [b"ana"]
    assert status_and_reason(wrong, server) == (
        "retry",
        "SERVER refused user ana: 535 5.7.8 Authentication credentials invalid",
    )
    assert status_and_reason(unknown, server) == (
        "retry",
        "the certificate of SERVER must be valid, got: self-signed certificate",
    )
    assert plain.status == "retry"


def test_fault_a_server_without_starttls_gets_no_password(tmp_path):
    with MailServer(users={"ana": PASSWORD}, folder=tmp_path) as server:
        outcome = send(secure(server, "starttls", ca_file=None), PASSWORD, mail())
        taken = server.mails
    assert taken == []
    assert outcome.status == "retry"
    assert "STARTTLS" in outcome.reason


def test_a_password_on_loopback_needs_no_encryption():
    with MailServer(users={"ana": PASSWORD}) as server:
        plain = settings(server, username="ana")
        check_smtp(plain, PASSWORD)
        assert send(plain, PASSWORD, mail()).status == "sent"
        assert server.logins == [b"ana"]


def test_the_password_shows_nowhere(caplog):
    echo = base64.b64encode(f"\0ana\0{PASSWORD}".encode()).decode()
    said = [f"RCPT 550 you said {PASSWORD}", f"RCPT 451 {echo}", f"MAIL 550 {PASSWORD}"]
    with caplog.at_level(logging.DEBUG), MailServer(said, users={"ana": PASSWORD}) as server:
        logged_in = settings(server, username="ana")
        outcomes = list(deliver(logged_in, PASSWORD, [mail(key=f"{n:032x}") for n in range(3)]))
    assert [outcome.status for outcome in outcomes] == ["parked", "retry", "parked"]
    assert [outcome.reason.split(" ", 3)[3] for outcome in outcomes] == [
        "you said ***",
        "***",
        "***",
    ]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("conn")]
    assert [line for line in ours if PASSWORD in line] == []


def test_what_a_server_says_is_cut_and_stays_one_line():
    with MailServer(["RCPT 550-one\r\n550 \x1b[31m" + "long " * 80]) as server:
        outcome = send(settings(server), None, mail())
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= 500
    assert "answered 550 one [31mlong" in outcome.reason


def test_an_address_beyond_ascii_needs_a_server_that_takes_it():
    to = "jösé@exämple.org"
    with MailServer() as server:
        assert send(settings(server), None, mail(to=to)).status == "sent"
        assert server.mails[0].envelope[1] == ["jösé@xn--exmple-cua.org"]
        assert "To: jösé@xn--exmple-cua.org\r\n".encode() in server.mails[0].raw
    with MailServer(utf8=False) as server:
        outcome = send(settings(server), None, mail(to=to))
        assert send(settings(server), None, mail(to="jose@exämple.org")).status == "sent"
    assert outcome.status == "parked"
    assert "SMTPUTF8" in outcome.reason


def test_error_an_address_that_cannot_be_mailed_is_parked_with_the_reason():
    with MailServer() as server:
        bad, good = deliver(settings(server), None, [mail(to="ana\r\nRCPT TO:<all>"), mail()])
        assert len(server.mails) == 1
    assert (bad.status, good.status) == ("parked", "sent")
    assert bad.reason.startswith("`destination` must be an address like ana@example.org, got")


GOOD = "pa55word"
REMOTE = SmtpSettings("mail.example.org", 25, "b@example.org", username="ana")


@pytest.mark.parametrize(
    ("changed", "password", "message"),
    [
        (
            {"security": "ssl"},
            GOOD,
            '`security` must be one of none, starttls, tls, got "ssl"',
        ),
        ({}, GOOD, "`security` must be starttls or tls where `username` is set"),
        (
            {"host": "10.0.0.1"},
            GOOD,
            "`security` must be starttls or tls where `username` is set",
        ),
        ({"security": "tls"}, None, "`password_env` must name an environment variable that is set"),
        ({"security": "tls"}, "süß", "`username` and the password must be ASCII"),
        (
            {"security": "tls", "ca_file": "missing.pem"},
            GOOD,
            "`ca_file` must be a readable file",
        ),
    ],
)
def test_error_settings_that_cannot_work(changed, password, message):
    wrong = replace(REMOTE, **changed)
    with pytest.raises(ConfigurationError, match=message) as refused:
        check_smtp(wrong, password)
    assert "süß" not in str(refused.value)
    if "ca_file" not in changed:  # a file may come back: that is worth another attempt
        outcome = send(wrong, password, mail())
        assert (outcome.status, outcome.reason) == ("retry", str(refused.value))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_settings_that_work(host):
    check_smtp(replace(REMOTE, host=host), GOOD)
    check_smtp(replace(REMOTE, username=None), None)
    check_smtp(replace(REMOTE, security="tls"), GOOD)
