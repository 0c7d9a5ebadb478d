"""A store filled by the engine itself, in memory's stead on disk, for hostile tests."""

import contextlib
import json
import tempfile
from pathlib import Path

from connectors.store import Store
from engine.batch import Block
from engine.config import Settings
from engine.decode import canonical
from engine.monitor import Monitor
from flows.reading import reader_of

__all__ = ["RECEIVED_US", "filled"]

RECEIVED_US = 1_767_225_600_000_000


@contextlib.contextmanager
def filled(events, settings=None, size=400):
    """Give the cursor of a store that has taken these events, so many lines a block."""
    settings = settings or Settings()
    read = reader_of(settings, 60)
    lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        store.begin()
        monitor = Monitor(store.cursor, settings, 60, canonical)
        monitor.watch()
        place = 0
        for first in range(0, len(lines), size):
            data = b"\n".join(lines[first : first + size]) + b"\n"
            monitor.take(read(Block("s", "p", place, data, RECEIVED_US)))
            place += len(data)
        monitor.save()
        store.commit()
        yield store.cursor
