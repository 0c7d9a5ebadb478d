"""A real mail server on loopback whose faults are scripted, for all tests that mail.

    with MailServer(["RCPT 451 4.2.0 busy", None, "DATA drop"]) as server:
        ...  # the first mail meets 451, the second is taken, the third loses the connection

Each mail (each MAIL command) takes the next fault of the script, None for none; after the script
all is well. A script may be any iterable, endless ones too. What a fault is:

- `MAIL 550 text`, `RCPT 451 text`, `DATA 554 text`: that answer at that place;
- `DATA drop`: the connection breaks when the text begins to come;
- `DATA forget`: the mail is taken, and the connection breaks before the answer;
- `MAIL hang`: no answer ever.

`greetings` works alike for connections: what is said in place of `220 …`, None for that.
"""

import asyncio
import email.policy
import socket
import ssl
import threading
import time
from email import message_from_bytes

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

__all__ = ["CERTIFICATE", "MailServer", "unused_port"]

# Self-signed for localhost and 127.0.0.1, valid from 2020 to 2120; the key protects nothing.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDrUJK6qr0jfupsH
LiOyhCOVhHbLsrkfMrAEnAd750SJ2WGoWJUgJL1o5ARnyfj6CAtiNmQjB0//lZ+a
MSJdVxCjXjBcMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFM3ZIVQFMk4ftFTH
nqeZTXfTNVa2MA4GA1UdDwEB/wQEAwIChDAaBgNVHREEEzARgglsb2NhbGhvc3SH
BH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIgAYRKE7f3bX7vDcEour9//9s5KPPdpyhJ
z3Dh6Hy/uOsCIQCkw4zELel1YFCO0aKZTXCXNaN8dSLFXae3IGGkbzxc5w==
-----END CERTIFICATE-----
"""
_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPE/WatqYC1m+/Rht
0L8cO6lEHkVSObWm3pzcCNNjtWWhRANCAAQ61CSuqq9I37qbBy4jsoQjlYR2y7K5
HzKwBJwHe+dEidlhqFiVICS9aOQEZ8n4+ggLYjZkIwdP/5WfmjEiXVcQ
-----END PRIVATE KEY-----
"""


class MailServer(Controller):
    """Takes mails on a port of 127.0.0.1, from `with` to its end.

    `folder`: where the certificate may be written, for `security` starttls or tls; `ca_file` is
    then the path that a client trusts. `users` maps names to passwords, and makes AUTH a must
    where it is encrypted.
    """

    def __init__(
        self,
        script=(),
        *,
        port=0,
        security="none",
        folder=None,
        users=None,
        utf8=True,
        greetings=(),
    ):
        self.script, self.greetings = iter(script), iter(greetings)
        self.users = {name.encode(): word.encode() for name, word in (users or {}).items()}
        self.mails = []  # of every mail taken: the parsed message, with its envelope
        self.logins = []
        self.connections = 0
        self.changed = threading.Condition()
        self.ca_file = None if folder is None else str(folder / "certificate.pem")
        context = None if security == "none" else _context(folder)
        self._socket = socket.create_server(("127.0.0.1", port))
        super().__init__(
            _Handler(self),
            hostname="127.0.0.1",
            port=self._socket.getsockname()[1],
            ssl_context=context if security == "tls" else None,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            enable_SMTPUTF8=utf8,
            server_hostname="mail.test",
            authenticator=self._authenticate,
            auth_require_tls=security == "starttls",
            auth_required=bool(users) and security == "starttls",
        )

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def ids(self):
        return [mail["Message-ID"] for mail in self.mails]

    def wait_for(self, count, within_s=10.0):
        """Wait until so many mails were taken; gives them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.mails) >= count, within_s), self.mails
            return list(self.mails)

    def factory(self):
        return _Dialogue(self, self.handler, loop=self.loop, **self.SMTP_kwargs)

    def _create_server(self):
        return self.loop.create_server(
            self._factory_invoker, sock=self._socket, ssl=self.ssl_context
        )

    def _trigger_server(self):
        self._factory_invoked.set()  # the socket listens: no connection of our own is needed
        self.smtpd = self

    def _authenticate(self, _server, _session, _envelope, _mechanism, login):
        good = self.users.get(login.login) == login.password
        if good:
            self.logins.append(login.login)
        return AuthResult(success=good, handled=False)

    def take(self, envelope):
        mail = message_from_bytes(envelope.content, policy=email.policy.default)
        mail.envelope = (envelope.mail_from, list(envelope.rcpt_tos))
        mail.raw = envelope.content
        mail.taken_s = time.monotonic()
        with self.changed:
            self.mails.append(mail)
            self.changed.notify_all()


class _Dialogue(SMTP):
    """One connection; the fault is that of the mail being sent."""

    def __init__(self, server, handler, **parameters):
        super().__init__(handler, **parameters)
        self.server = server
        self.fault = ""
        self.greeted = False

    async def push(self, status):
        if not self.greeted:
            self.greeted = True
            self.server.connections += 1
            status = next(self.server.greetings, None) or status
        await super().push(status)

    async def smtp_MAIL(self, arg):
        self.fault = next(self.server.script, None) or ""
        await self._unless("MAIL", super().smtp_MAIL, arg)

    async def smtp_RCPT(self, arg):
        await self._unless("RCPT", super().smtp_RCPT, arg)

    async def smtp_DATA(self, arg):
        if self.fault == "DATA drop":
            await self.push("354 go on")
            await self._reader.readuntil(b"\r\n")
            self.transport.abort()
        elif self.fault == "DATA forget":
            await super().smtp_DATA(arg)
        else:
            await self._unless("DATA", super().smtp_DATA, arg)

    async def _unless(self, place, usual, arg):
        command, _, answer = self.fault.partition(" ")
        if command != place:
            await usual(arg)
        elif answer == "hang":
            await asyncio.sleep(3600)
        else:
            await self.push(answer)


class _Handler:
    def __init__(self, server):
        self.server = server

    async def handle_DATA(self, dialogue, _session, envelope):
        self.server.take(envelope)
        if dialogue.fault == "DATA forget":
            dialogue.transport.abort()
        return "250 taken"


def unused_port():
    """Give a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _context(folder):
    (folder / "certificate.pem").write_text(CERTIFICATE)
    (folder / "key.pem").write_text(_KEY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
