"""Looks how much memory of a database is taken that cannot be given back, beside a writer.

The bound on the memory of a database holds for all who use it. What a reader's aggregate has
gathered (a list, a long text) can go to no temporary file, and stays until its query ends; without
a look at it, it is the writer's next statement that finds no memory, and the run ends. So readers
are stopped while there is still room for the writer.

Cost: 1.4 ms a look, at most every `_EVERY_S`, and only while somebody reads for longer than that.
"""

import threading
import time

import duckdb

from connectors.sqlquery import Cursors
from engine.asking import number

__all__ = ["Pressure"]

_EVERY_S = 0.05
# Pages of tables that were read are given back whenever somebody needs the room.
_TAKEN = (
    "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()"
    " WHERE tag NOT IN ('BASE_TABLE', 'METADATA')"
)


class Pressure:
    """Whether readers have to go.

    Parameters
    ----------
    cursors : Cursors
        On the database.
    bytes_max : int
        What all together may take; the rest is the writer's.
    """

    def __init__(self, cursors: Cursors, bytes_max: int) -> None:
        self._cursors, self._bytes_max = cursors, bytes_max
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()
        self._looked_s = 0.0
        self._high = False

    def high(self) -> bool:
        """Tell whether more than that is taken; from any thread."""
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._looked_s >= _EVERY_S:
                self._looked_s = now_s
                self._high = self._taken() > self._bytes_max
            return self._high

    def _taken(self) -> int:
        try:
            if self._cursor is None:
                self._cursor = self._cursors.cursor()
            return number(self._cursor, _TAKEN)
        except duckdb.Error:  # it is being closed, or there is no room for this question either
            return self._bytes_max + 1
