"""How soon does a run go on after a kill, with a large store, and how much is read again?

Events of `benchmarks.endurance` are written to the standard input of a real `bellwether run` at
full speed until its store is large enough, and it is killed in the middle. Printed are

- the longest time between two commits: so much at most is computed again after a kill;
- the time from the start of the next process until a line that is new is committed, as a reader
  sees it through `bellwether sql`'s socket; some starts, each after a kill, and one after a stop.
"""

import argparse
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.endurance import Stream, feed
from benchmarks.process import module
from connectors.sqlclient import query
from engine.errors import BellwetherError

__all__: list[str] = []

_CONFIG = """
data: {data}
sources: [{{name: piped, stdin: true}}]
time: {{label_horizon: 2m, allowed_lateness: 1s}}
"""
_POSITION = "SELECT coalesce(max(position), 0) FROM progress"
_WATCHED_S = 10.0
_RATE = 200_000  # events a second of event time


@dataclass
class _Run:
    """A process that is fed for ever."""

    config: Path
    stream: Stream
    ended: threading.Event = field(default_factory=threading.Event)
    told: list[int] = field(default_factory=lambda: [0])

    def start(self) -> None:
        """Start it, and feed it."""
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            module("flows", "run", self.config),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=None,
        )
        assert self.process.stdin is not None
        pipe = os.dup(self.process.stdin.fileno())
        self.process.stdin.close()
        self.fed = threading.Thread(
            target=feed, args=(self.stream, pipe, self.ended, self.told), daemon=True
        )
        self.fed.start()

    def end(self, number: int) -> None:
        """Send a signal and wait."""
        self.process.send_signal(number)
        self.process.wait()
        self.ended.set()
        self.fed.join()


def _stored(data: Path) -> int:
    with duckdb.connect(str(data / "bellwether.duckdb"), read_only=True) as store:
        found = store.execute(_POSITION).fetchall()
        return int(found[0][0])


def _committed(data: Path) -> int | None:
    """Give the position as a reader sees it; None while nobody answers."""
    try:
        return int(query(str(data), _POSITION).column(0)[0].as_py())
    except (BellwetherError, OSError):
        return None


def _fill(run: _Run, data: Path, size: int) -> tuple[float, float]:
    """Run until the store has so many bytes.

    Then, for ten seconds, gives bytes a second of input, and the longest time between two commits,
    as a reader sees them.
    """
    run.start()
    marks: list[tuple[float, int]] = []
    file = data / "bellwether.duckdb"
    while not file.exists() or file.stat().st_size < size:
        time.sleep(1.0)
        if run.process.poll() is not None:
            msg = f"bellwether ended with {run.process.returncode}"
            raise RuntimeError(msg)
    until_s = time.perf_counter() + _WATCHED_S
    while time.perf_counter() < until_s or len(marks) < 3:
        position = _committed(data) or 0
        if not marks or position > marks[-1][1]:
            marks.append((time.perf_counter(), position))
        time.sleep(0.01)
    (early_s, early), (late_s, late) = marks[0], marks[-1]
    longest_s = max(after - before for (before, _), (after, _) in pairwise(marks))
    return (late - early) / (late_s - early_s), longest_s


def _restart(run: _Run, data: Path, number: int) -> float:
    """Start it, wait for a commit, and end it by a signal; gives seconds to the commit."""
    before = _stored(data)
    run.start()
    while (_committed(data) or 0) <= before:
        time.sleep(0.05)  # each look is work for the run, too
    took_s = time.perf_counter() - run.began
    time.sleep(3.0)
    run.end(number)
    return took_s


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon a run goes on after a kill.")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-recovery-") as name:
        data, config = Path(name, "data"), Path(name, "config.yaml")
        config.write_text(_CONFIG.format(data=data))
        stream = Stream(_RATE, given.seed)
        run = _Run(config, stream)
        speed, longest_s = _fill(run, data, int(given.gigabytes * 1e9))
        run.end(signal.SIGKILL)
        size = (data / "bellwether.duckdb").stat().st_size
        print(
            f"{run.told[0]:,} events, {size / 1e9:.1f} GB; {speed / 1e6:,.0f} MB of input a second"
        )
        print(f"between two commits: {longest_s:.2f} s at most, so much is computed again")
        took = []
        for nth in range(given.starts):
            last = nth == given.starts - 1
            run = _Run(config, stream)
            took.append(_restart(run, data, signal.SIGTERM if last else signal.SIGKILL))
            print(f"  start {nth + 1}: {took[-1]:.2f} s to the first new commit", flush=True)
        run = _Run(config, stream)
        print(f"after kills: {median(took):.2f} s in the middle, {max(took):.2f} s at most")
        print(f"after a stop: {_restart(run, data, signal.SIGTERM):.2f} s")


if __name__ == "__main__":
    _main()
