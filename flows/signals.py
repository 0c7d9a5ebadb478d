"""What Ctrl-C and SIGTERM do to a command: end its wait at once, or its input."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopping", "signal_kills"]

_ENDING = (signal.SIGINT, signal.SIGTERM)


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
    """Turns SIGINT and SIGTERM into an event, from the first moment of a command to its last.

    What comes before there is anything to stop is kept; what comes when everything is done finds
    nothing to stop any more, and must not make a failure of a run that has committed all.

    Attributes
    ----------
    event : threading.Event
        Set once one of them has come.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._before = [signal.signal(each, lambda *_: self.event.set()) for each in _ENDING]

    def done(self, *, process_ends: bool) -> None:
        """Put back what was there before, or, where the process is about to end, ignore them.

        Python takes its own handlers away while it shuts down, and from then on a signal kills.
        """
        for number, handler in zip(_ENDING, self._before, strict=True):
            signal.signal(number, signal.SIG_IGN if process_ends else handler)
