"""One read-only SQL statement over the store, under limits: the same for the owner and for a file.

The rules, all of them enforced here or by `DATABASE_CONFIG`:

- one statement that gives rows: SELECT in all its forms (FROM, VALUES, TABLE, WITH, PIVOT,
  DESCRIBE, SHOW, SUMMARIZE) or EXPLAIN of one; nothing that sets, calls, copies, attaches, loads or
  writes;
- in a read-only transaction that is always rolled back, on a cursor of its own: it sees the last
  commit, blocks no writer, and keeps no snapshot behind;
- no file, network, environment or Python object, by any function;
- done within a time limit, the handing over of rows included, with a bound on the memory of sorts
  and hash tables, which then go to the temporary folder of the database.

Cost: about 2 ms a statement over DuckDB's own.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import duckdb
import pyarrow as pa

from connectors.damage import is_damage
from connectors.sqlwire import TIME_LIMIT_S
from engine.errors import QueryError

__all__ = [
    "DATABASE_CONFIG",
    "Answer",
    "Cursors",
    "Reading",
    "answered_in",
    "answering",
    "check_database",
    "reading",
]

# What a database must be opened with before anybody's SQL may run on it: the owner's store and a
# reader of the file alike. All settings are locked, but for the one that `answering` turns and the
# two that the store does; nobody's SQL may set anything.
DATABASE_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allowed_configs": ["operator_memory_limit", "checkpoint_threshold", "max_memory"],
    "lock_configuration": "true",
}

_OPERATOR_MEMORY = "256MB"
_ROWS = 8192  # of one record batch; an event may be 1 MiB, so this is not larger
_LOOK_S = 0.05  # how often the watch looks at the clock and at the client

_READS = ("SELECT", "MULTI")  # MULTI is what DuckDB makes of PIVOT
_ONLY_READ = (
    "the statement must only read (SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SHOW, SUMMARIZE,"
    " EXPLAIN of one of them)"
)
_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN(?:\s+ANALYZE)?(?:\s*\([^)]*\))?\s*",
    re.IGNORECASE | re.DOTALL,
)


class Cursors(Protocol):
    """A connection, or what gives cursors of one."""

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Give a cursor of its own, which sees the results by their bare names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns, and the rows as they come; they are to be taken while `answering` is open."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def answering(
    connection: Cursors,
    sql: str,
    time_limit_s: float = TIME_LIMIT_S,
    gone: Callable[[], bool] = lambda: False,
) -> Iterator[Answer]:
    """Run one statement on a cursor of its own and hand out its rows.

    Parameters
    ----------
    connection : Cursors
        Gives cursors on a database that was opened with `DATABASE_CONFIG`.
    sql : str
        One reading statement.
    time_limit_s : float
        From now to the last row taken.
    gone : callable
        Asked about every 50 ms: True stops the statement, as nobody waits for it any more.

    Raises
    ------
    QueryError
        The statement is malformed or forbidden, fails, or takes too long.
    """
    with reading(connection, time_limit_s, gone) as ours:
        with ours.faults_named():
            _check(ours.cursor, sql)
        with answered_in(ours, sql) as answer:
            yield answer


@contextmanager
def answered_in(ours: "Reading", sql: str) -> Iterator[Answer]:
    """Run a statement of ours in a transaction that is open, and hand out its rows.

    Raises
    ------
    QueryError
        It fails, or takes too long.
    """
    with ours.faults_named():
        reader = ours.cursor.sql(sql).to_arrow_reader(_ROWS)
    try:
        yield Answer(reader.schema, _taken(reader, ours))
    finally:
        reader.close()


@contextmanager
def reading(
    connection: Cursors, time_limit_s: float, gone: Callable[[], bool] = lambda: False
) -> Iterator["Reading"]:
    """Open a read-only transaction on a cursor of its own, watched, and roll it back at the end.

    Parameters are those of `answering`.
    """
    cursors: list[duckdb.DuckDBPyConnection] = []
    try:
        with _one_line_faults():
            _begun(connection, cursors)
        ours = Reading(connection, cursors, time_limit_s, gone)
        try:
            yield ours
        finally:
            ours.end()
    finally:
        for cursor in cursors:
            _rolled_back(cursor)


def _begun(connection: Cursors, cursors: list[duckdb.DuckDBPyConnection]) -> None:
    """Open one cursor more, in a read-only transaction."""
    cursor = connection.cursor()
    cursors.append(cursor)
    cursor.execute(f"SET operator_memory_limit = '{_OPERATOR_MEMORY}'")
    _begin(cursor)


def _begin(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    # The transaction of the database proper begins with its first use, and only then is
    # `force_checkpoint()` refused, which would roll back the writer's transaction.
    cursor.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall()


def check_database(connection: Cursors) -> None:
    """See that foreign SQL may run here.

    Raises
    ------
    ValueError
        The database was not opened with `DATABASE_CONFIG`.
    """
    names = "', '".join(DATABASE_CONFIG)
    rows = connection.cursor().execute(
        f"SELECT name, value FROM duckdb_settings() WHERE name IN ('{names}')"  # noqa: S608 - ours
    )
    found = dict(rows.fetchall())
    for name, wanted in DATABASE_CONFIG.items():
        value, got = wanted, found.get(name)
        if isinstance(wanted, list):  # a set to DuckDB: it tells them in any order
            value, got = sorted(wanted), sorted(str(got).strip("[]").split(", "))
        if got != value:
            msg = f"`{name}` must be {value} where others' SQL runs, got {got}"
            raise ValueError(msg)


def _check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    kinds = _kinds(cursor, sql)
    if len(kinds) != 1:
        msg = f"the query must be one statement, got {len(kinds)}"
        raise QueryError(msg)
    if kinds[0] == "EXPLAIN":
        explain = _EXPLAIN.match(sql)
        kinds = _kinds(cursor, sql[explain.end() :]) if explain else kinds
    if kinds[0] not in _READS:
        msg = f"{_ONLY_READ}, got {kinds[0]}"
        raise QueryError(msg)


def _kinds(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    try:
        return [statement.type.name for statement in cursor.extract_statements(sql)]
    except ValueError:  # a kind of statement that DuckDB's Python package has no name for
        return ["another kind"]


def _taken(reader: pa.RecordBatchReader, ours: "Reading") -> Iterator[pa.RecordBatch]:
    while True:
        with ours.faults_named():
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        yield batch
        ours.check()


@contextmanager
def _one_line_faults(check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn what DuckDB raises, by itself or through Arrow's stream of batches, into one line."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        check()
        raise QueryError(_one_line(str(error))) from error


def _one_line(text: str) -> str:
    if is_damage(text):
        return f"the store is damaged ({' '.join(text.split())}): see `bellwether repair`"
    if text.startswith("Out of Memory Error"):
        why = text.partition("\n")[0].partition(". ")[0]
        return f"the query needs more memory, or room for temporary files, than there is: {why}"
    if "read-only mode" in text:
        return f"{_ONLY_READ}, got one that writes"
    head, _, place = text.partition("\n\nLINE ")
    line = place.partition(":")[0]
    where = f" (line {line})" if line.isdigit() and line != "1" else ""
    return " ".join(head.split()) + where


def _rolled_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        pass  # there was no transaction, or its own failure has ended it
    finally:
        cursor.close()


class Reading:
    """A read-only transaction, and the watch that stops it when time is up or its client has gone.

    Attributes
    ----------
    cursor : duckdb.DuckDBPyConnection
        In the transaction.
    """

    def __init__(
        self,
        connection: Cursors,
        cursors: list[duckdb.DuckDBPyConnection],
        time_limit_s: float,
        gone: Callable[[], bool],
    ) -> None:
        self.cursor = cursors[0]
        self._connection, self._cursors = connection, cursors
        self._limit_s, self._gone = time_limit_s, gone
        # Beside a writer there is one (`connectors.pressure.Pressure`).
        self._pressed: Callable[[], bool] = getattr(connection, "pressed", lambda: False)
        self._deadline_s = time.monotonic() + time_limit_s
        self._why: str | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="sql-watch", daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped: nobody wants the answer any more."""
        return self._why is not None

    def check(self) -> None:
        """Raise QueryError when the statement has been stopped."""
        if self._why is not None:
            raise QueryError(self._why)

    def renew(self) -> None:
        """Begin the transaction anew: from now on it sees the newest commit."""
        self.check()
        with self.faults_named():
            self.cursor.execute("ROLLBACK")
            _begin(self.cursor)

    def beside(self) -> duckdb.DuckDBPyConnection:
        """Give a further cursor in a transaction of its own, which may see a later commit."""
        _begun(self._connection, self._cursors)
        return self._cursors[-1]

    @contextmanager
    def faults_named(self) -> Iterator[None]:
        """Turn what DuckDB raises within into one line, or into why it was stopped."""
        with _one_line_faults(self.check):
            yield

    def end(self) -> None:
        """Let go of the cursor."""
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(_LOOK_S):
            if self._why is None and time.monotonic() > self._deadline_s:
                self._why = f"the query must be done within {self._limit_s:g} s, and was stopped"
            elif self._why is None and self._gone():
                self._why = "the query was stopped: nobody waits for it, or the owner is stopping"
            elif self._why is None and self._pressed():
                self._why = (
                    "the query needs more memory than is left beside the run, and was stopped:"
                    " ask for less, or again a little later"
                )
            if self._why is not None:
                # Again and again: what comes before a statement begins to run is forgotten.
                for cursor in list(self._cursors):
                    cursor.interrupt()
