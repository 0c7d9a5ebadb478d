"""Metrics of models for the whole run: computed in the background, answered to calls, stored.

What was computed is written with the next commit, and read back when the next run starts.
"""

import contextlib
import threading
import time
from dataclasses import replace

import duckdb

from connectors.calls import Asking, Calls
from connectors.calltable import calls_of
from connectors.refresh import Refresher
from connectors.sqlquery import Cursors
from engine.config import Settings
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import ModelMetrics, model_metrics

__all__ = ["Refreshing"]

# Of several models that a job has had the one that was computed last.
_KNOWN = (
    "SELECT job_id, arg_max(answer, (computed_time, model_id)) FROM model_metrics_log"
    " GROUP BY job_id"
)
_WRITE = "INSERT OR REPLACE INTO model_metrics_log VALUES (?, ?, make_timestamp(?), ?)"


class Refreshing:
    """A refresher, the calls that ask it, and what it has found since the last commit.

    Parameters
    ----------
    connection : Cursors
        For its own readers; it must stay open until `close` has returned.
    settings : Settings

    Attributes
    ----------
    refresher : Refresher
    calls : Calls
        What the owner of the data folder answers.
    """

    def __init__(self, connection: Cursors, settings: Settings) -> None:
        self._rules = JobRules.of(settings)
        self._found: dict[tuple[str, str], ModelMetrics] = {}
        self._written: dict[tuple[str, str], ModelMetrics] = {}
        self._lock = threading.Lock()
        self.refresher: Refresher[ModelMetrics] = Refresher(
            connection,
            lambda cursor, job_id, now_us: model_metrics(cursor, job_id, self._rules, now_us),
            self._remember,
            lambda metrics, now_us: replace(metrics, computed_us=now_us),
            lambda: time.time_ns() // 1000,
            known=_stored(connection),
        )
        self.calls: Calls = calls_of(lambda _: self._rules, self._latest)

    @property
    def waits(self) -> bool:
        """Whether something was found that is not written yet."""
        return bool(self._found)

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Write what was found, inside a transaction; it is done with after `committed` alone."""
        with self._lock:
            self._written = dict(self._found)
        for (job_id, model_id), each in self._written.items():
            cursor.execute(_WRITE, [job_id, model_id, each.computed_us, each.to_json()])

    def committed(self) -> None:
        """Let go of what was written."""
        with self._lock:
            for key, each in self._written.items():
                if self._found.get(key) is each:
                    del self._found[key]
            self._written = {}

    def close(self) -> None:
        """Stop what runs."""
        self.refresher.close()

    def _latest(
        self, asking: Asking, job_id: str, timeout_s: float
    ) -> tuple[ModelMetrics | None, bool]:
        return self.refresher.ask(job_id, timeout_s, asking.stopped)

    def _remember(self, job_id: str, metrics: ModelMetrics) -> None:
        with self._lock:
            self._found[job_id, metrics.model_id] = metrics


def _stored(connection: Cursors) -> dict[str, ModelMetrics]:
    cursor = connection.cursor()
    try:
        rows = cursor.execute(_KNOWN).fetchall()
    finally:
        cursor.close()
    found = {}
    for job_id, answer in rows:
        with contextlib.suppress(KeyError, TypeError, ValueError):  # of another version: not known
            found[job_id] = ModelMetrics.from_json(answer)
    return found
