"""Opens the data folder in a thread of its own, while the main thread loads the program.

::

    settings ┬─ thread: lock -> log replayed -> schema ─┬─ filter of the keys ──┬─ first block
             └─ main: what the program is made of ──────┴─ Session.open, inputs ┘

Over a store of 5 GB the thread takes a second, nearly all of it within DuckDB: a start that did one
after the other would go on a third later. What it meets is raised where it is waited for; for the
filter that is where it is first asked.
"""

import sys
import threading
from pathlib import Path
from typing import Self

from connectors.store import Store
from connectors.storefaults import store_fault
from engine.config import Settings
from engine.seen import Seen, first_unstored, loaded
from flows.allocating import keep_freed_memory
from flows.breakable import breakable

__all__ = ["Opening", "prepare_process"]

_SWITCH_S = 0.0001


def prepare_process() -> None:
    """Set up what holds for a whole process that runs a session; again, it does nothing."""
    # The reader thread computes while this one waits for DuckDB: Python's 5 ms until a thread that
    # wants to go on may do so were longer than most statements, a tenth of the throughput.
    sys.setswitchinterval(_SWITCH_S)
    keep_freed_memory()


class Opening:
    """A data folder that is being opened; as a context, it is closed unless it was waited for.

    Parameters
    ----------
    settings : Settings
    stop : threading.Event
        Breaks it off.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._folder, self._stop = Path(settings.data), stop
        self._taken = False
        self._ready = threading.Event()
        self._opened: tuple[Store, tuple[Seen, int]] | BaseException
        self._loaded: Seen | BaseException
        self._thread = threading.Thread(target=self._open, name="open", daemon=True)
        self._thread.start()

    def wait(self) -> tuple[Store, tuple[Seen, int]]:
        """Give the store, and the filter of its keys with the first segment that is not stored.

        Raises
        ------
        BellwetherError
            The folder cannot be used, or the run was stopped before it was open.
        Exception
            A fault of ours.
        """
        self._ready.wait()
        self._taken = True
        if isinstance(self._opened, BaseException):
            raise self._opened
        return self._opened

    def close(self) -> None:
        """Wait until it reads nothing more; the store must not be closed before."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            return
        self._stop.set()
        self._thread.join()
        if isinstance(self._opened, tuple):
            self._opened[0].close()

    def _open(self) -> None:
        try:
            store = Store(self._folder, publish=False, stopped=self._stop.is_set)
            try:
                with breakable(store.cursor, self._stop):
                    beside = [store.readers().cursor() for _ in range(2)]
                    for each in beside:  # both see the rows that are there now
                        each.execute("BEGIN TRANSACTION READ ONLY")
                        each.execute("FROM seen_filters LIMIT 0")  # a snapshot is of the first one
                    unstored = first_unstored(beside[0])
                self._opened = store, (Seen(self._filter), unstored)
            except BaseException:
                store.close()
                raise
        except BaseException as fault:  # noqa: BLE001 - raised where it is waited for
            self._opened = self._told(fault)
            return
        finally:
            self._ready.set()
        try:
            with breakable(beside[0], self._stop):
                self._loaded = loaded(*beside)[0]
        except BaseException as fault:  # noqa: BLE001 - as above
            self._loaded = self._told(fault)
        finally:
            for each in beside:
                each.close()

    def _filter(self) -> Seen:
        self._thread.join()
        if isinstance(self._loaded, BaseException):
            raise self._loaded
        return self._loaded

    def _told(self, fault: BaseException) -> BaseException:
        told = store_fault(fault, self._folder)
        if told is None or told is fault:
            return fault
        told.__cause__ = fault
        return told
