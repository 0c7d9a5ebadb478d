"""The HTTP server: uvicorn in a thread of its own, beside the dataflow."""

import contextlib
import http.client
import resource
import socket
import threading

import uvicorn
from fastapi import FastAPI

from connectors.rest.connections import bounded
from connectors.rest.limits import HEAD_BYTES_MAX
from engine.errors import ConfigurationError, StoreError

__all__ = ["Server"]

_START_S = 30.0
_STOP_S = 5.0
# So many may be taken in at one go, beyond the bound, before those are let go that have to.
_BACKLOG = 512
_CONNECTIONS_MAX = 4096
_OTHER_FILES = 512  # of the store, the sources, and whatever else the process has open


class Server:
    """Answers requests from `start` to `close`.

    Parameters
    ----------
    app : FastAPI
    host : str
    port : int
        0: any that is free; `port` then tells which.
    connections_max : int
        Open at once; fewer, where the process may not have so many files open.

    Raises
    ------
    ConfigurationError
        The address is none, or is taken.
    """

    def __init__(
        self, app: FastAPI, host: str, port: int, connections_max: int = _CONNECTIONS_MAX
    ) -> None:
        self._socket = _bound(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=bounded(_allowed(connections_max)),
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            backlog=_BACKLOG,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(_STOP_S),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Begin to answer.

        Raises
        ------
        StoreError
            It does not come up.
        """
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START_S / 0.01)):
            if self._server.started or self._fault is not None or not self._thread.is_alive():
                break
            waited.wait(0.01)
        if not self._server.started:
            msg = f"the REST server does not come up: {self._fault or 'no answer'}"
            raise StoreError(msg)
        self._ask_first()

    def close(self) -> None:
        """Finish what is being answered, for some seconds, and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_S + 2)
        self._socket.close()

    def _ask_first(self) -> None:
        """Be the first who asks: routes are made ready by the first request that passes them."""
        asking = http.client.HTTPConnection(_reachable(self.host), self.port, timeout=_START_S)
        try:
            asking.request("GET", "/health")
            asking.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            msg = f"the REST server does not answer: {error}"
            raise StoreError(msg) from error
        finally:
            asking.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as fault:  # noqa: BLE001 - told by `start`
            self._fault = fault


def _reachable(host: str) -> str:
    """Give the address at which this machine reaches one that may stand for all of them."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Named, so that asyncio turns Nagle's delay off: it looks whether the protocol is TCP.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        where = f"{host}:{port}: {error.strerror}"
        msg = f"`--host` and `--port` must be an address that is free, got {where}"
        raise ConfigurationError(msg) from error
    return made


def _allowed(connections: int) -> int:
    """Let the process have that many files more, or as many as it may; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _BACKLOG + _OTHER_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(16, min(connections, soft - _BACKLOG - _OTHER_FILES))
