"""Calls: questions by name to the functions of a table, under the same limits as SQL.

A call sees one commit, whole, in a read-only transaction that is rolled back; it is stopped when
its time is up or its client has gone, and answers JSON. What a function raises as `QueryError` is
the asker's to mend; anything else is a fault of ours, and is told as one.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from connectors.sqlquery import Cursors, Reading, reading
from engine.errors import QueryError

__all__ = ["Asking", "Call", "Calls", "Statement", "answered", "in_parallel"]

_CLOCK = "SELECT * FROM clock"  # another row after each commit with any line
_LISTED = 20
_TOGETHER = 2  # statements at once, where the database itself has a single thread

Statement = tuple[str, Mapping[str, object]]
"""SQL, and what its `$names` are bound to."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a call has to ask with.

    Attributes
    ----------
    cursor : duckdb.DuckDBPyConnection
        In the read-only transaction.
    run : callable
        Runs statements that do not need each other, and gives their tables in their order.
    stopped : callable
        Whether nobody wants the answer any more; to be asked by a call that waits.
    renew : callable
        Lets the cursor see the newest commit, before any use of `run`.
    """

    cursor: duckdb.DuckDBPyConnection
    run: Callable[[Sequence[Statement]], list[pa.Table]]
    stopped: Callable[[], bool]
    renew: Callable[[], None]


Call = Callable[[Asking, Mapping[str, Any]], Any]
"""Takes the arguments; gives what JSON knows."""

Calls = Mapping[str, Call]
"""By their names."""


def answered(
    connection: Cursors,
    calls: Calls,
    name: str,
    arguments: Mapping[str, Any],
    time_limit_s: float,
    *,
    gone: Callable[[], bool] = lambda: False,
) -> bytes:
    """Answer one call, as JSON.

    Parameters
    ----------
    connection : Cursors
        Gives cursors on a database that was opened with `connectors.sqlquery.DATABASE_CONFIG`.
    calls : mapping
    name : str
        Of one of them.
    arguments : mapping
        What it is to be given.
    time_limit_s : float
        From now to the answer.
    gone : callable
        Asked about every 50 ms: True stops the call, as nobody waits for it any more.

    Raises
    ------
    QueryError
        There is no such call, its arguments are off, it fails, or takes too long.
    """
    call = calls.get(name)
    if call is None:
        listed = ", ".join(sorted(calls)[:_LISTED]) or "none"
        msg = f"`call` must be one of {listed}, got {name}"
        raise QueryError(msg)
    with reading(connection, time_limit_s, gone) as ours, ours.faults_named():
        asking = Asking(
            ours.cursor,
            lambda statements: in_parallel(ours, statements),
            lambda: ours.stopped,
            ours.renew,
        )
        answer = orjson.dumps(call(asking, arguments))
        ours.check()
        return answer


def in_parallel(ours: Reading, statements: Sequence[Statement]) -> list[pa.Table]:
    """Run statements on two cursors at once, both of which see the same commit.

    Where a commit came between the beginnings of the two, all run on the one that was there first;
    so they do where the database has threads of its own.
    """
    other = _beside(ours) if len(statements) > 1 else None
    if other is None:
        return [_table(ours.cursor, statement) for statement in statements]
    tables: list[pa.Table | None] = [None] * len(statements)
    left, lock = iter(enumerate(statements)), threading.Lock()

    def work(cursor: duckdb.DuckDBPyConnection) -> None:
        try:
            for place, statement in _taken(left, lock):
                tables[place] = _table(cursor, statement)
        except BaseException:
            for _ in _taken(left, lock):
                pass  # what has not begun is not wanted any more
            raise

    with ThreadPoolExecutor(_TOGETHER - 1, "call") as pool:
        beside = pool.submit(work, other)
        try:
            work(ours.cursor)
        finally:
            beside.exception()  # its cursor is free again
    beside.result()
    return [table for table in tables if table is not None]


def _taken(
    left: Iterator[tuple[int, Statement]], lock: threading.Lock
) -> Iterator[tuple[int, Statement]]:
    while True:
        with lock:
            found = next(left, None)
        if found is None:
            return
        yield found


def _beside(ours: Reading) -> duckdb.DuckDBPyConnection | None:
    """Give a second cursor that sees the same commit, if there is use for one."""
    threads = ours.cursor.execute("SELECT current_setting('threads')").fetchall()[0][0]
    if threads > 1:
        return None
    other = ours.beside()
    stamps = [cursor.execute(_CLOCK).fetchall() for cursor in (ours.cursor, other)]
    return other if stamps[0] == stamps[1] else None


def _table(cursor: duckdb.DuckDBPyConnection, statement: Statement) -> pa.Table:
    sql, bound = statement
    table: pa.Table = cursor.sql(sql, params=dict(bound)).to_arrow_table()
    return table
