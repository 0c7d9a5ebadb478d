"""Mail servers that fail at every step: a mail is tried until it is taken, and nobody else waits.

Beside what `test_smtp`, `test_mailer` and `test_notifier` have: servers that answer byte by byte,
that break off within an answer, that are away and come back.
"""

import contextlib
import socket
import threading
import time

import pytest
from outbox_tables import mail
from smtp_server import MailServer, unused_port

from connectors.mailer import Mailer
from engine.config import SmtpSettings

GREETING = b"220 mail.test\r\n"
OK = b"250 mail.test\r\n"
# What a dialogue of one mail is answered with: EHLO, MAIL, RCPT, DATA, the text.
ANSWERS = [GREETING, OK, OK, OK, b"354 go on\r\n", OK]
PLACES = {"greeting": 0, "hello": 1, "sender": 2, "recipient": 3, "data": 4, "text": 5}


class OddServer:
    """Answers as it should up to one place; there, as `act` does with the connection."""

    def __init__(self, place, act):
        self._place, self._act = place, act
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    self._dialogue(connection)

    def _dialogue(self, connection):
        for place, answer in enumerate(ANSWERS):
            if place == 5:
                heard = b""
                while b"\r\n.\r\n" not in heard:
                    heard += connection.recv(4096)
            elif place > 0 and not connection.recv(4096):
                return
            if place == self._place:
                self._act(connection, answer)
                return
            connection.sendall(answer)


def drip(connection, answer):
    """Answer for ever, a byte at a time."""
    while True:
        connection.sendall(answer[:3] + b"-" if answer is GREETING else b"2")
        time.sleep(0.02)


def cut(connection, answer):
    connection.sendall(answer[:2])


def reset(connection, _answer):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def outcome_of(mailer, within_s=20.0):
    began_s = time.monotonic()
    found = mailer.outcomes(within_s)
    assert found, "no outcome came"
    return found[0], time.monotonic() - began_s


@pytest.mark.parametrize("act", [cut, reset], ids=["cut", "reset"])
@pytest.mark.parametrize("place", PLACES)
def test_fault_a_dialogue_that_breaks_off_anywhere_is_tried_again(place, act):
    with OddServer(PLACES[place], act) as odd:
        mailer = Mailer(SmtpSettings("127.0.0.1", odd.port, "b@example.org", timeout_s=5.0))
        began_s = time.monotonic()
        mailer.submit(mail())
        assert time.monotonic() - began_s < 0.5  # whoever hands over never waits
        outcome, _ = outcome_of(mailer)
        mailer.close(5)
    assert (outcome.status, outcome.group_id) == ("retry", mail().group_id)
    assert f"127.0.0.1:{odd.port} " in outcome.reason


@pytest.mark.parametrize("place", ["greeting", "sender", "text"])
def test_fault_a_server_that_answers_byte_by_byte_is_given_up(place):
    with OddServer(PLACES[place], drip) as odd:
        mailer = Mailer(SmtpSettings("127.0.0.1", odd.port, "b@example.org", timeout_s=0.1))
        mailer.submit(mail())
        outcome, took_s = outcome_of(mailer)
        mailer.close(5)
    assert outcome.status == "retry"
    assert took_s < 8  # ten times the patience with one answer


def test_fault_a_server_that_is_away_and_comes_back():
    port = unused_port()
    mailer = Mailer(SmtpSettings("127.0.0.1", port, "b@example.org", timeout_s=5.0))
    mailer.submit(mail())
    outcome, _ = outcome_of(mailer)
    assert outcome.status == "retry"
    with MailServer(["DATA drop"], port=port) as server:
        for attempt, wanted in ((2, "retry"), (3, "sent")):
            mailer.submit(mail(attempt=attempt))
            outcome, _ = outcome_of(mailer)
            assert outcome.status == wanted, outcome
        assert server.ids == [mail().message_id]
    mailer.close(5)
