"""Run a command to its end, and say how long it took and how much memory it came to need.

The kernel starts a child's peak at that of its parent (`exec` hands it on), so this room and those
that use it import nothing large: workloads are written and tables compared in processes of their
own.

A command finds the bytecode of its modules where an earlier run of it has left it, as it does for
those who use it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = [
    "ENVIRONMENT",
    "Measured",
    "bellwether",
    "measure",
    "medians",
    "module",
    "write_workload",
]

# Without its bytecode each start of `bellwether` would compile 400 modules: 0.4 s.
ENVIRONMENT = {name: said for name, said in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

_ROOT = Path(__file__).resolve().parents[1]
_PINNED = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
os.execvp(sys.argv[2], sys.argv[2:])"""
_PIN = [sys.executable, "-c", _PINNED]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run from start to exit: wall seconds, and peak resident memory in bytes."""

    seconds: float
    peak_bytes: int


def module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this repository."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def bellwether(source: Path, data: Path, config: Path | None = None) -> list[str]:
    """Return the command that takes all of `source` into the data folder `data`."""
    given = [] if config is None else [config]
    return module("flows", "run", *given, "--source", source, "--data", data)


def measure(command: Sequence[str], cores: int | None = None) -> Measured:
    """Run `command` to its end, on so many of the cores that are there.

    Raises
    ------
    RuntimeError
        If it fails: the message ends with the last of what it wrote to standard error.
    """
    with Path(os.devnull).open("wb") as nowhere:
        began = time.perf_counter()
        pinned = command if cores is None else [*_PIN, str(cores), *command]
        process = subprocess.Popen(
            pinned, cwd=_ROOT, env=ENVIRONMENT, stdout=nowhere, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = errors[-2000:].decode(errors="replace")
        msg = f"{' '.join(command)} ended with {process.returncode}: {tail}"
        raise RuntimeError(msg)
    return Measured(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def medians(runs: Sequence[Measured]) -> Measured:
    """Return the median time and the median peak of several runs."""
    return Measured(
        median(run.seconds for run in runs), round(median(run.peak_bytes for run in runs))
    )


def write_workload(path: Path, **settings: float) -> None:
    """Write a workload of these settings (see `benchmarks.workload`) to `path`."""
    flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
    measure(module("benchmarks.workload", "--output", path, *_dashed(flags)))


def _dashed(flags: Sequence[object]) -> list[object]:
    return [flag.replace("_", "-") if isinstance(flag, str) else flag for flag in flags]
