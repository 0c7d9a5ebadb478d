"""Sends mails through an SMTP server, and says of each what became of it.

Promise: a mail counts as sent when the server has answered its text with 2xx, never before. Faults
of the connection, time-outs and 4xx are worth another attempt; a 5xx about the mail itself is not,
and parks it with the server's reason. What only a person can repair in the configuration, such as
a wrong password or an unknown certificate (530, 534, 535 and 538 among the 5xx), parks nothing: it
would lose every alert until somebody sees it. It is tried again, with the reason, until it works.

Limits: `timeout_s` bounds each wait for the server, and `_STEPS` times that the log-in, and each
mail, however slowly it answers, byte by byte. A server that takes a mail and fails before it says
so gets it again, with the same Message-ID. The password is in no outcome and no log.
"""

import base64
import contextlib
import ipaddress
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from typing import Self

from connectors.mail import ascii_domain, compose, one_line
from engine.config import SmtpSettings
from engine.errors import ConfigurationError
from engine.notifications import Group, Outcome

__all__ = ["SECURITIES", "check_smtp", "deliver", "send"]

SECURITIES = ("none", "starttls", "tls")

_REASON_CHARACTERS_MAX = 500
_STEPS = 10  # of a dialogue, with encryption and log-in
# RFC 4954 and RFC 3207: authentication or encryption is asked for; not about the mail.
_CONFIGURATION_CODES = frozenset({530, 534, 535, 538})


def check_smtp(settings: SmtpSettings, password: str | None) -> None:
    """Refuse what could never work, or would give the password away.

    Raises
    ------
    ConfigurationError
        A word of `security` is unknown, a password would cross a network in clear text, user name
        and password do not go together or are not ASCII, or `ca_file` cannot be read.
    """
    _check_login(settings, password)
    try:
        _context(settings)
    except OSError as fault:  # ssl.SSLError is one
        msg = f'`ca_file` must be a readable file of PEM certificates, got "{settings.ca_file}"'
        raise ConfigurationError(msg) from fault


def send(settings: SmtpSettings, password: str | None, group: Group) -> Outcome:
    """Send one mail on a connection of its own."""
    (outcome,) = deliver(settings, password, (group,))
    return outcome


def deliver(
    settings: SmtpSettings, password: str | None, groups: Iterable[Group]
) -> Iterator[Outcome]:
    """Send mails over one connection, or the next one where it breaks; an outcome for each.

    When the server cannot be reached at all, everything that is left waits: nothing is gained by
    a time-out for each mail.
    """
    server: smtplib.SMTP | None = None
    unreachable: str | None = None
    try:
        for group in groups:
            if unreachable is None and (server is None or server.sock is None):
                try:
                    server = _connect(settings, password)
                except Exception as fault:  # noqa: BLE001 - whatever it is, the mails wait
                    server, unreachable = None, _reason(fault, settings, password)
            if server is None or unreachable is not None:
                yield Outcome(group.group_id, group.attempt, "retry", unreachable)
            else:
                yield _send(server, settings, password, group)
    finally:
        if server is not None:
            _hang_up(server)


def _check_login(settings: SmtpSettings, password: str | None) -> None:
    if settings.security not in SECURITIES:
        msg = f'`security` must be one of {", ".join(SECURITIES)}, got "{settings.security}"'
        raise ConfigurationError(msg)
    if settings.username is not None:
        if settings.security == "none" and not _is_loopback(settings.host):
            msg = (
                "`security` must be starttls or tls where `username` is set, so that the password"
                f' is not sent in clear text, got "none" for host {settings.host}'
            )
            raise ConfigurationError(msg)
        if password is None:
            msg = (
                "`password_env` must name an environment variable that is set where `username`"
                f" is, got {settings.password_env or 'nothing'}"
            )
            raise ConfigurationError(msg)
        if not (settings.username + password).isascii():
            msg = "`username` and the password must be ASCII, got other characters"
            raise ConfigurationError(msg)


def _connect(settings: SmtpSettings, password: str | None) -> smtplib.SMTP:
    _check_login(settings, password)
    host, port, timeout = settings.host, settings.port, settings.timeout_s
    server: smtplib.SMTP
    with _Patience(_STEPS * timeout) as patience:
        if settings.security == "tls":
            server = _Encrypted(patience, host, port, timeout=timeout, context=_context(settings))
        else:
            server = _Plain(patience, host, port, timeout=timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=_context(settings))
            server.ehlo_or_helo_if_needed()
            if settings.username is not None and password is not None:
                server.login(settings.username, password)
        except BaseException:
            server.close()
            raise
    return server


class _Patience:
    """Hangs up on a server when time is up; `server` is set once there is one."""

    server: smtplib.SMTP | None = None

    def __init__(self, limit_s: float, server: smtplib.SMTP | None = None) -> None:
        self.server = server
        self._timer = threading.Timer(limit_s, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _hang_up(self) -> None:
        sock = None if self.server is None else self.server.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # whoever waits for it wakes up


class _Plain(smtplib.SMTP):
    def __init__(self, patience: _Patience, host: str, port: int, *, timeout: float) -> None:
        patience.server = self  # it waits for the greeting already while it is made
        super().__init__(host, port, timeout=timeout)


class _Encrypted(smtplib.SMTP_SSL):
    def __init__(
        self,
        patience: _Patience,
        host: str,
        port: int,
        *,
        timeout: float,
        context: ssl.SSLContext | None,
    ) -> None:
        patience.server = self
        super().__init__(host, port, timeout=timeout, context=context)


def _send(
    server: smtplib.SMTP, settings: SmtpSettings, password: str | None, group: Group
) -> Outcome:
    try:
        message = compose(settings.sender, group)
    except ValueError as fault:
        return Outcome(group.group_id, group.attempt, "parked", str(fault))
    sender = ascii_domain(parseaddr(settings.sender)[1])
    try:
        with _Patience(_STEPS * settings.timeout_s, server):
            server.send_message(message, sender, [ascii_domain(group.destination)])
    except Exception as fault:  # noqa: BLE001 - a fault with one mail must not end all others
        reason = _reason(fault, settings, password)
        status = "parked" if _is_final(fault) else "retry"
        # smtplib ends the transaction (RSET) after these alone: behind a DATA that is refused the
        # next mail would meet "503 nested MAIL command".
        if not isinstance(fault, smtplib.SMTPSenderRefused | smtplib.SMTPRecipientsRefused):
            server.close()
        return Outcome(group.group_id, group.attempt, status, reason)
    return Outcome(group.group_id, group.attempt, "sent")


def _hang_up(server: smtplib.SMTP) -> None:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        if server.sock is not None:
            server.quit()
    server.close()


def _is_final(fault: Exception) -> bool:
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return True
    code, _ = _answer(fault)
    return 500 <= code < 600 and code not in _CONFIGURATION_CODES


def _answer(fault: Exception) -> tuple[int, str]:
    """Give what the server answered, or code 0."""
    code: int = 0
    said: bytes | str = b""
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(fault.recipients.values()))
    elif isinstance(fault, smtplib.SMTPResponseException):
        code, said = fault.smtp_code, fault.smtp_error
    return code, said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _reason(fault: Exception, settings: SmtpSettings, password: str | None) -> str:
    where = f"{settings.host}:{settings.port}"
    code, said = _answer(fault)
    if isinstance(fault, ConfigurationError):
        told = str(fault)
    elif isinstance(fault, smtplib.SMTPAuthenticationError):
        told = f"{where} refused user {settings.username}: {code} {said}"
    elif code:
        told = f"{where} answered {code} {said}"
    elif isinstance(fault, ssl.SSLCertVerificationError):
        told = f"the certificate of {where} must be valid, got: {fault.verify_message}"
    elif isinstance(fault, TimeoutError) or isinstance(fault.__context__, TimeoutError):
        told = f"{where} gave no answer within {settings.timeout_s:g} s"
    elif isinstance(fault, smtplib.SMTPNotSupportedError):
        told = f"{where} lacks what is needed: {fault}"
    else:
        told = f"{where} cannot be used: {getattr(fault, 'strerror', None) or fault}"
    return one_line(_without(told, settings.username, password), _REASON_CHARACTERS_MAX)


def _without(told: str, username: str | None, password: str | None) -> str:
    """Take the password out of a text, in each form in which a server may have echoed it."""
    if not password:
        return told
    forms = (f"\0{username}\0{password}", password)
    for secret in (*(base64.b64encode(form.encode()).decode() for form in forms), password):
        told = told.replace(secret, "***")
    return told


def _context(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.security == "none":
        return None
    return ssl.create_default_context(cafile=settings.ca_file)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
