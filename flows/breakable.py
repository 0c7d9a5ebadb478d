"""Long work of the writer that a stop breaks off: a recount, the backfill of a new rule."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from engine.errors import EndingError

__all__ = ["breakable"]

_LOOK_S = 0.05


@contextmanager
def breakable(cursor: duckdb.DuckDBPyConnection, stop: threading.Event) -> Iterator[None]:
    """Break off what is done within once a stop has come; it must be rolled back then.

    Not for a commit: that must end in one way or the other.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        What the work is done on.
    stop : threading.Event

    Raises
    ------
    EndingError
        It was broken off, or not begun.
    """
    _check(stop)
    done = threading.Event()
    watch = threading.Thread(target=_look, args=(cursor, stop, done), name="break", daemon=True)
    watch.start()
    try:
        yield
    except duckdb.InterruptException:
        _check(stop)
        raise
    finally:
        done.set()
        watch.join()
    _check(stop)


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        msg = "the run was stopped before this was done"
        raise EndingError(msg)


def _look(cursor: duckdb.DuckDBPyConnection, stop: threading.Event, done: threading.Event) -> None:
    while not done.wait(_LOOK_S):
        if stop.is_set():
            # Again and again: what comes before a statement begins to run is forgotten.
            cursor.interrupt()
