"""One transaction for whatever has to write beside the stream, as what waits to be sent.

The store is seen as the little that is needed of it.
"""

import contextlib
from typing import Protocol

import duckdb

__all__ = ["Ticking", "Transactions", "transact"]


class Transactions(Protocol):
    """The part of `connectors.store.Store` that is needed."""

    cursor: duckdb.DuckDBPyConnection

    def begin(self) -> None:
        """Open a transaction."""

    def commit(self) -> None:
        """Make it durable."""

    def rollback(self) -> None:
        """Forget it."""


class Ticking(Protocol):
    """What writes when its time has come, and is told what became of it."""

    def tick(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> bool:
        """Write what is due; tells whether that is worth a commit."""
        ...

    def after_commit(self) -> None:
        """Note that what was written is durable."""

    def after_rollback(self) -> None:
        """Note that what was written is forgotten."""


def transact(store: Transactions, part: Ticking, now_us: int) -> None:
    """Let a part write in a transaction of its own, and commit it if that is wanted.

    Parameters
    ----------
    store : Transactions
        No transaction is open.
    part : Ticking
    now_us : int
        Wall clock, µs since the epoch.
    """
    store.begin()
    try:
        wanted = part.tick(store.cursor, now_us)
        if wanted:
            store.commit()
    except BaseException:
        part.after_rollback()
        with contextlib.suppress(duckdb.Error):  # what failed may have ended it already
            store.rollback()
        raise
    if wanted:
        part.after_commit()
    else:
        part.after_rollback()
        store.rollback()
