"""What the routes work with: reading, writing, handing in lines, and who is asking.

Reads run in threads of their own, each in one read-only transaction (`connectors.calls`); writes
are pieces of work for the one writer; lines go into the stream. All of them may wait, none of them
holds up the server's event loop.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import anyio
import orjson
from anyio.to_thread import run_sync
from starlette.requests import Request

from connectors.calls import Asking, Calls, in_parallel
from connectors.refresh import Recompute
from connectors.sqlquery import Cursors, reading
from connectors.sqlwire import TIME_LIMIT_S
from engine.changes import Configured, Writing
from engine.jobs.model_metrics import ModelMetrics
from engine.receipts import Receipt

__all__ = ["READS", "Gate", "Intake", "Recomputes", "Services", "State", "services_of"]

READS = 6
"""Reads at once; further ones wait their turn."""

T = TypeVar("T")


class Gate(Protocol):
    """The way to the writer."""

    @property
    def configured(self) -> Configured:
        """What is in force as of the last commit."""
        ...

    def submit(self, by: str, work: Callable[[Writing], T]) -> "Future[T]":
        """Have a piece of work done in a transaction of its own; done once it is durable.

        Raises
        ------
        BusyError
            Too much waits already.
        """
        ...


class Intake(Protocol):
    """The way into the stream."""

    def post(
        self, data: bytes, *, by: str = "", idempotency_key: str | None = None
    ) -> "Future[Receipt]":
        """Hand in whole lines; done once all of them are durable.

        Parameters
        ----------
        data : bytes
            NDJSON, at most 16 MiB; the last line may lack its newline.
        by : str
            The user; an idempotency key is one of this user.
        idempotency_key : str, optional
            The same lines under the same key are taken once.

        Raises
        ------
        BusyError
            Too much waits already: nothing was taken.
        ConflictError
            The key was used for other lines.
        """
        ...


class Recomputes(Protocol):
    """Recomputes of the metrics of models; `connectors.refresh.Refresher` is one."""

    def request(self, job_id: str) -> Recompute:
        """See `Refresher.request`."""
        ...

    def status(self, job_id: str) -> Recompute | None:
        """See `Refresher.status`."""
        ...

    def begin(self, job_id: str) -> "Future[ModelMetrics]":
        """See `Refresher.begin`."""
        ...

    def known(self, job_id: str) -> ModelMetrics | None:
        """See `Refresher.known`."""
        ...


class State(Protocol):
    """How the run is."""

    @property
    def fault(self) -> BaseException | None:
        """What has ended it, if something has."""
        ...

    @property
    def committed_s(self) -> float:
        """Seconds since the last commit or look at an idle input."""
        ...


@dataclass(frozen=True)
class Services:
    """Everything that routes are given.

    Attributes
    ----------
    cursors : Cursors
        On the store.
    calls : Calls
        `connectors.calltable`.
    gate : Gate
    intake : Intake
    recomputes : Recomputes
    state : State
    limiter : anyio.CapacityLimiter
        For reads.
    """

    cursors: Cursors
    calls: Calls
    gate: Gate
    intake: Intake
    recomputes: Recomputes
    state: State
    limiter: anyio.CapacityLimiter

    async def read(self, function: Callable[[Asking], T], time_limit_s: float = TIME_LIMIT_S) -> T:
        """Run a function in a thread, with a cursor that sees one commit.

        Raises
        ------
        QueryError
            As the function does, or where the time is up.
        """
        return await run_sync(self._read, function, time_limit_s, limiter=self.limiter)

    def _read(self, function: Callable[[Asking], T], time_limit_s: float) -> T:
        with reading(self.cursors, time_limit_s) as ours, ours.faults_named():
            found = function(
                Asking(
                    ours.cursor,
                    lambda statements: in_parallel(ours, statements),
                    lambda: ours.stopped,
                    ours.renew,
                )
            )
            ours.check()
            return found

    async def call(
        self, name: str, arguments: Mapping[str, Any], time_limit_s: float = TIME_LIMIT_S
    ) -> bytes:
        """Answer one of the calls, as JSON."""
        call = self.calls[name]
        return await self.read(lambda asking: orjson.dumps(call(asking, arguments)), time_limit_s)

    async def write(self, by: str, work: Callable[[Writing], T]) -> T:
        """Have the writer do a piece of work; gives what it gives, once it is durable."""
        return await asyncio.wrap_future(self.gate.submit(by, work))

    async def post(self, data: bytes, by: str, idempotency_key: str | None = None) -> Receipt:
        """Hand in lines; gives the receipt once they are durable."""
        posted = await run_sync(
            lambda: self.intake.post(data, by=by, idempotency_key=idempotency_key)
        )
        return await asyncio.wrap_future(posted)


def services_of(request: Request) -> Services:
    """Give the services of the server that a request came to."""
    services: Services = request.app.state.services
    return services
