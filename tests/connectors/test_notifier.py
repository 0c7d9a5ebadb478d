"""Every alert must reach its readers, whatever fails between the store and the mail server.

The notifier is run against a real store file and a real server, is cut off between any two of its
steps and started anew; what arrives may only repeat with the same Message-ID.
"""

import itertools
import random
import time

import duckdb
import pytest
from outbox_tables import NOON_US, alert, create_tables, outbox, write
from smtp_server import MailServer, unused_port

from connectors.mailer import DryMailer, Mailer
from connectors.notifier import IN_FLIGHT_MAX, Notifier
from engine.config import NotificationSettings, SmtpSettings
from engine.outbox import enqueue

SECOND = 1_000_000
ANA = NotificationSettings("ana", "triage", "ana@example.org")
BO = NotificationSettings("bo", "triage", "bo@example.org")


def settings(port, retry_s=0.05, join_s=3.0):
    return SmtpSettings(
        "127.0.0.1", port, "Bell <b@example.org>", timeout_s=5, retry_s=retry_s, join_s=join_s
    )


class Transactions:
    """What `connectors.store.Store` is to the notifier, on any connection."""

    def __init__(self, cursor):
        self.cursor = cursor

    def begin(self):
        self.cursor.execute("BEGIN")

    def commit(self):
        self.cursor.execute("COMMIT")

    def rollback(self):
        self.cursor.execute("ROLLBACK")


def now_us():
    return time.time_ns() // 1000


def tick(notifier, cursor, at_us):
    """Do what the owner does at a commit; gives what `tick` said."""
    cursor.execute("BEGIN")
    wanted = notifier.tick(cursor, at_us)
    cursor.execute("COMMIT")
    notifier.after_commit()
    return wanted


def fire(cursor, *numbers, at_us=NOON_US, configurations=(ANA,)):
    enqueue(cursor, configurations, write(cursor, *(alert(n) for n in numbers)), at_us)


def statuses(cursor):
    sql = "SELECT status, count(*) FROM notifications_log GROUP BY ALL ORDER BY ALL"
    return dict(cursor.execute(sql).fetchall())


class Collecting:
    """A mailer that sends nothing by itself."""

    def __init__(self):
        self.taken = []

    def submit(self, group):
        self.taken.append(group)

    def outcomes(self, _wait_s=0.0):
        return []

    def in_flight(self):
        return frozenset(group.group_id for group in self.taken)


def test_alerts_of_a_few_seconds_arrive_as_one_mail():
    cursor = outbox()
    with MailServer() as server:
        notifier = Notifier(Mailer(settings(server.port)), settings(server.port))
        fire(cursor, 1, configurations=(ANA, BO))
        assert not tick(notifier, cursor, NOON_US)
        fire(cursor, 2, 3, at_us=NOON_US + SECOND)
        assert not tick(notifier, cursor, NOON_US + 2 * SECOND)
        assert notifier.pending() == 4
        assert tick(notifier, cursor, NOON_US + 3 * SECOND)
        mails = {mail["To"]: mail for mail in server.wait_for(2)}
        assert notifier.drain(Transactions(cursor), now_us, 10) == 0
        notifier.close(5)
        assert len(server.mails) == 2
    assert mails["ana@example.org"]["Subject"] == "3 alerts of triage, 3 critical"
    assert mails["bo@example.org"]["Subject"] == "[critical] accuracy fell: triage"
    assert mails["bo@example.org"]["Message-ID"].endswith("@example.org>")
    assert statuses(cursor) == {"sent": 4}


def test_nothing_is_handed_over_before_the_commit():
    cursor, mailer = outbox(), Collecting()
    notifier = Notifier(mailer)
    cursor.execute("BEGIN")
    fire(cursor, 1)
    assert notifier.tick(cursor, NOON_US + 3 * SECOND)
    assert mailer.taken == []
    cursor.execute("ROLLBACK")
    notifier.after_rollback()
    notifier.after_commit()
    assert mailer.taken == []
    fire(cursor, 1)
    assert tick(notifier, cursor, NOON_US + 3 * SECOND)
    assert len(mailer.taken) == 1
    assert not tick(notifier, cursor, NOON_US + 4 * SECOND)
    assert len(mailer.taken) == 1


def test_an_outcome_is_noted_again_when_its_transaction_was_rolled_back():
    cursor = outbox()
    fire(cursor, 1)
    with MailServer() as server:
        notifier = Notifier(Mailer(settings(server.port)), settings(server.port))
        tick(notifier, cursor, NOON_US + 3 * SECOND)
        server.wait_for(1)
        deadline_s = time.monotonic() + 10
        while statuses(cursor) != {"sent": 1} and time.monotonic() < deadline_s:
            cursor.execute("BEGIN")
            notifier.tick(cursor, NOON_US + 4 * SECOND)
            if statuses(cursor) == {"sent": 1}:
                break
            cursor.execute("ROLLBACK")
            notifier.after_rollback()
        cursor.execute("ROLLBACK")
        notifier.after_rollback()
        assert statuses(cursor) == {"grouped": 1}
        notifier.after_commit()  # of a transaction that nothing was noted in
        assert tick(notifier, cursor, NOON_US + 5 * SECOND)
        assert statuses(cursor) == {"sent": 1}
        notifier.close(5)
        assert len(server.mails) == 1


def test_faults_that_pass_are_tried_again_and_a_refusal_is_parked():
    cursor = outbox()
    fire(cursor, 1)
    fire(cursor, 2, configurations=(BO,))
    script = ["RCPT 450 later", "DATA drop", "DATA forget"]
    with MailServer(itertools.chain(script, itertools.repeat("RCPT 550 5.1.1 nobody"))) as server:
        notifier = Notifier(Mailer(settings(server.port)), settings(server.port))
        assert notifier.drain(Transactions(cursor), now_us, 10) == 0
        notifier.close(5)
    rows = cursor.execute("SELECT status, last_error FROM notifications").fetchall()
    assert rows == [("parked", f"127.0.0.1:{server.port} answered 550 5.1.1 nobody")] * 2


def test_fault_a_dead_server_delays_nothing_and_is_found_again():
    cursor, port = outbox(), unused_port()
    fire(cursor, *range(1, 6))
    notifier = Notifier(Mailer(settings(port)), settings(port))
    began_s = time.monotonic()
    assert notifier.drain(Transactions(cursor), now_us, 0.3) == 5
    assert time.monotonic() - began_s < 2
    (reason,) = cursor.execute("SELECT DISTINCT last_error FROM notifications").fetchall()
    assert reason == (f"127.0.0.1:{port} cannot be used: Connection refused",)
    with MailServer(port=port) as server:
        assert notifier.drain(Transactions(cursor), now_us, 10) == 0
        assert len(server.mails) == 1
    notifier.close(5)
    assert statuses(cursor) == {"sent": 5}


def test_a_drain_ends_as_soon_as_waiting_is_of_no_use():
    cursor, port = outbox(), unused_port()
    fire(cursor, 1)
    slow = settings(port, retry_s=300)
    notifier = Notifier(Mailer(slow), slow)
    began_s = time.monotonic()
    assert notifier.drain(Transactions(cursor), now_us, 60) == 1
    assert notifier.drain(Transactions(cursor), now_us, 60, stopped=lambda: True) == 1
    assert time.monotonic() - began_s < 5
    notifier.close(5)
    with MailServer(["MAIL hang"]) as server:
        hanging = Notifier(Mailer(settings(server.port)), settings(server.port))
        assert hanging.drain(Transactions(cursor), now_us, 0.2) == 1
        hanging.close()


def test_a_restart_sends_at_once_what_was_waiting():
    cursor, mailer = outbox(), Collecting()
    fire(cursor, 1)
    tick(Notifier(mailer), cursor, NOON_US + 3 * SECOND)
    (before,) = mailer.taken
    again = Collecting()
    cursor.execute("UPDATE notifications_log SET next_attempt = next_attempt + INTERVAL 5 MINUTE")
    assert tick(Notifier(again), cursor, NOON_US + 4 * SECOND)
    assert again.taken == [before]


def test_the_mailer_holds_a_limited_number_of_mails():
    cursor, mailer = outbox(), Collecting()
    notifier = Notifier(mailer)
    readers = [
        NotificationSettings(f"u{n}", "triage", f"u{n}@example.org")
        for n in range(IN_FLIGHT_MAX + 7)
    ]
    fire(cursor, 1, configurations=readers)
    for seconds in (3, 4, 5):
        tick(notifier, cursor, NOON_US + seconds * SECOND)
        assert len(mailer.taken) == IN_FLIGHT_MAX
    mailer.taken = mailer.taken[10:]
    tick(notifier, cursor, NOON_US + 6 * SECOND)
    assert len({group.group_id for group in mailer.taken}) == IN_FLIGHT_MAX


def test_a_dry_run_prints_each_mail_once(capsys):
    import sys  # noqa: PLC0415 - the captured stream

    cursor = outbox()
    fire(cursor, 1, 2)
    notifier = Notifier(DryMailer(sys.stdout))
    assert notifier.drain(Transactions(cursor), now_us, 10) == 0
    assert notifier.drain(Transactions(cursor), now_us, 10) == 0
    assert capsys.readouterr().out.count("Subject: 2 alerts of triage, 2 critical\n") == 1
    assert statuses(cursor) == {"printed": 2}


@pytest.mark.parametrize("seed", range(3))
def test_fault_cut_off_anywhere_no_mail_is_lost_or_changed(seed, tmp_path):
    chance = random.Random(seed)
    path, fired = str(tmp_path / "store.duckdb"), 0
    faults = ["RCPT 450 later", "DATA drop", "DATA forget", None, None, None]
    with MailServer(chance.choice(faults) for _ in itertools.count()) as server:
        smtp = settings(server.port, retry_s=0.01, join_s=0.02)
        for life in range(5):
            cursor = duckdb.connect(path, config={"threads": 1})
            if life == 0:
                create_tables(cursor)
            notifier = Notifier(Mailer(smtp), smtp)
            for _ in range(chance.randint(1, 10)):
                cursor.execute("BEGIN")
                fire(cursor, fired + 1, fired + 2, at_us=now_us(), configurations=(ANA, BO))
                notifier.tick(cursor, now_us())
                if chance.random() < 0.3:
                    cursor.execute("ROLLBACK")
                    notifier.after_rollback()
                    continue
                cursor.execute("COMMIT")
                fired += 2
                if chance.random() < 0.8:
                    notifier.after_commit()
                    time.sleep(chance.random() * 0.03)
                else:
                    break  # killed between the commit and the hand-over
            cursor.close()
            notifier.close()
        cursor = duckdb.connect(path, config={"threads": 1})
        notifier = Notifier(Mailer(smtp), smtp)
        assert notifier.drain(Transactions(cursor), now_us, 20) == 0
        notifier.close(5)
        mails = server.mails
    assert statuses(cursor) == {"sent": 2 * fired}
    check_mails(cursor, mails, fired)


def check_mails(cursor, mails, fired):
    """Every alert of every reader is in exactly one mail, and its repeats are equal."""
    distinct = {}
    for mail in mails:
        assert distinct.setdefault(mail["Message-ID"], mail.raw) == mail.raw
    for reader in (ANA, BO):
        told = b"".join(
            raw for raw in distinct.values() if f"To: {reader.destination}".encode() in raw
        )
        for number in range(1, fired + 1):
            line = f"alert:     {alert(number).alert_id}".encode()
            assert told.count(line) == 1, number
    stored = cursor.execute("SELECT DISTINCT message_id FROM notifications_log").fetchall()
    assert {key for (key,) in stored} == set(distinct)
