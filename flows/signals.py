"""What Ctrl-C does to a command that waits for an answer."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["signal_kills"]


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
