"""Makes standard input, output and error fit to be used, whatever the process was started with.

A stream that is closed leaves its number to the next file that is opened: the store, say, which a
message would then be written into, or which would be read as events. So each number is taken first;
what reads or writes there meets a fault, as at a closed stream. Messages are another matter: a run
must not end because nobody can read them, so standard error lets them go.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from engine.errors import StoreError

__all__ = ["Messages", "Output", "take_standard_streams"]


class Messages:
    """A text stream for messages: those that cannot be written are lost, and that is all.

    Parameters
    ----------
    stream : TextIO
        Where they go; whatever else is asked of it, this one answers.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write as much as can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Output:
    """A text stream for answers: one that cannot be written is a fault of the machine.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it.

        Raises
        ------
        BrokenPipeError
            Whoever reads has enough.
        StoreError
            It cannot be written.
        """
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush; raises as `write` does."""
        with _told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"standard output could not be written: {error.strerror}"
        raise StoreError(msg) from error


def take_standard_streams() -> None:
    """Open what is closed, and let messages fail quietly; before any other file is opened."""
    for number, way in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)  # the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout = Output(sys.stdout)
    sys.stderr = Messages(sys.stderr)
