"""The step that holds the engine: takes batches, commits by the clock, says what was committed.

Bytewax makes a step when its first item comes. `Announced` lets one come at once, so that time
passes, and mails that an earlier run left are sent, although no line may come for hours. It also
lets one come whenever somebody waits for the step to do something that is no line, and so that time
passes there, four times a second.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bytewax.operators import StatefulBatchLogic

from connectors.stream import Feed
from engine.counts import Counts
from flows.ahead import Handed
from flows.pace import COMMIT_EVERY_S
from flows.session import Session

__all__ = ["Announced", "Began", "Item", "MonitorStep", "Wanted"]

Emitted = tuple[Iterable[Counts], bool]


@dataclass(frozen=True, slots=True)
class Began:
    """The input is there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody waits for a commit, or for a piece of work."""


Item = Handed | Began | Wanted


class Announced:
    """A feed that gives `Began` before anything else, and `Wanted` when somebody waits.

    Parameters
    ----------
    feed : Feed
    wanted : callable
        Whether the step should be called although there is no batch.
    """

    def __init__(self, feed: Feed[Handed], wanted: Callable[[], bool] = lambda: False) -> None:
        self._feed, self._wanted = feed, wanted
        self._said = False
        self._given_s = time.monotonic()

    @property
    def finished(self) -> bool:
        """See `Feed.finished`."""
        return self._said and self._feed.finished

    def next(self, now_us: int) -> Item | None:
        """See `Feed.next`."""
        item: Item | None = Began()
        if self._said:
            item = Wanted() if self._wanted() else self._feed.next(now_us)
        self._said = True
        # The step's own notifications go by the wall clock, which may be set back.
        if item is None and time.monotonic() - self._given_s >= COMMIT_EVERY_S / 2:
            item = Wanted()
        if item is not None:
            self._given_s = time.monotonic()
        return item


class MonitorStep(StatefulBatchLogic[Item, Counts, None]):
    """Pairs, reduces, monitors and writes, on the session's one cursor.

    A fault is kept in the session and ends the input, so that `bellwether run` can tell it in one
    line; where Bytewax itself runs the flow, it is raised at the end of the input.
    """

    def __init__(self, session: Session, *, raising: bool) -> None:
        self._session = session
        self._raising = raising

    def on_batch(self, values: list[Item]) -> Emitted:
        """Take what has arrived; commit when it is time."""
        return self._guarded([value for value in values if not isinstance(value, Began | Wanted)])

    def on_notify(self) -> Emitted:
        """Commit what waits, and let idle partitions hold nobody back."""
        return self._guarded([])

    def on_eof(self) -> Emitted:
        """Commit the rest and send what is left: the input has ended, or was told to."""
        self._session.ahead.stop()  # what is under way there ends beside the commit
        emitted = self._guarded([], last=True)
        fault = self._session.failure
        if self._raising and fault is not None:
            raise fault
        return emitted

    def notify_at(self) -> datetime:
        """Wake up once per commit interval, input or not."""
        return datetime.now(UTC) + timedelta(seconds=COMMIT_EVERY_S / 2)

    def snapshot(self) -> None:
        """Keep nothing in Bytewax: the store alone says where to resume."""

    def _guarded(self, items: list[Handed], *, last: bool = False) -> Emitted:
        session = self._session
        if session.fault is not None:
            return (), self.RETAIN
        before = session.counts.lines
        try:
            session.obey()
            for item in items:
                session.take(item)
                if session.due():
                    session.commit()
            if last:
                session.commit()
                session.drain()
            elif session.due():
                session.commit()
            elif not items:
                session.rest()
        except Exception as fault:  # noqa: BLE001 - kept, and raised by the command
            session.fail(fault)
        return (Counts(lines=session.counts.lines - before),), self.RETAIN
