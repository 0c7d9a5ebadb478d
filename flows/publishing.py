"""The published copy of a run's results: begun behind a commit, made in a thread, told of.

::

    commit -> due? -> checkpoint, held still ── thread: copy, rename ──> next tick: move on

The writer waits for the checkpoint alone. A copy that cannot be made is told, once for as long as
the reason is the same, and does no other harm: the last one stays, and the next is made when it is
due.
"""

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from connectors.damage import PUBLISHED_NAME
from connectors.publish import Copy, publish
from connectors.store import Store
from engine.errors import StoreError
from engine.publish_settings import PublishSettings

__all__ = ["BRIEF_S", "Publishing"]

BRIEF_S = 0.3
"""How long a run that was told to stop copies, unless it is to publish whatever that takes."""

_AGAIN_S = 1.0  # after somebody was reading, or the file had not been still


class Publishing:
    """The copies of one run; all calls come from the thread that owns the store.

    Parameters
    ----------
    settings : PublishSettings or None
        None: nothing is published.
    store : Store

    Attributes
    ----------
    held_s : float
        The longest that the writer had to wait for a copy to begin.
    made : int
        Copies that were published.
    """

    def __init__(self, settings: PublishSettings | None, store: Store) -> None:
        self.held_s = 0.0
        self.made = 0
        self._settings, self._store = settings, store
        self._every_s = settings.every_us / 1e6 if settings else 0.0
        self._path = store.folder / PUBLISHED_NAME
        self._due_s = time.monotonic() + self._every_s - _age_s(self._path, self._every_s)
        self._news = True  # since the last copy
        self._one: _OneCopy | None = None
        self._said = ""

    def tick(self, *, committed: bool = False) -> None:
        """Begin a copy that is due, or end one that is done; outside of transactions."""
        if self._settings is None:
            return
        self._news |= committed
        if self._one is not None:
            if self._one.done:
                self._end(self._one)
        elif self._news and time.monotonic() >= self._due_s:
            self._begin(lambda: False)

    def finish(self, stopped: Callable[[], bool], *, well: bool = True) -> None:
        """Publish what the run leaves, before the store is closed.

        Parameters
        ----------
        stopped : callable
            Whether the run was told to stop.
        well : bool
            False: it has failed; a good copy is not replaced by what may be the reason.
        """
        if self._one is not None:
            self._one.call_off()
            self._end(self._one)
        if self._settings is None or not (self._news and well) or self._settings.at_stop == "never":
            return
        patience = _Patience(stopped if self._settings.at_stop == "brief" else lambda: False)
        self._begin(patience.over)
        if self._one is not None:
            self._one.wait()
            self._end(self._one)
        if self._news:
            self._say(f"note: {self._path} was not renewed at this stop: it is {self._as_of()}")

    def _begin(self, stopped: Callable[[], bool]) -> None:
        began_s = time.monotonic()
        try:
            source = self._store.hold_still()
        except OSError as fault:
            self._failed(fault)
            return
        self.held_s = max(self.held_s, time.monotonic() - began_s)
        if source is None:
            self._due_s = time.monotonic() + _AGAIN_S
            return
        self._news = False
        self._one = _OneCopy(self._store.folder, source, stopped)

    def _end(self, one: "_OneCopy") -> None:
        one.wait()
        self._one = None
        self._store.move_on()
        self._due_s = time.monotonic() + self._every_s
        if one.fault is not None:
            self._failed(one.fault)
        elif one.copy is None:
            self._news, self._due_s = True, time.monotonic() + _AGAIN_S
        else:
            self.made, self._said = self.made + 1, ""

    def _failed(self, fault: BaseException) -> None:
        """Tell why there is no new copy; a fault that is not the machine's is ours."""
        if not isinstance(fault, OSError | StoreError | duckdb.Error):
            raise fault
        self._news, self._due_s = True, time.monotonic() + self._every_s
        reason = fault.strerror if isinstance(fault, OSError) else str(fault).splitlines()[0]
        self._say(
            f"warning: {self._path} could not be renewed: {reason}; it is {self._as_of()}, and the"
            f" run goes on"
        )

    def _as_of(self) -> str:
        try:
            moment = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return "not there yet"
        return f"of {moment:%Y-%m-%d %H:%M:%SZ}"

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


class _OneCopy:
    """A copy being made in a thread of its own."""

    def __init__(self, folder: Path, source: int, stopped: Callable[[], bool]) -> None:
        self.copy: Copy | None = None
        self.fault: BaseException | None = None
        self._off = threading.Event()
        self._folder, self._source, self._stopped = folder, source, stopped
        self._thread = threading.Thread(target=self._work, name="publish", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def call_off(self) -> None:
        self._off.set()

    def wait(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        try:
            self.copy = publish(
                self._folder, self._source, lambda: self._off.is_set() or self._stopped()
            )
        except Exception as fault:  # noqa: BLE001 - told by the owner's thread
            self.fault = fault


class _Patience:
    """Is over `BRIEF_S` after the run was told to stop."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._since_s: float | None = None

    def over(self) -> bool:
        if self._since_s is None and self._stopped():
            self._since_s = time.monotonic()
        return self._since_s is not None and time.monotonic() > self._since_s + BRIEF_S


def _age_s(path: Path, most_s: float) -> float:
    """Give how old the last copy is, at most so much; 0 where there is none, or it is newer."""
    try:
        return min(max(time.time() - path.stat().st_mtime, 0.0), most_s)
    except OSError:
        return 0.0
