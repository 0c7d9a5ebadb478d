"""Whole relations over the owner's socket, as whoever asks for them receives them.

::

    {"relation": "alerts"}   Arrow stream in frames   the empty frame
    {"relation": "events"}   Arrow stream in frames   the empty frame
    {}                       or why it ended early

All relations of one answer are as they are at one commit. Nothing is kept: each batch is handed on
as it comes.
"""

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from connectors.sqlwire import FrameReader, raise_if_error, receive_json

__all__ = ["Relation", "received_relations"]

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation: its name, its columns, and its rows as they come, to be taken at once."""

    name: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def received_relations(connection: socket.socket) -> Iterator[Relation]:
    """Receive what was asked for; each relation must be taken to its end before the next.

    Raises
    ------
    QueryError, StoreError
        The owner says why there is no more.
    OSError, ValueError, pa.ArrowException
        The owner went away.
    """
    while True:
        message = receive_json(connection)
        raise_if_error(message)
        if "relation" not in message:
            return
        with io.BufferedReader(FrameReader(connection), _BUFFER_BYTES) as frames:
            with pa.ipc.open_stream(frames) as batches:
                yield Relation(str(message["relation"]), batches.schema, iter(batches))
            while frames.read(_BUFFER_BYTES):
                pass  # up to the empty frame
