"""Ends a process right after a chosen write, or halfway through it: what `crash_writes.c` does.

    if library():                              # None where there is no C compiler
        process = Popen(words, env=watched(data, told, Blow(files=("wal",), number=7)))
    ...
    counted(told)                              # how many calls there were, and which one hit

Only the process itself is watched, from outside of Python: DuckDB writes from C++.
"""

import atexit
import functools
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CALLS", "FILES", "Blow", "Counted", "counted", "library", "watched"]

# In the order of the enums in crash_writes.c.
CALLS = ("write", "sync", "cut", "rename", "remove")
FILES = ("database", "wal", "other")
_NUMBERS = struct.Struct(f"={len(CALLS) * len(FILES) + 4}q")


@dataclass(frozen=True, slots=True)
class Blow:
    """Which write is the last one.

    Attributes
    ----------
    files, calls : tuple of str
        Of `FILES` and `CALLS`: only these are counted.
    number : int
        The last one, from 1; 0: none, all are let through.
    torn : bool
        Only half of it is written.
    """

    files: tuple[str, ...] = FILES
    calls: tuple[str, ...] = CALLS
    number: int = 0
    torn: bool = False

    def __str__(self):
        how = "halfway through" if self.torn else "after"
        return f"{how} {'/'.join(self.calls)} {self.number} of {'/'.join(self.files)}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a process did: calls by (file, call), and the path and call that it died at."""

    counts: dict[tuple[str, str], int]
    hit: str | None

    def of(self, blow):
        """Give how many of the calls are of the kinds of a blow."""
        return sum(self.counts[file, call] for file in blow.files for call in blow.calls)


@functools.cache
def library():
    """Compile the library; gives its path, or None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="crash-writes-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source, made = Path(__file__).with_suffix(".c"), folder / "crash_writes.so"
    words = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", made, source, "-ldl"]
    subprocess.run(words, check=True, capture_output=True)
    return made


def watched(data, told, blow):
    """Give the environment for a process whose writes below `data` are counted in `told`."""
    told.unlink(missing_ok=True)
    return os.environ | {
        "LD_PRELOAD": str(library()),
        "CRASH_UNDER": f"{Path(data).resolve()}/",
        "CRASH_TOLD": str(told),
        "CRASH_AT": str(blow.number),
        "CRASH_TORN": str(int(blow.torn)),
        "CRASH_CALLS": str(sum(1 << CALLS.index(each) for each in blow.calls)),
        "CRASH_FILES": str(sum(1 << FILES.index(each) for each in blow.files)),
    }


def counted(told):
    """Read what a process left."""
    content = told.read_bytes()
    *numbers, _, hit, call, file = _NUMBERS.unpack_from(content)
    kinds = [(file, call) for file in FILES for call in CALLS]
    path = content[_NUMBERS.size :].split(b"\0", 1)[0].decode()
    at = f"{CALLS[call]} {FILES[file]} {path}" if hit else None
    return Counted(dict(zip(kinds, numbers, strict=True)), at)
