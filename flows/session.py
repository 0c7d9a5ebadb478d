"""What one run holds open: the data folder, the engine over it, the inputs, socket and mailer.

Everything is opened in this order: the lock on the folder before anything else, the store, then the
inputs at the positions that the store tells. One transaction is open from the first batch after a
commit to the next commit; alerts go into the outbox in the transaction that makes them.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import duckdb

from connectors.intake import Intake
from connectors.partition import Partition
from connectors.sqlquery import Cursors
from connectors.sqlserver import SqlServer
from connectors.store import Store
from connectors.storefaults import store_fault
from engine.config import Settings
from engine.counts import Counts
from engine.decode import canonical
from engine.errors import EndingError, StoreError
from engine.monitor import Monitor
from engine.processing.declared import declare_catalogues
from engine.topics import count_messages
from flows.ahead import Ahead, Ended, Handed, Last
from flows.breakable import breakable
from flows.changing import Changing
from flows.deciding import agree, pane_seconds
from flows.inputs import Inputs, Resume, open_inputs, state_of
from flows.looking import Looking
from flows.mailing import Mailing, declare_told, password_of
from flows.opening import Opening
from flows.pace import Pace
from flows.publishing import Publishing
from flows.reading import reader_of
from flows.references import read_references
from flows.refreshing import Refreshing
from flows.usercalls import user_calls
from flows.yielding import stand_back

__all__ = ["Session", "now_us"]

RETAIN_EVERY_S = 60.0
_REPLACED_MAX = 512 << 20  # bytes of states, before the file is brought up to date
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
        Of the file; `settings` of the session are those in force, once it is open.
    partitions : sequence of Partition, optional
        Inputs made elsewhere, in place of those that the settings declare.
    mails_to : TextIO, optional
        Where mails are printed, in place of being sent.
    stop : threading.Event, optional
        Set by whoever ends the input.
    serving : bool
        Take in lines over REST, too; then the input never ends by itself.
    opening : Opening, optional
        Of the data folder, where it was begun beforehand.

    Attributes
    ----------
    intake : Intake or None
        Where those lines are handed in.
    counts : Counts
        Of the run; alerts as of the last commit.
    on_commit : callable or None
        Called after each commit: draws the progress.
    rested_s : float
        When the run was last seen to go on, by `time.monotonic`.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: Sequence[Partition] | None = None,
        mails_to: TextIO | None = None,
        stop: threading.Event | None = None,
        *,
        serving: bool = False,
        opening: Opening | None = None,
    ) -> None:
        self.settings, self.serving = settings, serving
        self.gate = Changing(settings)
        self.intake: Intake | None = None
        self.rested_s = time.monotonic()
        self.stop = stop or threading.Event()
        self._looking = Looking(now_us())
        self.counts = Counts()
        self.partitions: Sequence[Partition] = ()
        self.fault: BaseException | None = None
        self.input_fault: BaseException | None = None
        self.recounted = False
        self._given = None if partitions is None else Inputs(list(partitions), None)
        self._opening = opening
        self.on_commit: Callable[[], None] | None = None
        self._open, self._mails_to = threading.Lock(), mails_to
        self._store: Store | None = None
        self._in_transaction, self._pace = False, Pace()
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
                self._opening = self._opening or Opening(self.settings, self.stop)
                store, self._seen = self._opening.wait()
                self._start(store, password)
        return self

    def _start(self, store: Store, password: str | None) -> None:
        self._store = store
        try:
            store.begin()
            pane_s, resume = self._make_ready(store, password)
            readers = [reader_of(self.settings, pane_s) for _ in range(_READERS)]
            inputs = self._given or open_inputs(self.settings, resume, self.stop.is_set)
            self._given = inputs
            self.partitions = [*inputs.partitions, *self._intake_of(store, resume)]
            for each in inputs.partitions:  # what is handed in holds nobody back before it is
                self.monitor.open_partition(each.source, each.name, now_us(), live=not each.bounded)
            # Not before: whatever ends lets the watermark go on to what is known to come.
            with breakable(store.cursor, self.stop):
                read_references(self.settings, self.monitor, resume, readers[0], now_us())
            store.commit()
            self.ahead = Ahead(
                self.partitions,
                [reader.decode for reader in readers],
                lambda source, name: resume.get((source, name), (0, None, None))[2],
                fold=readers[0].fold,
                discover=inputs.discover,
                begun=stand_back if self.serving else lambda: None,
            )
            self.ahead.start(now_us())  # beside it the rest gets ready
            store.publish()
            self.publishing = Publishing(self.settings.publish, store)
            self.refreshing = Refreshing(store.readers(), self.settings)
            self.calls = {**self.refreshing.calls, **user_calls(self.gate)}
            self.server = SqlServer(store.readers(), calls=self.calls)
            self.server.start()
            store.announce(str(self.server.path))
        except BaseException as fault:
            self.close()
            told = store_fault(fault, store.folder)
            if told is None or told is fault:
                raise
            raise told from fault

    def _make_ready(self, store: Store, password: str | None) -> tuple[int, Resume]:
        """Bring the stored results into line with the settings; gives pane, s, and positions."""
        with breakable(store.cursor, self.stop):
            self.settings = self.gate.load(store.cursor)
            self.mailing = Mailing(self.settings, password, self._mails_to)
            pane_s = pane_seconds(self.settings)
            how = self.settings, pane_s, canonical, lambda: 1_000.0 * time.perf_counter()
            self.monitor = Monitor(store.cursor, *how, seen=self._seen)
            self.recounted = agree(store, self.settings, pane_s, self.monitor.recount)
            declare_told(store.cursor, self.settings)
            declare_catalogues(store.cursor, self.settings)
            self.monitor.watch()
            self.monitor.save()
            self.monitor.retain(now_us())
        return pane_s, self.monitor.resume()

    def _intake_of(self, store: Store, resume: Resume) -> list[Intake]:
        if not self.serving:
            return []
        start = resume.get((Intake.source, Intake.name), (0, None, None))[0]
        self.intake = Intake(store.readers(), start)
        return [self.intake]

    def close(self) -> None:
        """Let everything go; what was not committed is as if it had never been read."""
        store, self._store = self._store, None
        if store is None:
            return
        self.end_waiting()
        for part in ("server", "refreshing", "ahead", "mailing"):
            with contextlib.suppress(AttributeError):
                getattr(self, part).close()
        self._write_last(store)
        self._publish_last()
        for partition in self.partitions:
            partition.close()
        for each in (self._given, self._opening):
            if each is not None:
                each.close()
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

    def _publish_last(self) -> None:
        publishing: Publishing | None = getattr(self, "publishing", None)
        if publishing is not None and not self._in_transaction:
            with contextlib.suppress(duckdb.Error):
                publishing.finish(self.stop.is_set, well=self.fault is None)

    # ---- work -------------------------------------------------------------------------------

    def take(self, item: Handed) -> None:
        """Take one batch, or the end of a partition, into the open transaction."""
        if isinstance(item, Last):
            self.take(item.batch)
            item = item.ended
        size = 0 if isinstance(item, Ended) else len(item.block.data)
        if size and self._pace.late(size):
            self.commit()
        self._looking.look(now_us())
        self._begin()
        began_s = time.monotonic()
        if isinstance(item, Ended):
            state = state_of(self.ahead.partitions, item.source, item.partition)
            self.monitor.close_partition(item.source, item.partition, state)
        else:
            block = item.block
            state = state_of(self.ahead.partitions, block.source, block.partition)
            self._store_open().note_lines(item.lines, size)
            self.counts.add(self.monitor.take(item, state))
            count_messages(self._store_open().cursor, item.block)
            if self.intake is not None and item.block.source == self.intake.source:
                self.intake.taken(self._store_open().cursor, item)
            self._pace.taken(size, began_s)

    def due(self) -> bool:
        """Tell whether it is time to commit what was taken; early where somebody waits for it."""
        waited = self.intake is not None and self.intake.waits and not self.intake.queued
        return self._pace.due(waited=waited)  # not while more is on its way

    def wanted(self) -> bool:
        """Tell whether somebody waits for a change, or for a commit that is due, lines or not."""
        return self.gate.waits or (self.serving and self._in_transaction and self.due())

    def obey(self) -> None:
        """Do the work that waits for the writer: each piece in a transaction of its own."""
        while (pending := self.gate.take()) is not None:
            self.commit()  # the lines before it do not know of it
            self._begin()
            cursor = self._store_open().cursor
            try:
                with breakable(cursor, self.stop):
                    settings = pending.prepare(cursor, now_us(), self.monitor.watermark_us)
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                try:
                    self._forget()
                finally:
                    pending.failed(self._told(error))
                continue
            try:
                if settings is not None:
                    with breakable(cursor, self.stop):
                        self.monitor.change(settings)
                self.commit()
            except BaseException as error:
                pending.failed(self._told(error))
                raise
            pending.done()
            self.settings = self.gate.configured.settings
            self.mailing.tell(self.settings.notifications)

    def end_waiting(self) -> None:
        """Tell everybody who waits for lines or changes that nothing more will be taken."""
        self.gate.fail_all(EndingError("the run is ending"))
        if self.intake is not None:
            self.intake.close()

    def readers(self) -> Cursors:
        """Give what makes cursors beside the writer."""
        return self._store_open().readers()

    def rest(self) -> None:
        """Note the passing of time while nothing comes: idle partitions hold nobody back."""
        if self._in_transaction:
            return
        self.publishing.tick()
        self._begin()
        self.rested_s = time.monotonic()
        moved = self.monitor.rest(now_us(), self._looking.look(now_us()))
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
        store, now, began_s = self._store_open(), now_us(), time.monotonic()
        self._replaced += self.monitor.save()
        self.mailing.note(store.cursor, self.monitor.take_alerts(), now)
        self.mailing.tick(store.cursor, now)
        self.refreshing.write(store.cursor)
        if retained and self.intake is not None:
            self.intake.retain(store.cursor, now)
        store.commit()
        self._pace.committed(began_s)
        self.rested_s = time.monotonic()
        if self.intake is not None:
            self.intake.committed()
        self.refreshing.committed()
        if retained:
            self.refreshing.refresher.forget_stamps()
        self._in_transaction = False
        # Large states do not go through the log, whose size else calls for a checkpoint.
        if self._replaced > _REPLACED_MAX and store.checkpoint():
            self._replaced = 0
        self.publishing.tick(committed=True)
        self.mailing.after_commit()
        self.counts.alerts = self.mailing.given  # those that time alone gave, too
        if self.on_commit is not None:
            self.on_commit()

    @property
    def failure(self) -> BaseException | None:
        """What has ended the run before its time; None where it was told to stop."""
        found = (each for each in (self.fault, self.input_fault) if each is not None)
        return next((each for each in found if not isinstance(each, EndingError)), None)

    def drain(self) -> None:
        """Send what is left once everything is committed: some seconds, or less at a stop."""
        self.mailing.drain(
            self._store_open(), now_us, lambda: self.stop.is_set() or self.input_fault is not None
        )

    def fail_input(self, fault: BaseException) -> None:
        """Keep a fault of the input; what came before it is still to be committed."""
        self.input_fault = self._told(fault)

    def fail(self, fault: BaseException) -> None:
        """Keep a fault of a step, forget what was not committed, end the input."""
        self.fault = self._told(fault)
        self.stop.set()
        self.gate.fail_all(EndingError("the run has failed"))
        if self.intake is not None:
            self.intake.failed(EndingError("the run has failed"))
        if self._in_transaction:
            with contextlib.suppress(duckdb.Error):
                self._forget()

    def _told(self, fault: BaseException) -> BaseException:
        """Give the message in place of a fault of the machine; any other fault as it is."""
        return store_fault(fault, Path(self.settings.data)) or fault

    def _begin(self) -> None:
        if not self._in_transaction:
            self._store_open().begin()
            self._in_transaction = True
            self._pace.begin()

    def _forget(self) -> None:
        """Roll back."""
        self._in_transaction = False
        self._pace.end()
        self.mailing.after_rollback()
        self._store_open().rollback()

    def _store_open(self) -> Store:
        if self._store is None:
            msg = "the session must be open"
            raise RuntimeError(msg)
        return self._store
