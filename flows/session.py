"""What one run holds open: the data folder, the engine over it, the inputs, socket and mailer.

Everything is opened in this order: the lock on the folder before anything else, the store, then the
inputs at the positions that the store tells. One transaction is open from the first batch after a
commit to the next commit; alerts go into the outbox in the transaction that makes them.
"""

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import duckdb

from connectors.partition import Partition
from connectors.sqlserver import SqlServer
from connectors.store import Store
from engine.batch import Batch
from engine.config import Settings
from engine.counts import Counts
from engine.decode import canonical
from engine.errors import ConfigurationError, StoreError
from engine.monitor import Monitor
from engine.processing.declared import declare_catalogues
from flows.ahead import Ahead, Ended
from flows.inputs import Inputs, open_inputs
from flows.mailing import Mailing, declare_told, password_of
from flows.reading import reader_of
from flows.references import read_references
from flows.refreshing import Refreshing

__all__ = ["COMMIT_EVERY_S", "Session", "now_us"]

COMMIT_EVERY_S = 0.5
RETAIN_EVERY_S = 600.0
_REPLACED_MAX = 512 << 20  # bytes of states, before the file is brought up to date
_PUBLIC_PANE_S = 60
# One core is the shard step's: on two cores a second reader only takes it away, a few per cent of
# the throughput. More than two have nothing to do.
_READERS = min(2, max(1, len(os.sched_getaffinity(0)) - 1))


def now_us() -> int:
    """Give the wall clock, µs since the epoch."""
    return time.time_ns() // 1000


class Session:
    """One run over one data folder.

    Parameters
    ----------
    settings : Settings
    partitions : sequence of Partition, optional
        Inputs made elsewhere, in place of those that the settings declare.
    mails_to : TextIO, optional
        Where mails are printed, in place of being sent.
    stop : threading.Event, optional
        Set by whoever ends the input.

    Attributes
    ----------
    counts : Counts
        Of the run; alerts as of the last commit.
    on_commit : callable or None
        Called after each commit: draws the progress.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: Sequence[Partition] | None = None,
        mails_to: TextIO | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.settings = settings
        self.stop = stop or threading.Event()
        self.counts = Counts()
        self.partitions: Sequence[Partition] = ()
        self.fault: BaseException | None = None
        self.input_fault: BaseException | None = None
        self.recounted = False
        self._given = None if partitions is None else Inputs(list(partitions), None)
        self.on_commit: Callable[[], None] | None = None
        self._open = threading.Lock()
        self._mails_to = mails_to
        self._store: Store | None = None
        self._in_transaction = False
        self._dirty_since = math.inf
        self._retain_next = time.monotonic() + RETAIN_EVERY_S
        self._replaced = 0

    # ---- life -------------------------------------------------------------------------------

    def open(self) -> "Session":
        """Open everything; a second call does nothing.

        Raises
        ------
        BellwetherError
            The folder, the file or an input cannot be used.
        """
        with self._open:
            if self._store is None:
                password = None if self._mails_to else password_of(self.settings.smtp)
                self._start(Store(Path(self.settings.data), publish=False), password)
        return self

    def _start(self, store: Store, password: str | None) -> None:
        self._store = store
        try:
            self.mailing = Mailing(self.settings, password, self._mails_to)
            pane_s = _pane_s(self.settings)
            store.begin()
            self.monitor = Monitor(store.cursor, self.settings, pane_s, canonical, _elapsed_ms)
            self._agree(store, pane_s)
            declare_told(store.cursor, self.settings)
            declare_catalogues(store.cursor, self.settings)
            self.monitor.watch()
            self.monitor.save()
            self.monitor.retain(now_us())
            resume = self.monitor.resume()
            readers = [reader_of(self.settings, pane_s) for _ in range(_READERS)]
            read_references(self.settings, self.monitor, resume, readers[0], now_us())
            inputs = self._given or open_inputs(self.settings, resume)
            self.partitions = inputs.partitions
            for partition in self.partitions:
                self.monitor.open_partition(
                    partition.source, partition.name, now_us(), live=not partition.bounded
                )
            store.commit()
            self.ahead = Ahead(
                self.partitions,
                readers,
                lambda source, name: resume.get((source, name), (0, None, None))[2],
                discover=inputs.discover,
            )
            # While the first blocks are read and decoded the rest gets ready.
            self.ahead.start(now_us())
            store.publish()
            self.refreshing = Refreshing(store.readers(), self.settings)
            self.server = SqlServer(store.readers(), calls=self.refreshing.calls)
            self.server.start()
            store.announce(str(self.server.path))
        except BaseException:
            self.close()
            raise

    def _agree(self, store: Store, pane_s: int) -> None:
        """Bring what is stored into line with the settings that it depends on."""
        deciding, stored = _deciding(self.settings, pane_s), store.setting("deciding")
        if stored is not None and stored != deciding:
            _check_recount(store, stored, deciding)
            self.recounted = True
            self.monitor.recount()
        store.remember("deciding", deciding)
        store.remember("pane_s", str(pane_s))
        store.remember("label_horizon_us", str(self.settings.time.label_horizon_us))

    def close(self) -> None:
        """Let everything go; what was not committed is as if it had never been read."""
        store, self._store = self._store, None
        if store is None:
            return
        for part in ("server", "refreshing", "ahead", "mailing"):
            with contextlib.suppress(AttributeError):
                getattr(self, part).close()
        self._write_last(store)
        for partition in self.partitions:
            partition.close()
        store.close()

    def _write_last(self, store: Store) -> None:
        """Store what was computed since the last commit; without it, it is computed again."""
        refreshing: Refreshing | None = getattr(self, "refreshing", None)
        if refreshing is None or not refreshing.waits or self._in_transaction or self.fault:
            return
        with contextlib.suppress(duckdb.Error, StoreError):
            store.begin()
            refreshing.write(store.cursor)
            store.commit()

    # ---- work -------------------------------------------------------------------------------

    def take(self, item: Batch | Ended) -> None:
        """Take one batch, or the end of a partition, into the open transaction."""
        self._begin()
        if isinstance(item, Ended):
            state = self._state(item.source, item.partition)
            self.monitor.close_partition(item.source, item.partition, state)
        else:
            state = self._state(item.block.source, item.block.partition)
            self.counts.add(self.monitor.take(item, state))

    def due(self) -> bool:
        """Tell whether it is time to commit what was taken."""
        return time.monotonic() >= self._dirty_since + COMMIT_EVERY_S

    def rest(self) -> None:
        """Note the passing of time while nothing comes: idle partitions hold nobody back."""
        if self._in_transaction:
            return
        self._begin()
        moved = self.monitor.rest(now_us())
        if self.mailing.tick(self._store_open().cursor, now_us()) or self.refreshing.waits:
            self.commit()
        elif not moved:
            self._forget()

    def commit(self) -> None:
        """Make everything taken durable, with the positions."""
        if not self._in_transaction:
            return
        retained = time.monotonic() >= self._retain_next
        if retained:
            self.monitor.retain(now_us())
            self._retain_next = time.monotonic() + RETAIN_EVERY_S
        store, now = self._store_open(), now_us()
        self._replaced += self.monitor.save()
        self.mailing.note(store.cursor, self.monitor.take_alerts(), now)
        self.mailing.tick(store.cursor, now)
        self.refreshing.write(store.cursor)
        store.commit()
        self.refreshing.committed()
        if retained:
            self.refreshing.refresher.forget_stamps()
        self._in_transaction, self._dirty_since = False, math.inf
        # Large states do not go through the log, whose size else calls for a checkpoint.
        if self._replaced > _REPLACED_MAX and store.checkpoint():
            self._replaced = 0
        self.mailing.after_commit()
        self.counts.alerts = self.mailing.given  # those that time alone gave, too
        if self.on_commit is not None:
            self.on_commit()

    def drain(self) -> None:
        """Send what is left once everything is committed: some seconds, or less at a stop."""
        self.mailing.drain(
            self._store_open(), now_us, lambda: self.stop.is_set() or self.input_fault is not None
        )

    def fail_input(self, fault: BaseException) -> None:
        """Keep a fault of the input; what came before it is still to be committed."""
        self.input_fault = fault

    def fail(self, fault: BaseException) -> None:
        """Keep a fault of a step, forget what was not committed, end the input."""
        self.fault = fault
        self.stop.set()
        if self._in_transaction:
            with contextlib.suppress(duckdb.Error):
                self._forget()

    def _begin(self) -> None:
        if not self._in_transaction:
            self._store_open().begin()
            self._in_transaction, self._dirty_since = True, time.monotonic()

    def _forget(self) -> None:
        """Roll back."""
        self._in_transaction, self._dirty_since = False, math.inf
        self.mailing.after_rollback()
        self._store_open().rollback()

    def _state(self, source: str, name: str) -> str | None:
        """Give what the partition wants back at a resume; good for all it has handed out."""
        # Those found later are known to the reader alone.
        for partition in self.ahead.partitions:
            if (partition.source, partition.name) == (source, name):
                return partition.state
        return None

    def _store_open(self) -> Store:
        if self._store is None:
            msg = "the session must be open"
            raise RuntimeError(msg)
        return self._store


def _elapsed_ms() -> float:
    return time.perf_counter() * 1_000.0


def _pane_s(settings: Settings) -> int:
    """Give the seconds a stored pane: every lookback, step and public pane is a multiple."""
    spans = [_PUBLIC_PANE_S, settings.time.lookback_s, settings.time.step_s]
    for model in settings.models:
        spans += [span for span in (model.lookback_s, model.step_s) if span]
    return math.gcd(*spans)


def _check_recount(store: Store, stored: str, deciding: str) -> None:
    """Refuse a change that would count anew from events that retention has dropped."""
    if store.setting("events_dropped") is None:
        return
    before, now = json.loads(stored), json.loads(deciding)
    changed = ", ".join(name for name in now if now[name] != before.get(name))
    msg = (
        f"{changed} must stay as before once retention has dropped events, since results are"
        " counted anew from the stored events when it changes; use another data folder"
    )
    raise ConfigurationError(msg)


def _deciding(settings: Settings, pane_s: int) -> str:
    """Give, as text, the settings that stored outcomes and panes depend on."""
    models = sorted(
        (
            m.id,
            m.job,
            m.classes,
            m.positive,
            m.positive_property,
            m.threshold,
            m.lookback_s,
            m.step_s,
        )
        for m in settings.models
    )
    return json.dumps(
        {
            "pane_s": pane_s,
            "lookback_s": settings.time.lookback_s,
            "step_s": settings.time.step_s,
            "label_horizon_us": settings.time.label_horizon_us,
            "administrators": sorted(settings.administrators),
            "models": models,
            "limits": [settings.limits.models, settings.limits.series, settings.limits.classes],
        }
    )
