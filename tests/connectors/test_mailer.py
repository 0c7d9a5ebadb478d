"""The mailer must never hold up who hands it a mail, nor lose or double what it was handed."""

import io
import threading
import time

from outbox_tables import alert, mail
from smtp_server import MailServer, unused_port

from connectors.mailer import DryMailer, Mailer
from engine.config import SmtpSettings
from engine.notifications import Outcome


def settings(port, timeout_s=5.0):
    return SmtpSettings("127.0.0.1", port, "b@example.org", timeout_s=timeout_s)


def collected(mailer, count):
    """Wait for so many outcomes."""
    found, deadline_s = [], time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline_s:
        found += mailer.outcomes(0.2)
    return found


def test_mails_go_out_in_order_and_each_has_one_outcome():
    mails = [mail(key=f"{n:032x}") for n in range(20)]
    with MailServer([None, "RCPT 550 no", "RCPT 450 later"]) as server:
        mailer = Mailer(settings(server.port))
        for each in mails:
            mailer.submit(each)
        outcomes = collected(mailer, 20)
        mailer.close(5)
        assert mailer.outcomes() == []
        taken, connections = server.ids, server.connections
    assert [outcome.group_id for outcome in outcomes] == [each.group_id for each in mails]
    found = [outcome.status for outcome in outcomes]
    assert found == ["sent", "parked", "retry"] + ["sent"] * 17
    assert taken == [mails[n].message_id for n in (0, *range(3, 20))]
    assert connections < 20


def test_what_is_in_flight_is_not_taken_twice_and_may_come_again_later():
    with MailServer(["RCPT 450 later"]) as server:
        mailer = Mailer(settings(server.port))
        for _ in range(3):
            mailer.submit(mail())
        assert mailer.in_flight() == {mail().group_id}
        (first,) = collected(mailer, 1)
        assert mailer.in_flight() == set()
        mailer.submit(mail(attempt=2))
        (second,) = collected(mailer, 1)
        mailer.close(5)
        assert server.ids == [mail().message_id]
    assert (first.status, second.status, second.attempt) == ("retry", "sent", 2)


def test_fault_a_server_that_hangs_blocks_nobody():
    with MailServer(["MAIL hang"]) as server:
        began_s = time.monotonic()
        mailer = Mailer(settings(server.port, timeout_s=30))
        for n in range(100):
            mailer.submit(mail(key=f"{n:032x}"))
        assert mailer.outcomes(0.05) == []
        mailer.close(0.1)
        assert time.monotonic() - began_s < 1.0
        assert len(mailer.in_flight()) == 100


def test_fault_a_dead_server_answers_for_all_that_waits_at_once():
    mailer = Mailer(settings(unused_port()))
    for n in range(50):
        mailer.submit(mail(key=f"{n:032x}"))
    outcomes = collected(mailer, 50)
    mailer.close(5)
    assert {outcome.status for outcome in outcomes} == {"retry"}
    assert len({outcome.group_id for outcome in outcomes}) == 50


def test_a_closed_mailer_sends_nothing_more_and_its_thread_ends():
    with MailServer() as server:
        before = threading.active_count()
        mailer = Mailer(settings(server.port))
        mailer.close(5)
        assert threading.active_count() == before
        mailer.submit(mail())
        assert mailer.outcomes(0.05) == []
        assert server.mails == []


def test_the_first_failure_and_every_parked_mail_are_logged(caplog):
    with MailServer(["RCPT 450 later", "RCPT 450 later", "RCPT 550 no"]) as server:
        mailer = Mailer(settings(server.port))
        for attempt in (1, 2, 3):
            mailer.submit(mail(attempt=attempt))
            collected(mailer, 1)
        mailer.close(5)
    told = [r.getMessage() for r in caplog.records if r.name == "connectors.mailer"]
    where, key = f"127.0.0.1:{server.port}", mail().group_id
    assert told == [
        f"mail {key} must wait: {where} answered 450 later",
        f"mail {key} will not be sent: {where} answered 550 no",
    ]


def test_a_dry_mailer_prints_and_sends_nothing():
    stream = io.StringIO()
    mailer = DryMailer(stream)
    mailer.submit(mail(alert(rule_name="fällt")))
    mailer.submit(mail())
    assert mailer.in_flight() == {mail().group_id}
    assert mailer.outcomes(10) == [Outcome(mail().group_id, 1, "printed")]
    assert (mailer.outcomes(), mailer.in_flight()) == ([], frozenset())
    printed = stream.getvalue()
    assert printed.startswith(
        "From: Bellwether <bellwether@localhost>\nTo: ana@example.org\n"
        "Subject: [critical] fällt: triage\nDate: Fri, 02 Jan 2026 12:00:00 +0000\n"
        f"Message-ID: {mail().message_id}\n\n[critical] fällt: triage\n\n"
    )
    assert printed.count("Subject:") == 1
    assert "\r" not in printed
    mailer.close()


def test_fault_a_dry_mailer_whose_reader_went_away():
    stream = io.StringIO()
    stream.close()
    mailer = DryMailer(stream)
    mailer.submit(mail())
    mailer.submit(mail(key="a" * 32, to="nobody"))
    gone, bad = mailer.outcomes()
    assert (gone.status, bad.status) == ("retry", "parked")
    assert gone.reason == "the mail could not be printed: I/O operation on closed file"
