"""The lock of a data folder: one owner, or several readers.

It is the kernel's: a killed process holds none.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from connectors.sqlserver import remove_stale
from engine.errors import EndingError, StoreError

__all__ = ["LOCK_NAME", "FolderLock"]

LOCK_NAME = "lock"
_READERS_S = 10.0
_AGAIN_S = 0.02


class FolderLock:
    """An exclusive lock on the folder; the file says who holds it and where it answers.

    Whoever reads the results of a folder without an owner holds it shared, for a query: that is
    waited for.

    Parameters
    ----------
    folder : pathlib.Path
    stopped : callable
        Asked while readers are waited for: True gives up.

    Raises
    ------
    StoreError
        Somebody owns it, or reads for ten seconds; the text says who.
    EndingError
        It was stopped while it waited.
    OSError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, stopped: Callable[[], bool] = lambda: False) -> None:
        self._path = folder / LOCK_NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until_s = time.monotonic() + _READERS_S
        while not self._locked(fcntl.LOCK_EX):
            owned = not self._locked(fcntl.LOCK_SH)
            if owned or stopped() or time.monotonic() >= until_s:
                holder = _describe(os.pread(self._file, 4096, 0)) if owned else "a reader"
                os.close(self._file)
                if stopped() and not owned:
                    msg = f"the run was stopped before data folder {folder} was free of readers"
                    raise EndingError(msg)
                msg = f"data folder {folder} must be free, got locked by {holder}"
                raise StoreError(msg)
            fcntl.flock(self._file, fcntl.LOCK_UN)
            time.sleep(_AGAIN_S)
        remove_stale(str(_facts(os.pread(self._file, 4096, 0)).get("socket", "")))
        self.write({})

    def _locked(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, facts: dict[str, str]) -> None:
        """Say who holds it, and further facts."""
        line = {"pid": os.getpid(), "host": socket.gethostname(), **facts}
        content = (json.dumps(line) + "\n").encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)

    def release(self) -> None:
        """Let the folder go; a second call does nothing."""
        if self._file < 0:
            return
        os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = -1


def _facts(content: bytes) -> dict[str, object]:
    try:
        facts = json.loads(content)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _describe(content: bytes) -> str:
    facts = _facts(content)
    if "pid" not in facts:
        return "another process"
    return f"process {facts['pid']} on {facts.get('host')}"
