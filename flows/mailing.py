"""What a run does about notifications: who is told, and the mails on their way, if it mails at all.

::

    alerts of a transaction -> outbox, same transaction -> committed -> mailer thread -> SMTP server
                                   ^---------------- outcomes, some later transaction ----+

Without a mail server alerts of configured models wait in the store. Nothing here waits for a mail
server but `drain`, at the end of a run, for a stated time.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import duckdb
import pyarrow as pa

from connectors.mailer import DRY_SMTP, DryMailer, Mailer
from connectors.notifier import Notifier
from connectors.smtp import check_smtp
from connectors.transactions import Transactions
from engine.config import NotificationSettings, Settings, SmtpSettings
from engine.errors import ConfigurationError
from engine.notifications import configuration_id
from engine.outbox import enqueue
from flows.producing import Producing, declare_ways

__all__ = ["DRAIN_S", "STOPPED_S", "Mailing", "declare_told", "password_of"]

DRAIN_S = 10.0
"""How long the end of the input waits for mails that are open."""

STOPPED_S = 0.5
"""The same for a run that was told to stop."""


def password_of(smtp: SmtpSettings | None) -> str | None:
    """Check what is declared of the mail server, and read its password from the environment.

    Raises
    ------
    ConfigurationError
        The variable is not set, or see `connectors.smtp.check_smtp`. No text has the password.
    """
    if smtp is None:
        return None
    name = smtp.password_env
    password = None if name is None else os.environ.get(name) or None
    if name is not None and password is None:
        msg = (
            "notifications.smtp.password_env must name an environment variable that is set and not"
            f" empty, got {name}"
        )
        raise ConfigurationError(msg)
    try:
        check_smtp(smtp, password)
    except ConfigurationError as fault:
        msg = f"notifications.smtp: {fault}"
        raise ConfigurationError(msg) from fault
    return password


def declare_told(cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write who there is, and who is told of what, in place of what an earlier run had."""
    declare_ways(cursor, settings.produce)
    users = [(user.username, user.email, user.role) for user in settings.users]
    told = [
        (configuration_id(each), each.user, each.model, each.type, each.destination, each.enabled)
        for each in settings.notifications
    ]
    for table, rows in (("users_known", users), ("configurations_known", told)):
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


class Mailing:
    """The notifications of one run, on the thread that owns the store.

    Parameters
    ----------
    settings : Settings
    password : str or None
        Of the mail server, see `password_of`.
    printed_to : TextIO or None
        Where mails are printed instead of being sent.

    Attributes
    ----------
    given : int
        Alerts since the start of the run.
    waited_s : float
        How long `drain` took.
    """

    def __init__(
        self, settings: Settings, password: str | None, printed_to: TextIO | None = None
    ) -> None:
        self.given = 0
        self.waited_s = 0.0
        self._configurations: Sequence[NotificationSettings] = settings.notifications
        self._notifier = _notifier(settings.smtp, password, printed_to)
        self._producing = Producing(settings.produce)

    def tell(self, configurations: Sequence[NotificationSettings]) -> None:
        """Tell these of alerts from now on."""
        self._configurations = configurations

    def note(self, cursor: duckdb.DuckDBPyConnection, alerts: pa.Table, now_us: int) -> None:
        """Put alerts (columns alert_id, model_id) into the outbox, in their own transaction."""
        self.given += len(alerts)
        if len(alerts):
            enqueue(cursor, self._configurations, alerts, now_us)
        self._producing.note(cursor, alerts, now_us)

    def tick(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> bool:
        """See `Notifier.tick`."""
        produced = self._producing.tick(cursor, now_us)
        mailed = self._notifier is not None and self._notifier.tick(cursor, now_us)
        return produced or mailed

    def after_commit(self) -> None:
        """See `Notifier.after_commit`."""
        self._producing.after_commit()
        if self._notifier is not None:
            self._notifier.after_commit()

    def after_rollback(self) -> None:
        """See `Notifier.after_rollback`."""
        self._producing.after_rollback()
        if self._notifier is not None:
            self._notifier.after_rollback()

    def drain(
        self, store: Transactions, now_us: Callable[[], int], stopped: Callable[[], bool]
    ) -> None:
        """Send what is left, for up to `DRAIN_S`, or `STOPPED_S` from a stop on."""
        began_s = time.monotonic()
        for each in (self._producing, self._notifier):
            if each is not None:
                each.drain(store, now_us, DRAIN_S, stopped)
                if stopped():
                    # What is with the server may be a moment from its outcome: else it comes twice.
                    each.drain(store, now_us, STOPPED_S)
        self.waited_s = time.monotonic() - began_s

    @property
    def unsent(self) -> int:
        """Mails and messages that are open; 0 where this run sends none."""
        mails = 0 if self._notifier is None else self._notifier.pending()
        return mails + self._producing.waiting

    def close(self) -> None:
        """Begin no further mail; what is open is for the next run."""
        self._producing.close()
        if self._notifier is not None:
            self._notifier.close()


def _notifier(
    smtp: SmtpSettings | None, password: str | None, printed_to: TextIO | None
) -> Notifier | None:
    if printed_to is not None:
        told = smtp or DRY_SMTP
        return Notifier(DryMailer(printed_to, told.sender), told)
    return None if smtp is None else Notifier(Mailer(smtp, password), smtp)
