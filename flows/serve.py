"""`bellwether serve`: the dataflow, and the REST server beside it in the same process.

::

    main thread     sources and REST intake -> dataflow -> one transaction after another
    server thread   requests -> reads on cursors of their own; writes and lines to the main thread
"""

import ipaddress
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from connectors.rest.app import limiter, make_app
from connectors.rest.auth import Users
from connectors.rest.rooms import ROOMS
from connectors.rest.server import Server
from connectors.rest.services import READS, Services
from engine.config import Settings
from engine.errors import ConfigurationError
from flows.opening import Opening
from flows.run import run_session
from flows.session import Session
from flows.usersettings import digests_of
from flows.yielding import stand_back

__all__ = ["Address", "serve", "server_of", "serving"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server answers; port 0 is any that is free."""

    host: str = "127.0.0.1"
    port: int = 8080


@dataclass(frozen=True, slots=True)
class _State:
    session: Session

    @property
    def fault(self) -> BaseException | None:
        return self.session.fault or self.session.input_fault

    @property
    def committed_s(self) -> float:
        return time.monotonic() - self.session.rested_s


def serve(
    settings: Settings,
    address: Address,
    mails_to: TextIO | None = None,
    stop: threading.Event | None = None,
    opening: Opening | None = None,
) -> int:
    """Run and answer until `stop` is set; 0 when everything taken was committed.

    `opening` is that of the data folder, where it was begun beforehand.

    Raises
    ------
    BellwetherError
        What the user can mend: configuration, address, inputs, data folder.
    Exception
        A fault of ours, as it was raised in a step.
    """
    session = Session(settings, None, mails_to, stop, serving=True, opening=opening)
    return run_session(session, lambda: serving(session, address))


@contextmanager
def serving(session: Session, address: Address) -> Iterator[Server]:
    """Answer requests beside a session that is open."""
    server = server_of(session, address)
    try:
        server.start()
        stand_back()  # this is the thread of the dataflow; the server has its own by now
        _say(f"serving http://{_host(server.host)}:{server.port}")
        yield server
    finally:
        # Who waits for an answer gets one: what it waits for is committed, or said to fail.
        session.end_waiting()
        server.close()


def server_of(session: Session, address: Address) -> Server:
    """Make the server of an open session; it does not answer yet.

    Raises
    ------
    ConfigurationError
        No API key is configured, and the address is not of the loopback interface; a key is off.
    """
    gate, intake = session.gate, session.intake
    if intake is None:
        msg = "the session must be one that serves"
        raise RuntimeError(msg)
    digests, loopback = digests_of(session.settings.users), _is_loopback(address.host)
    users = Users(lambda: gate.configured.settings.users, digests, loopback=loopback)
    if not (loopback or digests or any(user.api_key_sha256 for user in session.settings.users)):
        msg = (
            "`--host` must be of the loopback interface while no API key is configured"
            f" (`bellwether user add` makes one), got {address.host}"
        )
        raise ConfigurationError(msg)
    if users.open:
        _say(
            "warning: no API key is configured (`bellwether user add`): whoever can reach"
            f" {address.host} on this machine may do anything"
        )
    services = Services(
        cursors=session.readers(),
        calls=session.calls,
        gate=gate,
        intake=intake,
        recomputes=session.refreshing.refresher,
        state=_State(session),
        limiter=limiter(READS),
    )
    return Server(make_app(services, users, ROOMS), address.host, address.port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
