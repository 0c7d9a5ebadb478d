"""Changes while a run goes on: the queue of work for the one writer, and the log behind it.

How the session uses `Changing`, which is the `Gate` of `connectors.rest.services`:

::

    changing = Changing(settings_of_the_file)
    begin; settings = changing.load(cursor)     in the opening transaction, before the Monitor
    ... Monitor(cursor, settings, ...), watch(), commit; tell `changing.notes()`

    between two batches, with no transaction open:
    while (pending := changing.take()) is not None:
        begin
        try: settings = pending.prepare(cursor, now_us, watermark_us)
        except Exception as error: roll back; pending.failed(error); continue
        if settings is not None: monitor.change(settings); monitor.save(), mails as at any commit
        commit
        pending.done()                          only now is anything acknowledged, or visible
    at the end, and when the run fails: changing.fail_all(error)

`prepare` runs the work, checks its edits and writes them; until it has returned the engine knows
nothing. What raises behind it (`monitor.change`, `commit`) is a fault of ours, which ends the run:
then `pending.failed(error)`, and the store is as before. Behind `done` mails are for
`configured.settings.notifications`.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import duckdb

from engine.change_log import Stamp, latest_edits, write_edit
from engine.changes import Edit, Writing
from engine.config import Settings
from engine.errors import BusyError, EndingError
from engine.watermark import NEVER
from flows.inforce import InForce, in_force
from flows.telling import notes_of, remember_users, tell

__all__ = ["WAITING_MAX", "Changing", "Pending", "Work"]

WAITING_MAX = 1_000
"""Pieces of work that may wait; further ones are refused."""

T = TypeVar("T")


class Work:
    """One piece of work in its transaction: `engine.changes.Writing`."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, configured: InForce, stamp: Stamp
    ) -> None:
        self._cursor, self._configured, self._stamp = cursor, configured, stamp

    @property
    def cursor(self) -> duckdb.DuckDBPyConnection:
        """See `engine.changes.Writing.cursor`."""
        return self._cursor

    @property
    def configured(self) -> InForce:
        """See `engine.changes.Writing.configured`."""
        return self._configured

    @property
    def by(self) -> str:
        """See `engine.changes.Writing.by`."""
        return self._stamp.by

    @property
    def now_us(self) -> int:
        """See `engine.changes.Writing.now_us`."""
        return self._stamp.now_us

    @property
    def watermark_us(self) -> int | None:
        """See `engine.changes.Writing.watermark_us`."""
        return self._stamp.watermark_us

    def edit(self, edit: Edit) -> None:
        """See `engine.changes.Writing.edit`."""
        before, self._configured = self._configured, self._configured.apply(edit)
        write_edit(self._cursor, edit, self._stamp)
        entries = before.entries.get(edit.kind, {}), self._configured.entries.get(edit.kind, {})
        tell(self._cursor, edit.kind, entries[0].get(edit.id), entries[1].get(edit.id))


class Pending:
    """A piece of work that waited, and whoever waits for it; see the module."""

    def __init__(
        self,
        by: str,
        work: Callable[[Writing], Any],
        configured: Callable[[], InForce],
        accept: Callable[[InForce], None],
    ) -> None:
        self.future: Future[Any] = Future()
        self._by, self._work = by, work
        self._configured, self._accept = configured, accept
        self._found: tuple[InForce, Any] | None = None

    def prepare(
        self, cursor: duckdb.DuckDBPyConnection, now_us: int, watermark_us: int
    ) -> Settings | None:
        """Do the work, inside a transaction; gives new settings where the engine is to follow them.

        Parameters
        ----------
        cursor : duckdb.DuckDBPyConnection
        now_us : int
            The wall clock.
        watermark_us : int
            Or NEVER.

        Raises
        ------
        Exception
            What the work raises, or an edit of it: it has come to nothing.
        """
        before = self._configured()
        stamp = Stamp(self._by, now_us, None if watermark_us == NEVER else watermark_us)
        work = Work(cursor, before, stamp)
        result = self._work(work)
        after = work.configured
        self._found = after, result
        followed = ("metric", "alert_rule", "anomaly_job")
        same = all(before.entries[kind] == after.entries[kind] for kind in followed)
        return None if same else after.settings

    def done(self) -> None:
        """Let it hold, and tell whoever waits; it is committed."""
        if self._found is None:
            msg = "`prepare` must be called before `done`"
            raise RuntimeError(msg)
        after, result = self._found
        self._accept(after)
        self.future.set_result(result)

    def failed(self, error: BaseException) -> None:
        """Tell whoever waits that it has come to nothing; it is rolled back."""
        self.future.set_exception(error)


class Changing:
    """What is in force, and the work that waits for the writer; `submit` from any thread.

    Parameters
    ----------
    settings : Settings
        Of the file.
    waiting_max : int

    Attributes
    ----------
    on_submit : callable or None
        Called after each piece of work that is handed in, on its thread: wakes the writer.
    """

    def __init__(self, settings: Settings, waiting_max: int = WAITING_MAX) -> None:
        self._in_force = InForce.of(settings)
        self._left_out: dict[tuple[str, str], str] = {}
        self._waiting: deque[Pending] = deque()
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._ended: BaseException | None = None
        self.on_submit: Callable[[], None] | None = None

    def load(self, cursor: duckdb.DuckDBPyConnection) -> Settings:
        """Read what earlier runs have changed; gives the settings in force.

        Inside the opening transaction, once.
        """
        file = self._in_force.file
        self._in_force, self._left_out = in_force(file, latest_edits(cursor))
        remember_users(cursor, file)
        return self._in_force.settings

    @property
    def configured(self) -> InForce:
        """What is in force as of the last commit."""
        return self._in_force

    @property
    def waits(self) -> bool:
        """Whether some work waits."""
        return bool(self._waiting)

    def submit(self, by: str, work: Callable[[Writing], T]) -> "Future[T]":
        """See `connectors.rest.services.Gate.submit`."""
        pending = Pending(by, work, lambda: self._in_force, self._accept)
        with self._lock:
            if self._ended is not None:
                msg = "changes cannot be made any more: the run is ending"
                raise EndingError(msg)
            if len(self._waiting) >= self._waiting_max:
                msg = f"at most {self._waiting_max} changes must wait at once, got one more"
                raise BusyError(msg)
            self._waiting.append(pending)
        if self.on_submit is not None:
            self.on_submit()
        return pending.future

    def take(self) -> Pending | None:
        """Give the work that has waited longest, and is still wanted; None: there is none."""
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                pending = self._waiting.popleft()
            if pending.future.set_running_or_notify_cancel():
                return pending

    def fail_all(self, error: BaseException) -> None:
        """Do none of the work that waits, and accept no more of it."""
        with self._lock:
            self._ended = error
        while (pending := self.take()) is not None:
            pending.failed(error)

    def notes(self) -> list[str]:
        """Tell what differs from the file, and what of the stored edits does not fit it."""
        return notes_of(self._in_force, self._left_out)

    def _accept(self, configured: InForce) -> None:
        self._in_force = configured
