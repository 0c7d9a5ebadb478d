"""Whole relations of one commit, from a file or through the owner's socket, batch by batch.

Promise: all of one answer is read in one transaction. Memory is that of some batches on both sides,
however large a relation is. What is said on the socket stands in `connectors.relationwire`.
"""

import io
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.relationwire import Relation
from connectors.sqlquery import Answer, Cursors, answered_in, reading
from connectors.sqlwire import FrameWriter, send_json
from engine.errors import QueryError
from engine.panes import quoted
from engine.relations import VIEWS

__all__ = ["PUBLIC", "Relations", "read_relations", "stream"]

PUBLIC = tuple(name for name in VIEWS if not name.startswith("_"))
"""The names of all public relations."""

_BUFFER_BYTES = 1 << 20


def read_relations(
    connection: Cursors,
    names: Sequence[str],
    time_limit_s: float,
    gone: Callable[[], bool] = lambda: False,
) -> Iterator[Relation]:
    """Read relations in one transaction; each must be taken to its end before the next.

    Raises
    ------
    QueryError
        A relation cannot be read, or it takes too long.
    """
    with reading(connection, time_limit_s, gone) as ours:
        for name in names:
            with answered_in(ours, f"FROM {quoted(name)}") as answer:
                yield Relation(name, answer.schema, answer.batches)


@dataclass(frozen=True, slots=True)
class Relations:
    """A question for whole relations."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Any) -> "Relations":
        """Check what was asked for.

        Raises
        ------
        QueryError
            It is no list of public relations.
        """
        if not isinstance(names, list):
            msg = f"`relations` must be a list of names, got {type(names).__name__}"
            raise QueryError(msg)
        for name in names:
            if name not in PUBLIC:
                msg = f"`relations` must be names of public relations, got {name!r:.100}"
                raise QueryError(msg)
        return cls(tuple(names))

    def send(
        self,
        cursors: Cursors,
        time_limit_s: float,
        gone: Callable[[], bool],
        *,
        connection: socket.socket,
        ready: Callable[[], None],
        closing: Callable[[], bool],
    ) -> None:
        """Send them.

        Parameters
        ----------
        cursors : Cursors
            The owner's.
        time_limit_s : float
        gone : callable
            Whether nobody waits for them any more.
        connection : socket.socket
        ready : callable
            Called before each frame; may raise.
        closing : callable
            Whether the owner is ending: then nothing more is said, and the file is soon free.
        """
        within, outcome = False, {}
        try:
            for relation in read_relations(cursors, self.names, time_limit_s, gone):
                ready()
                send_json(connection, {"relation": relation.name})
                within = True
                stream(Answer(relation.schema, relation.batches), FrameWriter(connection, ready))
                FrameWriter(connection, ready).end()
                within = False
        except QueryError as error:
            outcome = {"error": str(error)}
        if closing():
            return
        with suppress(TimeoutError):
            if within:
                FrameWriter(connection, ready).end()
            ready()
            send_json(connection, outcome)


def stream(answer: Answer, raw: FrameWriter) -> int:
    """Send rows as an Arrow stream in frames, without the empty one; gives their number."""
    rows = 0
    with (
        io.BufferedWriter(raw, _BUFFER_BYTES) as frames,
        pa.ipc.new_stream(frames, answer.schema) as out,
    ):
        for batch in answer.batches:
            out.write_batch(batch)
            rows += batch.num_rows
    return rows
