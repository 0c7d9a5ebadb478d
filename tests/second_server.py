"""Another server over the session of a served run, with some of its parts replaced by others."""

import contextlib
from types import SimpleNamespace

from connectors.rest.app import limiter, make_app
from connectors.rest.auth import Users
from connectors.rest.rooms import ROOMS
from connectors.rest.server import Server
from connectors.rest.services import READS, Services


@contextlib.contextmanager
def second_server(served, **parts):
    """Answer beside the first; gives the address."""
    session = served.session
    given = {
        "cursors": session.readers(),
        "calls": session.calls,
        "gate": session.gate,
        "intake": session.intake,
        "recomputes": session.refreshing.refresher,
        "state": SimpleNamespace(fault=None, committed_s=0.0),
        "limiter": limiter(READS),
    }
    users = Users(lambda: session.gate.configured.settings.users, {}, loopback=True)
    app = make_app(Services(**{**given, **parts}), users, ROOMS)
    server = Server(app, "127.0.0.1", 0)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.close()
