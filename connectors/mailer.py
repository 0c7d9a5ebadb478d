"""Sends mails in a thread of its own, so that no mail server ever delays the stream.

`Mailer` sends them, `DryMailer` prints them. Neither touches the store: groups go in, outcomes
come out, and the owner of the store notes them (`connectors.notifier`). Delivery: at least once,
since a mailer that is closed or killed forgets what it has; the store does not.
"""

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Protocol, TextIO

from connectors.mail import compose
from connectors.smtp import check_smtp, deliver
from engine.config import SmtpSettings
from engine.errors import StoreError
from engine.notifications import Group, Outcome

__all__ = ["DRY_SMTP", "Courier", "DryMailer", "Mailer"]

DRY_SMTP = SmtpSettings(host="localhost", port=25, sender="Bellwether <bellwether@localhost>")
"""What a dry run writes into its mails when no mail server is configured."""

_logger = logging.getLogger(__name__)


class Courier(Protocol):
    """What takes mails away; called by one thread, and never blocks it but for a stated wait."""

    def submit(self, group: Group) -> None:
        """Take a mail; one that is taken already, and has no outcome yet, is ignored."""

    def outcomes(self, wait_s: float = 0.0) -> list[Outcome]:
        """Give the new outcomes; when there is none, wait up to `wait_s` seconds for the first."""

    def in_flight(self) -> frozenset[str]:
        """Give the ids of the groups that were taken and whose outcome was not given yet."""

    def close(self, wait_s: float = 0.0) -> None:
        """Begin no further mail; give the one that is being sent up to `wait_s` seconds."""


class Mailer:
    """Sends through an SMTP server, in the order of submission, many mails a connection.

    Parameters
    ----------
    settings : SmtpSettings
        The server.
    password : str or None
        For AUTH.

    Raises
    ------
    ConfigurationError
        See `connectors.smtp.check_smtp`.
    """

    def __init__(self, settings: SmtpSettings, password: str | None = None) -> None:
        check_smtp(settings, password)
        self._settings, self._password = settings, password
        self._todo: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._in_flight: set[str] = set()
        self._closing = threading.Event()
        # A daemon: a server that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="mailer", daemon=True)
        self._thread.start()

    def submit(self, group: Group) -> None:
        """See `Courier.submit`."""
        if group.group_id not in self._in_flight:
            self._in_flight.add(group.group_id)
            self._todo.put(group)

    def outcomes(self, wait_s: float = 0.0) -> list[Outcome]:
        """See `Courier.outcomes`."""
        found: list[Outcome] = []
        try:
            if wait_s > 0:
                found.append(self._done.get(timeout=wait_s))
            while True:
                found.append(self._done.get_nowait())
        except queue.Empty:
            self._in_flight.difference_update(outcome.group_id for outcome in found)
            return found

    def in_flight(self) -> frozenset[str]:
        """See `Courier.in_flight`."""
        return frozenset(self._in_flight)

    def close(self, wait_s: float = 0.0) -> None:
        """See `Courier.close`; outcomes that came by then are still given."""
        self._closing.set()
        self._todo.put(None)
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            first = self._todo.get()
            if first is not None:
                for outcome in deliver(self._settings, self._password, self._batch(first)):
                    _log(outcome)
                    self._done.put(outcome)

    def _batch(self, first: Group) -> Iterator[Group]:
        """Give what is there to send until nothing is: as long as that the connection stays."""
        group: Group | None = first
        while group is not None and not self._closing.is_set():
            yield group
            try:
                group = self._todo.get_nowait()
            except queue.Empty:
                return


class DryMailer:
    """Prints each mail to a text stream, and calls that ``printed``.

    Parameters
    ----------
    stream : TextIO
        A stream that takes nothing more, as a pipe whose reader went away, makes the outcome
        ``retry``.
    sender : str
        Who the mails come from.
    """

    def __init__(self, stream: TextIO, sender: str = DRY_SMTP.sender) -> None:
        self._stream, self._sender = stream, sender
        self._done: list[Outcome] = []

    def submit(self, group: Group) -> None:
        """See `Courier.submit`."""
        if group.group_id not in self.in_flight():
            self._done.append(self._print(group))

    def outcomes(self, wait_s: float = 0.0) -> list[Outcome]:  # noqa: ARG002 - nothing is ever on its way
        """See `Courier.outcomes`."""
        found, self._done = self._done, []
        return found

    def in_flight(self) -> frozenset[str]:
        """See `Courier.in_flight`."""
        return frozenset(outcome.group_id for outcome in self._done)

    def close(self, wait_s: float = 0.0) -> None:
        """See `Courier.close`."""

    def _print(self, group: Group) -> Outcome:
        key, attempt = group.group_id, group.attempt
        try:
            message = compose(self._sender, group)
        except ValueError as fault:
            return Outcome(key, attempt, "parked", str(fault))
        names = ("From", "To", "Subject", "Date", "Message-ID")
        head = "".join(f"{name}: {message[name]}\n" for name in names)
        body = message.get_content().replace("\r\n", "\n")
        try:
            self._stream.write(f"{head}\n{body}\n")
            self._stream.flush()
        except (OSError, ValueError, StoreError) as fault:
            return Outcome(key, attempt, "retry", f"the mail could not be printed: {fault}")
        return Outcome(key, attempt, "printed")


def _log(outcome: Outcome) -> None:
    if outcome.status == "parked":
        _logger.warning("mail %s will not be sent: %s", outcome.group_id, outcome.reason)
    elif outcome.status == "retry" and outcome.attempt == 1:
        _logger.warning("mail %s must wait: %s", outcome.group_id, outcome.reason)
    else:
        _logger.info("mail %s: %s", outcome.group_id, outcome.reason or outcome.status)
