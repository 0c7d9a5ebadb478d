"""Tells faults of the machine beneath the store from our own: a full disk, too little memory.

A fault that only whoever runs the machine can mend becomes one message: which file, what happened,
what to do. Nothing is lost by it: what was committed is there, the rest was never taken, and the
next start goes on from the committed positions. What is none of these faults stays as it is.
"""

import errno
import os
import re
from pathlib import Path

import duckdb

from connectors.damage import STORE_NAME, damaged, is_damage
from engine.errors import StoreError

__all__ = ["store_fault"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MACHINE = (*_FULL, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
# DuckDB tells faults of the file system in the words of the C library.
_WORDS = {os.strerror(code): code for code in _MACHINE}
_FILE = re.compile(r'file "([^"]+)"')
_MEMORY = re.compile(r"Out of Memory|failed to (?:pin|allocate|offload)|could not allocate")
_SPILL = "max_temp_directory_size"

_AGAIN = "what was committed is safe, and a new start goes on from there"


def store_fault(fault: BaseException, folder: Path) -> StoreError | None:
    """Give the message for a fault of the machine; None for any other.

    Parameters
    ----------
    fault : BaseException
        What DuckDB or the system has raised.
    folder : pathlib.Path
        The data folder.
    """
    if isinstance(fault, StoreError):
        return fault
    if isinstance(fault, OSError):
        path, code = str(fault.filename or folder), fault.errno
        return _of_code(path, code) if code in _MACHINE else None
    return _of_duckdb(str(fault), folder) if isinstance(fault, duckdb.Error) else None


def _of_duckdb(told: str, folder: Path) -> StoreError | None:
    if is_damage(told):
        return damaged(folder / STORE_NAME, told)
    found = _FILE.search(told)
    # A commit or checkpoint that fails is told as a fault of its own, with the cause behind it.
    for words, code in _WORDS.items():
        if words in told:
            return _of_code(found[1] if found else str(folder), code)
    return _of_memory(told, folder) if _MEMORY.search(told) else None


def _of_code(path: str, code: int | None) -> StoreError:
    reason = os.strerror(code or 0)
    todo = "make room there" if code in _FULL else "mend that"
    return StoreError(f"{path} could not be written: {reason}. Please {todo}: {_AGAIN}")


def _of_memory(told: str, folder: Path) -> StoreError:
    line = told.splitlines()[0].removesuffix(".")
    if _SPILL in told:
        return StoreError(
            f"{folder} has no room for temporary files: {line}. Please make room there: {_AGAIN}"
        )
    return StoreError(f"the store needs more memory than it may take: {line}; {_AGAIN}")
