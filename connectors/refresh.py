"""Metrics of models, computed in the background, and what was last known of them.

- One recompute of a job at a time: who asks meanwhile waits for the one that runs, at most as long
  as it will; after that it gets what was last known, or nothing where nothing ever was.
- Nothing is computed twice from the same commits: where nothing was stored or decided since the
  last result it still holds, and is said to hold now. So the time of a result is the last at which
  its numbers were known to hold, which may be later than when they were computed.
- At most `WORKERS` recomputes run at once, each in a read-only transaction of its own; further ones
  are queued. A result is handed to `remember`, for whoever writes to the store.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import duckdb

from connectors.sqlquery import Cursors, reading
from connectors.sqlwire import TIME_LIMIT_MAX_S
from engine.errors import QueryError

__all__ = ["WORKERS", "Compute", "Known", "Recompute", "Refresher", "Remember", "Restate", "States"]

WORKERS = 1  # the other core is the writer's
_STAMP = "SELECT next_seq, next_outcome FROM clock"  # others after each line and each decision
_LOOK_S = 0.05  # how often one who waits looks whether it still should
_RUNS_MAX = 10_000  # of which the state is kept once they are done

Stamp = tuple[Any, ...]


class Known(Protocol):
    """The metrics of a job's active model."""

    @property
    def model_id(self) -> str:
        """The model."""

    @property
    def computed_us(self) -> int:
        """The last time at which they were known to hold, µs."""


class States:
    """The states of a recompute, in the words of the contract."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Recompute:
    """What is to be told of a requested recompute; `error` when it has failed.

    Attributes
    ----------
    requested_us : int
        When it was first asked for, µs.
    model_id : str or None
        The job's active model, as far as known.
    """

    job_id: str
    model_id: str | None
    status: str
    requested_us: int
    error: str | None = None


_Result = TypeVar("_Result", bound=Known)

Compute = Callable[[duckdb.DuckDBPyConnection, str, int], _Result]
"""Computes the metrics of a job's active model: takes a cursor in a read-only transaction, the
job's id and the time; raises NotFoundError where there is no such job, or no model is active."""

Remember = Callable[[str, _Result], None]
"""Takes the job's id and a new result; called in a worker, before anybody gets the result."""

Restate = Callable[[_Result, int], _Result]
"""Gives a result with another time."""


@dataclass(slots=True)
class _Run(Generic[_Result]):
    job_id: str
    requested_us: int
    state: str = States.QUEUED
    known: _Result | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)
    future: "Future[_Result]" = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # nobody who waits can call it off


class Refresher(Generic[_Result]):
    """Recomputes in threads of its own, until `close`.

    Parameters
    ----------
    connection : Cursors
        The owner's; it must stay open until `close` has returned.
    compute : Compute
    remember : Remember
    restate : Restate
    now_us : callable
        The wall clock, µs.
    known : mapping, optional
        What earlier runs of the program have left, by job.
    """

    def __init__(
        self,
        connection: Cursors,
        compute: Compute[_Result],
        remember: Remember[_Result],
        restate: Restate[_Result],
        now_us: Callable[[], int],
        *,
        known: Mapping[str, _Result] | None = None,
    ) -> None:
        self._connection, self._compute = connection, compute
        self._remember, self._restate, self._now_us = remember, restate, now_us
        self._known: dict[str, _Result] = dict(known or {})
        self._stamps: dict[str, Stamp] = {}  # of the commits that a result was computed from
        self._runs: dict[str, _Run[_Result]] = {}  # the last one of each job
        self._queue: queue.SimpleQueue[_Run[_Result] | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._epoch = 0

    def ask(
        self, job_id: str, timeout_s: float, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[_Result | None, bool]:
        """Give the metrics of a job's active model as they are now, or as last known.

        Parameters
        ----------
        job_id : str
        timeout_s : float
            Longest wait for a recompute.
        stopped : callable
            Asked about every 50 ms: True ends the wait, as nobody wants the answer any more.

        Returns
        -------
        Known or None
            None where nothing was ever computed.
        bool
            Whether a recompute still runs: then these are the last known ones.

        Raises
        ------
        NotFoundError
            There is no such job, or no model of it is active.
        QueryError
            The recompute has failed, or the owner is stopping.
        """
        deadline_s = time.monotonic() + timeout_s
        run = self._begun(job_id)
        while not run.done.is_set():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or stopped():
                return self._known.get(job_id), True
            run.done.wait(min(left_s, _LOOK_S))
        if run.error is not None:
            raise _told_again(run.error) from run.error
        return run.known, False

    def request(self, job_id: str) -> Recompute:
        """Begin a recompute, or join the one that is queued or runs, and tell its state."""
        return self._told(self._begun(job_id))

    def begin(self, job_id: str) -> "Future[_Result]":
        """Begin a recompute, or join the one that is queued or runs, and give what it will find.

        It fails as `ask` does, and cannot be cancelled.
        """
        return self._begun(job_id).future

    def known(self, job_id: str) -> _Result | None:
        """Give the metrics of a job's active model as last known; None: they never were."""
        return self._known.get(job_id)

    def status(self, job_id: str) -> Recompute | None:
        """Tell the state of a job's last recompute; None where none was asked for."""
        with self._lock:
            run = self._runs.get(job_id)
        return None if run is None else self._told(run)

    def forget_stamps(self) -> None:
        """Let no result pass for a new one: something changed that leaves no mark in the clock."""
        with self._lock:
            self._epoch += 1

    def close(self) -> None:
        """Stop what runs, tell everybody who waits, and end within a second."""
        with self._lock:
            self._closing.set()
            workers = list(self._workers)
        for _ in workers:
            self._queue.put(None)
        for worker in workers:
            worker.join()

    # ---- one recompute ----------------------------------------------------------------------

    def _begun(self, job_id: str) -> _Run[_Result]:
        """Give the recompute of a job that runs, or a new one, which may be done already."""
        stamp = self._stamp_now(job_id)
        with self._lock:
            run = self._runs.get(job_id)
            if run is not None and not run.done.is_set():
                return run
            if self._closing.is_set():
                raise _stopping()
            run = _Run(job_id, self._now_us())
            self._runs.pop(job_id, None)
            self._runs[job_id] = run
            self._drop_old_runs()
            if stamp is not None and stamp == self._stamps.get(job_id):
                self._settle(run, self._restate(self._known[job_id], run.requested_us))
            else:
                self._enqueue(run)
            return run

    def _stamp_now(self, job_id: str) -> Stamp | None:
        """Read what the newest commit is, if a result is there to be compared."""
        if job_id not in self._stamps or self._closing.is_set():
            return None
        with reading(self._connection, TIME_LIMIT_MAX_S, self._closing.is_set) as ours:
            return self._stamp(ours.cursor)

    def _stamp(self, cursor: duckdb.DuckDBPyConnection) -> Stamp:
        return (self._epoch, *cursor.execute(_STAMP).fetchall())

    def _enqueue(self, run: _Run[_Result]) -> None:
        if len(self._workers) < WORKERS:
            worker = threading.Thread(target=self._work, name="recompute", daemon=True)
            self._workers.append(worker)
            worker.start()
        self._queue.put(run)

    def _work(self) -> None:
        while (run := self._queue.get()) is not None:
            if self._closing.is_set():
                run.error = _stopping()
                self._settle(run, None)
                continue
            run.state = States.IN_PROGRESS
            try:
                known, stamp = self._computed(run.job_id)
                self._remember(run.job_id, known)
            except Exception as error:  # noqa: BLE001 - told to all who wait for it
                run.error = error
                self._settle(run, None)
                continue
            with self._lock:
                self._stamps[run.job_id] = stamp
                self._settle(run, known)

    def _computed(self, job_id: str) -> tuple[_Result, Stamp]:
        with (
            reading(self._connection, TIME_LIMIT_MAX_S, self._closing.is_set) as ours,
            ours.faults_named(),
        ):
            # The numbers hold at the time of the commit that is seen, however long they take.
            computed_us, stamp = self._now_us(), self._stamp(ours.cursor)
            return self._compute(ours.cursor, job_id, computed_us), stamp

    def _settle(self, run: _Run[_Result], known: _Result | None) -> None:
        if known is not None:
            self._known[run.job_id] = known
        run.known = known
        run.state = States.COMPLETED if run.error is None else States.FAILED
        run.done.set()
        if known is not None:
            run.future.set_result(known)
        else:
            run.future.set_exception(run.error or _stopping())

    def _told(self, run: _Run[_Result]) -> Recompute:
        known = run.known or self._known.get(run.job_id)
        return Recompute(
            run.job_id,
            None if known is None else known.model_id,
            run.state,
            run.requested_us,
            None if run.error is None else str(run.error),
        )

    def _drop_old_runs(self) -> None:
        for job_id in list(self._runs)[: max(len(self._runs) - _RUNS_MAX, 0)]:
            if self._runs[job_id].done.is_set():
                del self._runs[job_id]


def _stopping() -> QueryError:
    msg = "the query was stopped: the owner is stopping"
    return QueryError(msg)


def _told_again(error: BaseException) -> BaseException:
    """Give an error of its own to each who waited: one that is raised twice mixes its traces."""
    if isinstance(error, QueryError):
        return type(error)(str(error))
    return RuntimeError(f"the recompute failed: {type(error).__name__}: {error}")
