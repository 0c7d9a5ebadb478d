"""A served run in this process: a real session, dataflow and HTTP server on a free port.

`serving` gives a `Served`; everything is real, only the signals are missing.
"""

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from engine.config import UserSettings
from flows.run import run_session
from flows.serve import Address
from flows.serve import serving as served_beside
from flows.session import Session
from flows.settings import load

ROLES = ("viewer", "editor", "administrator")
KEYS = {role: f"key-of-the-{role}-0123456789" for role in ROLES}
EMAILS = {role: f"{role}@example.org" for role in ROLES}


@dataclass
class Served:
    """Where it answers, and who may ask: `keys` by role (empty: no key is configured)."""

    url: str
    keys: dict
    session: Session
    folder: Path
    clients: list = field(default_factory=list)

    def http(self, role="administrator", **more):
        """Give a client that presents the key of a role; it is closed with the run."""
        headers = {"X-Api-Key": self.keys[role]} if role in self.keys else {}
        headers |= more.pop("headers", {})
        more = {"timeout": 30.0, **more}  # answers wait for commits, and machines for each other
        self.clients.append(httpx.Client(base_url=self.url, headers=headers, **more))
        return self.clients[-1]

    def post_events(self, events):
        """Hand in events; they are durable when this returns. All must be taken."""
        lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        receipt = self.session.intake.post(lines, by="test").result(30)
        assert receipt.rejected_count == 0, receipt.rejected[:3]
        return receipt

    def sql(self, statement, *values):
        """Ask the store directly."""
        cursor = self.session.readers().cursor()
        try:
            return cursor.execute(statement, list(values)).fetchall()
        finally:
            cursor.close()


def user(name, role, **more):
    """A user whose key is that of the role, unless another digest is given."""
    digest = hashlib.sha256(more.pop("key", KEYS[role]).encode()).hexdigest()
    return UserSettings(name, more.pop("email", EMAILS[role]), role, None, digest, **more)


@contextlib.contextmanager
def serving(folder, config_text=None, *, keys=True, users=()):
    """Run and answer.

    Parameters
    ----------
    folder : Path
        For the configuration and the data; a second run on it goes on with what is there.
    config_text : str, optional
        YAML; `data` and `sources` may be left out (then lines come over REST alone).
    keys : bool
        Whether there is a user of each role, with its key.
    users : sequence of UserSettings
        Further ones (`user`).
    """
    folder = Path(folder)
    path = folder / "bellwether.yaml"
    path.write_text(config_text or "limits: {models: 1000}\n")
    settings = load(str(path))
    declared = settings.sources if "sources:" in path.read_text() else ()
    made = [user(role, role) for role in ROLES] if keys else []
    settings = replace(
        settings,
        data=str(folder / "data"),
        sources=declared,
        users=(*settings.users, *made, *users),
    )
    session = Session(settings, serving=True)
    with _going(session) as server:
        url = f"http://127.0.0.1:{server.port}"
        served = Served(url, dict(KEYS) if keys else {}, session, folder)
        try:
            yield served
        finally:
            for client in served.clients:
                client.close()


@contextlib.contextmanager
def _going(session):
    started, servers, faults = threading.Event(), [], []

    @contextlib.contextmanager
    def beside():
        with served_beside(session, Address(port=0)) as server:
            servers.append(server)
            started.set()
            yield

    def run():
        try:
            run_session(session, beside)
        except BaseException as fault:  # noqa: BLE001 - raised below
            faults.append(fault)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="dataflow")
    thread.start()
    try:
        assert started.wait(60)
        if not servers:
            thread.join(60)
            raise faults[0]
        yield servers[0]
    finally:
        session.stop.set()
        thread.join(60)
        assert not thread.is_alive()
    if faults:
        raise faults[0]
