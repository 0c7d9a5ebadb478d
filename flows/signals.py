"""What Ctrl-C, SIGTERM and SIGHUP do to a command: end its wait at once, or its input."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopping", "signal_kills"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signal_kills() -> Iterator[None]:
    """Let Ctrl-C end the process at once: Python's own handler would wait for DuckDB."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Stopping:
    """Turns SIGINT, SIGTERM and SIGHUP into an event, from the first moment of a command on.

    What comes before there is anything to stop ends the process with 0; what comes when everything
    is done finds nothing to stop any more, and must not make a failure of a run that has committed
    all. SIGHUP, which a terminal sends that goes away, stays ignored where `nohup` has seen to it.

    Parameters
    ----------
    process_ends : bool
        Whether the process ends with the command.

    Attributes
    ----------
    event : threading.Event
        Set once a signal has come.
    """

    def __init__(self, *, process_ends: bool) -> None:
        self.event = threading.Event()
        self._process_ends, self._begun = process_ends, False
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._numbers = _ENDING[:2] if ignored else _ENDING
        self._before = [signal.signal(each, self._come) for each in self._numbers]

    def begun(self) -> threading.Event:
        """Say that from now on there is something to stop: by this event."""
        self._begun = True
        return self.event

    def _come(self, *_: object) -> None:
        self.event.set()
        if self._process_ends and not self._begun:
            sys.stderr.write("the run was stopped before it began: nothing was read\n")
            sys.stderr.flush()
            os._exit(0)  # half of the modules may be there: nothing to be ended in good order

    def done(self) -> None:
        """Put back what was there before, or, where the process is about to end, ignore them.

        Python takes its own handlers away while it shuts down, and from then on a signal kills.
        """
        for number, handler in zip(self._numbers, self._before, strict=True):
            signal.signal(number, signal.SIG_IGN if self._process_ends else handler)
