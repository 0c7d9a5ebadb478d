"""Carries notifications between the store and the mailer, on the thread that owns the store.

The path of a mail: `engine.outbox.enqueue` in the transaction of its alerts; `tick` in some later
transaction makes it part of a group; `after_commit`, and never before, hands the group to the
mailer; a later `tick` notes the outcome. A kill between any two of these loses nothing: at the
next start what has no outcome is sent again, as the same mail with the same Message-ID.
"""

import math
import time
from collections.abc import Callable

import duckdb

from connectors.mail import domain_of
from connectors.mailer import DRY_SMTP, Courier
from connectors.transactions import Transactions, transact
from engine import outbox
from engine.config import SmtpSettings
from engine.notifications import Group, Outcome

__all__ = ["IN_FLIGHT_MAX", "Notifier"]

IN_FLIGHT_MAX = 100
"""Mails that the mailer holds at most; the others wait in the store."""

_LOOK_S = 0.1


class Notifier:
    """Takes what the outbox holds to a mailer, and its outcomes back.

    Parameters
    ----------
    mailer : Courier
        `close` closes it.
    settings : SmtpSettings
        For the sender's domain, `join_s` and `retry_s`.
    """

    def __init__(self, mailer: Courier, settings: SmtpSettings = DRY_SMTP) -> None:
        self._mailer = mailer
        self._domain = domain_of(settings.sender)
        self._join_us = round(settings.join_s * 1_000_000)
        self._retry_us = round(settings.retry_s * 1_000_000)
        self._far_us = max(outbox.BACK_OFF_MAX_US, self._retry_us)
        self._resumed = False
        self._resuming = False
        self._outcomes: list[Outcome] = []  # not known to be committed
        self._noted = 0  # how many of them the last `tick` noted
        self._ready: list[Group] = []  # to be submitted once this transaction is committed
        self._open = outbox.Waiting(0, 0, None, None)

    def tick(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> bool:
        """Note outcomes, join what is pending, look what is due; inside an open transaction.

        Call it last before each commit, and while nothing comes. May be called again in the same
        transaction, and after a roll-back.

        Parameters
        ----------
        cursor : duckdb.DuckDBPyConnection
            The owner's.
        now_us : int
            Wall clock, µs.

        Returns
        -------
        bool
            Whether to commit, and then to call `after_commit`.
        """
        self._outcomes += self._mailer.outcomes()
        changed = 0
        if not self._resumed:
            changed += outbox.resume(cursor, now_us)
            self._resuming = True
        changed += outbox.record(cursor, self._outcomes, now_us, self._retry_us)
        self._noted = len(self._outcomes)
        self._ready = []
        self._open = outbox.waiting(cursor, self._busy())
        if self._open.pending:
            changed += outbox.group(cursor, now_us, self._join_us, self._domain)
        if changed or self._is_due(now_us):
            self._ready = self._due(cursor, now_us)
            self._open = outbox.waiting(cursor, self._busy())
        return bool(changed or self._ready or self._outcomes)

    def after_commit(self) -> None:
        """Hand over what is durable now: call it after the commit of a `tick`, or at any commit."""
        self._resumed = self._resumed or self._resuming
        del self._outcomes[: self._noted]
        self._noted = 0
        ready, self._ready = self._ready, []
        for group in ready:
            self._mailer.submit(group)

    def after_rollback(self) -> None:
        """Forget what `tick` prepared: call it when its transaction was rolled back."""
        self._resuming, self._noted, self._ready = False, 0, []

    def hurry(self) -> None:
        """Join at once from now on, as nothing more will come."""
        self._join_us = 0

    def pending(self) -> int:
        """Count the notifications that were neither sent nor given up, as of the last `tick`."""
        return self._open.pending + self._open.grouped

    def drain(
        self,
        store: Transactions,
        now_us: Callable[[], int],
        wait_s: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> int:
        """Send what is left at the end of a bounded run, for up to `wait_s` seconds.

        Further attempts are made as long as they fit in; it ends as soon as nothing more can
        come of waiting.

        Parameters
        ----------
        store : Transactions
            With no transaction open.
        now_us : callable
            Gives the wall clock, µs.
        wait_s : float
            At most.
        stopped : callable
            Whether to end at once.

        Returns
        -------
        int
            Notifications that are still open: the next start goes on with them.
        """
        self.hurry()
        deadline_s = time.monotonic() + wait_s
        while True:
            transact(store, self, now_us())
            if not self._wait(deadline_s, now_us, stopped):
                return self.pending()

    def close(self, wait_s: float = 0.0) -> None:
        """Close the mailer; the mail that is being sent gets up to `wait_s` seconds."""
        self._mailer.close(wait_s)

    def _busy(self) -> frozenset[str]:
        return self._mailer.in_flight() | {group.group_id for group in self._ready}

    def _is_due(self, now_us: int) -> bool:
        next_us = self._open.next_us
        return next_us is not None and not now_us < next_us <= now_us + self._far_us

    def _due(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> list[Group]:
        busy = self._busy()
        if len(busy) >= IN_FLIGHT_MAX:
            return []
        return outbox.due(cursor, now_us, busy, IN_FLIGHT_MAX - len(busy), self._far_us)

    def _wait(
        self, deadline_s: float, now_us: Callable[[], int], stopped: Callable[[], bool]
    ) -> bool:
        """Wait for an outcome or the time of an attempt; False when waiting is of no use."""
        while not stopped():
            left_s = deadline_s - time.monotonic()
            attempt_s = self._attempt_in_s(now_us())
            if left_s <= 0 or (attempt_s > left_s and not self._mailer.in_flight()):
                return False
            if attempt_s <= 0:
                return True
            self._outcomes += self._mailer.outcomes(min(left_s, attempt_s, _LOOK_S))
            if self._outcomes:
                return True
        return False

    def _attempt_in_s(self, now_us: int) -> float:
        """Seconds until a mail that is not with the mailer is due; infinite when none is."""
        full = len(self._mailer.in_flight()) >= IN_FLIGHT_MAX
        if full or self._open.next_us is None:
            return math.inf
        return (self._open.next_us - now_us) / 1_000_000
