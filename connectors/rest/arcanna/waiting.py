"""The metrics of a job's active model, waited for without holding a thread, a cursor or a slot.

However many clients wait for one recompute, they are a future each. What is asked of the job itself
is read once that is there, or the wait has been long enough.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import orjson
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync

from connectors.calls import Asking
from connectors.jobcalls import calls_about_jobs
from connectors.rest.services import Services
from engine.errors import NotFoundError, QueryError
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import ModelMetrics

__all__ = ["Latest", "answered", "begun", "latest_within"]

_BEGINNINGS = 4  # at once: each is a look at the clock of the store
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("arcanna-beginnings")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Latest:
    """The metrics of a job's active model, or why there are none.

    Attributes
    ----------
    known : ModelMetrics or None
        None: they never were.
    recomputing : bool
        Whether they are computed anew just now, and these are the last known ones.
    """

    known: ModelMetrics | None
    recomputing: bool = False
    error: BaseException | None = None

    def given(self) -> tuple[ModelMetrics | None, bool]:
        """Give them, or raise what went wrong: an error of its own each time, with its own trace.

        Raises
        ------
        QueryError
            As the recompute did.
        """
        if self.error is None:
            return self.known, self.recomputing
        for kind in (NotFoundError, QueryError):
            if isinstance(self.error, kind):
                raise kind(str(self.error))
        msg = f"the recompute failed: {type(self.error).__name__}: {self.error}"
        raise RuntimeError(msg) from self.error


async def begun(function: Callable[[], T]) -> T:
    """Have something done that begins a recompute, off the event loop."""
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_BEGINNINGS)
        _LIMITER.set(limiter)
    return await run_sync(function, limiter=limiter)


async def latest_within(services: Services, job_id: str, timeout_s: float) -> Latest:
    """Have the metrics of a job's active model recomputed, and wait for them so long."""
    run = await begun(lambda: services.recomputes.begin(job_id))
    waiting = asyncio.wrap_future(run)
    # Where nobody looks at it any more: what it fails with is told to those who ask next.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([waiting], timeout=timeout_s)
    if not run.done():
        return Latest(services.recomputes.known(job_id), recomputing=True)
    error = run.exception()
    return Latest(None, error=error) if error is not None else Latest(run.result())


async def answered(
    services: Services, name: str, arguments: dict[str, Any], latest: Latest
) -> bytes:
    """Answer one of the calls about jobs with metrics that are there already."""
    rules = JobRules.of(services.gate.configured.settings)

    def given(_: Asking, __: str, ___: float) -> tuple[ModelMetrics | None, bool]:
        return latest.given()

    call = calls_about_jobs(lambda _: rules, given)[name]
    return await services.read(lambda asking: orjson.dumps(call(asking, arguments)))
