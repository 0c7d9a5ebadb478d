"""Logs step metrics from a Python program: one call, one line of the event stream.

::

    with StepLog("steps.ndjson", job_id=7, experiment_id="mnist") as log:
        for epoch in range(10):
            log.log("loss", train(), step=epoch)

`bellwether run --source steps.ndjson --follow` reads what is written, and so does a pipe. Delivery:
`flush` and `close` return when the operating system has the lines; others wait for at most
`flush_after_s`, or 64 KiB. Lines are appended whole, by one write each time, so several logs may
share a file; a torn line that a crash left at its end is closed first. Any thread may log; some
300,000 calls a second on one core.
"""

import os
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, SupportsIndex

import orjson

from connectors.stepsink import AppendedFile, Out, Sink, steps_in
from engine.errors import QueryError
from engine.steps.logged import Instant, instant_of, number_of, step_of
from engine.steps.names import id_text, json_value, metric_name

__all__ = ["StepLog"]


class StepLog:
    """A log of one job's metrics; a context manager.

    Parameters
    ----------
    out : path or binary stream
        A file (made if there is none, appended to if there is), a named pipe, or what has `write`
        for bytes. A stream is not closed.
    job_id : int or str
    experiment_id : int or str, optional
    flush_after_s : float
        Seconds that a line may wait before it is written, 0 for none.

    Raises
    ------
    QueryError
        If an id is none, or `flush_after_s` is negative.
    OSError
        If the file cannot be opened.
    """

    def __init__(
        self,
        out: str | os.PathLike[str] | BinaryIO,
        job_id: int | str,
        experiment_id: int | str | None = None,
        *,
        flush_after_s: float = 0.2,
    ) -> None:
        self._ids = {"type": "metric", "job_id": id_text(job_id, "job_id")}
        if experiment_id is not None:
            self._ids["experiment_id"] = id_text(experiment_id, "experiment_id")
        if not flush_after_s >= 0:
            msg = f"`flush_after_s` must be a number from 0, got {flush_after_s}"
            raise QueryError(msg)
        self._path = Path(out) if isinstance(out, str | os.PathLike) else None
        self._sink = Sink(_opened(out), flush_after_s)
        self._highest: dict[str, int] = {}
        self._names: set[str] = set()
        self._scanned = self._path is None
        self._lock = threading.Lock()
        # Also when the interpreter ends, or nobody holds the log any more.
        self._finish = weakref.finalize(self, self._sink.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def log(
        self,
        name: str,
        value: float,
        step: SupportsIndex | Literal["auto"] = 0,
        timestamp: Instant | None = None,
    ) -> dict[str, object]:
        """Log a value.

        Parameters
        ----------
        name : str
            A letter or underscore, then letters, digits and underscores.
        value : float
            Any real number, numpy's and arrays of one number too; NaN and infinities, also as
            "nan", "inf" and "-inf". A boolean is none.
        step : int or "auto"
            From 0; a value logged again at a step replaces the one before. "auto" is the step
            after the highest that this log, or the file when this was first asked for, has of the
            name in this job.
        timestamp : datetime, str or float, optional
            When it was measured; the time of receipt when absent.

        Returns
        -------
        dict
            The event, as it is written.

        Raises
        ------
        QueryError
            If an argument breaks its rule; nothing is logged.
        OSError
            If a line before this one, or this one, cannot be written.
        ValueError
            If the log is closed.
        """
        if type(name) is not str or name not in self._names:
            self._names.add(metric_name(name))
        event: dict[str, object] = {**self._ids, "name": name}
        event["value"] = json_value(number_of(value))
        at = None if timestamp is None else instant_of(timestamp)
        with self._lock:
            event["step"] = number = self._step(name, step)
            if at is not None:
                event["timestamp"] = at
            self._sink.add(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
            if number > self._highest.get(name, -1):
                self._highest[name] = number
        return event

    def flush(self) -> None:
        """Write what waits."""
        self._sink.flush()

    def close(self) -> None:
        """Write what waits and close the file; a second time does nothing."""
        self._finish()

    def _step(self, name: str, step: SupportsIndex | str) -> int:
        if isinstance(step, str) and step == "auto":
            return step_of(self._next(name))
        return step_of(step)

    def _next(self, name: str) -> int:
        if not self._scanned and self._path is not None:
            for known, highest in steps_in(self._path, self._ids["job_id"]).items():
                self._highest[known] = max(highest, self._highest.get(known, -1))
            self._scanned = True
        return self._highest.get(name, -1) + 1


def _opened(out: str | os.PathLike[str] | BinaryIO) -> Out:
    return AppendedFile(out) if isinstance(out, str | os.PathLike) else out
